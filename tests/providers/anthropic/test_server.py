"""The local server for Anthropic's API, asked by the vendor's SDK and by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import httpx2
import pytest

from echostack.providers.anthropic.server import AnthropicServer
from echostack.providers.brain import Calling, Refusing, Script
from echostack.providers.faults import Fault, FaultKind

HI = [{"role": "user", "content": "hi"}]
TOOL = {"name": "book", "input_schema": {"type": "object", "properties": {}}}
CALL = {"type": "tool_use", "id": "t1", "name": "book", "input": {}}
BACK = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer(brain=Script(["Hello there."])) as server:
        assert isinstance(server, AnthropicServer)
        yield server


@pytest.fixture
async def client(server: AnthropicServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    transport = httpx2.AsyncClient(trust_env=False)
    async with anthropic.AsyncAnthropic(
        api_key="k", base_url=server.url, max_retries=0, http_client=transport
    ) as client:  # fmt: skip
        yield client


def ask(**given: Any) -> dict[str, Any]:
    return {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": HI, **given}


async def test_a_stream_has_the_events_of_the_api_in_their_order(
    server: AnthropicServer, client: anthropic.AsyncAnthropic
) -> None:
    server.brain = Script([["Hello", " there.", Calling("book", {"people": 2})]])
    async with aiohttp.ClientSession() as session:
        headers = {"authorization": "Bearer k", "anthropic-version": "2026-10-21"}
        async with session.post(
            f"{server.url}/v1/messages", json=ask(stream=True, tools=[TOOL]), headers=headers
        ) as answer:
            assert answer.content_type == "text/event-stream"
            assert answer.headers["request-id"] == "req_local000001"
            assert "anthropic-ratelimit-requests-remaining" in answer.headers
            lines = (await answer.text()).splitlines()
    assert [line.removeprefix("event: ") for line in lines if line.startswith("event: ")] == [
        "message_start", "ping", "content_block_start", "content_block_delta", "content_block_delta",
        "content_block_stop", "content_block_start", "content_block_delta", "content_block_delta",
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    async with client.messages.stream(**ask(tools=[TOOL])) as stream:
        message = await stream.get_final_message()
    assert [b.type for b in message.content] == ["text", "tool_use"]
    assert message.content[0].text == "Hello there."  # type: ignore[union-attr]
    assert message.content[1].input == {"people": 2}  # type: ignore[union-attr]
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens == 3


async def test_a_whole_message_says_the_same(server: AnthropicServer, client: anthropic.AsyncAnthropic) -> None:
    message = await client.messages.create(**ask())
    assert (message.content[0].text, message.stop_reason) == ("Hello there.", "end_turn")  # type: ignore[union-attr]
    assert (await client.messages.create(**ask(max_tokens=1))).stop_reason == "max_tokens"
    server.brain = Script([[Refusing()]])
    assert (await client.messages.create(**ask())).stop_reason == "refusal"


async def test_the_models_are_listed_and_unknown_ones_refused(
    server: AnthropicServer, client: anthropic.AsyncAnthropic
) -> None:
    server.models = ("claude-haiku-5-5",)
    assert [m.id async for m in await client.models.list()] == ["claude-haiku-5-5"]
    assert (await client.models.retrieve("claude-haiku-5-5")).display_name == "Claude Haiku 5 5"
    with pytest.raises(anthropic.NotFoundError, match="model: claude-9"):
        await client.messages.create(**ask(model="claude-9"))
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("claude-9")


PAIR = [*HI, {"role": "assistant", "content": [CALL]}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "m", "messages": HI}, "max_tokens: Field required"),
        (ask(temperature=0.5), "temperature: Extra inputs are not permitted"),
        (ask(messages=[]), "messages: at least one message is required"),
        (ask(messages=[{"role": "system", "content": "x"}]),
         'messages: Unexpected role "system". Allowed roles are "user" or "assistant".'),
        (ask(messages=[{"role": "assistant", "content": "x"}]), 'messages: first message must use the "user" role'),
        (ask(messages=[*HI, {"role": "assistant", "content": "x"}]),
         "This model does not support assistant message prefill. The conversation must end with a user message."),
        (ask(messages=[{"role": "user", "content": ""}]), "messages.0: all messages must have non-empty content"),
        (ask(messages=[{"role": "user", "content": [{"type": "text", "text": " "}]}]),
         "messages.0: text content blocks must contain non-whitespace text"),
        (ask(messages=[*PAIR, *HI], tools=[TOOL]),
         "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` "
         "block must have a corresponding `tool_result` block in the next message."),
        (ask(messages=[*PAIR, {"role": "user", "content": [{"type": "text", "text": "x"}, BACK]}], tools=[TOOL]),
         "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` "
         "block must have a corresponding `tool_result` block in the next message."),
        (ask(messages=[{"role": "user", "content": [BACK]}], tools=[TOOL]),
         "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1. Each `tool_result` block "
         "must have a corresponding `tool_use` block in the previous message."),
        (ask(messages=[*PAIR, {"role": "user", "content": [BACK]}]),
         "Requests which include `tool_use` or `tool_result` blocks must define tools"),
        (ask(tools=[TOOL, TOOL]), "tools: Tool names must be unique."),
        (ask(tools=[{**TOOL, "name": "a b"}]),
         "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        (ask(messages=[{"role": "user", "content": [
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}} for _ in range(5)]}]),
         "A maximum of 4 blocks with cache_control may be provided. Found 5."),
        (ask(thinking={"type": "hard"}),
         "thinking: Input tag 'hard' does not match any of the expected tags: 'enabled', 'disabled', 'adaptive', "
         "'between_tools'"),
    ],
)  # fmt: skip
async def test_what_the_api_would_refuse_is_refused(
    server: AnthropicServer, body: dict[str, Any], message: str
) -> None:
    async with aiohttp.ClientSession() as session:
        headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
        async with session.post(f"{server.url}/v1/messages", json=body, headers=headers) as answer:
            assert answer.status == 400
            assert await answer.json() == {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": message},
                "request_id": answer.headers["request-id"],
            }


async def test_no_key_no_version_and_no_json_are_refused(server: AnthropicServer) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{server.url}/v1/messages"
        async with session.post(url, json=ask(), headers={"anthropic-version": "x"}) as answer:
            assert (answer.status, (await answer.json())["error"]["type"]) == (401, "authentication_error")
        async with session.post(url, json=ask(), headers={"x-api-key": "k"}) as answer:
            assert (await answer.json())["error"]["message"] == "anthropic-version: header is required"
        async with session.post(url, data=b"{", headers={"x-api-key": "k", "anthropic-version": "x"}) as answer:
            assert (await answer.json())["error"]["message"] == "The request body is not valid JSON"


async def test_what_was_marked_is_read_from_the_cache_as_far_as_it_is_the_same(
    client: anthropic.AsyncAnthropic,
) -> None:
    mark = {"type": "ephemeral"}
    system = [{"type": "text", "text": "fact " * 2000, "cache_control": mark}]

    def said(*texts: str) -> list[dict[str, Any]]:
        roles = ("user", "assistant")
        entries = [{"role": roles[i % 2], "content": [{"type": "text", "text": t}]} for i, t in enumerate(texts)]
        entries[-1]["content"][0]["cache_control"] = mark  # type: ignore[index]
        return entries

    async def usage(messages: list[dict[str, Any]], system: Any = system) -> tuple[int | None, ...]:
        used = (await client.messages.create(**ask(messages=messages, system=system))).usage
        return used.cache_read_input_tokens, used.cache_creation_input_tokens, used.input_tokens

    first = await usage(said("one"))
    assert first[0] == 0
    assert first[1] is not None
    assert first[1] > 2500
    again = await usage(said("one"))
    assert again == (first[1], 0, 0)
    read, written, rest = await usage(said("one", "two", "three"))
    assert (read, rest) == (first[1], 0)
    assert written
    assert (await usage(said("one"), [{"type": "text", "text": "other " * 2000, "cache_control": mark}]))[0] == 0
    assert (await usage(said("small"), [{"type": "text", "text": "few words"}]))[:2] == (0, 0)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.UNAUTHORISED, anthropic.AuthenticationError),
        (FaultKind.RATE_LIMITED, anthropic.RateLimitError),
        (FaultKind.UNAVAILABLE, anthropic.OverloadedError),
    ],
)
async def test_refusals_are_the_sdks_own_errors(
    server: AnthropicServer, client: anthropic.AsyncAnthropic, kind: FaultKind, error: type[anthropic.APIStatusError]
) -> None:
    server.faults.add(Fault(kind, seconds=2.5))
    with pytest.raises(error) as refused:
        await client.messages.create(**ask())
    assert refused.value.response.headers.get("retry-after") == ("3" if kind is FaultKind.RATE_LIMITED else None)
    assert (await client.messages.create(**ask())).stop_reason == "end_turn"


async def test_a_client_that_goes_away_is_noticed_with_how_much_it_was_sent(
    server: AnthropicServer, client: anthropic.AsyncAnthropic
) -> None:
    server.brain = Script(["word " * 500], pause=0.002)
    async with client.messages.stream(**ask(max_tokens=1000)) as stream:
        got = 0
        async for event in stream:
            got += event.type == "text"
            if got == 5:
                break
    gone = await server.seen.until("cancelled")
    assert 5 <= gone.data["tokens"] < 100
    assert server.open == 0
    assert "closed" not in server.seen.counts


@pytest.mark.parametrize(
    "kind", [FaultKind.CUT, FaultKind.MALFORMED, FaultKind.HALF_OPEN, FaultKind.ENDLESS, FaultKind.SLOW]
)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_faults_strike_streams_and_whole_answers(
    server: AnthropicServer, client: anthropic.AsyncAnthropic, kind: FaultKind, stream: bool
) -> None:
    server.faults.add(Fault(kind, seconds=5.0))
    failed: Any = (httpx2.HTTPError, anthropic.AnthropicError, ValueError, TimeoutError)

    async def asked() -> None:
        if not stream:
            await client.messages.create(**ask())
            return
        async with client.messages.stream(**ask()) as answer:
            await answer.until_done()

    with pytest.raises(failed):
        await asyncio.wait_for(asked(), 0.2)
    assert server.seen.of("fault")[0].data == {"kind": kind.value}
    assert (await client.messages.create(**ask())).stop_reason == "end_turn"


async def test_pings_fill_a_silence_of_the_brain(server: AnthropicServer, client: anthropic.AsyncAnthropic) -> None:
    server.ping = 0.01
    server.brain = Script(["Hello"], pause=0.1)
    await client.messages.create(**ask())
    assert "ping" not in server.seen.counts
    async with client.messages.stream(**ask()) as stream:
        await stream.until_done()
    assert server.seen.counts["ping"] >= 3


def test_the_environment_leads_the_sdk_to_it() -> None:
    async def names() -> list[str]:
        async with AnthropicServer() as server:
            return sorted(server.environment)

    assert asyncio.run(names()) == ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"]
