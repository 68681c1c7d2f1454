"""A LiveKit server on this machine: rooms over real WebRTC, for the real SDKs, to run and test voice files without one.

It speaks the signalling protocol and the RoomService of LiveKit, answers ICE as a lite agent on the loopback interface
and forwards Opus as it comes. What it sees is in ``seen``: ``joined``, ``connected``, ``published``, ``subscribed``,
``voiced`` and ``silent`` (``at`` is the instant of the first or last audible sample), ``data``, ``muted``,
``unpublished``, ``left``, beside ``opened``, ``received`` (the kinds of the requests), ``refused``, ``resumed``,
``fault`` and ``closed`` of its connections.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import ClassVar, Final

from aiohttp import web
from livekit.protocol import models, rtc

from echostack.connectors.alongside import Alongside
from echostack.core.errors import UsageError
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.livekit import signal as signalling
from echostack.providers.livekit.hearing import Recording
from echostack.providers.livekit.house import RESUME, House
from echostack.providers.livekit.participant import Participant
from echostack.providers.livekit.requests import take
from echostack.providers.livekit.rest import PATH, RoomService
from echostack.providers.livekit.room import Room
from echostack.providers.livekit.tokens import Grants, Refused, bearer, verify
from echostack.providers.seen import Sighting
from echostack.providers.server import KEY, ProviderServer

SECRET: Final = KEY * 8
"""The secret of the one API key, `KEY`; as long as HS256 asks (RFC 7518, section 3.2)."""

_CLOSING: Final = 1.0  # seconds that a client has to answer the close of its websocket
_ROUTINE: Final = frozenset(("ping", "ping_req", "trickle"))  # requests that tell nothing of what a client does
_SILENT: Final = 3.0 * signalling.PING_TIMEOUT  # seconds without a request after which a client has gone
_FAREWELL: Final = 0.5  # seconds that clients have to go when the server stops
_TEXT: Final = 256  # characters of a room's name or an identity


class LiveKitServer(ProviderServer):
    """Rooms on this machine. ``room`` is the one that `environment` names.

    resume: seconds that a participant whose signalling broke may come back in.
    """

    name: ClassVar[str] = "livekit"

    def __init__(
        self,
        *,
        faults: Iterable[Fault] = (),
        tell: Callable[[Sighting], None] | None = None,
        room: str = "echostack",
        resume: float = RESUME,
    ) -> None:
        super().__init__(faults=faults, tell=tell)
        self.room = room
        self._house = House(self.clock, self.seen, resume=resume)
        self._service = RoomService(self._house)
        self._talking: dict[int, signalling.Signal] = {}  # by exchange
        self._quiet = asyncio.Event()  # nobody talks
        self._quiet.set()
        self._refusals: deque[Refused] = deque(maxlen=100)  # that faults gave, for the question why

    # -- the frame

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "LIVEKIT_URL": f"ws://{self.host}:{self.port}",
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
            "LIVEKIT_ROOM": self.room,
        }

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        yield web.get("/", self._alive)
        yield web.get("/rtc", self._connect)
        yield web.get("/rtc/v1", self._connect)
        yield web.get("/rtc/validate", self._validate)
        yield web.get("/rtc/v1/validate", self._validate)
        yield web.post(PATH, self._call)

    async def start(self, port: int = 0) -> None:
        await self._house.ports.open()
        try:
            await super().start(port)
        except UsageError:
            await self._house.ports.close()
            raise

    async def stop(self) -> None:
        """Tell every participant that the server shuts down, end all connections, and stop listening. Idempotent."""
        await self._house.close()
        try:
            async with self.clock.timeout(_FAREWELL):
                await self._quiet.wait()
        except TimeoutError:  # clients that do not answer, and connections that a fault holds
            for signal in list(self._talking.values()):
                signal.cut()
        await super().stop()
        await self._house.ports.close()

    # -- for tests

    @property
    def rooms(self) -> Mapping[str, Room]:
        """The rooms that there are, by name."""
        return self._house.rooms

    @property
    def media_port(self) -> int:
        """The UDP port that media comes to."""
        return self._house.ports.port

    @property
    def strangers(self) -> int:
        """Datagrams so far that belonged to no participant."""
        return self._house.ports.strangers

    def participant(self, room: str, identity: str) -> Participant | None:
        """The participant of that identity, if it is in the room."""
        return self._house.participant(room, identity)

    def listen(self, room: str, identity: str) -> Recording:
        """Record what a participant says from now on, whether or not it is in the room yet."""
        return self._house.listen(room, identity)

    def cut(self, room: str, identity: str, *, signal: bool = True, media: bool = False) -> None:
        """Break a participant's signalling connection, lose its media's datagrams, or both. KeyError: not there.

        It may resume: an ICE restart brings the media back.
        """
        participant = self._there(room, identity)
        if media:
            participant.darken()
        found = self._house.signals.get(participant.info.sid)
        if signal and found is not None:
            found.cut()

    async def remove(self, room: str, identity: str, reason: int = models.DisconnectReason.PARTICIPANT_REMOVED) -> None:
        """Send a participant out. KeyError where it is not there."""
        await self._house.remove(self._there(room, identity), reason)

    async def delete(self, room: str, reason: int = models.DisconnectReason.ROOM_DELETED) -> None:
        """Send everyone out of a room, and delete it. KeyError where there is none."""
        if not await self._house.end_room(room, reason):
            raise KeyError(f"there is no room {room!r}")

    async def reconnect(self, room: str, identity: str) -> None:
        """Have a participant come again as if for the first time, as when its server goes. KeyError: not there."""
        participant = self._there(room, identity)
        participant.send(signalling.leave(models.DisconnectReason.MIGRATION, rtc.LeaveRequest.RECONNECT))
        await self._house.end(participant, models.DisconnectReason.MIGRATION)

    def _there(self, room: str, identity: str) -> Participant:
        participant = self._house.participant(room, identity)
        if participant is None:
            raise KeyError(f"{identity!r} is not in {room!r}")
        return participant

    # -- requests

    async def _alive(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _call(self, request: web.Request) -> web.StreamResponse:
        exchange = self.next_exchange()
        fault = self.faults.next()
        try:
            if fault is not None:
                self.seen.note(exchange, "fault", kind=fault.kind.value)
                _refuse(fault)
            grants = self._grants(request)
        except Refused as refused:
            return _refusal(refused, fault)
        if fault is not None and fault.kind is FaultKind.SLOW:
            await self.clock.sleep(fault.seconds)
        elif fault is not None and fault.kind in (FaultKind.HALF_OPEN, FaultKind.ENDLESS):
            await signalling.until_gone(request, self.clock)
        elif fault is not None and fault.kind is FaultKind.CUT and request.transport is not None:
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            request.transport.close()
        elif fault is not None and fault.kind is FaultKind.MALFORMED:
            return web.Response(body=b"\xff" * 24, content_type="application/protobuf")
        return await self._service.answer(request, grants)

    async def _validate(self, request: web.Request) -> web.Response:
        try:
            # A client that was refused its websocket asks here why: a refusal that was played is played again.
            if self._refusals:
                raise self._refusals.popleft()
            self._admit(request)
        except Refused as refused:
            return _refusal(refused, None)
        return web.Response(text="success")

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        exchange = self.next_exchange()
        if "Upgrade" not in request.headers:
            return web.Response(status=404)
        fault = self.faults.next()
        try:
            if fault is not None:
                self.seen.note(exchange, "fault", kind=fault.kind.value)
                _refuse(fault, self._refusals)
            grants, join = self._admit(request)
            if join.reconnect:
                participant = self._house.resume(grants, join, exchange)
            else:
                participant = await self._house.join(grants, join, exchange)
        except Refused as refused:
            self.seen.note(exchange, "refused", status=refused.status, why=str(refused))
            return _refusal(refused, fault)
        socket = web.WebSocketResponse(max_msg_size=signalling.LARGEST, timeout=_CLOSING, receive_timeout=_SILENT)
        self.open += 1
        try:
            await socket.prepare(request)
            self.seen.note(exchange, "opened", path=request.path, reconnect=join.reconnect)
            signal = self._talking[exchange] = signalling.Signal(socket, request, self.clock, fault)
            self._quiet.clear()
            async with Alongside(signal.write()):
                if participant is None:
                    signal.send(signalling.leave(models.DisconnectReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT))
                    signal.finish()
                    async with aclosing(signalling.requests(socket)) as requests:
                        async for _ in requests:
                            pass
                else:
                    await self._converse(participant, join, signal, socket)
        finally:
            self.open -= 1
            self._talking.pop(exchange, None)
            if not self._talking:
                self._quiet.set()
            self.seen.note(exchange, "closed")
            if participant is not None and not participant.closed and participant.exchange == exchange:
                self._house.linger(participant)
        return socket

    async def _converse(
        self, participant: Participant, join: signalling.Join, signal: signalling.Signal, socket: web.WebSocketResponse
    ) -> None:
        """One participant's signalling, from the answer to its join until its connection has ended."""
        self._house.signals[participant.info.sid] = signal
        participant.outbox.copies = 2 if signal.doubles else 1
        signal.on_half_open = participant.darken
        room = participant.room
        if join.reconnect:
            participant.note("resumed")
            signal.send(signalling.resumed(participant.inbox.last_sequence))
            participant.speak = signal.send
            everyone = [p.public() for p in room.participants.values() if p is participant or not p.grants.hidden]
            signal.send(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=everyone)))
            signal.send(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=room.info)))
            participant.negotiation.restart()
        else:
            participant.note("joined")
            others = [p.public() for p in room.others(participant) if not p.grants.hidden]
            signal.send(signalling.joined(room.info, participant.public(), others))
            participant.speak = signal.send
            room.tell(participant)
        try:
            if not join.reconnect:
                participant.begin(join.tracks, join.offer)
            async with aclosing(signalling.requests(socket)) as requests:
                async for request in requests:
                    kind = request.WhichOneof("message")
                    if kind not in _ROUTINE:
                        self.seen.note(participant.exchange, "received", kind=kind)
                    if signal.half_open:
                        await signal.dead()
                        return
                    if not take(participant, request, self.clock):
                        await self._house.end(participant, models.DisconnectReason.CLIENT_INITIATED)
        except ValueError as error:  # a description that cannot be read: LiveKit's own server gives the client up
            participant.note("malformed", why=str(error))
            await self._house.remove(participant, models.DisconnectReason.UNKNOWN_REASON)

    def _grants(self, request: web.Request) -> Grants:
        return verify(bearer(request.headers, request.query), KEY, SECRET)

    def _admit(self, request: web.Request) -> tuple[Grants, signalling.Join]:
        """Whom a request lets in, and what it asks. Refused with LiveKit's own answer."""
        grants = self._grants(request)
        if not grants.room_join:
            raise Refused(401, "permissions denied")
        if not grants.identity:
            raise Refused(400, "identity cannot be empty")
        if len(grants.identity) > _TEXT:
            raise Refused(400, "participant identity length exceeds limits")
        if not grants.room:
            raise Refused(400, "no room name")
        if len(grants.room) > _TEXT:
            raise Refused(400, "room name length exceeds limits")
        try:
            return grants, signalling.join_of(request.query, single=request.path.startswith("/rtc/v1"))
        except ValueError as error:
            raise Refused(400, str(error)) from None


def _refuse(fault: Fault, told: deque[Refused] | None = None) -> None:
    """Refused, for the faults that are an answer; ``told`` keeps it for the question why."""
    answers = {
        FaultKind.UNAUTHORISED: (401, "invalid API key"),
        FaultKind.RATE_LIMITED: (429, "too many requests"),
        FaultKind.UNAVAILABLE: (503, "server is overloaded"),
    }
    if fault.kind in answers:
        refused = Refused(*answers[fault.kind])
        if told is not None:
            told.append(refused)
        raise refused


def _refusal(refused: Refused, fault: Fault | None) -> web.Response:
    headers = {"Retry-After": f"{fault.seconds:g}"} if fault is not None and refused.status == 429 else None
    return web.Response(status=refused.status, text=str(refused), headers=headers)
