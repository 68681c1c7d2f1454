"""claude.agent in whole calls: tools over HTTP, retries by the server's hint, another agent in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web

import echostack
from echostack.core.events import Event
from echostack.core.payloads import AgentMessage, Text
from echostack.providers.anthropic.server import AnthropicServer
from echostack.providers.brain import Calling, Script
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.openai.server import OpenAIServer

BOOKING = """
connectors:
  claude.agent:
    api_key: {{env: ANTHROPIC_API_KEY}}
    base_url: {claude}
    first_seconds: 0.3
    tools:
      book_table:
        description: Books a table.
        parameters: {{people: {{type: integer}}}}
        required: [people]
      opening_hours:
        description: Says when we are open.
        parameters: {{query: {{type: string}}}}
  booking: {{use: http.request, url: "{service}/tables", json: {{people: "{{arguments.people}}"}}}}
  hours: {{use: knowledge.search, passages: [We are open from nine to five.]}}
pipeline:
  - ingress.app.text -> claude.agent
  - claude.agent:book_table -> booking
  - claude.agent:opening_hours -> hours
  - booking -> claude.agent: {{cycle: true, queue: 8, overflow: drop_oldest}}
  - hours -> claude.agent: {{cycle: true, queue: 8, overflow: drop_oldest}}
"""

CHOICE = """
connectors:
  claude.agent: {{base_url: {claude}, first_seconds: 0.3, backoff: 10ms, cooldown: 20ms{more}}}
  faq.agent: {{fallback: ["I do not know that."]}}
pipeline:
  - ingress.app.text -> claude.agent ?? faq.agent
"""

VENDORS = """
connectors:
  claude.agent:
    attempts: 1
    tools: &tools {look_up: {description: Finds what the house says., parameters: {query: {type: string}}}}
  openai.agent: {tools: *tools}
  house: {use: knowledge.search, passages: [We are open from nine to five.]}
pipeline:
  - ingress.app.text -> claude.agent ?? openai.agent
  - claude.agent:look_up -> house
  - openai.agent:look_up -> house
  - house -> claude.agent: {cycle: true, queue: 8, overflow: drop_oldest}
"""


class Tables:
    """A booking service. Requests for more than ten people are refused."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.url = ""

    async def book(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body["people"])
        if body["people"] > 10:
            return web.json_response({"error": "too many"}, status=422)
        return web.json_response({"id": 7, "people": body["people"]})


