"""Which of many texts was meant: a small index that scores texts against what was said.

Term weights are the inverse document frequency and saturation of Okapi BM25 (Robertson and Zaragoza, "The Probabilistic
Relevance Framework", 2009), k1 = 1.2 and b = 0.75, with one change: the score of a text is divided by the score of a
text that had every word of the query, so that it lies in 0..1 and one threshold serves indexes of every size.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from echostack.connectors.words import Token, best_alike, content, tokenise

K1: Final = 1.2
B: Final = 0.75

PLACE_AND_TIME: Final = frozenset(("where", "when", "who"))
"""Common words that still tell one question from another; an answer seldom holds them."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A text by its index, and how well it answers the query, 0 to 1."""

    index: int
    score: float


class Synonyms:
    """Phrases that mean one word: ``{price: [cost, how much]}`` makes ``how much is it`` ask for a price."""

    def __init__(self, groups: Mapping[str, Sequence[str]] | None = None) -> None:
        known: list[tuple[tuple[str, ...], Token]] = []
        for word, phrases in (groups or {}).items():
            token = tokenise(word)
            if len(token) != 1:
                raise ValueError(f"synonyms stand under one word, not under {word!r}")
            for phrase in phrases:
                stems = tuple(t.stem for t in tokenise(phrase))
                if stems:
                    known.append((stems, token[0]))
        known.sort(key=lambda p: -len(p[0]))
        self._phrases: dict[str, list[tuple[tuple[str, ...], Token]]] = {}  # by their first stems, the longest first
        for stems, replaced in known:
            self._phrases.setdefault(stems[0], []).append((stems, replaced))

    def apply(self, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        """The tokens with every phrase replaced by its word, longest phrases first."""
        if not self._phrases:
            return tokens
        found: list[Token] = []
        place = 0
        while place < len(tokens):
            for stems, token in self._phrases.get(tokens[place].stem, ()):
                if len(stems) == 1 or tuple(t.stem for t in tokens[place : place + len(stems)]) == stems:
                    found.append(Token(token.raw, token.word, token.stem, tokens[place + len(stems) - 1].ends))
                    place += len(stems)
                    break
            else:
                found.append(tokens[place])
                place += 1
        return tuple(found)


class Index:
    """Texts, searched by what was said. Immutable; a search is a pure function of index and query."""

    def __init__(self, texts: Sequence[str], synonyms: Synonyms | None = None) -> None:
        self._synonyms = synonyms or Synonyms()
        self._counts = [Counter(self._terms(tokenise_all(t))) for t in texts]
        self._lengths = [sum(c.values()) for c in self._counts]
        self._mean = (sum(self._lengths) / len(self._lengths)) if self._lengths else 1.0
        self._idf: dict[str, float] = {}
        self._texts: dict[str, list[int]] = {}
        for index, counts in enumerate(self._counts):
            for term in counts:
                self._texts.setdefault(term, []).append(index)
        for term, where in self._texts.items():
            self._idf[term] = math.log(1 + (len(texts) - len(where) + 0.5) / (len(where) + 0.5))
        # A word that no text has weighs as much as one that a single text has: it may be a slip of the recogniser.
        self._unknown = math.log(1 + (max(1, len(texts)) - 0.5) / 1.5)
        self._vocabulary = frozenset(self._idf)

    def __len__(self) -> int:
        return len(self._counts)

    def passages(self, tokens: tuple[Token, ...], *, most: int = 5) -> list[Hit]:
        """The texts that hold what was asked for, best first: how much of the query's weight each one covers."""
        query = [q for q in self._query(tokens) if q[0] not in PLACE_AND_TIME]
        asked = sum(weight for _, weight, _ in query)
        if not asked:
            return []
        scores: dict[int, float] = {}
        for term, weight, likeness in query:
            for index in self._texts.get(term, ()):
                count = self._counts[index][term]
                # Saturation over its value for one occurrence in a text of mean length, so that this case counts 1.
                norm = K1 * (1 - B + B * self._lengths[index] / self._mean)
                saturated = count * (K1 + 1) / (count + norm)
                scores[index] = scores.get(index, 0.0) + weight * likeness * min(1.0, 0.5 + 0.5 * saturated)
        hits = [Hit(i, min(1.0, s / asked)) for i, s in scores.items()]
        return sorted(hits, key=lambda h: (-h.score, h.index))[:most]

    def questions(self, tokens: tuple[Token, ...], *, most: int = 5) -> list[Hit]:
        """The texts that ask the same, best first: the harmonic mean of how much of each covers the other."""
        query = self._query(tokens)
        asked = sum(weight for _, weight, _ in query)
        if not asked:
            return []
        shared: dict[int, tuple[float, float]] = {}
        for term, weight, likeness in query:
            for index in self._texts.get(term, ()):
                of_query, of_text = shared.get(index, (0.0, 0.0))
                shared[index] = (of_query + weight * likeness, of_text + self._idf[term] * likeness)
        hits = []
        for index, (of_query, of_text) in shared.items():
            whole = sum(self._idf[t] for t in self._counts[index])
            precision, recall = of_query / asked, min(1.0, of_text / whole) if whole else 0.0
            both = precision + recall
            hits.append(Hit(index, min(1.0, 2 * precision * recall / both) if both else 0.0))
        return sorted(hits, key=lambda h: (-h.score, h.index))[:most]

    def _query(self, tokens: tuple[Token, ...]) -> list[tuple[str, float, float]]:
        """Each different term of the query: the index's own spelling of it, its weight, and how alike they are."""
        found: dict[str, tuple[str, float, float]] = {}
        for term in self._terms(tokens):
            if term in found:
                continue
            own, likeness = best_alike(term, self._vocabulary)
            if likeness:
                found[term] = (own, self._idf[own], likeness)
            elif term not in PLACE_AND_TIME:
                found[term] = ("", self._unknown, 0.0)
        return list(found.values())

    def _terms(self, tokens: tuple[Token, ...]) -> list[str]:
        said = self._synonyms.apply(tokens)
        telling = [t for t in said if not t.common or t.word in PLACE_AND_TIME]
        return [t.stem for t in telling or content(said)]


def tokenise_all(text: str) -> tuple[Token, ...]:
    """The tokens of a text of any length, a line at a time (``tokenise`` keeps an utterance's worth only)."""
    found: list[Token] = []
    for line in text.splitlines():
        words = line.split()
        for start in range(0, len(words), 80):
            found += tokenise(" ".join(words[start : start + 80]))
    return tuple(found)
