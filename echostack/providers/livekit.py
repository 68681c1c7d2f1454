"""A LiveKit server on this machine: rooms over real WebRTC, for the real SDKs, to run and test voice files without one.

It speaks the signalling protocol and the RoomService of LiveKit, answers ICE as a lite agent on the loopback interface
and forwards Opus as it comes. What it sees is in ``seen``: ``joined``, ``connected``, ``published``, ``subscribed``,
``voiced`` and ``silent`` (with ``at``, the instant of the first or last audible sample), ``data``, ``muted``,
``unpublished``, ``left``, beside ``opened``, ``fault`` and ``closed`` of the signalling connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from aiohttp import web
from aiortc.rtcdtlstransport import RTCCertificate
from livekit.protocol import models, rtc

from echostack.connectors.alongside import Alongside
from echostack.core.errors import UsageError
from echostack.providers import livekit_signal as signalling
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.livekit_hearing import Recording
from echostack.providers.livekit_ice import MediaSocket
from echostack.providers.livekit_participant import Participant
from echostack.providers.livekit_requests import take
from echostack.providers.livekit_room import ROOMS, Room
from echostack.providers.livekit_tokens import Grants, Refused, bearer, verify
from echostack.providers.seen import Sighting
from echostack.providers.server import KEY, ProviderServer

SECRET: Final = KEY * 8
"""The secret of the one API key, `KEY`; as long as HS256 asks (RFC 7518, section 3.2)."""

_RESUME: Final = 20.0  # seconds that a participant whose signalling broke may come back in
_CLOSING: Final = 1.0  # seconds that a client has to answer the close of its websocket
_TEXT: Final = 256  # characters of a room's name or an identity


class LiveKitServer(ProviderServer):
    """Rooms on this machine. ``room`` is the one that `environment` names."""

    name: ClassVar[str] = "livekit"

    def __init__(
        self,
        *,
        faults: Iterable[Fault] = (),
        tell: Any = None,
        room: str = "echostack",
        resume: float = _RESUME,
    ) -> None:
        super().__init__(faults=faults, tell=tell)
        self.room = room
        self.rooms: dict[str, Room] = {}
        self.ports = MediaSocket(self.clock.now)
        self.certificate = RTCCertificate.generateCertificate()
        self._resume = resume
        self._signals: dict[str, signalling.Signal] = {}  # by participant sid
        self._timers: dict[str, asyncio.TimerHandle] = {}  # of rooms and participants, by sid
        self._ending: set[asyncio.Task[None]] = set()
        self._refusals: deque[Refused] = deque(maxlen=100)  # that faults gave, for the question why
        self._waiting: dict[tuple[str, str], list[Recording]] = {}

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
        yield web.get("/rtc", self._dual)
        yield web.get("/rtc/v1", self._single)
        yield web.get("/rtc/validate", self._validate)
        yield web.get("/rtc/v1/validate", self._validate)

    async def start(self, port: int = 0) -> None:
        await self.ports.open()
        try:
            await super().start(port)
        except UsageError:
            await self.ports.close()
            raise

    async def stop(self) -> None:
        """Tell every participant that the server shuts down, end all connections, and stop listening."""
        for name in list(self.rooms):
            await self.end_room(name, models.DisconnectReason.SERVER_SHUTDOWN)
        while self._ending:
            await asyncio.wait(list(self._ending))
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await super().stop()
        await self.ports.close()

    def note(self, exchange: int, what: str, **data: Any) -> None:
        self.seen.note(exchange, what, **data)

    def gone(self, participant: Participant, why: str) -> None:
        self.note(participant.exchange, "media lost", identity=participant.info.identity, why=why)

    # -- for tests

    def listen(self, room: str, identity: str) -> Recording:
        """Record what a participant says from now on, whether or not it is in the room yet."""
        recording = Recording()
        self._waiting.setdefault((room, identity), []).append(recording)
        there = self.participant(room, identity)
        if there is not None:
            there.listen(recording)
        return recording

    def participant(self, room: str, identity: str) -> Participant | None:
        """The participant of that identity, if it is in the room."""
        found = self.rooms.get(room)
        return found.participants.get(identity) if found is not None else None

    def cut(self, room: str, identity: str, *, signal: bool = True, media: bool = False) -> None:
        """Break a participant's signalling connection, lose its media's datagrams, or both. KeyError: not there."""
        participant = self.participant(room, identity)
        if participant is None:
            raise KeyError(f"{identity!r} is not in {room!r}")
        if media:
            participant.darken()
        if signal:
            self._signals[participant.info.sid].cut()

    # -- rooms

    def make_room(self, name: str) -> Room:
        """The room of that name, made if it is not there. Refused past the number of rooms."""
        room = self.rooms.get(name)
        if room is None:
            if len(self.rooms) >= ROOMS:
                raise Refused(429, f"this server has {ROOMS} rooms, which is all it carries")
            room = self.rooms[name] = Room(name, self.clock)
            self.note(0, "room created", room=name)
            self._expire(room, room.info.empty_timeout)
        return room

    async def end_room(self, name: str, reason: int = models.DisconnectReason.ROOM_DELETED) -> None:
        """Send everyone out of a room and delete it. Nothing where there is none."""
        room = self.rooms.pop(name, None)
        if room is None:
            return
        room.closing = True
        self._forget(room.info.sid)
        for participant in list(room.participants.values()):
            await self.remove(participant, reason)
        self.note(0, "room deleted", room=name)

    async def remove(self, participant: Participant, reason: int) -> None:
        """Send one participant out, with the reason."""
        if not participant.closed:
            participant.send(signalling.leave(reason, rtc.LeaveRequest.DISCONNECT))
            await self._end(participant, reason)

    async def _end(self, participant: Participant, reason: int) -> None:
        if participant.closed:
            return
        sid, room = participant.info.sid, participant.room
        self._forget(sid)
        signal = self._signals.pop(sid, None)
        if signal is not None:
            signal.finish()
        await participant.close(reason)
        self.note(
            participant.exchange,
            "left",
            room=room.name,
            identity=participant.info.identity,
            reason=models.DisconnectReason.Name(reason),
        )
        if not room.participants and not room.closing:
            self._expire(room, room.info.departure_timeout)

    def _expire(self, room: Room, seconds: float) -> None:
        def over() -> None:
            if not room.participants and self.rooms.get(room.name) is room:
                del self.rooms[room.name]
                self._timers.pop(room.info.sid, None)
                room.closing = True
                self.note(0, "room deleted", room=room.name)

        self._forget(room.info.sid)
        self._timers[room.info.sid] = self.clock.call_later(seconds, over)

    def _forget(self, sid: str) -> None:
        timer = self._timers.pop(sid, None)
        if timer is not None:
            timer.cancel()

    # -- requests

    def grants(self, request: web.Request) -> Grants:
        """What a request's token allows. Refused where it has none that is good."""
        return verify(bearer(request.headers, request.query), KEY, SECRET)

    async def _alive(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _validate(self, request: web.Request) -> web.Response:
        try:
            if self._refusals:
                raise self._refusals.popleft()
            self._admit(request, single=request.path.startswith("/rtc/v1"))
        except Refused as refused:
            return web.Response(status=refused.status, text=str(refused))
        return web.Response(text="success")

    async def _dual(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, single=False)

    async def _single(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, single=True)

    def _admit(self, request: web.Request, *, single: bool) -> tuple[Grants, signalling.Join]:
        grants = self.grants(request)
        if not grants.room_join:
            raise Refused(401, "permissions denied")
        if not grants.identity:
            raise Refused(400, "identity cannot be empty")
        if not grants.room:
            raise Refused(400, "no room name")
        if len(grants.room) > _TEXT:
            raise Refused(400, "room name length exceeds limits")
        if len(grants.identity) > _TEXT:
            raise Refused(400, "participant identity length exceeds limits")
        try:
            return grants, signalling.join_of(request.query, single=single)
        except ValueError as error:
            raise Refused(400, str(error)) from None

    async def _serve(self, request: web.Request, *, single: bool) -> web.StreamResponse:
        exchange = self.next_exchange()
        if "Upgrade" not in request.headers:
            return web.Response(status=404)
        fault = self.faults.next()
        try:
            if fault is not None:
                self.note(exchange, "fault", kind=fault.kind.value)
                refuse(fault)
            grants, join = self._admit(request, single=single)
            participant = await self._take_in(grants, join, exchange)
        except Refused as refused:
            self.note(exchange, "refused", status=refused.status, why=str(refused))
            if fault is not None and refused.status in (401, 429, 503):
                self._refusals.append(refused)
            headers = {"Retry-After": f"{fault.seconds:g}"} if fault is not None and refused.status == 429 else None
            return web.Response(status=refused.status, text=str(refused), headers=headers)
        socket = web.WebSocketResponse(max_msg_size=signalling.LARGEST, timeout=_CLOSING)
        try:
            await socket.prepare(request)
            self.open += 1
            self.note(exchange, "opened", path=request.path, reconnect=join.reconnect)
            signal = signalling.Signal(socket, request, self.clock, fault)
            async with Alongside(signal.write()):
                if participant is None:
                    signal.send(signalling.leave(models.DisconnectReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT))
                    signal.finish()
                    async for _ in signalling.requests(socket):
                        pass
                else:
                    await self._converse(participant, join, signal, socket)
        finally:
            self.open -= 1
            self.note(exchange, "closed")
            if participant is not None and not participant.closed and participant.exchange == exchange:
                self._linger(participant)
        return socket

    async def _take_in(self, grants: Grants, join: signalling.Join, exchange: int) -> Participant | None:
        """The participant that joins or comes back; None where one would come back that is not there."""
        there = self.participant(grants.room, grants.identity)
        if join.reconnect:
            if there is None or there.info.sid != join.participant:
                return None
            self._forget(there.info.sid)
            old = self._signals.pop(there.info.sid, None)
            if old is not None:
                old.cut()
            there.exchange = exchange
            return there
        room = self.make_room(grants.room)
        if there is not None:
            await self.remove(there, models.DisconnectReason.DUPLICATE_IDENTITY)
        participant = Participant(self, room, grants, exchange=exchange, single=join.single)
        try:
            room.enter(participant)
        except Refused:
            await participant.close(models.DisconnectReason.JOIN_FAILURE)
            raise
        self._forget(room.info.sid)
        participant.auto_subscribe = join.auto_subscribe
        participant.info.client_protocol = join.client_protocol
        for recording in self._waiting.get((room.name, grants.identity), []):
            participant.listen(recording)
        return participant

    async def _converse(
        self, participant: Participant, join: signalling.Join, signal: signalling.Signal, socket: web.WebSocketResponse
    ) -> None:
        self._signals[participant.info.sid] = signal
        participant.copies = 2 if signal.doubles else 1
        signal.on_half_open = participant.darken
        room = participant.room
        if join.reconnect:
            self.note(participant.exchange, "resumed", room=room.name, identity=participant.info.identity)
            signal.send(signalling.resumed(participant.last_sequence))
            participant.speak = signal.send
            everyone = [p.public() for p in room.participants.values() if p is participant or not p.grants.hidden]
            signal.send(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=everyone)))
            signal.send(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=room.info)))
            participant.restart_ice()
        else:
            self.note(participant.exchange, "joined", room=room.name, identity=participant.info.identity)
            others = [p.public() for p in room.others(participant) if not p.grants.hidden]
            signal.send(signalling.joined(room.info, participant.public(), others))
            participant.speak = signal.send
            room.tell(participant)
            participant.begin(join.tracks, join.offer)
        async for request in signalling.requests(socket):
            if signal.half_open:
                await signal.dead()
                return
            try:
                stays = take(participant, request, self.clock)
            except ValueError as error:
                self.note(participant.exchange, "malformed", identity=participant.info.identity, why=str(error))
                await self.remove(participant, models.DisconnectReason.UNKNOWN_REASON)
                continue
            if not stays:
                await self._end(participant, models.DisconnectReason.CLIENT_INITIATED)

    def _linger(self, participant: Participant) -> None:
        """Keep the place of one whose signalling broke, for as long as it may come back."""
        participant.speak = None
        sid = participant.info.sid
        self._signals.pop(sid, None)

        def over() -> None:
            ending = self._end(participant, models.DisconnectReason.SIGNAL_CLOSE)
            task = asyncio.get_running_loop().create_task(ending)
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

        self._forget(sid)
        self._timers[sid] = self.clock.call_later(self._resume, over)


def refuse(fault: Fault) -> None:
    """Refused, for the faults that are an answer."""
    if fault.kind is FaultKind.UNAUTHORISED:
        raise Refused(401, "invalid API key")
    if fault.kind is FaultKind.RATE_LIMITED:
        raise Refused(429, "too many requests")
    if fault.kind is FaultKind.UNAVAILABLE:
        raise Refused(503, "server is overloaded")


__all__ = ["SECRET", "LiveKitServer", "Sighting"]
