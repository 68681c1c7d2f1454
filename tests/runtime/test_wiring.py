"""Routes: guards, else, ports, forwards, forks, patterns, errors; and that watching a call does not change it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import echostack.api as echostack
from echostack.core.audio import AudioFormat
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.events import Event
from echostack.core.payloads import AgentMessage, AudioFrame, CallStarted, Data, ExceptionFailure, Intent, Text
from echostack.registry import Forward, Inbox, Out, Registry, connector
from echostack.simulation.loop import run_virtual
from tests.runtime.cast import hears, play, registry


class Notes:
    """Connectors ``acme.a``, ``acme.b`` … that note what reaches them."""

    def __init__(self, *names: str) -> None:
        self.seen: dict[str, list[str]] = {n: [] for n in names}
        self.cast = tuple(self._make(n) for n in names)

    def _make(self, name: str) -> Any:
        seen = self.seen[name]

        @connector(f"acme.{name}")
        def note(item: Text | Data | Intent | ExceptionFailure) -> None:
            seen.append(getattr(item, "text", "") or getattr(item, "name", "") or getattr(item, "node", ""))

        return note


def saying(*words: str) -> list[tuple[float, str]]:
    return [(float(n), f"say:{w}") for n, w in enumerate(words, 1)]


def test_guards_are_independent_and_else_means_that_none_matched() -> None:
    notes = Notes("a", "b", "c")
    graph = hears(
        'ear.stt -[ text == "yes" or text == "maybe" ]-> acme.a',
        'ear.stt -[ text == "no" or text == "maybe" ]-> acme.b',
        "ear.stt -[ else ]-> acme.c",
    )
    play(saying("yes", "no", "maybe", "what"), *notes.cast, graph=graph)
    assert notes.seen == {"a": ["yes", "maybe"], "b": ["no", "maybe"], "c": ["what"]}


def test_the_guards_of_an_else_are_asked_only_of_what_their_edges_carry() -> None:
    @connector("acme.both")
    def both(text: Text) -> list[Text | Data]:
        return [text, Data("data")]

    @connector("acme.low")
    def low(text: Text) -> None: ...

    notes = Notes("c")
    graph = hears("ear.stt -> acme.both", "acme.both -[ confidence < 0.4 ]-> acme.low", "acme.both -[ else ]-> acme.c")
    over = play(saying("x"), both, low, *notes.cast, graph=graph)
    assert [e.name for e in over.events if e.name.startswith("error")] == []
    assert notes.seen["c"] == ["x", "data"]


def test_ports_and_forwards() -> None:
    @connector("acme.route", ports=lambda settings: ("left", "right"))
    def route(text: Text) -> Forward | Data | Out | None:
        if text.text == "f":
            return Forward("left")
        return Out(Data(text.text), port="right") if text.text == "o" else None

    notes = Notes("a", "b")
    graph = hears("ear.stt -> acme.route", "acme.route:left -> acme.a", "acme.route:right -> acme.b")
    over = play(saying("f", "o", "n"), route, *notes.cast, graph=graph)
    assert notes.seen == {"a": ["f"], "b": ["o"]}
    # What is forwarded is not made anew: it keeps its name and its number.
    assert len(over.at("processing.ear.text")) == 3
    assert over.stats.nodes["acme.route"]["emitted"] == 2


def test_a_fork_and_a_merge() -> None:
    notes = Notes("a", "b")
    graph = hears("ear.stt -> (acme.a, acme.b)", "(ear.stt, acme.more) -> acme.a", "ear.stt -> acme.more")

    @connector("acme.more")
    def more(text: Text) -> Data:
        return Data(f"more {text.text}")

    play(saying("x"), more, *notes.cast, graph=graph)
    assert sorted(notes.seen["a"]) == ["more x", "x"]
    assert notes.seen["b"] == ["x"]


def test_an_exception_in_one_branch_of_a_fork_stays_there() -> None:
    @connector("acme.bad")
    def bad(text: Text) -> Data:
        raise ValueError(f"cannot do {text.text}")

    notes = Notes("a", "b")
    over = play(saying("x", "y"), bad, *notes.cast, graph=hears("ear.stt -> (acme.a, acme.bad, acme.b)"))
    assert notes.seen == {"a": ["x", "y"], "b": ["x", "y"]}
    assert [p.message for _, p in over.at("error.acme.exception")] == [
        "ValueError: cannot do x", "ValueError: cannot do y"
    ]  # fmt: skip
    assert [p.node for _, p in over.at("error.acme.dead_letter")] == ["acme.bad", "acme.bad"]


def test_audio_that_cannot_be_converted_is_an_error_of_its_own_edge() -> None:
    @connector("acme.eight", input_format=lambda settings: AudioFormat(8_000))
    def eight(frame: AudioFrame) -> Data:
        return Data(f"{frame.rate}")

    @connector("acme.any")
    def anything(frame: AudioFrame) -> Data:
        return Data("any")

    async def frames() -> AsyncIterator[AudioFrame]:
        yield AudioFrame(b"\0\0" * 320, 0)
        yield AudioFrame(b"\0\0" * 320, 16_000)

    graph = hears("ingress.line.audio_frame -> (acme.eight, acme.any)")

    async def main() -> list[Event]:
        pipeline = echostack.compile(graph, registry=registry(eight, anything), env={})
        async with pipeline.session(ingress={"line": frames()}, compute=InlineCompute()) as call:
            events = call.events("processing.acme.data", "error.*.exception")
            await call.finished()
        return [e async for e in events]

    found = [e.payload.name if isinstance(e.payload, Data) else e.name for e in run_virtual(main())]
    assert sorted(found) == ["8000", "any", "any", "error.acme.exception"]


def test_errors_reach_the_consumers_of_their_pattern() -> None:
    @connector("acme.bad")
    def bad(text: Text) -> Data:
        raise ValueError("no")

    notes = Notes("a", "b")
    play(saying("x"), bad, *notes.cast, graph=hears("ear.stt -> acme.bad", "error.*.exception -> acme.a",
                                                    "error.line.exception -> acme.b"))  # fmt: skip
    assert notes.seen == {"a": ["acme.bad"], "b": []}


@pytest.mark.parametrize("form", ["sync", "async"])
def test_consumers_of_errors_that_fail_are_reported_to_each_other_once_and_never_loop(form: str) -> None:
    calls: list[str] = []

    def alarm(name: str) -> Any:
        if form == "sync":

            @connector(f"{name}.alarm")
            def sound(failure: ExceptionFailure) -> None:
                calls.append(f"{name} of {failure.node}")
                raise ValueError("the alarm is broken")

            return sound

        @connector(f"{name}.alarm")
        async def later(failure: ExceptionFailure) -> None:
            calls.append(f"{name} of {failure.node}")
            raise ValueError("the alarm is broken")

        return later

    @connector("acme.bad")
    def bad(text: Text) -> Data:
        raise ValueError("no")

    graph = hears("ear.stt -> acme.bad", "error.*.exception -> p.alarm", "error.*.exception -> q.alarm")
    play(saying("x"), bad, alarm("p"), alarm("q"), graph=graph)
    assert sorted(calls) == ["p of acme.bad", "p of q.alarm", "q of acme.bad", "q of p.alarm"]


def test_a_failure_behind_a_consumer_of_errors_does_not_come_back_to_it() -> None:
    told: list[str] = []

    @connector("acme.bad")
    def bad(text: Text) -> Data:
        raise ValueError("no")

    @connector("acme.tell")
    def tell(failure: ExceptionFailure) -> Intent:
        told.append(failure.node)
        return Intent(failure.node)

    @connector("post.speak")
    async def speak(intent: Intent) -> Data:
        raise ConnectionError("no line")

    graph = hears("ear.stt -> acme.bad", "error.*.exception -> acme.tell -> post.speak")
    over = play(saying("x"), bad, tell, speak, graph=graph)
    assert told == ["acme.bad"]
    assert len(over.at("error.post.exception")) == 1


def test_the_engines_own_events_can_be_routed_and_guarded() -> None:
    seen: list[str] = []

    @connector("acme.start")
    def start(event: CallStarted) -> None:
        seen.append(event.graph)

    play(
        [],
        start,
        graph=hears("control.call.call_started -> acme.start").replace("echostack: 1", "echostack: 1\nname: x"),
    )
    assert seen == ["x"]


# -- chains ----------------------------------------------------------------------------------------------------


@connector("ingress.numbers")
class Numbers:
    """Stands for what the test feeds."""

    async def run(self) -> AsyncIterator[Data]:
        yield Data("")


def step(name: str, op: str, by: int) -> Any:
    """A sync function over ``data.data["n"]``: adds, drops what is divisible, doubles the event, or fails on some."""

    @connector(f"{name}.step")
    def plain(data: Data) -> Data | None:
        n = data.data["n"]
        if op == "drop" and n % by == 0:
            return None
        if op == "fail" and n % by == 0:
            raise ValueError(f"{name} fails on {n}")
        return Data(name, {"n": n + by})

    @connector(f"{name}.step")
    def twice(data: Data) -> list[Data]:
        return [Data(name, {"n": data.data["n"]}), Data(name, {"n": data.data["n"] + by})]

    @connector(f"{name}.step")
    def with_event(data: Data, event: Event) -> Data:
        return Data(name, {"n": data.data["n"] + by, "caused": event.kind})

    return {"twice": twice, "event": with_event}.get(op, plain)


OPS = st.sampled_from(["add", "add", "add", "drop", "fail", "twice", "event"])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """An acyclic graph of up to seven steps, each fed by the ingress or by an earlier one."""
    count = draw(st.integers(1, 7))
    steps = [step(f"s{n}", draw(OPS), draw(st.integers(2, 5))) for n in range(count)]
    rules, fed_from = [], []
    for n in range(count):
        chain = st.just(n - 1)
        source = draw(st.one_of(chain, chain, st.integers(-1, n - 1)))
        more = draw(st.booleans()) and n > 0 and draw(st.booleans())
        sources = {source, draw(st.integers(-1, n - 1))} if more else {source}
        fed_from.append(sources)
        rules += [f"  - {'ingress.numbers.data' if s < 0 else f's{s}.step'} -> s{n}.step" for s in sorted(sources)]
    last = [n for n in range(count) if not any(n in sources for sources in fed_from[n + 1 :])]
    rules += [f"  - s{n}.step -> end.note" for n in last]
    return "echostack: 1\npipeline:\n" + "\n".join(rules) + "\nbarge_in: off\n", steps


def outcome(text: str, steps: list[Any], numbers: list[int], observe: tuple[str, ...]) -> Any:
    """What reached the end, which errors there were, and what every node counted."""
    notes: list[Any] = []

    @connector("end.note")
    def note(data: Data) -> None:
        notes.append((data.name, data.data["n"]))

    async def feed() -> AsyncIterator[Data]:
        for n in numbers:
            yield Data("", {"n": n})

    async def main() -> Any:
        pipeline = echostack.compile(text, registry=Registry().add(Numbers, note, *steps), env={})
        async with pipeline.session(
            ingress={"numbers": feed()}, compute=InlineCompute(), clock=LoopClock(), session="s"
        ) as call:
            if observe:
                call.events(*observe)
            errors = call.events("error.*.exception")
            await call.finished()
            counts = {n: (c["received"], c["emitted"], c["failures"]) for n, c in call.stats().nodes.items()}
        return notes, [e.payload.message async for e in errors], counts  # type: ignore[attr-defined]

    return run_virtual(main())


@given(graphs(), st.lists(st.integers(0, 20), max_size=6))
def test_watching_a_call_changes_neither_its_outcome_nor_its_counters(
    drawn: tuple[str, list[Any]], numbers: list[int]
) -> None:
    text, steps = drawn
    alone = outcome(text, steps, numbers, ())
    watched = outcome(text, steps, numbers, ("*.*.*",))
    half = outcome(text, steps, numbers, ("processing.s1.data",))
    assert alone == watched == half


def test_counters_of_a_chain_are_exact() -> None:
    text = (
        "echostack: 1\npipeline:\n  - ingress.numbers.data -> a.step -> b.step -> c.step -> end.note\nbarge_in: off\n"
    )
    steps = [step("a", "add", 1), step("b", "drop", 3), step("c", "fail", 2)]
    for observe in ((), ("*.*.*",)):
        notes, errors, counts = outcome(text, steps, list(range(10)), observe)
        # a: 1..10; b drops 3 6 9, passes n + 3: 4 5 7 8 10 11 13; c fails on 4 8 10.
        assert [n for _, n in notes] == [7, 9, 13, 15]
        assert errors == ["ValueError: c fails on 4", "ValueError: c fails on 8", "ValueError: c fails on 10"]
        assert {n: c[:2] for n, c in counts.items()} == {
            "ingress.numbers": (0, 10), "a.step": (10, 10), "b.step": (10, 7), "c.step": (7, 4), "end.note": (4, 0),
        }  # fmt: skip


def test_a_subscription_made_in_the_middle_of_a_call_loses_and_doubles_nothing() -> None:
    text = "echostack: 1\npipeline:\n  - ingress.numbers.data -> a.step -> b.step -> end.note\nbarge_in: off\n"
    seen: list[int] = []

    @connector("end.note")
    def note(data: Data) -> None:
        seen.append(data.data["n"])

    async def feed() -> AsyncIterator[Data]:
        for n in range(100):
            await asyncio.sleep(0.01)
            yield Data("", {"n": n})

    async def main() -> tuple[list[int], dict[str, Any]]:
        known = Registry().add(Numbers, note, step("a", "add", 0), step("b", "add", 0))
        watched: list[int] = []
        pipeline = echostack.compile(text, registry=known, env={})
        async with pipeline.session(ingress={"numbers": feed()}, compute=InlineCompute()) as call:
            await asyncio.sleep(0.255)
            events = call.events("processing.a.data")
            await asyncio.sleep(0.25)
            events.end()
            watched += [e.payload.data["n"] async for e in events]  # type: ignore[attr-defined]
            await call.finished()
            return watched, dict(call.stats().nodes)

    watched, nodes = run_virtual(main())
    assert seen == list(range(100))
    assert watched == list(range(25, 50))
    assert nodes["a.step"]["received"] == nodes["b.step"]["emitted"] == 100


def test_two_messages_made_in_place_of_one_source_have_two_ids() -> None:
    text = "echostack: 1\npipeline:\n  - ingress.numbers.data -> a.step -> say.agent -> end.note\nbarge_in: off\n"
    ids: list[str] = []

    @connector("say.agent")
    def say(data: Data) -> AgentMessage:
        return AgentMessage(str(data.data["n"]))

    @connector("end.note")
    def note(message: AgentMessage) -> None:
        ids.append(message.id)

    async def feed() -> AsyncIterator[Data]:
        for n in range(3):
            yield Data("", {"n": n})

    async def main() -> None:
        pipeline = echostack.compile(text, registry=Registry().add(Numbers, say, note, step("a", "add", 0)), env={})
        async with pipeline.session(ingress={"numbers": feed()}, compute=InlineCompute()) as call:
            await call.finished()

    run_virtual(main())
    assert len(ids) == 3 == len(set(ids))


def test_a_queue_that_a_rule_asks_for_stands_before_a_function_too() -> None:
    graph = hears("ear.stt -> acme.a: {queue: 2, overflow: drop_newest}")
    notes = Notes("a")

    over = play([(1.0, "say:a"), (1.0, "say:b")], *notes.cast, graph=graph)
    (queue,) = [q for q in over.stats.queues if q.edge == "ear.stt -> acme.a"]
    assert (queue.bound, queue.overflow, queue.put, queue.taken) == (2, "drop_newest", 2, 2)
    assert notes.seen["a"] == ["a", "b"]


def test_an_overflow_of_error_is_an_error_event_of_the_producer() -> None:
    @connector("acme.slow")
    class Slow:
        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
            await asyncio.sleep(15.0)
            async for event in inbox:
                yield Data(event.payload.text)  # type: ignore[attr-defined]

    graph = hears("ear.stt -> acme.slow: {queue: 2, overflow: error}")
    over = play(saying("a", "b", "c"), Slow, graph=graph)
    assert [(t, p.node, p.message) for t, p in over.at("error.ear.exception")] == [
        (3.0, "ear.stt", "QueueOverflow: the queue of ear.stt -> acme.slow holds 2 events and is full")
    ]
    assert [p.name for _, p in over.at("processing.acme.data")] == ["a", "b"]
