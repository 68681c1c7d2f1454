"""Speech as a simulation carries it: every sample says which word it belongs to.

Nobody listens to a simulated call, but it must be known to the sample what was heard. So the audio of a simulated
voice is coded: all samples of a word have that word's number as their value, silence is 0, and noise has values of
its own. A recogniser's simulation reads the caller's words from the frames that really reached it, and the simulated
far end reads what was heard of the agent from the samples that were really played, whatever the engine believes.

Resampling keeps a run of equal samples except near its ends; ``runs`` passes over what is shorter than 2 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from echostack.core.payloads import AudioFrame
from echostack.language.scenario import NoiseLevel

SILENCE = 0
QUIET_NOISE = -1
LOUD_NOISE = -2
_FIRST, _LAST = 1, 32_767  # the numbers of words; after the last come those from -32,768 to -3
_LOWEST = -32_768
WORDS_AT_ONCE = _LAST + LOUD_NOISE - _LOWEST
"""How many words there are numbers for."""

_STALE = 600.0  # seconds after which a word that ought to have sounded is not waited for any more
_SHORTEST = 0.002


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word that somebody says: ``speaker`` (``caller``, or the node that speaks), in which utterance, as its
    ``index``-th word; what a recogniser makes of it and how sure it is; whether it is the utterance's last.

    ``samples`` at ``rate`` Hz is how long it is; 0 when whoever says it does not tell. A listener at the same rate can
    then trust every sample of it, and knows how much of a word it missed.
    """

    text: str
    speaker: str
    utterance: str
    index: int
    last: bool = False
    heard_as: str | None = None
    confidence: float = 1.0
    samples: int = 0
    rate: int = 0

    @property
    def recognised(self) -> str:
        """What a recogniser makes of it; may be nothing."""
        return self.text if self.heard_as is None else self.heard_as


class SpeechCode:
    """The words of one call and their numbers, which go round: the oldest word is forgotten when its number is needed.

    That is never a word that is still to sound. Where more than ``WORDS_AT_ONCE`` are, those without a number are
    silence, and ``full`` says so.
    """

    def __init__(self) -> None:
        self._words: dict[int, SpokenWord] = {}
        self._next = _FIRST
        self._over: dict[int, float] = {}  # when each word will have sounded, as far as can be told
        self._busy: dict[str, float] = {}  # the same of all that a speaker has said
        self.full = False
        """Whether there was a word that no number was left for."""
        self._names: dict[str, str] = {}
        self.read_last: tuple[AudioFrame, tuple[tuple[int, int], ...]] | None = None
        """The frame that was read last, and the runs of samples in it: each value and how many samples have it."""

    def number(self, word: SpokenWord, now: float = 0.0) -> int:
        """A number for ``word``, which its speaker says at ``now`` (session seconds) or after what they say then:
        new for every word; ``SILENCE`` when none is left."""
        number = self._next
        if self._over.get(number, now) > now:
            self.full = True
            return SILENCE
        over = max(now, self._busy.get(word.speaker, 0.0)) + (word.samples / word.rate if word.rate else 0.0)
        self._busy[word.speaker], self._over[number] = over, over + _STALE
        self._words[number] = word
        if number == _LAST:
            self._next = _LOWEST
        else:
            self._next = number + 1 if number + 1 < LOUD_NOISE or number > 0 else _FIRST
        return number

    def word(self, number: int) -> SpokenWord | None:
        """The word that samples of this value belong to; None for silence, noise and what no one here has said."""
        return self._words.get(number)

    def saw(self, pcm: bytes, utterance: str) -> None:
        """Audio went on its way as part of ``utterance``: what was spoken ahead on a guess is given its name then."""
        if len(pcm) < 2 or not utterance:
            return
        word = self._words.get(int.from_bytes(pcm[:2], "little", signed=True))
        if word is not None and word.utterance != utterance:
            self._names[word.utterance] = utterance

    def name_of(self, utterance: str) -> str:
        """The name by which the call knows what was spoken as ``utterance``."""
        return self._names.get(utterance, utterance)


@lru_cache(maxsize=4096)
def coded(value: int, samples: int, channels: int = 1) -> bytes:
    """PCM (16 bits, little-endian) of ``samples`` sample frames that all have ``value``."""
    return value.to_bytes(2, "little", signed=True) * (samples * channels)


def noise_value(level: NoiseLevel) -> int:
    """The sample value of noise."""
    return LOUD_NOISE if level is NoiseLevel.LOUD else QUIET_NOISE


def voiced(value: int) -> bool:
    """Whether a voice-activity detector takes samples of this value for speech: words and loud noise."""
    return value > SILENCE or value <= LOUD_NOISE


def is_word(value: int) -> bool:
    """Whether samples of this value are a word's. Where every frame is asked, the comparisons stand written out."""
    return value > SILENCE or value < LOUD_NOISE


def runs(pcm: bytes, rate: int, channels: int = 1) -> Iterator[tuple[int, int]]:
    """The runs of equal samples in ``pcm``, in order: the value and how many sample frames of it.

    A run under 2 ms is the edge that a resampler blurred: its samples are counted to the run before it (to the one
    after it, at the beginning), so that the runs add up to the audio's length.
    """
    count = len(pcm) // (2 * channels)
    if not count:
        return
    first = int.from_bytes(pcm[:2], "little", signed=True)
    if pcm == pcm[: 2 * channels] * count:  # a frame inside a word, as most are
        yield first, count
        return
    samples = np.frombuffer(pcm, dtype="<i2")[::channels]
    edges = np.flatnonzero(samples[1:] != samples[:-1]) + 1
    starts = [0, *edges.tolist(), count]
    shortest = max(1, int(rate * _SHORTEST))
    value, held, certain = first, 0, False
    for start, end in pairwise(starts):
        length, here = end - start, int(samples[start])
        if length < shortest and len(starts) > 2:
            held += length
        elif here == value or not certain:
            value, held, certain = here, held + length, True
        else:
            yield value, held
            value, held = here, length
    if held:
        yield value, held


def frame_runs(frame: AudioFrame) -> Iterator[tuple[int, int]]:
    """``runs`` of a frame. One that carries real samples says in ``track`` which word it belongs to."""
    if frame.track.startswith("#"):
        yield int(frame.track[1:]), frame.samples
    else:
        yield from runs(frame.pcm, frame.rate, frame.channels)


def words_of(text: str) -> list[str]:
    """The words of ``text`` as they are spoken one after the other."""
    return text.split()


def shares(words: list[str], seconds: float) -> list[float]:
    """How much of ``seconds`` each word takes: in proportion to its letters, none less than a short syllable."""
    weights = [max(3, len(word)) for word in words]
    whole = sum(weights)
    return [seconds * weight / whole for weight in weights]


def spoken_seconds(text: str, pace: float) -> float:
    """Seconds that ``text`` takes at ``pace`` words of average length a second; words are as long as their letters."""
    return sum(max(3, len(word)) for word in words_of(text)) / (4.7 * pace)
