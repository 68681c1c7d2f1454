"""claude.agent with the vendor's SDK against a local server that speaks its API."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from echostack.connectors.claude.agent import ClaudeAgent, ClaudeSettings
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AgentMessage, AgentMessagePartial, Text, ToolCall, ToolResult, Usage
from echostack.providers.anthropic.server import AnthropicServer
from echostack.providers.brain import Calling, Refusing, Script
from echostack.providers.faults import Fault, FaultKind
from echostack.registry import Out, Turn
from echostack.registry.declare import spec_of
from tests.connectors.harness import FakeContext

TOOLS = {
    "book": {"description": "Books.", "parameters": {"people": {"type": "integer"}}, "required": ["people"]},
    "find": {"description": "Finds.", "parameters": {"query": {"type": "string"}}},
}
LONG = " ".join(f"word{n}" for n in range(400))


@asynccontextmanager
async def talking(server: AnthropicServer, **given: Any) -> AsyncIterator[ClaudeAgent]:
    """An agent that talks to ``server``, with deadlines that tests can wait for."""
    base = {"api_key": "sk-secret-key", "base_url": server.url, "first_seconds": 0.3, "next_seconds": 0.15}
    agent = ClaudeAgent(ClaudeSettings.model_validate({**base, **given}), FakeContext())
    await agent.open()
    try:
        yield agent
    finally:
        await agent.close()


async def heard(agent: ClaudeAgent, event: Any) -> list[Any]:
    return [o.payload if isinstance(o, Out) else o async for o in agent(event)]


def words(outputs: list[Any]) -> str:
    return " ".join(o.text for o in outputs if isinstance(o, AgentMessage))


async def settled(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about")


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer() as server:
        assert isinstance(server, AnthropicServer)
        yield server


async def test_an_answer_streams_and_its_use_is_told(server: AnthropicServer) -> None:
    server.brain = Script(["It is open. Come by at 7:30 pm!"])
    async with talking(server) as agent:
        outputs = await heard(agent, Text("are you open?"))
    assert [o.text for o in outputs if isinstance(o, AgentMessagePartial)] == [
        "It is open.", "Come by at seven thirty PM!",
    ]  # fmt: skip
    assert words(outputs) == "It is open. Come by at seven thirty PM!"
    (usage,) = [o for o in outputs if isinstance(o, Usage)]
    assert (usage.model, usage.output_tokens, usage.cached_tokens) == ("claude-haiku-5-5", 8, 0)
    assert usage.input_tokens > 50
    body = server.seen.of("received")[0].data["body"]
    assert body["stream"] is True
    assert body["thinking"] == {"type": "disabled"}
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "are you open?", "cache_control": {"type": "ephemeral"}}]}
    ]


async def test_the_first_piece_leaves_before_the_answer_is_whole(server: AnthropicServer) -> None:
    server.brain = Script(["It is open now. And " + LONG], pause=0.002)
    async with talking(server) as agent:
        answer = agent(Text("x"))
        assert (await anext(answer)).text == "It is open now."  # type: ignore[union-attr]
        assert len(server.seen.of("sent")) < 40
        await answer.aclose()  # type: ignore[attr-defined]


async def test_tools_are_called_in_parallel_and_their_results_go_back(server: AnthropicServer) -> None:
    server.brain = Script([
        ["Let me", " see.", Calling("book", {"people": 2}), Calling("find", {"query": "ä" * 40})], "It is booked.",
    ])  # fmt: skip
    async with talking(server, tools=TOOLS) as agent:
        first = await heard(agent, Text("book a table"))
        calls = [o for o in first if isinstance(o, ToolCall)]
        assert [(c.name, c.arguments) for c in calls] == [("book", {"people": 2}), ("find", {"query": "ä" * 40})]
        assert await heard(agent, ToolResult("find", calls[1].id, {"n": 1})) == []
        assert words(await heard(agent, ToolResult("book", calls[0].id, error="full"))) == "It is booked."
    body = server.seen.of("received")[1].data["body"]
    assert [t["eager_input_streaming"] for t in body["tools"]] == [True, True]
    assert [b["type"] for b in body["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert [(b["content"], b["is_error"]) for b in body["messages"][2]["content"]] == [
        ("full", True),
        ('{"n":1}', False),
    ]


async def test_the_prompt_of_each_turn_is_read_from_the_cache_of_the_turn_before(server: AnthropicServer) -> None:
    server.brain = Script(["Yes."])
    async with talking(server, system="You know this: " + "fact " * 2000, tools=TOOLS) as agent:
        conversation = agent._context.conversation
        used = []
        for number in range(3):
            conversation.turns += (Turn("caller", f"question {number}", number, number + 0.5),)
            outputs = await heard(agent, Text(f"question {number}", start=number, end=number + 0.5))
            used += [o for o in outputs if isinstance(o, Usage)]
            conversation.turns += (Turn("agent", "Yes.", number + 0.6, number + 0.9, utterance=f"node-{number + 1}"),)
    assert used[0].cached_tokens == 0
    assert used[0].cache_written_tokens > 2000
    assert all(u.cached_tokens > 2000 and u.cache_written_tokens < 100 for u in used[1:])
    assert server.seen.counts.get("refused", 0) == 0


async def test_the_cache_can_be_left_alone_or_kept_longer(server: AnthropicServer) -> None:
    for cache in ("off", "1h"):
        async with talking(server, cache=cache, effort="low", thinking="model") as agent:
            await heard(agent, Text("x"))
    off, longer = (s.data["body"] for s in server.seen.of("received"))
    assert "cache_control" not in str(off)
    assert longer["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert longer["output_config"] == {"effort": "low"}
    assert "thinking" not in longer


async def test_an_answer_at_its_bound_and_a_refused_one_are_told_apart(server: AnthropicServer) -> None:
    server.brain = Script(["It is open. And you can come", [Refusing()], ["Well.", Refusing()]])
    async with talking(server, max_tokens=5) as agent:
        assert words(await heard(agent, Text("x"))) == "It is open."
        with pytest.raises(ConnectorFailure, match="the model refused to answer"):
            await heard(agent, Text("x"))
        assert words(await heard(agent, Text("x"))) == "Well."


FAULTS = [
    (Fault(FaultKind.SLOW, seconds=2), r"the model did not begin its answer within 0.3 s", True),
    (Fault(FaultKind.CUT, after=3), r"the answer of \S+ broke off: RemoteProtocolError", True),
    (Fault(FaultKind.CUT), r"the answer of \S+ broke off: RemoteProtocolError", True),
    (Fault(FaultKind.MALFORMED, after=2), r"sent what is no answer of its API", True),
    (Fault(FaultKind.UNAUTHORISED), r"does not take the key: set ANTHROPIC_API_KEY, or api_key, to one that is valid \(401: invalid x-api-key\)", False),  # noqa: E501
    (Fault(FaultKind.RATE_LIMITED, seconds=1.5), r"the account's rate at \S+ is used up \(429", True),
    (Fault(FaultKind.UNAVAILABLE), r"is overloaded \(529: Overloaded\)", True),
    (Fault(FaultKind.HALF_OPEN), r"the model did not begin its answer within 0.3 s", True),
    (Fault(FaultKind.HALF_OPEN, after=3), r"the model did not begin its answer within 0.3 s", True),
    (Fault(FaultKind.HALF_OPEN, after=5), r"the model stopped in its answer and sent nothing more in time", True),
    (Fault(FaultKind.DUPLICATE), r"the answer began twice", True),
    (Fault(FaultKind.ENDLESS), r"the answer goes on past max_tokens", True),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "message", "retryable"), FAULTS, ids=lambda v: str(getattr(v, "kind", "")))
async def test_every_fault_is_told_in_words_and_the_next_answer_is_whole(
    server: AnthropicServer, fault: Fault, message: str, retryable: bool
) -> None:
    server.brain = Script(["I see, well then."])
    server.faults.add(fault)
    async with talking(server, max_tokens=20) as agent:
        with pytest.raises(ConnectorFailure, match=message) as failure:
            await heard(agent, Text("x"))
        assert failure.value.retryable is retryable
        assert failure.value.retry_after == (1.5 if fault.kind is FaultKind.RATE_LIMITED else None)
        assert "secret" not in str(failure.value)
        assert words(await heard(agent, Text("x"))) == "I see, well then."
    await settled(lambda: server.open == 0)


async def test_pings_show_life_but_are_no_answer(server: AnthropicServer) -> None:
    server.ping = 0.02
    server.brain = Script(["One two."], pause=0.25)
    async with talking(server, first_seconds=0.4, next_seconds=0.05) as agent:
        assert words(await heard(agent, Text("x"))) == "One two."  # each pause is longer than next_seconds
        server.brain = Script(["One two."], pause=0.6)
        with pytest.raises(ConnectorFailure, match=r"did not begin its answer within 0\.4 s"):
            await heard(agent, Text("x"))
        server.brain = Script([["One ", "two."]], pause=0.35)
        server.ping = 10.0
        with pytest.raises(ConnectorFailure, match="stopped in its answer"):
            await heard(agent, Text("x"))
    assert server.seen.counts["ping"] > 5


async def test_an_unknown_model_a_far_end_that_is_gone_and_a_wrong_address_say_what_to_do(
    server: AnthropicServer,
) -> None:
    server.models = ("claude-haiku-5-5",)
    async with talking(server, model="claude-9") as agent:
        with pytest.raises(ConnectorFailure) as failure:
            await heard(agent, Text("x"))
    assert str(failure.value) == (
        f"node: {server.url} has no model 'claude-9': set model to one that the account has (404: model: claude-9)"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with talking(server, base_url=f"http://127.0.0.1:{port}") as agent:
        with pytest.raises(ConnectorFailure, match=f"cannot connect to http://127.0.0.1:{port}: ") as failure:
            await heard(agent, Text("x"))
    assert failure.value.retryable


async def test_cancelled_at_any_moment_the_request_is_aborted_and_nothing_is_left(server: AnthropicServer) -> None:
    server.brain = Script([LONG + "."], pause=0.001)
    before = set(asyncio.all_tasks())
    async with talking(server) as agent:
        for number in range(25):

            async def answer() -> None:
                await heard(agent, Text("x"))

            task = asyncio.create_task(answer())
            for _ in range(number * 3):
                await asyncio.sleep(0)
            await asyncio.sleep(0.002 * (number % 8))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await settled(lambda: server.open == 0)
        assert server.seen.counts.get("closed", 0) == 0
        assert server.seen.counts["cancelled"] >= 15
        assert all(s.data["tokens"] < 400 for s in server.seen.of("cancelled"))
        server.brain = Script(["Fine."])
        assert words(await heard(agent, Text("x"))) == "Fine."
    await settled(lambda: asyncio.all_tasks() - before <= {t for t in asyncio.all_tasks() if "aiohttp" in repr(t)})


async def test_what_an_interrupted_answer_has_used_is_told_as_far_as_it_is_known(server: AnthropicServer) -> None:
    server.brain = Script([LONG, "Bye."], pause=0.002)
    async with talking(server) as agent:
        answer = agent(Text("x"))
        assert isinstance(await anext(answer), AgentMessagePartial)
        await answer.aclose()  # type: ignore[attr-defined]
        (usage,) = agent._context.emitted  # type: ignore[attr-defined]
        assert usage.input_tokens > 50
        sent = len(server.seen.of("sent"))
        assert 5 < usage.output_tokens <= sent
        await heard(agent, Text("bye"))  # what is told at the end of an answer is not told once more
        assert agent._context.emitted == [usage]  # type: ignore[attr-defined]


async def test_a_slow_listener_is_no_fault_of_the_provider(server: AnthropicServer) -> None:
    server.brain = Script(["One is here. Two is here. Three is here."], pause=0.001)
    async with talking(server, first_seconds=0.1, next_seconds=0.1) as agent:
        heard: list[str] = []
        async for output in agent(Text("x")):
            if isinstance(output, AgentMessagePartial):
                heard.append(output.text)
                await asyncio.sleep(0.15)
    assert heard == ["One is here.", "Two is here.", "Three is here."]


@pytest.mark.parametrize("written", ["", '{"people": 2'])
async def test_a_call_that_the_bound_of_tokens_cut_is_never_made(written: str) -> None:
    """Nothing at all would be a whole call of a tool that needs no arguments."""

    def event(name: str, **data: Any) -> bytes:
        return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()

    async def answer(request: web.Request) -> web.Response:
        usage = {"input_tokens": 5, "output_tokens": 1}
        message = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": usage}
        block = {"type": "tool_use", "id": "t1", "name": "find", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": written}
        stop = {"stop_reason": "max_tokens", "stop_sequence": None}
        events = [
            event("message_start", message=message),
            event("content_block_start", index=0, content_block=block),
            event("content_block_delta", index=0, delta=delta),
            event("content_block_stop", index=0),
            event("message_delta", delta=stop, usage={"output_tokens": 9}),
            event("message_stop"),
        ]
        return web.Response(body=b"".join(events), content_type="text/event-stream")

    application = web.Application()
    application.add_routes([web.post("/v1/messages", answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        far = SimpleNamespace(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
        outputs: list[Any] = []

        async def hear(agent: ClaudeAgent) -> None:
            async for output in agent(Text("x")):
                outputs.append(output.payload if isinstance(output, Out) else output)

        async with talking(far, tools=TOOLS) as agent:  # type: ignore[arg-type]
            with pytest.raises(ConnectorFailure, match="max_tokens cut the call of find before its arguments") as cut:
                await hear(agent)
            assert not cut.value.retryable
            assert [u.output_tokens for u in agent._context.emitted] == [9]  # type: ignore[attr-defined]
        assert not any(isinstance(o, ToolCall) for o in outputs)
    finally:
        await runner.cleanup()


async def test_many_calls_at_once_are_read_from_the_cache_too(server: AnthropicServer) -> None:
    """A mark finds what was sent before within twenty blocks: two dozen results are more."""
    calls = [Calling("find", {"query": f"q{n}"}) for n in range(24)]
    server.brain = Script([["Let me look.", *calls], "Here it is."])
    async with talking(server, tools=TOOLS, system="word " * 2000, history_turns=60) as agent:
        first = await heard(agent, Text("look it all up"))
        made = [o for o in first if isinstance(o, ToolCall)]
        outputs = [o for call in made for o in await heard(agent, ToolResult("find", call.id, "x" * 400))]
    before = [o for o in first if isinstance(o, Usage)]
    (after,) = [o for o in outputs if isinstance(o, Usage)]
    assert after.cached_tokens == before[0].input_tokens


async def test_connections_are_kept_from_one_answer_to_the_next_and_closed_at_the_end(server: AnthropicServer) -> None:
    async with talking(server) as agent:
        for _ in range(5):
            await heard(agent, Text("x"))
        # Two at most, each with two ends: the one made early, and that of an answer which did not wait for it.
        assert len(connections()) <= 4
    await settled(lambda: len(connections()) <= _listening())


def connections() -> list[str]:
    return [f for f in os.listdir("/proc/self/fd") if _is_tcp_peer(f)]


def _is_tcp_peer(name: str) -> bool:
    try:
        with socket.socket(fileno=os.dup(int(name))) as one:
            return one.family == socket.AF_INET and one.getpeername() is not None
    except OSError:
        return False


def _listening() -> int:
    return 1  # the server's own side of the one connection


async def test_the_conversation_goes_on_over_several_turns_with_an_interruption(server: AnthropicServer) -> None:
    server.brain = Script(lambda messages: f"I heard {len(messages)} of them.")
    async with talking(server) as agent:
        conversation = agent._context.conversation
        conversation.turns = (
            Turn("caller", "hello", 0, 1), Turn("agent", "I heard two", 2, 3, cut=True, utterance="node-1"),
            Turn("caller", "wait", 3, 4),
        )  # fmt: skip
        assert words(await heard(agent, Text("wait", start=3, end=4))) == "I heard four of them."
    told = server.seen.of("received")[0].data["body"]["messages"]
    assert [(m["role"], m["content"][0]["text"]) for m in told] == [
        ("user", "hello"), ("assistant", "I heard two—"), ("user", "wait"),
    ]  # fmt: skip


async def test_a_probe_says_whether_a_call_would_get_an_answer(server: AnthropicServer) -> None:
    server.models = ("claude-haiku-5-5",)
    base = {"api_key": "sk-secret-key", "base_url": server.url}
    await ClaudeAgent.probe(ClaudeSettings.model_validate(base))
    with pytest.raises(ConnectorFailure) as failure:
        await ClaudeAgent.probe(ClaudeSettings.model_validate({**base, "model": "claude-9"}))
    assert str(failure.value) == (
        f"claude.agent: {server.url} has no model 'claude-9': set model to one that the account has "
        "(404: model: claude-9)"
    )
    await server.stop()
    with pytest.raises(ConnectorFailure, match=r"claude\.agent: cannot connect to"):
        await ClaudeAgent.probe(ClaudeSettings.model_validate(base))


def test_nothing_of_the_vendor_is_loaded_before_a_call() -> None:
    import subprocess

    code = "import sys, echostack.connectors.claude.agent; print('anthropic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_what_the_declaration_says() -> None:
    spec = spec_of(ClaudeAgent)
    assert [k.name for k in spec.consumed_kinds] == ["text", "tool_result", "call_started"]
    assert [k.name for k in spec.produced_kinds] == [
        "agent_message.partial", "agent_message", "tool_call", "tool_call.partial", "usage",
    ]  # fmt: skip
    assert (spec.attempts, spec.timeout, spec.extra) == (3, 10.0, "anthropic")
    assert spec.may_guess(ClaudeSettings(api_key="k"))  # type: ignore[arg-type]
