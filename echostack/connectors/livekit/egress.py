"""``egress.livekit``: the agent speaks in a LiveKit room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from echostack.connectors.livekit.data import Outbox
from echostack.connectors.livekit.probe import probe
from echostack.connectors.livekit.room import Ending, LiveKitRoom, RoomListener, Rooms
from echostack.connectors.livekit.settings import EXTRA, PACKAGES, Connection, LiveKitSettings
from echostack.connectors.livekit.source import Source
from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioChunk, AudioChunkStream, Data
from echostack.registry import AudioSink, Context, Latency, connector

if TYPE_CHECKING:
    from livekit import rtc

_PUBLISH_SECONDS: Final = 10.0
_ON_ITS_WAY: Final = 0.06  # seconds: a packet of 20 ms with its look-ahead, and as much again for a busy machine
_LAST_WORDS: Final = 1.0  # seconds that the last messages have, and what is played, when the call ends
_STOP_SECONDS: Final = 1.0
_POLL: Final = 0.01


class LiveKitEgressSettings(LiveKitSettings):
    """Which room, and how the agent's voice gets there."""

    rate: int = Field(24_000, ge=8_000, le=48_000, multiple_of=100)
    """Samples a second that it takes, in Hz; the SDK converts to the 48 kHz of the room."""
    track_name: str = Field("agent", min_length=1, max_length=256)
    """The name of the track that the agent's voice is published as."""
    lead_ms: int = Field(100, ge=40, le=500, multiple_of=10)
    """How much audio the SDK holds, in milliseconds: so long may the program be busy without a gap in what is heard.
    An interruption clears it; it costs no time."""


