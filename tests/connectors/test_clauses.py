"""Cutting a message into what can be spoken piece by piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.clauses import LONGEST, Clause, clauses, spoken_form


def texts(message: str) -> list[str]:
    return [c.text for c in clauses(message)]


@pytest.mark.parametrize(
    ("message", "pieces"),
    [
        ("Okay.", ["Okay."]),
        ("no full stop", ["no full stop"]),
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("Let me check that for you, one moment please.", ["Let me check that for you,", "one moment please."]),
        ("Sure, one moment.", ["Sure, one moment."]),
        ("First. Then a clause, which stays whole.", ["First.", "Then a clause, which stays whole."]),
        ("Dr. Smith is in at 3.15 p.m. today.", ["Dr. Smith is in at 3.15 p.m. today."]),
        ("It opens at 9 a.m. Please come then.", ["It opens at 9 a.m.", "Please come then."]),
        ("It costs $1,250.50, or 1.200 euros.", ["It costs $1,250.50,", "or 1.200 euros."]),
        ("Call 555-0100 or mail me@example.com.", ["Call 555-0100 or mail me@example.com."]),
        ("He said “Stop!” She left.", ["He said “Stop!”", "She left."]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("A line\nand another", ["A line", "and another"]),
        ("Это первое. А это второе!", ["Это первое.", "А это второе!"]),
        ("Hello! 😀 How are you?", ["Hello!", "😀 How are you?"]),
        ("Bye! 👋", ["Bye! 👋"]),
        ("👋", []),
        ("...", []),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_a_message_is_cut_where_a_speaker_would_pause(message: str, pieces: list[str]) -> None:
    assert texts(message) == pieces


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Bold** and _it_", "Bold and it"),
        ("<b>Hello</b><br/> there", "Hello there"),
        ("see [our site](https://example.com/a?b=c) now", "see our site now"),
        ("`code` # Title", "code Title"),
        ("- item", "item"),
        ("5 < 6 and 7 > 3", "5 6 and 7 3"),
        ("zero\u200bwidth\u202e", "zerowidth"),
        ("Hi 😀👍🏽 there", "Hi there"),
        ("20 °C", "20 °C"),
        ("£5, €6 & 50%", "£5, €6 & 50%"),
        ("café naïve", "café naïve"),
        ("ﬁne", "fine"),
        ("\ud800 lone", "lone"),
        ("* * *", ""),
        ("!?", ""),
    ],
)
def test_what_is_not_for_the_ear_is_left_out(text: str, spoken: str) -> None:
    assert spoken_form(text) == spoken


def test_a_sentence_without_end_is_cut_at_spaces() -> None:
    pieces = clauses("word " * 200)
    assert all(len(p.text) <= LONGEST for p in pieces)
    assert " ".join(p.text for p in pieces).split() == ["word"] * 200


def test_a_word_without_end_is_cut_anywhere() -> None:
    pieces = clauses("a" * 1_000)
    assert "".join(p.text for p in pieces) == "a" * 1_000
    assert all(len(p.text) <= LONGEST for p in pieces)


@given(st.text(max_size=600))
def test_no_visible_character_of_a_message_is_lost(message: str) -> None:
    found = clauses(message)
    assert all(isinstance(c, Clause) and c.spoken and any(x.isalnum() for x in c.spoken) for c in found)
    if found:
        assert "".join("".join(c.text for c in found).split()) == "".join(message.split())
    else:
        assert spoken_form(message) == "" or not any(spoken_form(p) for p in message.split())


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Nd", "Po", "Zs", "So"]), max_size=3_000))
def test_every_piece_is_of_a_length_that_can_be_cancelled(message: str) -> None:
    assert all(len(c.spoken) <= 3 * LONGEST for c in clauses(message))


def test_a_book_is_cut_in_linear_time() -> None:
    pieces = clauses("It was the best of times, it was the worst of times. " * 4_000)
    assert len(pieces) == 4_001
