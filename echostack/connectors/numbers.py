"""Whole numbers in what was said, and the shapes that every reader of values shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from echostack.connectors.words import TENS, UNITS, Token, listed

Tokens = tuple[Token, ...]

PEOPLE: Final = frozenset(listed("people person persons guest guests adult adults seat seats pax"))
"""Words after which a number counts people, and so is no time."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value and the token after its last one."""

    text: str
    end: int


@dataclass(frozen=True, slots=True)
class Found:
    """A value somewhere in an utterance: tokens ``start`` to ``end`` (exclusive)."""

    text: str
    start: int
    end: int


def number_at(tokens: Tokens, at: int) -> tuple[int, int] | None:
    """A whole number that begins at ``at``, in digits or in words up to 999,999, and the token after it."""
    if at >= len(tokens):
        return None
    word = tokens[at].word
    if word[0].isdigit():
        digits = word.replace(",", "")
        return (int(digits), at + 1) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None
    total, group, place, read = 0, 0, at, False
    last = 1_000
    while place < len(tokens):
        word = tokens[place].word
        if word in TENS and last > 99:
            group, last = group + TENS[word], 10
        elif word in UNITS and (last > 99 or (last == 10 and 0 < UNITS[word] < 10)):
            group, last = group + UNITS[word], 1
        elif word == "hundred" and ((read and 0 < group < 10) or not read):
            group, last = (group or 1) * 100, 100
        elif word == "thousand" and total == 0 and ((read and group) or not read):
            total, group, last = (group or 1) * 1_000, 0, 1_000
        elif word == "a" and not read and word_at(tokens, place + 1) in ("hundred", "thousand", "dozen"):
            place += 1
            continue
        elif word == "dozen" and not read:
            return 12, place + 1
        elif (
            word == "and"
            and read
            and last in (100, 1_000)
            and word_at(tokens, place + 1) in (UNITS.keys() | TENS.keys())
        ):
            place += 1
            continue
        else:
            break
        read = True
        place += 1
    return (total + group, place) if read else None


def word_at(tokens: Tokens, at: int) -> str:
    """The word at ``at``; empty outside the utterance."""
    return tokens[at].word if 0 <= at < len(tokens) else ""


def _counts(word: str) -> bool:
    return word in UNITS or word in TENS
