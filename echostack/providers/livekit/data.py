"""Data between the participants of a room on the LiveKit server: packets of the channels, and what waits for them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from livekit.protocol import models

from echostack.providers.livekit.sdp import LARGEST_MESSAGE
from echostack.providers.livekit.transport import RELIABLE, Transport

if TYPE_CHECKING:
    from echostack.providers.livekit.participant import Participant

_EARLY: Final = 256  # messages to a participant whose data channels are not open yet
_SHOWN: Final = 1_000  # bytes of a payload that a sighting keeps


class Outbox:
    """The data that goes to one participant. Reliable messages wait until its channels stand; lossy ones are lost."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._early: deque[bytes] = deque(maxlen=_EARLY)
        self.copies = 1  # of each message: two under the fault `duplicate`
        self.dropped = 0

    def send(self, label: str, message: bytes) -> bool:
        """Send, or keep for later. False where it is lost."""
        if not self._transport.open(label):
            if label != RELIABLE or len(self._early) == _EARLY:
                self.dropped += 1
                return False
            self._early.append(message)
            return True
        self.opened()
        sent = True
        for _ in range(self.copies):
            sent = self._transport.send_message(label, message) and sent
        self.dropped += not sent
        return sent

    def opened(self) -> None:
        """The channels stand: what waited goes out."""
        while self._early:
            self._transport.send_message(RELIABLE, self._early.popleft())

    def close(self) -> None:
        self._early.clear()


class Inbox:
    """The data that comes from one participant."""

    def __init__(self, sender: Participant) -> None:
        self._sender = sender
        self.last_sequence = 0  # of the reliable packets: what is said again after a resume is not passed on again

    def take(self, label: str, message: bytes) -> None:
        """Pass a message on to those it is for, as from its sender whatever it says of that itself."""
        me = self._sender
        if not me.grants.can_publish_data or len(message) > LARGEST_MESSAGE:
            me.note("data refused", bytes=len(message))
            return
        try:
            packet = models.DataPacket.FromString(message)
        except ValueError:
            me.note("malformed", bytes=len(message))
            return
        reliable = label == RELIABLE
        if reliable and packet.sequence:
            if packet.sequence <= self.last_sequence:
                return
            self.last_sequence = packet.sequence
        packet.participant_sid, packet.participant_identity = me.info.sid, me.info.identity
        user = packet.user if packet.HasField("user") else models.UserPacket()
        if packet.HasField("user"):
            if not packet.destination_identities:
                packet.destination_identities.extend(user.destination_identities)
            user.participant_sid, user.participant_identity = me.info.sid, me.info.identity
        reached = me.room.data(packet, label, me)
        me.note(
            "data",
            kind=packet.WhichOneof("value") or "",
            topic=user.topic,
            payload=bytes(user.payload[:_SHOWN]),
            bytes=len(message),
            reliable=reliable,
            reached=reached,
        )
