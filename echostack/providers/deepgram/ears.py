"""What the local Deepgram recognises with: words that are written into the audio, lines of a script, or a model.

An ear belongs to one websocket. It is fed mono audio and asked what was said in a part of it; where results begin and
end, and which are final, is the protocol's affair (``providers.deepgram.results``). All positions are seconds from the
first sample of the websocket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from echostack.connectors.moonshine_model import RATE, MoonshineModel
from echostack.connectors.pcm import to_float, to_pcm
from echostack.connectors.resample import Resampler
from echostack.connectors.speech_gate import SpeechGate
from echostack.core.audio import BYTES_PER_SAMPLE
from echostack.providers.deepgram.query import ListenOptions


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word and where it lies, in seconds."""

    text: str
    start: float
    end: float
    confidence: float = 0.99


class Ear(Protocol):
    """What recognises the audio of one websocket."""

    @property
    def voiced_from(self) -> float | None:
        """Where the speech that goes on, or went on last, began; None before any."""

    @property
    def voiced_until(self) -> float:
        """Where the last voice heard ended; 0 before any."""

    def hear(self, pcm: bytes) -> None:
        """More mono 16-bit audio, at the rate of the options that the ear was made for."""

    async def words(self, start: float, end: float) -> Sequence[SpokenWord]:
        """What is said from ``start`` to ``end``, which only grow from one final result to the next."""

    def boundary(self, start: float, end: float) -> float:
        """A place in between that splits no word, for a result that must be final while the speech goes on."""


Recognise = Callable[[ListenOptions], Ear]
"""Makes the ear of one websocket."""

Decode = Callable[[bytes], Awaitable[str]]
"""What is said in mono 16-bit audio at ``RATE``."""

_STEP = 64  # between the sample values of two coded words: far from what rounding does, and soft enough to listen to


@dataclass(frozen=True, slots=True)
class CodedScript:
    """Words that are written into the audio: every sample of word number n has the value (n + 1) * 64.

    So what was heard of a word is known to the sample, whatever was lost, cut or sent again, and no model is needed.
    Up to 500 words, with their times in seconds, in order. A word of which less than half is in the part asked about is
    not heard.
    """

    words: tuple[SpokenWord, ...]

    @classmethod
    def of(cls, text: str, *, start: float = 0.2, seconds: float = 0.2, gap: float = 0.04) -> CodedScript:
        """The words of ``text``, each ``seconds`` long, from ``start`` on; "|" stands for a second of silence."""
        words, at = [], start
        for word in text.split():
            if word == "|":
                at += 1.0
                continue
            words.append(SpokenWord(word, round(at, 6), round(at + seconds, 6)))
            at += seconds + gap
        return cls(tuple(words))

    def audio(self, rate: int, *, tail: float = 1.0) -> bytes:
        """The audio of all of it, with ``tail`` seconds of silence behind."""
        end = max((w.end for w in self.words), default=0.0) + tail
        samples = np.zeros(round(end * rate), "<i2")
        for number, word in enumerate(self.words):
            samples[round(word.start * rate) : round(word.end * rate)] = (number + 1) * _STEP
        return samples.tobytes()

    def __call__(self, options: ListenOptions) -> Ear:
        return _Coded(self.words, options.sample_rate)


