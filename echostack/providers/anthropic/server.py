"""A local server that speaks Anthropic's Messages API, streamed and whole, as far as voice agents use it.

Protocol: the vendor's reference ("Messages", "Streaming Messages", "Errors", "Rate limits", "Prompt caching") and the
types of its SDK. What is answered is the brain's matter; thinking, effort and the choice of tools are checked, and
change nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web

from echostack.connectors.alongside import Alongside
from echostack.providers.anthropic.events import Cache, Events, sse
from echostack.providers.anthropic.requests import MessagesRequest, Refusal, read_request
from echostack.providers.brain import Bit, Brain, Script
from echostack.providers.exchange import Cut, Exchange
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.seen import Sighting
from echostack.providers.server import KEY, ProviderServer

_MODELS: Final = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-4-5")
_PING: Final = 15.0  # seconds without an event after which the API shows that it lives


class AnthropicServer(ProviderServer):
    """Anthropic's API on this machine: messages and the list of models.

    brain: what answers (default: a line of script). models: the names that exist (default: any does). ping: seconds of
    silence of the brain after which a ping is sent. An exchange is a POST of a message, and its messages, which the
    faults count, are the events of its stream; a look at the models meets the faults that refuse or delay.

    ``seen`` notes ``opened`` (model, stream, number of messages and tools), ``received`` (the body), ``sent`` for each
    event, ``refused``, and at the end ``closed``, or ``cancelled`` when the client went first, both with the ``tokens``
    that had been sent.
    """

    name: ClassVar[str] = "anthropic"

    def __init__(
        self,
        *,
        brain: Brain | None = None,
        models: Sequence[str] = (),
        ping: float = _PING,
        faults: Iterable[Fault] = (),
        tell: Callable[[Sighting], None] | None = None,
    ) -> None:
        super().__init__(faults=faults, tell=tell)
        self.brain: Brain = brain or Script()
        self.models = tuple(models)
        self.ping = ping
        self.cache = Cache()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.post("/v1/messages", self._create),
            web.get("/v1/models", self._list),
            web.get("/v1/models/{model:.+}", self._one),
        ]

    @property
    def environment(self) -> Mapping[str, str]:
        return {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": KEY}

    def authorise(self, request: web.Request) -> None:
        """Refusal of a request without a key, or without the version of the API that it is written for."""
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        if not request.headers.get("x-api-key", "").strip() and not (kind.lower() == "bearer" and key.strip()):
            raise Refusal("x-api-key header is required", "authentication_error")
        if not request.headers.get("anthropic-version", "").strip():
            raise Refusal("anthropic-version: header is required")

    def check_model(self, model: str) -> None:
        """Refusal of a model that does not exist."""
        if self.models and model not in self.models:
            raise Refusal(f"model: {model}", "not_found_error")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await _Exchange(self, request).serve()

    async def _list(self, request: web.Request) -> web.Response:
        listed = [_model(name) for name in self.models or _MODELS]
        body = {"data": listed, "has_more": False, "first_id": listed[0]["id"], "last_id": listed[-1]["id"]}
        return await self._looked_up(request, lambda: body)

    async def _one(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]

        def found() -> Mapping[str, Any]:
            self.check_model(name)
            return _model(name)

        return await self._looked_up(request, found)

    async def _looked_up(self, request: web.Request, find: Callable[[], Mapping[str, Any]]) -> web.Response:
        headers = {"request-id": f"req_local{self.next_exchange():06d}"}
        fault = self.faults.next()
        try:
            if fault is not None and fault.kind in (FaultKind.SLOW, FaultKind.HALF_OPEN):
                await self.clock.sleep(fault.seconds if fault.kind is FaultKind.SLOW else 3600.0)
            refuse_by(fault)
            self.authorise(request)
            return web.json_response(find(), headers=headers)
        except Refusal as refusal:
            return web.json_response(refusal.body(headers["request-id"]), status=refusal.status, headers=headers)


class _Exchange(Exchange):
    """One POST of a message."""

    unreadable = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":\n\n'

    def __init__(self, server: AnthropicServer, request: web.Request) -> None:
        super().__init__(server, request)
        self.server = server

    async def run(self) -> None:
        try:
            asked = await self._admit()
        except Refusal as refusal:
            self._refuse(refusal)
            return
        events = self.events = Events(asked, self.number, self.server.cache.count(asked))
        bits = self._bits(asked, events)
        try:
            if asked.stream:
                async with Alongside(self._pings()):
                    await self._stream(events, bits)
            else:
                await self._whole(events, bits)
        except Cut:
            return
        finally:
            await bits.aclose()

    async def _admit(self) -> MessagesRequest:
        server, seen = self.server, self.server.seen
        data = await self.request.read()
        if self.fault is not None:
            seen.note(self.number, "fault", kind=self.fault.kind.value)
        try:
            asked = read_request(data)
        except Refusal:
            seen.note(self.number, "opened", model="", stream=False, messages=0, tools=())
            raise
        counts = {"messages": len(asked.body["messages"]), "tools": asked.tools}
        seen.note(self.number, "opened", model=asked.model, stream=asked.stream, **counts)
        seen.note(self.number, "received", body=asked.body)
        refuse_by(self.fault)
        server.authorise(self.request)
        server.check_model(asked.model)
        return asked

    def _refuse(self, refusal: Refusal) -> None:
        headers = self.headers()
        if hint := self.hint():
            headers |= hint | {"anthropic-ratelimit-requests-remaining": "0"}
        body = refusal.body(headers["request-id"])
        self.response = web.json_response(body, status=refusal.status, headers=headers)
        self.server.seen.note(self.number, "refused", status=refusal.status, kind=refusal.kind)

    def headers(self) -> dict[str, str]:
        reset = datetime.fromtimestamp(int(self.server.clock.wall()) + 1, UTC).isoformat().replace("+00:00", "Z")
        return {
            "request-id": f"req_local{self.number:06d}",
            "anthropic-organization-id": "org_local",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": reset,
            "anthropic-ratelimit-input-tokens-limit": "2000000",
            "anthropic-ratelimit-input-tokens-remaining": "2000000",
            "anthropic-ratelimit-input-tokens-reset": reset,
            "anthropic-ratelimit-output-tokens-limit": "400000",
            "anthropic-ratelimit-output-tokens-remaining": "400000",
            "anthropic-ratelimit-output-tokens-reset": reset,
        }

    async def _bits(self, asked: MessagesRequest, events: Events) -> AsyncGenerator[Bit, None]:
        """What the brain says, until the bound of tokens."""
        count = 0
        said = self.server.brain.reply(asked.messages, asked.max_tokens)
        try:
            async for bit in said:
                if count >= asked.max_tokens:
                    events.reason = "max_tokens"
                    return
                yield bit
                count += isinstance(bit, str)
            if count >= asked.max_tokens > 0:
                events.reason = "max_tokens"
        finally:
            close = getattr(said, "aclose", None)
            if close is not None:
                await close()

    async def _stream(self, events: Events, bits: AsyncGenerator[Bit, None]) -> None:
        last: Mapping[str, Any] = {"type": "ping"}
        for event in events.begin():
            await self.send(sse(event), event)
        async for bit in bits:
            for event in events.of(bit):
                last = event
                await self.send(sse(event), event)
        await self.again(sse(last), last)
        for event in events.end():
            await self.send(sse(event), event)
        await self.finish()

    async def _pings(self) -> None:
        """Show that the answer is being worked on, as long as nothing of it comes."""
        while True:
            sent = self.sent
            await self.server.clock.sleep(self.server.ping)
            if self.sent == sent and self.response is not None and not self.silent:
                await self.response.write(sse({"type": "ping"}))
                self.server.seen.note(self.number, "ping")

    async def _whole(self, events: Events, bits: AsyncGenerator[Bit, None]) -> None:
        message = events.whole([bit async for bit in bits])
        await self.send_whole(msgspec.json.encode(message), message)


def refuse_by(fault: Fault | None) -> None:
    """Refusal of a request that meets a fault of that kind."""
    kind = fault.kind if fault is not None else None
    if kind is FaultKind.UNAUTHORISED:
        raise Refusal("invalid x-api-key", "authentication_error")
    if kind is FaultKind.RATE_LIMITED:
        raise Refusal("This request would exceed your organization's rate limit.", "rate_limit_error")
    if kind is FaultKind.UNAVAILABLE:
        raise Refusal("Overloaded", "overloaded_error")


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model", "id": name, "display_name": name.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z", "max_input_tokens": 200_000, "max_tokens": 64_000,
    }  # fmt: skip
