"""The simulated far end of an audio egress: what the caller really heard, by the samples that were played.

It plays by the clock of its own what it is given, forgets exactly what is cleared, and reads every sample that was
played: which word of whose utterance it is. Nothing that the engine's ledger says goes into it, so that what was heard
can be held against what the engine says was heard.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from echostack.core.audio import AudioFormat
from echostack.core.clock import Clock
from echostack.core.kinds import Payload
from echostack.registry import AudioSink, ConnectorSpec, Simulator
from echostack.runtime.failures import plain_payload
from echostack.simulation.mock.coded import blur, read
from echostack.simulation.speech import LOUD_NOISE, QUIET_NOISE, SILENCE, SpokenWord, is_word
from echostack.simulation.world import HeardSpeech, HeardWord, World

DEFAULT_FORMAT = AudioFormat(24_000)

_MEANT = (SILENCE, QUIET_NOISE, LOUD_NOISE)
_HAIR = 1e-3  # of a sample: more than float arithmetic on the clock is ever off by
_LEAST = 0.002  # seconds of a word in resampled audio under which its value may be a mere blur
_SAME_SPEECH = 0.5  # seconds of nothing after which audio that is no coded speech is another utterance
_REMEMBERED = 64  # samples of what was cleared, by which it is known again


@dataclass(slots=True)
class _Word:
    spoken: SpokenWord
    start: float
    end: float
    samples: int = 0


@dataclass(slots=True)
class _Utterance:
    name: str
    start: float
    end: float
    samples: int = 0
    words: dict[int, _Word] = field(default_factory=dict)


class SimulatedFarEnd(AudioSink):
    """Plays by the clock and knows what it played. ``world.heard`` has it once ``finish`` or ``close`` was called.

    An utterance is the words of one ``SpokenWord.utterance``, all its pieces together, whatever suspensions lie
    between; silence belongs to the utterance that it follows without a pause. Audio that is no coded speech counts as
    an utterance without words. It takes the format of all that speaks into it where that is one (``world.formats``),
    else the one that the egress declares, 24 kHz mono where it declares none.
    """

    lead = 2.0
    stride = 1.0

    def __init__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> None:
        wanted = world.formats.get(simulator.node)
        if wanted is None and settings is not None:
            wanted = spec.input_format(settings) or spec.output_format(settings)
        self._format = wanted or DEFAULT_FORMAT
        self._rate, self._size = self._format.rate, self._format.bytes_per_sample
        self._egress, self._world, self._simulator = simulator.node, world, simulator
        self._clock: Clock = simulator.clock
        self._pieces: deque[bytes] = deque()
        self._skip = 0  # samples of the first piece that have been read
        self._written = self._read = 0
        self._anchor_place, self._anchor_time = 0, 0.0
        self._utterances: dict[str, _Utterance] = {}
        self._current: _Utterance | None = None
        self._unknown = 0
        self._cleared: bytes | None = None
        self._resumes = False
        self._finished = False

    @property
    def format(self) -> AudioFormat:
        return self._format

    def write(self, pcm: bytes) -> None:
        """Play ``pcm`` after what is still to be played, or from now on."""
        played = self._advance()
        if played >= self._written:
            self._anchor_place, self._anchor_time = self._written, self._clock.now()
        if self._cleared is not None:
            remembered, self._cleared = self._cleared, None
            self._resumes = bool(remembered) and pcm[: len(remembered)] == remembered[: len(pcm)]
        count = len(pcm) // self._size
        if count:
            self._pieces.append(pcm)
            self._written += count

    def clear(self) -> None:
        """Stop at the sample that is being played, and forget the rest."""
        played = self._advance()
        if self._pieces and self._read < played:
            self._hear(played - self._read)
        if self._pieces:
            first = self._skip * self._size
            self._cleared = self._pieces[0][first : first + _REMEMBERED * self._size]
        self._pieces.clear()
        self._skip = 0
        self._written = self._read = played

    def take(self, payload: Payload) -> None:
        """What is no audio is noted as a write of the egress."""
        self._simulator.store.write({"kind": payload.__kind__.name, **plain_payload(payload)})

    async def close(self) -> None:
        """The call is over: what was played by now was heard, and nothing more."""
        self.finish()

    def finish(self) -> None:
        """Tell the world what was heard by now. Once; idempotent."""
        if self._finished:
            return
        self._finished = True
        self.clear()
        heard = [self._told(u) for u in self._utterances.values()]
        self._world.heard[:] = sorted([*self._world.heard, *heard], key=lambda speech: speech.end)

    # -- playing -----------------------------------------------------------------------------------------------

    def _advance(self) -> int:
        """The place that playing has reached; pieces that were played whole are read."""
        if not self._pieces:
            return self._written
        since = self._clock.now() - self._anchor_time
        reached = min(self._written, self._anchor_place + int(since * self._rate + _HAIR))
        pieces = self._pieces
        while pieces and self._read + (left := len(pieces[0]) // self._size - self._skip) <= reached:
            self._hear(left)
        return reached

    def _hear(self, samples: int) -> None:
        """Read the next ``samples`` of the first piece: they have been played."""
        piece, first = self._pieces[0], self._skip
        last = first + samples
        whole = last == len(piece) // self._size
        pcm = piece if whole and not first else piece[first * self._size : last * self._size]
        if whole:
            self._pieces.popleft()
            self._skip = 0
        else:
            self._skip = last
        begin = self._read
        self._read += samples
        runs = read(pcm, self._rate, self._format.channels, self._world.speech)
        words = [self._spoken(value) for value, _ in runs or ()]
        known = sum(count for (value, count), word in zip(runs or (), words, strict=True) if word or value in _MEANT)
        if runs is None or 2 * known < samples:
            self._hear_unknown(begin, samples)
            return
        at = begin
        for (_, count), word in zip(runs, words, strict=True):
            blurred = word is not None and word.rate != self._rate and count < _LEAST * self._rate
            if word is None or blurred:
                self._hear_more(at, count)
            else:
                self._hear_word(word, at, count)
            at += count

    def _spoken(self, value: int) -> SpokenWord | None:
        """The agent's word that ``value`` stands for; the caller's own words do not come out of the far end."""
        word = self._world.speech.word(value) if is_word(value) else None
        return word if word is not None and word.speaker != "caller" else None

    def _hear_word(self, spoken: SpokenWord, at: int, samples: int) -> None:
        start, end = self._time_of(at), self._time_of(at + samples)
        name = spoken.utterance or f"@{spoken.speaker}"
        utterance = self._utterances.get(name)
        if utterance is None:
            utterance = self._utterances[name] = _Utterance(name, start, end)
        word = utterance.words.get(spoken.index)
        if word is None:
            word = utterance.words[spoken.index] = _Word(spoken, start, end)
        word.samples += samples
        word.end = utterance.end = end
        utterance.samples += samples
        self._current, self._resumes = utterance, False

    def _hear_more(self, at: int, samples: int) -> None:
        """Silence: of the utterance that it follows, or else of one that is not known."""
        current = self._current
        if current is None or not (self._resumes or self._time_of(at) - current.end <= 0.5 / self._rate):
            self._hear_unknown(at, samples)
            return
        current.end = self._time_of(at + samples)
        current.samples += samples

    def _hear_unknown(self, at: int, samples: int) -> None:
        start, end = self._time_of(at), self._time_of(at + samples)
        current = self._current
        if current is None or current.words or not (self._resumes or start - current.end <= _SAME_SPEECH):
            self._unknown += 1
            name = f"@{self._egress}.{self._unknown}"
            current = self._current = self._utterances[name] = _Utterance(name, start, end)
        self._resumes = False
        current.end = end
        current.samples += samples

    def _time_of(self, place: int) -> float:
        return self._anchor_time + (place - self._anchor_place) / self._rate

    # -- telling -----------------------------------------------------------------------------------------------

    def _told(self, utterance: _Utterance) -> HeardSpeech:
        latest = max(utterance.words, default=-1)
        name = self._world.speech.name_of(utterance.name)
        words = tuple(
            self._told_word(word, name, over=index < latest or word.spoken.last)
            for index, word in utterance.words.items()
        )
        seconds = round(utterance.samples / self._rate, 9)
        return HeardSpeech(name, self._egress, words, round(utterance.start, 9), round(utterance.end, 9), seconds)

    def _told_word(self, word: _Word, utterance: str, *, over: bool) -> HeardWord:
        spoken, samples = word.spoken, word.samples
        whole = round(spoken.samples * self._rate / spoken.rate) if spoken.rate else samples
        blurred = blur(spoken.rate, self._rate) * self._rate if spoken.rate else 0.0
        if blurred and (samples > whole or (over and whole - samples <= blurred)):
            samples = whole  # what was taken from it, or given to it, where a resampler blurred its edges
        return HeardWord(spoken.text, utterance, spoken.index, round(word.start, 9), round(word.end, 9), samples, whole)