class _Coded:
    def __init__(self, words: Sequence[SpokenWord], rate: int) -> None:
        self._words, self._rate = words, rate
        self._position = 0
        self._heard: deque[list[int]] = deque()  # [number, first sample, end]: the words that were heard, in order
        self.voiced_from: float | None = None
        self.voiced_until = 0.0

    def hear(self, pcm: bytes) -> None:
        codes: npt.NDArray[np.int16] = np.frombuffer(pcm, "<i2") // _STEP
        if codes.any():
            edges = np.flatnonzero(np.diff(codes)) + 1
            starts = [0, *edges.tolist()]
            for first, last in zip(starts, [*starts[1:], len(codes)], strict=True):
                self._run(int(codes[first]), self._position + first, self._position + last)
        self._position += len(codes)

    def _run(self, code: int, first: int, last: int) -> None:
        if not 0 < code <= len(self._words):
            return
        if first / self._rate - self.voiced_until > 0.1 or self.voiced_from is None:
            self.voiced_from = first / self._rate
        self.voiced_until = last / self._rate
        if self._heard and self._heard[-1][0] == code - 1 and self._heard[-1][2] == first:
            self._heard[-1][2] = last
        else:
            self._heard.append([code - 1, first, last])

    async def words(self, start: float, end: float) -> Sequence[SpokenWord]:
        while self._heard and self._heard[0][2] / self._rate <= start:
            self._heard.popleft()
        found = []
        for number, first, last in self._heard:
            word = self._words[number]
            begins, ends = max(first / self._rate, start), min(last / self._rate, end)
            if ends - begins >= (word.end - word.start) / 2 - 1e-9:
                found.append(SpokenWord(word.text, begins, ends, word.confidence))
        return found

    def boundary(self, start: float, end: float) -> float:
        for _, first, last in reversed(self._heard):
            if last < self._position and start < last / self._rate <= end:
                return last / self._rate
            if start < first / self._rate <= end:
                return first / self._rate
        return end


class _Gated:
    """An ear that tells speech from silence by the embedded voice activity detector."""

    def __init__(self, options: ListenOptions) -> None:
        self._resampler = Resampler(options.sample_rate, RATE)
        self._gate = SpeechGate(RATE, mode=2, gate_db=-45.0, start_ms=60, hangover_ms=100, who="deepgram")
        self.voiced_from: float | None = None

    @property
    def voiced_until(self) -> float:
        return self._gate.last_voiced / RATE

    def hear(self, pcm: bytes) -> None:
        if self._resampler.source != RATE:
            pcm = to_pcm(self._resampler.feed(to_float(pcm)))
        self._heard(pcm)
        for edge in self._gate.feed(pcm):
            if edge.began:
                self.voiced_from = edge.at / RATE
                self._began()

    def _heard(self, pcm: bytes) -> None:
        """All audio passes here."""

    def _began(self) -> None:
        """Speech has begun."""

    def boundary(self, start: float, end: float) -> float:
        return end


class Lines:
    """A script of lines, one for each stretch of speech that is heard, whatever is really said in it.

    For audio that has gone through a codec. Speech that follows within ``apart`` seconds belongs to the same line. The
    lines are those of the server: a websocket goes on where the one before it ended. When they are used up, the last
    is said again, so that no caller goes unheard.
    """

    def __init__(self, lines: Iterable[str], *, apart: float = 0.6) -> None:
        self.lines = [line for line in lines if line.strip()] or ["yes"]
        self.apart = apart
        self.said = 0

    def next(self) -> str:
        """The line that is said now."""
        line = self.lines[min(self.said, len(self.lines) - 1)]
        self.said += 1
        return line

    def __call__(self, options: ListenOptions) -> Ear:
        return _Lined(self, options)


class _Lined(_Gated):
    def __init__(self, script: Lines, options: ListenOptions) -> None:
        super().__init__(options)
        self._script = script
        self._stretches: deque[_Stretch] = deque()
        self._settled = 0.0  # up to where what was said is final

    def _began(self) -> None:
        assert self.voiced_from is not None
        if self._stretches and self.voiced_from - self._stretches[-1].ends < self._script.apart:
            return
        self._stretches.append(_Stretch(self._script.next(), self.voiced_from, self.voiced_from))

    def hear(self, pcm: bytes) -> None:
        super().hear(pcm)
        if self._stretches and self._gate.speaking:
            self._stretches[-1].ends = self.voiced_until

    async def words(self, start: float, end: float) -> Sequence[SpokenWord]:
        if start > self._settled:
            self._settled = start
            for stretch in self._stretches:
                stretch.settled = stretch.told
        # The last one may go on, and a result may end between its beginning and the instant at which that was noticed.
        while len(self._stretches) > 1 and self._stretches[0].settled:
            self._stretches.popleft()
        found: list[SpokenWord] = []
        for stretch in self._stretches:
            stretch.told = stretch.settled
            if not stretch.settled and stretch.begins < end:
                stretch.told = True
                begins = max(stretch.begins, start)
                found += spread(stretch.line, begins, max(begins, min(stretch.ends, end)))
        return found


