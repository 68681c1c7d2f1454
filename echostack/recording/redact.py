"""Taking the conversation out of a recording: what was said, by whom, and about whom; what happened stays.

A text keeps its spaces, its punctuation and the length of each word: letters become ``x``, digits ``0``. Numbers that
somebody gave (in slots, records, answers of services) become 0. Names that the graph gave (nodes, ports, intents,
tools), kinds, times, epochs, ids of utterances and counts stay, and so does the length of audio, which becomes silence.
Of kinds that EchoStack does not ship every text and every number goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from echostack.recording.format import MASK

_KEPT: Mapping[str, frozenset[str]] = {
    "audio_chunk": frozenset({"utterance"}),
    "audio_chunk.stream": frozenset({"utterance"}),
    "text": frozenset({"language", "ended_by"}),
    "text.partial": frozenset({"language"}),
    "text.segment": frozenset({"language"}),
    "agent_message": frozenset({"id", "language"}),
    "agent_message.partial": frozenset({"id", "language"}),
    "intent": frozenset({"name"}),
    "sentiment": frozenset({"label"}),
    "transcript_entry": frozenset({"role"}),
    "record": frozenset({"type"}),
    "tool_call": frozenset({"name", "id"}),
    "tool_call.partial": frozenset({"name", "id"}),
    "tool_result": frozenset({"name", "id"}),
    "usage": frozenset({"model"}),
    "data": frozenset({"name"}),
    "call_started": frozenset({"graph"}),
    "suspended": frozenset({"scope"}),
    "committed": frozenset({"scope", "cause"}),
    "aborted": frozenset({"scope"}),
    "playout_started": frozenset({"utterance"}),
    "playout_finished": frozenset({"utterance"}),
    "turn_timed": frozenset({"utterance", "stages"}),
    "exceeded": frozenset({"utterance", "slowest"}),
    **dict.fromkeys(
        ("exception", "timeout", "retried", "recovered", "dead_letter", "late"), frozenset({"node", "event"})
    ),
    "failed_over": frozenset({"node", "event", "to"}),
    **dict.fromkeys(
        ("audio_frame", "documents", "http_response", "speech_started", "speech_stopped", "dtmf", "call_ended"),
        frozenset(),
    ),
}  # fmt: skip
"""By shipped kind: the texts that are names, and not what anyone said."""
_GIVEN = frozenset({"slots", "arguments", "data"})
"""Mappings whose keys the graph or a tool gave; keys of any other data are somebody's."""
_FREE = frozenset({*_GIVEN, "passages", "json", "result", "payload"})
"""Fields whose numbers are somebody's as well."""
_AUDIO = "pcm"


def redact_text(text: str) -> str:
    """``text`` with every letter an ``x`` and every digit a ``0``; spaces and ASCII punctuation as they were."""
    return "".join(map(_redacted, text))


def redact_data(value: Any) -> Any:
    """Any data with its texts, its numbers and its keys taken out."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return 0
    if isinstance(value, Mapping):
        return {key: redact_data(item) for key, item in zip(_keys(value), value.values(), strict=True)}
    return [redact_data(item) for item in value]


def redact_payload(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A payload's data, as a line of a recording has it, redacted."""
    kept = _KEPT.get(kind)
    if kept is None:
        return {key: value if key == _AUDIO else redact_data(value) for key, value in data.items()}
    return {key: value if key in kept or key == _AUDIO else _field(key, value) for key, value in data.items()}


def redact_settings(settings: Mapping[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    """A node's settings with the texts redacted, but for paths in ``kept``; numbers, keys, ``{env: NAME}`` stay."""
    return {key: _setting(value, key, kept) for key, value in settings.items()}


def redact_stats(stats: Mapping[str, Any]) -> dict[str, Any]:
    """A call's figures without the session's name, which may be somebody's number."""
    return {
        **stats,
        "session": redact_text(stats.get("session", "")),
        "effects": [{**effect, "key": redact_text(effect.get("key", ""))} for effect in stats.get("effects", ())],
    }


def _redacted(char: str) -> str:
    if char.isspace() or (char.isascii() and not char.isalnum()):
        return char
    return "0" if char.isdecimal() else "x"


def _keys(data: Mapping[Any, Any]) -> list[str]:
    """Redacted keys, told apart by a number where two became the same."""
    keys: dict[str, None] = {}
    for key in data:
        plain = name = redact_text(str(key))
        number = 1
        while name in keys:
            number += 1
            name = f"{plain}-{number}"
        keys[name] = None
    return list(keys)


def _field(name: str, value: Any) -> Any:
    """A field of a shipped kind that is not a name."""
    if name in _GIVEN and isinstance(value, Mapping):
        return {key: redact_data(item) for key, item in value.items()}
    return redact_data(value) if name in _FREE else _texts(value)


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, (list, tuple)) else value


def _setting(value: Any, path: str, kept: frozenset[str]) -> Any:
    if isinstance(value, str):
        return value if path in kept or value == MASK else redact_text(value)
    if isinstance(value, Mapping):
        if set(value) <= {"env", "default"} and isinstance(value.get("env"), str):
            return {key: item if key == "env" else _texts(item) for key, item in value.items()}
        return {key: _setting(item, f"{path}.{key}", kept) for key, item in value.items()}
    return [_setting(item, path, kept) for item in value] if isinstance(value, (list, tuple)) else value
