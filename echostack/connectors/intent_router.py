"""intent.router: what the caller wants, by examples and keywords, and the port to go on by."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field, field_validator, model_validator

from echostack.connectors.compiled import PerSettings
from echostack.connectors.matching import Index, Synonyms
from echostack.connectors.patterns import Pattern
from echostack.connectors.values import SlotKind, find
from echostack.connectors.words import Token, tokenise
from echostack.core.payloads import Intent, Text
from echostack.registry import ITSELF, ConnectorSettings, Context, Forward, Latency, connector


class Route(ConnectorSettings):
    """One intent: how callers say it."""

    examples: tuple[str, ...] = ()
    """Whole sentences that mean it; {slot} captures a value."""
    keywords: tuple[str, ...] = ()
    """Words or phrases any of which is enough."""
    slots: dict[str, SlotKind] = Field(default_factory=dict)
    """Values to look for in what was said: name, number, time, day, phone, words."""

    @field_validator("examples", "keywords", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _reads(self) -> Route:
        if not self.examples and not self.keywords:
            raise ValueError("a route needs examples or keywords")
        for text in (*self.examples, *self.keywords):
            Pattern(text, self.slots)
        return self


class RouterSettings(ConnectorSettings):
    """The intents, each an output port of the same name."""

    routes: dict[str, Route] = Field(min_length=1)
    """Intent → how callers say it: {examples, keywords, slots}, or just a list of examples."""
    other: str = "other"
    """The port, and the intent's name, when none fits."""
    threshold: float = Field(default=0.6, gt=0, le=1)
    """How well the best intent must fit, 0 to 1."""
    synonyms: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Words and the phrases that mean the same: {book: [reserve, put me down for]}."""

    @field_validator("routes", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: {"examples": v} if isinstance(v, str | list | tuple) else v for k, v in value.items()}

    @model_validator(mode="after")
    def _fits(self) -> RouterSettings:
        for name in (*self.routes, self.other):
            if not name.isidentifier():
                raise ValueError(f"{name!r} cannot be a port: it takes letters, digits and _")
        if self.other in self.routes:
            raise ValueError(
                f"{self.other!r} is both a route and the port for everything else: name one of them otherwise"
            )
        for word in self.synonyms:
            if not word.isalpha():
                raise ValueError(f"synonyms stand under one word, not under {word!r}")
        return self


def _ports(settings: Any) -> tuple[str, ...]:
    return (*settings.routes, settings.other) if isinstance(settings, RouterSettings) else ()


class _Tables:
    """The routes in the form in which they are looked up. The same for every call with these settings: nothing of it
    changes."""

    def __init__(self, settings: RouterSettings) -> None:
        self.synonyms = Synonyms(settings.synonyms)
        self.patterns: list[tuple[str, Pattern, bool]] = []
        examples: list[str] = []
        self.owners: list[str] = []
        for name, route in settings.routes.items():
            for text in route.examples:
                self.patterns.append((name, Pattern(text, route.slots), False))
                examples.append(
                    text.translate({ord("{"): " ", ord("}"): " ", ord("["): " ", ord("]"): " ", ord("*"): " "})
                )
                self.owners.append(name)
            self.patterns += [(name, Pattern(text, route.slots), True) for text in route.keywords]
        self.examples = Index(examples, self.synonyms)


_TABLES: Final[PerSettings[RouterSettings, _Tables]] = PerSettings(_Tables)


@connector("intent.router", ports=_ports, latency=Latency(p50=0.5, p95=2), simulation=ITSELF, guessable=True)
class IntentRouter:
    """Recognises what the caller wants: an intent by the main port, and the turn itself by the port of that name.

    What fits no route well enough goes on by the port ``other``, with an intent of that name.
    """

    def __init__(self, settings: RouterSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        tables = _TABLES(settings)
        self._synonyms, self._patterns = tables.synonyms, tables.patterns
        self._owners, self._examples = tables.owners, tables.examples

    def __call__(self, turn: Text) -> tuple[Intent | Forward, ...]:
        """The intent of one turn, and the turn by the intent's port. Nothing for a turn without words."""
        tokens = self._synonyms.apply(tokenise(turn.text))
        if not tokens:
            return ()
        name, score, slots = self._best(tokens)
        if score < self._settings.threshold:
            name, score, slots = self._settings.other, 1.0 - score, {}
        route = self._settings.routes.get(name)
        for slot, kind in route.slots.items() if route else ():
            value = find(kind, tokens) if slot not in slots else None
            if value is not None:
                slots[slot] = value.text
        intent = Intent(name, round(score * turn.confidence, 3), turn.text, slots)
        return (intent, Forward(name))

    def _best(self, tokens: tuple[Token, ...]) -> tuple[str, float, dict[str, str]]:
        scores: dict[str, float] = {}
        slots: dict[str, dict[str, str]] = {}
        for hit in self._examples.questions(tokens):
            owner = self._owners[hit.index]
            scores[owner] = max(scores.get(owner, 0.0), hit.score)
        refused: set[str] = set()
        for name, pattern, keyword in self._patterns:
            match = pattern.match(tokens)
            if match is None:
                if pattern.negated_in(tokens):
                    refused.add(name)
                continue
            # A keyword is enough by itself; an example that is all there, in order, is as sure as can be.
            score = (0.85 if keyword else 0.75) * match.score + 0.15 * match.covered + (0.0 if keyword else 0.1)
            if match.score >= 0.75:
                slots.setdefault(name, {}).update(match.slots)
                scores[name] = max(scores.get(name, 0.0), score)
        if not scores:
            return self._settings.other, 0.0, {}
        for name in refused:  # "I do not want to book" shares its words with booking, and means the opposite
            if name not in slots:
                scores[name] = scores.get(name, 0.0) * 0.4
        order = list(self._settings.routes)
        best = min(scores, key=lambda n: (-scores[n], order.index(n)))
        return best, scores[best], dict(slots.get(best, {}))