@dataclass(slots=True)
class _Stretch:
    """One stretch of speech: its line, where its voice began and ended, and whether the line was told, and for good."""

    line: str
    begins: float
    ends: float
    told: bool = False
    settled: bool = False


class Decoded(_Gated):
    """An ear that decodes the audio with a model; words have the times that their lengths suggest."""

    def __init__(self, options: ListenOptions, decode: Decode) -> None:
        super().__init__(options)
        self._decode = decode
        self._audio = bytearray()
        self._first = 0
        self._stretches: deque[list[float]] = deque()  # of voice: where each began and ended, in order
        self._last: tuple[float, float, Sequence[SpokenWord]] = (0.0, 0.0, ())

    def hear(self, pcm: bytes) -> None:
        super().hear(pcm)
        if self._stretches:
            self._stretches[-1][1] = self.voiced_until

    def _heard(self, pcm: bytes) -> None:
        self._audio += pcm

    def _began(self) -> None:
        assert self.voiced_from is not None
        self._stretches.append([self.voiced_from, self.voiced_from])

    async def words(self, start: float, end: float) -> Sequence[SpokenWord]:
        self._forget(start)
        while self._stretches and self._stretches[0][1] <= start:
            self._stretches.popleft()
        if not self._stretches:
            return ()
        until = min(end, self.voiced_until + 0.16)  # a little silence, without which the model guesses the last word
        if self._last[:2] != (start, until):
            voiced = max(start, self._stretches[0][0])
            text = await self._decode(self._between(max(start, voiced - 0.3), until))
            self._last = start, until, spread(text, voiced, min(end, self.voiced_until))
        return self._last[2]

    def boundary(self, start: float, end: float) -> float:
        """The middle of the quietest 100 ms of the last two seconds."""
        begin = max(start, end - 2.0)
        samples = to_float(self._between(begin, end))
        size = RATE // 50
        if len(samples) < 5 * size:
            return end
        power = np.square(samples[: len(samples) // size * size].reshape(-1, size)).sum(axis=1)
        around = np.convolve(power, np.ones(5), mode="valid")
        return begin + (int(np.argmin(around)) + 2.5) * size / RATE

    def _between(self, start: float, end: float) -> bytes:
        first, last = round(start * RATE) - self._first, round(end * RATE) - self._first
        return bytes(self._audio[max(0, first) * BYTES_PER_SAMPLE : max(0, last) * BYTES_PER_SAMPLE])

    def _forget(self, before: float) -> None:
        gone = round(before * RATE) - self._first
        if gone > 0:
            del self._audio[: gone * BYTES_PER_SAMPLE]
            self._first += gone


def moonshine(model: MoonshineModel, run: Callable[[Callable[[bytes], str], bytes], Awaitable[str]]) -> Recognise:
    """Ears that use the embedded model. ``run`` does its work off the event loop."""

    async def decode(pcm: bytes) -> str:
        return await run(model.decode, pcm)

    return lambda options: Decoded(options, decode)


def spread(text: str, start: float, end: float) -> list[SpokenWord]:
    """The words of ``text`` over the time from ``start`` to ``end``, each in proportion to its length."""
    words = text.split()
    weight = sum(len(w) + 1 for w in words)
    found, at = [], start
    for word in words:
        long = max(0.0, end - start) * (len(word) + 1) / weight
        found.append(SpokenWord(word, at, at + long))
        at += long
    return found
