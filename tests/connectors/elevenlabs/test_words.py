"""The times of words from the times of characters, however these are cut and written."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.elevenlabs.words import SpokenText, letters_of
from echostack.core.payloads import Word

MS = 40


def heard(text: str, cuts: list[int], spoken: SpokenText | None = None, at: int = 0) -> list[Word]:
    """The words that come of the times of ``text``, told in parts that end at ``cuts``."""
    spoken = spoken or SpokenText(*())
    if not spoken.text:
        spoken.add(text)
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    words: list[Word] = []
    for first, last in pairwise(edges):
        part = range(first, last)
        words += spoken.hear(text[first:last], [at + k * MS for k in part], [at + (k + 1) * MS for k in part])
    return words


def test_a_word_lasts_from_its_first_letter_to_its_last() -> None:
    assert heard("Oh, (it's) me. ", []) == [Word("Oh,", 0, 80), Word("(it's)", 200, 360), Word("me.", 440, 520)]


TEXTS = st.text(
    st.sampled_from("abc ÀéßñЖ漢字かなﬁ½ '’-.,!?\n\u0301\u200d…😀12"), min_size=1, max_size=60
).map(lambda t: f"{t} ")  # fmt: skip


@given(TEXTS, st.lists(st.integers(0, 60), max_size=12))
def test_the_times_are_the_same_wherever_the_messages_are_cut(text: str, cuts: list[int]) -> None:
    assert heard(text, cuts) == heard(text, [])


@given(TEXTS, st.lists(st.integers(0, 60), max_size=12))
def test_every_word_with_a_letter_is_told_once_and_in_order(text: str, cuts: list[int]) -> None:
    spoken = SpokenText()
    spoken.add(text)
    words = heard(text, cuts, spoken)
    assert letters_of("".join(w.text for w in words)) == letters_of(text) == spoken.letters
    assert [w.start_ms for w in words] == sorted(w.start_ms for w in words)
    assert spoken.whole
    assert spoken.rest == ""


@given(TEXTS, st.integers(0, 60))
def test_what_is_left_begins_with_the_first_word_that_is_not_whole(text: str, upto: int) -> None:
    spoken = SpokenText()
    spoken.add(text)
    part = text[:upto]
    words = spoken.hear(part, [k * MS for k in range(len(part))], [k * MS + MS for k in range(len(part))])
    assert letters_of("".join(w.text for w in words)) + letters_of(spoken.rest) == letters_of(text)
    assert text.endswith(spoken.rest)


def test_times_that_begin_again_are_counted_once() -> None:
    spoken = SpokenText()
    spoken.add("The cat saw the cat. ")
    first, again = "The cat sa", "The cat saw the cat. "
    words = spoken.hear(first, [k * MS for k in range(10)], [k * MS + MS for k in range(10)])
    words += spoken.hear(again, [k * MS for k in range(21)], [k * MS + MS for k in range(21)])
    assert [w.text for w in words] == ["The", "cat", "saw", "the", "cat."]


def test_a_part_without_times_is_stepped_over() -> None:
    spoken = SpokenText()
    spoken.add("one two three four five ")
    spoken.hear("one ", [0, 1, 2, 3], [1, 2, 3, 4])
    words = spoken.hear("three four ", range(100, 111), range(101, 112))
    assert [w.text for w in words] == ["three", "four"]
    assert spoken.rest == "five "


def test_what_is_read_out_otherwise_than_written_does_not_lose_the_place() -> None:
    spoken = SpokenText()
    spoken.add("Pay $12 on May 3rd please. ")
    read = "Pay twelve dollars on May third please. "
    words = spoken.hear(read, [k * MS for k in range(len(read))], [k * MS + MS for k in range(len(read))])
    assert [w.text for w in words] == ["Pay", "on", "May", "please."]
    assert words[-1].end_ms == (read.index("please") + 6) * MS
    assert spoken.whole


@pytest.mark.parametrize("text", ["naïve café", "Straße", "ﬁne ½", "नमस्ते दुनिया", "Ⅷ", "한국어"])
def test_accents_and_compatibility_forms_are_the_letters_that_they_look_like(text: str) -> None:
    spoken = SpokenText()
    spoken.add(text + " ")
    read = unicodedata.normalize("NFD", text)
    words = spoken.hear(list(read), [k for k, _ in enumerate(read)], [k + 1 for k, _ in enumerate(read)])
    assert [w.text for w in words] == text.split()
    assert spoken.whole


def test_lists_of_different_lengths_are_taken_as_far_as_they_go() -> None:
    spoken = SpokenText()
    spoken.add("ab cd ")
    assert [w.text for w in spoken.hear("ab cd ", [0, 1, 2], [1, 2, 3, 4])] == ["ab"]


def test_where_a_text_that_was_added_begins() -> None:
    spoken = SpokenText()
    spoken.add("One. ")
    second = spoken.add("Two. ")
    assert spoken.begins(second) is None
    spoken.hear("One. T", range(0, 240, 40), range(40, 280, 40))
    assert spoken.begins(second) == 200
