"""One utterance on its way to a sink: pieces of speech go in as they are made, frames in the sink's format come out."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque

from echostack.core.audio import AudioFormat
from echostack.core.events import Event
from echostack.core.payloads import AudioChunk, AudioChunkStream
from echostack.runtime.ledger import Ledger
from echostack.runtime.resample import Resampler

SLICE_SECONDS = 0.1
"""How much audio is converted at once, unless more is wanted: a frame waits for no more than its own conversion, and
what is dropped was not converted in vain."""


class Utterance:
    """The audio, text and progress of one utterance; samples are the sink's.

    ``appended`` counts samples taken in (as they will be after conversion), ``written`` those handed to the sink and
    not taken back. ``start`` is the place of its first sample in what the sink plays, None while nothing is written.
    """

    __slots__ = (
        "_flushed", "_format", "_ready", "_ready_samples", "_resampler", "_segment", "_segment_from", "_segment_in",
        "_source", "appended", "began", "chunk_ends", "event", "final", "id", "interruptible", "key", "latest",
        "ledger", "start", "started", "written",
    )  # fmt: skip

    def __init__(self, key: str, utterance: str, event: Event, target: AudioFormat) -> None:
        self.key, self.id, self.event, self.latest = key, utterance, event, event
        self.interruptible = True
        self.final = False
        self.ledger = Ledger(target.rate)
        self.appended = 0
        self.written = 0
        self.start: int | None = None
        self.began: float | None = None
        self.started = False
        self.chunk_ends = array("q")
        self._format = target
        self._source: deque[tuple[memoryview, AudioFormat, Event]] = deque()
        self._ready: deque[tuple[memoryview, Event]] = deque()
        self._ready_samples = 0
        self._resampler: Resampler | None = None
        self._segment: AudioFormat | None = None
        self._segment_from = 0
        self._segment_in = 0
        self._flushed = False

    @property
    def left(self) -> int:
        """Samples not yet written."""
        return self.appended - self.written

    @property
    def complete(self) -> bool:
        """Whether everything it will ever have has been written."""
        return self._flushed and self._ready_samples == 0

    def append(self, payload: AudioChunk | AudioChunkStream, event: Event) -> None:
        """Take in the next piece. UsageError when its format cannot be converted; then nothing was taken in."""
        source = payload.format
        if source != self._segment:
            Resampler(source, self._format)  # refuses what cannot be converted, while the piece's maker can be told
            self._segment, self._segment_from, self._segment_in = source, self.appended, 0
        count = source.samples(payload.pcm)
        self._segment_in += count
        end = self._segment_from + (2 * self._segment_in * self._format.rate + source.rate) // (2 * source.rate)
        self.ledger.append(payload.text, payload.words, end - self.appended)
        self.appended = end
        self.latest = event
        self.interruptible = self.interruptible and payload.interruptible
        if count:
            self._source.append((memoryview(payload.pcm)[: count * source.bytes_per_sample], source, event))
            self.chunk_ends.append(end)

    def end(self) -> None:
        """No more pieces come."""
        self.final = True
        self.ledger.close(self.appended)

    def take(self, frame: int, most: int = 0) -> tuple[bytes, Event] | None:
        """The next ``frame`` samples with the event they came with; fewer only at the end of the utterance.

        ``most``: as many whole frames of that event as are there, up to so many samples (a multiple of ``frame``).
        None when there is no whole frame yet, or when it is complete.
        """
        most = max(most, frame)
        while self._ready_samples < most and self._source:
            self._convert(max(SLICE_SECONDS, most / self._format.rate))
        if self.final and not self._source and not self._flushed:
            self._flush()
        ready = self._ready_samples
        if ready < frame and not (self._flushed and ready):
            return None
        event = self._ready[0][1]
        wanted = min(frame, ready) if most == frame else self._whole_frames(frame, min(most, ready))
        need = wanted * self._format.bytes_per_sample
        parts: list[memoryview] = []
        while need:
            view, its = self._ready.popleft()
            if len(view) > need:
                self._ready.appendleft((view[need:], its))
                view = view[:need]
            parts.append(view)
            need -= len(view)
        self._ready_samples -= wanted
        self.written += wanted
        return (_bytes(parts[0]) if len(parts) == 1 else b"".join(parts)), event

    def _whole_frames(self, frame: int, most: int) -> int:
        """How many samples the frames hold that begin in the audio of the first event, up to ``most``."""
        first, size = self._ready[0][1], 0
        for view, event in self._ready:
            if event is not first:
                break
            size += len(view) // self._format.bytes_per_sample
        whole = -(-size // frame) * frame
        if whole > most:
            # What does not fill a frame waits for more, unless it is the end.
            whole = most if self._flushed and most == self._ready_samples else most - most % frame
        return whole

    def put_back(self, pcm: memoryview, event: Event) -> None:
        """Return what was taken last and not played; give back the newest first."""
        samples = len(pcm) // self._format.bytes_per_sample
        self._ready.appendleft((pcm, event))
        self._ready_samples += samples
        self.written -= samples
        if self.written == 0:
            self.start = self.began = None

    def unplayed_chunks(self) -> int:
        """How many pieces have a sample beyond those written."""
        return len(self.chunk_ends) - bisect_right(self.chunk_ends, self.written)

    def release(self, pieces: int) -> bool:
        """Free up to ``pieces`` pieces of a dropped utterance; whether none is left."""
        for queue in (self._source, self._ready):
            while queue and pieces:
                queue.pop()
                pieces -= 1
        return not self._source and not self._ready

    def _convert(self, seconds: float) -> None:
        view, source, event = self._source.popleft()
        if source == self._format:
            if self._resampler is not None:
                self._add(self._resampler.flush(), event)
                self._resampler = None
            self._ready.append((view, event))
            self._ready_samples += len(view) // source.bytes_per_sample
            return
        slice_bytes = source.samples_in(seconds) * source.bytes_per_sample
        if len(view) > slice_bytes:
            self._source.appendleft((view[slice_bytes:], source, event))
            view = view[:slice_bytes]
        if self._resampler is None or self._resampler.source != source:
            if self._resampler is not None:
                self._add(self._resampler.flush(), event)
            self._resampler = Resampler(source, self._format)
        self._add(self._resampler.push(view), event)

    def _flush(self) -> None:
        if self._resampler is not None:
            self._add(self._resampler.flush(), self.latest)
        self._flushed = True
        # The filter's rounding decides the last sample, so only now is the length exact.
        self.appended = self.written + self._ready_samples
        self.ledger.close(self.appended)

    def _add(self, pcm: bytes, event: Event) -> None:
        if pcm:
            self._ready.append((memoryview(pcm), event))
            self._ready_samples += len(pcm) // self._format.bytes_per_sample


def _bytes(view: memoryview) -> bytes:
    """What ``view`` shows: its bytes themselves, not a copy of them, when it shows all of them."""
    whole = view.obj
    return whole if isinstance(whole, bytes) and len(whole) == len(view) else bytes(view)
