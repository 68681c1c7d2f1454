"""Rooms of the LiveKit server: who is in one, what each is told of the others, data between them, and how one ends."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from livekit.protocol import models, rtc

from echostack.core.clock import Clock
from echostack.providers.livekit.tokens import Refused

if TYPE_CHECKING:
    from echostack.providers.livekit.media import Publication
    from echostack.providers.livekit.participant import Participant

ROOMS: Final = 1_000
"""Rooms at once."""

PARTICIPANTS: Final = 500
"""Participants of one room."""

_EMPTY: Final = 300  # seconds that a room waits for its first participant
_DEPARTURE: Final = 20  # seconds that a room waits after its last one


def sid(prefix: str) -> str:
    """A new identifier: ``RM_``, ``PA_`` or ``TR_`` and twelve characters."""
    return f"{prefix}_{secrets.token_hex(6)}"


class Room:
    """One room. It tells every participant of every change, in the order of the changes."""

    def __init__(self, name: str, clock: Clock) -> None:
        now = clock.wall()
        self.info = models.Room(
            sid=sid("RM"),
            name=name,
            empty_timeout=_EMPTY,
            departure_timeout=_DEPARTURE,
            creation_time=int(now),
            creation_time_ms=int(now * 1000),
            enabled_codecs=CODECS,
        )
        self.participants: dict[str, Participant] = {}  # by identity, in the order of joining
        self.closing = False

    @property
    def name(self) -> str:
        return self.info.name

    def others(self, one: Participant) -> Iterator[Participant]:
        """Everyone in the room but ``one``."""
        return (p for p in list(self.participants.values()) if p is not one)

    def by_sid(self, wanted: str) -> Participant | None:
        return next((p for p in self.participants.values() if p.info.sid == wanted), None)

    def publication(self, track: str) -> tuple[Participant, Publication] | None:
        """The publication of that sid, and whose it is."""
        for participant in self.participants.values():
            publication = participant.publications.get(track)
            if publication is not None:
                return participant, publication
        return None

    def enter(self, participant: Participant) -> None:
        """Let one in. Refused when the room is full."""
        most = self.info.max_participants or PARTICIPANTS
        if participant.info.identity not in self.participants and len(self.participants) >= most:
            raise Refused(429, "room has exceeded its max participants")
        self.participants[participant.info.identity] = participant
        self.count()

    def leave(self, participant: Participant) -> None:
        """Take one out and tell the others."""
        if self.participants.get(participant.info.identity) is participant:
            del self.participants[participant.info.identity]
            self.count()
        self.tell(participant)

    def tell(self, changed: Participant, *, itself: bool = False) -> None:
        """Tell everyone what has changed about one participant."""
        changed.info.version += 1
        if changed.grants.hidden:
            receivers = [changed] if itself else []
        else:
            receivers = [p for p in self.participants.values() if p is not changed or itself]
        if receivers:
            update = rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=[changed.public()]))
            for one in receivers:
                one.send(update)

    def tell_speakers(self, participant: Participant, level: float, active: bool) -> None:
        """Tell everyone that one begins or ends to speak."""
        speaker = models.SpeakerInfo(sid=participant.info.sid, level=level, active=active)
        changed = rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=[speaker]))
        for one in self.participants.values():
            one.send(changed)

    def data(self, packet: models.DataPacket, label: str, sender: Participant | None) -> int:
        """Send a packet to those it is for: to the identities that it names, else to all but the sender. How many."""
        named = frozenset(packet.destination_identities)
        message = packet.SerializeToString()
        reached = 0
        for one in self.participants.values():
            if one is not sender and (not named or one.info.identity in named):
                reached += one.outbox.send(label, message)
        return reached

    def update(self) -> None:
        """Tell everyone of the room's own state."""
        self.info.version.unix_micro += 1
        changed = rtc.SignalResponse(room_update=rtc.RoomUpdate(room=self.info))
        for one in self.participants.values():
            one.send(changed)

    def count(self) -> None:
        """Count those who are here, and those who publish."""
        self.info.num_participants = len(self.participants)
        self.info.num_publishers = sum(p.info.is_publisher for p in self.participants.values())


CODECS: Final = (models.Codec(mime="audio/opus"), models.Codec(mime="video/VP8"))
"""What may be published."""
