"""The caller's turns as a recogniser's simulation makes them out of the frames that reached it.

A word is heard when at least half of it arrived: what a queue dropped or a dead line swallowed is not in the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.core.payloads import AudioFrame, Text, TextPartial, TextSegment, Word
from echostack.simulation.mock.coded import blur
from echostack.simulation.mock.hearing import HAIR, Edge, HeardLine, Silence, VoiceGate
from echostack.simulation.speech import LOUD_NOISE, SILENCE, SpeechCode, SpokenWord, shares, words_of

_SETTLED = 0.16  # silence after which a recogniser that looks from time to time looks once more
_NEXT = 64  # a partial text holds one word in so many that the one before it had not: a turn costs what it is long


@dataclass(frozen=True, slots=True)
class Habits:
    """How a recogniser listens. Seconds; infinity for never.

    endpoint: silence that ends a turn. words_end: time without words that ends it. partials: speech between two partial
    texts, 0 for one after every word; those of a turn of more than 64 words grow rarer with its length, because each
    holds all of it. longest: speech after which a piece becomes a segment.
    """

    endpoint: float
    words_end: float
    partials: float
    longest: float
    language: str


@dataclass(slots=True)
class _Heard:
    """A word as it arrives: from when to when, and how many of its ``whole`` seconds, to within ``blur``."""

    number: int
    spoken: SpokenWord | None
    whole: float
    blur: float
    start: float
    end: float
    seconds: float = 0.0
    over: bool = False

    @property
    def counts(self) -> bool:
        return self.spoken is not None and 2 * self.seconds >= self.whole

    @property
    def text(self) -> str:
        return self.spoken.recognised if self.spoken is not None and self.counts else ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that is over: what was said, decided with the frame ``event`` or by the clock after it."""

    text: Text
    event: Event


