"""Streams of chat completions as real servers send them, OpenAI's and those that differ from it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.chat.words import Call, Delta, Ended, Piece, Spent, Writing
from echostack.connectors.openai.failures import Advice, Failures
from echostack.connectors.openai.reading import Reading
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import Usage

FAILURES = Failures("agent", "http://127.0.0.1:1/v1", "m", "secret-key", Advice("", "", "", ""))


def space(value: Any) -> Any:
    """What the SDK makes of JSON: objects with attributes."""
    if isinstance(value, dict):
        return SimpleNamespace(**{k: space(v) for k, v in value.items()})
    return [space(v) for v in value] if isinstance(value, list) else value


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **more: Any) -> Any:
    return space({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})


def part(index: int | None, arguments: str | None = None, identity: str | None = None, name: str | None = None) -> Any:
    return {"index": index, "id": identity, "function": {"name": name, "arguments": arguments}}


def read(*chunks: Any, max_tokens: int = 100) -> list[Delta]:
    reading = Reading("m", "agent-1", max_tokens)
    told = [delta for one in chunks for delta in reading.take(one)]
    return [*told, *reading.end(FAILURES), *([reading.spent] if reading.spent is not None else [])]


def calls(*chunks: Any) -> list[Call]:
    return [d for d in read(*chunks) if isinstance(d, Call)]


def test_pieces_and_the_end() -> None:
    assert read(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}),
        chunk({}, "stop"),
    ) == [Piece("Hel"), Piece("lo"), Ended("end")]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", "end"), ("length", "length"), ("content_filter", "refused"), ("tool_calls", "tools"), ("new", "end")],
)
def test_reasons(reason: str, expected: str) -> None:
    assert read(chunk({"content": "a"}, reason))[-1] == Ended(expected)


def test_a_refusal_is_said_and_told() -> None:
    assert read(chunk({"refusal": "I cannot."}), chunk({}, "stop")) == [Piece("I cannot."), Ended("refused")]


def test_what_it_cost_comes_behind_the_end_and_once() -> None:
    details = {"cached_tokens": 8, "cache_write_tokens": 2}
    usage = space({"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": details})
    last = SimpleNamespace(choices=[], usage=usage)
    spent = Spent(Usage("m", input_tokens=10, output_tokens=3, cached_tokens=8, cache_written_tokens=2))
    assert read(chunk({"content": "a"}, "stop"), last, last) == [Piece("a"), Ended("end"), spent]


def test_an_account_without_details_counts_what_there_is() -> None:
    last = chunk({"content": "a"}, "stop", usage={"prompt_tokens": 10, "completion_tokens": None})
    assert Spent(Usage("m", input_tokens=10)) in read(last)


@pytest.mark.parametrize("written", ["", '{"people": 2', '{"people"'])
def test_a_call_that_the_bound_of_tokens_cut_is_never_made(written: str) -> None:
    """Nothing at all would be a whole call of a tool that needs no arguments."""
    with pytest.raises(ConnectorFailure, match="max_tokens cut the call of book before its arguments were whole"):
        read(chunk({"tool_calls": [part(0, written, "a", "book")]}), chunk({}, "length"))


def test_arguments_are_told_as_they_are_written_and_calls_when_they_are_whole() -> None:
    told = read(
        chunk({"tool_calls": [part(0, "", "a", "book")]}), chunk({"tool_calls": [part(0, '{"n"')]}),
        chunk({"tool_calls": [part(0, ":2}")]}), chunk({"tool_calls": [part(1, "{}", "b", "look")]}),
        chunk({}, "tool_calls"),
    )  # fmt: skip
    assert told == [
        Writing("a", "book", ""), Writing("a", "book", '{"n"'), Writing("a", "book", '{"n":2}'),
        Call("a", "book", {"n": 2}), Writing("b", "look", "{}"), Call("b", "look", {}), Ended("tools"),
    ]  # fmt: skip


def test_calls_that_all_have_the_index_0_are_told_apart_by_their_ids() -> None:
    """Some releases of Ollama number every call 0."""
    one = chunk({"tool_calls": [part(0, '{"n":1}', "a", "f"), part(0, '{"n":2}', "b", "f")]}, "stop")
    assert calls(one) == [Call("a", "f", {"n": 1}), Call("b", "f", {"n": 2})]


def test_an_id_that_comes_with_every_piece_is_the_same_call() -> None:
    pieces = [chunk({"tool_calls": [part(0, text, "a", "f")]}) for text in ('{"n"', ":1}")]
    assert calls(*pieces, chunk({}, "tool_calls")) == [Call("a", "f", {"n": 1})]


def test_calls_without_index_or_id_get_an_id() -> None:
    told = calls(chunk({"tool_calls": [part(None, "{}", None, "f")]}), chunk({}, "stop"))
    assert told == [Call("agent-1-0", "f", {})]


def test_a_server_that_says_stop_after_a_call_means_tools() -> None:
    assert read(chunk({"tool_calls": [part(0, "{}", "a", "f")]}), chunk({}, "stop"))[-1] == Ended("tools")


@pytest.mark.parametrize("written", ["{", "[1]", "null", "two"])
def test_arguments_that_are_no_object_go_to_the_agent_as_they_are(written: str) -> None:
    """It tells the model that they do not fit, and the model writes them again."""
    assert calls(chunk({"tool_calls": [part(0, written, "a", "f")]}, "tool_calls")) == [
        Call("a", "f", {"not_a_json_object": written})
    ]


def test_a_call_that_max_tokens_cut_is_a_failure_that_says_so() -> None:
    with pytest.raises(ConnectorFailure) as cut:
        read(chunk({"tool_calls": [part(0, '{"n"', "a", "book")]}, "length"))
    assert str(cut.value) == (
        "agent: max_tokens cut the call of book before its arguments were whole: raise max_tokens"
    )
    assert not cut.value.retryable


def test_a_chunk_that_comes_twice_is_taken_once() -> None:
    twice = [chunk({"content": text}, obfuscation=noise) for text, noise in (("ha ", "xY3"), ("ha ", "xY3"))]
    again = chunk({"content": "ha "}, obfuscation="Qq1")
    assert read(*twice, again, chunk({}, "stop")) == [Piece("ha "), Piece("ha "), Ended("end")]


def test_a_word_that_comes_twice_without_noise_was_said_twice() -> None:
    assert read(chunk({"content": "ha "}), chunk({"content": "ha "}), chunk({}, "stop"))[:2] == [Piece("ha ")] * 2


def test_what_comes_after_the_end_is_not_said() -> None:
    assert read(chunk({"content": "a"}, "stop"), chunk({"content": "b"})) == [Piece("a"), Ended("end")]


def test_other_choices_than_the_first_are_passed_over() -> None:
    other = space({"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]})
    assert read(other, chunk({"content": "a"}, "stop")) == [Piece("a"), Ended("end")]


def test_an_answer_past_its_bound_is_endless() -> None:
    reading = Reading("m", "k", 10)
    for count in range(2 * 10 + 64 + 1):
        assert not reading.endless, count
        list(reading.take(chunk({"content": "a"})))
    assert reading.endless


def test_only_what_brings_something_is_progress() -> None:
    reading = Reading("m", "k", 10)
    list(reading.take(chunk({"role": "assistant", "content": ""})))
    assert (reading.begun, reading.progress) == (False, False)
    list(reading.take(chunk({"content": "a"})))
    assert (reading.begun, reading.progress) == (True, True)
    list(reading.take(chunk({"content": ""})))
    assert (reading.begun, reading.progress) == (True, False)


FIELDS = ["choices", "delta", "index", "content", "tool_calls", "function", "name", "arguments", "id", "usage"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_nothing_that_a_server_sends_raises(chunks: list[Any]) -> None:
    """Whatever shape it has: what is not as the protocol has it is passed over."""
    told = read(*map(space, chunks))
    end, *behind = [d for d in told if isinstance(d, Ended | Spent)]
    assert isinstance(end, Ended)
    assert len(behind) <= 1
    assert all(isinstance(d, Piece | Writing | Call | Spent | Ended) for d in told)
