"""From what was said to words that can be compared: tokens, stems, and how alike two words are.

Everything here is English, pure and deterministic. Speech recognisers write numbers in words or in digits, mishear a
letter or a sound, and punctuate as they like; so words compare by stem, by small edit distance and by sound.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_TOKENS: Final = 120
"""Words of one utterance that are looked at, the last ones: bounds the work of every matcher."""


def listed(words: str) -> list[str]:
    """The words of a table written as one text."""
    return words.split()


FILLERS: Final = frozenset(listed("um uh erm er hmm mm ah oh eh well so like please just actually basically really"))
"""Words that say nothing; patterns step over them for free."""

QUESTION_WORDS: Final = frozenset(listed("what when where which who whose whom why how"))

STOP: Final = (
    FILLERS
    | QUESTION_WORDS
    | frozenset(
        listed("""
        a about again all also am an and any anything are as at be because been being but by can could did do
        does doing for from get give go going got had has have having hello hey hi i if in into is it its know
        let may me might mine must my need not of okay ok on one or our ours own shall she he should some
        someone something sorry tell than thank thanks that the their them then there these they this those to
        too us very want was we were will wish with wonder wondering would yes you your yours yeah find say said
        ask question bring come take use allow allowed possible able see located locate situated based many much
    """)
    )
)
"""Words too common to tell one question from another. They count only in patterns made of nothing else."""

NEGATIONS: Final = frozenset(listed("not no never without cannot neither nor"))

UNITS: Final = {
    word: value
    for value, word in enumerate(
        listed("""
        zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen
    """)
    )
}
TENS: Final = {
    word: 10 * (index + 2)
    for index, word in enumerate(listed("twenty thirty forty fifty sixty seventy eighty ninety"))
}  # fmt: skip

_MAY: Final = frozenset(["can", "could", "may", "might"])
"""Words that ask the same: "can we meet", "could we meet"."""

_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+(?:[:.,]\d+)*(?:st|nd|rd|th|am|pm)?\b|\d+")
_CONTRACTED: Final = {
    "n't": "not", "'m": "am", "'re": "are", "'ll": "will", "'ve": "have", "'d": "would",
}  # fmt: skip
_IS_AFTER: Final = frozenset(listed("it he she that this there here what who where when how name let"))
_WHOLE: Final = {
    "can't": ("can", "not"), "won't": ("will", "not"), "o'clock": ("oclock",), "let's": ("let", "us"),
    "cannot": ("can", "not"), "gonna": ("going", "to"), "wanna": ("want", "to"), "gimme": ("give", "me"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """One word: as it was written (``raw``), in lower case (``word``), and its ``stem``; ``ends`` a sentence or clause
    when punctuation follows it."""

    raw: str
    word: str
    stem: str
    ends: bool = False

    @property
    def common(self) -> bool:
        return self.word in STOP


def tokenise(text: str) -> tuple[Token, ...]:
    """The words of ``text``, contractions taken apart; at most the last ``MAX_TOKENS``."""
    clean = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
    found: list[Token] = []
    matches = list(_TOKEN.finditer(clean))[-MAX_TOKENS:]
    for index, match in enumerate(matches):
        raw = match.group()
        after = matches[index + 1].start() if index + 1 < len(matches) else len(clean)
        ends = any(mark in ".?!;," for mark in clean[match.end() : after])
        parts = _apart(raw.lower())
        for position, part in enumerate(parts):
            whole = raw if len(parts) == 1 else raw.split("'")[0] if position == 0 else part
            found.append(Token(whole, part, stem(part), ends and position == len(parts) - 1))
    return tuple(found[-MAX_TOKENS:])


def content(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens that carry the meaning, in order; all of them when every one is common."""
    telling = tuple(t for t in tokens if not t.common)
    return telling or tuple(t for t in tokens if t.word not in FILLERS)


