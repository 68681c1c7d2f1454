"""``ingress.mic``: the caller speaks into this machine's microphone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from echostack.connectors.portaudio import EXTRA, Device
from echostack.core.audio import AudioFormat
from echostack.core.payloads import AudioFrame
from echostack.registry import ConnectorSettings, Context, Latency, connector


class MicIngressSettings(ConnectorSettings):
    """Which microphone, and how it is read."""

    device: str | int | None = None
    """Its name, a part of it, or its number; the system's default without."""
    rate: int = Field(16_000, ge=8_000, le=192_000)
    """Samples a second, in Hz."""
    frame_ms: int = Field(20, ge=5, le=200)
    """The length of a frame, in milliseconds."""
    buffer_ms: int = Field(1_000, ge=100, le=10_000)
    """Audio that may wait for the call, in milliseconds; beyond it the oldest goes."""


@connector(
    "ingress.mic",
    output_format=lambda settings: AudioFormat(settings.rate),
    latency=Latency(p50=30, p95=60),
    packages=("sounddevice",),
    extra=EXTRA,
)
class MicIngress:
    """The caller speaks into this machine's microphone.

    One channel. PortAudio's thread hands each frame to the session's loop; when the call does not keep up, the
    oldest frames go, counted in ``dropped`` and told in the log at the end. A machine without a microphone, or
    without PortAudio, raises one ConnectorFailure that says so. Cancelling it closes the device.

    There is no echo cancellation here: with a loudspeaker in the same room, use a headset.

    Simulated: by the scenario's caller.
    """

    NAME = "ingress.mic"

    def __init__(self, settings: MicIngressSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._frames: deque[bytes] = deque()
        self._bound = max(1, settings.buffer_ms // settings.frame_ms)
        self._wake = asyncio.Event()
        self.dropped = 0
        self.overflows = 0  # the device itself lost input

    async def run(self) -> AsyncIterator[AudioFrame]:
        s, loop = self._settings, asyncio.get_running_loop()

        def arrived(data: Any, count: int, time: Any, status: Any) -> None:
            # PortAudio's thread: copy, hand over, and nothing else. After the loop has closed nobody listens.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._take, bytes(data), bool(status))

        size = s.rate * s.frame_ms // 1000
        device = Device(self.NAME, "input", s.device, samplerate=s.rate, blocksize=size, callback=arrived)
        try:
            await self._context.compute.run(device.open)
            while True:
                while self._frames:
                    yield AudioFrame(self._frames.popleft(), s.rate)
                self._wake.clear()
                await self._wake.wait()
        finally:
            device.close()
            if self.dropped or self.overflows:
                self._context.log("microphone lost audio", dropped_frames=self.dropped, device_overflows=self.overflows)

    def _take(self, pcm: bytes, overflow: bool) -> None:
        self.overflows += overflow
        if len(self._frames) >= self._bound:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(pcm)
        self._wake.set()
