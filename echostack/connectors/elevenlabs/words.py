"""When each word of a text is said, from the character times that ElevenLabs sends with its audio.

The characters are those of the text as it was sent, or as the service reads it out; they come in pieces that may end
anywhere, and now and then a piece begins again before where the last one ended. So they are not taken to be the text:
its letters are looked for in them, and a word has been said when its last letter has.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from echostack.core.payloads import Word

# Scripts without spaces (kana, Han) are told word by word as one character a word, as the playout ledger counts them.
_UNSPACED: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN: Final = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_AHEAD: Final = 40  # letters that may be missing in the times before the search gives up


@dataclass(slots=True)
class _Token:
    """One word: its text, where it stands in the whole text, its letters (from, to), and when the first began."""

    text: str
    at: int
    first: int
    last: int
    start_ms: float | None = None


@dataclass(slots=True)
class SpokenText:
    """The text that one context was given so far, and how much of it has been said.

    Times are ms from the beginning of the context's audio.
    """

    text: str = ""
    letters: str = ""
    """The text's letters and digits alone, in one case and without marks."""
    said: int = 0
    """How many of the letters have times."""
    told: bool = False
    """Whether any times have come at all."""
    end_ms: float = 0.0
    """When the last letter that has a time ends."""
    _tokens: list[_Token] = field(default_factory=list)
    _next: int = 0  # the first token that is not whole
    _begins: dict[int, float] = field(default_factory=dict)  # of letters that somebody asked about
    _wanted: list[int] = field(default_factory=list)

    def add(self, text: str) -> int:
        """Append ``text``, which ends in a space; the number of letters before it."""
        before = len(self.letters)
        offset = len(self.text)
        self.text += text
        for match in _TOKEN.finditer(text):
            found = letters_of(match.group())
            if found:
                first = len(self.letters)
                self.letters += found
                self._tokens.append(_Token(match.group(), offset + match.start(), first, len(self.letters)))
        self._wanted.append(before)
        return before

    @property
    def whole(self) -> bool:
        """Whether everything has been said, as far as the times tell."""
        return self.said >= len(self.letters)

    @property
    def nearly(self) -> bool:
        """Whether at most the last word has no time."""
        return not self._tokens or self._next >= len(self._tokens) - 1

    @property
    def rest(self) -> str:
        """The text from the first word on that is not known to have been said whole."""
        return self.text[self._tokens[self._next].at :] if self._next < len(self._tokens) else ""

    def skip(self) -> None:
        """Take everything that was added to have been said, times or not."""
        self.said, self._next = len(self.letters), len(self._tokens)

    def begins(self, letter: int) -> float | None:
        """When the first letter of a text that was added begins; None while that is not known. ``letter``: what ``add``
        gave for that text."""
        return self._begins.get(letter)

    def continues(self, characters: Sequence[str]) -> bool:
        """Whether ``characters`` are what is to be said next."""
        return self.letters.startswith(letters_of("".join(characters)), self.said) and not self.whole

    def hear(self, characters: Sequence[str], starts: Sequence[float], ends: Sequence[float]) -> list[Word]:
        """Take in the times of some characters; the words that are whole by now, in order.

        Lists of different lengths are taken as far as the shortest goes.
        """
        heard = [(x, s, e) for c, s, e in zip(characters, starts, ends, strict=False) for x in letters_of(c)]
        self.told = self.told or bool(heard)
        if not heard:
            return []
        found = "".join(x for x, _, _ in heard)
        if self.letters.startswith(found, self.said):
            return self._take(self.said, heard)
        again = self.letters.rfind(found, 0, self.said + len(found) - 1)
        if again >= 0:  # begun again before where the last times ended
            return self._take(again, heard)
        later = self.letters.find(found, self.said, self.said + _AHEAD + len(found))
        if later >= 0:
            return self._take(later, heard)
        return self._word_by_word(characters, starts, ends)

    def _word_by_word(self, characters: Sequence[str], starts: Sequence[float], ends: Sequence[float]) -> list[Word]:
        """Words of the times where they stand in the text; those that do not are read out otherwise than written."""
        words: list[Word] = []
        run: list[tuple[str, float, float]] = []
        for c, s, e in [*zip(characters, starts, ends, strict=False), (" ", 0.0, 0.0)]:
            run += [(x, s, e) for x in letters_of(c)]
            if not c.isspace() or not run:
                continue
            found = "".join(x for x, _, _ in run)
            places = [self.said, *(t.first for t in self._tokens[self._next :] if t.first > self.said)]
            near = [p for p in places if p <= self.said + _AHEAD]
            place = next((p for p in near if self.letters.startswith(found, p)), None)
            if place is not None:
                words += self._take(place, run)
            run = []
        return words

    def _take(self, place: int, heard: Sequence[tuple[str, float, float]]) -> list[Word]:
        """The letters from ``place`` on have these times."""
        words: list[Word] = []
        for letter, (_, start, end) in enumerate(heard, place):
            if letter < self.said:
                continue
            if letter in self._wanted:
                self._begins[letter] = start
            while self._next < len(self._tokens) and self._tokens[self._next].last <= letter:
                self._next += 1  # skipped: never timed whole
            token = self._tokens[self._next]
            if token.start_ms is None:
                token.start_ms = start
            self.said, self.end_ms = letter + 1, max(self.end_ms, end)
            if self.said == token.last:
                words.append(Word(token.text, token.start_ms, end))
                self._next += 1
        for wanted in self._wanted:
            if wanted < self.said and wanted not in self._begins:
                self._begins[wanted] = heard[0][1]
        self._wanted = [w for w in self._wanted if w not in self._begins]
        return words


@lru_cache(4096)
def letters_of(text: str) -> str:
    """The letters and digits of ``text`` in one case, compatibility forms and accents taken off: what is left of it
    whether it is written, normalised or read out."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if c.isalnum())
