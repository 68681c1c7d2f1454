"""The caller's end of a telephone line: audio in frames, at the pace of the call's clock, one position without gaps.

A frame leaves when a microphone would have given it: at the end of the time that it covers. While somebody speaks and
for half a second after, frames are short; then, as transports with discontinuous transmission do (RFC 3389, Opus DTX),
silence goes as one comfort frame every 400 ms. Whatever the length of a frame, the frames add up to the time.

Frames leave from a timer, not from a task: a call of ten minutes has some twenty thousand of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from echostack.core.clock import Clock
from echostack.core.payloads import AudioFrame
from echostack.simulation.speech import SILENCE, coded

TAIL = 0.5
"""Seconds after speech for which silence is sent in short frames."""
COMFORT = 0.4
"""Seconds of silence in one comfort frame."""

Piece = tuple[int, int]
"""A sample value and how many samples have it."""


class VoiceLine:
    """One line. ``send`` takes each frame synchronously. frame: seconds of audio in one; continuous: silence goes in
    such frames as well. Silence has the value of ``floor``, which background noise may raise."""

    __slots__ = (
        "_clock", "_continuous", "_dead", "_done", "_floor", "_frame", "_frame_sent", "_frames", "_loud_until", "_now",
        "_origin", "_position", "_rate", "_send", "_timer",
    )  # fmt: skip

    def __init__(
        self, clock: Clock, send: Callable[[AudioFrame], None], rate: int, *, frame: float, continuous: bool
    ) -> None:
        self._clock, self._now, self._send, self._rate = clock, clock.now, send, rate
        self._frame = max(1, round(rate * frame))
        self._continuous = continuous
        self._floor = SILENCE
        self._loud_until = 0.0  # short frames until then
        self._position = 0  # samples sent since `_origin`
        self._origin = clock.now()
        self._timer: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] | None = None
        self._frames: Iterator[tuple[bytes, str]] = iter(())
        self._frame_sent: AudioFrame | None = None
        self._dead = True

    # -- what the caller does ------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to carry silence, now."""
        self._origin, self._position = self._clock.now(), 0
        self._dead = False
        self._next_silence()

    def close(self) -> None:
        """Carry nothing any more; audio that was not yet a whole frame is lost, as on a line that is cut."""
        self._stop()
        self._dead = True
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def speak(self, pieces: list[Piece]) -> None:
        """Carry ``pieces`` from now on, and return at the end of the last. Cancelled, the rest is not said."""
        await self.carry(_frames(pieces, self._frame))

    async def carry(self, frames: Iterator[tuple[bytes, str]]) -> None:
        """The same with PCM that is cut into frames already, each with its track."""
        self._settle()
        self._frames = frames
        done = self._done = asyncio.get_running_loop().create_future()
        self._tick_speech(None, "")
        try:
            await done
        finally:
            self._done, self._frames = None, iter(())
            if not self._dead:
                self._settle()
                self._loud_until = self._clock.now() + TAIL
                self._next_silence()

    def noise(self, value: int) -> None:
        """From now on silence has ``value``; loud noise goes in short frames."""
        if not self._dead and self._done is None:
            self._settle()
            self._floor = value
            self._loud_until = max(self._loud_until, self._clock.now() + TAIL)
            self._next_silence()
        else:
            self._floor = value

    async def dead(self, seconds: float) -> None:
        """Carry nothing at all for ``seconds``."""
        self._settle()
        self._dead = True
        try:
            await self._clock.sleep(seconds)
        finally:
            self.open()

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _sent_until(self) -> float:
        return self._origin + self._position / self._rate

    def _put(self, pcm: bytes, track: str = "") -> None:
        self._position += len(pcm) // 2
        frame = self._frame_sent
        # Most frames are as the one before; coded audio of one value and length is one object.
        if frame is None or frame.pcm is not pcm or frame.track != track:
            frame = self._frame_sent = AudioFrame(pcm, self._rate, 1, track)
        self._send(frame)

    def _at(self, samples: int, call: Callable[..., None], *args: bytes | str | int | None) -> None:
        """Call when so many samples more than sent have passed. Counted from the origin, so that nothing drifts."""
        due = self._origin + (self._position + samples) / self._rate
        self._timer = self._clock.call_later(due - self._now(), call, *args)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        """Send what has passed of the frame that was under way, so that the next begins now."""
        self._stop()
        if self._dead:
            return
        passed = round((self._clock.now() - self._sent_until) * self._rate)
        if passed > 0:
            self._put(coded(self._floor, passed))

    def _tick_speech(self, pcm: bytes | None, track: str) -> None:
        if pcm is not None:
            self._put(pcm, track)
        following = next(self._frames, None)
        if following is None:
            self._timer = None
            if self._done is not None and not self._done.done():
                self._done.set_result(None)
            return
        self._at(len(following[0]) // 2, self._tick_speech, *following)

    def _next_silence(self) -> None:
        short = self._continuous or self._now() < self._loud_until or self._floor < SILENCE
        samples = self._frame if short else round(self._rate * COMFORT)
        self._at(samples, self._tick_silence, samples)

    def _tick_silence(self, samples: int) -> None:
        self._put(coded(self._floor, samples))
        self._next_silence()


def _frames(pieces: list[Piece], size: int) -> Iterator[tuple[bytes, str]]:
    """``pieces`` cut into frames of ``size`` samples, the last one as long as what is left."""
    held: list[Piece] = []
    room = size
    for value, count in pieces:
        while count:
            if not held and count >= size:
                pcm = coded(value, size)
                for _ in range(count // size):
                    yield pcm, ""
                count %= size
                continue
            taken = min(count, room)
            held.append((value, taken))
            count, room = count - taken, room - taken
            if not room:
                yield _joined(held), ""
                held, room = [], size
    if held:
        yield _joined(held), ""


def _joined(pieces: list[Piece]) -> bytes:
    if len(pieces) == 1:
        return coded(*pieces[0])
    return b"".join(coded(value, count) for value, count in pieces)
