"""What feeds a LiveKit audio source: the engine's frames in, blocks of ten milliseconds out, none after ``clear``."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from echostack.connectors.livekit.kept import KEPT
from echostack.connectors.livekit.ticks import TICK, Ticks
from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure

if TYPE_CHECKING:
    from livekit import rtc

_SLACK: Final = 2  # blocks of the lead that are written past the queue size, so that each write is confirmed by a tick
_MOST: Final = 1.0  # seconds that may wait to be given; the engine never writes more than the lead ahead
_LANDING: Final = 0.03  # seconds until a source that was just given something can be given something else
_AGAIN: Final = 0.002  # seconds after which what was on its way during a clear has reached the buffer


class Source:
    """One audio source of the SDK and the frames that wait for it.

    ``write`` and ``clear`` are synchronous. The source's own thread plays what it holds whatever the event loop does,
    up to ``lead`` seconds; a rest shorter than a block waits for what follows, and is filled up with silence when
    nothing does.
    """

    def __init__(self, rate: int, lead: float, clock: Clock) -> None:
        self._clock = clock
        self.rate, self.block = rate, rate // round(1 / TICK)
        blocks = max(2, round(lead / TICK) - _SLACK)
        self._queue_ms = blocks * 10
        self._ticks = Ticks(blocks)
        self._source: rtc.AudioSource | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._generation = 0
        self._giving: int | None = None  # the generation of what is on its way to the source
        self._closed = False
        self._held = False  # the SDK holds it from an earlier call
        self.error: BaseException | None = None

    def open(self) -> rtc.AudioSource:
        """Have a source of the SDK's, a new one or one that an earlier call could not be rid of."""
        self._source, self._held = KEPT.take(self.rate, self._queue_ms)
        return self._source

    async def tune(self) -> None:
        """Find out when the source's thread ticks: silence that is confirmed by a tick, then cleared."""
        assert self._source is not None
        for _ in range(3):
            blocks = self._queue_ms // 10 + 1
            await self._give(bytes(2 * self.block * blocks), [0] * blocks)
            self._clear_source()

    def write(self, pcm: bytes) -> None:
        """Take 16-bit mono at ``rate``. Never waits; ConnectorFailure when more than a second waits."""
        if self._waiting_bytes + len(pcm) > 2 * self.rate * _MOST:
            raise ConnectorFailure("LiveKit's audio source takes no more audio")
        self._waiting.append(pcm)
        self._waiting_bytes += len(pcm)
        self._wake.set()

    def clear(self) -> None:
        """Silence from the next block on: at most ten milliseconds, which the encoder has already, are still played."""
        self._generation += 1
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._source is None or self._closed:
            return
        self._clear_source()
        if self._giving is not None:
            # It may have been given a moment ago and not be in the buffer yet.
            self._clock.call_later(_AGAIN, self._clear_again)
        self._wake.set()

    def played(self) -> int:
        """Samples of what was written that the source has handed to its encoder."""
        return self._ticks.advance(self._clock.now())

    @property
    def idle(self) -> bool:
        """Whether all that was written has been played or cleared."""
        self._ticks.advance(self._clock.now())
        return not self._waiting and not self._ticks.held

    async def run(self) -> None:
        """Give the source what waits, until cancelled, or until the SDK fails: then ``error`` says how."""
        try:
            while True:
                self._wake.clear()
                pcm, blocks = self._take()
                if blocks:
                    await self._give(pcm, blocks)
                else:
                    await self._pause()
        except Exception as error:  # noqa: BLE001 - the SDK raises plain Exception; the next write tells of it
            self.error = error

    async def close(self, *, held: bool = False) -> None:
        """Release the SDK's source. Nothing is played after it. ``held``: the SDK still has its track, so it is kept
        for the next call."""
        self._closed = True
        source, self._source = self._source, None
        if source is None:
            return
        source.clear_queue()
        if not (held or self._held):
            await source.aclose()
            return
        try:
            await self._clock.sleep(_LANDING)  # what was on its way is in the buffer, and the SDK has confirmed it
        finally:
            await KEPT.put(self.rate, self._queue_ms, source)

    def _take(self) -> tuple[bytes, list[int]]:
        """Everything that waits, in whole blocks; a rest only when the source is about to run dry."""
        size = 2 * self.block
        whole = self._waiting_bytes // size
        most = self._queue_ms // 10  # what one call of the SDK takes without cutting it
        if whole:
            whole = min(whole, most)
            pcm = b"".join(self._waiting)
            rest = pcm[whole * size :]
            self._waiting = deque([rest] if rest else [])
            self._waiting_bytes = len(rest)
            return pcm[: whole * size], [self.block] * whole
        if self._waiting_bytes and self._ticks.held <= _SLACK:
            pcm = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            return pcm + bytes(size - len(pcm)), [len(pcm) // 2]
        return b"", []

    async def _give(self, pcm: bytes, blocks: list[int]) -> None:
        from livekit import rtc

        assert self._source is not None
        generation, began = self._generation, self._clock.now()
        self._ticks.given(blocks, began)
        self._giving = generation
        asyncio.get_running_loop().call_soon(self._landed, generation)  # runs once the SDK has been asked
        try:
            await self._source.capture_frame(rtc.AudioFrame(pcm, self.rate, 1, len(pcm) // 2))
        finally:
            self._giving = None
        now = self._clock.now()
        if generation == self._generation:
            self._ticks.confirmed(now, now - began)
        else:
            self._clear_source()

    def _landed(self, generation: int) -> None:
        if generation == self._generation:
            self._ticks.landed(self._clock.now())

    def _clear_again(self) -> None:
        if self._giving is not None and self._giving != self._generation and not self._closed:
            self._clear_source()

    def _clear_source(self) -> None:
        if self._source is not None:
            self._source.clear_queue()
            self._ticks.cleared(self._clock.now())

    async def _pause(self) -> None:
        """Wait for a write, or until a rest has to be given."""
        if not self._waiting_bytes:
            await self._wake.wait()
            return
        seconds = self._ticks.seconds_until(_SLACK, self._clock.now())
        timer = self._clock.call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
