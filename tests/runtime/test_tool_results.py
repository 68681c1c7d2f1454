"""A tool call always gets a result: when its node gives it up, the engine says so to whoever asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from echostack.core.errors import ConnectorFailure, InDoubt
from echostack.core.payloads import AgentMessage, Text, ToolCall, ToolResult
from echostack.registry import ConnectorSettings, Context, Inbox, connector
from tests.runtime.cast import Outcome, hears, play

KEY = "tool-key-12345"


class Keyed(ConnectorSettings):
    key: SecretStr = SecretStr(KEY)


@connector("acme.model")
def model(text: Text) -> ToolCall:
    """Asks for a tool in every turn."""
    return ToolCall("book", f"call-{text.text}", {"for": text.text})


@connector("acme.reader")
class Reader:
    """Takes the results back."""

    async def __call__(self, result: ToolResult) -> None: ...


def tool(fails: Exception, *, acts: bool = False, name: str = "acme.tool") -> Any:
    @connector(name, effect=acts)
    class Tool:
        def __init__(self, settings: Keyed, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, call: ToolCall) -> ToolResult:
            await self._clock.sleep(0.1)
            raise fails

    return Tool


def call(*parts: Any, connectors: str = "{}", nodes: str = "acme.tool") -> Outcome:
    graph = hears(f"ear.stt -> acme.model -> {nodes} -> acme.reader", connectors=connectors)
    return play([(1.0, "say:one")], model, Reader, *parts, graph=graph)


def results(over: Outcome) -> list[tuple[float, ToolResult]]:
    return over.at("processing.acme.tool_result")


def test_the_result_of_a_call_that_failed_is_its_error() -> None:
    over = call(tool(ConnectorFailure("no table is free", retryable=False)))
    assert results(over) == [(1.1, ToolResult("book", "call-one", error="no table is free"))]
    assert over.stats.nodes["acme.reader"]["received"] == 1
    assert over.times("error.acme.exception") == over.times("error.acme.dead_letter") == [1.1]


def test_it_comes_once_after_the_last_attempt() -> None:
    over = call(tool(ConnectorFailure("busy", retry_after=0.5)), connectors="{acme.tool: {attempts: 2}}")
    assert [(t, r.error) for t, r in results(over)] == [(1.7, "busy")]


def test_the_whole_choice_gives_it_up_together() -> None:
    parts = (tool(ConnectorFailure("first is down")), tool(ConnectorFailure("second too"), name="beta.tool"))
    over = call(*parts, nodes="acme.tool ?? beta.tool")
    assert [(t, r.id, r.error) for t, r in results(over)] == [(1.2, "call-one", "second too")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no answer within its time; it is not known whether it was done"),
        (ValueError("not JSON"), "ValueError: not JSON; it is not known whether it was done"),
        (InDoubt("the answer broke off"), "the answer broke off; it is not known whether it was done"),
        (ConnectorFailure("refused"), "refused"),
    ],
)
def test_of_an_effect_it_says_whether_it_may_have_been_done(error: Exception, said: str) -> None:
    assert [r.error for _, r in results(call(tool(error, acts=True)))] == [said]


def test_a_timeout_of_the_engine_is_a_result_as_well() -> None:
    @connector("acme.tool", effect=True)
    class Slow:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, call: ToolCall) -> ToolResult:
            await self._clock.sleep(60.0)
            return ToolResult(call.name, call.id)

    over = call(Slow, connectors="{acme.tool: {timeout: 2s}}")
    assert [(t, r.error) for t, r in results(over)] == [
        (3.0, "no answer within its time; it is not known whether it was done")
    ]


def test_no_secret_is_in_it() -> None:
    over = call(tool(ConnectorFailure(f"401: {KEY} is wrong", retryable=False)))
    assert [r.error for _, r in results(over)] == ["401: ********** is wrong"]


def test_a_plain_function_and_a_stream_that_fail_are_answered_for_too() -> None:
    @connector("acme.tool")
    def plain(call: ToolCall) -> ToolResult:
        raise ValueError("no such table")

    @connector("acme.tool")
    class Stream:
        async def run(self, inbox: Inbox[ToolCall]) -> AsyncIterator[ToolResult]:
            async for event in inbox:
                raise ConnectorFailure(f"gone with {event.payload.id}", retryable=False)  # type: ignore[attr-defined]
            yield ToolResult("")

    assert [r.error for _, r in results(call(plain))] == ["ValueError: no such table"]
    assert [r.error for _, r in results(call(Stream))] == ["gone with call-one"]


def test_what_makes_no_results_is_not_answered_for() -> None:
    @connector("acme.tool")
    def sink(call: ToolCall) -> None:
        raise ValueError("lost")

    over = play([(1.0, "say:one")], model, sink, graph=hears("ear.stt -> acme.model -> acme.tool", connectors="{}"))
    assert results(over) == []


def test_a_call_of_a_turn_that_was_abandoned_has_no_result() -> None:
    @connector("acme.model")
    class Asks:
        """Says something, and calls a tool, in every turn."""

        async def __call__(self, heard: Text | ToolResult) -> AsyncIterator[ToolCall | AgentMessage]:
            if isinstance(heard, Text):
                yield ToolCall("book", f"call-{heard.text}")
            else:
                yield AgentMessage(heard.error)

    graph = """
echostack: 1
pipeline:
  - ingress.line.audio_frame -> ear.vad
  - ingress.line.audio_frame -> ear.stt -> acme.model -> acme.tts -> egress.line.audio_chunk
  - acme.model -> acme.tool
  - acme.tool -> acme.model: {cycle: true, queue: 8, overflow: drop_oldest}
barge_in: {on: processing.ear.speech_started}
"""
    slow = tool(ConnectorFailure("too late", retryable=False), acts=True)
    over = play([(1.0, "say:one"), (1.05, "say:two")], Asks, slow, graph=graph)
    assert [(t, r.id) for t, r in results(over)] == [(1.2, "call-two")]


def test_a_call_that_its_full_queue_refused_is_answered_for() -> None:
    @connector("acme.model")
    def twice(text: Text) -> list[ToolCall]:
        return [ToolCall("book", f"call-{n}") for n in range(3)]

    graph = hears(
        "ear.stt -> acme.model", "acme.model -> acme.tool: {queue: 1, overflow: error}", "acme.tool -> acme.reader",
        connectors="{}",
    )  # fmt: skip

    @connector("acme.tool")
    class Tool:
        async def __call__(self, call: ToolCall) -> ToolResult:
            return ToolResult(call.name, call.id, "done")

    over = play([(1.0, "say:one")], twice, Tool, Reader, graph=graph)
    assert {r.id: bool(r.error) for _, r in results(over)} == {"call-0": False, "call-1": True, "call-2": True}
