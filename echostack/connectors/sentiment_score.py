"""sentiment.score: how a turn was meant, by a small lexicon with negation and emphasis."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import Final

from pydantic import Field

from echostack.connectors.words import NEGATIONS, Token, listed, stem, tokenise
from echostack.core.payloads import Sentiment, Text
from echostack.registry import ITSELF, ConnectorSettings, Latency, connector

_STRONGER: Final = frozenset(listed("very really so extremely absolutely totally completely too incredibly truly such"))
_WEAKER: Final = frozenset(listed("slightly somewhat bit little kind sort fairly quite rather almost barely"))
_REACH: Final = 3  # words before a word that can turn or strengthen it
_SPREAD: Final = 12.0  # how fast the sum of weights approaches 1; two strong words give 0.76


class SentimentSettings(ConnectorSettings):
    """Where neutral ends, and words of one's own."""

    neutral: float = Field(default=0.15, ge=0, lt=1)
    """Scores from -neutral to neutral are called neutral."""
    words: dict[str, float] = Field(default_factory=dict)
    """More words and their weights from -4 (bad) to 4 (good); they go before the shipped ones."""


@connector("sentiment.score", latency=Latency(p50=0.1, p95=0.3), simulation=ITSELF)
def score(turn: Text, settings: SentimentSettings) -> Sentiment | None:
    """Scores how a turn was meant, -1 (bad) to 1 (good), by a lexicon with negation and emphasis.

    Nothing for a turn without words.
    """
    tokens = tokenise(turn.text)
    if not tokens:
        return None
    own = {stem(word.lower()): max(-4.0, min(4.0, weight)) for word, weight in settings.words.items()}
    total = sum(_weight(tokens, at, own) for at in range(len(tokens)))
    if "!" in turn.text:
        total *= 1.2
    value = round(total / math.sqrt(total * total + _SPREAD), 3)
    label = "positive" if value > settings.neutral else "negative" if value < -settings.neutral else "neutral"
    return Sentiment(value, label, turn.text)


def _weight(tokens: tuple[Token, ...], at: int, own: dict[str, float]) -> float:
    root = tokens[at].stem
    weight = own.get(root, lexicon().get(root, 0.0))
    if not weight:
        return 0.0
    for before in range(at - 1, max(-1, at - 1 - _REACH), -1):
        word = tokens[before].word
        if tokens[before].ends:
            break
        if word in NEGATIONS:
            return weight * -0.75  # "not good" is less bad than "bad"
        if word in _STRONGER:
            weight *= 1.3
        elif word in _WEAKER:
            weight *= 0.6
    return weight


@cache
def lexicon() -> dict[str, float]:
    """Stem → weight, from data/sentiment.txt."""
    text = (files("echostack.connectors") / "data" / "sentiment.txt").read_text("utf-8")
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            *words, weight = line.split()
            found.update({stem(word): float(weight) for word in words})
    return found
