"""How many words of what the caller says an interruption looks at: enough of them, and never all of a long turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echostack.runtime.bargein import LOOKED_AT, WORD, first_words
from tests.runtime.cast import CALL, play


@given(st.text(max_size=300), st.integers(1, 80))
def test_they_are_the_first_of_all_words(text: str, most: int) -> None:
    assert first_words(text, most) == tuple(w.casefold() for w in WORD.findall(text))[:most]


def test_a_turn_that_grows_by_every_word_costs_the_same_each_time() -> None:
    whole = "word " * 100_000
    assert len(first_words(whole)) == LOOKED_AT
    assert first_words("." * 1_000_000 + " word") == ()


def test_so_many_backchannels_are_none() -> None:
    few, many = " ".join(["yeah"] * 10), " ".join(["yeah"] * LOOKED_AT)
    kept = play([(1.0, "say:hello"), (3.0, f"say:{few}")], graph=CALL)
    assert (kept.stats.interruptions, kept.stats.ignored_turns) == (0, 1)
    cut = play([(1.0, "say:hello"), (3.0, f"say:{many}")], graph=CALL)
    assert (cut.stats.interruptions, cut.stats.ignored_turns) == (1, 0)