def negated(tokens: tuple[Token, ...], at: int, *, reach: int = 6) -> bool:
    """Whether a negation stands at most ``reach`` words before ``at``, in the same clause."""
    for index in range(at - 1, max(-1, at - 1 - reach), -1):
        if tokens[index].ends:
            return False
        if tokens[index].word in NEGATIONS:
            return True
    return False


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A crude common root: ``opening``, ``opens`` → ``open``; ``prices``, ``pricing`` → ``pric``; ``seven`` → ``7``.

    A few steps of the kind that Porter's stemmer takes ("An algorithm for suffix stripping", 1980), without its
    longest suffixes: for words heard, too little is better than too much.
    """
    if word in UNITS:
        return str(UNITS[word])
    if word in TENS:
        return str(TENS[word])
    if len(word) <= 3 or not word.isalpha():
        return word
    root = word
    if root.endswith(("sses", "shes", "ches", "xes")):
        root = root[:-2]
    elif root.endswith("ies") and len(root) > 4:
        root = root[:-3] + "y"
    elif root.endswith("s") and not root.endswith(("ss", "us", "is")):
        root = root[:-1]
    for suffix in ("ations", "ation", "ings", "ing", "edly", "ed", "ment", "ly"):
        rest = root[: -len(suffix)]
        if root.endswith(suffix) and len(rest) >= 3 and any(c in "aeiouy" for c in rest):
            if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsz":
                rest = rest[:-1]
            root = rest
            break
    if len(root) > 3 and root.endswith("e"):
        root = root[:-1]
    if len(root) > 3 and root.endswith("y"):
        root = root[:-1] + "i"
    return root


@lru_cache(maxsize=65536)
def alike(first: str, second: str, *, loose: bool = False) -> float:
    """How alike two words are, 0 to 1: 1 the same root, 0.8 one slip, 0.7 the same sound, 0 strangers.

    Common words, numbers and short words are alike only when they are the same: a slip would change what they mean.
    ``loose`` is for words among others that fit: words that differ in one letter (``cable``, ``table``) give 0.6 then.
    """
    one, two = stem(first), stem(second)
    if one == two:
        return 1.0
    if first in _MAY and second in _MAY:
        return 1.0
    short = min(len(one), len(two))
    if short < 4 or first in STOP or second in STOP or not (one.isalpha() and two.isalpha()):
        return 0.0
    if short >= 5 or (short == 4 and one[0] == two[0] and max(len(one), len(two)) == 5):
        allowed = 2 if short >= 8 else 1
        if one[0] == two[0] or short >= 6:
            slips = _slips(one, two, allowed)
            if slips <= allowed:
                return 0.85 - 0.05 * slips
    if len(first) >= 6 and len(second) >= 6 and first[0] == second[0]:
        # A slip inside an ending keeps the ending from being taken off: "reservatoin".
        slips = _slips(first, second, 1)
        if slips <= 1:
            return 0.8
    sound = _sound(one)
    if len(sound) >= 3 and sound == _sound(two):
        return 0.7
    if loose and min(len(first), len(second)) >= 5 and len(first) == len(second) and _slips(first, second, 1) <= 1:
        return 0.6
    return 0.0


def best_alike(word: str, among: frozenset[str]) -> tuple[str, float]:
    """The word of ``among`` most like ``word`` and how alike it is; ``("", 0.0)`` when none is. Ties go by spelling."""
    if word in among:
        return word, 1.0
    best, score = "", 0.0
    for candidate in sorted(among):
        likeness = alike(word, candidate)
        if likeness > score:
            best, score = candidate, likeness
    return best, score


def _apart(word: str) -> tuple[str, ...]:
    if word in _WHOLE:
        return _WHOLE[word]
    if "'" not in word:
        return (word,)
    for ending, full in _CONTRACTED.items():
        if word.endswith(ending) and len(word) > len(ending):
            return (word[: -len(ending)], full)
    base, _, rest = word.partition("'")
    if rest == "s":
        return (base, "is") if base in _IS_AFTER else (base,)
    return (word.replace("'", ""),)


def _slips(first: str, second: str, most: int) -> int:
    """Edit distance with neighbours swapped counting once (Damerau 1964, restricted), or ``most + 1`` when above."""
    if abs(len(first) - len(second)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, row, above = row, [i], before
        for j, b in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        # A swap reaches back over one row, so that row must be hopeless as well.
        if min(min(row), min(before) + 1) > most:
            return most + 1
    return row[-1]


_SOUNDS: Final = str.maketrans(
    {"c": "k", "q": "k", "g": "k", "z": "s", "x": "s", "v": "f", "b": "p", "d": "t", "m": "n", "j": "y"}
)


@lru_cache(maxsize=8192)
def _sound(word: str) -> str:
    """A key that words of like sound share: consonant classes in order, vowels and doubles gone."""
    spelt = word.replace("ph", "f").replace("ck", "k").replace("sh", "s").replace("gh", "").replace("wh", "w")
    mapped = spelt.translate(_SOUNDS)
    kept = [c for i, c in enumerate(mapped) if i == 0 or c not in "aeiouyhw"]
    return "".join(c for i, c in enumerate(kept) if i == 0 or c != kept[i - 1])
