"""The simulated agent: what it says, in which pieces, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import BaseModel

from echostack.core.kinds import Payload
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    CallStarted,
    Intent,
    SpeechStarted,
    Text,
    TextPartial,
    ToolCall,
)  # fmt: skip
from echostack.simulation.loop import run_virtual
from echostack.simulation.mock.agent import SimulatedAgent
from tests.simulation.mock.harness import Events, FakeSimulator, Heard, collected, spec_of, world_of

TAKES = (Text, TextPartial, CallStarted, Intent, SpeechStarted)
PIECES: tuple[type[Payload], ...] = (AgentMessagePartial,)
WHOLE: tuple[type[Payload], ...] = (AgentMessage,)


class Persona(BaseModel):
    interruptible: bool = False
    language: str = "en-GB"
    tokens_per_second: float = 60.0


def said(
    payload: Payload,
    produces: tuple[type[Payload], ...] = PIECES,
    *,
    settings: object = None,
    seed: int = 0,
    before: int = 0,
    answers: dict[str, tuple[Payload, ...]] | None = None,
) -> Heard:
    """What an agent answers, with the instants; ``before`` other turns were answered first, at no cost of time."""

    async def main() -> Heard:
        world = world_of(seed=seed)
        simulator = FakeSimulator(world, seconds=0.5)
        simulator.answers = answers or {}
        agent = SimulatedAgent(spec_of(TAKES, (*produces, ToolCall)), settings, simulator, world)
        events = Events(simulator.clock.now)
        for _ in range(before):
            agent.at_once(events.of(Text("something else")))
        return await collected(agent.answer(events.of(payload)), simulator.clock.now)

    return run_virtual(main())


HELLO: dict[str, tuple[Payload, ...]] = {"hello": (AgentMessage("Good morning. How can I help?"),)}


def test_a_scripted_reply_comes_sentence_by_sentence_as_its_tokens_do() -> None:
    assert said(Text("hello"), answers=HELLO) == [
        (0.5, AgentMessagePartial("Good morning. ")),
        (round(0.5 + 15 / 120, 6), AgentMessagePartial("How can I help?", final=True)),
    ]


def test_an_agent_of_whole_messages_gives_one_and_one_of_both_gives_it_last() -> None:
    assert said(Text("hello"), WHOLE, answers=HELLO) == [(0.5, AgentMessage("Good morning. How can I help?"))]
    both = said(Text("hello"), (*PIECES, *WHOLE), answers=HELLO)
    assert [type(p) for _, p in both] == [AgentMessagePartial, AgentMessagePartial, AgentMessage]
    assert both[2] == (0.625, AgentMessage("Good morning. How can I help?"))


def test_its_settings_say_how_fast_and_in_which_manner_it_speaks() -> None:
    assert said(Text("hello"), settings=Persona(), answers=HELLO) == [
        (0.5, AgentMessagePartial("Good morning. ", interruptible=False, language="en-GB")),
        (0.5625, AgentMessagePartial("How can I help?", "", True, False, "en-GB")),
    ]


def test_what_a_script_gives_besides_words_is_given_as_it_is() -> None:
    call = ToolCall("book", "t1", {"day": "monday"})
    answers: dict[str, tuple[Payload, ...]] = {"hello": (AgentMessagePartial("One. Two.", final=True), call), "hm": ()}
    assert [p for _, p in said(Text("hello"), answers=answers)] == [
        AgentMessagePartial("One. "), AgentMessagePartial("Two.", final=True), call
    ]  # fmt: skip
    assert said(Text("hello"), answers={"hello": (call,)}) == [(0.5, call)]
    assert said(Text("hm"), answers=answers) == []


def test_without_a_script_it_takes_up_the_callers_words() -> None:
    (message,) = [p for _, p in said(Text("I want to book a dental cleaning on Monday"), WHOLE)]
    assert isinstance(message, AgentMessage)
    assert "book dental cleaning" in message.text
    (empty,) = [p for _, p in said(Text("oh yes, please"), WHOLE)]
    assert isinstance(empty, AgentMessage)
    assert empty.text.endswith((".", "?"))


def test_its_reply_depends_on_the_words_and_the_seed_and_on_nothing_that_came_before() -> None:
    turn = Text("where is my parcel", start=1.0, end=2.0)
    guess = Text("where is my parcel", start=1.0, end=1.8, confidence=0.5)
    assert said(turn) == said(turn) == said(guess) == said(turn, before=3)
    assert len({said(turn, WHOLE, seed=seed)[0][1].text for seed in range(20)}) > 1  # type: ignore[attr-defined]


def test_it_greets_when_the_call_begins() -> None:
    (greeting,) = [p for _, p in said(CallStarted("front_desk"), WHOLE)]
    assert isinstance(greeting, AgentMessage)
    assert greeting.text.startswith(("Hello", "Good day"))


@pytest.mark.parametrize("payload", [TextPartial("where is"), SpeechStarted(1.0)])
def test_what_may_still_change_and_what_only_controls_is_answered_with_nothing(payload: Payload) -> None:
    assert said(payload) == []


def test_an_interruption_at_any_instant_leaves_it_ready() -> None:
    async def main() -> tuple[Heard, Heard]:
        world = world_of()
        simulator = FakeSimulator(world, seconds=0.5)
        simulator.answers = HELLO
        agent = SimulatedAgent(spec_of(TAKES, (*PIECES, *WHOLE)), None, simulator, world)
        events = Events(simulator.clock.now)
        whole = await collected(agent.answer(events.of(Text("hello"))), simulator.clock.now)
        for steps in range(3):
            cut = agent.answer(events.of(Text("hello")))
            for _ in range(steps):
                await anext(cut)
            await cut.aclose()  # type: ignore[attr-defined]
        begun = simulator.clock.now()
        again = await collected(agent.answer(events.of(Text("hello"))), simulator.clock.now)
        return whole, [(round(time - begun, 6), payload) for time, payload in again]

    whole, again = run_virtual(main())
    assert whole == again


def test_one_that_is_told_of_an_interruption_gives_up_at_that_very_instant() -> None:
    async def main() -> tuple[Heard, float]:
        world = world_of()
        simulator = FakeSimulator(world, seconds=0.5)
        simulator.answers = HELLO
        spec = replace(spec_of(TAKES, PIECES), keeps_running=True)
        agent = SimulatedAgent(spec, None, simulator, world)
        events = Events(simulator.clock.now)
        simulator.clock.call_later(0.55, agent.interrupted)
        cut = await collected(agent.answer(events.of(Text("hello"))), simulator.clock.now)
        ended = simulator.clock.now()
        again = await collected(agent.answer(events.of(Text("hello"))), simulator.clock.now)
        return [*cut, *again], ended

    said_, ended = run_virtual(main())
    assert ended == 0.55
    assert [(time, payload.text) for time, payload in said_] == [  # type: ignore[attr-defined]
        (0.5, "Good morning. "), (1.05, "Good morning. "), (1.175, "How can I help?")
    ]  # fmt: skip
