"""Which words were heard: whole words, a prefix, never fewer for more samples, all of them only at the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.payloads import Word
from echostack.runtime.ledger import Ledger

RATE = 16_000


def closed(*chunks: tuple[str, tuple[Word, ...], int]) -> Ledger:
    ledger = Ledger(RATE)
    for text, words, samples in chunks:
        ledger.append(text, words, samples)
    ledger.close(ledger.samples)
    return ledger


def test_without_times_a_word_ends_in_proportion_to_its_characters() -> None:
    ledger = closed(("one two six", (), 1100))  # 11 characters: 100 samples each
    assert [ledger.heard(n) for n in (0, 299, 300, 699, 700, 1099, 1100)] == [
        "", "", "one", "one", "one two", "one two", "one two six",
    ]  # fmt: skip


def test_with_times_a_word_ends_at_its_time_to_the_sample() -> None:
    words = (Word("Hello", 0, 400), Word("there", 500, 900), Word("friend", 900, 1500))
    ledger = closed(("Hello there, friend!", words, 2 * RATE))
    assert [ledger.heard(n) for n in (6399, 6400, 14_399, 14_400, 23_999, 24_000)] == [
        "", "Hello", "Hello", "Hello there,", "Hello there,", "Hello there, friend!",
    ]  # fmt: skip


def test_times_count_from_the_start_of_their_own_piece() -> None:
    ledger = closed(("Good", (Word("Good", 0, 100),), RATE), ("day", (Word("day", 0, 250),), RATE))
    assert [ledger.heard(n) for n in (1600, RATE + 3999, RATE + 4000)] == ["Good", "Good", "Good day"]


def test_times_that_come_with_later_pieces_belong_to_the_text_before() -> None:
    ledger = closed(
        ("Hello my friend", (Word("Hello", 0, 300),), RATE), ("", (Word("my", 0, 100), Word("friend", 200, 700)), RATE)
    )
    assert [ledger.heard(n) for n in (4800, RATE + 1599, RATE + 1600, RATE + 11_199, RATE + 11_200)] == [
        "Hello", "Hello", "Hello my", "Hello my", "Hello my friend",
    ]  # fmt: skip


def test_words_that_split_a_token_count_when_its_last_part_is_over() -> None:
    words = (Word("twenty", 0, 500), Word("five", 500, 1000), Word("euros", 1000, 1500))
    ledger = closed(("Twenty-five euros.", words, 2 * RATE))
    assert [ledger.heard(n) for n in (8000, 15_999, 16_000, 24_000)] == [
        "", "", "Twenty-five", "Twenty-five euros.",
    ]  # fmt: skip


def test_words_between_known_ones_are_estimated_between_their_times() -> None:
    words = (Word("Pay", 0, 1000), Word("five", 1000, 1500), Word("now", 2500, 3000))  # the text has a figure
    ledger = closed(("Pay 5 now", words, 4 * RATE))
    assert ledger.heard(RATE) == "Pay"
    assert ledger.heard(2 * RATE) == "Pay 5"
    assert ledger.heard(3 * RATE - 1) == "Pay 5"
    assert ledger.heard(3 * RATE) == "Pay 5 now"


def test_a_word_inside_another_is_not_taken_for_it() -> None:
    ledger = closed(("Please behave a bit", (Word("Please", 0, 200), Word("a", 800, 850)), RATE))
    assert ledger.heard(13_599) == "Please behave"
    assert ledger.heard(13_600) == "Please behave a"


def test_a_text_lasts_until_the_next_one_begins() -> None:
    ledger = closed(("ab cd", (), 250), ("", (), 250), ("ef gh", (), 500))
    assert [ledger.heard(n) for n in (199, 200, 499, 500, 700, 999, 1000)] == [
        "", "ab", "ab", "ab cd", "ab cd ef", "ab cd ef", "ab cd ef gh",
    ]  # fmt: skip


def test_while_audio_may_follow_the_last_word_is_not_known_to_be_over() -> None:
    ledger = Ledger(RATE)
    ledger.append("one two", (), 100_000)
    assert ledger.heard(100_000) == "one"
    ledger.append("", (), 100_000)
    ledger.close(200_000)
    assert ledger.heard(199_999) == "one"
    assert ledger.heard(200_000) == "one two"


def test_a_text_whose_audio_has_barely_begun_is_estimated_at_the_pace_of_speech() -> None:
    ledger = Ledger(RATE)
    ledger.append("this sentence has thirty chars", (), 1600)  # 30 characters: 2 s at 15 a second
    assert ledger.heard(1600) == ""
    ledger.append("", (), RATE)
    assert ledger.heard(RATE) == "this sentence"  # 13 characters: 0.87 s


def test_a_known_last_word_counts_although_audio_may_follow() -> None:
    ledger = Ledger(RATE)
    ledger.append("Hi Ann", (Word("Hi", 0, 100), Word("Ann", 100, 300)), RATE)
    assert ledger.heard(4800) == "Hi Ann"


def test_scripts_without_spaces_count_by_character() -> None:
    ledger = closed(("你好 世界", (), 500))
    assert [ledger.heard(n) for n in (100, 200, 400, 500)] == ["你", "你好", "你好 世", "你好 世界"]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_silence_says_nothing(text: str) -> None:
    ledger = closed((text, (), 1000))
    assert ledger.text == ledger.heard(1000) == ""


def test_words_without_a_text_are_the_text() -> None:
    ledger = closed(("", (Word("Hi", 0, 100), Word("Ann", 100, 200)), RATE))
    assert ledger.heard(1600) == "Hi"
    assert ledger.text == "Hi Ann"


_tokens = st.text(st.sampled_from("abcXYZé'-,.!5你好"), min_size=1, max_size=8)
_texts = st.lists(_tokens, max_size=6).map(" ".join)


@st.composite
def _chunks(draw: st.DrawFn) -> list[tuple[str, tuple[Word, ...], int]]:
    chunks = []
    for text in draw(st.lists(_texts, max_size=6)):
        samples = draw(st.integers(1, 20_000))
        times = sorted(draw(st.lists(st.floats(0, 2000), max_size=8)))
        said = draw(st.lists(st.sampled_from(text.split() or ["none"]), min_size=len(times), max_size=len(times)))
        chunks.append((text, tuple(Word(w, t, t) for w, t in zip(said, times, strict=True)), samples))
    return chunks


def _prefixes(text: str) -> set[str]:
    """Every prefix of ``text`` that does not end inside a word of letters."""
    whole = {""}
    for n in range(1, len(text) + 1):
        head, tail = text[:n], text[n:]
        unspaced = any("\u4e00" <= c <= "\u9fff" for c in (head[-1:], tail[:1]))
        if not head[-1].isspace() and (not tail or tail[0].isspace() or unspaced):
            whole.add(head)
    return whole


@given(_chunks(), st.booleans())
def test_heard_is_a_prefix_of_whole_words_and_never_shrinks(
    chunks: list[tuple[str, tuple[Word, ...], int]], close: bool
) -> None:
    ledger = Ledger(RATE)
    for chunk in chunks:
        ledger.append(*chunk)
    if close:
        ledger.close(ledger.samples)
    total = ledger.samples
    allowed = _prefixes(ledger.text)
    before = ""
    for played in sorted({0, 1, total, *(total * k // 97 for k in range(97))}):
        heard = ledger.heard(played)
        assert heard in allowed
        assert heard.startswith(before)
        before = heard
    if close:
        assert before == ledger.text


@given(st.lists(st.tuples(_texts, st.just(()), st.integers(1, 20_000)), min_size=1, max_size=6))
def test_without_times_all_is_heard_only_when_all_is_played(chunks: list[tuple[str, tuple[Word, ...], int]]) -> None:
    ledger = closed(*chunks)
    last_text = max((k for k, c in enumerate(chunks) if c[0].strip()), default=-1)
    if last_text >= 0:
        assert ledger.heard(ledger.samples - 1) != ledger.text
    assert ledger.heard(ledger.samples) == ledger.text
