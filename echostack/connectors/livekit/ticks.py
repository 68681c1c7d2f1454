"""How far a LiveKit audio source has played what it was given: to the block of ten milliseconds, reckoned, not asked.

The SDK's source (webrtc-sys/src/audio_track.cpp) keeps what it is given in a buffer, from which a thread of its own
takes ten milliseconds each ten milliseconds and hands them to the encoder; it takes silence when there is less than
that. The thread's ticks are evenly spaced, and nobody tells of them, but for one sign: giving audio that leaves more
in the buffer than the source's queue size is confirmed at the tick at which no more than the queue size is left. Such a
confirmation says both when the ticks are, and how much has been played; in between they are counted by the clock.
"""

from __future__ import annotations

from collections import deque
from typing import Final

TICK: Final = 0.01
_KEPT: Final = 8  # confirmations that the phase is found from: a few tenths of a second of speech
_FORGET: Final = 10.0  # seconds after which the ticks may have drifted from where they were
_EARLY: Final = 1e-4  # how much earlier than known a tick may turn out to be; everything else is our own lateness
_DRIFT: Final = 1e-4  # seconds a second: more than the ticks drift against the clock
_LANDING: Final = 0.001  # what it may take until audio given has reached the buffer
_LATE: Final = 5e-4  # what the thread may take from its tick until the buffer has changed
_HAIR: Final = 1e-6


class Ticks:
    """The reckoning of one source whose queue size is ``kept`` blocks. Times are the clock's seconds.

    What it says to have been played has been, as far as the thread keeps time: where it cannot know it says the less,
    so that what is cleared and written again may repeat ten milliseconds, and leaves out none.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._blocks: deque[int] = deque()  # samples of speech in each block that the source holds
        self._phases: deque[float] = deque(maxlen=_KEPT)
        self._phase = 0.0
        self._learned = -_FORGET
        self._landing = False  # whether what was given last found the buffer empty
        self._over = False  # whether what was given last is confirmed by a tick
        self._counted = 0.0  # the last tick that was counted: rounded to, so that a tick that shifts counts once
        self.played = 0
        """Samples of speech that were played; padding and what was cleared left out."""

    @property
    def held(self) -> int:
        """Blocks that the source still holds, as of the last call."""
        return len(self._blocks)

    def given(self, blocks: list[int], now: float) -> None:
        """The source is given blocks with so many samples of speech each; a padded one has less than it holds."""
        self.advance(now)
        self._landing = not self._blocks
        if self._landing:
            self._counted = self._tick_before(now + _LANDING)
        self._blocks.extend(blocks)
        self._over = len(self._blocks) > self._kept

    def landed(self, now: float) -> None:
        """What was given last is in the buffer about now: ticks before that have found nothing, if it was empty."""
        if self._landing:
            self._landing = False
            self._counted = max(self._counted, self._tick_before(now + _LANDING))

    def confirmed(self, now: float, waited: float) -> None:
        """What was given last has been confirmed, ``waited`` seconds after it was given: the queue size is left."""
        if self._over and waited > 2 * _LANDING:
            self._learn(now)  # only a tick can have confirmed it
        self.advance(now)
        if len(self._blocks) > self._kept:
            self._counted = max(self._counted, self._tick_before(now + _LANDING / 2))
        while len(self._blocks) > self._kept:
            self.played += self._blocks.popleft()

    def cleared(self, now: float) -> None:
        """What the source held is gone, unplayed."""
        self.advance(now)
        self._blocks.clear()

    def advance(self, now: float) -> int:
        """Count the ticks up to ``now``; the samples of speech played by then."""
        tick = self._tick_before(now - _LATE)
        ticks = round((tick - self._counted) / TICK)
        if ticks > 0:
            for _ in range(min(ticks, len(self._blocks))):
                self.played += self._blocks.popleft()
            self._counted = tick
        return self.played

    def seconds_until(self, held: int, now: float) -> float:
        """How long until no more than ``held`` blocks are left; 0 when that is so."""
        self.advance(now)
        over = len(self._blocks) - held
        return 0.0 if over <= 0 else max(0.0, self._tick_before(now) + over * TICK - now)

    def _tick_before(self, now: float) -> float:
        return self._phase + (now - self._phase + _HAIR) // TICK * TICK

    def _learn(self, now: float) -> None:
        """A confirmation reaches us some time after its tick, so the earliest ones tell where the ticks are."""
        if now - self._learned > _FORGET:
            self._phases.clear()
            self._phases.append(now)
        else:
            early = _EARLY + _DRIFT * (now - self._learned)
            self._phases.append(self._phase + (now - self._phase + early) % TICK - early)
        self._phase, self._learned = min(self._phases), now
