"""The room that the ends of a LiveKit transport share: joined by the first, left by the last, and what happens in it.

The SDK's room reports through callbacks on the session's event loop. They are handed on at once and in order, and none
of them waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from echostack.connectors.livekit.refusal import refused
from echostack.connectors.livekit.settings import Connection, LiveKitSettings
from echostack.core.errors import ConnectorFailure
from echostack.registry import Context

if TYPE_CHECKING:
    from livekit import rtc

SHARED: Final = "livekit.rooms"
_LEAVE_SECONDS: Final = 2.0
_ABANDON_SECONDS: Final = 2.0

# Why the server or the other side ended it, when that is how calls end (participant_pb2.DisconnectReason).
_REGULAR: Final = {
    "PARTICIPANT_REMOVED": "the agent was removed from the room",
    "ROOM_DELETED": "the room was deleted",
    "ROOM_CLOSED": "the room was closed",
    "USER_UNAVAILABLE": "the callee did not answer",
    "USER_REJECTED": "the callee rejected the call",
}
_FAILED: Final = {
    "DUPLICATE_IDENTITY": "another participant joined under the agent's identity; give each session an identity of its "
    "own, or leave identity out",
    "SERVER_SHUTDOWN": "the server is shutting down",
    "JOIN_FAILURE": "the media connection could not be made; see that UDP, or TURN over TLS, gets to the server",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """The room is over: ``why``, and the failure that it is, when no side meant it."""

    why: str
    failure: ConnectorFailure | None = None


class RoomListener:
    """What an end of the transport may want to know. Synchronous; called on the session's event loop."""

    def joined(self, participant: rtc.RemoteParticipant) -> None:
        """Somebody is in the room."""

    def left(self, participant: rtc.RemoteParticipant) -> None:
        """Somebody is not in the room any more."""

    def subscribed(self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: str) -> None:
        """A track of ``who`` can be received."""

    def unsubscribed(self, sid: str) -> None:
        """The track ``sid`` is over."""

    def packet(self, packet: rtc.DataPacket) -> None:
        """A data message has come."""

    def key(self, dtmf: rtc.SipDTMF) -> None:
        """A key of a phone was pressed."""

    def reconnecting(self) -> None:
        """The connection is lost; the SDK tries to have it back."""

    def reconnected(self) -> None:
        """The connection is back."""

    def ended(self, ending: Ending) -> None:
        """The room is over for us. The last thing that is told."""


class Rooms:
    """The rooms of one session, and which of its ends is in which."""

    def __init__(self) -> None:
        self._ends: list[LiveKitSettings] = []
        self._rooms: dict[Connection, LiveKitRoom] = {}

    @classmethod
    def of(cls, context: Context) -> Rooms:
        """The session's."""
        return context.share(SHARED, cls)

    def enter(self, settings: LiveKitSettings) -> None:
        """Announce an end: every one is announced before the first opens."""
        self._ends.append(settings)

    def room(self, settings: LiveKitSettings, context: Context) -> LiveKitRoom:
        """The room of an end: its own when its file says anything about the connection, else the one that another end
        names, else the environment's. ConnectorFailure when what is needed is missing."""
        named = [settings] if settings.written else [s for s in self._ends if s.written]
        connections = list(dict.fromkeys(Connection.of(s) for s in named)) or [Connection.of(settings)]
        if len(connections) > 1:
            raise ConnectorFailure(
                f"{context.node} can be in any of {len(connections)} LiveKit rooms: say which in its settings",
                retryable=False,
            )
        connection = connections[0]
        connection.require(context.node)
        if connection not in self._rooms:
            self._rooms[connection] = LiveKitRoom(connection, settings, context)
        return self._rooms[connection]


