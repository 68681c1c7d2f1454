"""What OpenAI's Chat Completions API sends: the chunks of a stream in their order, the whole answer, and its usage."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from echostack.providers.brain import Bit, Calling, Refusing
from echostack.providers.openai.requests import ChatRequest

DONE: Final = b"data: [DONE]\n\n"
_FINGERPRINT: Final = "fp_echostack"
_PADDED: Final = 16  # characters of content and obfuscation together, at the least
_ARGUMENTS: Final = 8  # characters of a call's arguments in a chunk


def sse(data: Mapping[str, Any]) -> bytes:
    """One server-sent event, as the API writes it: a line of JSON and an empty line."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


@dataclass(slots=True)
class Chunks:
    """Makes the chunks of one answer, in order: ``begin``, ``of`` each bit, ``end``.

    plain: as compatible servers write them, without what only OpenAI's own have (tier, obfuscation). ``tokens`` counts
    what the answer has cost so far: one a piece of text, and one for every four characters of a call.
    """

    request: ChatRequest
    exchange: int
    created: int
    prompt_tokens: int
    cached_tokens: int = 0
    plain: bool = False
    tokens: int = 0
    calls: int = 0
    reason: str = "stop"
    _noise: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._noise = random.Random(self.exchange)

    @property
    def id(self) -> str:
        return f"chatcmpl-local{self.exchange:06d}"

    def begin(self, first: Bit | None) -> dict[str, Any]:
        """The chunk that tells who speaks, sent with the first token."""
        said = None if isinstance(first, Calling) else ""
        delta = {"role": "assistant", "content": said}
        return self._chunk(delta if self.plain else {**delta, "refusal": None})

    def of(self, bit: Bit) -> list[dict[str, Any]]:
        """The chunks of one bit of the answer."""
        if isinstance(bit, Refusing):
            self.reason = "content_filter"
            return []
        if isinstance(bit, str):
            self.tokens += 1
            return [self._chunk({"content": bit})]
        index, self.calls = self.calls, self.calls + 1
        self.reason = "tool_calls"
        written = msgspec.json.encode(bit.arguments).decode()
        self.tokens += -(-len(bit.name + written) // 4)
        head = {"index": index, "id": self.call_id(bit, index), "type": "function"}
        first = {"tool_calls": [{**head, "function": {"name": bit.name, "arguments": ""}}]}
        rest = [written[at : at + _ARGUMENTS] for at in range(0, len(written), _ARGUMENTS)]
        return [
            self._chunk(first),
            *(self._chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in rest),
        ]

    def end(self) -> list[dict[str, Any]]:
        """The chunk with the reason why the answer ends, and the one with the usage where that was asked for."""
        last = [self._chunk({}, self.reason)]
        if self.request.include_usage:
            last.append({**self._head(), "choices": [], "usage": self.usage()})
        return last

    def whole(self, bits: Sequence[Bit]) -> dict[str, Any]:
        """The answer to a request without ``stream``."""
        calls: list[dict[str, Any]] = []
        for bit in bits:
            self.of(bit)
            if isinstance(bit, Calling):
                function = {"name": bit.name, "arguments": msgspec.json.encode(bit.arguments).decode()}
                calls.append({"id": self.call_id(bit, len(calls)), "type": "function", "function": function})
        said = "".join(bit for bit in bits if isinstance(bit, str))
        message: dict[str, Any] = {"role": "assistant", "content": None if calls and not said else said}
        if not self.plain:
            message.update(refusal=None, annotations=[])
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.reason}
        return {**self._head(), "object": "chat.completion", "choices": [choice], "usage": self.usage()}

    def call_id(self, bit: Calling, index: int) -> str:
        """The call's own id, or one in the API's form."""
        return bit.id or f"call_local{self.exchange:06d}{index:02d}"

    def usage(self) -> dict[str, Any]:
        """The account of the request so far."""
        account: dict[str, Any] = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt_tokens + self.tokens,
        }
        if not self.plain:
            account["prompt_tokens_details"] = {"cached_tokens": self.cached_tokens, "audio_tokens": 0}
            account["completion_tokens_details"] = {"reasoning_tokens": 0, "audio_tokens": 0}
        return account

    def _head(self) -> dict[str, Any]:
        head = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.request.model,
            "system_fingerprint": _FINGERPRINT,
        }
        return head if self.plain else {**head, "service_tier": "default"}

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        chunk = {**self._head(), "choices": [choice]}
        if self.request.include_usage and not self.plain:
            chunk["usage"] = None
        if self.request.obfuscated and not self.plain:
            size = max(4, _PADDED - len(str(delta.get("content") or "")))
            chunk["obfuscation"] = "".join(self._noise.choices(string.ascii_letters + string.digits, k=size))
        return chunk


def tokens_in(text: str) -> int:
    """About how many tokens a text is: one for four bytes, as the vendor's own rule of thumb has it."""
    return -(-len(text.encode()) // 4)
