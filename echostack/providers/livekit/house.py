"""The rooms of one LiveKit server: making and ending them, sending people out, keeping places for the interrupted."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiortc.rtcdtlstransport import RTCCertificate
from livekit.protocol import models, rtc

from echostack.core.clock import Clock
from echostack.providers.livekit import signal as signalling
from echostack.providers.livekit.hearing import Recording
from echostack.providers.livekit.ice import MediaSocket
from echostack.providers.livekit.participant import Participant
from echostack.providers.livekit.room import ROOMS, Room
from echostack.providers.livekit.tokens import Grants, Refused
from echostack.providers.seen import Seen

RESUME: Final = 20.0
"""Seconds that a participant whose signalling broke may come back in."""


class House:
    """All rooms, by name. resume: seconds that a participant whose signalling broke may come back in."""

    def __init__(self, clock: Clock, seen: Seen, *, resume: float) -> None:
        self.clock = clock
        self.ports = MediaSocket(clock.now)
        self.certificate = RTCCertificate.generateCertificate()
        self.rooms: dict[str, Room] = {}
        self.signals: dict[str, signalling.Signal] = {}  # by participant sid
        self._seen = seen
        self._resume = resume
        self._timers: dict[str, asyncio.TimerHandle] = {}  # of rooms and participants, by sid
        self._ending: list[asyncio.Task[None]] = []
        self._recordings: dict[tuple[str, str], list[Recording]] = {}

    def note(self, exchange: int, what: str, **data: Any) -> None:
        self._seen.note(exchange, what, **data)

    async def close(self) -> None:
        """Tell every participant that the server shuts down, and end everything."""
        for name in list(self.rooms):
            await self.end_room(name, models.DisconnectReason.SERVER_SHUTDOWN)
        while self._ending:
            await asyncio.wait(self._ending)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._recordings.clear()

    def listen(self, room: str, identity: str) -> Recording:
        """Record what a participant says from now on, whether or not it is in the room yet."""
        recording = Recording()
        self._recordings.setdefault((room, identity), []).append(recording)
        there = self.participant(room, identity)
        if there is not None:
            there.listen(recording)
        return recording

    def participant(self, room: str, identity: str) -> Participant | None:
        found = self.rooms.get(room)
        return found.participants.get(identity) if found is not None else None

    def room(self, name: str) -> Room:
        """The room of that name, made if it is not there. Refused past the number of rooms."""
        room = self.rooms.get(name)
        if room is None:
            if len(self.rooms) >= ROOMS:
                raise Refused(429, f"this server has {ROOMS} rooms, which is all that it carries")
            room = self.rooms[name] = Room(name, self.clock)
            self.note(0, "room created", room=name)
            self.expire(room, room.info.empty_timeout)
        return room

    async def end_room(self, name: str, reason: int) -> bool:
        """Send everyone out of a room and delete it. False where there is none."""
        room = self.rooms.pop(name, None)
        if room is None:
            return False
        room.closing = True
        self._forget(room.info.sid)
        for participant in list(room.participants.values()):
            await self.remove(participant, reason)
        self.note(0, "room deleted", room=name)
        return True

    async def join(self, grants: Grants, join: signalling.Join, exchange: int) -> Participant:
        """A new participant, who stands in the room and has been told nothing yet. Refused where the room is full.

        One of the same identity that is there already must go.
        """
        room = self.room(grants.room)
        there = room.participants.get(grants.identity)
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
        for recording in self._recordings.get((room.name, grants.identity), []):
            participant.listen(recording)
        return participant

    def resume(self, grants: Grants, join: signalling.Join, exchange: int) -> Participant | None:
        """The participant that comes back; None where it is not here (any longer)."""
        there = self.participant(grants.room, grants.identity)
        if there is None or there.info.sid != join.participant:
            return None
        self._forget(there.info.sid)
        old = self.signals.pop(there.info.sid, None)
        if old is not None:
            old.cut()
        there.exchange = exchange
        return there

    def linger(self, participant: Participant) -> None:
        """Keep the place of one whose signalling broke, for as long as it may come back.

        One that closed its media connection as well has hung up: its leave was lost with its signalling connection.
        """
        participant.speak = None
        sid = participant.info.sid
        self.signals.pop(sid, None)

        reason = (
            models.DisconnectReason.CLIENT_INITIATED if participant.hung_up else models.DisconnectReason.SIGNAL_CLOSE
        )

        def over() -> None:
            task = asyncio.get_running_loop().create_task(self.end(participant, reason))
            self._ending.append(task)
            task.add_done_callback(self._ending.remove)

        self._forget(sid)
        self._timers[sid] = self.clock.call_later(0.0 if participant.hung_up else self._resume, over)

    async def remove(self, participant: Participant, reason: int) -> None:
        """Send one participant out: it is told the reason."""
        participant.send(signalling.leave(reason, rtc.LeaveRequest.DISCONNECT))
        await self.end(participant, reason)

    async def end(self, participant: Participant, reason: int) -> None:
        """End everything of a participant that has left, or must. Idempotent."""
        if participant.closed:
            return
        room = participant.room
        self._forget(participant.info.sid)
        signal = self.signals.pop(participant.info.sid, None)
        if signal is not None:
            signal.finish()
        await participant.close(reason)
        participant.note("left", reason=models.DisconnectReason.Name(reason))
        if not room.participants and not room.closing:
            self.expire(room, room.info.departure_timeout)

    def expire(self, room: Room, seconds: float) -> None:
        """Delete a room unless someone is in it by then."""

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
