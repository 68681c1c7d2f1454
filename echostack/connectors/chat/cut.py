"""Cuts a text that is still being written into pieces that can be spoken one by one, each as early as it is sure.

What is decided of the beginning of a text holds whatever comes after it, so the pieces are the same however the text
arrives. A decision looks ahead to the next word's first character at most, and back over one piece, so a long text
costs in proportion to its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from echostack.connectors.clauses import LONGEST
from echostack.connectors.words import listed

_MARK: Final = re.compile(
    r"\n|[.!?…؟।॥]+[\"'”’»)\]*_]*(?=\s|$)|[,;:–—،؛]+[\"'”’»)\]*_]*(?=\s|$)"
    r"|[。！？｡]+[\"'”’)\]」』）】*_]*|[，、；：]+[\"'”’)\]」』）】*_]*"  # no blank stands behind these
)
_CLAUSE: Final = frozenset(",;:–—،؛，、；：")
_UNSPACED: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")  # two of them count as a word
_WORD: Final = re.compile(r"\w+(?:['’.]\w+)*")

SHORT: Final = {
    "en": frozenset(
        listed("""
        mr mrs ms dr st prof sr jr vs etc e.g i.e a.m p.m approx dept ext inc ltd co ave blvd rd apt fig est min max
        jan feb mar apr jun jul aug sep sept oct nov dec tel vol u.s u.k ph.d
    """)
    ),
    "de": frozenset(
        listed("dr prof hr fr nr str bzw ca usw evtl ggf inkl zzgl tel abs mio mrd std min sog vgl geb st")
    ),
    "es": frozenset(listed("sr sra srta sres dr dra prof ud uds etc av avda tel núm pág aprox")),
    "fr": frozenset(listed("m mm mme mlle dr prof st ste etc av bd tél env")),
    "it": frozenset(listed("sig sigg dott prof ing avv ecc tel pag ca")),
    "nl": frozenset(listed("dhr mevr mw dr prof ir drs bijv enz ca tel str nr")),
    "pt": frozenset(listed("sr sra srta dr dra prof av etc tel aprox")),
}
"""Abbreviations by language: a full stop behind one ends no sentence, unless they may end one (below)."""

_ANYWHERE: Final = frozenset(listed("dr prof etc tel"))
_MAY_END: Final = frozenset(listed("etc a.m p.m inc ltd co st ave blvd rd u.s u.k jr sr ph.d usw ecc enz"))
_ORDINALS: Final = frozenset(listed("cs da de et fi hr hu is lb lv nb nn no pl sk sl sr tr"))
"""Languages that write ``the third`` as ``3.``"""

_COUNTED: Final = frozenset(listed("no nos nr pp"))  # abbreviations before a number, words elsewhere


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece as it stands in the text, and whether it begins and ends a line of it."""

    text: str
    begins_line: bool
    ends_line: bool


class Cutter:
    """``feed`` gives the pieces that are sure, ``end`` the rest.

    The pieces are sentences and lines. The first one may end at a clause of at least ``first_words`` words (0: never),
    so that speech begins early; and what is longer than 200 characters is cut at a clause, a space, or anywhere. No
    piece ends inside a number, an abbreviation or a link's text. Joined, the pieces are the text but for its blanks.
    """

    def __init__(self, *, language: str, first_words: int) -> None:
        self._short = SHORT.get(language, _ANYWHERE)
        self._ordinals = language in _ORDINALS
        self._first_words = first_words
        self._text = ""
        self._looked = 0  # marks before this place end no piece
        self._first = True
        self._begins_line = True

    def feed(self, text: str) -> list[Cut]:
        """The pieces that ``text`` completes."""
        self._text += text
        found: list[Cut] = []
        while (end := self._sure()) is not None:
            found += self._take(end)
        return found

    def end(self) -> list[Cut]:
        """The last pieces: the text is whole."""
        found = self.feed("\n")
        return found + (self._take(len(self._text)) if self._text else [])

    def _take(self, end: int) -> list[Cut]:
        piece, self._text = self._text[:end], self._text[end:]
        # Blanks between pieces belong to none, so that where the next one begins does not depend on them.
        line = piece.endswith("\n")
        cut = Cut(piece.strip(), self._begins_line, line)
        self._begins_line, self._looked = line, 0
        if not cut.text:
            return []
        self._first = False
        return [cut]

    def _sure(self) -> int | None:
        """Where the next piece ends, as soon as nothing that follows could change it."""
        text = self._text
        for mark in _MARK.finditer(text, self._looked):
            if mark.end() > LONGEST:
                break
            if mark.group() == "\n":
                return mark.end()
            ends = self._ends(mark)
            if ends is None:
                return None
            if ends:
                return mark.end()
            self._looked = mark.end()
        if len(text) > LONGEST + 1:
            return _shortened(text)
        return None

    def _ends(self, mark: re.Match[str]) -> bool | None:
        """Whether a piece ends at a mark; None while that cannot be told."""
        text, clause = self._text, mark.group()[0] in _CLAUSE
        if mark.end() == len(text):
            return None  # the mark may go on, or a number with it
        before = text[: mark.start()]
        if before.count("[") > before.count("]"):
            return False
        if clause and (not self._first or not self._first_words or _words(before) < self._first_words):
            return False
        if not clause and mark.group()[0] not in ".…":
            return True
        rest = text[mark.end() :].lstrip(" \t")
        if not rest:
            return None
        following = rest[0]
        if clause:
            # Not within a date or an enumeration of numbers.
            return following != "\n" and not (before[-1:].isdigit() and following.isdigit())
        if following == "\n":
            return False  # the line ends the piece
        if mark.group()[0] == "…" or len(mark.group().rstrip("\"'”’)]*_")) > 1:
            return not following.islower()
        return self._full_stop(before, following)

    def _full_stop(self, before: str, following: str) -> bool:
        words = before.split()
        last = words[-1].lower().lstrip("(\"'“‘*_[") if words else ""
        if last in _COUNTED and following.isdigit():
            return False
        if last.isdigit() and (self._ordinals or (self._begins_line and before.strip() == last)):
            return False  # the number of a list's item, or of a day
        if last == "st" and not (len(words) > 1 and words[-2][0].isupper()):
            return False  # a saint, and no street
        if last in self._short or (len(last) == 1 and last.isalpha() and last != "i"):
            return last in _MAY_END and following.isupper()
        return not following.islower()


def _words(text: str) -> int:
    unspaced = len(_UNSPACED.findall(text))
    return unspaced // 2 if unspaced else len(_WORD.findall(text))


def _shortened(text: str) -> int:
    """Where a text that is too long is cut: behind a clause, else at a space that parts no number, else anywhere."""
    head = text[: LONGEST + 1]
    clauses = [m.end() for m in re.finditer(r"[,;:–—،؛][\"'”’»)]*(?=\s)|[，、；：]", head[:-1])]
    for at in reversed(clauses):
        if at > LONGEST // 3 and not (text[at - 2].isdigit() and text[at + 1].isdigit()):
            return at
    for at in range(LONGEST, LONGEST // 3, -1):
        if text[at].isspace() and text[at - 1].isalpha() and not text[at + 1].isdigit():
            return at
    at = max(head.rfind(" "), head.rfind("\t"))
    return at if at > 0 else LONGEST
