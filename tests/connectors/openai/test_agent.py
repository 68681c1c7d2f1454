"""openai.agent with the vendor's own SDK against the local server: what it asks, says, calls, costs and gives up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from echostack.connectors.chat.words import Call, Piece, Prompt, Result, Said
from echostack.connectors.openai.agent import OpenAIAgent, OpenAISettings
from echostack.connectors.openai.chat import ChatApi, OpenAIChat, messages
from echostack.connectors.openai.failures import Advice, hint
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.errors import ConnectorFailure, MissingExtra
from echostack.core.kinds import Payload
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    Text,
    ToolCall,
    ToolCallPartial,
    ToolResult,
    Usage,
)
from echostack.providers.brain import Answer, Calling, Script
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.openai.server import OpenAIServer
from echostack.registry import Out
from echostack.registry.declare import spec_of
from echostack.testing.contracts.left import Left
from tests.connectors.harness import FakeContext

BOOK = {
    "book": {"description": "Books a table.", "parameters": {"guests": {"type": "integer"}}, "required": ["guests"]}
}
KEY = "sk-secret-123456"


def settings(server: OpenAIServer | None = None, **more: Any) -> OpenAISettings:
    url = server.environment["OPENAI_BASE_URL"] if server is not None else "http://127.0.0.1:9/v1"
    return OpenAISettings(api_key=SecretStr(KEY), base_url=more.pop("base_url", url), **more)


@asynccontextmanager
async def agent(server: OpenAIServer | None = None, **more: Any) -> AsyncIterator[OpenAIAgent]:
    one = OpenAIAgent(settings(server, **more), FakeContext())  # type: ignore[arg-type]
    await one.open()
    try:
        yield one
    finally:
        await one.close()


async def ask(one: OpenAIAgent, event: str | ToolResult = "Hello") -> list[tuple[Payload, str]]:
    """Every output with its port."""
    given = Text(event) if isinstance(event, str) else event
    return [(o.payload, o.port) if isinstance(o, Out) else (o, "") async for o in one(given)]


async def failure(one: OpenAIAgent) -> ConnectorFailure:
    with pytest.raises(ConnectorFailure) as failed:
        await ask(one)
    assert KEY not in repr(failed.value.__dict__) + str(failed.value)
    return failed.value


def provider(server: OpenAIServer, **more: Any) -> OpenAIChat:
    """What stands below the agent, alone."""
    given = {"base_url": server.environment["OPENAI_BASE_URL"], "api_key": KEY, "model": "m", "max_tokens": 100}
    api = ChatApi(**{**given, "first_seconds": 2.0, "next_seconds": 2.0, "advice": Advice("", "", "", ""), **more})
    return OpenAIChat(api, "node", LoopClock(), InlineCompute())


async def said_by(chat: OpenAIChat) -> list[str]:
    prompt = Prompt("", [Said("user", "Hello")])
    return [delta.text async for delta in chat.answer(prompt) if isinstance(delta, Piece)]


def message(told: list[tuple[Payload, str]]) -> str:
    (whole,) = [p for p, _ in told if isinstance(p, AgentMessage)]
    return whole.text


# -- asking and answering ---------------------------------------------------------------------------------------


def test_its_manifest() -> None:
    spec = spec_of(OpenAIAgent)
    assert (spec.packages, spec.extra, spec.network, spec.attempts, spec.timeout) == (
        ("openai",),
        "openai",
        True,
        3,
        10.0,
    )
    assert {k.name for k in spec.consumed_kinds} == {"text", "tool_result", "call_started"}
    assert spec.may_guess(None)


async def test_it_speaks_sentence_by_sentence_and_tells_what_it_cost() -> None:
    async with OpenAIServer(brain=Script(["We are open today. Come in."])) as server, agent(server) as one:
        told = [p for p, _ in await ask(one)]
    assert [p.text for p in told if isinstance(p, AgentMessagePartial)] == ["We are open today.", "Come in."]
    (usage,) = [p for p in told if isinstance(p, Usage)]
    assert (usage.model, usage.output_tokens, usage.cached_tokens) == ("gpt-4o", 6, 0)
    assert usage.input_tokens > 10


async def test_what_it_asks() -> None:
    async with OpenAIServer() as server:
        more = {"system": "Be brief.", "max_tokens": 50, "temperature": 0.2, "seed": 7, "tools": BOOK}
        async with agent(server, **more) as one:
            await ask(one)
        body = (await server.seen.until("received")).data["body"]
    assert body["messages"][0]["role"] == "system"
    assert body["messages"][0]["content"].startswith("Be brief.")
    assert body["messages"][1] == {"role": "user", "content": "Hello"}
    assert {k: body[k] for k in ("model", "temperature", "seed", "stream", "stream_options", "max_tokens")} == {
        "model": "gpt-4o", "temperature": 0.2, "seed": 7, "stream": True, "stream_options": {"include_usage": True},
        "max_tokens": 50,
    }  # fmt: skip
    (tool,) = body["tools"]
    assert tool["function"]["name"] == "book"
    assert tool["function"]["parameters"]["required"] == ["guests"]
    assert "reasoning_effort" not in body
    assert "store" not in body


async def test_openais_own_service_is_asked_in_its_newer_words_and_to_keep_nothing() -> None:
    own = OpenAIAgent(settings(base_url="https://api.openai.com/v1", reasoning_effort="low"), FakeContext())  # type: ignore[arg-type]
    request = own._provider._request(Prompt("s", [Said("user", "Hello")]))  # type: ignore[attr-defined]
    assert request["max_completion_tokens"] == 400
    assert "max_tokens" not in request
    assert request["store"] is False
    assert request["reasoning_effort"] == "low"


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "https://eu.api.openai.com/v1/"])
def test_addresses_lose_their_last_slash(url: str) -> None:
    assert settings(base_url=url).base_url == url.rstrip("/")


@pytest.mark.parametrize("url", ["api.openai.com", "ftp://a/v1", "https://me:pw@a/v1"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        settings(base_url=url)


@pytest.mark.parametrize("said", ["שלום", "👩‍👩‍👧 e\u0301", "a\x00b", "\ud83d", "x" * 100_000], ids=range(5))
async def test_any_words_can_be_asked_and_said(said: str) -> None:
    async with (
        OpenAIServer(brain=Script(["Ça va, 日本語."])) as server,
        agent(server, speak="verbatim", history_characters=200_000) as one,
    ):
        assert message(await ask(one, said)) == "Ça va, 日本語."


# -- tools ------------------------------------------------------------------------------------------------------


async def test_tools_through_two_rounds_and_at_once() -> None:
    answers: list[Answer] = [
        ["One moment.", Calling("book", {"guests": 2}, "a"), Calling("book", {"guests": 3}, "b")],
        Calling("book", {"guests": 5}, "c"),
        "Both are booked.",
    ]
    async with OpenAIServer(brain=Script(answers)) as server, agent(server, tools=BOOK) as one:
        told = await ask(one, "Book two tables.")
        assert [p.arguments for p, port in told if isinstance(p, ToolCall) and port == "book"] == [
            {"guests": 2}, {"guests": 3},
        ]  # fmt: skip
        written = [p.arguments for p, port in told if isinstance(p, ToolCallPartial) and port == "book"]
        assert written[:3] == ["", '{"guests', '{"guests":2}'[:16]]
        assert message(told) == "One moment."
        assert await ask(one, ToolResult("book", "b", {"ok": True})) == []
        again = await ask(one, ToolResult("book", "a", error="no table"))
        assert [p.id for p, _ in again if isinstance(p, ToolCall)] == ["c"]
        assert message(await ask(one, ToolResult("book", "c", "done"))) == "Both are booked."
        bodies = [s.data["body"]["messages"] for s in server.seen.of("received")]
    second = bodies[1][2:]
    assert [m["role"] for m in second] == ["assistant", "tool", "tool"]
    assert [c["id"] for c in second[0]["tool_calls"]] == ["a", "b"]
    assert {m["tool_call_id"]: m["content"] for m in second[1:]} == {"a": "Failed: no table", "b": '{"ok":true}'}
    assert [m["role"] for m in bodies[2][2:]] == ["assistant", "tool", "tool", "assistant", "tool"]


async def test_arguments_that_are_no_object_go_back_to_the_model() -> None:
    """The server sends what the model wrote; here a model that writes a list."""
    bad: Any = Calling("book", [1], "a")  # type: ignore[arg-type]
    async with OpenAIServer(brain=Script([bad, "I am sorry."])) as server, agent(server, tools=BOOK) as one:
        assert message(await ask(one)) == "I am sorry."
        assert "do not fit" in server.seen.of("received")[1].data["body"]["messages"][-1]["content"]


def test_results_stand_right_behind_their_calls() -> None:
    said = [
        Said("user", "Hi"),
        Said("assistant", "", calls=(Call("a", "f", {"name": "Zoë"}),)),
        Said("user", "Well?", results=(Result("a", "no", failed=True),)),
        Said("assistant", ""),
    ]
    assert list(messages(Prompt("", said))) == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"name": "Zoë"}'}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "Failed: no"},
        {"role": "user", "content": "Well?"},
        {"role": "assistant", "content": ""},
    ]


# -- ending -----------------------------------------------------------------------------------------------------


async def test_an_interruption_ends_the_models_work_at_once() -> None:
    brain = Script([["word. "] * 1000], pause=0.002)
    async with OpenAIServer(brain=brain) as server, agent(server) as one:
        async with aclosing(one(Text("Hello"))) as answer:
            await anext(answer)
            clock = LoopClock()
            begun = clock.now()
        cancelled = await server.seen.until("cancelled")
        assert clock.now() - begun < 0.1
        assert cancelled.data["tokens"] < 100
        assert server.open == 0


async def test_cancelling_before_the_answer_begins_lets_the_provider_go() -> None:
    async with OpenAIServer(faults=[Fault(FaultKind.HALF_OPEN)]) as server, agent(server) as one:
        work = asyncio.ensure_future(ask(one))
        await server.seen.until("opened")
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await server.seen.until("cancelled")
        assert message(await ask(one)) != ""


async def test_a_connection_is_used_again_for_the_next_turn() -> None:
    async with OpenAIServer() as server, agent(server) as one:
        await ask(one)
        left = Left()
        for _ in range(20):
            await ask(one)
        await left.nothing(1.0)


@pytest.mark.slow
async def test_a_thousand_answers_leave_nothing_behind() -> None:
    async with OpenAIServer() as server:
        async with agent(server) as first:
            await ask(first)
        left = Left()
        for _ in range(1000):
            async with agent(server) as one, aclosing(one(Text("Hello"))) as answer:
                await anext(answer)
        await left.nothing(5.0)
        assert server.open == 0


# -- failures ---------------------------------------------------------------------------------------------------

WORDS: list[Answer] = [["One. ", "Two. ", "Three."]]


@pytest.mark.parametrize(
    ("fault", "expected", "retryable"),
    [
        (
            Fault(FaultKind.UNAUTHORISED),
            "node: {place} does not take the key (401): set OPENAI_API_KEY, or api_key in the file, to a key of this "
            "provider",
            False,
        ),
        (
            Fault(FaultKind.RATE_LIMITED, seconds=1.5),
            "node: {place} limits the rate of requests (429); it says to come again in 1.5 s",
            True,
        ),
        (
            Fault(FaultKind.UNAVAILABLE),
            "node: {place} is down or overloaded (503): The engine is currently overloaded, please try again later.",
            True,
        ),
        (Fault(FaultKind.CUT, after=2), "node: the connection to {place} broke in the middle of the answer", True),
        (Fault(FaultKind.MALFORMED, after=2), "node: {place} sent something that is not JSON in its answer", True),
        (Fault(FaultKind.MALFORMED), "node: {place} sent something that is not JSON", True),
        (
            Fault(FaultKind.HALF_OPEN, after=2),
            "node: the model stopped in its answer and sent nothing more in time",
            True,
        ),
        (Fault(FaultKind.HALF_OPEN), "node: the model did not begin its answer within 0.2 s", True),
        (Fault(FaultKind.SLOW, seconds=0.3), "node: the model did not begin its answer within 0.2 s", True),
        (Fault(FaultKind.ENDLESS), "node: the model stopped in its answer and sent nothing more in time", True),
    ],
    ids=lambda v: str(v.kind) if isinstance(v, Fault) else "",
)
async def test_each_fault_is_one_sentence_that_says_what_to_do(fault: Fault, expected: str, retryable: bool) -> None:
    async with (
        OpenAIServer(brain=Script(WORDS), faults=[fault]) as server,
        agent(server, first_seconds=0.2, next_seconds=0.1) as one,
    ):
        failed = await failure(one)
        assert str(failed) == expected.format(place=server.url)
        assert failed.retryable is retryable
        assert failed.retry_after == (1.5 if fault.kind is FaultKind.RATE_LIMITED else None)
        assert message(await ask(one)) == "One. Two. Three."


async def test_an_answer_that_comes_twice_is_said_once() -> None:
    async with OpenAIServer(brain=Script(WORDS), faults=[Fault(FaultKind.DUPLICATE)]) as server, agent(server) as one:
        assert message(await ask(one)) == "One. Two. Three."


async def test_a_break_behind_the_whole_answer_harms_nothing() -> None:
    """Role, three pieces and the reason have come; what it cost has not."""
    async with (
        OpenAIServer(brain=Script(WORDS), faults=[Fault(FaultKind.CUT, after=5)]) as server,
        agent(server) as one,
    ):
        told = await ask(one)
    assert message(told) == "One. Two. Three."
    assert not [p for p, _ in told if isinstance(p, Usage)]


async def test_an_answer_that_goes_on_past_its_bound_is_cut() -> None:
    async with OpenAIServer(brain=Script([["On and on. "] * 500])) as server:
        # The server keeps the bound that it is told: here it is told another.
        chat = provider(server, max_tokens=5, options={"max_tokens": 500})
        with pytest.raises(ConnectorFailure) as failed:
            await said_by(chat)
        await chat.close()
    assert str(failed.value) == f"node: {server.url} goes on answering past max_tokens (5)"


async def test_a_used_up_account_is_not_tried_again() -> None:
    async with OpenAIServer(quota=0) as server, agent(server) as one:
        failed = await failure(one)
    assert str(failed) == (
        f"node: the account at {server.url} has no credit left (insufficient_quota): add some, or raise its limit, "
        "with the provider"
    )
    assert not failed.retryable


async def test_an_unknown_model_is_named() -> None:
    async with OpenAIServer(models=("gpt-4o",)) as server, agent(server, model="gpt-9") as one:
        failed = await failure(one)
    assert str(failed) == (f"node: {server.url} has no model 'gpt-9' (404): set model to one that this account may use")
    assert not failed.retryable


async def test_an_address_without_the_api_says_so() -> None:
    async with OpenAIServer() as server, agent(base_url=server.url) as one:
        assert str(await failure(one)) == (
            f"node: {server.url} has no chat completions there (404): see that base_url is right; it mostly ends in /v1"
        )


async def test_the_end_of_an_answer_does_not_wait_for_what_it_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, told = asyncio.Event(), OpenAIChat._account

    async def account(chat: OpenAIChat, stream: Any, reading: Any) -> None:
        await asked.wait()
        await told(chat, stream, reading)

    monkeypatch.setattr(OpenAIChat, "_account", account)
    async with OpenAIServer(brain=Script(["We are open"])) as server, agent(server) as one, asyncio.timeout(5):
        told_last: list[Payload] = []
        async for output in one(Text("Hello")):
            told_last.append(output.payload if isinstance(output, Out) else output)
            if isinstance(told_last[-1], AgentMessage):
                asked.set()
    assert isinstance(told_last[-1], Usage)


async def test_nobody_there_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with agent(base_url=f"{url}/v1") as one:
            failed = await failure(one)
    assert str(failed) == (
        f"node: cannot connect to {url} (nothing listens there): see that base_url is right and that this "
        "machine reaches it"
    )
    assert failed.retryable


@pytest.mark.parametrize("key", ["", "sk-one\nsk-two", "schlüssel"])
async def test_a_key_that_cannot_be_one_is_refused_before_anything_is_asked(key: str) -> None:
    one = OpenAIAgent(OpenAISettings(api_key=SecretStr(key)), FakeContext())  # type: ignore[arg-type]
    with pytest.raises(ConnectorFailure) as failed:
        await one.open()
    assert str(failed.value) == (
        "node: the key is empty or holds characters that no key has: set OPENAI_API_KEY, or api_key in the file, to a "
        "key of this provider"
    )
    assert not failed.value.retryable


async def test_without_the_sdk_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"pip install 'echostack\[openai\]'"):
        await OpenAIAgent(settings(), FakeContext()).open()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e9"}, 3600.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "1s"}, None),
        ({"x-ratelimit-remaining-tokens": "0"}, None),
    ],
)
def test_the_providers_hint_is_read(headers: dict[str, str], expected: float | None) -> None:
    assert hint(headers) == expected


async def test_a_probe_tells_whether_it_would_work() -> None:
    async with OpenAIServer(models=("gpt-4o",)) as server:
        await OpenAIAgent.probe(settings(server))
        with pytest.raises(ConnectorFailure, match="has no model 'gpt-9'"):
            await OpenAIAgent.probe(settings(server, model="gpt-9"))
        with pytest.raises(ConnectorFailure, match="cannot connect"):
            await OpenAIAgent.probe(settings())


# -- anything at all --------------------------------------------------------------------------------------------


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=8))
def test_what_the_model_writes_comes_as_it_was_written(pieces: list[str]) -> None:
    """Whatever the pieces are, none is lost, none comes twice."""

    async def run() -> list[str]:
        async with OpenAIServer(brain=Script([list(pieces)])) as server:
            chat = provider(server)
            try:
                return await said_by(chat)
            finally:
                await chat.close()

    assert asyncio.run(run()) == pieces
