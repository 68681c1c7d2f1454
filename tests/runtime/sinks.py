"""An in-memory far end that plays in (virtual) real time and keeps account of every sample it played."""

from __future__ import annotations

from echostack.core.audio import AudioFormat
from echostack.core.clock import Clock
from echostack.registry.sink import AudioSink


class MemorySink(AudioSink):
    """Plays what it is given, without a pause, at ``speed``; what it has played is ``heard``.

    It reckons for itself, not through the engine's own arithmetic. reports: answer ``played()``. most_ahead: the most
    samples it ever held unplayed. writes: (time, samples) of every write; clears: the times of every clear.
    """

    def __init__(
        self,
        clock: Clock,
        format: AudioFormat = AudioFormat(16_000),
        *,
        lead: float = 0.1,
        reports: bool = False,
        speed: float = 1.0,
        stride: float = 0.02,
    ) -> None:
        self.lead, self.stride = lead, stride
        self._clock, self._format = clock, format
        self._reports, self._speed = reports, speed
        self._buffer = bytearray()
        self._heard = bytearray()
        self._since = 0.0
        self._taken = 0
        self.most_ahead = 0
        self.writes: list[tuple[float, int]] = []
        self.clears: list[float] = []
        self.fail_write: Exception | None = None
        self.fail_clear: Exception | None = None

    @property
    def format(self) -> AudioFormat:
        return self._format

    @property
    def heard(self) -> bytes:
        """Everything played up to now."""
        self._play()
        return bytes(self._heard)

    @property
    def heard_samples(self) -> int:
        return self._format.samples(self.heard)

    def write(self, pcm: bytes) -> None:
        if self.fail_write is not None:
            raise self.fail_write
        self._play()
        if not self._buffer:
            self._since, self._taken = self._clock.now(), 0
        self._buffer += pcm
        self.most_ahead = max(self.most_ahead, self._format.samples(bytes(self._buffer)))
        self.writes.append((self._clock.now(), self._format.samples(pcm)))

    def clear(self) -> None:
        if self.fail_clear is not None:
            raise self.fail_clear
        self._play()
        self._buffer.clear()
        self.clears.append(self._clock.now())

    def played(self) -> int | None:
        return self.heard_samples if self._reports else None

    def _play(self) -> None:
        due = round((self._clock.now() - self._since) * self._format.rate * self._speed, 3)
        size = (int(due) - self._taken) * self._format.bytes_per_sample
        if self._buffer and size > 0:
            size = min(size, len(self._buffer))
            self._heard += self._buffer[:size]
            del self._buffer[:size]
            self._taken += size // self._format.bytes_per_sample
