"""A caller for tests and for `echostack providers call`: joins a LiveKit room with the real SDK, speaks and listens.

It is a participant like any other: its voice goes out as a microphone track of 48 kHz mono, what the agent says is
recorded as the SDK plays it, jitter buffer included. Times are seconds on the clock it was given.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import SecretStr

from echostack.connectors.alongside import Alongside
from echostack.connectors.unreachable import why_unreachable
from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure, MissingExtra
from echostack.providers.caller_audio import RATE, Ear, Pcm, at_rate, audible, mixed, read_wav, write_wav

if TYPE_CHECKING:
    from livekit import rtc

LONGEST: Final = 1_800
"""Seconds that it records; what comes later is heard and not kept."""

_FRAME: Final = RATE // 100
_AHEAD: Final = 300  # milliseconds of its own voice that the SDK holds
_STREAM: Final = 200  # frames of the agent's that may wait to be looked at
_ABANDON_SECONDS: Final = 2.0  # for a connection that is given up to stand, and to be closed
_MESSAGES: Final = 10_000  # data messages that are kept
_ENDED: Final = {
    "CLIENT_INITIATED": "the caller left",
    "DUPLICATE_IDENTITY": "another participant joined under the caller's identity",
    "SERVER_SHUTDOWN": "the server is shutting down",
    "PARTICIPANT_REMOVED": "the caller was removed from the room",
    "ROOM_DELETED": "the room was deleted",
    "ROOM_CLOSED": "the room was closed",
    "JOIN_FAILURE": "the media connection could not be made",
    "SIGNAL_CLOSE": "the connection to the server was lost and did not come back",
    "CONNECTION_TIMEOUT": "the connection to the server was lost and did not come back",
    "MEDIA_FAILURE": "the media connection was lost",
    "UNKNOWN_REASON": "the connection to the server was lost and did not come back",
}
"""Why the SDK says that it ended (participant_pb2.DisconnectReason), in words."""


@dataclass(frozen=True, slots=True)
class Message:
    """A data message that came: when, from whom, on which topic."""

    time: float
    identity: str
    topic: str
    payload: bytes
    reliable: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a caller does by a script, once its condition holds. Exactly one condition is given.

    at: seconds since it joined; heard: seconds of the agent's voice since the line before; quiet: seconds of the
    agent's silence after it was heard at least once since the line before.
    """

    pcm: Pcm | None = None  # None: hang up
    rate: int = RATE
    at: float | None = None
    heard: float | None = None
    quiet: float | None = None


