"""Texts are the same when their words are; a difference shows which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.simulation.expect.words import difference, has_words, likeness, same_words, words_of

TEXTS = st.lists(st.sampled_from(["we", "We,", "are", "open", "closed.", "it's", "—", "...", "twenty-one", "日本"]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", "hello world"),
        ("Don't—it's twenty-one o'clock", "dont its twenty one oclock"),
        ("  so\nmuch\tspace ", "so much space"),
        ("ＣＡＦＥ\u0301 Straße", "café strasse"),
        ("नमस्ते", "नमस्ते"),
        ("...", ""),
    ],
)
def test_words_are_folded_and_have_no_punctuation(text: str, words: str) -> None:
    assert " ".join(words_of(text)) == words


def test_a_part_is_words_one_right_after_the_other() -> None:
    assert has_words("We are open, from nine.", "open from")
    assert not has_words("We are open, from nine.", "are from")
    assert not has_words("reopened", "open")
    assert has_words("anything", "")


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        ("we are open", "We are open!", ""),
        ("We are open on Sunday.", "We are closed on Sunday.", "We are [-open-] {+closed+} on Sunday."),
        ("one two", "one two three", "one two {+three+}"),
        ("one two three", "two three", "[-one-] two three"),
        ("a b c d e f g h i", "a b c d e f g h", "… f g h [-i-]"),
        ("x b c d e f g h i j y", "b c d e f g h i j", "[-x-] b c d … h i j [-y-]"),
        ("a", "", "[-a-]"),
    ],
)
def test_a_difference_is_told_word_by_word(expected: str, found: str, told: str) -> None:
    assert difference(expected, found) == told


@given(TEXTS, TEXTS)
def test_there_is_a_difference_exactly_when_the_words_differ(one: list[str], other: list[str]) -> None:
    first, second = " ".join(one), " ".join(other)
    assert same_words(first, second) is (difference(first, second) == "")
    assert (likeness(first, second) == 1.0) is (" ".join(words_of(first)) == " ".join(words_of(second)))
