"""``egress.speaker``: the caller hears this machine's loudspeaker."""

from __future__ import annotations

import threading
from typing import Any

from pydantic import Field

from echostack.connectors.portaudio import EXTRA, Device
from echostack.core.audio import AudioFormat
from echostack.registry import AudioSink, ConnectorSettings, Context, Latency, connector


class SpeakerEgressSettings(ConnectorSettings):
    """Which loudspeaker, and how it is fed."""

    device: str | int | None = None
    """Its name, a part of it, or its number; the system's default without."""
    rate: int = Field(24_000, ge=8_000, le=192_000)
    """Samples a second, in Hz."""
    block_ms: int = Field(20, ge=5, le=200)
    """How much the device asks for at a time, in milliseconds."""
    buffer_ms: int = Field(1_000, ge=200, le=10_000)
    """Audio that may wait for the device, in milliseconds; beyond it the oldest goes."""


@connector(
    "egress.speaker",
    input_format=lambda settings: AudioFormat(settings.rate),
    latency=Latency(p50=40, p95=80),
    packages=("sounddevice",),
    extra=EXTRA,
)
class SpeakerEgress(AudioSink):
    """The caller hears this machine's loudspeaker.

    The device asks for audio in a thread of its own and gets silence where there is none. ``clear`` takes effect at
    the next block that it asks for. ``played`` counts what was handed to the device. What waits is bounded; when
    the device does not keep up, the oldest goes, counted in ``dropped`` samples and told in the log at the end.
    A machine without a loudspeaker, or without PortAudio, raises one ConnectorFailure from ``open``.

    Simulated: by a far end that knows to the sample what was heard.
    """

    NAME = "egress.speaker"
    lead = 0.1

    def __init__(self, settings: SpeakerEgressSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._format = AudioFormat(settings.rate)
        self._bound = 2 * (settings.rate * settings.buffer_ms // 1000)
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._played = 0
        self._device = Device(
            self.NAME, "output", settings.device, samplerate=settings.rate,
            blocksize=settings.rate * settings.block_ms // 1000, callback=self._give,
        )  # fmt: skip
        self.dropped = 0

    @property
    def format(self) -> AudioFormat:
        return self._format

    async def open(self) -> None:
        await self._context.compute.run(self._device.open)

    def write(self, pcm: bytes) -> None:
        with self._lock:
            self._waiting += pcm
            over = len(self._waiting) - self._bound
            if over > 0:
                del self._waiting[:over]
                self.dropped += over // 2

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def played(self) -> int:
        return self._played

    async def close(self) -> None:
        self._device.close()
        if self.dropped:
            self._context.log("loudspeaker dropped audio", samples=self.dropped)

    def _give(self, out: Any, count: int, time: Any, status: Any) -> None:
        # The device's thread. The lock is held for the copy of one block, and never across anything that waits.
        with self._lock:
            block = bytes(self._waiting[: 2 * count])
            del self._waiting[: 2 * count]
            self._played += len(block) // 2
        out[:] = block + bytes(2 * count - len(block))
