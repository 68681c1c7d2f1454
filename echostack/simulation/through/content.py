"""What an event says, apart from its ids and its times: by that inputs are known again, and two calls are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from echostack.core.kinds import Payload
from echostack.recording import EventEntry
from echostack.recording.payloads import plain, told
from echostack.recording.redact import redact_payload

EXACT, LOOSE = 1e-5, 0.25
"""Seconds that a time may be off: in a simulated call, and in a real one, whose nodes were never quite on time."""

_IDS = frozenset({"id", "utterance"})
_TIMES = frozenset({"start", "end", "words", "at", "seconds", "waited_ms", "latency_ms", "elapsed_ms", "track"})
_BESIDE = frozenset({"confidence", "ended_by", "language"})
"""What is said of words besides: a guess of the same words has it otherwise."""
_LEFT_OUT = _IDS | _TIMES | _BESIDE
_UNTOLD = frozenset({"samples", "dropped"})
"""What a real call does not do twice: how its audio is cut, and how much was queued at an instant."""

_DISCARDED = "discarded"
"""A guess that was wrong: what had been made for it is in no recording, so how much it was cannot be compared."""

_ENCODE = msgspec.json.Encoder(order="deterministic").encode

Content = Mapping[str, Any]


def content_of(payload: Payload, *, redacted: bool = False) -> dict[str, Any]:
    """What ``payload`` says, as data of the form that a recording has; audio by its length. redacted: as a redacted
    recording would say it."""
    if payload.__kind__.audio:
        return _audio(getattr(payload, "samples", 0), getattr(payload, "text", ""), getattr(payload, "final", False))
    try:
        data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(payload, enc_hook=told))
    except (TypeError, ValueError, OverflowError, RecursionError):
        data = plain(payload)
    if payload.__kind__.name == _DISCARDED:
        data.pop("dropped", None)
    return redact_payload(payload.__kind__.name, data) if redacted else data


def recorded_content(entry: EventEntry) -> dict[str, Any]:
    """The same of a recorded event."""
    data = entry.data
    ref = data.get("pcm")
    if isinstance(ref, dict):
        return _audio(ref.get("samples", 0), data.get("text", ""), data.get("final", False))
    if entry.kind == _DISCARDED:
        data.pop("dropped", None)
    return data


def key_of(kind: str, content: Content) -> bytes:
    """By what a node's input is known again: its kind and what it says, without ids and times."""
    return kind.encode() + _ENCODE({k: v for k, v in content.items() if k not in _LEFT_OUT})


def same(one: Any, other: Any, within: float, name: str = "") -> bool:
    """Whether two contents say the same, numbers and times within ``within`` seconds; ids do not count."""
    if one == other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = [*one, *(n for n in other if n not in one)]
        return all(n in _IDS or same(one.get(n), other.get(n), within, n) for n in names)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(same(a, b, within, name) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        if name in _UNTOLD:
            return within == LOOSE
        if isinstance(one, int) and isinstance(other, int):
            return False
        return abs(one - other) <= (within * 1000 if name.endswith("_ms") else within)
    return False


def _audio(samples: Any, text: Any, final: Any) -> dict[str, Any]:
    return {"samples": samples, "text": text, "final": final}
