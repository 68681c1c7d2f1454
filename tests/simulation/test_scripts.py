"""What a scenario says that a node answers: which reply fits, what it gives, and what it cannot ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostack.core.errors import UsageError
from echostack.core.payloads import (
    AgentMessage,
    AudioChunkStream,
    AudioFrame,
    Data,
    Intent,
    Record,
    Text,
    TextPartial,
)
from echostack.language.guard import Compare, Constant, Field
from echostack.language.scenario import Delay, Reply, Say, Script
from echostack.registry import Forward, Inbox, Latency, Out, Simulator, connector, simulates
from echostack.simulation.scripts import fits_words
from tests.simulation.mocking import HERE, at, given, output, plan, play, script


@connector("acme.crm", network=True, latency=Latency(p50=100, p95=100))
async def crm(text: Text | Intent) -> Record:
    raise AssertionError("a simulated call has no CRM")


@connector("acme.agent", network=True, latency=Latency(p50=200, p95=200))
async def agent(text: Text) -> AsyncIterator[AgentMessage]:
    raise AssertionError("a simulated call has no model")
    yield AgentMessage("")


@connector("acme.shout")
def shout(text: Text) -> AgentMessage:
    return AgentMessage(text.text.upper())


CRM = plan("ingress.chat.text -> acme.crm", more=(crm,))
AGENT = plan("ingress.chat.text -> acme.agent", more=(agent,))
SHOUT = plan("ingress.chat.text -> acme.shout", more=(shout,))


def crm_says(*texts: str, replies: tuple[Reply, ...]) -> list[str]:
    outcome = play(CRM, *texts, scripts={"acme.crm": script(*replies)})
    assert not outcome.crash
    return [r.type for r in given(outcome, "processing.acme.record")]


def record(name: str, **rest: Any) -> Reply:
    return Reply(HERE, give=(output("record", type=name),), **rest)


@pytest.mark.parametrize(
    ("wanted", "text", "fits"),
    [
        ("book a table", "I want to book a table, please.", True),
        ("book a table", "Book THE table", False),
        ("book * table", "book me a nice table", True),
        ("book * table", "book table", True),
        ("table * book", "book a table", False),
        ("it's fine", "It's fine!", True),
        ("open", "reopened", False),
        ("*", "anything", True),
        ("a b", "a, b", True),
    ],
)
def test_words_fit_in_order_without_case_and_punctuation(wanted: str, text: str, fits: bool) -> None:
    assert fits_words(wanted)(text) is fits


def test_replies_are_tried_in_order() -> None:
    replies = (record("greeting", to="hello"), record("other"))
    assert crm_says("so what", "hello there", "bye", replies=replies) == ["other", "greeting", "other"]


def test_replies_without_a_condition_are_used_once_and_the_last_without_end() -> None:
    assert crm_says("a", "b", "c", "d", replies=(record("one"), record("two"))) == ["one", "two", "two", "two"]


def test_times_say_how_often_a_reply_is_used() -> None:
    replies = (record("twice", times=2), record("thanks", to="thank you", times=1), record("last"))
    said = ("a", "b", "thank you", "thank you")
    assert crm_says(*said, replies=replies) == ["twice", "twice", "thanks", "last"]


def test_a_reply_may_ask_for_fields_of_the_payload() -> None:
    sure = Compare(Field("confidence", HERE), ">", Constant(0.5, HERE), HERE)
    unknown = Compare(Field("no_such", HERE), "==", Constant(1, HERE), HERE)
    replies = (record("never", where=unknown), record("sure", where=sure))
    assert crm_says("a", replies=replies) == ["sure"]


def test_an_event_that_no_reply_fits_is_answered_by_the_simulation() -> None:
    assert crm_says("a", replies=(record("hello", to="hello"),)) == ["item"]


def test_nothing_is_an_answer() -> None:
    assert crm_says("a", replies=(Reply(HERE, nothing=True),)) == []


def test_a_reply_has_its_own_delay_else_the_nodes_else_the_connectors() -> None:
    slow = record("slow", to="slow", delay=Delay(2.0, 2.0))
    outcome = play(CRM, "slow", "quick", scripts={"acme.crm": script(slow, record("quick"), delay=Delay(0.5, 0.5))})
    assert [(t, r.type) for t, r in at(outcome, "processing.acme.record")] == [(3.0, "slow"), (3.5, "quick")]
    outcome = play(CRM, "quick", scripts={"acme.crm": script(record("quick"))})
    assert [t for t, _ in at(outcome, "processing.acme.record")] == [1.1]


def test_several_events_are_given_one_after_the_other() -> None:
    both = Reply(HERE, give=(output("record", type="one"), output("record", after=0.3, type="two")))
    outcome = play(CRM, "a", scripts={"acme.crm": script(both)})
    assert [(t, r.type) for t, r in at(outcome, "processing.acme.record")] == [(1.1, "one"), (1.4, "two")]


def test_what_is_said_is_said_as_the_connector_says_it() -> None:
    outcome = play(AGENT, "hi", scripts={"acme.agent": script(Reply(HERE, say="Good evening."))})
    assert [m.text for m in given(outcome, "processing.acme.agent_message")] == ["Good evening."]
    outcome = play(CRM, "hi", scripts={"acme.crm": script(Reply(HERE, say="vip"))})
    assert [r.type for r in given(outcome, "processing.acme.record")] == ["vip"]


def test_replies_go_before_a_connector_that_runs_as_it_is() -> None:
    outcome = play(SHOUT, "hello", "other", scripts={"acme.shout": script(Reply(HERE, to="hello", say="hush"))})
    assert [m.text for m in given(outcome, "processing.acme.agent_message")] == ["hush", "OTHER"]


def test_a_reply_can_leave_by_a_port() -> None:
    @connector("acme.router", network=True, ports=lambda settings: ("sales", "other"))
    async def route(text: Text) -> AsyncIterator[Intent | Forward]:
        raise AssertionError
        yield Intent("")

    @connector("acme.note")
    def note(intent: Intent) -> Data:
        return Data(intent.name)

    routed = plan("ingress.chat.text -> acme.router", "acme.router:sales -> acme.note", more=(route, note))
    replies = (
        Reply(HERE, to="buy", give=(output("intent", port="sales", name="buy"),)),
        Reply(HERE, give=(output("intent", name="main"),)),
    )
    outcome = play(routed, "I buy", "hello", scripts={"acme.router": script(*replies)})
    assert [d.name for d in given(outcome, "processing.acme.data")] == ["buy"]
    assert [i.name for i in given(outcome, "processing.acme.intent")] == ["buy", "main"]


# -- a plugin's function -----------------------------------------------------------------------------------------


def answered(function: Any, *texts: str, graph: Any = CRM, node: str = "acme.crm") -> list[Any]:
    outcome = play(graph, *texts, scripts={node: Script("", HERE, answers="mine")}, answers={"mine": function})
    assert not outcome.crash, outcome.crash
    return [e.payload for e in outcome.events if e.name.startswith(("processing.acme", "error."))]


def test_a_function_answers_with_texts_and_payloads() -> None:
    def mine(payload: Text, simulator: Simulator) -> Any:
        simulator.store.write({"asked": payload.text})
        return {"one": "a word", "two": [Record("x"), Out(Record("y"))], "none": None}[payload.text]

    assert [r.type for r in answered(mine, "one", "two", "none")] == ["a word", "x", "y"]


def test_a_function_may_wait() -> None:
    async def mine(payload: Text, simulator: Simulator) -> str:
        await simulator.clock.sleep(1.0)
        return "later"

    outcome = play(CRM, "a", scripts={"acme.crm": Script("", HERE, answers="mine")}, answers={"mine": mine})
    assert at(outcome, "processing.acme.record")[0][0] == 2.1
    assert not asyncio.iscoroutine(outcome)


def test_what_a_function_may_not_answer_is_told_as_the_nodes_failure() -> None:
    (wrong, _) = answered(lambda payload, simulator: Data("x"), "a")
    assert wrong.message == "UsageError: test.echo:3:5: mine gives data, and acme.crm makes record"
    (wrong, _) = answered(lambda payload, simulator: 3, "a")
    assert wrong.message == ("UsageError: test.echo:3:5: mine gives int, and not a text, a payload or several of them")


def test_a_function_that_waits_cannot_answer_in_place() -> None:
    async def mine(payload: Text, simulator: Simulator) -> str:
        return "never"

    (wrong, _) = answered(mine, "a", graph=SHOUT, node="acme.shout")
    assert wrong.message == "UsageError: test.echo:3:5: mine is async, and acme.shout cannot wait"


# -- what cannot be ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "script_", "message"),
    [
        (
            "acme.crm",
            script(Reply(HERE, give=(output("recrod"),))),
            "test.echo:3:5: acme.crm makes no recrod; did you mean record?",
        ),
        (
            "acme.crm",
            script(Reply(HERE, give=(output("record", typ="x"),))),
            "test.echo:3:5: record has no field 'typ'; did you mean type?",
        ),
        (
            "acme.crm",
            script(Reply(HERE, give=(output("record"),))),
            "test.echo:3:5: record is not complete: object missing required field type",
        ),
        (
            "acme.crm",
            script(Reply(HERE, give=(output("record", type=3),))),
            "test.echo:3:5: the field type of record is wrong: expected str, got int",
        ),
        (
            "acme.crm",
            script(Reply(HERE, give=(output("record", port="left", type="x"),))),
            "test.echo:3:5: acme.crm has no port 'left'; it has none",
        ),
        ("acme.cmr", script(), "test.echo:3:5: the graph has no node 'acme.cmr'; did you mean acme.crm?"),
        (
            "ingress.chat",
            script(Reply(HERE, say="x")),
            "test.echo:3:5: ingress.chat answers nothing: the caller's steps say what comes from it",
        ),
        (
            "acme.crm",
            Script("acme.crm", HERE, answers="mine"),
            "test.echo:3:5: there is no function 'mine' to answer for acme.crm: name the plugin that has it "
            "(--plugin MODULE); known are none",
        ),
    ],
)
def test_what_a_node_cannot_give_is_told_before_the_call(node: str, script_: Script, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        play(CRM, "a", scripts={node: script_})
    assert str(caught.value) == message


def test_what_answers_in_place_cannot_be_delayed() -> None:
    with pytest.raises(UsageError) as caught:
        play(SHOUT, "a", scripts={"acme.shout": script(delay=Delay(1.0, 1.0))})
    assert str(caught.value) == (
        "test.echo:3:5: acme.shout answers in the step in which it is called, so there is nothing to delay; "
        "delay a node that waits for an answer"
    )


# -- a simulation of one's own -----------------------------------------------------------------------------------


def test_a_simulation_of_ones_own_asks_what_the_scenario_says() -> None:
    @connector("acme.weather", network=True)
    async def weather(text: Text) -> Data:
        raise AssertionError

    @simulates(weather)
    async def sunny(text: Text, simulator: Simulator) -> Data:
        scripted = simulator.scripted(text)
        await simulator.clock.sleep(simulator.latency())
        simulator.store.write({"asked": text.text}, simulator.idempotency_key)
        return scripted[0] if scripted else Data("sunny")  # type: ignore[return-value]

    graph = plan("ingress.chat.text -> acme.weather", more=(weather,))
    rain = Reply(HERE, to="rain", delay=Delay(0.4, 0.4), give=(output("data", name="rain"),))
    outcome = play(graph, "rain", "sun", scripts={"acme.weather": script(rain)})
    assert [(t, d.name) for t, d in at(outcome, "processing.acme.data")] == [(1.4, "rain"), (2.0, "sunny")]
    assert [w.data for w in outcome.stores["acme.weather"].writes] == [{"asked": "rain"}, {"asked": "sun"}]


def test_a_simulation_that_does_not_ask_is_told_of() -> None:
    @connector("acme.weather", network=True)
    async def weather(text: Text) -> Data:
        raise AssertionError

    @simulates(weather)
    async def sunny(text: Text, simulator: Simulator) -> Data:
        return Data("sunny")

    graph = plan("ingress.chat.text -> acme.weather", more=(weather,))
    rain = Reply(HERE, give=(output("data", name="rain"),))
    outcome = play(graph, "x", scripts={"acme.weather": script(rain)})
    assert [(n.time, n.what) for n in outcome.notes] == [
        (1.0, "the simulation of acme.weather does not ask what the scenario has it answer")
    ]


def test_a_simulation_that_cannot_ask_is_replied_for() -> None:
    @connector("acme.weather", network=True)
    async def weather(text: Text) -> Data:
        raise AssertionError

    @simulates(weather)
    def sunny(text: Text) -> Data:
        return Data("sunny")

    graph = plan("ingress.chat.text -> acme.weather", more=(weather,))
    rain = Reply(HERE, to="rain", give=(output("data", name="rain"),))
    outcome = play(graph, "rain", "sun", scripts={"acme.weather": script(rain)})
    assert [d.name for d in given(outcome, "processing.acme.data")] == ["rain", "sunny"]
    assert outcome.notes == ()


def test_a_guess_that_comes_to_nothing_uses_no_reply_and_draws_no_latency() -> None:
    @connector("ear.stt", network=True, latency=Latency(p50=600, p95=600))
    class Stt:
        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial]:
            raise AssertionError
            yield Text("")

    @connector("acme.model", network=True, latency=Latency(p50=200, p95=900))
    async def model(text: Text) -> AsyncIterator[AgentMessage]:
        raise AssertionError
        yield AgentMessage("")

    @connector("acme.tts", network=True)
    async def tts(message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
        raise AssertionError
        yield AudioChunkStream(b"", 16_000)

    replies = (Reply(HERE, say="First."), Reply(HERE, say="Second."))
    steps = (Say("What are your opening hours?", HERE), Say("And tomorrow, please?", HERE, at=12.0))

    def said(speculate: str) -> list[str]:
        graph = plan(
            "ingress.phone.audio_frame -> ear.stt -> acme.model -> acme.tts -> egress.app.audio_chunk",
            more=(Stt, model, tts), speculate=speculate,
        )  # fmt: skip
        outcome = play(graph, steps=steps, scripts={"acme.model": script(*replies)})
        assert bool(given(outcome, "control.speculation.discarded")) is bool(speculate)
        return [m.text for m in given(outcome, "processing.acme.agent_message")]

    assert said("{on: model}") == said("") == ["First.", "Second."]