class Listener:
    """Feed frames; get partial texts, segments and turns by the callbacks, synchronously.

    on_partial and on_segment get a text and the frame that completed it, on_turn a Text whose ``waited_ms`` is not yet
    known, on_voice the edges of voice when a ``gate`` is wanted (seconds of voice and of silence). Costs about a
    microsecond for a frame inside a word or inside silence.
    """

    __slots__ = (
        "_event", "_gate", "_given", "_habits", "_known", "_line", "_looked", "_on_partial", "_on_segment",
        "_on_turn", "_on_voice", "_quiet", "_segmented", "_settled", "_shown", "_speech", "_unlooked", "_value",
        "_word", "_wordless", "_words",
    )  # fmt: skip

    def __init__(
        self,
        speech: SpeechCode,
        clock: Clock,
        habits: Habits,
        *,
        on_partial: Callable[[TextPartial, Event], None] | None,
        on_segment: Callable[[TextSegment, Event], None] | None,
        on_turn: Callable[[Turn], None],
        on_voice: Callable[[Edge, Event], None] | None = None,
        gate: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._speech, self._habits = speech, habits
        self._on_partial, self._on_segment, self._on_turn, self._on_voice = on_partial, on_segment, on_turn, on_voice
        self._line = HeardLine(speech)
        self._quiet = Silence(self._line, clock, habits.endpoint, self.end)
        self._wordless = Silence(self._line, clock, habits.words_end, self.end)
        self._gate = VoiceGate(self._line, clock, *gate, self._voice_ended) if on_voice is not None else None
        self._event: Event | None = None
        self._value = SILENCE
        self._word: _Heard | None = None
        self._words: list[_Heard] = []
        self._known: dict[int, _Heard] = {}
        self._given = 0  # the number of the last word that the turn before has given
        self._segmented = 0  # how many of the turn's words are in segments
        self._shown = ""
        self._looked = 0  # how many of the turn's words there were at the last look
        self._unlooked = 0.0
        self._settled = True

    def hear(self, event: Event) -> None:
        """Take the next frame; events without audio say nothing to a listener."""
        frame = event.payload
        if not isinstance(frame, AudioFrame):
            return
        self._event = event
        for stretch in self._line.take(frame, event.time):
            value, start, end = stretch
            if value > SILENCE or value < LOUD_NOISE:
                if value != self._value:
                    self._begin_word(value, start, frame.rate)
                self._quiet.since = self._wordless.since = end
                word = self._word
                if word is not None:
                    self._hear_word(word, start, end)
            elif self._words:
                self._hear_none(value, end)
            else:
                self._value = value
            if self._gate is not None:
                edge = self._gate.hear(stretch)
                if edge is not None:
                    self._tell_voice(edge)

    def end(self) -> None:
        """The turn that is going on, if any, is over."""
        words, event = self._words, self._event
        self.stop()
        self._words, self._known, self._word, self._value = [], {}, None, SILENCE
        self._shown, self._unlooked, self._settled, self._segmented, self._looked = "", 0.0, True, 0, 0
        counted = [word for word in words if word.counts]
        if counted:
            self._given = counted[-1].number
        said = [word for word in counted if word.text]
        if said and event is not None:
            self._on_turn(Turn(self._text(said, words[0].start, words[-1].end), event))

    def close(self) -> None:
        """The end of the audio: the last turn is given, and the end of voice that was going on."""
        self.end()
        edge = self._gate.end() if self._gate is not None else None
        if edge is not None:
            self._tell_voice(edge)

    def stop(self) -> None:
        """Let no timer fire any more. The turn that is going on stays."""
        self._quiet.stop()
        self._wordless.stop()

    def forget(self) -> None:
        """Stop listening for good, and tell nobody."""
        self.stop()
        if self._gate is not None:
            self._gate.end()

    # -- words -------------------------------------------------------------------------------------------------

    def _begin_word(self, number: int, start: float, rate: int) -> None:
        self._word_over()
        self._value = number
        if number == self._given:
            self._word = None  # the rest of a word that the turn before has given
            return
        word = self._known.get(number)
        if word is None:
            spoken = self._speech.word(number)
            whole = spoken.samples / spoken.rate if spoken is not None and spoken.rate else 0.0
            blurred = HAIR + (blur(spoken.rate, rate) if spoken is not None and spoken.rate else 0.0)
            word = self._known[number] = _Heard(number, spoken, whole, blurred, start, start)
            self._words.append(word)
            self._quiet.since = self._wordless.since = start
            self._quiet.watch()
            if self._habits.words_end < float("inf"):
                self._wordless.watch()
        self._word = word
        self._settled = False

    def _hear_word(self, word: _Heard, start: float, end: float) -> None:
        word.seconds += end - start
        word.end = end
        if self._habits.partials:
            self._unlooked += end - start
            if self._unlooked >= self._habits.partials - HAIR:
                self._look()
        if word.whole and not word.over and word.seconds >= word.whole - word.blur:
            self._word_over()

    def _word_over(self) -> None:
        word = self._word
        if word is None or word.over:
            return
        word.over = True
        if not self._habits.partials:
            self._look()
        if self._on_segment is not None and word.end - self._words[self._segmented].start >= self._habits.longest:
            self._segment(self._on_segment)

    def _hear_none(self, value: int, end: float) -> None:
        """Silence or noise within a turn."""
        if value != self._value:
            self._word_over()
            self._word, self._value = None, value
        if value == LOUD_NOISE:
            self._quiet.since = end
        if not self._settled and end - self._quiet.since >= _SETTLED - HAIR:
            self._settled = True
            self._look(settled=True)
        if self._quiet.lasts(end) or self._wordless.lasts(end):
            self.end()

    # -- what is told ------------------------------------------------------------------------------------------

    def _look(self, *, settled: bool = False) -> None:
        """Tell the turn so far, unless nothing is new, or too little in a long turn that is not ``settled``."""
        self._unlooked = 0.0
        if self._on_partial is None or self._event is None:
            return
        count = len(self._words)
        if not settled and count > _NEXT and (count - self._looked) * _NEXT < count:
            return
        self._looked = count
        words = [word for word in self._words if word.text]
        whole = " ".join(word.text for word in words)
        if whole and whole != self._shown:
            self._shown = whole
            sure = min(_sureness(word) for word in words)
            start, end = self._words[0].start, words[-1].end
            partial = TextPartial(whole, sure, self._habits.language, round(start, 6), round(end, 6))
            self._on_partial(partial, self._event)

    def _segment(self, tell: Callable[[TextSegment, Event], None]) -> None:
        words = self._words[self._segmented :]
        self._segmented = len(self._words)
        said = [word for word in words if word.text]
        if said and self._event is not None:
            text = self._text(said, words[0].start, words[-1].end)
            segment = TextSegment(text.text, text.confidence, text.language, text.start, text.end, text.words)
            tell(segment, self._event)

    def _text(self, words: list[_Heard], start: float, end: float) -> Text:
        return Text(
            " ".join(word.text for word in words),
            min(_sureness(word) for word in words),
            self._habits.language,
            round(start, 6),
            round(end, 6),
            tuple(timed for word in words for timed in _timed(word, start)),
            ended_by="recogniser",
        )

    def _voice_ended(self, edge: Edge) -> None:
        self._tell_voice(edge)

    def _tell_voice(self, edge: Edge) -> None:
        if self._on_voice is not None and self._event is not None:
            self._on_voice(edge, self._event)


def _sureness(word: _Heard) -> float:
    return word.spoken.confidence if word.spoken is not None else 1.0


def _timed(word: _Heard, start: float) -> list[Word]:
    """The words that were made of a spoken one, mostly one, with their times in the turn."""
    made = words_of(word.text)
    at, times = (word.start - start) * 1000, []
    for text, length in zip(made, shares(made, (word.end - word.start) * 1000), strict=True):
        times.append(Word(text, round(at, 3), round(at + length, 3), _sureness(word)))
        at += length
    return times
