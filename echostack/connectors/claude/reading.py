"""A streamed answer of Anthropic's Messages API, event by event, made into what a chat agent understands.

Protocol: the vendor's reference ("Streaming Messages") and the types of its SDK.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from echostack.connectors.chat.words import Call, Delta, Ended, Piece, Spent, Writing
from echostack.connectors.claude.errors import Refusals
from echostack.core.payloads import Usage

_REASONS: Final = {
    "end_turn": "end", "stop_sequence": "end", "pause_turn": "end", "tool_use": "tools", "max_tokens": "length",
    "model_context_window_exceeded": "length", "refusal": "refused",
}  # fmt: skip


class Reading:
    """The events of one stream, turned into what they say. ``over`` once the answer is whole; ``owes`` while it has
    used something that was not told."""

    def __init__(self, model: str, max_tokens: int, refusals: Refusals) -> None:
        self.over = self.owes = False
        self._model, self._refusals = model, refusals
        self._written = 0
        self._stopped: _Block | None = None
        self._left = max_tokens + 64  # pieces that an answer of so many tokens may have, and some more
        self._begun = False
        self._blocks: dict[int, _Block] = {}
        self._counted: dict[str, int] = {}

    def read(self, event: Any) -> Iterator[Delta]:
        """What ``event`` says. ValueError when it is not what the protocol has in this place, and ConnectorFailure when
        max_tokens cut a call of a tool: what is left of it may be a whole call that nobody meant."""
        match event.type:
            case "message_start":
                if self._begun:
                    raise ValueError("the answer began twice")
                self._begun = self.owes = True
                self._model = event.message.model or self._model
                self._count(event.message.usage)
            case "content_block_start":
                yield from self._called()
                yield from self._block(event)
            case "content_block_delta":
                self._left -= 1
                if self._left < 0:
                    raise ValueError("the answer goes on past max_tokens")
                yield from self._grown(event)
            case "content_block_stop":
                block = self._blocks.pop(event.index, None)
                if block is not None and block.id:
                    self._stopped = block
            case "message_delta" if event.delta.stop_reason is not None:
                self._count(event.usage)
                self._written = 0  # the account is the provider's own
                reason = _REASONS.get(event.delta.stop_reason, "end")
                if reason == "length" and self._stopped is not None and self._stopped.cut:
                    raise self._refusals.cut_call(self._stopped.name)
                yield from self._called()
                self.over, self.owes = True, False
                yield Spent(self.usage())
                yield Ended(reason)

    def _called(self) -> Iterator[Call]:
        """The call that was written last, once something behind it shows that it was written to its end."""
        block, self._stopped = self._stopped, None
        if block is not None:
            yield Call(block.id, block.name, block.arguments())

    def _block(self, event: Any) -> Iterator[Delta]:
        if not self._begun or event.index in self._blocks:
            raise ValueError(f"block {event.index} of the answer began twice, or before the answer")
        block = event.content_block
        self._blocks[event.index] = made = _Block()
        if block.type == "tool_use":
            made.id, made.name = str(block.id), str(block.name)
            yield Writing(made.id, made.name, "")
        elif block.type == "text" and block.text:
            yield Piece(block.text)

    def _grown(self, event: Any) -> Iterator[Delta]:
        block, delta = self._blocks[event.index], event.delta
        self._written += 1
        if delta.type == "text_delta":
            yield Piece(delta.text)
        elif delta.type == "input_json_delta" and block.id:
            block.json += delta.partial_json
            if delta.partial_json:
                yield Writing(block.id, block.name, block.json)

    def _count(self, usage: Any) -> None:
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            value = getattr(usage, name, None)
            if isinstance(value, int):
                self._counted[name] = value

    def usage(self) -> Usage:
        """What was used so far, by the provider's count; of an answer that is not whole, a token at least for each of
        the pieces that came."""

        def count(name: str) -> int:
            return self._counted.get(name, 0)

        read, written = count("cache_read_input_tokens"), count("cache_creation_input_tokens")
        return Usage(
            self._model,
            input_tokens=count("input_tokens") + read + written,
            output_tokens=max(count("output_tokens"), self._written),
            cached_tokens=read,
            cache_written_tokens=written,
        )


class _Block:
    """One block of an answer as it grows: a text, or with ``id`` a call of a tool."""

    id = name = json = ""

    @property
    def cut(self) -> bool:
        """Whether the arguments are no whole object. Nothing at all is one, but for a call that was cut."""
        try:
            return not isinstance(msgspec.json.decode(self.json), dict)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return True

    def arguments(self) -> Mapping[str, Any]:
        """What the model wrote. Not an object, or not JSON at all: an object that says so, which fits no tool."""
        try:
            found = msgspec.json.decode(self.json or "{}")
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return {"(unreadable)": self.json[:200]}
        return found if isinstance(found, dict) else {"(not an object)": found}