class LiveKitRoom:
    """One room. ``join`` and ``leave`` are counted by who asks; both are idempotent for one asker.

    ``ending`` is set once the room is over, whoever ended it. ``agent_track`` is the track that the egress publishes
    here, which is what an echo canceller has to know.
    """

    def __init__(self, connection: Connection, settings: LiveKitSettings, context: Context) -> None:
        self._connection, self._settings, self._context = connection, settings, context
        self._clock = context.clock
        self._members: list[RoomListener] = []
        self._sdk: rtc.Room | None = None
        self._connecting: asyncio.Task[rtc.Room] | None = None
        self._gate = asyncio.Lock()
        self._lost: asyncio.TimerHandle | None = None
        self._handlers: list[tuple[str, Callable[..., None]]] = []
        self._redact = connection.redactor()
        self.ending: Ending | None = None
        self.agent_track: Any = None
        self.connect_seconds = 0.0

    @property
    def sdk(self) -> rtc.Room:
        """The SDK's room; only while somebody has joined."""
        assert self._sdk is not None
        return self._sdk

    @property
    def place(self) -> str:
        return self._connection.place

    def says(self, error: BaseException | str) -> str:
        """Somebody else's text, in one line and without this connection's secrets."""
        return " ".join(self._redact(str(error)).split())

    def has_listeners_besides(self, one: RoomListener) -> bool:
        return any(member is not one for member in self._members)

    # -- joining and leaving -----------------------------------------------------------------------------------

    async def join(self, listener: RoomListener) -> None:
        """Be in the room, and be told from here on; of who is there already before this returns.

        ConnectorFailure when the server cannot be reached or refuses, or when no connection stands after twice
        ``connect_timeout``. Cancelled, it waits up to two seconds for what the SDK has begun, which cannot be called
        off, and undoes it; ``leave`` does what is left of that.
        """
        if listener in self._members:
            return
        async with self._gate:
            if self._sdk is None:
                self._sdk = await self._connected()
                self._watch(self._sdk)
        if self.ending is not None:
            raise self.ending.failure or ConnectorFailure(f"{self.place}: {self.ending.why}", retryable=False)
        self._members.append(listener)
        for participant in self._sdk.remote_participants.values():
            listener.joined(participant)
            for publication in participant.track_publications.values():
                if publication.track is not None:
                    listener.subscribed(publication.track, publication, participant.identity)

    async def leave(self, listener: RoomListener) -> None:
        """Be in the room no more; the last one to go closes the connection. Bounded; to be called even after a
        ``join`` that failed."""
        if listener in self._members:
            self._members.remove(listener)
        if self._members:
            return
        await self._release()

    async def _connected(self) -> rtc.Room:
        began = self._clock.now()
        loop = asyncio.get_running_loop()
        if self._connecting is None:
            self._connecting = loop.create_task(self._connect(), name="livekit connect")
        seconds = 2 * self._settings.connect_timeout  # one attempt, and the media's own way
        try:
            # The SDK itself waits 15 s for media that does not come, and as long again at each of three more tries.
            async with self._clock.timeout(seconds):
                room = await asyncio.shield(self._connecting)
        except TimeoutError:
            await self._release(_ABANDON_SECONDS)
            raise ConnectorFailure(
                f"{self._context.node} cannot join the LiveKit room at {self.place}: no connection stood after "
                f"{seconds:g} s; see that UDP, or TURN over TLS, gets to the server"
            ) from None
        except asyncio.CancelledError:
            await self._release(_ABANDON_SECONDS)
            raise
        except BaseException:
            self._connecting = None
            raise
        self._connecting = None
        self.connect_seconds = self._clock.now() - began
        return room

    async def _connect(self) -> rtc.Room:
        from livekit import rtc

        _quiet()
        room = rtc.Room()
        token = self._connection.access_token(self._context.session)
        self._redact = self._connection.redactor(token)
        try:
            await room.connect(self._connection.url, token, self._options())
        except rtc.ConnectError as error:
            raise refused(self.says(error.message), self._connection, self._context.node) from None
        return room

    def _options(self) -> rtc.RoomOptions:
        from livekit import rtc

        # With one peer connection for both directions the SDK makes it before the server has answered. When the server
        # refuses and the SDK tries again by itself, that one was the process's only one, and letting it go ends the
        # SDK's audio device for good (AdmProxy::Terminate, which nothing undoes): no frame of anybody would come.
        return rtc.RoomOptions(connect_timeout=self._settings.connect_timeout, single_peer_connection=False)

    async def _release(self, patience: float = _LEAVE_SECONDS) -> None:
        """Undo what was begun: wait for a connect that is under way, then disconnect."""
        connecting = self._connecting
        if connecting is not None:
            await asyncio.wait([connecting], timeout=patience)
            if not connecting.done():
                return  # leave() asks again; the SDK's own deadline ends it
            if self._connecting is connecting:  # and no other release has seen to it meanwhile
                self._connecting = None
                if not connecting.cancelled() and connecting.exception() is None:
                    self._sdk = connecting.result()
        room, self._sdk = self._sdk, None
        if self._lost is not None:
            self._lost.cancel()
        if room is None:
            return
        for event, handler in self._handlers:
            room.off(event, handler)  # type: ignore[arg-type]
        self._handlers.clear()
        try:
            async with self._clock.timeout(_LEAVE_SECONDS):
                await room.disconnect()
        except TimeoutError:
            self._context.log("livekit did not close the connection in time", seconds=_LEAVE_SECONDS)

    # -- what happens in it ------------------------------------------------------------------------------------

    def _watch(self, room: rtc.Room) -> None:
        def on(event: str, handler: Callable[..., None]) -> None:
            room.on(event, handler)  # type: ignore[arg-type]
            self._handlers.append((event, handler))

        on("participant_connected", lambda participant: self._tell("joined", participant))
        on("participant_disconnected", lambda participant: self._tell("left", participant))
        on("track_subscribed", lambda t, publication, p: self._tell("subscribed", t, publication, p.identity))
        on("track_unsubscribed", lambda track, publication, p: self._tell("unsubscribed", publication.sid))
        on("data_received", lambda packet: self._tell("packet", packet))
        on("sip_dtmf_received", lambda dtmf: self._tell("key", dtmf))
        on("reconnecting", self._reconnecting)
        on("reconnected", self._reconnected)
        on("disconnected", self._disconnected)

    def _tell(self, what: str, *about: Any) -> None:
        for member in tuple(self._members):
            getattr(member, what)(*about)

    def _reconnecting(self) -> None:
        seconds = self._settings.reconnect_timeout
        self._context.log("livekit connection lost, reconnecting", place=self.place)
        if self._lost is None:
            self._lost = self._clock.call_later(seconds, self._give_up, seconds)
        self._tell("reconnecting")

    def _reconnected(self) -> None:
        if self._lost is not None:
            self._lost.cancel()
            self._lost = None
        self._context.log("livekit connection is back", place=self.place)
        self._tell("reconnected")

    def _give_up(self, seconds: float) -> None:
        self._end(Ending("the connection was lost", ConnectorFailure(
            f"{self._context.node}: the connection to the LiveKit room at {self.place} was lost and did not come back "
            f"within {seconds:g} s: check the network and the server"
        )))  # fmt: skip

    def _disconnected(self, reason: int = 0) -> None:
        from livekit import rtc

        name = rtc.DisconnectReason.Name(reason) if reason in rtc.DisconnectReason.values() else "UNKNOWN_REASON"  # type: ignore[arg-type]
        if name in _REGULAR:
            self._end(Ending(_REGULAR[name]))
            return
        why = _FAILED.get(name, "the connection was lost and did not come back: check the network and the server")
        failure = ConnectorFailure(
            f"{self._context.node}: the LiveKit room at {self.place} is gone ({name}): {why}",
            # Coming back would throw out the other one, who would come back, and so on.
            retryable=name != "DUPLICATE_IDENTITY",
        )
        self._end(Ending(why, failure))

    def _end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            if self._lost is not None:
                self._lost.cancel()
            self._tell("ended", ending)


def _quiet() -> None:
    """Keep the SDK's log off the terminal of a program that has not asked for it: what matters of it is an event."""
    log = logging.getLogger("livekit")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
