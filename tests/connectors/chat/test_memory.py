"""What a model is told of a call: what was heard, the tools between it, and what providers demand of both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.connectors.chat.entries import ON_THE_LINE
from echostack.connectors.chat.memory import LEFT_OUT, NO_RESULT, ChatMemory
from echostack.connectors.chat.words import Call, Result, Said
from echostack.core.payloads import Text
from echostack.registry import Turn


def caller(text: str, end: float = 0.0) -> Turn:
    return Turn("caller", text, max(0.0, end - 1), end)


def agent(text: str, utterance: str = "", *, cut: bool = False) -> Turn:
    return Turn("agent", text, 0, 0, cut, utterance)


def memory(turns: int = 60, characters: int = 40_000) -> ChatMemory:
    return ChatMemory(turns=turns, characters=characters)


def told(said: Sequence[Said]) -> list[tuple[Any, ...]]:
    """Each entry in short: who, what, the calls, what came of them."""
    return [(s.role[0], s.text, *(c.id for c in s.calls), *(r.text for r in s.results)) for s in said]


def test_the_conversation_is_told_as_it_was_heard_and_ends_with_the_turn_once() -> None:
    turns = [agent("Hello!"), caller("book a table"), agent("For how many", cut=True), caller("for two")]
    m = memory()
    m.ask(Text("for two"), turns)
    assert told(m.said(turns, results=False)) == [
        ("u", ON_THE_LINE), ("a", "Hello!"), ("u", "book a table"), ("a", "For how many—"), ("u", "for two"),
    ]  # fmt: skip


def test_neighbours_of_one_side_become_one() -> None:
    turns = [caller("one"), caller("two"), agent("a"), agent("b"), caller("three")]
    m = memory()
    m.ask(Text("three"), turns)
    assert told(m.said(turns, results=False)) == [("u", "one two"), ("a", "a b"), ("u", "three")]


def test_a_turn_that_the_conversation_does_not_hold_stands_at_its_end() -> None:
    turns = [caller("hola"), agent("hi")]
    m = memory()
    m.ask(Text("a table"), turns)
    assert told(m.said(turns, results=False)) == [("u", "hola"), ("a", "hi"), ("u", "a table")]
    assert told(m.said([], results=False)) == [("u", "a table")]


def test_turns_that_wait_to_be_answered_are_not_told_yet() -> None:
    turns = [caller("first"), caller("second")]
    m = memory()
    m.ask(Text("first"), turns)
    assert told(m.said(turns, results=False)) == [("u", "first")]


def test_a_turn_is_found_by_its_time_where_something_was_said_since() -> None:
    turns = [caller("yes", 3.0), agent("One moment.")]
    m = memory()
    m.ask(Text("yes", start=2.0, end=3.0), turns)
    assert told(m.said(turns, results=False)) == [("u", "yes")]


def test_the_results_follow_the_words_that_are_being_said() -> None:
    turns = [caller("book a table")]
    m = memory()
    m.ask(Text("book a table"), turns)
    for name in ("c1", "c2"):
        m.call(Call(name, "book", {}), "u1", "Let me see.")
    m.end()
    assert not m.ready
    assert m.result(Result("c2", "two"))
    assert not m.ready
    assert m.result(Result("c1", "one"))
    assert m.ready
    expected = [("u", "book a table"), ("a", "Let me see.", "c1", "c2"), ("u", "", "one", "two")]
    assert told(m.said(turns, results=True)) == expected
    heard = [*turns, agent("Let me see.", "u1")]
    assert told(m.said(heard, results=True)) == expected
    # And in the next turn, with what was said after it.
    m.go_on()
    later = [*heard, agent("It is booked.", "u2"), caller("thanks")]
    m.ask(Text("thanks"), later)
    assert told(m.said(later, results=False)) == [
        *expected, ("a", "It is booked."), ("u", "thanks"),
    ]  # fmt: skip


def test_a_call_of_a_turn_that_was_given_up_has_a_result_that_says_so_until_the_real_one_comes() -> None:
    turns = [caller("book a table")]
    m = memory()
    m.ask(Text("book a table"), turns)
    m.call(Call("c1", "book", {}), "u1", "Let me see.")
    now = [*turns, caller("no, wait")]
    m.ask(Text("no, wait"), now)
    # Nothing of "Let me see." was heard.
    assert told(m.said(now, results=False)) == [
        ("u", "book a table"), ("a", "", "c1"), ("u", "no, wait", NO_RESULT),
    ]  # fmt: skip
    assert m.said(now, results=False)[-1].results[0].failed
    assert m.result(Result("c1", "booked at 7"))
    assert not m.ready
    assert told(m.said(now, results=False))[-1] == ("u", "no, wait", "booked at 7")


def test_a_turn_that_waits_is_not_told_with_the_results_of_the_one_before() -> None:
    turns = [caller("book a table")]
    m = memory()
    m.ask(Text("book a table"), turns)
    m.call(Call("c1", "book", {}), "u1", "One moment.")
    m.end()
    m.result(Result("c1", "done"))
    now = [*turns, agent("One moment.", "u1"), caller("and a cake")]
    assert told(m.said(now, results=True)) == [
        ("u", "book a table"), ("a", "One moment.", "c1"), ("u", "", "done"),
    ]  # fmt: skip


def test_what_tools_brought_counts_against_the_bound_in_characters() -> None:
    turns: list[Turn] = []
    m = memory(characters=1000)
    for number in range(4):
        turns.append(caller(f"q{number}"))
        m.ask(Text(f"q{number}"), turns)
        m.call(Call(f"c{number}", "find", {}), f"u{number}", "")
        m.end()
        m.result(Result(f"c{number}", "x" * 600))
    said = m.said(turns, results=True)
    assert [c.id for s in said for c in s.calls] == ["c3"]
    assert sum(len(r.text) for s in said for r in s.results) == 600


def test_only_the_first_result_of_a_call_counts_and_unknown_ones_are_told_apart() -> None:
    m = memory()
    m.ask(Text("x"), [])
    m.call(Call("c1", "book", {}), "u1", "")
    m.end()
    assert m.result(Result("c1", "first"))
    assert m.result(Result("c1", "second"))
    assert not m.result(Result("c9", "?"))
    assert m.said([], results=True)[-1].results == (Result("c1", "first"),)


def test_a_guess_that_was_wrong_leaves_no_trace_and_a_right_one_may_have_other_marks() -> None:
    m = memory()
    kept = m.state
    m.ask(Text("book a table"), [caller("book a table")])
    m.call(Call("c1", "book", {}), "u1", "")
    m.state, guessed = kept, m.state
    assert not m.knows("c1")
    m.state = guessed
    m.end()
    m.result(Result("c1", "done"))
    real = [caller("Book a table.", 4.0)]
    assert told(m.said(real, results=True)) == [("u", "book a table"), ("a", "", "c1"), ("u", "", "done")]


def test_the_same_words_twice_are_two_turns() -> None:
    first = [caller("yes")]
    m = memory()
    m.ask(Text("yes"), first)
    m.call(Call("c1", "book", {}), "u1", "")
    m.end()
    m.result(Result("c1", "done"))
    turns = [*first, agent("Once more?"), caller("yes")]
    m.ask(Text("yes"), turns)
    assert told(m.said(turns, results=False)) == [
        ("u", "yes"), ("a", "", "c1"), ("u", "", "done"), ("a", "Once more?"), ("u", "yes"),
    ]  # fmt: skip


def test_what_is_told_is_bounded_and_moves_in_steps_so_that_a_cache_of_it_holds() -> None:
    turns: list[Turn] = []
    begins = []
    for number in range(100):
        turns.append(caller(f"q{number}"))
        m = memory(turns=40)
        m.ask(Text(f"q{number}"), turns)
        said = told(m.said(turns, results=False))
        assert said[-1][1].endswith(f"q{number}")
        assert sum(len(s[1].replace(LEFT_OUT, "").split()) for s in said) <= 40
        begins.append(said[0][1])
        turns.append(agent(f"a{number}"))
    assert told(m.said(turns[:-1], results=False))[0][1].startswith(LEFT_OUT)
    assert len(set(begins)) == 17  # once in five turns, after the first twenty
    big = [caller("x" * 900), agent("y" * 900), caller("z" * 5000)]
    m = memory(characters=1000)
    m.ask(Text("z" * 5000), big)
    assert sum(len(s.text) for s in m.said(big, results=False)) <= 1000 + len(LEFT_OUT)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(["yes", "no", "book it", "Yes."])),
        st.tuples(st.just("heard"), st.booleans()),
        st.tuples(st.just("call"), st.integers(1, 3)),
        st.tuples(st.just("result"), st.integers(0, 12)),
        st.tuples(st.just("noise"), st.sampled_from(["caller", "agent"])),
        st.tuples(st.just("over"), st.none()),
    ),
    max_size=40,
)


@given(steps, st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_whatever_happens_the_entries_are_what_providers_take(steps: list[tuple[str, Any]], bound: int) -> None:
    m = memory(turns=bound)
    turns: list[Turn] = []
    calls = 0
    for number, (what, value) in enumerate(steps):
        match what:
            case "ask":
                turns.append(caller(value))
                m.ask(Text(value), turns)
                check(m, turns, value, results=False)
            case "heard":
                turns.append(agent("some words", f"u{number % 5}", cut=value))
            case "noise":
                turns.append(Turn(value, "mhm", 0, 0))
            case "call" if m.state.current is not None:
                for _ in range(value):
                    calls += 1
                    m.call(Call(f"c{calls}", "book", {}), f"u{number % 5}", "Let me see.")
            case "over":
                m.end()
            case "result":
                m.result(Result(f"c{value}", "done"))
        if m.ready:
            check(m, turns, "", results=True)
            m.go_on()


def check(m: ChatMemory, turns: list[Turn], asked: str, *, results: bool) -> None:
    said = m.said(turns, results=results)
    assert said[0].role == said[-1].role == "user"
    assert all(a.role != b.role for a, b in pairwise(said))
    assert all(s.text.strip() or s.calls or s.results for s in said)
    for at, entry in enumerate(said):
        assert not (entry.calls and entry.role == "user")
        assert not (entry.results and entry.role == "assistant")
        wanted = [c.id for c in said[at - 1].calls] if at else []
        assert [r.id for r in entry.results] == wanted
    ids = [c.id for s in said for c in s.calls]
    assert len(ids) == len(set(ids))
    if results:
        assert said[-1].results
    else:
        assert said[-1].text.endswith(asked)
