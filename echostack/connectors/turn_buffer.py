"""The audio of the caller's turn as it grows, and when a piece of it is ready to be recognised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from echostack.connectors.speech_gate import BLOCK_MS, SpeechGate
from echostack.core.audio import BYTES_PER_SAMPLE

_LEAD_MS = 300  # audio kept from before speech showed: soft first sounds lie there
_TAIL_MS = 160  # silence left after the last word, without which the model guesses at it
_CUT_SECONDS = 3.0  # a forced cut falls on the quietest place of the last seconds


class Piece(Enum):
    """What a take is: a look at a turn that goes on, a part of it that is cut off for good, or its end."""

    LOOK = "look"
    SEGMENT = "segment"
    TURN = "turn"


@dataclass(frozen=True, slots=True)
class Take:
    """Audio ready to be recognised.

    first, last: the samples that it covers, counted from the stream's first; equal places hold equal audio.
    start, end: the samples where the speech in it began and ended. quiet: samples without voice after it.
    voiced_ms: voiced time of the turn so far.
    """

    piece: Piece
    pcm: bytes
    first: int
    last: int
    start: int
    end: int
    quiet: int
    voiced_ms: int


class TurnBuffer:
    """Feed mono audio; take what is ready. Memory is bounded by ``longest_s`` of audio, whatever is fed.

    look_ms: speech between two looks; 0 for none but the one that is due as soon as the tail of silence that
    belongs to a turn is in. That look covers exactly what the turn's end will cover when no more speech comes, so
    its result can stand for the turn's.
    """

    def __init__(self, gate: SpeechGate, *, look_ms: int, longest_s: float) -> None:
        self._gate = gate
        self._per_ms = gate.rate // 1000
        self._block = gate.rate * BLOCK_MS // 1000 * BYTES_PER_SAMPLE
        self._look = look_ms * self._per_ms
        self._apart = self._look
        self._longest = int(longest_s * gate.rate)
        self._rest = b""
        self._audio = bytearray()
        self._first = 0  # the sample at which `_audio` begins
        self._start = 0  # where speech began in what is not yet taken
        self._looked = 0
        self.look_due = False

    @property
    def position(self) -> int:
        """Samples decided so far."""
        return self._gate.position

    def feed(self, pcm: bytes) -> list[Take]:
        """Segments and turns that this audio completes, in order."""
        data = self._rest + pcm
        whole = len(data) // self._block * self._block
        self._rest = data[whole:]
        takes: list[Take] = []
        for at in range(0, whole, self._block):
            take = self._step(data[at : at + self._block])
            if take is not None:
                takes.append(take)
        return takes

    def end(self) -> Take | None:
        """No more audio comes: the turn that was going on, if any."""
        self._audio += self._rest
        self._rest = b""
        edge = self._gate.end()
        return self._turn(self._gate.quiet) if edge is not None else None

    def look(self) -> Take | None:
        """The turn so far, once when one is due; None otherwise.

        None also while a silence may be about to settle: a look begun then would be in the way of the one that
        matters. It stays due.
        """
        if not self.look_due or 0 < self._gate.quiet < _TAIL_MS * self._per_ms:
            return None
        self.look_due, self._looked = False, self.position
        return self._cut(Piece.LOOK, self._wanted())

    def slow_down(self, seconds: float) -> None:
        """Let at least so much speech lie between two looks of this turn, if any are wanted."""
        self._apart = max(self._look, int(seconds * self._gate.rate))

    def _step(self, block: bytes) -> Take | None:
        self._audio += block
        edges = self._gate.feed(block)
        for edge in edges:
            if not edge.began:
                return self._turn(self._gate.quiet)
            self._start, self._looked = edge.at, edge.at
            self._forget(edge.at - _LEAD_MS * self._per_ms)
        if not self._gate.speaking:
            self._forget(self.position - 2 * _LEAD_MS * self._per_ms)
            return None
        quiet = self._gate.quiet
        tail = _TAIL_MS * self._per_ms
        grown = quiet == 0 and self._look and self.position - self._looked >= self._apart
        if grown or tail <= quiet < tail + self._block // BYTES_PER_SAMPLE:
            self.look_due = True
        if self.position - self._first >= self._longest:
            return self._segment()
        return None

    def _turn(self, quiet: int) -> Take:
        take = self._cut(Piece.TURN, self._wanted(), quiet)
        self._forget(take.last)
        self.look_due = False
        return take

    def _segment(self) -> Take:
        at = self._quietest()
        take = self._cut(Piece.SEGMENT, at)
        self._forget(at)
        self._start, self._looked = at, self.position
        return take

    def _wanted(self) -> int:
        have = self._first + len(self._audio) // BYTES_PER_SAMPLE
        return min(have, max(self._gate.last_voiced, self._start) + _TAIL_MS * self._per_ms)

    def _cut(self, piece: Piece, last: int, quiet: int = 0) -> Take:
        pcm = bytes(self._audio[: (last - self._first) * BYTES_PER_SAMPLE])
        end = max(self._start, min(self._gate.last_voiced, last))
        return Take(piece, pcm, self._first, last, self._start, end, quiet, self._gate.voiced_ms)

    def _forget(self, before: int) -> None:
        gone = before - self._first
        if gone > 0:
            del self._audio[: gone * BYTES_PER_SAMPLE]
            self._first = before

    def _quietest(self) -> int:
        """The middle of the quietest 100 ms near the end: a cut there splits no word, if any place splits none."""
        size = self._block // BYTES_PER_SAMPLE
        span = min(len(self._audio) // BYTES_PER_SAMPLE // 2, int(_CUT_SECONDS * self._gate.rate)) // size * size
        samples = np.frombuffer(bytes(self._audio[-span * BYTES_PER_SAMPLE :]), "<i2").astype(np.float32)
        power = np.square(samples.reshape(-1, size)).sum(axis=1)
        around = np.convolve(power, np.ones(5), mode="valid")
        return self.position - span + (int(np.argmin(around)) + 2) * size + size // 2
