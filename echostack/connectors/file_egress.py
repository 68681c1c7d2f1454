"""``egress.file``: what the caller hears is written to a WAV file, at the times at which it is heard."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import Field

from echostack.connectors.alongside import Alongside
from echostack.connectors.wav_writer import WavWriter
from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure, EchoStackError
from echostack.registry import AudioSink, ConnectorSettings, Context, Latency, connector

_FLUSH_SECONDS = 0.5  # of played audio are written together: what a killed process loses at most
_MOST_WAITING = 120  # flushes, a minute, that may wait for a slow disk


class FileEgressSettings(ConnectorSettings):
    """Which file, and in which format."""

    path: str = Field(min_length=1)
    """The WAV file; one of that name is overwritten, missing folders are made. A relative path is one from the
    folder that the program was started in."""
    rate: int = Field(24_000, ge=8_000, le=192_000)
    """Samples a second, in Hz."""


@connector(
    "egress.file",
    input_format=lambda settings: AudioFormat(settings.rate),
    latency=Latency(p50=0, p95=0),
)
class FileEgress(AudioSink):
    """What the caller hears is written to a WAV file, at the times at which it is heard.

    The file begins at the session's time 0 and is silent where nothing was said, so that it lies beside a recording
    of the caller without shifting. It plays as a loudspeaker would: audio written while it is silent begins at
    that instant, more follows without a gap, and ``clear`` removes what would not have been played yet.
    ``played`` is exact. Writing to the disk happens beside the call, twice a second, with a true header each time:
    a killed process leaves a readable file. A disk that is full, or a folder that may not be written, raises
    ConnectorFailure from ``open``, from the next ``write``, or from ``close``.

    Simulated: by a far end that knows to the sample what was heard.
    """

    lead = 0.1

    def __init__(self, settings: FileEgressSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._format = AudioFormat(settings.rate)
        self._writer: WavWriter | None = None
        self._flushing: Alongside | None = None
        self._begin = 0  # the sample of the timeline at which `_audio` begins
        self._audio = bytearray()  # written, without a gap, and not yet in the file
        self._full: list[tuple[int, bytes]] = []  # settled audio on its way to the file
        self._written = 0  # samples written and not cleared
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._failure: EchoStackError | None = None

    @property
    def format(self) -> AudioFormat:
        return self._format

    async def open(self) -> None:
        self._writer = WavWriter(Path(self._settings.path), self._settings.rate)
        await self._context.compute.run(self._writer.open)
        self._flushing = Alongside(self._flush())
        await self._flushing.__aenter__()

    def write(self, pcm: bytes) -> None:
        if self._failure is not None:
            raise self._failure
        now = self._now()
        if self._end < now:
            self._settle(self._end)
            self._begin = now
        self._audio += pcm
        self._written += len(pcm) // 2
        if self._timer is None:
            self._timer = self._context.clock.call_later(_FLUSH_SECONDS, self._tick)

    def clear(self) -> None:
        kept = max(0, min(self._end, self._now()) - self._begin)
        self._written -= len(self._audio) // 2 - kept
        del self._audio[2 * kept :]

    def played(self) -> int:
        return self._written - max(0, min(self._end - self._now(), len(self._audio) // 2))

    async def close(self) -> None:
        """Write what is left, the silence up to now included, and close the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        flushing, self._flushing = self._flushing, None
        try:
            if flushing is not None:
                await flushing.__aexit__(None, None, None)
            if self._writer is not None:
                await self._finish(self._writer)
        finally:
            # Also when the closing itself is cancelled: nobody comes a second time.
            writer, self._writer = self._writer, None
            self._full.clear()
            if writer is not None:
                writer.close()  # waits for a write that a cancelled flush left in its thread

    async def _finish(self, writer: WavWriter) -> None:
        self._settle(self._end)
        if self._failure is not None:
            raise self._failure
        for at, pcm in self._full:
            await self._context.compute.run(writer.put, at, pcm)
        await self._context.compute.run(writer.put, self._now(), b"")

    @property
    def _end(self) -> int:
        return self._begin + len(self._audio) // 2

    def _now(self) -> int:
        return round(self._context.clock.now() * self._settings.rate)

    def _settle(self, until: int) -> None:
        """Hand over what can no longer be cleared: everything before ``until``."""
        size = 2 * max(0, min(until - self._begin, len(self._audio) // 2))
        if size:
            self._full.append((self._begin, bytes(self._audio[:size])))
            del self._audio[:size]
            self._begin += size // 2
            self._wake.set()

    def _tick(self) -> None:
        self._settle(self._now())
        more = bool(self._audio)
        self._timer = self._context.clock.call_later(_FLUSH_SECONDS, self._tick) if more else None
        if len(self._full) > _MOST_WAITING and self._failure is None:
            path = self._settings.path
            self._failure = ConnectorFailure(f"{path}: the disk does not keep up with the call", retryable=False)

    async def _flush(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._full:
                writer = self._writer
                assert writer is not None
                at, pcm = self._full[0]
                try:
                    await self._context.compute.run(writer.put, at, pcm)
                except EchoStackError as error:
                    self._failure = error
                    return
                self._full.pop(0)
