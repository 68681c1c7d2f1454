"""The local OpenAI server, asked by the vendor's own SDK, and by hand where the SDK hides what came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest

from echostack.core.clock import LoopClock
from echostack.providers.brain import Bit, Calling, Refusing, Script
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.openai.requests import Refusal, read_request
from echostack.providers.openai.server import OpenAIServer
from echostack.testing.contracts.left import Left

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@asynccontextmanager
async def client_of(server: OpenAIServer, key: str = "local") -> AsyncIterator[openai.AsyncOpenAI]:
    url = server.environment["OPENAI_BASE_URL"]
    async with openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0) as client:
        yield client


async def chunks(client: openai.AsyncOpenAI, **more: Any) -> list[dict[str, Any]]:
    given = {"model": "gpt-4o", "messages": HELLO, "stream": True, **more}
    stream: Any = await client.chat.completions.create(**given)
    return [chunk.model_dump(exclude_unset=True) async for chunk in stream]


async def events(server: OpenAIServer, **more: Any) -> list[str]:
    """The lines of a stream as they came."""
    body = {"model": "gpt-4o", "messages": HELLO, "stream": True, **more}
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{server.url}/v1/chat/completions", json=body, headers={"Authorization": "Bearer local"}
        )
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("\n\n")
    return [part.removeprefix("data: ") for part in answer.text.strip().split("\n\n")]


async def test_a_stream_is_a_role_pieces_a_reason_and_done() -> None:
    async with OpenAIServer(brain=Script([["Hel", "lo."]])) as server:
        *told, done = await events(server)
    assert done == "[DONE]"
    choices = [json.loads(one)["choices"][0] for one in told]
    assert [c["delta"] for c in choices] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo."},
        {},
    ]
    assert [c["finish_reason"] for c in choices] == [None, None, None, "stop"]
    first = json.loads(told[0])
    assert {k: first[k] for k in ("id", "object", "model", "service_tier")} == {
        "id": "chatcmpl-local000001", "object": "chat.completion.chunk", "model": "gpt-4o", "service_tier": "default",
    }  # fmt: skip
    assert len({json.loads(one)["id"] for one in told}) == 1
    assert "usage" not in first


async def test_usage_comes_last_when_it_is_asked_for() -> None:
    async with OpenAIServer(brain=Script([["Hel", "lo."]])) as server, client_of(server) as client:
        *told, last = await chunks(client, stream_options={"include_usage": True})
    assert [c["usage"] for c in told] == [None] * 4
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 2
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + 2


async def test_noise_can_be_left_out() -> None:
    async with OpenAIServer() as server, client_of(server) as client:
        assert all(c["obfuscation"] for c in await chunks(client))
        assert not any("obfuscation" in c for c in await chunks(client, stream_options={"include_obfuscation": False}))


async def test_calls_stream_by_index_with_arguments_in_pieces() -> None:
    answer: list[Bit] = ["One moment.", Calling("book", {"name": "Zoë", "guests": 2}), Calling("look", {}, "call_x")]
    async with OpenAIServer(brain=Script([answer])) as server, client_of(server) as client:
        told = await chunks(client, tools=[{"type": "function", "function": {"name": "book"}}])
    deltas = [c["choices"][0]["delta"] for c in told]
    parts = [part for delta in deltas for part in delta.get("tool_calls", ())]
    assert parts[0]["id"] == "call_local00000100"
    assert parts[0]["function"] == {"name": "book", "arguments": ""}
    assert "".join(p["function"]["arguments"] for p in parts if p["index"] == 0) == '{"name":"Zoë","guests":2}'
    assert [(p["index"], p["id"]) for p in parts if "id" in p] == [(0, "call_local00000100"), (1, "call_x")]
    assert sum(p["index"] == 0 for p in parts) > 2
    assert told[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_an_answer_that_is_all_calls_has_no_content() -> None:
    async with OpenAIServer(brain=Script([Calling("look")])) as server, client_of(server) as client:
        first = (await chunks(client))[0]
    assert first["choices"][0]["delta"]["content"] is None


async def test_an_answer_without_a_word_is_still_an_answer() -> None:
    async with OpenAIServer(brain=Script([""])) as server, client_of(server) as client:
        told = await chunks(client)
    assert [c["choices"][0]["finish_reason"] for c in told] == [None, "stop"]


@pytest.mark.parametrize(
    ("answer", "more", "reason"),
    [
        (["a", "b", "c"], {"max_tokens": 2}, "length"),
        (["a", "b", "c"], {"max_completion_tokens": 2}, "length"),
        (["a", Refusing()], {}, "content_filter"),
        (["a"], {}, "stop"),
    ],
)
async def test_the_reason_says_why_it_ends(answer: list[Bit], more: dict[str, Any], reason: str) -> None:
    async with OpenAIServer(brain=Script([answer])) as server, client_of(server) as client:
        assert (await chunks(client, **more))[-1]["choices"][0]["finish_reason"] == reason
        whole: Any = await client.chat.completions.create(model="gpt-4o", messages=HELLO, **more)
    assert whole.choices[0].finish_reason == reason


async def test_without_stream_the_answer_comes_whole() -> None:
    answer: list[Bit] = ["One ", "moment.", Calling("look", {"at": "x"})]
    async with OpenAIServer(brain=Script([answer])) as server, client_of(server) as client:
        whole = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    message = whole.choices[0].message
    assert message.content == "One moment."
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"at":"x"}'  # type: ignore[union-attr]
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 2 + 4


async def test_a_long_prompt_that_comes_again_is_cached() -> None:
    messages = [{"role": "system", "content": "Be brief. " * 600}, *HELLO]
    asked: dict[str, Any] = {"messages": messages, "stream_options": {"include_usage": True}}
    async with OpenAIServer() as server, client_of(server) as client:
        cached = [
            (await chunks(client, **asked))[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] for _ in range(2)
        ]
    assert cached[0] == 0
    assert cached[1] >= 1024
    assert cached[1] % 128 == 0


async def test_models_are_listed_and_found() -> None:
    async with OpenAIServer(models=("gpt-4o", "gpt-4o-mini")) as server, client_of(server) as client:
        assert [m.id async for m in client.models.list()] == ["gpt-4o", "gpt-4o-mini"]
        assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"
        with pytest.raises(openai.NotFoundError) as missing:
            await client.models.retrieve("gpt-9")
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError):
            await chunks(client, model="gpt-9")


async def test_a_key_is_asked_for() -> None:
    async with OpenAIServer() as server, httpx2.AsyncClient(trust_env=False) as client:
        for path in ("/v1/models", "/v1/models/gpt-4o"):
            assert (await client.get(server.url + path)).status_code == 401
        answer = await client.post(server.url + "/v1/chat/completions", json={"model": "gpt-4o", "messages": HELLO})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_used_up_account_is_refused() -> None:
    async with OpenAIServer(quota=1) as server, client_of(server) as client:
        await chunks(client)
        with pytest.raises(openai.RateLimitError) as used:
            await chunks(client)
    assert used.value.code == "insufficient_quota"
    assert used.value.type == "insufficient_quota"


CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}],
}
GIVEN = {"role": "tool", "tool_call_id": "c1", "content": "{}"}


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": [{"role": "caller", "content": ""}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.[0].content", None),
        ({"messages": [*HELLO, GIVEN]}, "messages.[1].role", None),
        ({"messages": [*HELLO, CALL]}, "messages.[1].role", None),
        ({"messages": [*HELLO, CALL, *HELLO]}, "messages.[2].role", None),
        ({"messages": [*HELLO, CALL, GIVEN, GIVEN]}, "messages.[3].role", None),
        ({"messages": [*HELLO, {"role": "assistant", "tool_calls": []}]}, "messages.[1].tool_calls", "empty_array"),
        ({"tools": []}, "tools", "empty_array"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name", "invalid_value"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
            "tools[0].function.parameters",
            "invalid_function_parameters",
        ),
        ({"temperature": 3}, "temperature", "decimal_above_max_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_parameter_combination"),
        ({"n": 2}, "n", "invalid_value"),
        ({"stream_options": {}}, "stream_options", None),
        ({"model": ""}, None, None),
        ({"colour": "red"}, None, None),
    ],
)
def test_what_the_api_does_not_take_is_refused(change: dict[str, Any], param: str | None, code: str | None) -> None:
    body = {"model": "gpt-4o", "messages": HELLO, **change}
    with pytest.raises(Refusal) as refusal:
        read_request(json.dumps({k: v for k, v in body.items() if v is not None}).encode())
    assert refusal.value.status == 400
    assert (refusal.value.param, refusal.value.code) == (param, code)
    assert refusal.value.body["error"]["message"]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000], ids=["empty", "cut", "list", "bytes", "deep"]
)
def test_a_body_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(Refusal):
        read_request(data)


def test_a_conversation_with_tools_is_taken() -> None:
    asked = read_request(json.dumps({"model": "m", "messages": [*HELLO, CALL, GIVEN, *HELLO]}).encode())
    assert len(asked.messages) == 4
    assert asked.max_tokens == 0


REFUSED = [
    (FaultKind.UNAUTHORISED, openai.AuthenticationError, "invalid_api_key"),
    (FaultKind.RATE_LIMITED, openai.RateLimitError, "rate_limit_exceeded"),
    (FaultKind.UNAVAILABLE, openai.InternalServerError, None),
]


@pytest.mark.parametrize(("kind", "error", "code"), REFUSED, ids=lambda v: str(v))
async def test_a_refusing_fault_is_the_vendors_own_error(kind: FaultKind, error: type[Any], code: str | None) -> None:
    async with OpenAIServer(faults=[Fault(kind, seconds=2.5)]) as server, client_of(server) as client:
        with pytest.raises(error) as refused:
            await chunks(client)
        assert refused.value.code == code
        if kind is FaultKind.RATE_LIMITED:
            headers = refused.value.response.headers
            assert (headers["retry-after"], headers["retry-after-ms"]) == ("3", "2500")
            assert headers["x-ratelimit-reset-requests"] == "2.5s"
        assert len(await chunks(client)) > 2
        assert server.seen.counts["refused"] == 1


async def test_a_cut_breaks_the_connection_within_a_line() -> None:
    async with OpenAIServer(faults=[Fault(FaultKind.CUT, after=2)]) as server, client_of(server) as client:
        with pytest.raises(openai.APIConnectionError):
            await chunks(client)
        assert server.seen.counts["sent"] == 2
        assert len(await chunks(client)) > 2


async def test_a_malformed_event_is_followed_by_the_rest() -> None:
    async with OpenAIServer(brain=Script([["a", "b"]]), faults=[Fault(FaultKind.MALFORMED, after=1)]) as server:
        told = await events(server)
    with pytest.raises(json.JSONDecodeError):
        json.loads(told[1])
    assert [json.loads(one)["choices"][0]["delta"].get("content") for one in (told[0], *told[2:-1])] == [
        "",
        "a",
        "b",
        None,
    ]


async def test_duplicates_are_the_same_bytes_twice() -> None:
    async with OpenAIServer(brain=Script([["a", "b"]]), faults=[Fault(FaultKind.DUPLICATE)]) as server:
        told = await events(server)
    assert told[::2] == told[1::2]


async def test_a_slow_answer_comes_late_every_time() -> None:
    fault = Fault(FaultKind.SLOW, seconds=0.03)
    async with OpenAIServer(brain=Script([["a", "b"]]), faults=[fault]) as server, client_of(server) as client:
        clock = LoopClock()
        begun = clock.now()
        assert len(await chunks(client)) == 4
        assert clock.now() - begun >= 4 * 0.03


@pytest.mark.parametrize("kind", [FaultKind.HALF_OPEN, FaultKind.ENDLESS])
@pytest.mark.parametrize("stream", [True, False])
async def test_what_never_ends_is_seen_to_be_left(kind: FaultKind, stream: bool) -> None:
    fault = Fault(kind, after=1)
    async with OpenAIServer(faults=[fault]) as server, client_of(server) as client:

        async def ask() -> None:
            answer: Any = await client.chat.completions.create(model="m", messages=HELLO, stream=stream)
            async for _ in answer:
                pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(), 0.1)
        await server.seen.until("cancelled")
        assert server.open == 0


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.MALFORMED])
async def test_a_whole_answer_can_be_broken_too(kind: FaultKind) -> None:
    async with OpenAIServer(faults=[Fault(kind)]) as server, client_of(server) as client:
        with pytest.raises((openai.APIError, json.JSONDecodeError)):
            await client.chat.completions.create(model="m", messages=HELLO)


async def test_a_client_that_goes_is_noticed_at_once_with_what_it_was_sent() -> None:
    async with OpenAIServer(brain=Script([["word "] * 1000], pause=0.002)) as server, client_of(server) as client:
        stream: Any = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        for _ in range(4):
            await anext(stream)
        clock = LoopClock()
        begun = clock.now()
        await stream.close()
        cancelled = await server.seen.until("cancelled")
        assert clock.now() - begun < 0.1
        assert 3 <= cancelled.data["tokens"] < 50
        assert server.open == 0


async def test_it_leaves_nothing_behind() -> None:
    left = Left()
    async with OpenAIServer() as server, client_of(server) as client:
        await asyncio.gather(*(chunks(client) for _ in range(20)))
        stream: Any = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        await anext(stream)
    await left.nothing(2.0)
    assert server.open == 0
    assert server.seen.counts["opened"] == 21


async def test_what_it_saw_holds_no_key() -> None:
    async with OpenAIServer() as server, client_of(server, key="sk-secret-1234") as client:
        await chunks(client)
    assert "sk-secret" not in repr(server.seen.sightings)
