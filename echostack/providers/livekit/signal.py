"""The signalling of the LiveKit server: a websocket that carries protobuf both ways, faults included.

The requests are those of ``SignalRequest`` and the answers those of ``SignalResponse`` in livekit_rtc.proto.
``/rtc/v1`` brings the whole join, the first offer with it, in one parameter; ``/rtc`` brings it in many and has two
connections.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import zlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from echostack.connectors.alongside import Alongside
from echostack.core.clock import Clock
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.gone import gone

LARGEST: Final = 1 * 2**20
"""Bytes of one signalling message, or of a join request unpacked."""

PING_INTERVAL: Final = 5  # seconds, between the client's pings
PING_TIMEOUT: Final = 15  # seconds, after which the client takes the connection for dead
_UNSENT: Final = 1_000  # messages that a client may be behind
_UNREAD: Final = 256  # requests of a client that wait for their turn
_AGAIN: Final = 0.02  # seconds between repetitions where a message has no end
_LOOK: Final = 0.05  # seconds between looks at a connection of which nothing is read
_GZIP: Final = 16 + zlib.MAX_WBITS


@dataclass(slots=True)
class Join:
    """What a client asks when it connects."""

    single: bool
    reconnect: bool = False
    participant: str = ""  # its sid, where it reconnects
    auto_subscribe: bool = True
    offer: rtc.SessionDescription | None = None
    tracks: list[rtc.AddTrackRequest] = field(default_factory=list)
    metadata: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    protocol: int = 0
    client_protocol: int = 0


def join_of(query: Any, *, single: bool) -> Join:
    """Read the parameters of a connection. ValueError, with LiveKit's own words, where they cannot be read."""
    if not single:
        return Join(
            single=False,
            reconnect=query.get("reconnect", "0") in ("1", "true"),
            participant=query.get("sid", ""),
            auto_subscribe=query.get("auto_subscribe", "1") in ("1", "true"),
            protocol=_number(query.get("protocol")),
            client_protocol=_number(query.get("client_protocol")),
        )
    packed = query.get("join_request", "")
    if not packed:
        raise ValueError("join_request is required")
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    except (binascii.Error, ValueError):
        raise ValueError("cannot base64 decode wrapped join request") from None
    except DecodeError:
        raise ValueError("cannot unmarshal wrapped join request") from None
    body = wrapped.join_request
    if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
        unpacker = zlib.decompressobj(_GZIP)
        try:
            body = unpacker.decompress(body, LARGEST)
        except zlib.error:
            raise ValueError("cannot read decompressed join request") from None
        if unpacker.unconsumed_tail:
            raise ValueError("join request too large")
    try:
        request = rtc.JoinRequest.FromString(body)
    except DecodeError:
        raise ValueError("cannot unmarshal join request") from None
    return Join(
        single=True,
        reconnect=request.reconnect,
        participant=request.participant_sid,
        auto_subscribe=request.connection_settings.auto_subscribe,
        offer=request.publisher_offer if request.HasField("publisher_offer") else None,
        tracks=list(request.add_track_requests),
        metadata=request.metadata,
        attributes=dict(request.participant_attributes),
        protocol=request.client_info.protocol,
        client_protocol=request.client_info.client_protocol,
    )


