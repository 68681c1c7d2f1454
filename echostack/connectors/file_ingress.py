"""``ingress.file``: the caller is a WAV file, heard at the pace of real time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import Field

from echostack.connectors.pcm import to_pcm
from echostack.connectors.resample import Resampler
from echostack.connectors.wav import WavReader
from echostack.core.audio import AudioFormat
from echostack.core.payloads import AudioFrame
from echostack.registry import ConnectorSettings, Context, Latency, connector

_AHEAD_SECONDS = 1.0  # of the file are read at a time: memory does not grow with the file


class FileIngressSettings(ConnectorSettings):
    """Which file, and how it is delivered."""

    path: str = Field(min_length=1)
    """The WAV file: PCM of 8, 16, 24 or 32 bits or floats, any rate, any channels. A relative path is one from
    the folder that the program was started in."""
    rate: int = Field(16_000, ge=8_000, le=192_000)
    """Samples a second that it delivers, in Hz."""
    frame_ms: int = Field(20, ge=5, le=200)
    """The length of a frame, in milliseconds."""
    tail_ms: int = Field(1_500, ge=0, le=60_000)
    """Silence after the end of the file, in milliseconds, so that the last turn can end."""


@connector(
    "ingress.file",
    output_format=lambda settings: AudioFormat(settings.rate),
    latency=Latency(p50=20, p95=20),
)
class FileIngress:
    """The caller is a WAV file, heard at the pace of real time.

    A frame leaves when a microphone would have given it: at the end of the time that it covers, counted from the
    beginning of ``run``. Late frames are caught up on, never dropped and never drifting. Channels are mixed into
    one, the rate is converted; the last frame of the file is filled up with the silence of the tail, or is shorter
    when there is none. A file that cannot be read raises ConnectorFailure, with the path, the reason and the remedy.
    Cancelling it closes the file.

    Simulated: by the scenario's caller.
    """

    def __init__(self, settings: FileIngressSettings, context: Context) -> None:
        self._settings, self._context = settings, context

    async def run(self) -> AsyncIterator[AudioFrame]:
        s, clock = self._settings, self._context.clock
        begun, sent = clock.now(), 0
        size = s.rate * s.frame_ms // 1000 * 2
        rest = bytearray()
        async for pcm, last in self._pieces():
            rest += pcm
            while len(rest) >= size or (last and rest):
                frame = bytes(rest[:size])
                del rest[:size]
                sent += len(frame) // 2
                await clock.sleep(max(0.0, begun + sent / s.rate - clock.now()))
                yield AudioFrame(frame, s.rate)

    async def _pieces(self) -> AsyncIterator[tuple[bytes, bool]]:
        """The file and its tail as PCM at the delivered rate, with True on the last piece."""
        s, compute = self._settings, self._context.compute
        reader = WavReader(Path(s.path))
        try:
            await compute.run(reader.open)
            resampler = Resampler(reader.rate, s.rate)
            block = max(1, round(reader.rate * _AHEAD_SECONDS))
            while True:
                samples = await compute.run(reader.read, block)
                over = len(samples) < block
                yield to_pcm(await compute.run(resampler.feed, samples, last=over)), False
                if over:
                    break
        finally:
            reader.close()
        silence = s.rate * s.tail_ms // 1000
        while silence > s.rate:
            yield bytes(2 * s.rate), False
            silence -= s.rate
        yield bytes(2 * silence), True