@pytest.fixture
async def tables() -> AsyncIterator[Tables]:
    tables = Tables()
    application = web.Application()
    application.add_routes([web.post("/tables", tables.book)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    tables.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield tables
    await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer() as server:
        assert isinstance(server, AnthropicServer)
        yield server


async def answers(graph: str, environment: Mapping[str, str], *turns: str) -> tuple[list[str], list[Event]]:
    """What the agent answers to each turn, said when the turn before was answered; and every event of the call."""
    pipeline = echostack.compile(graph, env=dict(environment))
    said: list[str] = []
    events: list[Event] = []
    answered = asyncio.Event()

    async def caller() -> AsyncIterator[Text]:
        for turn in turns:
            answered.clear()
            yield Text(turn)
            await answered.wait()
            await asyncio.sleep(0.03)  # longer than the cooldown of a member that failed

    async with pipeline.session(ingress={"app": caller()}) as call:
        async with asyncio.timeout(10):
            async for event in call.events("*.*.*", "*.*.*.*"):
                events.append(event)
                if isinstance(event.payload, AgentMessage):
                    said.append(event.payload.text)
                over = isinstance(event.payload, AgentMessage) and "moment" not in event.payload.text
                if over or event.name == "error.claude.exception":
                    answered.set()
    return said, events


async def test_the_model_books_by_http_and_looks_things_up_in_one_turn(server: AnthropicServer, tables: Tables) -> None:
    server.brain = Script([
        ["One moment.", Calling("book_table", {"people": 2}), Calling("opening_hours", {"query": "when are you open"})],
        "It is booked. We are open from nine to five.",
        "Bye.",
    ])  # fmt: skip
    graph = BOOKING.format(claude=server.url, service=tables.url)
    said, _ = await answers(graph, server.environment, "a table for two, and when are you open?", "thanks")
    assert said == ["One moment.", "It is booked. We are open from nine to five.", "Bye."]
    assert tables.asked == [2]
    second, third = (s.data["body"]["messages"] for s in server.seen.of("received")[1:])
    results = {b["tool_use_id"][-3:]: (b["content"], b["is_error"]) for b in second[-1]["content"]}
    assert results["x01"] == ('{"id":7,"people":2}', False)
    assert "We are open from nine to five." in results["x02"][0]
    assert [m["role"] for m in third] == ["user", "assistant", "user", "assistant", "user"]
    assert third[-2]["content"][0]["text"] == "It is booked. We are open from nine to five."
    assert third[-1]["content"][0]["text"] == "thanks"
    assert server.seen.counts.get("refused", 0) == 0


async def test_the_model_learns_that_a_tool_failed_and_says_so(server: AnthropicServer, tables: Tables) -> None:
    server.brain = Script([[Calling("book_table", {"people": 20})], "That is too many, I am afraid."])
    said, _ = await answers(
        BOOKING.format(claude=server.url, service=tables.url), server.environment, "a table for twenty"
    )
    assert said == ["That is too many, I am afraid."]
    (result,) = server.seen.of("received")[1].data["body"]["messages"][-1]["content"]
    assert result["is_error"] is True
    assert "answered 422" in result["content"]


async def test_an_overloaded_provider_is_tried_again_after_the_time_that_it_names(server: AnthropicServer) -> None:
    server.brain = Script(["Hello."])
    server.faults.add(Fault(FaultKind.RATE_LIMITED, seconds=0.2))
    server.faults.add(Fault(FaultKind.UNAVAILABLE))
    graph = CHOICE.format(claude=server.url, more=", attempts: 3")
    said, events = await answers(graph, server.environment, "hi")
    assert said == ["Hello."]
    assert len([e for e in events if e.name == "error.claude.retried"]) == 2
    opened = [s.time for s in server.seen.of("opened")]
    assert opened[1] - opened[0] >= 0.2


@pytest.mark.parametrize("fault", [FaultKind.UNAUTHORISED, FaultKind.HALF_OPEN, FaultKind.UNAVAILABLE, FaultKind.CUT])
async def test_another_agent_answers_where_the_model_cannot(server: AnthropicServer, fault: FaultKind) -> None:
    server.brain = Script(["Hello."])
    server.faults.add(Fault(fault, times=1))
    graph = CHOICE.format(claude=server.url, more=", attempts: 1")
    said, events = await answers(graph, server.environment, "what is the airspeed of a swallow", "and now?")
    assert said == ["I do not know that.", "Hello."]
    (over,) = [e for e in events if e.name.endswith(".failed_over")]
    assert "secret" not in str(over)
    await asyncio.sleep(0.01)
    assert server.open == 0


async def test_another_vendors_model_goes_on_in_the_middle_of_a_turn_with_what_the_tools_brought(
    server: AnthropicServer,
) -> None:
    server.brain = Script([[Calling("look_up", {"query": "open"})]])
    server.faults.add(Fault(FaultKind.UNAVAILABLE, skip=1))
    async with OpenAIServer(brain=Script(["From nine to five."])) as other:
        environment = {**server.environment, **other.environment}
        said, events = await answers(VENDORS, environment, "when are you open?")
        assert said == ["From nine to five."]
        assert [e.payload.to for e in events if e.name == "error.claude.failed_over"] == ["openai.agent"]  # type: ignore[attr-defined]
        roles = [m["role"] for m in other.seen.of("received")[0].data["body"]["messages"]]
        assert roles == ["system", "user", "assistant", "tool"]


async def test_a_model_that_is_back_goes_on_with_the_tools_that_another_ones_asked_for(server: AnthropicServer) -> None:
    server.brain = Script(["From nine to five."])
    server.faults.add(Fault(FaultKind.UNAVAILABLE))
    async with OpenAIServer(brain=Script([[Calling("look_up", {"query": "open"})]])) as other:
        environment = {**server.environment, **other.environment}
        graph = VENDORS.replace("attempts: 1", "attempts: 1\n    cooldown: 1ms")
        said, events = await answers(graph, environment, "when are you open?")
        assert said == ["From nine to five."]
        names = [e.name for e in events]
        assert names.index("error.claude.failed_over") < names.index("error.claude.recovered")
        told = server.seen.of("received")[1].data["body"]["messages"]
        assert [m["role"] for m in told] == ["user", "assistant", "user"]
        assert "We are open from nine to five." in told[-1]["content"][0]["content"]