class Signal:
    """One signalling connection, and what goes wrong with it. What it sends is queued, and written in order."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, clock: Clock, fault: Fault | None) -> None:
        self._socket = socket
        self._request = request
        self._clock = clock
        self._fault = fault
        self._unsent: asyncio.Queue[bytes | None] = asyncio.Queue(_UNSENT)
        self._written = 0
        self.struck = asyncio.Event()  # the fault has struck
        self.ended = False
        self.on_half_open: Callable[[], None] | None = None

    @property
    def doubles(self) -> bool:
        """Whether everything comes twice."""
        return self._fault is not None and self._fault.kind is FaultKind.DUPLICATE

    @property
    def half_open(self) -> bool:
        """Whether it stands and is dead: nothing comes, nothing is read."""
        return self._fault is not None and self._fault.kind is FaultKind.HALF_OPEN and self.struck.is_set()

    def send(self, message: rtc.SignalResponse) -> None:
        """Queue a message. A client that is a thousand behind is cut off."""
        if self.ended:
            return
        try:
            self._unsent.put_nowait(message.SerializeToString())
        except asyncio.QueueFull:
            self.cut()

    def finish(self) -> None:
        """Close when everything has been written that was sent."""
        if not self.ended:
            self.ended = True
            try:
                self._unsent.put_nowait(None)
            except asyncio.QueueFull:
                self._drop()

    def cut(self) -> None:
        """Break the connection now, without a word."""
        self.ended = True
        self._drop()

    async def dead(self) -> None:
        """Stand, and read nothing, until the client gives up."""
        await until_gone(self._request, self._clock)

    async def write(self) -> None:
        """Write what is sent until it ends."""
        while True:
            message = await self._unsent.get()
            if message is None:
                await self._socket.close()
                return
            try:
                await self._write(message)
            except (ConnectionError, RuntimeError):  # the client has gone: reading tells, and ends everything
                self.ended = True
                return

    async def _write(self, message: bytes) -> None:
        fault = self._fault
        if fault is None:
            await self._socket.send_bytes(message)
            return
        due = self._written >= fault.after
        kind = fault.kind
        if kind is FaultKind.SLOW:
            self.struck.set()
            await self._clock.sleep(fault.seconds)
        elif kind is FaultKind.HALF_OPEN and due:
            if not self.struck.is_set() and self.on_half_open is not None:
                self.on_half_open()
            self.struck.set()
            return
        elif kind is FaultKind.CUT and due:
            self.struck.set()
            self._half(message)
            self.cut()
            raise ConnectionResetError("cut")
        elif kind is FaultKind.MALFORMED and due and not self.struck.is_set():
            self.struck.set()
            await self._socket.send_bytes(b"\xff" * 24)
        await self._socket.send_bytes(message)
        self._written += 1
        if kind is FaultKind.DUPLICATE:
            self.struck.set()
            await self._socket.send_bytes(message)
        elif kind is FaultKind.ENDLESS and self._written > fault.after:
            self.struck.set()
            while self._unsent.empty():
                await self._clock.sleep(_AGAIN)
                await self._socket.send_bytes(message)

    def _half(self, message: bytes) -> None:
        """The head of a frame and half of what it announces (RFC 6455, section 5.2)."""
        transport = self._request.transport
        if transport is None:
            return
        size = len(message)
        length = (
            bytes((size,))
            if size < 126
            else b"\x7e" + size.to_bytes(2, "big")
            if size < 65_536
            else (b"\x7f" + size.to_bytes(8, "big"))
        )
        transport.write(b"\x82" + length + message[: size // 2])

    def _drop(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.close()


async def requests(socket: web.WebSocketResponse) -> AsyncGenerator[rtc.SignalRequest]:
    """The requests of a client until it goes, or is silent too long: a client pings. Close the generator after use.

    What is not a request ends the connection, as with LiveKit's own server. Reading goes on while a request is served:
    a client's leave that comes just before its connection ends would be lost with the connection otherwise.
    """
    came: asyncio.Queue[rtc.SignalRequest | None] = asyncio.Queue(_UNREAD)

    async def read() -> None:
        try:
            while True:
                message = await socket.receive()
                if message.type is WSMsgType.BINARY:
                    await came.put(rtc.SignalRequest.FromString(message.data))
                elif message.type is not WSMsgType.TEXT:  # closed, closing or broken
                    break
        except (TimeoutError, DecodeError):
            pass
        await came.put(None)

    async with Alongside(read()):
        while (request := await came.get()) is not None:
            yield request


async def until_gone(request: web.Request, clock: Clock) -> None:
    """Wait until the client has given up a connection of which nothing is read."""
    while not gone(request):
        await clock.sleep(_LOOK)


def leave(reason: int, action: int) -> rtc.SignalResponse:
    """The message that a participant must leave, why, and whether it may come again."""
    return rtc.SignalResponse(
        leave=rtc.LeaveRequest(
            reason=reason,  # type: ignore[arg-type]
            action=action,  # type: ignore[arg-type]
            can_reconnect=action != rtc.LeaveRequest.DISCONNECT,
        )
    )


def joined(room: models.Room, me: models.ParticipantInfo, others: list[models.ParticipantInfo]) -> rtc.SignalResponse:
    """The answer to a join."""
    return rtc.SignalResponse(
        join=rtc.JoinResponse(
            room=room,
            participant=me,
            other_participants=others,
            server_version=VERSION,
            server_info=server_info(),
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            subscriber_primary=False,
            fast_publish=True,
            enabled_publish_codecs=room.enabled_codecs,
        )
    )


def resumed(last_sequence: int) -> rtc.SignalResponse:
    """The answer to one that comes back. last_sequence: of the reliable data packets that came from it."""
    return rtc.SignalResponse(
        reconnect=rtc.ReconnectResponse(server_info=server_info(), last_message_seq=last_sequence)
    )


def server_info() -> models.ServerInfo:
    return models.ServerInfo(
        edition=models.ServerInfo.Standard, version=VERSION, protocol=16, node_id="ND_local", region="local"
    )


VERSION: Final = "1.9.0"
"""The release of LiveKit whose protocol this is."""


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 6 else 0
