"""Patterns of phrases against what was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.patterns import Pattern
from echostack.connectors.words import tokenise


def slots(pattern: str, text: str) -> dict[str, str] | None:
    match = Pattern(pattern).match(tokenise(text))
    return dict(match.slots) if match else None


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("my name is {name}", "hello um my name is, er, Anna Smith and I want a table", {"name": "Anna Smith"}),
        ("book a table", "I'd like to book me a nice table please", {}),
        ("book a table", "could you book a cable", {}),
        ("book a table", "a table I will not book", None),
        ("book a table", "I don't want to book a table", None),
        ("do not call", "please do not call me", {}),
        ("table for {people}", "a table for four at seven", {"people": "4"}),
        ("remind me to {task:words}", "please remind me to call my mother", {"task": "call my mother"}),
        ("from {a:words} to {b:words}", "from New York to Boston", {"a": "New York", "b": "Boston"}),
        ("call [me] [back] at {time}", "please call at half past seven", {"time": "7:30"}),
        ("move * to {day}", "move my appointment on monday to next friday", {"day": "next Friday"}),
        ("how are you", "are you", None),
        ("opening hours", "what are your openning hours", {}),
    ],
)
def test_matches(pattern: str, text: str, expected: dict[str, str] | None) -> None:
    assert slots(pattern, text) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("  ", "a pattern is empty"),
        ("x" * 201, "a pattern has 201 characters: at most 200 can be matched"),
        ("{name}", "the pattern '{name}' has no word of its own, so it would match anything"),
        ("[please] *", "the pattern '[please] *' has no word of its own, so it would match anything"),
        (
            "call {name",
            "the pattern 'call {name' has a bracket that does not fit: it takes words, [words], {slot} and *",
        ),
        (
            "call {a.b}",
            "the pattern 'call {a.b}' has a bracket that does not fit: it takes words, [words], {slot} and *",
        ),
        ("{x} and {x}", "the pattern '{x} and {x}' captures {x} twice"),
        (
            "at {t:hour}",
            "the pattern 'at {t:hour}' has a slot of kind 'hour': there are "
            "name, number, time, day, phone, yes_no, words",
        ),
    ],
)
def test_what_is_no_pattern_says_why(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        Pattern(pattern)
    assert str(caught.value) == message


WORDS = st.lists(
    st.sampled_from(
        [
            "book",
            "table",
            "four",
            "seven",
            "friday",
            "my",
            "name",
            "is",
            "anna",
            "not",
            "please",
            "um",
            "at",
            "for",
            "a",
        ]
    ),
    max_size=14,
)
PATTERNS = st.sampled_from(
    ["book a table", "my name is {name}", "* for {people}", "[please] book * at {time}", "for {what:words} at {t:time}"]
)


@given(PATTERNS, WORDS)
def test_scores_lie_between_0_and_1_and_slots_are_all_there(text: str, said: list[str]) -> None:
    pattern = Pattern(text)
    match = pattern.match(tokenise(" ".join(said)))
    if match is not None:
        assert 0 < match.score <= 1
        assert 0 <= match.covered <= 1
        assert set(match.slots) == set(pattern.slots)


@given(st.sampled_from(["book a table", "opening hours", "my name is {name}"]))
def test_a_pattern_finds_its_own_words(text: str) -> None:
    match = Pattern(text).match(tokenise(text.replace("{name}", "Anna")))
    assert match is not None
    assert (match.score, match.covered) == (1.0, 1.0)


def test_a_long_ramble_is_matched_in_bounded_work() -> None:
    ramble = tokenise("a for at book " * 300)
    assert Pattern("* book * for * at * table * {x:words} end").match(ramble) is None