class Caller:
    """One caller. `join` before use and `leave` after; both may be waited for with a deadline, and cancelled.

    token_or_key: an access token, or an API key with its secret, of which it makes a token for ``room``.
    """

    def __init__(
        self,
        url: str,
        token_or_key: SecretStr | str | tuple[str, SecretStr | str],
        room: str,
        identity: str,
        clock: Clock,
    ) -> None:
        self._url = url
        self._credentials = token_or_key
        self.room = room
        self.identity = identity
        self._clock = clock
        self._room: rtc.Room | None = None
        self._source: rtc.AudioSource | None = None
        self._ears: dict[str, Ear] = {}
        self._listening: asyncio.TaskGroup | None = None
        self._life: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._kept = 0
        self.joined = 0.0
        self.ended = asyncio.Event()  # the room is left, by whichever side
        self.reason = ""  # why, as the SDK names it
        self.messages: list[Message] = []
        self.failure: BaseException | None = None  # what broke while it listened

    async def join(self) -> None:
        """Enter the room and publish its voice. ConnectorFailure that says why where that does not work."""
        try:
            from livekit import rtc
        except ImportError as error:
            raise MissingExtra("the caller", "livekit", "livekit") from error
        if self._life is not None:
            raise ConnectorFailure(f"{self.identity} has joined already", retryable=False)
        log = logging.getLogger("livekit")
        if not log.handlers:
            log.addHandler(logging.NullHandler())  # what matters of it is raised
        room = rtc.Room()
        room.on("track_subscribed", self._subscribed)
        room.on("track_unsubscribed", self._unsubscribed)
        room.on("data_received", self._received)
        room.on("disconnected", self._disconnected)
        ready = asyncio.get_running_loop().create_future()
        self._life = asyncio.get_running_loop().create_task(self._listen(ready))
        try:
            await ready
            await self._enter(room)
            self._source = rtc.AudioSource(RATE, 1, queue_size_ms=_AHEAD)
            track = rtc.LocalAudioTrack.create_audio_track("caller", self._source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await room.local_participant.publish_track(track, options)
        except rtc.ConnectError as error:
            await self.leave()
            why = why_unreachable(error.message)
            raise ConnectorFailure(f"cannot join {self.room!r} at {self._url}: {why}") from None
        except BaseException:
            await self.leave()
            raise
        self.joined = self._clock.now()

    async def say(self, pcm: Pcm | bytes, rate: int) -> float:
        """Speak: mono samples of ``rate`` Hz. Returns, when the last one is out, when the first one went.

        Cancelled, it falls silent at once.
        """
        source = self._there(self._source)
        from livekit import rtc

        voice = at_rate(np.frombuffer(pcm, np.int16) if isinstance(pcm, bytes) else pcm, rate)
        started = self._clock.now()
        try:
            for at in range(0, len(voice), _FRAME):
                piece = voice[at : at + _FRAME]
                if len(piece) < _FRAME:
                    piece = np.concatenate([piece, np.zeros(_FRAME - len(piece), np.int16)])
                await source.capture_frame(rtc.AudioFrame(piece.tobytes(), RATE, 1, _FRAME))
            await source.wait_for_playout()
        except asyncio.CancelledError:
            source.clear_queue()
            raise
        return started

    async def play(self, path: Path) -> float:
        """Speak what is in a WAV file; its channels are mixed into one."""
        return await self.say(*read_wav(path))

    async def until_heard(self, seconds: float, *, deadline: float = 30.0) -> float:
        """Wait until that much audible sound of the agent has come since now; when that was. TimeoutError past it."""
        before = self._audible()
        await self._until(lambda: self._audible() - before >= seconds, deadline)
        return self._clock.now()

    async def until_met(self, *, deadline: float = 30.0) -> None:
        """Wait until somebody's voice can be heard, whether or not it speaks. TimeoutError past the deadline."""
        await self._until(lambda: bool(self._ears), deadline)

    async def until_quiet(self, seconds: float, *, deadline: float = 30.0) -> float:
        """Wait until the agent has been silent for ``seconds``; when its last audible sample came."""
        begun = self._clock.now()

        def since() -> float:
            return max([begun, *(e.last for e in self._ears.values() if e.last is not None)])

        await self._until(lambda: self._clock.now() - since() >= seconds, deadline)
        return since()

    def heard(self) -> tuple[Pcm, int]:
        """What it heard since it joined, every voice mixed, with the rate in Hz."""
        return mixed(self._ears.values()), RATE

    def spoken(self, gap: float = 0.2) -> list[tuple[float, float]]:
        """When it heard anything: from and until, on the clock; pauses under ``gap`` seconds do not part."""
        return [(self.joined + start, self.joined + end) for start, end in audible(self.heard()[0], gap)]

    def save(self, path: Path) -> None:
        """Write what it heard to a WAV file."""
        write_wav(path, self.heard()[0])

    async def send(self, payload: bytes, topic: str = "", *, reliable: bool = True, to: Iterable[str] = ()) -> None:
        """Send a data message, to everyone or to the identities in ``to``."""
        room = self._there(self._room)
        await room.local_participant.publish_data(
            payload, reliable=reliable, topic=topic, destination_identities=list(to)
        )

    async def until_message(self, count: int = 1, *, deadline: float = 10.0) -> Message:
        """Wait until ``count`` data messages have come in all; the last of them."""
        await self._until(lambda: len(self.messages) >= count, deadline)
        return self.messages[count - 1]

    async def follow(self, script: Iterable[Line], *, deadline: float = 60.0) -> None:
        """Do what a script says, line by line; ends with the script, or when the room has ended."""
        for line in script:
            if line.at is not None:
                await self._either(self._clock.sleep(line.at - (self._clock.now() - self.joined)))
            elif line.heard is not None:
                await self._either(self.until_heard(line.heard, deadline=deadline))
            elif line.quiet is not None:
                await self._either(self._answer(line.quiet, deadline))
            if self.ended.is_set():
                return
            if line.pcm is None:
                await self.leave()
                return
            await self._either(self.say(line.pcm, line.rate))

    async def leave(self) -> None:
        """Hang up and release everything. Idempotent; what was heard stays."""
        room, self._room = self._room, None
        source, self._source = self._source, None
        if room is not None:
            await room.disconnect()
        self.ended.set()
        self._news.set()
        life, self._life = self._life, None
        if life is not None and life is not asyncio.current_task():
            await asyncio.wait([life])
            self.failure = self.failure or (None if life.cancelled() else life.exception())
        for ear in self._ears.values():
            await ear.close()
        if source is not None:
            await source.aclose()

    async def __aenter__(self) -> Caller:
        await self.join()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.leave()

    # -- inside

    def _there(self, what: Any) -> Any:
        if what is None:
            raise ConnectorFailure(f"{self.identity} is not in a room", retryable=False)
        return what

    def _token(self) -> str:
        if not isinstance(self._credentials, tuple):
            return _bare(self._credentials)
        try:
            from livekit import api
        except ImportError as error:
            raise MissingExtra("the caller", "livekit-api", "livekit") from error
        key, secret = self._credentials
        grants = api.VideoGrants(room_join=True, room=self.room)
        token = api.AccessToken(key, _bare(secret)).with_identity(self.identity).with_name(self.identity)
        return token.with_grants(grants).to_jwt()

    async def _enter(self, room: rtc.Room) -> None:
        """Connect. The SDK cannot call off what it has begun: cancelled, this waits for it a moment, so that ``leave``
        finds a connection that it can close."""
        connecting = asyncio.get_running_loop().create_task(room.connect(self._url, self._token()))
        try:
            await asyncio.shield(connecting)
        finally:
            if not connecting.done():
                await asyncio.wait([connecting], timeout=_ABANDON_SECONDS)
            if connecting.done() and not connecting.cancelled() and connecting.exception() is None:
                self._room = room
            connecting.cancel()

    async def _listen(self, ready: asyncio.Future[None]) -> None:
        """Own the tasks that listen, one a track, until the room has ended."""
        try:
            async with asyncio.TaskGroup() as group:
                self._listening = group
                ready.set_result(None)
                await self.ended.wait()
                self._listening = None
                for ear in self._ears.values():
                    ear.stop()
        finally:
            # Also where listening broke: whoever waits for what the agent says must not wait on.
            self._listening = None
            self.ended.set()
            self._news.set()

    def _subscribed(self, track: Any, publication: Any, participant: Any) -> None:
        from livekit import rtc

        if self._listening is None or track.kind != rtc.TrackKind.KIND_AUDIO:
            return
        stream = rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1, capacity=_STREAM)
        ear = self._ears[f"{track.sid}/{len(self._ears)}"] = Ear(stream, self._keep)
        ear.task = self._listening.create_task(ear.listen())

    def _unsubscribed(self, track: Any, publication: Any, participant: Any) -> None:
        for key, ear in self._ears.items():
            if key.startswith(f"{track.sid}/"):
                ear.stop()

    def _received(self, packet: Any) -> None:
        from livekit import rtc

        if len(self.messages) < _MESSAGES:
            identity = packet.participant.identity if packet.participant is not None else ""
            reliable = packet.kind == rtc.DataPacketKind.KIND_RELIABLE
            self.messages.append(Message(self._clock.now(), identity, packet.topic or "", bytes(packet.data), reliable))
        self._news.set()

    def _disconnected(self, reason: Any) -> None:
        from livekit import rtc

        self.reason = rtc.DisconnectReason.Name(reason)
        self.ended.set()
        self._news.set()

    def _keep(self, ear: Ear, pcm: Pcm) -> None:
        """One frame that an ear heard, now."""
        now = self._clock.now()
        kept = self._kept < LONGEST * RATE
        self._kept += len(pcm) if kept else 0
        ear.keep(pcm, now, now - (self.joined or now), kept=kept)
        self._news.set()

    def _audible(self) -> float:
        return sum(e.audible for e in self._ears.values()) / RATE

    async def _until(self, done: Callable[[], bool], deadline: float) -> None:
        async with self._clock.timeout(deadline):
            while not done():
                if self.ended.is_set():
                    why = _ENDED.get(self.reason, self.reason) or "it was left"
                    raise ConnectorFailure(f"the call has ended: {why}", retryable=False)
                self._news.clear()
                # Silence is no news: look again after a frame's time at the latest.
                waking = self._clock.call_later(0.01, self._news.set)
                try:
                    await self._news.wait()
                finally:
                    waking.cancel()

    async def _answer(self, quiet: float, deadline: float) -> None:
        await self.until_heard(0.02, deadline=deadline)
        await self.until_quiet(quiet, deadline=deadline)

    async def _either(self, doing: Awaitable[object]) -> None:
        """Do it until it is done or the room has ended."""

        async def do() -> None:
            await doing

        async with Alongside(do()) as task:
            over = asyncio.get_running_loop().create_task(self.ended.wait())
            try:
                await asyncio.wait([task, over], return_when=asyncio.FIRST_COMPLETED)
            finally:
                over.cancel()
                await asyncio.wait([over])


def _bare(secret: SecretStr | str) -> str:
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret
