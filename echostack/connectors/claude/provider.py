"""Anthropic's Messages API behind ``ChatProvider``: the client, one streamed request an answer, and how long it is
waited for.

Protocol: the vendor's reference ("Messages", "Streaming Messages", "Errors", "Prompt caching") and its SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import httpx2

from echostack.connectors.chat.line import ModelLine, rehearsal
from echostack.connectors.chat.patience import Patience
from echostack.connectors.chat.words import Delta, Prompt
from echostack.connectors.claude.errors import Refusals
from echostack.connectors.claude.reading import Reading
from echostack.connectors.claude.request import request
from echostack.connectors.claude.settings import ClaudeSettings
from echostack.connectors.http_call import where
from echostack.core.clock import LoopClock
from echostack.registry import Context

if TYPE_CHECKING:
    import anthropic

_FAREWELL: Final = 0.25  # seconds for the end of a response whose answer is whole, so that its connection is kept


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
        reading = Reading(s.model, s.max_tokens, self._refusals)
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
        await self._context.clock.sleep(0)  # whoever speaks the answer's end begins before it
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


def _ready(settings: ClaudeSettings) -> tuple[ModelLine, anthropic.AsyncAnthropic]:
    """A client, in a process in which the first answer is read as fast as any other."""
    _rehearsed()
    return _client(settings)


def _client(settings: ClaudeSettings) -> tuple[ModelLine, anthropic.AsyncAnthropic]:
    import anthropic

    seconds = httpx2.Timeout(max(settings.first_seconds, settings.next_seconds) * 2)
    line = ModelLine(settings.base_url, seconds)
    return line, anthropic.AsyncAnthropic(
        api_key=settings.key,
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
