"""Audio formats and the arithmetic between bytes, samples and time. PCM is always signed 16-bit little-endian."""

from __future__ import annotations

from dataclasses import dataclass

BYTES_PER_SAMPLE = 2
MIN_RATE, MAX_RATE = 4_000, 384_000


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Interleaved int16 PCM at ``rate`` Hz with ``channels`` channels.

    A "sample" everywhere in EchoStack is one instant over all channels (a sample frame), so durations are
    ``samples / rate`` whatever the number of channels.
    """

    rate: int
    channels: int = 1

    def __str__(self) -> str:
        return f"{self.rate / 1000:g} kHz {'mono' if self.channels == 1 else f'{self.channels} channels'}"

    @property
    def bytes_per_sample(self) -> int:
        return BYTES_PER_SAMPLE * self.channels

    def samples(self, pcm: bytes) -> int:
        """How many samples ``pcm`` holds; a torn last sample does not count."""
        return len(pcm) // self.bytes_per_sample

    def seconds(self, pcm: bytes) -> float:
        return self.samples(pcm) / self.rate

    def samples_in(self, seconds: float) -> int:
        """The whole number of samples nearest to ``seconds``."""
        return round(seconds * self.rate)

    def silence(self, seconds: float) -> bytes:
        return bytes(self.samples_in(seconds) * self.bytes_per_sample)
