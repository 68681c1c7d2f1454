"""What the far end of a sink holds and has played, to the sample.

Places are counted in samples played since the first write; what was cleared is counted out, so that a place never
stands for two samples. The far end says itself how far it is (``AudioSink.played``), or else the clock does: it plays
what it was given without a pause, and stands still when it has nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.registry.sink import AudioSink
from echostack.runtime.utterance import Utterance

FRAME_SECONDS = 0.02
_POLL_SECONDS = 0.01
_HAIR = 1e-3  # of a sample: more than float arithmetic on the clock is ever off by

OnAudio = Callable[[Event, bytes, int], None]


class SinkFailed(Exception):
    """A call into the sink raised ``error``; nothing else raises this."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True)
class _Frame:
    start: int
    end: int
    pcm: bytes
    utterance: Utterance
    event: Event


class FarEnd:
    """One sink's far end. Nothing here waits; an error of the sink comes out as SinkFailed."""

    def __init__(self, sink: AudioSink, clock: Clock, on_played: OnAudio | None) -> None:
        self._sink, self._clock, self.on_played = sink, clock, on_played
        self.format = sink.format
        self.frame = max(1, self.format.samples_in(FRAME_SECONDS))
        self.lead = max(self.format.samples_in(sink.lead), self.frame)
        stride = min(self.format.samples_in(sink.stride), self.lead // 2)
        self.stride = max(stride - stride % self.frame, self.frame)
        """How much is written at once, and so how long the pacer sleeps between two writes, in samples."""
        self.written = 0
        self.played = 0
        """The place that playing had reached when ``advance`` last looked."""
        self._frames: deque[_Frame] = deque()
        self._anchor_time = 0.0
        self._anchor_place = 0
        self._stood_since = 0.0  # when playing had reached the anchor's place, before it went on there
        self._told = 0
        self._reports = False

    @property
    def unplayed(self) -> int:
        return self.written - self.played

    @property
    def room(self) -> int:
        """Samples of the next write that keep within the lead: whole frames, a stride of them at most; 0 for none."""
        left = self.lead - self.written + self.played
        return 0 if left < self.frame else min(left - left % self.frame, self.stride)

    @property
    def next_end(self) -> int | None:
        """Where the frame that is being played ends; None when none is."""
        return self._frames[0].end if self._frames else None

    @property
    def watched(self) -> bool:
        """Whether the end of every frame matters: somebody is told of it, or the far end alone knows when it is."""
        return self._reports or self.on_played is not None

    def holds(self, which: Callable[[Utterance], bool]) -> bool:
        """Whether an unplayed frame belongs to such an utterance."""
        return any(which(f.utterance) for f in self._frames)

    def advance(self) -> int:
        """Look how far playing is; report frames that have been played whole."""
        try:
            reported = self._sink.played()
        except Exception as error:
            raise SinkFailed(error) from error
        self._reports = reported is not None
        if reported is None:
            since = self._clock.now() - self._anchor_time
            reported = self._anchor_place + int(since * self.format.rate + _HAIR)
        self.played = max(self.played, min(reported, self.written))
        while self._frames and self._frames[0].end <= self.played:
            self._tell(self._frames.popleft(), self.played)
        return self.played

    def write(self, utterance: Utterance, pcm: bytes, event: Event) -> None:
        """Hand over the next frame or frames; whatever was written before it is played before it."""
        try:
            self._sink.write(pcm)
        except Exception as error:
            raise SinkFailed(error) from error
        if self.played >= self.written:
            # Nothing was being played, so this frame begins to sound now.
            self._stood_since = self.time_of(self.written)
            self._anchor_time, self._anchor_place = self._clock.now(), self.written
        start = self.written
        self.written += self.format.samples(pcm)
        if utterance.start is None:
            utterance.start = start
        self._frames.append(_Frame(start, self.written, pcm, utterance, event))

    def take_back(self) -> None:
        """Clear the far end and return every unplayed sample to its utterance."""
        try:
            self._sink.clear()
        except Exception as error:
            raise SinkFailed(error) from error
        self.advance()
        frames, self._frames = self._frames, deque()
        self.written = self.played
        for frame in reversed(frames):
            played = max(0, self.played - frame.start)
            frame.utterance.put_back(memoryview(frame.pcm)[played * self.format.bytes_per_sample :], frame.event)
        if frames:
            self._tell(frames[0], self.played)

    def forget(self) -> None:
        """Drop what is unplayed without touching a sink that has failed."""
        self._frames.clear()
        self.written = self.played

    def time_of(self, place: int) -> float:
        """When playing reached, or will reach, ``place``: exact by the clock, now when the far end reports itself."""
        if self._reports:
            return self._clock.now()
        return self._anchor_time + (place - self._anchor_place) / self.format.rate

    def end_of(self, place: int) -> float:
        """When the last sample before ``place`` was over; where playing stood still there, before it went on."""
        if self._reports or place != self._anchor_place:
            return self.time_of(place)
        return self._stood_since

    def wait_for(self, place: int) -> float:
        """Seconds until playing reaches ``place``; for a far end that reports itself, until it is worth asking."""
        if self._reports:
            return max((place - self.played) / self.format.rate, _POLL_SECONDS)
        return max(self.time_of(place) - self._clock.now(), 0.0)

    def _tell(self, frame: _Frame, upto: int) -> None:
        start, end = max(frame.start, self._told), min(frame.end, upto)
        if end > start:
            self._told = end
            if self.on_played is not None:
                size = self.format.bytes_per_sample
                pcm = frame.pcm[(start - frame.start) * size : (end - frame.start) * size]
                self.on_played(frame.event, pcm, self.format.rate)
