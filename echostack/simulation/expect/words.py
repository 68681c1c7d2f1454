"""Texts compared as speech is: by their words, case and punctuation aside; and how two of them differ."""

from __future__ import annotations

import difflib
import re
import unicodedata
from functools import lru_cache

_PIECE = re.compile(r"[^\s_/\-\u2010-\u2015]+")
_NEAR = 3
"""Equal words that are shown on each side of a difference; more of them become an ellipsis."""


@lru_cache(maxsize=1024)
def words_of(text: str) -> tuple[str, ...]:
    """The words of ``text`` for comparing: folded, without punctuation; a hyphen parts two words, an apostrophe none.

    ``"Don't—it's twenty-one!"`` → ``dont its twenty one``.
    """
    return tuple(word for word in (_folded(piece) for piece in _PIECE.findall(text)) if word)


def same_words(one: str, other: str) -> bool:
    """Whether two texts have the same words in the same order."""
    return words_of(one) == words_of(other)


def has_words(text: str, part: str) -> bool:
    """Whether the words of ``part`` stand in ``text`` one right after the other; those of an empty part always do."""
    whole, wanted = words_of(text), words_of(part)
    return any(whole[at : at + len(wanted)] == wanted for at in range(len(whole) - len(wanted) + 1))


def likeness(one: str, other: str) -> float:
    """How alike two texts are, by their letters: 0 for nothing in common, 1 for the same words."""
    return difflib.SequenceMatcher(None, " ".join(words_of(one)), " ".join(words_of(other)), autojunk=False).ratio()


def difference(expected: str, found: str) -> str:
    """``found`` against ``expected``, word by word: ``we are [-open-] {+closed+} on Sunday``.

    What stands in ``[-…-]`` was expected and is missing, what stands in ``{+…+}`` was not expected. Words are shown as
    they are written; long stretches that are equal are cut. Empty when there is no difference.
    """
    ours, theirs = _pieces(expected), _pieces(found)
    matcher = difflib.SequenceMatcher(None, [w for w, _ in ours], [w for w, _ in theirs], autojunk=False)
    parts: list[str] = []
    codes = matcher.get_opcodes()
    if all(tag == "equal" for tag, *_ in codes):
        return ""
    for number, (tag, i1, i2, j1, j2) in enumerate(codes):
        if tag == "equal":
            parts += _stretch([p for _, p in theirs[j1:j2]], number == 0, number == len(codes) - 1)
            continue
        if i2 > i1:
            parts.append(f"[-{' '.join(p for _, p in ours[i1:i2])}-]")
        if j2 > j1:
            parts.append(f"{{+{' '.join(p for _, p in theirs[j1:j2])}+}}")
    return " ".join(parts)


def _stretch(words: list[str], first: bool, last: bool) -> list[str]:
    """Equal words, only those beside a difference when there are many."""
    before, after = (0 if first else _NEAR), (0 if last else _NEAR)
    if len(words) <= before + after + 1:
        return words
    return [*words[:before], "…", *words[len(words) - after :]]


def _pieces(text: str) -> list[tuple[str, str]]:
    """Every word of ``text`` as it is compared and as it is written."""
    found = [(_folded(piece), piece) for piece in _PIECE.findall(text)]
    return [(word, piece) for word, piece in found if word]


def _folded(piece: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", piece).casefold())
    return "".join(c for c in folded if c.isalnum() or unicodedata.category(c) in ("Mn", "Mc"))
