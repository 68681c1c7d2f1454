"""What the tests of the playout share: speech made of numbered samples, and a playout with its records."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock
from echostack.core.events import Event
from echostack.core.payloads import AudioChunk, AudioChunkStream, Word
from echostack.runtime.playout import Heard, Playout
from tests.runtime.sinks import MemorySink

RATE = 16_000


def numbered(first: int, samples: int) -> bytes:
    """PCM whose samples count up from ``first``, so that every sample tells where it belongs."""
    return ((np.arange(first, first + samples) % 60_000) - 30_000).astype("<i2").tobytes()


class Stage:
    """A playout on a memory sink, with everything it told."""

    def __init__(self, sink: MemorySink, clock: LoopClock, **options: Any) -> None:
        self.sink, self.clock = sink, clock
        self.epoch = 0
        self.started: list[tuple[float, str]] = []
        self.finished: list[Heard] = []
        self.written: list[bytes] = []
        self.played = bytearray()
        self._seq = itertools.count(1)
        self.playout = Playout(
            sink,
            clock,
            on_started=lambda utterance, event: self.started.append((clock.now(), utterance)),
            on_finished=self.finished.append,
            on_written=lambda event, pcm, rate: self.written.append(pcm),
            on_played=lambda event, pcm, rate: self.played.extend(pcm),
            is_current=lambda event: event.epoch == self.epoch,
            **options,
        )

    def event(self, payload: AudioChunk | AudioChunkStream, epoch: int | None = None) -> Event:
        number = next(self._seq)
        name = f"processing.test.{payload.__kind__.name}"
        return Event(name, payload, "s", number, self.clock.now(), 1, self.epoch if epoch is None else epoch)

    def say(
        self,
        utterance: str,
        pcm: bytes,
        text: str = "",
        *,
        final: bool = True,
        interruptible: bool = True,
        words: tuple[Word, ...] = (),
        format: AudioFormat = AudioFormat(RATE),
        epoch: int | None = None,
    ) -> bool:
        payload = AudioChunkStream(pcm, format.rate, format.channels, utterance, text, words, final, interruptible)
        return self.playout.push(self.event(payload, epoch))


@asynccontextmanager
async def stage(
    format: AudioFormat = AudioFormat(RATE),
    *,
    lead: float = 0.1,
    reports: bool = False,
    speed: float = 1.0,
    stride: float = 0.02,
    **options: Any,
) -> AsyncIterator[Stage]:
    """A playout whose pacer runs until the block ends; its errors come out at the end."""
    clock = LoopClock()
    sink = MemorySink(clock, format, lead=lead, reports=reports, speed=speed, stride=stride)
    made = Stage(sink, clock, **options)
    pacer = asyncio.get_running_loop().create_task(made.playout.run(), name="pacer")
    try:
        yield made
    finally:
        made.playout.close()
        await pacer
