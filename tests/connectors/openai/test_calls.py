"""openai.agent in whole calls: tries by the provider's hint, llama.agent in its place, tools over HTTP, the account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web

import echostack
from echostack.core.events import Event
from echostack.core.payloads import AgentMessage, Text, Usage
from echostack.providers.brain import Calling, Script
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.openai.llama import LlamaServer
from echostack.providers.openai.server import OpenAIServer

PAIR = """
connectors:
  openai.agent: {{first_seconds: 0.3, next_seconds: 0.2, backoff: 10ms, cooldown: 20ms, attempts: {attempts}}}
  llama.agent: {{first_seconds: 1, attempts: 1}}
pipeline:
  - ingress.app.text -> openai.agent ?? llama.agent
"""

TABLES = """
connectors:
  openai.agent:
    tools:
      book: {{description: Books a table., parameters: {{guests: {{type: integer}}}}, required: [guests]}}
  booking: {{use: http.request, url: "{service}", json: {{guests: "{{arguments.guests}}"}}}}
pipeline:
  - ingress.app.text -> openai.agent
  - openai.agent:book -> booking
  - booking -> openai.agent: {{cycle: true, queue: 8, overflow: drop_oldest}}
"""


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(brain=Script(["Hello from there."])) as server:
        yield server  # type: ignore[misc]


@pytest.fixture
async def llama() -> AsyncIterator[LlamaServer]:
    async with LlamaServer(brain=Script(["Hello from here."])) as server:
        yield server  # type: ignore[misc]


async def call(graph: str, environment: Mapping[str, str], *turns: str, most: int) -> tuple[list[str], list[Event]]:
    """What is answered to ``turns``, each said when the one before was answered, until ``most`` messages were said."""
    pipeline = echostack.compile(graph, env=dict(environment))
    said: list[str] = []
    events: list[Event] = []
    answered = asyncio.Event()

    async def caller() -> AsyncIterator[Text]:
        for turn in turns:
            answered.clear()
            yield Text(turn)
            await answered.wait()
            await asyncio.sleep(0.03)  # longer than the cooldown

    async with pipeline.session(ingress={"app": caller()}) as session, asyncio.timeout(20):
        async for event in session.events("*.*.*", "*.*.*.*"):
            events.append(event)
            if isinstance(event.payload, AgentMessage):
                said.append(event.payload.text)
                if len(said) * len(turns) >= most:
                    answered.set()
    return said, events


async def test_a_limited_rate_is_waited_out_as_the_provider_says(openai: OpenAIServer, llama: LlamaServer) -> None:
    openai.faults.add(Fault(FaultKind.RATE_LIMITED, seconds=0.25))
    said, events = await call(PAIR.format(attempts=3), {**openai.environment, **llama.environment}, "hi", most=1)
    assert said == ["Hello from there."]
    first, second = (s.time for s in openai.seen.of("opened"))
    assert second - first >= 0.25
    assert [e.name for e in events if e.name.startswith("error.")] == ["error.openai.retried"]
    assert not llama.seen.counts


async def test_a_wrong_key_is_not_tried_again_and_another_answers(openai: OpenAIServer, llama: LlamaServer) -> None:
    openai.faults.add(Fault(FaultKind.UNAUTHORISED, times=0))
    said, events = await call(PAIR.format(attempts=3), {**openai.environment, **llama.environment}, "hi", most=1)
    assert said == ["Hello from here."]
    assert openai.seen.counts["opened"] == 1
    (over,) = [e.payload for e in events if e.name == "error.openai.failed_over"]
    assert over.to == "llama.agent"  # type: ignore[attr-defined]
    assert "does not take the key (401): set OPENAI_API_KEY" in over.message  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [FaultKind.HALF_OPEN, FaultKind.CUT, FaultKind.MALFORMED, FaultKind.UNAVAILABLE])
async def test_another_answers_where_it_does_not_and_it_answers_again_after(
    openai: OpenAIServer, llama: LlamaServer, kind: FaultKind
) -> None:
    openai.faults.add(Fault(kind))
    environment = {**openai.environment, **llama.environment}
    said, _ = await call(PAIR.format(attempts=1), environment, "hi", "and now?", most=2)
    assert said == ["Hello from here.", "Hello from there."]
    assert llama.seen.of("received")[0].data["body"]["messages"][-1] == {"role": "user", "content": "hi"}
    assert openai.open == llama.open == 0


async def test_a_table_is_booked_by_http_and_the_account_is_told() -> None:
    asked: list[Any] = []

    async def book(request: web.Request) -> web.Response:
        asked.append(await request.json())
        return web.json_response({"id": 7})

    application = web.Application()
    application.add_routes([web.post("/", book)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    brain = Script([["One moment.", Calling("book", {"guests": 2})], "It is booked."])
    try:
        async with OpenAIServer(brain=brain) as server:
            said, events = await call(TABLES.format(service=service), server.environment, "two of us", most=2)
    finally:
        await runner.cleanup()
    assert said == ["One moment.", "It is booked."]
    assert asked == [{"guests": 2}]
    spent = [e.payload for e in events if isinstance(e.payload, Usage)]
    assert [u.output_tokens for u in spent if isinstance(u, Usage)] == [5, 3]
    second = server.seen.of("received")[1].data["body"]["messages"]
    assert second[-1] == {"role": "tool", "tool_call_id": "call_local00000100", "content": '{"id":7}'}
