"""A simulator, a caller's line and an inbox, for tests of one simulation at a time on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from echostack.core.audio import AudioFormat
from echostack.core.clock import Clock, Compute, InlineCompute, LoopClock
from echostack.core.events import Event, event_name
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame
from echostack.core.span import Span
from echostack.language.scenario import Delay, Scenario, Script
from echostack.registry import ConnectorSettings, ConnectorSpec, Conversation, Form, Out, Store, Turn
from echostack.registry.spec import NoSettings
from echostack.simulation.line import VoiceLine
from echostack.simulation.speech import SpokenWord, shares, spoken_seconds, words_of
from echostack.simulation.world import NodeStore, World

RATE = 16_000
NOWHERE = Span("test.echo", 1, 1, 1, 1)
NODE = "acme.node"


class Silent:
    """The conversation of a call in which nothing has been said."""

    def __init__(self) -> None:
        self.slots: dict[str, Any] = {}

    @property
    def turns(self) -> tuple[Turn, ...]:
        return ()


class FakeSimulator:
    """A simulation's view of a call: a fixed latency, answers by the text of what is answered, and all it emits."""

    def __init__(self, world: World, *, seconds: float = 0.0, node: str = NODE) -> None:
        self.settings: Any = None
        self.node, self.session, self.choice = node, "test", ""
        self.clock: Clock = LoopClock()
        self.compute: Compute = InlineCompute()
        self.random = random.Random(7)
        self.conversation: Conversation = Silent()
        self.idempotency_key = "key"
        self.seconds = seconds
        self.answers: dict[str, tuple[Payload, ...]] = {}
        self.emitted: list[tuple[float, Payload]] = []
        self.store: Store = NodeStore(self.clock.now)
        self.world = world
        world.now = self.clock.now

    def emit(self, payload: Payload, *, cause: Event | None = None, port: str = "") -> None:
        assert cause is not None
        self.emitted.append((round(self.clock.now(), 6), payload))

    def log(self, message: str, **fields: Any) -> None:
        """Nobody reads it."""

    def latency(self) -> float:
        return self.seconds

    def scripted(self, payload: Payload) -> tuple[Payload, ...] | None:
        return self.answers.get(getattr(payload, "text", ""))

    def spoken(self, text: str) -> float:
        return spoken_seconds(text, 2.5)


def world_of(scripts: Mapping[str, Script] | None = None, seed: int = 0) -> World:
    return World(Scenario("test", NOWHERE, connectors=dict(scripts or {})), seed)


def delayed(seconds: float) -> dict[str, Script]:
    return {NODE: Script(NODE, NOWHERE, delay=Delay(seconds, seconds))}


def spec_of(
    consumes: tuple[type[Payload], ...],
    produces: tuple[type[Payload], ...],
    audio: AudioFormat | None = None,
    settings: type[ConnectorSettings] = NoSettings,
) -> ConnectorSpec:
    return ConnectorSpec(
        NODE, Form.GENERATOR, lambda: None, consumes, produces, settings=settings, output_format=lambda _: audio
    )


class Events:
    """Makes events, numbered from 1, at the present instant."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._seq = now, 0

    def of(self, payload: Payload) -> Event:
        self._seq += 1
        name = event_name("processing", "test", payload.__kind__.name)
        return Event(name, payload, "test", self._seq, self._now())


class FakeInbox:
    """An inbox that a test puts events into; it ends when the test says so."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(self, event: Event) -> None:
        self._queue.put_nowait(event)

    def end(self) -> None:
        self._queue.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await self._queue.get()
        if event is None:
            raise StopAsyncIteration
        return event

    async def take(self, timeout: float | None = None) -> Event | None:
        return await self.__anext__()


class Caller:
    """A caller on a line of coded audio; every frame goes to ``hear`` as an event."""

    def __init__(
        self, simulator: FakeSimulator, hear: Callable[[Event], None], rate: int = RATE, continuous: bool = False
    ) -> None:
        self._simulator, self._hear, self._rate = simulator, hear, rate
        self._events = Events(simulator.clock.now)
        self.line = VoiceLine(simulator.clock, self._frame, rate, frame=0.02, continuous=continuous)
        self.lost: Callable[[float], bool] = lambda now: False
        self.frames = 0

    def _frame(self, frame: AudioFrame) -> None:
        self.frames += 1
        if not self.lost(self._simulator.clock.now()):
            self._hear(self._events.of(frame))

    async def until(self, time: float) -> None:
        await self._simulator.clock.sleep(time - self._simulator.clock.now())

    async def say(self, text: str, lasts: float, heard_as: str | None = None, confidence: float = 1.0) -> None:
        """Say ``text`` in ``lasts`` seconds; ``heard_as`` is what a recogniser makes of the first word."""
        words = words_of(text)
        pieces, taken, until = [], 0, 0.0
        for index, (word, share) in enumerate(zip(words, shares(words, lasts), strict=True)):
            until += share
            count = round(until * self._rate) - taken
            taken += count
            spoken = SpokenWord(
                word, "caller", "1", index, index == len(words) - 1, heard_as if index == 0 else None, confidence,
                samples=count, rate=self._rate,
            )  # fmt: skip
            pieces.append((self._simulator.world.speech.number(spoken), count))
        await self.line.speak(pieces)

    async def noise(self, value: int, seconds: float) -> None:
        await self.line.speak([(value, round(seconds * self._rate))])


Script_ = Callable[[Caller], Awaitable[None]]
Heard = list[tuple[float, Payload]]


async def collected(outputs: AsyncIterator[Payload | Out], now: Callable[[], float]) -> Heard:
    """Everything that ``outputs`` gives, with the instants at which it does."""
    return [(round(now(), 6), o.payload if isinstance(o, Out) else o) async for o in outputs]
