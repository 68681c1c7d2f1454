"""What a caller says and hears as samples: WAV files, the frames of a track in their places, what of them is audible.

All of it is mono of 16 bits at ``RATE``; times are seconds.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soxr

from echostack.connectors.pcm import to_pcm
from echostack.connectors.wav import WavReader

RATE: Final = 48_000
"""Hz of what a caller says and of what it hears."""

AUDIBLE: Final = 100
"""A sample at or past this (of 32,768) can be heard; about -50 dBFS."""

_SLACK: Final = 0.25  # seconds by which frames may come late before there is a hole in what was heard

_MOST_SECONDS: Final = 600  # of a recording that a caller plays

Pcm = npt.NDArray[np.int16]


class Ear:
    """What is heard of one track. ``on_frame`` is given each frame as it comes, and gives it back by ``keep``."""

    def __init__(self, stream: Any, on_frame: Callable[[Ear, Pcm], None]) -> None:
        self._stream, self._on_frame = stream, on_frame
        self.task: asyncio.Task[None] | None = None
        self.pieces: list[tuple[int, Pcm]] = []
        self.end = 0  # samples since the join
        self.audible = 0  # samples in frames that were heard
        self.last: float | None = None  # when the last audible frame came

    async def listen(self) -> None:
        try:
            async for event in self._stream:
                self._on_frame(self, np.frombuffer(event.frame.data, np.int16).copy())
        finally:
            await self.close()

    def keep(self, pcm: Pcm, now: float, since: float, *, kept: bool) -> None:
        """A frame that has come ``now``, ``since`` seconds after the join; only looked at unless it is ``kept``."""
        at = round(since * RATE) - len(pcm)
        late = at - self.end
        # Frames follow one another as they were played; only a hole longer than jitter shifts what comes after it.
        at = self.end if self.pieces and -_SLACK * RATE < late < _SLACK * RATE else max(at, self.end, 0)
        if kept:
            self.pieces.append((at, pcm))
        self.end = at + len(pcm)
        if (np.abs(pcm.astype(np.int32)) >= AUDIBLE).any():
            self.audible += len(pcm)
            self.last = now

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()


def mixed(ears: Iterable[Ear]) -> Pcm:
    """What all of them heard, from the join on."""
    there = list(ears)
    whole = np.zeros(max((e.end for e in there), default=0), np.int32)
    for ear in there:
        for at, pcm in ear.pieces:
            whole[at : at + len(pcm)] += pcm
    return np.clip(whole, -32_768, 32_767).astype(np.int16)


def audible(pcm: Pcm, gap: float) -> list[tuple[float, float]]:
    """From when until when anything can be heard; pauses under ``gap`` seconds do not part."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) >= AUDIBLE)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > gap * RATE)
    starts = [int(loud[0]), *(int(loud[i + 1]) for i in breaks)]
    ends = [*(int(loud[i]) for i in breaks), int(loud[-1])]
    return [(a / RATE, b / RATE) for a, b in zip(starts, ends, strict=True)]


def read_wav(path: Path) -> tuple[Pcm, int]:
    """A WAV file as one channel, ten minutes of it at most, and its rate. ConnectorFailure where it cannot be read."""
    reader = WavReader(path)
    try:
        reader.open()
        return np.frombuffer(to_pcm(reader.read(reader.rate * _MOST_SECONDS)), np.int16), reader.rate
    finally:
        reader.close()


def write_wav(path: Path, pcm: Pcm) -> None:
    """Samples as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())


def at_rate(pcm: Pcm, rate: int) -> Pcm:
    """Samples of ``rate`` Hz at 48 kHz."""
    return pcm if rate == RATE or not len(pcm) else np.asarray(soxr.resample(pcm, rate, RATE), np.int16)
