"""A caller's line to ``deepgram.stt``, and the local Deepgram that it is recognised by."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from echostack.connectors.alongside import Alongside
from echostack.connectors.deepgram.settings import DeepgramSettings
from echostack.connectors.deepgram.stt import DeepgramStt
from echostack.core.clock import LoopClock
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, Text, TextPartial, TextSegment, Usage
from echostack.providers.deepgram.server import DeepgramServer
from echostack.registry.context import Out
from tests.connectors.harness import FakeContext

RATE = 16_000
KEY = "a key that nobody may see"


class Line:
    """An inbox that a test speaks into. Frames are stamped with when they were put."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self.sent: list[Event] = []

    def put(self, payload: Payload) -> Event:
        event = Event("processing.test.audio_frame", payload, "call", len(self.sent) + 1, self._clock.now())
        self.sent.append(event)
        self._events.append(event)
        self._news.set()
        return event

    async def say(self, pcm: bytes, *, rate: int = RATE, ms: float = 20, speed: float = 40.0) -> None:
        """Audio in frames of ``ms``, ``speed`` times as fast as it is spoken; 0 for all at once."""
        size = round(rate * ms / 1000) * 2
        for at in range(0, len(pcm), size):
            self.put(AudioFrame(pcm[at : at + size], rate))
            await self._clock.sleep(ms / 1000 / speed if speed else 0)

    def end(self) -> None:
        self._ended = True
        self._news.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._all()

    async def _all(self) -> AsyncIterator[Event]:
        while True:
            try:
                event = await self.take()
            except StopAsyncIteration:
                return
            assert event is not None
            yield event

    async def take(self, timeout: float | None = None) -> Event | None:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()


class Call:
    """A running ``deepgram.stt``: what it says, in order, with when."""

    def __init__(self, server: DeepgramServer | None, *, choice: str = "", **how: Any) -> None:
        self.clock = LoopClock()
        self.line = Line(self.clock)
        self.context = FakeContext(self.clock)
        self.context.choice = choice
        base = {"base_url": server.url} if server is not None else {}
        quick = {"connect_s": 1.0, "stall_s": 0.5, "keepalive_s": 0.2}
        self.settings = DeepgramSettings(**{"api_key": KEY, **base, **quick, **how})
        self.stt = DeepgramStt(self.settings, self.context)
        self.outs: list[Out] = []
        self.times: list[float] = []
        self.failure: BaseException | None = None
        self.over = asyncio.Event()
        self._news = asyncio.Event()

    async def _run(self) -> None:
        try:
            async for out in self.stt.run(self.line):
                assert isinstance(out, Out)
                self.outs.append(out)
                self.times.append(self.clock.now())
                self._news.set()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.failure = error
        finally:
            self.over.set()
            self._news.set()

    async def __aenter__(self) -> Call:
        self._task = Alongside(self._run())
        self.task = await self._task.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._task.__aexit__(*error)

    async def ended(self, seconds: float = 5.0) -> None:
        """Hang up and wait for the last words."""
        self.line.end()
        async with self.clock.timeout(seconds):
            await self.over.wait()

    async def until(self, true: Callable[[], bool], seconds: float = 5.0) -> None:
        async with self.clock.timeout(seconds):
            while not true():
                self._news.clear()
                await self._news.wait()

    def of(self, kind: type[Any]) -> list[Any]:
        return [out.payload for out in self.outs if isinstance(out.payload, kind)]

    @property
    def texts(self) -> list[Text]:
        return self.of(Text)

    @property
    def said(self) -> list[str]:
        return [t.text for t in self.texts]

    @property
    def segments(self) -> list[TextSegment]:
        return self.of(TextSegment)

    @property
    def partials(self) -> list[TextPartial]:
        return self.of(TextPartial)

    @property
    def billed(self) -> float:
        return round(sum(u.audio_seconds for u in self.of(Usage)), 6)
