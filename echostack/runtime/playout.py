"""The mouth of one audio egress: utterances in the order they were asked for, paced, frozen and cut to the sample.

Everything but the pacing coroutine ``run`` is synchronous, so a suspension or a cut is over when the call returns. The
pacer asks once more, in the same step as each write, whether what it writes is still of the present epoch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.core.payloads import AudioChunk, AudioChunkStream
from echostack.registry.sink import AudioSink
from echostack.runtime.farend import FarEnd, OnAudio, SinkFailed
from echostack.runtime.utterance import Utterance

_RELEASE = 256


@dataclass(frozen=True, slots=True)
class Heard:
    """An utterance is over: what was played of it. Times are the clock's seconds, ``event`` is its first piece's.

    ``seconds`` is how much of it sounded, which suspensions make less than ``end - start``.
    """

    utterance: str
    text: str
    cut: bool
    seconds: float
    start: float
    end: float
    event: Event


class Playout:
    """Plays what is pushed through ``sink``, never more than the sink's lead ahead of what is heard.

    on_started(utterance, event): its first sample begins to sound. on_finished(Heard): it was played to its end, or
    cut after a sample of it was heard; not called for one that was cut before. on_written(event, pcm, rate): a frame
    was handed to the sink (again, if a suspension took it back). on_played(event, pcm, rate): audio that was heard,
    every sample once and in order. All are called synchronously, from ``run`` or from the call that caused them.

    max_ahead: seconds of audio that may wait to be written before ``wait_room`` waits. patience: seconds without a
    further piece after which an utterance that has not said it is final is taken to have ended, so that a synthesiser
    that fails half way silences nobody else. is_current: whether an event may still be heard.
    """

    def __init__(
        self,
        sink: AudioSink,
        clock: Clock,
        *,
        on_started: Callable[[str, Event], None],
        on_finished: Callable[[Heard], None],
        on_written: OnAudio | None = None,
        on_played: OnAudio | None = None,
        is_current: Callable[[Event], bool] = lambda event: True,
        max_ahead: float = 5.0,
        patience: float = 10.0,
    ) -> None:
        self._clock = clock
        self._on_started, self._on_finished, self._on_written = on_started, on_finished, on_written
        self._is_current = is_current
        self._far = FarEnd(sink, clock, on_played)
        self._rate = self._far.format.rate
        self._max_ahead = self._far.format.samples_in(max_ahead)
        self._patience = patience
        self._utterances: deque[Utterance] = deque()
        self._open: dict[str, Utterance] = {}
        self._protected = 0
        self._buffered = 0
        self._chunks = 0
        self._suspended = False
        self._starved: tuple[Utterance, float] | None = None
        self._graves: list[deque[Utterance]] = []
        self._wake = asyncio.Event()
        self._roomy = asyncio.Event()
        self._idle = asyncio.Event()
        self._error: Exception | None = None
        self._closed = False
        self._running = False
        self.stale = 0
        """Pieces refused because their epoch was over when they came."""
        self._signal()

    def show_played(self, tell: OnAudio | None) -> None:
        """Tell ``tell`` of all audio that is heard from here on; None to tell nobody, which costs nothing."""
        self._far.on_played = tell

    # -- what is asked of it ------------------------------------------------------------------------------------

    @property
    def speaking(self) -> bool:
        """Whether anything has begun or waits and is not yet played to its end."""
        return bool(self._utterances)

    @property
    def interruptible_now(self) -> bool:
        """Whether the utterance at the mouth may be interrupted; True when there is none."""
        return not self._utterances or self._utterances[0].interruptible

    @property
    def suspended(self) -> bool:
        return self._suspended

    @property
    def broken(self) -> Exception | None:
        """The sink's error that ended it, None while all is well. ``run`` raises it."""
        return self._error

    @property
    def buffered(self) -> float:
        """Seconds of audio that wait to be written."""
        return max(0, self._buffered) / self._rate

    @property
    def room(self) -> float:
        """Seconds of audio that may still be pushed before the bound of ``max_ahead``."""
        return max(0, self._max_ahead - self._buffered) / self._rate

    async def wait_room(self) -> None:
        """Wait until a piece more may be pushed; at once when closed or broken.

        There is room past the bound while the utterance whose turn it is has nothing to write: its audio may stand
        behind that of others, and would never come. Cancelling changes nothing.
        """
        while not self._has_room:
            await self._roomy.wait()

    async def drained(self) -> None:
        """Wait until everything pushed has been played; at once when closed or broken."""
        while self._utterances:
            await self._idle.wait()

    # -- audio in -----------------------------------------------------------------------------------------------

    def push(self, event: Event) -> bool:
        """Queue one AudioChunk or AudioChunkStream; whether it was taken. Never waits.

        Refused, and counted in ``stale``, when its epoch is over, unless it goes on with an utterance that cannot be
        interrupted. UsageError when its format cannot be converted.
        """
        payload = event.payload
        if not isinstance(payload, AudioChunk | AudioChunkStream):
            raise TypeError(f"a playout takes audio chunks, not {type(payload).__name__}")
        if self._closed or self._error is not None:
            return False
        key = payload.utterance or f"@{event.node}"
        utterance = self._open.get(key)
        if utterance is not None and utterance.interruptible and not self._is_current(utterance.event):
            self._drop(lambda u: u is utterance)
            utterance = None
        if (utterance is None or utterance.interruptible) and not self._is_current(event):
            self.stale += 1
            return False
        if utterance is None:
            new = Utterance(key, payload.utterance, event, self._far.format)
            new.append(payload, event)
            self._buffered += new.left
            self._chunks += len(new.chunk_ends)
            self._protected += not new.interruptible
            self._open[key] = utterance = new
            self._utterances.append(new)
        else:
            left, chunks, was = utterance.left, len(utterance.chunk_ends), utterance.interruptible
            utterance.append(payload, event)
            self._buffered += utterance.left - left
            self._chunks += len(utterance.chunk_ends) - chunks
            self._protected += was and not utterance.interruptible
        if payload.final or isinstance(payload, AudioChunk):
            self._end(utterance)
        if self._starved is not None and self._starved[0] is utterance:
            self._starved = None
        self._signal()
        self._wake.set()
        return True

    def end(self, utterance: str) -> None:
        """No more audio of ``utterance`` comes, whatever its last piece said; unknown ones are none of our business."""
        found = self._open.get(utterance)
        if found is not None:
            self._end(found)
            self._signal()
            self._wake.set()

    # -- interruption -------------------------------------------------------------------------------------------

    def suspend(self) -> float:
        """Stop at the sample that is being played; seconds of the current utterance that were heard.

        What cannot be interrupted is played on, up to the first utterance that can. Whatever is pushed meanwhile waits.
        """
        self._settle()
        if not self._suspended:
            self._suspended = True
            self._starved = None
            if self._far.holds(lambda u: u.interruptible):
                self._take_back()
                self._write()  # what cannot be interrupted goes on without a gap
            self._signal()
        self._wake.set()
        current = self._utterances[0] if self._utterances else None
        return self._heard_samples(current) / self._rate if current is not None else 0.0

    def resume(self) -> None:
        """Go on from the very sample at which ``suspend`` stopped."""
        self._suspended = False
        self._wake.set()

    def cut(self) -> int:
        """Drop everything that can be interrupted, and end a suspension; how many pieces were not played to their end.

        Its cost does not depend on how much is dropped: the memory is released later, by ``run``.
        """
        self._settle()
        self._suspended = False
        dropped = self._drop(None if self._protected == 0 else lambda u: u.interruptible)
        if self._utterances:
            self._write()
        self._wake.set()
        return dropped

    def close(self) -> None:
        """Be silent at once and for good, and let ``run`` return. What was heard is reported. Idempotent."""
        if self._closed:
            return
        self._settle()
        self._closed = True
        self._suspended = False
        self._drop(None)
        self._graves.clear()
        self._signal()
        self._wake.set()

    def _take_back(self) -> None:
        unplayed = self._far.written
        try:
            self._far.take_back()
        except SinkFailed as failure:
            self._break(failure.error)
            return
        self._buffered += unplayed - self._far.written
        self._settle()

    def _drop(self, which: Callable[[Utterance], bool] | None) -> int:
        """Drop such utterances, or all; only the first of all can have been heard."""
        if self._far.holds(which or (lambda u: True)):
            self._take_back()
        first = self._utterances[0] if self._utterances else None
        if first is not None and which is not None and not which(first):
            first = None
        if which is None:
            victims, self._utterances, self._open = self._utterances, deque(), {}
            dropped, self._chunks, self._buffered, self._protected = self._chunks, 0, 0, 0
            if first is not None:
                dropped -= len(first.chunk_ends) - first.unplayed_chunks()
        else:
            victims = deque(u for u in self._utterances if which(u))
            self._utterances = deque(u for u in self._utterances if not which(u))
            self._open = {k: u for k, u in self._open.items() if not which(u)}
            dropped = sum(u.unplayed_chunks() for u in victims)
            self._chunks -= sum(len(u.chunk_ends) for u in victims)
            self._buffered -= sum(u.left for u in victims)
            self._protected -= sum(not u.interruptible for u in victims)
        self._starved = None
        if victims:
            self._graves.append(victims)
        self._signal()
        if first is not None:
            self._report_cut(first)
        return dropped

    def _report_cut(self, utterance: Utterance) -> None:
        samples = self._heard_samples(utterance)
        if samples and utterance.start is not None:
            self._report(utterance, samples, self._far.end_of(utterance.start + samples), cut=True)

    def _report(self, utterance: Utterance, samples: int, end: float, *, cut: bool) -> None:
        began = utterance.began if utterance.began is not None else end
        heard = utterance.ledger.heard(samples)
        self._on_finished(Heard(utterance.id, heard, cut, samples / self._rate, began, end, utterance.event))

    def _heard_samples(self, utterance: Utterance) -> int:
        if utterance.start is None:
            return 0
        return min(max(0, self._far.played - utterance.start), utterance.written)

    # -- pacing -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Pace until ``close``. Raises the sink's error when it fails; everything waiting on the playout goes on then.

        Cancelling it stops the pacing and drops nothing.
        """
        if self._running:
            raise RuntimeError("this playout is being run already")
        self._running = True
        try:
            while not self._closed and self._error is None:
                self._wake.clear()
                self._step()
                if self._graves:
                    self._release()
                    await self._clock.sleep(0)
                else:
                    await self._pause()
            if self._error is not None:
                raise self._error
        finally:
            self._running = False

    def _step(self) -> None:
        if self._starved is not None and self._clock.now() >= self._starved[1] + self._patience:
            self._end(self._starved[0])
        self._settle()
        self._write()
        self._settle()

    def _settle(self) -> None:
        """Take note of what has been played by now, and tell what began and what ended with it."""
        if self._error is not None or self._closed:
            return
        try:
            played = self._far.advance()
        except SinkFailed as failure:
            self._break(failure.error)
            return
        while self._utterances:
            first = self._utterances[0]
            if first.start is None:
                if not first.complete:
                    break
                self._leave(first)  # it had no audio
                continue
            if first.began is None:
                first.began = self._far.time_of(first.start)
                if not first.started:
                    first.started = True
                    self._on_started(first.id, first.event)
                    continue  # the callback may have changed everything
            if not first.complete or played < first.start + first.written:
                break
            self._leave(first)
        self._signal()

    def _leave(self, utterance: Utterance) -> None:
        self._utterances.popleft()
        self._chunks -= len(utterance.chunk_ends)
        self._protected -= not utterance.interruptible
        end = self._clock.now() if utterance.start is None else self._far.end_of(utterance.start + utterance.written)
        self._report(utterance, utterance.written, end, cut=False)

    def _write(self) -> None:
        """Write frames while they keep within the lead. Nothing is written that is not current in this very step."""
        far = self._far
        while self._error is None and not self._closed and (room := far.room):
            utterance = self._next()
            if utterance is None:
                break
            if utterance.interruptible and not self._may_be_heard(utterance):
                self._drop(lambda u, stale=utterance: u is stale)  # type: ignore[misc]
                continue
            left = utterance.left
            taken = utterance.take(far.frame, room)
            if taken is None:
                self._buffered += utterance.left - left
                if utterance.complete:
                    continue
                if self._starved is None or self._starved[0] is not utterance:
                    self._starved = (utterance, self._clock.now())
                break
            pcm, event = taken
            try:
                far.write(utterance, pcm, event)
            except SinkFailed as failure:
                self._break(failure.error)
                return
            self._buffered += utterance.left - left
            if self._on_written is not None:
                self._on_written(event, pcm, self._rate)
        self._signal()

    def _next(self) -> Utterance | None:
        """The utterance whose turn it is to be written."""
        for utterance in self._utterances:
            if not utterance.complete:
                return None if self._suspended and utterance.interruptible else utterance
        return None

    def _may_be_heard(self, utterance: Utterance) -> bool:
        return self._is_current(utterance.event) and self._is_current(utterance.latest)

    async def _pause(self) -> None:
        """Wait until something is due or something was asked."""
        if self._wake.is_set() or self._closed or self._error is not None:
            return
        due = self._due()
        if due is None:
            await self._wake.wait()
            return
        timer = self._clock.call_later(due, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def _due(self) -> float | None:
        """Seconds until the next thing to do: a frame, the end of one, a beginning, or the end of patience.

        Always reckoned from places in the audio, never from the last wait, so nothing adds up over an hour.
        """
        far, waits = self._far, []
        if self._starved is not None:
            waits.append(max(0.0, self._starved[1] + self._patience - self._clock.now()))
        elif self._next() is not None:
            waits.append(far.wait_for(far.written + far.stride - far.lead))
        if far.next_end is not None:
            first = self._utterances[0] if self._utterances else None
            if far.watched:
                waits.append(far.wait_for(far.next_end))
            elif first is not None and first.start is not None and first.complete:
                waits.append(far.wait_for(first.start + first.written))
            if first is not None and first.start is not None and first.began is None:
                waits.append(far.wait_for(first.start))
        return min(waits) if waits else None

    # -- endings ------------------------------------------------------------------------------------------------

    @property
    def _has_room(self) -> bool:
        over = self._closed or self._error is not None
        return over or self._buffered < self._max_ahead or self._starved is not None

    def _signal(self) -> None:
        for condition, holds in ((self._roomy, self._has_room), (self._idle, not self._utterances)):
            if holds:
                condition.set()
            else:
                condition.clear()

    def _end(self, utterance: Utterance) -> None:
        utterance.end()
        if self._open.get(utterance.key) is utterance:
            del self._open[utterance.key]
        if self._starved is not None and self._starved[0] is utterance:
            self._starved = None

    def _break(self, error: Exception) -> None:
        """The sink failed: it is given nothing more, and nobody waits for it any longer."""
        self._error = error
        first = self._utterances[0] if self._utterances else None
        self._graves.append(self._utterances)
        self._utterances, self._open = deque(), {}
        self._chunks = self._buffered = self._protected = 0
        self._suspended = False
        self._starved = None
        if first is not None:
            self._report_cut(first)
        self._far.forget()
        self._signal()
        self._wake.set()

    def _release(self) -> None:
        """Free some of what was dropped; a long backlog at once would hold up everything else."""
        grave = self._graves[-1]
        pieces = _RELEASE
        while grave and pieces > 0:
            if grave[-1].release(pieces):
                grave.pop()
                pieces -= 8
            else:
                pieces = 0
        if not grave:
            self._graves.pop()
