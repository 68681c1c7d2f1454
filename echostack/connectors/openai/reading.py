"""A streamed chat completion, chunk by chunk, made into what a chat agent understands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from echostack.connectors.chat.words import Call, Delta, Ended, Piece, Spent, Writing
from echostack.connectors.openai.failures import Failures
from echostack.core.payloads import Usage

_REASONS: Final = {"length": "length", "content_filter": "refused", "tool_calls": "tools", "function_call": "tools"}
_NOT_JSON: Final = "not_a_json_object"
_LEEWAY: Final = 64  # chunks past twice the bound of tokens: a token may come in two pieces


@dataclass(slots=True)
class _Written:
    """A call as it is written."""

    index: Any
    id: str
    name: str = ""
    arguments: str = ""


class Reading:
    """What is known of one answer. ``begun``: something of it came; ``whole``: its end was told; ``progress``: the last
    chunk brought something; ``endless``: it is longer than the bound of tokens allows."""

    def __init__(self, model: str, key: str, max_tokens: int) -> None:
        self._model, self._key = model, key
        self._most = 2 * max_tokens + _LEEWAY
        self._last: Any = None
        self._pieces = 0
        self._call: _Written | None = None
        self._calls = 0
        self._usage: Any = None
        self._reason = ""
        self._refused = False
        self.begun = self.whole = self.progress = False

    @property
    def endless(self) -> bool:
        return self._pieces > self._most

    def take(self, chunk: Any) -> Iterator[Delta]:
        """What a chunk brings. Anything in it that is not as the protocol has it is passed over."""
        self.progress = False
        if self._twice(chunk):
            return
        self.behind(chunk)
        for choice in _list(chunk, "choices"):
            if self.whole or getattr(choice, "index", 0) not in (0, None):
                continue
            yield from self._delta(getattr(choice, "delta", None))
            reason = getattr(choice, "finish_reason", None)
            if isinstance(reason, str) and reason:
                self._reason, self.whole = reason, True

    def behind(self, chunk: Any) -> None:
        """Take from a chunk what the answer cost, and nothing else: its text is over."""
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            self._usage = usage

    def end(self, failures: Failures) -> Iterator[Delta]:
        """What is left when the answer is whole: the last call, the end."""
        call = self._call
        if call is not None:
            # Nothing at all may be the arguments of a call, but not of one that was cut there.
            if self._reason == "length" and (not call.arguments.strip() or _object(call.arguments) is None):
                raise failures.cut_call(call.name)
            yield self._made(call)
        reason = _REASONS.get(self._reason, "end")
        if self._refused:
            reason = "refused"
        elif self._calls:
            reason = "tools"  # some servers say that they stopped
        yield Ended(reason)

    @property
    def spent(self) -> Spent | None:
        """What the answer cost; None while nothing has told it."""
        return None if self._usage is None else Spent(self._account())

    def _twice(self, chunk: Any) -> bool:
        # A piece of text may well come twice. The noise that the vendor adds to every chunk does not.
        last, self._last = self._last, chunk
        noise = getattr(chunk, "obfuscation", None)
        return bool(noise) and noise == getattr(last, "obfuscation", None) and chunk == last

    def _delta(self, delta: Any) -> Iterator[Delta]:
        refusal, content = getattr(delta, "refusal", None), getattr(delta, "content", None)
        if isinstance(refusal, str) and refusal:
            self._refused, content = True, refusal
        if isinstance(content, str) and content:
            self._came()
            yield Piece(content)
        for part in _list(delta, "tool_calls"):
            self._came()
            yield from self._part(part)

    def _came(self) -> None:
        self.begun = self.progress = True
        self._pieces += 1

    def _part(self, part: Any) -> Iterator[Delta]:
        index, identity = getattr(part, "index", None), getattr(part, "id", None)
        identity = identity if isinstance(identity, str) else ""
        call = self._call
        # Some servers give every call the index 0, some none at all: a new id is a new call.
        if call is None or (index is not None and index != call.index) or (identity and identity != call.id):
            if call is not None:
                yield self._made(call)
            call = self._call = _Written(index, identity or f"{self._key}-{self._calls}"[-40:])
            self._calls += 1
        function = getattr(part, "function", None)
        name, written = getattr(function, "name", None), getattr(function, "arguments", None)
        if isinstance(name, str) and name and not call.name:
            call.name = name
        if isinstance(written, str):
            call.arguments += written
        yield Writing(call.id, call.name, call.arguments)

    def _made(self, call: _Written) -> Call:
        self._call = None
        arguments = _object(call.arguments)
        # What is no object fits no tool: the agent tells the model so, and it writes it again.
        return Call(call.id, call.name, {_NOT_JSON: call.arguments} if arguments is None else arguments)

    def _account(self) -> Usage:
        usage = self._usage
        details = getattr(usage, "prompt_tokens_details", None)
        return Usage(
            model=self._model,
            input_tokens=_count(usage, "prompt_tokens"),
            output_tokens=_count(usage, "completion_tokens"),
            cached_tokens=_count(details, "cached_tokens"),
            cache_written_tokens=_count(details, "cache_write_tokens"),
        )


def _list(holder: Any, name: str) -> list[Any]:
    value = getattr(holder, name, None)
    return value if isinstance(value, list) else []


def _object(written: str) -> dict[str, Any] | None:
    if not written.strip():
        return {}
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _count(usage: Any, name: str) -> int:
    value = getattr(usage, name, None)
    return value if isinstance(value, int) else 0
