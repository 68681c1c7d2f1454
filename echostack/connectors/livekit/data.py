"""Data messages of a LiveKit room, both ways: packets as ``Data`` events, and ``Data`` events as packets."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from echostack.connectors.livekit.room import LiveKitRoom
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import Data
from echostack.registry import Context

if TYPE_CHECKING:
    from livekit import rtc

JOINED: Final = "participant_joined"
LEFT: Final = "participant_left"
RECONNECTING: Final = "reconnecting"
RECONNECTED: Final = "reconnected"
OWN_NAMES: Final = frozenset((JOINED, LEFT, RECONNECTING, RECONNECTED))
"""What the transport itself says; a participant's message under such a topic would be a forgery."""

LARGEST: Final = 15_000
"""Bytes of a reliable packet that every client takes (LiveKit: 15 KiB with its envelope)."""
_WAITING: Final = 64
_SEND_SECONDS: Final = 5.0


def received(topic: str, body: bytes) -> Data:
    """A packet as an event: ``name`` is the topic, ``data`` the JSON object in it.

    Other JSON is under ``value``, other text under ``text``; of bytes that are no text there is only their number,
    under ``bytes``.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Data(topic, {"bytes": len(body)})
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Data(topic, {"text": text})
    return Data(topic, value if isinstance(value, dict) else {"value": value})


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def participant(name: str, who: rtc.RemoteParticipant) -> Data:
    """That somebody came or went, and what is known of them."""
    from livekit import rtc
    from livekit.rtc import DisconnectReason

    kind = rtc.ParticipantKind.Name(who.kind) if who.kind in rtc.ParticipantKind.values() else ""
    data: dict[str, Any] = {
        "identity": who.identity,
        "name": who.name,
        "kind": kind.removeprefix("PARTICIPANT_KIND_").lower(),
        "metadata": who.metadata,
        "attributes": dict(sorted(who.attributes.items())),
    }
    if name == LEFT and who.disconnect_reason is not None:
        data["reason"] = DisconnectReason.Name(who.disconnect_reason).lower()
    return Data(name, data)


class Outbox:
    """Sends ``Data`` as reliable packets, in order, one at a time, each within five seconds.

    At most 64 wait; past that the newest is refused, and what is refused or fails is counted in ``lost`` and logged.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.sent = 0
        self.lost = 0

    def put(self, message: Data) -> None:
        """Have ``message`` sent. Never waits; ConnectorFailure for one that no packet can hold."""
        try:
            body = json.dumps(message.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise ConnectorFailure(
                f"{self._context.node}: the data message {message.name!r} is no JSON: {error}", retryable=False
            ) from None
        if len(body) > LARGEST:
            raise ConnectorFailure(
                f"{self._context.node}: the data message {message.name!r} has {len(body)} bytes, and a LiveKit packet "
                f"holds {LARGEST}",
                retryable=False,
            )
        if len(self._waiting) >= _WAITING:
            self._lose(message.name, f"{_WAITING} messages are waiting")
            return
        self._waiting.append((message.name, body))
        self._idle.clear()
        self._wake.set()

    async def run(self, room: LiveKitRoom) -> None:
        """Send until cancelled."""
        while True:
            while self._waiting:
                await self._send(room, *self._waiting.popleft())
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()

    async def sent_all(self, seconds: float) -> None:
        """Wait until nothing waits any more, ``seconds`` at most; what is left then is lost, and counted."""
        try:
            async with self._context.clock.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            while self._waiting:
                self._lose(self._waiting.popleft()[0], "the call has ended")

    async def _send(self, room: LiveKitRoom, topic: str, body: bytes) -> None:
        if room.ending is not None:
            self._lose(topic, room.ending.why)
            return
        try:
            async with self._context.clock.timeout(_SEND_SECONDS):
                await room.sdk.local_participant.publish_data(body, reliable=True, topic=topic)
        except TimeoutError:
            self._lose(topic, f"it was not sent within {_SEND_SECONDS:g} s")
        except Exception as error:  # noqa: BLE001 - of the SDK's errors some are plain Exception
            self._lose(topic, room.says(getattr(error, "message", error)))
        else:
            self.sent += 1

    def _lose(self, topic: str, why: str) -> None:
        self.lost += 1
        self._context.log("livekit data message lost", topic=topic, why=why)
