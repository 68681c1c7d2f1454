"""llama.agent with the vendor's own SDK against a local server that answers as Ollama does."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from echostack.connectors.openai.llama import LlamaAgent, LlamaSettings
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AgentMessage, Text, ToolCall, Usage
from echostack.providers.brain import Bit, Calling, Script
from echostack.providers.openai.llama import LlamaServer
from echostack.providers.openai.requests import Refusal
from echostack.registry import Out
from echostack.registry.declare import spec_of
from tests.connectors.harness import FakeContext

TOOLS = {"look": {"description": "Looks."}}


def settings(server: LlamaServer, **more: Any) -> LlamaSettings:
    return LlamaSettings(base_url=server.environment["LLAMA_BASE_URL"], **more)


@asynccontextmanager
async def agent(given: LlamaSettings) -> AsyncIterator[LlamaAgent]:
    one = LlamaAgent(given, FakeContext())  # type: ignore[arg-type]
    await one.open()
    try:
        yield one
    finally:
        await one.close()


async def ask(one: LlamaAgent) -> list[Any]:
    return [o.payload if isinstance(o, Out) else o async for o in one(Text("Hello"))]


async def failure(given: LlamaSettings) -> ConnectorFailure:
    async with agent(given) as one:
        with pytest.raises(ConnectorFailure) as failed:
            await ask(one)
    return failed.value


def test_its_manifest() -> None:
    spec = spec_of(LlamaAgent)
    assert (spec.packages, spec.extra, spec.network) == (("openai",), "openai", True)
    assert LlamaSettings().base_url == "http://127.0.0.1:11434/v1"
    assert LlamaSettings().model == "llama3.1"


async def test_it_needs_no_key_and_asks_in_words_that_every_server_knows() -> None:
    brain = Script(["Hello there."])
    async with LlamaServer(brain=brain) as server, agent(settings(server, temperature=0.0, seed=3)) as one:
        told = await ask(one)
        body = server.seen.of("received")[0].data["body"]
    assert [p.text for p in told if isinstance(p, AgentMessage)] == ["Hello there."]
    assert [(p.model, p.output_tokens) for p in told if isinstance(p, Usage)] == [("llama3.1", 2)]
    assert set(body) == {"model", "messages", "stream", "stream_options", "max_tokens", "temperature", "seed"}


async def test_it_calls_tools() -> None:
    answer: list[Bit] = [Calling("look", {})]
    async with LlamaServer(brain=Script([answer])) as server, agent(settings(server, tools=TOOLS)) as one:
        assert [p.name for p in await ask(one) if isinstance(p, ToolCall)] == ["look"]


async def test_a_model_that_was_not_pulled_is_told_how_to_get() -> None:
    async with LlamaServer(models=("llama3.2",)) as server:
        failed = await failure(settings(server))
    assert str(failed) == (
        f"node: {server.url} has no model 'llama3.1' (404): get it with `ollama pull llama3.1`, or set model to one "
        "that the server has"
    )
    assert not failed.retryable


async def test_a_model_without_tools_is_an_error_where_there_are_tools() -> None:
    async with LlamaServer(tools=False) as server:
        failed = await failure(settings(server, tools=TOOLS))
        async with agent(settings(server)) as one:
            assert await ask(one)
    assert str(failed) == (
        f"node: 'llama3.1' at {server.url} cannot call tools: set model to one that can (vLLM needs "
        "--enable-auto-tool-choice for it), or take tools out of the file"
    )
    assert not failed.retryable


async def test_a_vllm_that_was_started_without_tools_is_the_same() -> None:
    class Vllm(LlamaServer):
        def check(self, request: Any) -> None:
            raise Refusal(
                400, '"auto" tool choice requires --enable-auto-tool-choice to be set', kind="BadRequestError"
            )

    async with Vllm() as server:
        assert "cannot call tools" in str(await failure(settings(server, tools=TOOLS)))


async def test_where_nothing_listens_it_says_how_to_start_ollama() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        failed = await failure(LlamaSettings(base_url=f"{url}/v1"))
    assert str(failed) == (
        f"node: cannot connect to {url} (nothing listens there): start Ollama with `ollama serve`, or set "
        "LLAMA_BASE_URL, or base_url, to the server that you use"
    )
    assert failed.retryable


async def test_a_server_that_asks_for_a_key_is_given_it() -> None:
    class Locked(LlamaServer):
        def authorise(self, request: Any) -> None:
            if request.headers["Authorization"] != "Bearer sesame":
                raise Refusal(401, "Unauthorized")

    async with Locked() as server:
        async with agent(settings(server, api_key=SecretStr("sesame"))) as one:
            assert await ask(one)
        failed = await failure(settings(server))
    assert str(failed) == (
        f"node: {server.url} does not take the key (401): set LLAMA_API_KEY, or api_key in the file, to the key that "
        "the server was started with"
    )


async def test_a_conversation_that_is_too_long_says_what_to_lower() -> None:
    class Short(LlamaServer):
        def check(self, request: Any) -> None:
            raise Refusal(400, "the request exceeds the available context size", kind="exceed_context_size_error")

    async with Short() as server:
        failed = await failure(settings(server))
    assert str(failed) == (
        "node: the conversation is longer than 'llama3.1' can read (400): lower history_turns or history_characters, "
        "or shorten system"
    )


async def test_a_probe_looks_whether_the_server_has_the_model() -> None:
    async with LlamaServer(models=("llama3.1:latest", "qwen3")) as server:
        await LlamaAgent.probe(settings(server))
        with pytest.raises(ConnectorFailure) as failed:
            await LlamaAgent.probe(settings(server, model="llama4"))
    assert str(failed.value) == (
        "llama.agent: the server has no model 'llama4', only llama3.1:latest, qwen3: get it with `ollama pull llama4`, "
        "or set model to one that the server has"
    )
    with pytest.raises(ConnectorFailure, match="start Ollama"):
        await LlamaAgent.probe(LlamaSettings(base_url="http://127.0.0.1:9/v1"))


async def test_a_local_server_that_takes_any_name_has_every_model() -> None:
    async with LlamaServer() as server:
        await LlamaAgent.probe(settings(server, model="llama9"))


async def test_a_server_whose_names_mean_nothing_has_every_model() -> None:
    """llama.cpp's server lists the file that it was started with, and answers whatever model is asked for."""

    class LlamaCpp(LlamaServer):
        def _model(self, name: str) -> dict[str, Any]:
            return {**super()._model(name), "owned_by": "llamacpp"}

    async with LlamaCpp(models=("/models/some.gguf",)) as server:
        await LlamaAgent.probe(settings(server))
