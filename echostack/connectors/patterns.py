"""Patterns of phrases, not regular expressions: ``my name is {name}``, ``book [me] a table``, ``{n:number} of us``.

A pattern is words; ``[words]`` may be missing, ``*`` stands for any few words, ``{slot}`` or ``{slot:kind}`` captures a
value (kinds: values.SLOT_KINDS; the slot's own name suggests one). It may begin and end anywhere in what was said.
Words compare as words.alike does, fillers are stepped over, and common words of a pattern without slots may be missing
as long as telling ones remain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from echostack.connectors.values import SLOT_KINDS, kind_for, read
from echostack.connectors.words import FILLERS, NEGATIONS, Token, alike, content, negated, stem, tokenise

LIKE_ENOUGH: Final = 0.6
MAX_PATTERN: Final = 200
"""Characters of a pattern."""

_GAP: Final = 2  # words between two words of a pattern without slots
_PIECE = re.compile(r"\{([A-Za-z_]\w*)(?::([a-z_]+))?\}|\[([^\[\]{}*]+)\]|(\*)|([^\s\[\]{}*]+)")


@dataclass(frozen=True, slots=True)
class Literal:
    """A word of a pattern."""

    token: Token
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A value to capture."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Gap:
    """``*``: up to six words, whatever they are."""


Element = Literal | Slot | Gap


@dataclass(frozen=True, slots=True)
class Match:
    """How a pattern was found: ``score`` 0 to 1 for how exactly, ``covered`` 0 to 1 for how much of what was said it
    accounts for, ``weight`` how many telling parts it has."""

    score: float
    covered: float
    weight: int
    slots: Mapping[str, str] = field(default_factory=dict)

    @property
    def quality(self) -> float:
        """One number to compare matches by: exactness first, then how much of the utterance is explained."""
        return 0.6 * self.score + 0.4 * self.covered


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of laying the rest of a pattern over the tokens."""

    likeness: float
    used: tuple[int, ...]
    slots: tuple[tuple[str, str], ...]


class Pattern:
    """One compiled pattern. ValueError, with a message for people, when the text is not one."""

    def __init__(self, text: str, kinds: Mapping[str, str] | None = None) -> None:
        self.text = text
        self.elements = _parse(text, kinds or {})
        self.slots = {e.name: e.kind for e in self.elements if isinstance(e, Slot)}
        literals = tuple(e.token for e in self.elements if isinstance(e, Literal) and not e.optional)
        telling = {t for t in content(literals) if not t.common}
        self._loose = not self.slots and bool(telling)
        self._needed = frozenset(telling)
        self._negative = any(t.word in NEGATIONS for t in literals)
        needed = self._needed if self._loose else frozenset(literals)
        self._must = tuple(sorted({t.word for t in needed}))
        self.weight = max(1, len(telling)) + len(self.slots)

    def match(self, tokens: tuple[Token, ...]) -> Match | None:
        """The best way in which the pattern occurs in the tokens, or None.

        A phrase that the caller negates (``I do not want to book``) is not found, unless the pattern negates as well.
        """
        ways = [w for w in self._ways(tokens) if self._negative or not _denied(tokens, w)]
        best = max(ways, key=lambda w: (w.likeness, len(w.used)), default=None)
        if best is None:
            return None
        meant = sum(1 for e in self.elements if not isinstance(e, Gap) and not (isinstance(e, Literal) and e.optional))
        asked = self.weight if self._loose else meant
        score = min(1.0, best.likeness / max(1, asked))
        telling = [i for i, t in enumerate(tokens) if not t.common] or [
            i for i, t in enumerate(tokens) if t.word not in FILLERS
        ]
        covered = sum(1 for i in telling if i in set(best.used)) / len(telling) if telling else 1.0
        return Match(score, covered, self.weight, dict(best.slots))

    def negated_in(self, tokens: tuple[Token, ...]) -> bool:
        """Whether the phrase occurs, and the caller negates it wherever it does."""
        ways = self._ways(tokens)
        return bool(ways) and not self._negative and all(_denied(tokens, w) for w in ways)

    def _ways(self, tokens: tuple[Token, ...]) -> list[_Way]:
        words = {t.word for t in tokens}
        loose = len(self._needed) > 1
        # Most patterns miss a word, which is found out without trying any place.
        if any(all(alike(must, word, loose=loose) < LIKE_ENOUGH for word in words) for must in self._must):
            return []
        memo: dict[tuple[int, int], _Way | None] = {}
        ways = [self._lay(0, start, tokens, memo, first=True) for start in range(len(tokens))]
        return [w for w in ways if w is not None and w.used]

    def _lay(
        self,
        element: int,
        place: int,
        tokens: tuple[Token, ...],
        memo: dict[tuple[int, int], _Way | None],
        *,
        first: bool = False,
    ) -> _Way | None:
        if element == len(self.elements):
            return _Way(0.0, (), ())
        key = (element, place)
        if not first and key in memo:
            return memo[key]
        way = self._try(element, place, tokens, memo, first)
        if not first:
            memo[key] = way
        return way

    def _try(
        self,
        element: int,
        place: int,
        tokens: tuple[Token, ...],
        memo: dict[tuple[int, int], _Way | None],
        first: bool,
    ) -> _Way | None:
        part = self.elements[element]
        ways: list[_Way] = []
        if isinstance(part, Gap):
            for skip in range(min(6, len(tokens) - place) + 1):
                rest = self._lay(element + 1, place + skip, tokens, memo)
                if rest is not None:
                    ways.append(_Way(rest.likeness - 0.01 * skip, rest.used, rest.slots))
        else:
            if isinstance(part, Literal) and (part.optional or (self._loose and part.token not in self._needed)):
                rest = self._lay(element + 1, place, tokens, memo, first=first)
                if rest is not None:
                    ways.append(rest)
            for at, cost in self._reach(place, tokens, first, slot=isinstance(part, Slot)):
                ways += self._here(part, element, at, cost, tokens, memo)
        return max(ways, key=lambda w: (w.likeness, len(w.used)), default=None)

    def _here(
        self,
        part: Literal | Slot,
        element: int,
        at: int,
        cost: float,
        tokens: tuple[Token, ...],
        memo: dict[tuple[int, int], _Way | None],
    ) -> list[_Way]:
        if isinstance(part, Literal):
            likeness = alike(part.token.word, tokens[at].word, loose=len(self._needed) > 1)
            rest = self._lay(element + 1, at + 1, tokens, memo) if likeness >= LIKE_ENOUGH else None
            if rest is None:
                return []
            counted = likeness if part.token in self._needed or not self._loose else 0.0
            return [_Way(counted + rest.likeness - cost, (at, *rest.used), rest.slots)]
        ways = []
        for text, end in _readings(part.kind, tokens, at, last=element == len(self.elements) - 1):
            rest = self._lay(element + 1, end, tokens, memo)
            if rest is not None:
                used = (*range(at, end), *rest.used)
                ways.append(_Way(1.0 + rest.likeness - cost, used, ((part.name, text), *rest.slots)))
        return ways[:1]

    def _reach(self, place: int, tokens: tuple[Token, ...], first: bool, *, slot: bool) -> list[tuple[int, float]]:
        """Where the next part may stand, and what stepping over the words before it costs."""
        if place >= len(tokens):
            return []
        if first:
            return [(place, 0.0)]
        reach, cost, stepped = [], 0.0, 0
        for at in range(place, len(tokens)):
            reach.append((at, cost))
            if tokens[at].word in FILLERS:
                continue
            if not self._loose or slot or tokens[at].ends:
                break
            stepped += 1
            cost += 0.02 if tokens[at].common else 0.08
            if stepped > _GAP + (2 if tokens[at].common else 0):
                break
        return reach


