"""Guests of the local LiveKit server for its tests: the real SDK, with what it tells kept in order."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from livekit import api, rtc

from echostack.providers.livekit.server import SECRET, LiveKitServer
from echostack.providers.server import KEY

RATE = 48_000
URL = "LIVEKIT_URL"


def token(identity: str, room: str = "room", **grants: Any) -> str:
    secret, key = grants.pop("secret", SECRET), grants.pop("key", KEY)
    ttl = grants.pop("ttl", datetime.timedelta(hours=1))
    access = api.AccessToken(key, secret).with_identity(identity).with_ttl(ttl)
    return access.with_grants(api.VideoGrants(**{"room_join": True, "room": room, **grants})).to_jwt()


def tone(seconds: float, hertz: float = 440.0) -> np.ndarray[Any, np.dtype[np.int16]]:
    return (8_000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.int16)


class Guest:
    """One SDK client: `told` lists what its room told it, as (what, whom)."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.told: list[tuple[str, str]] = []
        self.data: list[rtc.DataPacket] = []
        self.tracks: dict[str, rtc.Track] = {}
        self.source: rtc.AudioSource | None = None
        self.news = asyncio.Event()
        on = self.room.on
        on("participant_connected", lambda p: self._tell("came", p.identity))
        on("participant_disconnected", lambda p: self._tell("went", p.identity))
        on("track_published", lambda t, p: self._tell("published", p.identity))
        on("track_unpublished", lambda t, p: self._tell("unpublished", p.identity))
        on("track_subscribed", self._subscribed)
        on("track_unsubscribed", lambda t, p, who: self._tell("unsubscribed", who.identity))
        on("track_muted", lambda p, t: self._tell("muted", p.identity))
        on("track_unmuted", lambda p, t: self._tell("unmuted", p.identity))
        on("active_speakers_changed", lambda s: self._tell("speaking", ",".join(p.identity for p in s)))
        on("participant_attributes_changed", lambda c, p: self._tell("attributes", p.identity))
        on("room_metadata_changed", lambda old, new: self._tell("metadata", new))
        on("data_received", self._received)
        on("reconnecting", lambda: self._tell("reconnecting", ""))
        on("reconnected", lambda: self._tell("reconnected", ""))
        on("disconnected", lambda reason: self._tell("disconnected", rtc.DisconnectReason.Name(reason)))

    def _tell(self, what: str, whom: str) -> None:
        self.told.append((what, whom))
        self.news.set()

    def _subscribed(self, track: rtc.Track, publication: Any, participant: Any) -> None:
        self.tracks[participant.identity] = track
        self._tell("subscribed", participant.identity)

    def _received(self, packet: rtc.DataPacket) -> None:
        self.data.append(packet)
        self.news.set()

    async def until(self, done: Callable[[], object], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                self.news.clear()
                await self.news.wait()

    async def until_told(self, what: str, whom: str, seconds: float = 5.0) -> None:
        await self.until(lambda: (what, whom) in self.told, seconds)

    async def join(self, server: LiveKitServer, identity: str, room: str = "room", **options: Any) -> None:
        chosen = rtc.RoomOptions(
            single_peer_connection=options.pop("single", True), auto_subscribe=options.pop("auto_subscribe", True)
        )
        await self.room.connect(server.environment[URL], token(identity, room, **options), chosen)

    async def publish(self, **options: Any) -> rtc.LocalTrackPublication:
        self.source = rtc.AudioSource(RATE, 1, queue_size_ms=1_000)
        track = rtc.LocalAudioTrack.create_audio_track("voice", self.source)
        return await self.room.local_participant.publish_track(track, rtc.TrackPublishOptions(**options))

    async def say(self, pcm: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        assert self.source is not None
        for at in range(0, len(pcm), RATE // 100):
            piece = pcm[at : at + RATE // 100]
            await self.source.capture_frame(rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece)))
        await self.source.wait_for_playout()

    async def hear(self, identity: str, seconds: float) -> float:
        """The loudest sample that comes from someone within ``seconds``."""
        stream = rtc.AudioStream.from_track(track=self.tracks[identity], sample_rate=RATE, num_channels=1)
        loudest = 0.0
        try:
            heard = 0
            async for event in stream:
                pcm = np.frombuffer(event.frame.data, np.int16).astype(np.int32)
                loudest = max(loudest, float(np.abs(pcm).max()))
                heard += len(pcm)
                if heard >= seconds * RATE:
                    break
        finally:
            await stream.aclose()
        return loudest

    async def leave(self) -> None:
        await self.room.disconnect()
        if self.source is not None:
            await self.source.aclose()


@asynccontextmanager
async def guests(server: LiveKitServer, *identities: str, **options: Any) -> AsyncIterator[list[Guest]]:
    """Guests of those identities, who have joined; they leave at the end."""
    there = [Guest() for _ in identities]
    try:
        for guest, identity in zip(there, identities, strict=True):
            await guest.join(server, identity, **options)
        yield there
    finally:
        for guest in there:
            await guest.leave()
