"""sentiment.score: signs, negation and emphasis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.sentiment_score import SentimentSettings, lexicon, score
from echostack.core.payloads import Text


def scored(text: str, **settings: object) -> float:
    found = score(Text(text), SentimentSettings.model_validate(settings))
    assert found is not None
    return found.score


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("That was wonderful, thank you!", "positive"),
        ("This is terrible and I am very angry", "negative"),
        ("I would like a table for four", "neutral"),
        ("not good at all", "negative"),
        ("not bad", "positive"),
        ("I'm really not happy", "negative"),
        ("your service doesn't work and nobody helps, it's ridiculous", "negative"),
        ("a bit slow", "negative"),
    ],
)
def test_labels(text: str, label: str) -> None:
    found = score(Text(text), SentimentSettings())
    assert found is not None
    assert (found.label, found.text) == (label, text)


def test_emphasis_and_negation_grade_it() -> None:
    assert scored("very good") > scored("good") > scored("quite good") > 0
    assert scored("terrible") < scored("bad") < scored("not good") < 0
    assert scored("great!") > scored("great")


def test_words_of_ones_own_go_first() -> None:
    assert scored("this is sick", words={"sick": 3}) > 0.5
    assert scored("this is great", words={"great": -4}) < 0


def test_nothing_said_has_no_sentiment() -> None:
    assert score(Text(" "), SentimentSettings()) is None


def test_the_lexicon_is_sound() -> None:
    assert len(lexicon()) > 120
    assert all(-4 <= weight <= 4 and weight for weight in lexicon().values())


@given(st.text(max_size=80))
def test_scores_lie_between_minus_1_and_1_and_agree_with_their_label(text: str) -> None:
    found = score(Text(text), SentimentSettings())
    if found is not None:
        assert -1 <= found.score <= 1
        assert found.label == ("positive" if found.score > 0.15 else "negative" if found.score < -0.15 else "neutral")
