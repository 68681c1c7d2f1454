"""A model behind OpenAI's Chat Completions API, OpenAI's own or a compatible server's: one streamed request an answer.

Chat Completions and not the Responses API, which the vendor recommends for new work: it is what Ollama, vLLM and
llama.cpp speak as well, it keeps nothing on the provider's side, and a voice agent needs none of what the other adds
(stored state, tools that the provider runs). Protocol: the vendor's reference, and the sources of its SDK.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx2

from echostack.connectors.chat.line import ModelLine, rehearsal
from echostack.connectors.chat.patience import Patience
from echostack.connectors.chat.words import Delta, Prompt, Said
from echostack.connectors.openai.failures import Advice, Failures
from echostack.connectors.openai.reading import Reading
from echostack.core.clock import Clock, Compute, LoopClock, ThreadCompute
from echostack.core.errors import MissingExtra

T = TypeVar("T")

_CONNECT: Final = 5.0  # seconds for a connection, at most what the first piece may take
_GRACE: Final = 0.5  # seconds for the account of a request whose answer is whole
_OWN: Final = ("openai.com", "openai.azure.com")


@dataclass(frozen=True, slots=True)
class ChatApi:
    """Where the model is and how it is asked. Seconds: to the first piece of an answer, and between two of them."""

    base_url: str
    api_key: str
    model: str
    max_tokens: int
    first_seconds: float
    next_seconds: float
    advice: Advice
    options: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the request that are given as they are: temperature, seed, …"""

    @property
    def is_own(self) -> bool:
        """Whether it is OpenAI's own service, and not a server that is compatible with it."""
        host = urlsplit(self.base_url).hostname or ""
        return any(host == own or host.endswith("." + own) for own in _OWN)


class OpenAIChat:
    """The ChatProvider of a ``ChatApi``, on the vendor's SDK."""

    def __init__(self, api: ChatApi, node: str, clock: Clock, compute: Compute) -> None:
        self._api, self._node, self._clock, self._compute = api, node, clock, compute
        self._failures = Failures(node, api.base_url, api.model, api.api_key, api.advice)
        self._client: Any = None
        self._line: ModelLine | None = None
        self._sdk: Any = None
        self._asked = 0

    async def open(self) -> None:
        """Make the client, about 0.7 s for the first one of a process, and begin a connection. MissingExtra when the
        SDK is not there."""
        if self._client is None:
            self._sdk, line, self._client = await self._compute.run(self._make)
            self._line = line
            await line.connect(self._clock)

    async def close(self) -> None:
        """Close every connection."""
        line, self._line, self._client = self._line, None, None
        if line is not None:
            await line.close()

    async def answer(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """The model's answer as it comes. Closing it closes the connection, which is how this API is cancelled: the
        account of what the answer has cost by then is never told.

        ConnectorFailure as the contract says; one that is late, goes on without end, or breaks off counts as failed.
        """
        await self.open()
        api = self._api
        self._asked += 1
        reading = Reading(api.model, f"{self._node}-{self._asked}", api.max_tokens)
        patience = Patience(self._node, self._clock, first=api.first_seconds, between=api.next_seconds)
        stream: Any = None
        try:
            stream = await patience.begin(self._client.chat.completions.create(**self._request(prompt)))
            while not reading.whole:
                try:
                    chunk = await patience.next(stream)
                except StopAsyncIteration:
                    raise self._failures.broken(begun=reading.begun) from None
                for delta in reading.take(chunk):
                    yield delta
                if reading.progress:
                    patience.got_on()
                if reading.endless:
                    raise self._failures.endless(api.max_tokens)
            # The caller waits for the answer's end, nobody for its account: whoever speaks the end begins before it.
            for delta in reading.end(self._failures):
                yield delta
            await self._clock.sleep(0)
            await self._account(stream, reading)
        except (self._sdk.OpenAIError, httpx2.HTTPError, httpx2.StreamError, ValueError, OSError) as error:
            raise self._failures.of(error, begun=reading.begun) from None
        finally:
            if stream is not None:
                await stream.close()
        if reading.spent is not None:
            yield reading.spent

    async def _account(self, stream: Any, reading: Reading) -> None:
        """Read what stands behind an answer that is whole: what it cost. Nothing that goes wrong there harms it."""
        try:
            async with self._clock.timeout(_GRACE):
                async for chunk in stream:
                    reading.behind(chunk)
        except (TimeoutError, self._sdk.OpenAIError, httpx2.HTTPError, httpx2.StreamError, ValueError, OSError):
            return

    async def models(self) -> tuple[tuple[str, str], ...]:
        """The models that the server lists, each with its owner. ConnectorFailure as ``answer``."""
        await self.open()
        try:
            listed = await self._client.models.list()
        except (self._sdk.OpenAIError, httpx2.HTTPError, ValueError, OSError) as error:
            raise self._failures.of(error, begun=False) from None
        data = listed.data or ()
        return tuple((str(m.id), str(getattr(m, "owned_by", ""))) for m in data)

    async def has_model(self) -> None:
        """Return when the provider knows the model. ConnectorFailure when it does not, or does not answer."""
        await self.open()
        try:
            await self._client.models.retrieve(self._api.model)
        except (self._sdk.OpenAIError, httpx2.HTTPError, ValueError, OSError) as error:
            # A key that is restricted to completions may not ask for models: that is no mistake.
            if getattr(error, "status_code", 0) != 403:
                raise self._failures.of(error, begun=False) from None

    def _make(self) -> tuple[Any, ModelLine, Any]:
        api = self._api
        try:
            sdk = import_module("openai")
        except ImportError as error:
            raise MissingExtra(self._node, "openai", "openai") from error
        if not (api.api_key and api.api_key.isascii() and api.api_key.isprintable()):
            raise self._failures.no_key()
        _rehearsed()
        line = ModelLine(api.base_url, httpx2.Timeout(None, connect=min(_CONNECT, api.first_seconds)))
        client = sdk.AsyncOpenAI(api_key=api.api_key, base_url=api.base_url, max_retries=0, http_client=line.http)
        _ = client.chat.completions, client.models  # imported on first use, which would hold up the first turn
        return sdk, line, client

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        api = self._api
        request: dict[str, Any] = {
            "model": api.model,
            "messages": list(messages(prompt)),
            "stream": True,
            "stream_options": {"include_usage": True},
            # Compatible servers know the older name only.
            "max_completion_tokens" if api.is_own else "max_tokens": api.max_tokens,
            **api.options,
        }
        if prompt.tools:
            request["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": dict(t.parameters)},
                }
                for t in prompt.tools
            ]
        if api.is_own:
            request["store"] = False  # what a caller says is not the provider's to keep
        return request


