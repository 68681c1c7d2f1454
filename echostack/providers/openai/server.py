"""A local server that speaks OpenAI's Chat Completions API, streamed and whole, as far as voice agents use it.

Protocol: the vendor's reference ("Chat Completions", "Streaming events", "Error codes", "Rate limits") and the types of
its SDK. Parameters of sampling (temperature, seed, stop, …) are checked and change nothing: what is answered is the
brain's matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web

from echostack.providers.brain import Bit, Brain, Message, Script
from echostack.providers.exchange import Cut, Exchange
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.openai.chunks import DONE, Chunks, sse, tokens_in
from echostack.providers.openai.requests import ChatRequest, Refusal, read_request, text_of
from echostack.providers.seen import Sighting
from echostack.providers.server import KEY, ProviderServer

_MOST: Final = 4096  # tokens of an answer whose request names no bound
_CACHED_FROM, _CACHED_STEP = 1024, 128  # the vendor caches prompts of so many tokens, in such steps
_PROMPTS: Final = 64  # prompts remembered for that


class OpenAIServer(ProviderServer):
    """OpenAI's API on this machine: chat completions and the list of models.

    brain: what answers (default: a line of script). models: the names that exist (default: any does). quota: how many
    requests the account has left before it is refused as used up; None for as many as come. An exchange is a POST of a
    completion, and its messages, which the faults count, are the events of its stream.

    ``seen`` notes ``opened`` (model, stream, number of messages and tools), ``received`` (the body), ``sent`` for each
    event, and at the end ``closed``, or ``cancelled`` when the client went first, both with the ``tokens`` sent.
    """

    name: ClassVar[str] = "openai"
    plain: ClassVar[bool] = False
    """Whether it leaves out what only OpenAI's own answers have, as compatible servers do."""
    usual: ClassVar[tuple[str, ...]] = ("gpt-4o",)
    """The models that are listed where any name is taken."""

    def __init__(
        self,
        *,
        brain: Brain | None = None,
        models: Sequence[str] = (),
        quota: int | None = None,
        faults: Iterable[Fault] = (),
        tell: Callable[[Sighting], None] | None = None,
    ) -> None:
        super().__init__(faults=faults, tell=tell)
        self.brain: Brain = brain or Script()
        self.models = tuple(models)
        self.quota = quota
        self._prompts: deque[str] = deque(maxlen=_PROMPTS)

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.post("/v1/chat/completions", self._complete),
            web.get("/v1/models", self._list),
            web.get("/v1/models/{model:.+}", self._one),
        ]

    @property
    def environment(self) -> Mapping[str, str]:
        return {"OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": KEY}

    def refuse_model(self, model: str) -> Refusal:
        """The refusal of a model that does not exist."""
        missing = f"The model `{model}` does not exist or you do not have access to it."
        return Refusal(404, missing, code="model_not_found")

    def check(self, request: ChatRequest) -> None:
        """Refusal of what this server does not have or do, beyond what the API itself refuses."""
        if self.models and request.model not in self.models:
            raise self.refuse_model(request.model)

    def authorise(self, request: web.Request) -> None:
        """Refusal of a request without a key."""
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise Refusal(401, "You did not provide an API key: send it as Authorization: Bearer KEY.")

    async def _list(self, request: web.Request) -> web.Response:
        try:
            self.authorise(request)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        listed = [self._model(name) for name in self.models or self.usual]
        return web.json_response({"object": "list", "data": listed})

    async def _one(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        try:
            self.authorise(request)
            if self.models and name not in self.models:
                raise self.refuse_model(name)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        return web.json_response(self._model(name))

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "echostack"}

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        return await _Exchange(self, request).serve()

    def prepare(self, request: ChatRequest, exchange: int) -> Chunks:
        """What makes the chunks of the answer to ``request``."""
        prompt = msgspec.json.encode([request.body.get("tools"), list(request.messages)]).decode()
        tokens = tokens_in(prompt)
        cached = 0
        for before in self._prompts:
            same = next((at for at, (a, b) in enumerate(zip(before, prompt, strict=False)) if a != b), len(before))
            cached = max(cached, same // 4)
        self._prompts.append(prompt)
        cached = cached // _CACHED_STEP * _CACHED_STEP if cached >= _CACHED_FROM else 0
        return Chunks(
            request, exchange, int(self.clock.wall()), tokens, cached_tokens=min(cached, tokens), plain=self.plain
        )


class _Exchange(Exchange):
    """One POST of a completion."""

    unreadable = b'data: {"id":"chatcmpl-local","choices":[{"delta":\n\n'

    def __init__(self, server: OpenAIServer, request: web.Request) -> None:
        super().__init__(server, request)
        self.server = server

    async def run(self) -> None:
        try:
            asked = await self._admit()
        except Refusal as refusal:
            self._refuse(refusal)
            return
        chunks = self.events = self.server.prepare(asked, self.number)
        bits = self._bits(asked, chunks)
        try:
            await (self._stream(chunks, bits) if asked.stream else self._whole(chunks, bits))
        except Cut:
            return
        finally:
            await bits.aclose()

    async def _admit(self) -> ChatRequest:
        server, seen = self.server, self.server.seen
        data = await self.request.read()
        try:
            asked = read_request(data)
        except Refusal:
            seen.note(self.number, "opened", model="", stream=False, messages=0, tools=())
            raise
        finally:
            if self.fault is not None:
                seen.note(self.number, "fault", kind=self.fault.kind.value)
        counts = {"messages": len(asked.messages), "tools": asked.tools}
        seen.note(self.number, "opened", model=asked.model, stream=asked.stream, **counts)
        seen.note(self.number, "received", body=asked.body)
        self._refuse_by_fault()
        server.authorise(self.request)
        server.check(asked)
        if server.quota is not None:
            if server.quota <= 0:
                used = "You exceeded your current quota, please check your plan and billing details."
                raise Refusal(429, used, code="insufficient_quota", kind="insufficient_quota")
            server.quota -= 1
        return asked

    def _refuse_by_fault(self) -> None:
        kind = self.fault.kind if self.fault is not None else None
        if kind is FaultKind.UNAUTHORISED:
            raise Refusal(401, "Incorrect API key provided: ***.", code="invalid_api_key")
        if kind is FaultKind.RATE_LIMITED:
            raise Refusal(429, "Rate limit reached for requests.", code="rate_limit_exceeded", kind="requests")
        if kind is FaultKind.UNAVAILABLE:
            raise Refusal(503, "The engine is currently overloaded, please try again later.", kind="server_error")

    def _refuse(self, refusal: Refusal) -> None:
        headers = self.headers()
        if (hint := self.hint()) and self.fault is not None:
            reset = f"{self.fault.seconds:g}s"
            headers |= hint | {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
        self.response = web.json_response(refusal.body, status=refusal.status, headers=headers)
        self.server.seen.note(self.number, "refused", status=refusal.status, code=refusal.code)

    def headers(self) -> dict[str, str]:
        headers = {"x-request-id": f"req_local{self.number:06d}"}
        if self.server.plain:
            return headers
        return headers | {
            "openai-version": "2020-10-01",
            "openai-processing-ms": "1",
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-reset-requests": "120ms",
        }

    async def _bits(self, asked: ChatRequest, chunks: Chunks) -> AsyncGenerator[Bit, None]:
        """What the brain says, until the bound of tokens."""
        bound, count = asked.max_tokens or _MOST, 0
        said = self.server.brain.reply([_message(m) for m in asked.messages], bound)
        try:
            async for bit in said:
                yield bit
                count += isinstance(bit, str)
                if count >= bound:
                    chunks.reason = "length"
                    return
        finally:
            close = getattr(said, "aclose", None)
            if close is not None:
                await close()

    async def _stream(self, chunks: Chunks, bits: AsyncGenerator[Bit, None]) -> None:
        begun = False
        last = b""
        async for bit in bits:
            if not begun:
                begun = True
                await self._event(sse(chunks.begin(bit)))
            for chunk in chunks.of(bit):
                last = sse(chunk)
                await self._event(last)
        if not begun:
            last = sse(chunks.begin(None))
            await self._event(last)
        await self.again(last, last.decode().strip())
        for chunk in chunks.end():
            await self._event(sse(chunk))
        await self._event(DONE)
        await self.finish()

    async def _event(self, data: bytes) -> None:
        await self.send(data, data.decode().strip())

    async def _whole(self, chunks: Chunks, bits: AsyncGenerator[Bit, None]) -> None:
        body = msgspec.json.encode(chunks.whole([bit async for bit in bits]))
        await self.send_whole(body, body.decode())


def _message(message: Mapping[str, Any]) -> Message:
    role = {"developer": "system", "function": "tool"}.get(message["role"], message["role"])
    return {"role": role, "content": text_of(message.get("content"))}
