"""livekit: connecting, one-way audio both ways, a clear until its last audible sample, and data there and back.

Both ends of the transport and a caller on the same SDK are in one room of the local server, all in one process: real
ICE, DTLS, SRTP and Opus, and no network. What a real server and its network take comes on top. ``--rounds N`` (20).
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

import numpy as np
from livekit import api, rtc
from pydantic import SecretStr

from echostack.connectors.livekit.egress import LiveKitEgress, LiveKitEgressSettings
from echostack.connectors.livekit.ingress import LiveKitIngress, LiveKitIngressSettings
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.payloads import AudioFrame, Data
from echostack.providers.livekit.server import SECRET, LiveKitServer
from echostack.providers.server import KEY
from echostack.runtime.stats import percentile

RATE, CALLER_RATE, AUDIBLE = 24_000, 48_000, 1_000


class Context:
    """As much of a session as the ends use."""

    node, session = "livekit", "bench"

    def __init__(self) -> None:
        self.clock, self.compute, self.random = LoopClock(), InlineCompute(), random.Random(1)
        self.shared: dict[str, Any] = {}

    def share(self, key: str, make: Any) -> Any:
        return self.shared.setdefault(key, make() if key not in self.shared else None)

    def log(self, message: str, **fields: Any) -> None: ...

    def emit(self, payload: Any, **how: Any) -> None: ...


class Bench:
    """One room with both ends and a caller in it."""

    def __init__(self, server: LiveKitServer) -> None:
        self.server, self.context, self.clock = server, Context(), LoopClock()
        where: dict[str, Any] = {
            "url": server.environment["LIVEKIT_URL"], "api_key": SecretStr(KEY), "api_secret": SecretStr(SECRET),
            "room": server.room,
        }  # fmt: skip
        context: Any = self.context
        self.ingress = LiveKitIngress(LiveKitIngressSettings(**where), context)
        self.egress = LiveKitEgress(LiveKitEgressSettings(**where), context)
        self.caller = rtc.Room()
        self.source = rtc.AudioSource(CALLER_RATE, 1, queue_size_ms=1_000)
        self.heard_in: asyncio.Future[float] | None = None
        self.heard_out: asyncio.Future[float] | None = None
        self.data: asyncio.Future[float] | None = None
        self.tasks: list[asyncio.Task[None]] = []

    async def open(self) -> float:
        """Seconds until both ends were in the room and the agent's track was published."""
        began = self.clock.now()
        await self.ingress.open()
        await self.egress.open()
        took = self.clock.now() - began
        loop = asyncio.get_running_loop()
        self.tasks.append(loop.create_task(self.take_in()))
        self.caller.on("track_subscribed", lambda t, *_: self.tasks.append(loop.create_task(self.take_out(t))))
        self.caller.on("data_received", lambda packet: loop.create_task(self.echo(packet)))
        grants = api.VideoGrants(room_join=True, room=self.server.room)
        token = api.AccessToken(KEY, SECRET).with_identity("caller").with_grants(grants).to_jwt()
        await self.caller.connect(self.server.environment["LIVEKIT_URL"], token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.caller.local_participant.publish_track(track, options)
        await asyncio.sleep(1.0)
        return took

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)
        await asyncio.gather(self.ingress.close(), self.egress.close(), self.caller.disconnect())

    async def echo(self, packet: rtc.DataPacket) -> None:
        await self.caller.local_participant.publish_data(packet.data, topic="back")

    async def take_in(self) -> None:
        async for payload in self.ingress.run():
            if isinstance(payload, AudioFrame) and _audible(payload.pcm):
                self.settle(self.heard_in)
            elif isinstance(payload, Data) and payload.name == "back":
                self.settle(self.data)

    async def take_out(self, track: Any) -> None:
        stream = rtc.AudioStream.from_track(track=track, frame_size_ms=10)
        try:
            async for event in stream:
                if _audible(bytes(event.frame.data.cast("B"))):
                    self.settle(self.heard_out)
        finally:
            await stream.aclose()

    def settle(self, future: asyncio.Future[float] | None) -> None:
        if future is not None and not future.done():
            future.set_result(self.clock.now())

    async def one_way_in(self) -> float:
        """From the caller's microphone to the frame that a recogniser gets."""
        self.heard_in, began = asyncio.get_running_loop().create_future(), self.clock.now()
        await self.source.capture_frame(rtc.AudioFrame(_tone(0.2, CALLER_RATE), CALLER_RATE, 1, CALLER_RATE // 5))
        return await self.heard_in - began

    async def one_way_out(self) -> float:
        """From the engine's write to the caller's loudspeaker."""
        self.heard_out, began = asyncio.get_running_loop().create_future(), self.clock.now()
        self.egress.write(_tone(0.08, RATE))
        return await self.heard_out - began

    async def clear(self) -> float:
        """From the clear to the last audible sample that the server got, the encoder's look-ahead included."""
        recording = self.server.listen(self.server.room, "agent-bench")
        tone = _tone(0.5, RATE)
        for at in range(0, len(tone), 960):
            self.egress.write(tone[at : at + 960])
            await asyncio.sleep(0.02 if at >= 5 * 960 else 0)
        now = self.server.clock.now()
        self.egress.clear()
        await asyncio.sleep(0.3)
        return (recording.last_audible() or now) - now

    async def there_and_back(self) -> float:
        """A data packet to the caller, who sends it back."""
        self.data, began = asyncio.get_running_loop().create_future(), self.clock.now()
        self.egress.take(Data("there", {"n": 1}))
        return await self.data - began


def _tone(seconds: float, rate: int) -> bytes:
    wave = 9_000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return bytes(wave.astype("<i2").tobytes())


def _audible(pcm: bytes) -> bool:
    return bool(np.abs(np.frombuffer(pcm, "<i2")).max(initial=0) >= AUDIBLE)


async def measure(rounds: int) -> None:
    figures: dict[str, list[float]] = {}
    for _ in range(max(1, rounds // 4)):
        server = LiveKitServer()
        async with server:
            bench = Bench(server)
            try:
                figures.setdefault("both ends connected and published", []).append(await bench.open())
                for _ in range(4):
                    for name, once in (
                        ("caller's microphone to the graph", bench.one_way_in),
                        ("graph to the caller's loudspeaker", bench.one_way_out),
                        ("clear to the last audible sample at the server", bench.clear),
                        ("data there and back", bench.there_and_back),
                    ):
                        figures.setdefault(name, []).append(await once())
                        await asyncio.sleep(0.4)
            finally:
                await bench.close()
    for name, seconds in figures.items():
        ms = [1_000 * s for s in seconds]
        p50, p95 = percentile(tuple(ms), 0.5), percentile(tuple(ms), 0.95)
        print(f"  {name:<48} {p50:>7.1f} ms p50  {p95:>7.1f} p95  {max(ms):>7.1f} most")


def main(arguments: list[str]) -> None:
    rounds = int(arguments[arguments.index("--rounds") + 1]) if "--rounds" in arguments else 20
    asyncio.run(measure(4 if "--quick" in arguments else rounds))


if __name__ == "__main__":
    main(sys.argv[1:])
