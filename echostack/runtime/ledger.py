"""The playout ledger of one utterance: which of its words have been heard after so many samples of it were played.

Every piece of audio says which text it carries. Between two known places (the start of a text, the end of a timed
word, the end of a text) words are taken to lie in proportion to their characters, so a word's end is exact where the
synthesiser gave its time and an estimate elsewhere. A word counts once it has been played to its end.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from echostack.core.payloads import Word

CHARACTERS_PER_SECOND = 15.0
"""The pace of English speech, about 150 words a minute: how long a text is taken to last while its audio arrives."""

# Scripts without spaces (kana, Han) count by character, everything else by what stands between spaces.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_SIGNS = re.compile(r"[\W_]+")
_WORDS_AHEAD = 3


@dataclass(slots=True)
class _Span:
    """One text and the stretch of audio that says it: samples ``start`` to ``end`` of the utterance.

    ``ends`` holds where each word ends in ``text``, ``letter_ends`` the same in ``letters``, which is the text without
    spaces and punctuation. ``samples`` and ``characters`` are the known places, both rising.
    """

    text: str
    start: int
    end: int
    ends: list[int] = field(default_factory=list)
    letters: str = ""
    letter_ends: list[int] = field(default_factory=list)
    cursor: int = 0
    samples: list[int] = field(default_factory=list)
    characters: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for match in _TOKEN.finditer(self.text):
            self.ends.append(match.end())
            self.letters += _letters(match.group())
            self.letter_ends.append(len(self.letters))
        self.samples, self.characters = [self.start], [0]

    def mark(self, word: str, sample: int) -> None:
        """``word`` was said up to ``sample``. One that the text does not hold nearby marks nothing.

        Letters are compared, because a synthesiser's words come without punctuation and may split what stands
        together in the text (``twenty`` and ``five`` of ``twenty-five``).
        """
        letters = _letters(word)
        token = bisect_right(self.letter_ends, self.cursor)
        # Here, or at the start of one of the next words; letters inside a later word are a coincidence.
        starts = [self.cursor, *self.letter_ends[token : token + _WORDS_AHEAD]]
        place = next((s for s in starts if letters and self.letters.startswith(letters, s)), None)
        if place is None:
            return
        self.cursor = place + len(letters)
        done = bisect_right(self.letter_ends, self.cursor) - 1
        if done >= 0 and self.ends[done] > self.characters[-1]:
            self.samples.append(max(sample, self.samples[-1]))
            self.characters.append(self.ends[done])

    def heard(self, played: int, *, closed: bool, rate: int) -> str:
        """The words of this text that ``played`` samples of the utterance hold."""
        if not self.ends:
            return ""
        at = bisect_right(self.samples, played) - 1
        if at < 0:
            return ""
        sample, character = self.samples[at], self.characters[at]
        if at + 1 < len(self.samples):
            next_sample, next_character = self.samples[at + 1], self.characters[at + 1]
        else:
            next_character = len(self.text)
            next_sample = max(self.end, sample)
            if not closed:
                expected = sample + int((next_character - character) * rate / CHARACTERS_PER_SECOND)
                next_sample = max(next_sample, expected)
        # Integers throughout: the end of a word is reached exactly, not to within a rounding error.
        covered, length = played - sample, next_sample - sample
        count = bisect_right(self.ends, character)
        while count < len(self.ends) and self.ends[count] <= next_character:
            if covered * (next_character - character) < (self.ends[count] - character) * length:
                break
            count += 1
        if not closed and count == len(self.ends) and character < self.ends[-1]:
            count -= 1  # more audio of this text may come, so its last word is not known to be over
        return self.text[: self.ends[count - 1]] if count else ""


def _letters(text: str) -> str:
    return _SIGNS.sub("", text).lower()


class Ledger:
    """The words of one utterance against its samples, at ``rate`` Hz.

    What it answers is a prefix of ``text`` that ends at the end of a word, and it never shrinks when more samples are
    played. While an utterance is open, the last word of its last text counts only if its time is known; once it is
    closed, all is heard when all is played.
    """

    __slots__ = ("_spans", "_starts", "closed", "rate", "samples")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.samples = 0
        """Samples appended so far."""
        self.closed = False
        """Whether the utterance has no more audio."""
        self._spans: list[_Span] = []
        self._starts: list[int] = []

    @property
    def text(self) -> str:
        """Everything that the utterance says so far, its texts joined by single spaces."""
        return " ".join(s.text for s in self._spans)

    def append(self, text: str, words: Sequence[Word], samples: int) -> None:
        """The next ``samples`` samples: what they say, and the times of its words from the start of these samples.

        An empty ``text`` goes on with the text before. Words without any text are the text.
        """
        said = text.strip()
        if not said and words and not self._spans:
            said = " ".join(w.text for w in words)
        begin = self.samples
        self.samples += samples
        if said:
            self._spans.append(_Span(said, begin, self.samples))
            self._starts.append(begin)
        if self._spans:
            span = self._spans[-1]
            span.end = self.samples
            for word in words:
                # Rounded up: a word counts only when its last sample was played.
                span.mark(word.text, begin - int(-word.end_ms * self.rate // 1000))

    def close(self, samples: int) -> None:
        """No more audio comes; the utterance has ``samples`` samples in all (conversion may round by one)."""
        self.closed = True
        self.samples = samples
        if self._spans:
            self._spans[-1].end = max(samples, self._spans[-1].start)

    def heard(self, played: int) -> str:
        """The words heard when the first ``played`` samples of the utterance have been played."""
        if played <= 0:
            return ""
        if self.closed and played >= self.samples:
            return self.text
        at = bisect_right(self._starts, played) - 1
        whole = [s.text for s in self._spans[: max(at, 0)]]
        if at >= 0:
            last = at == len(self._spans) - 1
            part = self._spans[at].heard(played, closed=self.closed or not last, rate=self.rate)
            if part:
                whole.append(part)
        return " ".join(whole)
