"""What Anthropic's Messages API sends: the events of a stream in their order, the whole message, and its usage."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from echostack.providers.anthropic.requests import MessagesRequest
from echostack.providers.brain import Bit, Calling, Refusing

_ARGUMENTS: Final = 12  # characters of a call's arguments in one event
_SMALLEST: Final = 1024  # tokens below which nothing is cached; the vendor's figure depends on the model
_LOOKS_BACK: Final = 20  # blocks before a mark that are looked at for something that is in the cache
_PREFIXES: Final = 512


def sse(data: Mapping[str, Any]) -> bytes:
    """One server-sent event as the API writes it: its name, a line of JSON, and an empty line."""
    return f"event: {data['type']}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


def tokens_in(text: str) -> int:
    """About how many tokens a text is: one for every four characters."""
    return (len(text) + 3) // 4


@dataclass(frozen=True, slots=True)
class Counted:
    """The tokens of a prompt: read from the cache, written to it, and the rest."""

    read: int
    written: int
    rest: int

    @property
    def usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.rest,
            "cache_creation_input_tokens": self.written,
            "cache_read_input_tokens": self.read,
            "cache_creation": {"ephemeral_5m_input_tokens": self.written, "ephemeral_1h_input_tokens": 0},
            "service_tier": "standard",
        }


class Cache:
    """The prompts that were written to the cache, by what they begin with, up to a mark.

    A request reads the longest beginning that a mark of it, or one of the twenty blocks before a mark, ends, and writes
    what lies between there and its last mark. Nothing of less than 1,024 tokens is cached.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], None] = OrderedDict()

    def count(self, request: MessagesRequest) -> Counted:
        """How the prompt of ``request`` counts, which is in the cache from here on."""
        sizes: list[int] = []
        total, text = 0, ""
        keys: list[tuple[str, int]] = []
        for block, _ in request.blocks:
            total += tokens_in(block)
            sizes.append(total)
            text = f"{text}\n{block}"
            keys.append((request.model, hash(text)))
        marks = [at for at, (_, marked) in enumerate(request.blocks) if marked and sizes[at] >= _SMALLEST]
        read = 0
        for mark in marks:
            for at in range(mark, max(-1, mark - _LOOKS_BACK - 1), -1):
                if keys[at] in self._known:
                    self._known.move_to_end(keys[at])
                    read = max(read, sizes[at])
                    break
        for mark in marks:
            self._known[keys[mark]] = None
        while len(self._known) > _PREFIXES:
            self._known.popitem(last=False)
        written = max(0, sizes[marks[-1]] - read) if marks else 0
        return Counted(read, written, total - read - written)


@dataclass(slots=True)
class Events:
    """Makes the events of one answer in order: ``begin``, ``of`` each bit, ``end``. ``tokens`` counts what was said."""

    request: MessagesRequest
    exchange: int
    counted: Counted
    tokens: int = 0
    reason: str = "end_turn"
    _index: int = -1
    _kind: str = ""
    _calls: int = 0
    _content: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> list[dict[str, Any]]:
        """What a stream begins with: the empty message, then a sign of life."""
        message = {**self._message([], None), "usage": {**self.counted.usage, "output_tokens": 1}}
        return [{"type": "message_start", "message": message}, {"type": "ping"}]

    def of(self, bit: Bit) -> Iterator[dict[str, Any]]:
        """The events of one bit of the answer."""
        if isinstance(bit, Refusing):
            self.reason = "refusal"
        elif isinstance(bit, Calling):
            yield from self._call(bit)
        elif bit:
            if self._kind != "text":
                yield from self._stop()
                yield self._start({"type": "text", "text": ""})
            self.tokens += 1
            self._content[-1]["text"] += bit
            yield self._delta({"type": "text_delta", "text": bit})

    def end(self) -> Iterator[dict[str, Any]]:
        """What a stream ends with."""
        yield from self._stop()
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": self.reason, "stop_sequence": None, "stop_details": None},
            "usage": {**self.counted.usage, "output_tokens": max(1, self.tokens)},
        }
        yield {"type": "message_stop"}

    def whole(self, said: Sequence[Bit]) -> dict[str, Any]:
        """The answer in one piece."""
        for bit in said:
            for _ in self.of(bit):
                pass
        usage = {**self.counted.usage, "output_tokens": max(1, self.tokens)}
        return {**self._message(self._content, self.reason), "usage": usage}

    def _call(self, calling: Calling) -> Iterator[dict[str, Any]]:
        yield from self._stop()
        self._calls += 1
        name = calling.id or f"toolu_local{self.exchange:06d}x{self._calls:02d}"
        if self.reason == "end_turn":
            self.reason = "tool_use"
        yield self._start({"type": "tool_use", "id": name, "name": calling.name, "input": {}})
        text = msgspec.json.encode(dict(calling.arguments)).decode()
        self._content[-1]["input"] = dict(calling.arguments)
        yield self._delta({"type": "input_json_delta", "partial_json": ""})
        for at in range(0, len(text), _ARGUMENTS):
            self.tokens += 1
            yield self._delta({"type": "input_json_delta", "partial_json": text[at : at + _ARGUMENTS]})

    def _start(self, block: dict[str, Any]) -> dict[str, Any]:
        self._index += 1
        self._kind = block["type"]
        self._content.append(dict(block))
        return {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _stop(self) -> Iterator[dict[str, Any]]:
        if self._kind:
            yield {"type": "content_block_stop", "index": self._index}
            self._kind = ""

    def _message(self, content: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
        return {
            "id": f"msg_local{self.exchange:06d}", "type": "message", "role": "assistant",
            "model": self.request.model, "content": content, "stop_reason": reason, "stop_sequence": None,
            "stop_details": None,
        }  # fmt: skip
