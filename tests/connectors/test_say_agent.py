"""say.agent: fixed lines with fields of whatever reached it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from echostack.connectors.say_agent import SayAgent, SaySettings
from echostack.core.payloads import AgentMessage, CallStarted, Data, ExceptionFailure, Intent, Text
from tests.connectors.harness import FakeClock, FakeContext


def agent(**settings: Any) -> SayAgent:
    context: Any = FakeContext(FakeClock())
    context.conversation.slots["name"] = "Zoe"
    return SayAgent(SaySettings.model_validate(settings), context)


def test_says_its_line_with_fields_of_the_payload_and_slots_of_the_call() -> None:
    said = agent(text="Sorry {slots.name}, {node} failed.", interruptible=False, language="de")(ExceptionFailure("crm"))
    assert said == AgentMessage("Sorry Zoe, crm failed.", interruptible=False, language="de")
    assert agent(text="{kind}")(CallStarted()) == AgentMessage("call_started", language="en")


def test_an_intents_own_slots_go_before_those_of_the_call() -> None:
    said = agent(text="{slots.name} at {slots.time}")(Intent("book", slots={"name": "Ann", "time": "noon"}))
    assert said == AgentMessage("Ann at noon", language="en")
    assert agent(text="{slots.name}")(Intent("book")) == AgentMessage("Zoe", language="en")


def test_lines_take_turns_and_missing_fields_leave_no_gap() -> None:
    say = agent(text=["One, {lost}.", "Two."])
    said = [say(Text("x")) for _ in range(3)]
    assert [s.text for s in said if s] == ["One.", "Two.", "One."]


def test_a_line_that_comes_out_empty_is_not_said() -> None:
    assert agent(text="{data.words}")(Data("form", {"words": ""})) is None
    assert agent(text="{data.words}")(Data("form", {"words": "hello"})) == AgentMessage("hello", language="en")


@pytest.mark.parametrize(
    ("text", "message"),
    [(" ", "a line to say is empty"), ("a {", "'a {' has a single '{': write {{ for a brace, {name} for a field")],
)
def test_lines_that_cannot_be_said_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SaySettings.model_validate({"text": text})
    assert caught.value.errors()[0]["msg"] == f"Value error, {message}"
