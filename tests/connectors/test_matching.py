"""The index behind facts, intents and knowledge."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.matching import Index, Synonyms
from echostack.connectors.sentences import sentences
from echostack.connectors.words import tokenise

TEXTS = ["what are your opening hours", "where can I park the car", "how much is dinner", "where are you"]


def best(text: str, synonyms: Synonyms | None = None) -> int | None:
    hits = Index(TEXTS, synonyms).questions(tokenise(text))
    return hits[0].index if hits else None


def test_the_question_meant_comes_first() -> None:
    assert best("when are the opening hours") == 0
    assert best("is there parking") == 1
    assert best("wear can I bark the cars") == 1
    assert best("where are you located") == 3
    assert best("tell me about penguins") is None


def test_synonyms_stand_for_phrases() -> None:
    assert best("what does it cost") is None
    assert best("what does it cost", Synonyms({"dinner": ["what does it cost"]})) == 2


def test_a_passage_scores_by_how_much_of_the_query_it_covers() -> None:
    index = Index(["Dogs are welcome on the terrace.", "The terrace is heated.", "We sell ice cream."])
    hits = index.passages(tokenise("can I bring my dog onto the terrace"))
    assert [h.index for h in hits] == [0, 1]
    assert hits[0].score > hits[1].score


@given(st.lists(st.text("abcde ", max_size=20), max_size=6), st.text("abcde ", max_size=20))
def test_scores_lie_between_0_and_1_best_first(texts: list[str], query: str) -> None:
    index = Index(texts)
    for hits in (index.passages(tokenise(query)), index.questions(tokenise(query))):
        assert all(0 <= h.score <= 1 for h in hits)
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


@given(st.lists(st.sampled_from(["park", "dinner", "opening", "hours", "car", "bus"]), min_size=1, max_size=5))
def test_a_text_answers_itself_best(said: list[str]) -> None:
    texts = [" ".join(said), "something completely different"]
    hits = Index(texts).questions(tokenise(texts[0]))
    assert hits[0].index == 0
    assert hits[0].score > 0.99


def test_sentences_are_cut_where_one_may_breathe() -> None:
    text = "We open at 9 a.m. on weekdays. Ask for Dr. Lee! It costs 7.50 euros… Really? (Yes.) It is 5 p.m. Come in."
    assert sentences(text) == [
        "We open at 9 a.m. on weekdays.", "Ask for Dr. Lee!", "It costs 7.50 euros…", "Really?", "(Yes.)",
        "It is 5 p.m.", "Come in.",
    ]  # fmt: skip


@given(st.text(max_size=200))
def test_sentences_lose_no_word(text: str) -> None:
    assert " ".join(sentences(text)).split() == text.split()
