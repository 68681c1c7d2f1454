"""Anthropic's Messages API behind ``ChatProvider``: prompts with marks for the cache, the answer as it streams, and
what went wrong in words that say what to do.

Protocol: the vendor's reference ("Messages", "Streaming Messages", "Errors", "Prompt caching") and its SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import httpx2
import msgspec

from echostack.connectors.chat.line import ModelLine, rehearsal
from echostack.connectors.chat.patience import Patience
from echostack.connectors.chat.words import Call, Delta, Ended, Piece, Prompt, Said, Spent, Tool, Writing
from echostack.connectors.claude.errors import Refusals
from echostack.connectors.http_call import where
from echostack.core.clock import LoopClock
from echostack.core.payloads import Usage
from echostack.registry import Context

if TYPE_CHECKING:
    import anthropic

    from echostack.connectors.claude.agent import ClaudeSettings

_FAREWELL: Final = 0.25  # seconds for the end of a response whose answer is whole, so that its connection is kept
_REASONS: Final = {
    "end_turn": "end", "stop_sequence": "end", "pause_turn": "end", "tool_use": "tools", "max_tokens": "length",
    "model_context_window_exceeded": "length", "refusal": "refused",
}  # fmt: skip


class ClaudeProvider:
    """One client of Anthropic's API (``ChatProvider``). Nothing of the machine's own settings (proxies, profiles) is
    used, and nothing is tried again here: that is the engine's, by the hint that a failure carries."""

    def __init__(self, settings: ClaudeSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._client: anthropic.AsyncAnthropic | None = None
        self._line: ModelLine | None = None
        place = where(settings.base_url)
        self._refusals = Refusals(context.node, place, settings.model, settings.api_key, context.clock)

    async def open(self) -> None:
        """Make the client, and begin a connection; the SDK takes half a second to import, once a process."""
        if self._client is None:
            line, self._client = await self._context.compute.run(_ready, self._settings)
            self._line = line
            await line.connect(self._context.clock)

    async def close(self) -> None:
        """Close every connection."""
        line, self._line, self._client = self._line, None, None
        if line is not None:
            await line.close()

    async def answer(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """The model's answer as it comes. ConnectorFailure as ``Refusals`` says, or when nothing comes in time.

        What an answer that is not whole has used by then, as far as it is known, is emitted as ``usage``.
        """
        import anthropic

        await self.open()
        assert self._client is not None
        s = self._settings
        patience = Patience(self._context.node, self._context.clock, first=s.first_seconds, between=s.next_seconds)
        reading = _Reading(s.model, s.max_tokens, self._refusals)
        try:
            stream = await patience.begin(self._client.messages.create(**request(prompt, s), stream=True))
            # Whatever bytes come, such as pings, which the SDK keeps to itself, show that the far end lives.
            patience.alive = lambda: stream.response.num_bytes_downloaded
            try:
                while not reading.over:
                    try:
                        event = await patience.next(stream)
                    except StopAsyncIteration:
                        raise self._refusals.broken("it ended in the middle") from None
                    for delta in reading.read(event):
                        yield delta
                        # Behind it: how long the agent's listener takes for it is no fault of the provider's.
                        patience.got_on()
                await self._farewell(stream)
            finally:
                if reading.owes:
                    self._context.emit(reading.usage())
                await stream.close()
        except (
            anthropic.AnthropicError,
            httpx2.HTTPError,
            ValueError,
            LookupError,
            AttributeError,
            TypeError,
        ) as error:
            # The last four are what reading an event that is not the protocol's raises, in the SDK or here.
            raise self._refusals.failure(error) from None

    async def _farewell(self, stream: Any) -> None:
        """Read what is left of a response whose answer is whole. Whatever goes wrong with it changes nothing more."""
        try:
            async with self._context.clock.timeout(_FAREWELL):
                async for event in stream:
                    if event.type != "message_stop":
                        return  # it goes on past its end: the connection is of no use any more
        except (TimeoutError, httpx2.HTTPError, ValueError):
            return


async def probed(name: str, settings: ClaudeSettings) -> None:
    """Ask for the model, as the connector ``name``. ConnectorFailure as ``Refusals`` says."""
    import anthropic

    clock = LoopClock()
    refusals = Refusals(name, where(settings.base_url), settings.model, settings.api_key, clock)
    line, client = _client(settings)
    patience = Patience(name, clock, first=settings.first_seconds, between=settings.next_seconds)
    try:
        await patience.begin(client.models.retrieve(settings.model))
    except (anthropic.AnthropicError, httpx2.HTTPError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise refusals.failure(error) from None
    finally:
        await line.close()


def request(prompt: Prompt, settings: ClaudeSettings) -> dict[str, Any]:
    """What is asked of the API. Up to four marks for its cache: the tools, the instructions, the end of the
    conversation, which the next request will begin with, and where the last request ended: that is looked for no more
    than twenty blocks before a mark, and many calls of tools at once are more."""
    mark: dict[str, Any] | None = None
    if settings.cache != "off":
        mark = {"type": "ephemeral"} if settings.cache == "5m" else {"type": "ephemeral", "ttl": settings.cache}
    messages = [_message(entry) for entry in prompt.said]
    tools = [_tool(tool) for tool in prompt.tools]
    system: dict[str, Any] = {"type": "text", "text": prompt.system}
    if mark is not None:
        # What is below the model's smallest size for caching is not cached, and the mark then costs nothing.
        system["cache_control"] = mark
        for message in [m for m in messages if m["role"] == "user"][-2:]:
            message["content"][-1]["cache_control"] = mark
        if tools:
            tools[-1]["cache_control"] = mark
    asked: dict[str, Any] = {"model": settings.model, "max_tokens": settings.max_tokens, "messages": messages}
    if prompt.system:
        asked["system"] = [system]
    if tools:
        asked["tools"] = tools
    if settings.thinking != "model":
        asked["thinking"] = {"type": settings.thinking}
    if settings.effort is not None:
        asked["output_config"] = {"effort": settings.effort}
    return asked


def _message(entry: Said) -> dict[str, Any]:
    # Results go first: the API takes a user's text only after the results that it must begin with.
    content: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": r.id, "content": r.text or "(nothing)", "is_error": r.failed}
        for r in entry.results
    ]
    if entry.text.strip():
        content.append({"type": "text", "text": entry.text.strip()})
    content += [{"type": "tool_use", "id": c.id, "name": c.name, "input": dict(c.arguments)} for c in entry.calls]
    return {"role": entry.role, "content": content or [{"type": "text", "text": "(nothing)"}]}


def _tool(tool: Tool) -> dict[str, Any]:
    # Eager: the arguments come as they are written, not when the whole of them has been checked.
    return {
        "name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters),
        "eager_input_streaming": True,
    }  # fmt: skip


class _Reading:
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


def _ready(settings: ClaudeSettings) -> tuple[ModelLine, anthropic.AsyncAnthropic]:
    """A client, in a process in which the first answer is read as fast as any other."""
    _rehearsed()
    return _client(settings)


def _client(settings: ClaudeSettings) -> tuple[ModelLine, anthropic.AsyncAnthropic]:
    import anthropic

    seconds = httpx2.Timeout(max(settings.first_seconds, settings.next_seconds) * 2)
    line = ModelLine(settings.base_url, seconds)
    return line, anthropic.AsyncAnthropic(
        api_key=settings.api_key.get_secret_value(),
        base_url=settings.base_url,
        max_retries=0,
        timeout=seconds,
        open_telemetry=False,
        http_client=line.http,
    )


_REHEARSED: Final = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
    b'"model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}'
    b'\n\nevent: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text",'
    b'"text":""}}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":'
    b'"text_delta","text":"Yes."}}\n\nevent: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":2}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)


@cache
def _rehearsed() -> None:
    """Have the SDK ask and read a whole answer, once a process, at no server."""
    import anthropic

    http = rehearsal(_REHEARSED)
    with anthropic.Anthropic(api_key="none", max_retries=0, open_telemetry=False, http_client=http) as client:
        said: Any = {"role": "user", "content": [{"type": "text", "text": "?"}]}
        for event in client.messages.create(model="m", max_tokens=1, messages=[said], stream=True):
            _ = event.type
