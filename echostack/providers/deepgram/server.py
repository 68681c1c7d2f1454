"""A local Deepgram: the live recognition API and what a key is tried with, as the vendor's own SDK speaks to them.

Protocol after Deepgram's documentation (developers.deepgram.com, speech-to-text streaming, WebSocket and API errors)
and the types of its Python SDK 7.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from aiohttp import WSMessage, WSMsgType, web

from echostack.connectors.alongside import Alongside
from echostack.connectors.moonshine_model import shared_model
from echostack.core.clock import Compute, LoopClock, ThreadCompute
from echostack.providers.deepgram.ears import Recognise, moonshine
from echostack.providers.deepgram.outlet import Outlet
from echostack.providers.deepgram.query import BadQuery, ListenOptions, listen_options
from echostack.providers.deepgram.results import Transcript
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.seen import Sighting
from echostack.providers.server import KEY, ProviderServer

_NET_0001: Final = (
    "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
)
_CLOSED: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_STOP_SECONDS: Final = 1.0
_AUDIO_NOTED_EVERY: Final = 1.0  # seconds of audio between two sightings of it


class DeepgramServer(ProviderServer):
    """Deepgram on this machine: ``/v1/listen`` by websocket, ``/v1/projects`` and ``/v1/auth/token`` for keys.

    recognise: makes the ear of each websocket; the embedded Moonshine model by default (extra ``embedded``). ``Lines``
    and ``CodedScript`` of ``providers.deepgram.ears`` need no weights.
    interim_every, longest: seconds of audio between interim results, and after which a result is made final in the
    middle of speech. idle_seconds: without audio or a KeepAlive for so long, a websocket is closed (1011, NET-0001).

    Sightings of its own: ``finalize``, ``keep alive``, ``close stream``, ``configure``; ``received`` tells the seconds
    of audio so far, once a second of it.
    """

    name: ClassVar[str] = "deepgram"

    def __init__(
        self,
        recognise: Recognise | None = None,
        *,
        interim_every: float = 0.4,
        longest: float = 5.0,
        idle_seconds: float = 10.0,
        faults: Iterable[Fault] = (),
        tell: Callable[[Sighting], None] | None = None,
    ) -> None:
        super().__init__(faults=faults, tell=tell)
        self._compute: Compute | None = None
        self._recognise = recognise or self._embedded()
        self._interim_every, self._longest, self._idle_seconds = interim_every, longest, idle_seconds
        self._connections: dict[int, asyncio.Transport] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return (
            web.get("/v1/listen", self._listen),
            web.get("/v1/projects", self._projects),
            web.get("/v1/auth/token", self._token),
        )

    @property
    def environment(self) -> Mapping[str, str]:
        return {"DEEPGRAM_BASE_URL": self.url, "DEEPGRAM_API_KEY": KEY}

    def break_connections(self) -> None:
        """Break every websocket at this instant, as a network does that goes away."""
        for transport in list(self._connections.values()):
            transport.abort()

    async def stop(self) -> None:
        self.break_connections()
        try:
            async with self.clock.timeout(_STOP_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            self.seen.note(0, "late")  # what does not end by itself is cancelled below
        await super().stop()
        if self._compute is not None:
            self._compute.close()

    def _embedded(self) -> Recognise:
        self._compute = compute = ThreadCompute(1)
        return moonshine(shared_model("tiny-en"), compute.run)

    # -- what a key is tried with -------------------------------------------------------------------------------

    async def _projects(self, request: web.Request) -> web.Response:
        return await self._answered(request, {"projects": [{"project_id": str(uuid.UUID(int=1)), "name": "local"}]})

    async def _token(self, request: web.Request) -> web.Response:
        return await self._answered(request, {"api_key_id": str(uuid.UUID(int=2)), "scopes": ["member"]})

    async def _answered(self, request: web.Request, answer: dict[str, Any]) -> web.Response:
        exchange, fault = self.next_exchange(), self.faults.next()
        self.seen.note(exchange, "opened", path=request.path)
        refused = self._refusal(request, exchange, fault)
        if refused is None and fault is not None and fault.kind is FaultKind.SLOW:
            await self.clock.sleep(fault.seconds)
        self.seen.note(exchange, "closed", status=refused.status if refused else 200)
        return refused or web.json_response(answer, headers={"dg-request-id": _request_id(exchange)})

    def _refusal(self, request: web.Request, exchange: int, fault: Fault | None) -> web.Response | None:
        """Why the exchange is refused before it begins."""
        kind = fault.kind if fault is not None else None
        if kind in (FaultKind.UNAUTHORISED, FaultKind.RATE_LIMITED, FaultKind.UNAVAILABLE):
            self.seen.note(exchange, "fault", kind=kind.value)
        if kind is FaultKind.UNAUTHORISED or not _key(request):
            return _error(exchange, 401, "INVALID_AUTH", "Invalid credentials.")
        if kind is FaultKind.RATE_LIMITED and fault is not None:
            hint = {"Retry-After": f"{fault.seconds:g}"}
            return _error(exchange, 429, "TOO_MANY_REQUESTS", "Too many requests. Please try again later", hint)
        if kind is FaultKind.UNAVAILABLE:
            return _error(exchange, 503, "SERVICE_UNAVAILABLE", "The service is overloaded. Please try again.")
        return None

    # -- live recognition ---------------------------------------------------------------------------------------

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        exchange, fault = self.next_exchange(), self.faults.next()
        self.seen.note(exchange, "opened", path=request.path, query=[list(pair) for pair in request.query.items()])
        refused = self._refusal(request, exchange, fault)
        if refused is None:
            try:
                options = listen_options(list(request.query.items()))
            except BadQuery as error:
                refused = _error(exchange, 400, "Bad Request", f"Bad Request: {error}")
        if refused is not None:
            self.seen.note(exchange, "closed", status=refused.status)
            return refused
        # Pings are answered here, so that a half-open connection can leave them unanswered.
        socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=16 * 2**20, timeout=1.0, protocols=("token", "bearer")
        )
        socket.headers["dg-request-id"] = _request_id(exchange)
        await socket.prepare(request)
        self.open += 1
        self._idle.clear()
        if request.transport is not None:
            self._connections[exchange] = request.transport
        try:
            code = await self._converse(request, socket, options, exchange, fault)
            self.seen.note(exchange, "closed", code=code)
        except (asyncio.CancelledError, ConnectionError):
            self.seen.note(exchange, "closed", code=None)
            raise
        finally:
            self.open -= 1
            self._connections.pop(exchange, None)
            if not self.open:
                self._idle.set()
        return socket

    async def _converse(
        self, request: web.Request, socket: web.WebSocketResponse, options: ListenOptions, exchange: int,
        fault: Fault | None,
    ) -> int | None:  # fmt: skip
        """Serve one websocket to its end; the code that it was closed with."""

        def note(what: str, **data: Any) -> None:
            self.seen.note(exchange, what, **data)

        transcript = Transcript(
            options, self._recognise(options), _request_id(exchange),
            clock=self.clock, interim_every=self._interim_every, longest=self._longest,
        )  # fmt: skip
        outlet = Outlet(request, socket, self.clock, fault, note)
        async with Alongside(outlet.deliver()):
            reader = _Reader(socket, outlet, transcript, options, self.clock, note, self._idle_seconds)
            ended = await reader.read()
            if not ended or outlet.mute or outlet.cut.is_set():
                note("cancelled", seconds=round(transcript.seconds, 3))
                return socket.close_code
            for message in await transcript.close():
                await outlet.put(message)
            await outlet.flushed()
            await outlet.again()
        await socket.close(code=1000)
        return 1000


class _Reader:
    """Takes what a client sends, until it asks for the end, goes, or says nothing for too long."""

    def __init__(
        self, socket: web.WebSocketResponse, outlet: Outlet, transcript: Transcript, options: ListenOptions,
        clock: LoopClock, note: Callable[..., None], idle_seconds: float,
    ) -> None:  # fmt: skip
        self._socket, self._outlet, self._transcript, self._options = socket, outlet, transcript, options
        self._clock, self._note, self._idle_seconds = clock, note, idle_seconds
        self._idle_at = clock.now() + idle_seconds
        self._noted = 0.0

    async def read(self) -> bool:
        """Whether the client asked for the end (CloseStream); otherwise it is gone, or was closed."""
        while True:
            try:
                async with self._clock.timeout(self._idle_at - self._clock.now()):
                    message = await self._socket.receive()
            except TimeoutError:
                if self._outlet.mute:
                    self._idle_at = self._clock.now() + self._idle_seconds
                    continue
                self._note("fault", kind="NET-0001")
                await self._socket.close(code=1011, message=_NET_0001.encode())
                return False
            if message.type in _CLOSED or self._outlet.cut.is_set():
                return False
            if self._outlet.mute:
                continue
            if await self._take(message):
                return True

    async def _take(self, message: WSMessage) -> bool:
        if message.type is WSMsgType.PING:
            await self._socket.pong(message.data)
            return False
        if message.type is WSMsgType.BINARY:
            self._idle_at = self._clock.now() + self._idle_seconds
            return not message.data or await self._hear(message.data)
        if message.type is WSMsgType.TEXT:
            return await self._command(message.data)
        return False

    async def _hear(self, data: bytes) -> bool:
        for answer in await self._transcript.hear(data):
            await self._outlet.put(answer)
        if self._transcript.seconds - self._noted >= _AUDIO_NOTED_EVERY or not self._noted:
            self._noted = self._transcript.seconds
            self._note("received", seconds=round(self._noted, 3))
        return False

    async def _command(self, text: str) -> bool:
        try:
            given = json.loads(text)
            kind = given["type"]
        except (ValueError, TypeError, KeyError):
            kind, given = None, {}
        match kind:
            case "KeepAlive":
                self._idle_at = self._clock.now() + self._idle_seconds
                self._note("keep alive")
            case "Finalize":
                self._note("finalize", seconds=round(self._transcript.seconds, 3))
                for answer in await self._transcript.finalize():
                    await self._outlet.put(answer)
            case "CloseStream":
                self._note("close stream", seconds=round(self._transcript.seconds, 3))
                return True
            case "Configure":
                self._note("configure")
                await self._outlet.put(self._configured(given))
            case _:
                await self._outlet.put({
                    "type": "Error", "variant": "SchemaError",
                    "description": "Could not deserialize last text message", "message": text[:1000],
                })  # fmt: skip
        return False

    def _configured(self, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("keyterms") and not self._options.model.startswith("nova-3"):
            return {
                "type": "ConfigureFailure", "request_id": "", "code": "CONFIGURE_KEYTERMS_NOT_SUPPORTED",
                "description": "Keyterms can be updated on nova-3 models only.",
            }  # fmt: skip
        kept = {"keyterms": given["keyterms"]} if "keyterms" in given else {}
        return {"type": "ConfigureSuccess", "request_id": "", **kept}


def _request_id(exchange: int) -> str:
    return str(uuid.UUID(int=exchange))


def _key(request: web.Request) -> str:
    """The key or token of a request: in its Authorization header, or as a websocket's subprotocol."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return key.strip()
    offered = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return offered[1] if len(offered) == 2 and offered[0].lower() in ("token", "bearer") else ""


def _error(
    exchange: int, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A refusal in the vendor's form; clients that never see the body find its text in ``dg-error``."""
    request_id = _request_id(exchange)
    body = {"err_code": code, "err_msg": message, "request_id": request_id}
    return web.json_response(
        body, status=status, headers={"dg-request-id": request_id, "dg-error": message, **(headers or {})}
    )