_REHEARSED: Final = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,"delta":{"role":'
    b'"assistant","content":"Yes."},"finish_reason":null}]}\n\ndata: {"id":"c","object":"chat.completion.chunk",'
    b'"created":0,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


@cache
def _rehearsed() -> None:
    """Have the SDK ask and read a whole answer, once a process, at no server."""
    sdk = import_module("openai")
    with sdk.OpenAI(api_key="none", max_retries=0, http_client=rehearsal(_REHEARSED)) as client:
        said = {"role": "user", "content": "?"}
        for chunk in client.chat.completions.create(model="m", messages=[said], stream=True):
            _ = chunk.choices


def messages(prompt: Prompt) -> Iterator[dict[str, Any]]:
    """The conversation as the API wants it: results as messages of their own, right behind the calls."""
    if prompt.system:
        yield {"role": "system", "content": _sound(prompt.system)}
    for said in prompt.said:
        yield from _assistant(said) if said.role == "assistant" else _user(said)


def _assistant(said: Said) -> Iterator[dict[str, Any]]:
    message: dict[str, Any] = {"role": "assistant", "content": _sound(said.text) or (None if said.calls else "")}
    if said.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": _sound(json.dumps(dict(call.arguments), ensure_ascii=False)),
                },
            }
            for call in said.calls
        ]
    yield message


def _user(said: Said) -> Iterator[dict[str, Any]]:
    for result in said.results:
        # The API has no mark for a failure; the text says it.
        text = _sound(f"Failed: {result.text}" if result.failed else result.text)
        yield {"role": "tool", "tool_call_id": result.id, "content": text}
    if said.text or not said.results:
        yield {"role": "user", "content": _sound(said.text)}


def _sound(text: str) -> str:
    """``text`` as it can be sent: half a pair of surrogates, which no encoding has, becomes a question mark."""
    return text.encode(errors="replace").decode()


async def probed(name: str, api: ChatApi, ask: Callable[[OpenAIChat], Awaitable[T]]) -> T:
    """What ``ask`` learns of a provider outside any call, over a client of its own; ``name`` is the connector's."""
    compute = ThreadCompute(1)
    chat = OpenAIChat(api, name, LoopClock(), compute)
    try:
        return await ask(chat)
    finally:
        await chat.close()
        compute.close()