def _denied(tokens: tuple[Token, ...], way: _Way) -> bool:
    """Whether a negation stands before the first telling word that the pattern was found by."""
    telling = next((i for i in way.used if not tokens[i].common), way.used[0])
    return negated(tokens, telling)


def _readings(kind: str, tokens: tuple[Token, ...], at: int, *, last: bool) -> list[tuple[str, int]]:
    if kind != "words":
        return [(v.text, v.end) for v in read(kind, tokens, at)]
    ends = range(len(tokens), at, -1) if last else range(at + 1, min(len(tokens), at + 12) + 1)
    readings = []
    for end in ends:
        words = [t.raw for t in tokens[at:end] if t.word not in FILLERS]
        if words:
            readings.append((" ".join(words), end))
    return readings


def _parse(text: str, kinds: Mapping[str, str]) -> tuple[Element, ...]:
    if not text.strip():
        raise ValueError("a pattern is empty")
    if len(text) > MAX_PATTERN:
        raise ValueError(f"a pattern has {len(text)} characters: at most {MAX_PATTERN} can be matched")
    elements: list[Element] = []
    place = 0
    for match in _PIECE.finditer(text):
        if text[place : match.start()].strip():
            break
        place = match.end()
        slot, kind, optional, star, words = match.groups()
        if slot:
            chosen = kind or kinds.get(slot) or kind_for(slot)
            if chosen not in SLOT_KINDS:
                raise ValueError(
                    f"the pattern {text!r} has a slot of kind {chosen!r}: there are {', '.join(SLOT_KINDS)}"
                )
            if any(isinstance(e, Slot) and e.name == slot for e in elements):
                raise ValueError(f"the pattern {text!r} captures {{{slot}}} twice")
            elements.append(Slot(slot, chosen))
        elif star:
            elements.append(Gap())
        else:
            elements += [Literal(t, bool(optional)) for t in tokenise(optional or words)]
    if text[place:].strip():
        raise ValueError(
            f"the pattern {text!r} has a bracket that does not fit: it takes words, [words], {{slot}} and *"
        )
    if not any(isinstance(e, Literal) and not e.optional for e in elements):
        raise ValueError(f"the pattern {text!r} has no word of its own, so it would match anything")
    return tuple(elements)


def stems(text: str) -> tuple[str, ...]:
    """The telling stems of ``text``, in order."""
    return tuple(stem(t.word) for t in content(tokenise(text)))
