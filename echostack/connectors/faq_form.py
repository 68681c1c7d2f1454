"""The questions of a rule that needs to know more: what is asked, what was answered, what is still missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from echostack.connectors.faq_settings import Rule
from echostack.connectors.values import find
from echostack.connectors.words import FILLERS, QUESTION_WORDS, Token, listed

LASTING: Final = ("name", "phone")
"""Kinds that stay true of a caller, so that a second booking does not ask for them again."""

_VERBS: Final = frozenset(listed("do does did are is was can could will would have has may"))
_WHO: Final = frozenset(listed("you i we there it they the your my"))


@dataclass(slots=True)
class Form:
    """A rule under way. ``asked`` is the slot of the last question, empty before the first; ``confirming`` says that
    the question was for a yes; ``misses`` counts answers in a row that did not help."""

    rule: Rule
    asked: str = ""
    confirming: bool = False
    misses: int = 0

    def missing(self, slots: Mapping[str, Any]) -> str:
        """The first slot still to be asked for; empty when all are known."""
        return next((s for s in self.rule.needs if slots.get(s) in (None, "")), "")

    def take(self, tokens: tuple[Token, ...], *, bare: bool = True) -> dict[str, str]:
        """The needed values that an utterance holds. ``bare``: the answer to the question may be the value alone."""
        found: dict[str, str] = {}
        for slot in self.rule.needs:
            kind = self.rule.kind(slot)
            asked = bare and slot == self.asked and not self.confirming
            if asked and kind == "words" and is_question(tokens):
                continue
            value = find(kind, tokens, asked=asked)
            # Two slots of one kind (a first and a last name) cannot both be meant by one value.
            if value is not None and (asked or not self._shared(slot, kind)):
                found[slot] = value.text
        return found

    def _shared(self, slot: str, kind: str) -> bool:
        return kind in ("words", "yes_no") or any(
            other != slot and self.rule.kind(other) == kind for other in self.rule.needs
        )


def is_question(tokens: tuple[Token, ...]) -> bool:
    """Whether an utterance begins as a question does: ``what time``, ``are you``, ``is there``."""
    words = [t.word for t in tokens if t.word not in FILLERS and t.word not in ("and", "but", "ok", "okay")][:2]
    return bool(words) and (words[0] in QUESTION_WORDS or (len(words) > 1 and words[0] in _VERBS and words[1] in _WHO))
