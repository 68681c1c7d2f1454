"""The caller's turn from results: each word once, however results overlap, repeat or come apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.deepgram.messages import HeardWord, Result
from echostack.connectors.deepgram.turn import END_OF_AUDIO, RECOGNISER, SILENCE, CallerTurn
from echostack.core.payloads import Text, TextPartial, TextSegment


def turn(**how: Any) -> CallerTurn:
    return CallerTurn(
        **{"language": "en", "utterance_end": 1.0, "at": lambda place: place + 10, "now": lambda: 20.0} | how
    )


def result(start: float, end: float, text: str = "", **how: Any) -> Result:
    words, each = text.split(), (end - start) / max(1, len(text.split()))
    heard = tuple(
        HeardWord(w, start + n * each, start + (n + 1) * each, how.get("confidence", 0.9)) for n, w in enumerate(words)
    )
    return Result(start, end, text, heard, **how)


def final(start: float, end: float, text: str = "", **how: Any) -> Result:
    return result(start, end, text, final=True, **how)


def texts(said: list[Any]) -> list[str]:
    return [p.text for p in said if isinstance(p, Text)]


def test_silence_that_was_told_of_has_ended_the_turn_although_the_answer_calls_it_the_end_of_speech() -> None:
    _, text = turn().hear(final(1.0, 2.0, "hello", speech_final=True, from_finalize=True), ends=SILENCE)
    assert text.ended_by == SILENCE


def test_a_final_result_with_the_end_of_speech_is_a_segment_and_a_turn() -> None:
    segment, text = turn().hear(final(1.0, 2.0, "hello there", speech_final=True))
    assert (segment.text, segment.start, segment.end) == ("hello there", 11.0, 12.0)
    assert isinstance(text, Text)
    assert (text.text, text.start, text.end, text.ended_by) == ("hello there", 11.0, 12.0, RECOGNISER)
    assert text.waited_ms == 8000.0
    assert [(w.text, w.start_ms, w.end_ms) for w in text.words] == [("hello", 0.0, 500.0), ("there", 500.0, 1000.0)]


def test_confidence_is_the_mean_over_the_words() -> None:
    caller = turn()
    caller.hear(final(0.0, 3.0, "a b c", confidence=1.0))
    *_, text = caller.hear(final(3.0, 4.0, "d", confidence=0.6, speech_final=True))
    assert text.confidence == pytest.approx(0.9)


def test_the_language_is_what_was_heard_or_else_what_was_asked_for() -> None:
    assert turn(language="de").hear(final(0, 1, "ja", speech_final=True))[-1].language == "de"
    assert turn(language="multi").hear(final(0, 1, "ja", speech_final=True))[-1].language == ""
    assert turn(language="multi").hear(final(0, 1, "si", speech_final=True, language="es"))[-1].language == "es"


def test_a_partial_is_told_once() -> None:
    caller = turn()
    assert [type(p) for p in caller.hear(result(0, 1, "hello"))] == [TextPartial]
    assert caller.hear(result(0, 1.5, "hello")) == []
    (partial,) = caller.hear(result(0, 2, "hello there"))
    assert partial.text == "hello there"


def test_words_that_were_taken_back_leave_nothing() -> None:
    caller = turn()
    caller.hear(result(0, 1, "you"))
    assert caller.hear(final(0, 2, "", speech_final=True)) == []
    assert not caller.open
    assert caller.end(END_OF_AUDIO, unsettled=True) == []
    (partial,) = caller.hear(result(3, 4, "you"))
    assert partial.start == 13.0


def test_an_utterance_end_for_earlier_words_ends_nothing() -> None:
    caller = turn()
    caller.hear(final(0, 1, "hello"))
    caller.hear(final(1, 2, "there"))
    assert caller.utterance_ended(1.0) == []
    assert texts(caller.utterance_ended(2.0)) == ["hello there"]
    assert caller.utterance_ended(2.0) == []


def test_an_utterance_end_waits_for_words_that_may_still_change() -> None:
    caller = turn()
    caller.hear(final(0, 1, "hello"))
    caller.hear(result(1, 3, "there"))
    assert caller.utterance_ended(1.0) == []
    assert texts(caller.hear(final(1, 3, "there", speech_final=True))) == ["hello there"]


def test_results_of_silence_end_a_turn_that_nothing_else_ends() -> None:
    caller = turn()
    caller.hear(final(0, 1, "hello"))
    assert caller.hear(result(1, 2.4)) == []
    assert texts(caller.hear(result(1, 2.5))) == ["hello"]


def test_what_might_have_changed_is_taken_when_nobody_will_settle_it() -> None:
    caller = turn()
    caller.hear(final(0, 1, "hello"))
    caller.hear(result(1, 2, "there"))
    (text,) = caller.end(END_OF_AUDIO, unsettled=True)
    assert (text.text, text.ended_by) == ("hello there", END_OF_AUDIO)


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.integers(0, 3), st.booleans()), max_size=30))
def test_each_word_leaves_in_one_segment_and_one_text(parts: list[tuple[int, bool, int, bool]]) -> None:
    caller, at, number = turn(), 0.0, 0
    said: list[Any] = []
    spoken: list[str] = []
    seen: list[Result] = []
    for count, ends, echoes, silent in parts:
        words = [] if silent else [f"w{number + n}" for n in range(count)]
        number += len(words)
        spoken += words
        whole = final(at, at + count, " ".join(words), speech_final=ends)
        said += caller.hear(result(at, at + count / 2, " ".join(words[: count // 2])))
        said += caller.hear(whole)
        seen.append(whole)
        for old in seen[-echoes:] if echoes else []:
            said += caller.hear(old)
            said += caller.hear(Result(old.start, old.end, old.text, old.words))
        at += count
    said += caller.end(END_OF_AUDIO, unsettled=True)
    assert " ".join(p.text for p in said if isinstance(p, TextSegment)).split() == spoken
    assert " ".join(texts(said)).split() == spoken
    assert all(p.text for p in said)
    assert all(p.start <= p.end for p in said)
