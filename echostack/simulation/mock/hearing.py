"""How simulated listeners hear: where each stretch of the caller's audio lies on the call's clock, and how long
silence has lasted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from echostack.core.clock import Clock
from echostack.core.payloads import AudioFrame
from echostack.simulation.mock.coded import Run, read_frame
from echostack.simulation.speech import LOUD_NOISE, SILENCE, SpeechCode

HAIR = 1e-6
"""Seconds by which times that ought to be equal may differ after some sums."""

_FRAME_ON_ITS_WAY = 0.06
_AFTER_IT = 1e-7
_SLACK = 0.04

Stretch = tuple[int, float, float]
"""A sample value, and from when to when it sounded, in session seconds."""


class HeardLine:
    """The caller's audio as it arrives, frame by frame.

    A frame arrives when its last sample was spoken, so its event's time is where it ends. Frames may leave gaps. Audio
    that arrives earlier than it can have been spoken follows what came before it: frames that were held up and come
    all at once, or a line that is faster than real time. Costs about half a microsecond for a frame like the one
    before it.
    """

    __slots__ = ("_channels", "_frame", "_held_up", "_pcm", "_rate", "_runs", "_speech", "_track", "end", "seconds")

    def __init__(self, speech: SpeechCode) -> None:
        self._speech = speech
        self.end = 0.0
        """Up to when audio was heard."""
        self.seconds = 0.0
        """How long the last frame was."""
        self._held_up = 0.0
        self._frame: AudioFrame | None = None  # the last one, which a line of the simulator sends again and again
        self._pcm, self._rate, self._channels, self._track = b"", 0, 0, ""
        self._runs: tuple[Run, ...] = ()

    def take(self, frame: AudioFrame, time: float) -> Sequence[Stretch]:
        """What ``frame``, which arrived at ``time``, holds, in order."""
        if frame is not self._frame:
            self._frame = frame
            if (
                frame.pcm != self._pcm
                or frame.rate != self._rate
                or frame.track != self._track
                or frame.channels != self._channels
            ):
                self._decode(frame)
        start = time - self.seconds
        if start < self.end - HAIR:
            start = self._early(start)
            time = start + self.seconds
        elif start > self.end + HAIR:
            self._held_up = start - self.end
        self.end = time
        held = self._runs
        if len(held) == 1:
            return ((held[0][0], start, time),)
        stretches, at, rate = [], 0, self._rate
        for value, count in held:
            stretches.append((value, start + at / rate, start + (at + count) / rate))
            at += count
        return stretches

    def _decode(self, frame: AudioFrame) -> None:
        self._pcm, self._rate, self._channels, self._track = frame.pcm, frame.rate, frame.channels, frame.track
        self.seconds = frame.seconds
        # A frame that several nodes hear is one object, and is read once.
        last = self._speech.read_last
        if last is None or last[0] is not frame:
            last = self._speech.read_last = frame, read_frame(frame, self._speech)
        self._runs = last[1]

    def _early(self, start: float) -> float:
        """Where a frame begins that cannot have been spoken where its arrival puts it."""
        behind = self.end - start
        if behind <= self._held_up + HAIR:
            # The gap before it was no gap: the frames after it were held up, and catch up now.
            self._held_up -= behind
            return start
        return self.end


class Silence:
    """Waits for ``seconds`` without voice since ``since``. Who hears the audio asks ``lasts``; where no audio comes, as
    from a line that sends nothing in silence, the clock calls ``over`` at that very instant."""

    __slots__ = ("_clock", "_line", "_over", "_timer", "seconds", "since")

    def __init__(self, line: HeardLine, clock: Clock, seconds: float, over: Callable[[], None]) -> None:
        self._line, self._clock, self._over = line, clock, over
        self.seconds = seconds
        self.since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def lasts(self, until: float) -> bool:
        """Whether a silence that was heard up to ``until`` has lasted long enough."""
        return until - self.since >= self.seconds - HAIR

    def watch(self) -> None:
        """From now on call ``over`` when it is time. ``since`` may move on meanwhile."""
        if self._timer is None:
            self._arm(self.since + self.seconds - self._clock.now())

    def stop(self) -> None:
        """Do not call ``over`` any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, wait: float) -> None:
        self._timer = self._clock.call_later(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        now, line = self._clock.now(), self._line
        wait = self.since + self.seconds - now
        if wait > HAIR:
            self._arm(wait)
            return
        # A frame that is being spoken at this instant may hold voice: it arrives before anything is decided.
        arrives = line.end + min(line.seconds, _FRAME_ON_ITS_WAY) - now
        if arrives > -HAIR and line.end < self.since + self.seconds - HAIR:
            self._arm(max(0.0, arrives) + _AFTER_IT)
            return
        self._over()


@dataclass(frozen=True, slots=True)
class Edge:
    """Voice began, or ended, at ``at``; ``began_at`` is where it had begun. Session seconds."""

    began: bool
    at: float
    began_at: float


class VoiceGate:
    """Voice activity: opens after ``start`` seconds of voice (with no more than 40 ms of silence between), closes after
    ``hangover`` seconds without. Clicks shorter than ``start`` do not open it."""

    __slots__ = ("_began", "_silence", "_start", "_tell", "_voiced", "open")

    def __init__(
        self, line: HeardLine, clock: Clock, start: float, hangover: float, tell: Callable[[Edge], None]
    ) -> None:
        self._start, self._tell = start, tell
        self._silence = Silence(line, clock, hangover, self._close)
        self._began = 0.0
        self._voiced = 0.0
        self.open = False

    def hear(self, stretch: Stretch) -> Edge | None:
        """The edge that this stretch of audio shows. One that the clock shows goes to ``tell``."""
        value, start, end = stretch
        silence = self._silence
        if value > SILENCE or value <= LOUD_NOISE:
            silence.since = end
            if self.open:
                return None
            if end - self._began - self._voiced - (end - start) > _SLACK:
                self._began, self._voiced = start, 0.0
            self._voiced += end - start
            if self._voiced < self._start - HAIR:
                return None
            self.open = True
            silence.watch()
            return Edge(True, self._began, self._began)
        if self.open and silence.lasts(end):
            return self.end()
        return None

    def end(self) -> Edge | None:
        """No more audio comes, or none that matters: the end of the voice that was going on, if any."""
        self._silence.stop()
        if not self.open:
            return None
        self.open, self._voiced = False, 0.0
        return Edge(False, self._silence.since, self._began)

    def _close(self) -> None:
        edge = self.end()
        if edge is not None:
            self._tell(edge)
