"""Numbers, times, days, names and telephone numbers in what was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.numbers import number_at
from echostack.connectors.values import SLOT_KINDS, find, kind_for
from echostack.connectors.words import tokenise

UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
]
UNITS += ["seventeen", "eighteen", "nineteen"]
TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spoken(n: int) -> str:
    if n < 20:
        return UNITS[n]
    if n < 100:
        return TENS[n // 10] + (f" {UNITS[n % 10]}" if n % 10 else "")
    if n < 1000:
        return f"{UNITS[n // 100]} hundred" + (f" and {spoken(n % 100)}" if n % 100 else "")
    return f"{spoken(n // 1000)} thousand" + (f" {spoken(n % 1000)}" if n % 1000 else "")


def value(kind: str, text: str, *, asked: bool = False) -> str | None:
    found = find(kind, tokenise(text), asked=asked)
    return found.text if found else None


@given(st.integers(0, 999_999))
def test_every_number_in_words_is_read_back(n: int) -> None:
    tokens = tokenise(spoken(n))
    assert number_at(tokens, 0) == (n, len(tokens))
    assert number_at(tokenise(str(n)), 0) == (n, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at seven thirty pm", "7:30 pm"),
        ("half past eight in the evening", "8:30 pm"),
        ("quarter to nine", "8:45"),
        ("a quarter past one", "1:15"),
        ("twenty to nine", "8:40"),
        ("ten past seven", "7:10"),
        ("at six, no, at seven", "7 o'clock"),
        ("19:30", "19:30"),
        ("7.30pm", "7:30 pm"),
        ("7 p.m.", "7 pm"),
        ("seven o'clock in the morning", "7 am"),
        ("around noon", "noon"),
        ("six oh five", "6:05"),
        ("at twenty", "20:00"),
        ("we are seven", None),
        ("a table for four", None),
        ("at four people", None),
    ],
)
def test_times(text: str, expected: str | None) -> None:
    assert value("time", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("seven", "7 o'clock"), ("eight pm", "8 pm"), ("the twenty third of June", None), ("ninety", None), ("no", None)],
)
def test_a_bare_hour_is_a_time_when_asked_for(text: str, expected: str | None) -> None:
    assert value("time", text, asked=True) == expected


@given(st.integers(1, 12), st.integers(0, 59))
def test_every_clock_time_is_read_in_digits(hour: int, minute: int) -> None:
    expected = f"{hour}:{minute:02d}" if minute else f"{hour}"
    assert value("time", f"at {hour}:{minute:02d} pm") == f"{expected} pm"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on Friday evening", "Friday evening"),
        ("next friday", "next Friday"),
        ("Fridays", "Friday"),
        ("tomorrow at noon", "tomorrow"),
        ("the day after tomorrow", "the day after tomorrow"),
        ("the twenty third of June", "June 23"),
        ("June the 3rd", "June 3"),
        ("on the fifth", None),
        ("today", "today"),
        ("mundane", None),
    ],
)
def test_days(text: str, expected: str | None) -> None:
    assert value("day", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my name is Anna Smith.", "Anna Smith"),
        ("hello my name is bob and I want a table", "Bob"),
        ("under the name of O'Brien please", "O'Brien"),
        ("this is Maria", "Maria"),
        ("this is urgent", None),
        ("call me back", None),
        ("I am looking for a table", None),
        ("Anna", None),
        ("my name is", None),
    ],
)
def test_names_need_to_be_introduced(text: str, expected: str | None) -> None:
    assert value("name", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna", "Anna"),
        ("um, john smith please", "John Smith"),
        ("It's McDonald.", "McDonald"),
        ("I'm Lee", "Lee"),
        ("Yes, Miller", "Miller"),
        ("what", None),
        ("I don't know", None),
        ("never mind", None),
        ("how much is it", None),
        ("seven thirty", None),
        ("I would rather talk about something else entirely", None),
    ],
)
def test_a_bare_name_is_taken_when_asked_for(text: str, expected: str | None) -> None:
    assert value("name", text, asked=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a table for four at seven thirty", "4"),
        ("party of twelve", "12"),
        ("there are six of us", "6"),
        ("twenty five people", "25"),
        ("a table at seven", None),
        ("on the fifth of June", None),
    ],
)
def test_numbers_of_people(text: str, expected: str | None) -> None:
    assert value("number", text) == expected


@pytest.mark.parametrize(("text", "expected"), [("four", "4"), ("For.", "4"), ("Just me", "1"), ("maybe", None)])
def test_a_bare_number_is_taken_when_asked_for(text: str, expected: str | None) -> None:
    assert value("number", text, asked=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oh double five one two three four", "551234"),  # a leading "oh" is said too often to be a zero
        ("five five oh double one two", "550112"),
        ("zero seven seven, nine hundred, 12", "07790012"),
        ("call 5551234", "5551234"),
        ("four", None),
    ],
)
def test_telephone_numbers(text: str, expected: str | None) -> None:
    assert value("phone", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes that's right", "yes"), ("No, thank you.", "no"), ("that is not right", "no"), ("correct", "yes"),
        ("it is", "yes"), ("Tuesday", None), ("okay", "yes"),
    ],
)  # fmt: skip
def test_yes_and_no(text: str, expected: str | None) -> None:
    assert value("yes_no", text, asked=True) == expected


@pytest.mark.parametrize(
    ("slot", "kind"),
    [("guest_name", "name"), ("people", "number"), ("party_size", "number"), ("time", "time"), ("day", "day"),
     ("phone_number", "phone"), ("colour", "words")],
)  # fmt: skip
def test_the_name_of_a_slot_tells_its_kind(slot: str, kind: str) -> None:
    assert kind_for(slot) == kind


WORDS = st.sampled_from(
    [*UNITS, *TENS[2:], "at", "half", "past", "to", "the", "of", "june", "friday", "pm", "a", "hundred", "and", "name",
     "is", "my", "anna", "oh", "double", "next", "quarter", "7:30", "3rd", "12", "oclock", "tomorrow", "thousand"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=12).map(" ".join), st.sampled_from(SLOT_KINDS), st.booleans())
def test_any_words_can_be_searched_for_any_value(text: str, kind: str, asked: bool) -> None:
    tokens = tokenise(text)
    found = find(kind, tokens, asked=asked)
    if found is not None:
        assert found.text.strip() == found.text != ""
        assert 0 <= found.start < found.end <= len(tokens)
