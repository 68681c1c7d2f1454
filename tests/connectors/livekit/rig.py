"""Both sides of a LiveKit call for tests: the real SDK as the caller, our two ends, and the server of this machine."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import numpy as np
from livekit import api, rtc
from livekit.rtc._ffi_client import FfiClient, _live_handles
from pydantic import SecretStr

from echostack.connectors.livekit.egress import LiveKitEgress, LiveKitEgressSettings
from echostack.connectors.livekit.ingress import LiveKitIngress, LiveKitIngressSettings
from echostack.connectors.livekit.kept import KEPT
from echostack.core.clock import LoopClock
from echostack.core.payloads import AudioFrame
from echostack.providers.livekit.server import SECRET, LiveKitServer
from echostack.providers.server import KEY
from tests.connectors.harness import FakeContext

RATE = 48_000
ROOM = "echostack"


def token(identity: str, room: str = ROOM, *, agent: bool = False) -> str:
    made = api.AccessToken(KEY, SECRET).with_identity(identity)
    if agent:
        made = made.with_kind("agent")
    return made.with_grants(api.VideoGrants(room_join=True, room=room)).to_jwt()


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE, level: float = 0.3) -> bytes:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return bytes((wave * 32_767).astype("<i2").tobytes())


class Caller:
    """A participant who speaks, hears and sends data through the SDK."""

    def __init__(self, server: LiveKitServer, identity: str = "ann", room: str = ROOM) -> None:
        self._server, self.identity, self._room_name = server, identity, room
        self.room = rtc.Room()
        self.source: Any = None
        self.heard: list[tuple[float, Any]] = []
        self.packets: list[rtc.DataPacket] = []
        self._publication: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._clock = LoopClock()
        self.room.on("data_received", self.packets.append)
        self.room.on("track_subscribed", self._subscribed)

    async def join(self, *, agent: bool = False) -> Caller:
        await self.room.connect(
            self._server.environment["LIVEKIT_URL"], token(self.identity, self._room_name, agent=agent)
        )
        return self

    async def publish(self, name: str = "microphone") -> None:
        self.source = rtc.AudioSource(RATE, 1, queue_size_ms=1000)
        track = rtc.LocalAudioTrack.create_audio_track(name, self.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self._publication = await self.room.local_participant.publish_track(track, options)

    async def unpublish(self) -> None:
        await self.room.local_participant.unpublish_track(self._publication.sid)

    async def say(self, pcm: bytes) -> None:
        await self.source.capture_frame(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

    async def send(self, data: bytes, topic: str = "") -> None:
        await self.room.local_participant.publish_data(data, reliable=True, topic=topic)

    async def hear(self, level: int = 1_000, *, seconds: float = 5.0) -> float:
        """Wait until something audible has come; when, on the loop's clock."""
        async with asyncio.timeout(seconds):
            while True:
                for at, pcm in self.heard:
                    if np.abs(pcm).max(initial=0) >= level:
                        return at
                await asyncio.sleep(0.005)

    async def leave(self) -> None:
        await self.room.disconnect()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        if self.source is not None:
            await self.source.aclose()

    def _subscribed(self, track: Any, publication: Any, participant: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: Any) -> None:
        stream = rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                pcm = np.frombuffer(bytes(event.frame.data.cast("B")), "<i2")
                self.heard.append((asyncio.get_running_loop().time(), pcm))
        finally:
            await stream.aclose()


class Ends:
    """Our two ends in one session, as the engine would hold them."""

    def __init__(self, server: LiveKitServer, *, ingress: dict[str, Any] | None, egress: dict[str, Any] | None) -> None:
        self.context = FakeContext(LoopClock())
        where = {
            "url": server.environment["LIVEKIT_URL"], "api_key": SecretStr(KEY), "api_secret": SecretStr(SECRET),
            "room": ROOM,
        }  # fmt: skip
        self.ingress = self.egress = None
        if ingress is not None:
            self.ingress = LiveKitIngress(LiveKitIngressSettings(**{"rejoin": 0.3, **where, **ingress}), self.context)
        if egress is not None:
            self.egress = LiveKitEgress(LiveKitEgressSettings(**{**where, **egress}), self.context)
        self.got: list[Any] = []
        self.at: list[float] = []
        self.run: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def open(self) -> None:
        for end in (self.ingress, self.egress):
            if end is not None:
                await end.open()
        if self.ingress is not None:
            self.run = asyncio.create_task(self._collect())

    async def close(self) -> None:
        if self.run is not None and not self.run.done():
            self.run.cancel()
            await asyncio.wait([self.run])
        await asyncio.gather(*(end.close() for end in (self.ingress, self.egress) if end is not None))

    async def until(self, holds: Any, seconds: float = 5.0) -> None:
        """Wait until ``holds()`` is true, looked at whenever something has come from the ingress."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._news.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self._news.wait()
                except TimeoutError:
                    pass

    def of(self, kind: type[Any]) -> list[Any]:
        return [p for p in self.got if isinstance(p, kind)]

    @property
    def pcm(self) -> Any:
        return np.frombuffer(b"".join(f.pcm for f in self.of(AudioFrame)), "<i2")

    async def _collect(self) -> None:
        assert self.ingress is not None
        async for payload in self.ingress.run():
            self.got.append(payload)
            self.at.append(asyncio.get_running_loop().time())
            self._news.set()


@asynccontextmanager
async def call(
    *, caller: bool = True, ingress: dict[str, Any] | None = None, egress: dict[str, Any] | None = None, **server: Any
) -> AsyncIterator[tuple[LiveKitServer, Ends, Caller]]:
    """A server, our two ends in its room, and a caller there who has published his microphone."""
    async with AsyncExitStack() as stack:
        local = LiveKitServer(**server)
        await stack.enter_async_context(local)
        ends = Ends(local, ingress={} if ingress is None else ingress, egress={} if egress is None else egress)
        stack.push_async_callback(ends.close)
        someone = Caller(local)
        stack.push_async_callback(someone.leave)
        await ends.open()
        if caller:
            await someone.join()
            await someone.publish()
            await ends.until(lambda: ends.of(AudioFrame))
        yield local, ends, someone


def remains() -> tuple[int, int, int]:
    """Handles of the SDK that are not released, queues that its events go to, and tasks besides the one that asks.

    Without the sources that are kept for the next call."""
    gc.collect()
    return (
        len([h for h in list(_live_handles) if not h.disposed]) - len(KEPT),
        len(FfiClient.instance.queue._subscribers),
        len(asyncio.all_tasks()) - 1,
    )


logging.getLogger("livekit").setLevel(logging.CRITICAL)  # what goes wrong in these tests does so on purpose
