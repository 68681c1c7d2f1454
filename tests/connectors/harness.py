"""What a connector is given by the runtime, in memory: a context, an inbox, and audio to feed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import soxr

from echostack.connectors.pcm import Floats, to_pcm
from echostack.core.clock import Clock, Compute, InlineCompute, LoopClock
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame
from echostack.registry.context import Out


class FakeClock:
    """A clock that stands where a test puts it, for synchronous connectors."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


class FakeConversation:
    turns: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self.slots: dict[str, Any] = {}


class FakeContext:
    """The context of one node; ``logs`` and ``emitted`` hold what the connector said."""

    def __init__(self, clock: Clock | FakeClock | None = None, compute: Compute | None = None) -> None:
        self.node, self.session, self.choice = "node", "call", ""
        self.clock: Any = clock or LoopClock()
        self.compute: Compute = compute or InlineCompute()
        self.random = random.Random(1)
        self.conversation: Any = FakeConversation()
        self.logs: list[tuple[str, dict[str, Any]]] = []
        self.emitted: list[Payload] = []
        self.shared: dict[str, Any] = {}
        self.live = True

    @property
    def idempotency_key(self) -> str:
        return "call/0/0"

    def emit(self, payload: Payload, *, cause: Event | None = None, port: str = "") -> None:
        self.emitted.append(payload)

    def log(self, message: str, **fields: Any) -> None:
        self.logs.append((message, fields))

    def share(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]


class ListInbox:
    """An inbox over a list of payloads, paced by the clock: each audio frame arrives when its last sample would."""

    def __init__(self, payloads: Iterable[Payload], clock: Any = None, *, hold: bool = False) -> None:
        self._payloads = iter(payloads)
        self._clock, self._hold = clock, hold
        self._at, self._seq = 0.0, 0
        self.taken = 0

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events()

    async def _events(self) -> AsyncIterator[Event]:
        while True:
            try:
                event = await self.take()
            except StopAsyncIteration:  # an async generator may not let it through
                return
            assert event is not None
            yield event

    async def take(self, timeout: float | None = None) -> Event | None:
        payload = next(self._payloads, None)
        if payload is None:
            if self._hold:
                await asyncio.Event().wait()
            raise StopAsyncIteration
        if isinstance(payload, AudioFrame):
            self._at += payload.seconds
        if self._clock is not None:
            await self._clock.sleep(max(0.0, self._at - self._clock.now()))
        else:
            await asyncio.sleep(0)
        self._seq += 1
        self.taken += 1
        return Event("processing.test.audio_frame", payload, "call", self._seq, self._at)


def frames(samples: Floats, rate: int = 16_000, ms: float = 20, channels: int = 1) -> list[AudioFrame]:
    """Floats in -1..1 (one row a sample, one column a channel when there are several) cut into frames."""
    pcm, size = to_pcm(samples.reshape(-1)), max(1, round(rate * ms / 1000)) * 2 * channels
    return [AudioFrame(pcm[at : at + size], rate, channels) for at in range(0, len(pcm), size)]


def silence(seconds: float, rate: int = 16_000) -> Floats:
    return np.zeros(round(seconds * rate), np.float32)


def noise(seconds: float, db: float, rate: int = 16_000, seed: int = 1) -> Floats:
    """White noise at ``db`` dB of full scale."""
    wave = np.random.default_rng(seed).standard_normal(round(seconds * rate)) * 10 ** (db / 20)
    return wave.astype(np.float32)


@cache
def speech(text: str, rate: int = 16_000) -> Floats:
    """``text`` spoken by the embedded synthesiser at half of full scale, the same audio every time."""
    from echostack.connectors.piper_voice import shared_voice

    voice = shared_voice("joe")
    samples = soxr.resample(voice.speak(text, speed=1.0, volume=0.5, variation=0.0), voice.rate, rate)
    return np.asarray(samples, np.float32)


def joined(*parts: Floats) -> Floats:
    return np.concatenate(parts).astype(np.float32)


async def outputs(stream: AsyncIterator[Any]) -> list[Payload]:
    """Every payload of a connector's stream, without its envelope."""
    return [item.payload if isinstance(item, Out) else item async for item in stream]