@connector(
    "egress.livekit",
    input_format=lambda settings: AudioFormat(settings.rate),
    output_format=lambda settings: AudioFormat(settings.rate),
    latency=Latency(p50=60, p95=150),
    network=True,
    packages=PACKAGES,
    extra=EXTRA,
)
class LiveKitEgress(RoomListener, AudioSink):
    """The agent speaks in a LiveKit room, as one published track; ``Data`` goes out as data packets.

    The SDK's own thread plays up to ``lead_ms`` ahead of the program. ``clear`` empties it at once: of what was written
    at most the ten milliseconds that the encoder has are still sent, in a packet of twenty. ``played`` is what the
    encoder was given, reckoned to blocks of ten milliseconds; the network and the far end's jitter buffer come after
    it. A ``Data`` event is sent reliably to everybody in the room, its name as the topic and its data as JSON, in
    order; one that is not sent within five seconds is lost, counted and logged. A room that is gone raises
    ConnectorFailure from the next write, unless ingress.livekit is in it too, which then ends the call. Cancelling
    ``open`` leaves the room.

    Simulated: by a far end that knows to the sample what was heard.
    """

    consumes = (AudioChunkStream, AudioChunk, Data)

    def __init__(self, settings: LiveKitEgressSettings, context: Context) -> None:
        self._settings, self._context, self._clock = settings, context, context.clock
        self._format = AudioFormat(settings.rate)
        self.lead = settings.lead_ms / 1000
        self._rooms = Rooms.of(context)
        self._rooms.enter(settings)
        self._room: LiveKitRoom | None = None
        self._source = Source(settings.rate, self.lead, context.clock)
        self._outbox = Outbox(context)
        self._tasks: list[asyncio.Task[None]] = []
        self._publication: rtc.LocalTrackPublication | None = None
        self._track: Any = None
        self._ending: Ending | None = None
        self.unheard = 0  # samples written after the room was closed

    @staticmethod
    async def probe(settings: LiveKitEgressSettings) -> None:
        """Raises when the room cannot be joined as it is set up. Nothing is asked where the other end may name it."""
        if settings.written or not Connection.of(settings).missing:
            await probe("egress.livekit", settings)

    @property
    def format(self) -> AudioFormat:
        return self._format

    async def open(self) -> None:
        room = self._room = self._rooms.room(self._settings, self._context)
        try:
            await room.join(self)
            await self._publish(room)
        except BaseException:
            await self.close()
            raise

    def write(self, pcm: bytes) -> None:
        if self._ending is not None:
            self._gone(self._ending, len(pcm) // 2)
        elif self._source.error is not None:
            raise ConnectorFailure(f"{self._context.node}: LiveKit takes no audio: {self._source.error}")
        else:
            self._source.write(pcm)

    def clear(self) -> None:
        self._source.clear()

    def played(self) -> int:
        return self._source.played()

    def take(self, payload: Payload) -> None:
        """Have a ``Data`` event sent; never waits."""
        if isinstance(payload, Data):
            self._outbox.put(payload)

    async def close(self) -> None:
        room = self._room
        if room is not None and self._tasks and self._ending is None:
            await self._outbox.sent_all(_LAST_WORDS)
            await self._silent(self.lead + _LAST_WORDS)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)
        held = await self._unpublish()
        await self._source.close(held=held)
        if room is not None:
            if room.agent_track is self._track:
                room.agent_track = None
            self._track = None
            await room.leave(self)
        if self.unheard or self._outbox.lost:
            self._context.log("livekit egress lost something", unheard_samples=self.unheard, messages=self._outbox.lost)
            self.unheard = self._outbox.lost = 0

    def ended(self, ending: Ending) -> None:
        self._ending = ending
        self._source.clear()

    # -- inside ------------------------------------------------------------------------------------------------

    async def _publish(self, room: LiveKitRoom) -> None:
        from livekit import rtc
        from livekit.rtc.participant import PublishTrackError

        self._track = rtc.LocalAudioTrack.create_audio_track(self._settings.track_name, self._source.open())
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publishing = asyncio.get_running_loop().create_task(
            room.sdk.local_participant.publish_track(self._track, options), name=f"{self._context.node} publish"
        )
        try:
            self._publication = await self._published(room, publishing)
        except PublishTrackError as error:
            raise ConnectorFailure(
                f"{self._context.node}: {room.place} does not take the agent's track: {room.says(error.message)}; the "
                "token needs the grant canPublish"
            ) from None
        await self._source.tune()
        room.agent_track = self._track
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._source.run(), name=f"{self._context.node} voice"),
            loop.create_task(self._outbox.run(room), name=f"{self._context.node} data"),
        ]

    async def _published(
        self, room: LiveKitRoom, publishing: asyncio.Task[rtc.LocalTrackPublication]
    ) -> rtc.LocalTrackPublication:
        """Wait for what the SDK has begun. It cannot be called off, so a cancelled wait goes on for a moment."""
        try:
            await asyncio.wait([publishing], timeout=_PUBLISH_SECONDS)
        except asyncio.CancelledError:
            await asyncio.wait([publishing], timeout=_STOP_SECONDS)
            if publishing.done() and not publishing.cancelled() and publishing.exception() is None:
                self._publication = publishing.result()
            publishing.cancel()
            raise
        if not publishing.done():
            publishing.cancel()
            await asyncio.wait([publishing])
            raise ConnectorFailure(
                f"{self._context.node}: {room.place} did not take the agent's track within {_PUBLISH_SECONDS:g} s"
            )
        return publishing.result()

    def _gone(self, ending: Ending, samples: int) -> None:
        self.unheard += samples
        if ending.failure is not None:
            raise ending.failure
        if self._room is None or not self._room.has_listeners_besides(self):
            raise ConnectorFailure(f"{self._context.node}: nobody hears the agent: {ending.why}", retryable=False)

    async def _silent(self, seconds: float) -> None:
        """Wait until what was written has been played or cleared, so long at most, and has left for the room."""
        until = self._clock.now() + seconds
        while not self._source.idle and self._clock.now() < until and self._ending is None:
            await self._clock.sleep(_POLL)
        if self._ending is None:
            await self._clock.sleep(_ON_ITS_WAY)  # a track that is taken back sends nothing of what it still holds

    async def _unpublish(self) -> bool:
        """Take the track back. Whether it is still out, because the room ended first."""
        publication, self._publication = self._publication, None
        if publication is None or self._room is None:
            return False
        if self._room.ending is not None:
            return True
        from livekit.rtc.participant import UnpublishTrackError

        try:
            async with self._clock.timeout(_STOP_SECONDS):
                await self._room.sdk.local_participant.unpublish_track(publication.sid)
        except (TimeoutError, UnpublishTrackError) as error:
            self._context.log("livekit track was not taken back", why=self._room.says(error) or "no answer in time")
            return True
        return False
