"""Hearing the tracks of a LiveKit room: one SDK stream and one task a track, and WebRTC's audio processing for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from echostack.core.clock import Clock

_CLOSE_SECONDS: Final = 1.0
_KEPT: Final = 500  # frames that the SDK may hold for us: far more than a loop is ever late
_PIECES: Final = 100  # a second: the audio processing takes 10 ms at a time

OnFrame = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Processing:
    """What WebRTC's audio processing does to a voice."""

    echo_cancellation: bool = False
    noise_suppression: bool = False
    gain_control: bool = False

    def __bool__(self) -> bool:
        return self.echo_cancellation or self.noise_suppression or self.gain_control


class Cleaner:
    """WebRTC's audio processing of one voice at ``rate`` Hz: about 0.1 ms of work for 10 ms of audio.

    For echo cancellation ``plays`` is given what the agent plays, as it is played; ``delay_ms`` is a first guess of how
    long it takes to come back, which the canceller then finds out by itself.
    """

    def __init__(self, rate: int, processing: Processing, delay_ms: int) -> None:
        from livekit import rtc

        self._frame = rtc.AudioFrame
        self._rate, self._size = rate, rate // _PIECES
        self._echo, self._delay = processing.echo_cancellation, delay_ms
        self._module: rtc.AudioProcessingModule | None = rtc.AudioProcessingModule(
            echo_cancellation=processing.echo_cancellation,
            noise_suppression=processing.noise_suppression,
            auto_gain_control=processing.gain_control,
            high_pass_filter=True,
        )

    def clean(self, pcm: bytes) -> bytes:
        """The same number of samples, processed; whole tens of milliseconds."""
        if self._module is None:
            return pcm
        if self._echo:
            self._module.set_stream_delay_ms(self._delay)
        done = bytearray()
        for piece in self._pieces(pcm):
            self._module.process_stream(piece)
            done += piece.data.cast("B")
        return bytes(done)

    def plays(self, pcm: bytes) -> None:
        """What the agent plays now; whole tens of milliseconds."""
        if self._module is not None:
            for piece in self._pieces(pcm):
                self._module.process_reverse_stream(piece)

    def close(self) -> None:
        """Let go of the module; audio passes untouched from here on."""
        self._module = None

    def _pieces(self, pcm: bytes) -> list[Any]:
        size = 2 * self._size
        return [
            self._frame(bytearray(pcm[at : at + size]), self._rate, 1, self._size)
            for at in range(0, len(pcm) - size + 1, size)
        ]


class Ears:
    """Owns the streams of the tracks that are listened to, by the track's id.

    ``error`` is what ended one of them unexpectedly; ``on_change`` is called when a frame has been handed over or
    something has ended.
    """

    def __init__(self, clock: Clock, rate: int, on_change: Callable[[], None]) -> None:
        self._clock, self._rate, self._on_change = clock, rate, on_change
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: list[asyncio.Task[None]] = []
        self.error: BaseException | None = None

    @property
    def listening(self) -> tuple[str, ...]:
        return tuple(self._tasks)

    def start(self, sid: str, track: Any, frame_ms: int, on_frame: OnFrame) -> None:
        """Hear ``track`` in frames of ``frame_ms`` milliseconds at the rate of these ears, mono."""
        work = self._hear(track, frame_ms, on_frame)
        task = asyncio.get_running_loop().create_task(work, name=f"livekit track {sid}")
        task.add_done_callback(self._done)
        self._tasks[sid] = task

    def stop(self, sid: str) -> None:
        """Hear the track no more, from this instant."""
        task = self._tasks.pop(sid, None)
        if task is not None:
            task.cancel()
            self._leaving = [t for t in self._leaving if not t.done()]
            self._leaving.append(task)

    async def close(self) -> None:
        """Stop all; bounded."""
        for sid in self.listening:
            self.stop(sid)
        leaving, self._leaving = self._leaving, []
        if leaving:
            await asyncio.wait(leaving, timeout=_CLOSE_SECONDS)

    async def _hear(self, track: Any, frame_ms: int, on_frame: OnFrame) -> None:
        from livekit import rtc

        stream = rtc.AudioStream.from_track(
            track=track, sample_rate=self._rate, num_channels=1, frame_size_ms=frame_ms, capacity=_KEPT
        )
        try:
            async for event in stream:
                on_frame(bytes(event.frame.data.cast("B")))
                self._on_change()
        finally:
            await stream.aclose()

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self.error is None:
            self.error = task.exception()
        self._on_change()
