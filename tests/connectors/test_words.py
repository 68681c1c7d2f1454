"""Tokens, stems and likeness of words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.words import MAX_TOKENS, alike, content, negated, stem, tokenise


def words(text: str) -> list[str]:
    return [t.word for t in tokenise(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'd like a table, please!", ["i", "would", "like", "a", "table", "please"]),
        ("What's up? I can’t won't don't", ["what", "is", "up", "i", "can", "not", "will", "not", "do", "not"]),
        ("John's at 7 o'clock", ["john", "at", "7", "oclock"]),
        ("O'Brien", ["obrien"]),
        ("7:30pm on the 3rd, 1,200 of them", ["7:30pm", "on", "the", "3rd", "1,200", "of", "them"]),
        ("", []),
        ("...?!", []),
    ],
)
def test_words_are_taken_apart(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "family",
    [
        ("open", "opens", "opening", "opened"),
        ("price", "prices", "pricing", "priced"),
        ("close", "closes", "closing", "closed"),
        ("dish", "dishes"),
        ("delivery", "deliveries"),
        ("book", "booking", "bookings"),
        ("stop", "stopping", "stopped"),
        ("seven", "7"),
        ("forty", "40"),
    ],
)
def test_forms_of_one_word_have_one_stem(family: tuple[str, ...]) -> None:
    assert len({stem(w) for w in family}) == 1, [stem(w) for w in family]


@pytest.mark.parametrize(
    ("first", "second"),
    [("hours", "hour"), ("reservation", "reservatoin"), ("vegetarian", "vegitarian")],
)
def test_slips_are_forgiven(first: str, second: str) -> None:
    assert alike(first, second) >= 0.7


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("here", "where"),
        ("seven", "eleven"),
        ("six", "sex"),
        ("book", "cook"),
        ("booking", "cooking"),
        ("table", "cable"),
        ("lunch", "monday"),
    ],
)
def test_different_words_stay_different(first: str, second: str) -> None:
    assert alike(first, second) == 0.0


def test_among_words_that_fit_one_letter_is_forgiven() -> None:
    assert alike("table", "cable", loose=True) == 0.6


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", max_size=15), st.text(alphabet="abdeginorst", max_size=15))
def test_likeness_is_symmetric_reflexive_and_within_0_to_1(first: str, second: str) -> None:
    assert alike(first, second) == alike(second, first)
    assert 0.0 <= alike(first, second) <= 1.0
    assert alike(first, first) == 1.0


@given(st.text(max_size=400))
def test_any_text_can_be_tokenised_and_has_bounded_length(text: str) -> None:
    tokens = tokenise(text)
    assert len(tokens) <= MAX_TOKENS
    assert all(t.word and t.word == t.word.lower() for t in tokens)
    assert set(content(tokens)) <= set(tokens)


def test_a_negation_reaches_to_the_end_of_its_clause() -> None:
    tokens = tokenise("I do not want to book a table")
    assert negated(tokens, 5)
    assert not negated(tokenise("No, book a table"), 1)
