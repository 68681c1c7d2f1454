"""Sample rate and channel conversion of int16 PCM that arrives in pieces.

The filter is soxr's streaming resampler in float32: measured, its output depends on the samples alone and not on how
they were cut into pieces, while its int16 mode adds dither that differs from run to run. Rounding to int16 is ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from echostack.core.audio import MAX_RATE, MIN_RATE, AudioFormat
from echostack.core.errors import UsageError

_Floats = npt.NDArray[np.float32]


class Resampler:
    """One stream of PCM from ``source`` to ``target``.

    What ``push`` returned so far lags behind what it was given by the filter's delay (up to some 40 ms at ``HQ``, half
    of that at ``LQ``); ``flush`` returns the rest, so that n samples in become ``n * target.rate / source.rate``
    samples out, give or take one. With equal formats it is the identity and nothing lags.

    quality: one of soxr's ``QQ``, ``LQ``, ``MQ``, ``HQ``, ``VHQ``.
    """

    __slots__ = ("_stream", "quality", "source", "target")

    def __init__(self, source: AudioFormat, target: AudioFormat, quality: str = "HQ") -> None:
        for end in (source, target):
            if not (MIN_RATE <= end.rate <= MAX_RATE and end.channels >= 1):
                raise UsageError(
                    f"cannot convert {source} to {target}: rates run from {MIN_RATE} to {MAX_RATE} Hz, channels from 1"
                )
        self.source = source
        self.target = target
        self.quality = quality
        self._stream: Any = None

    @property
    def identity(self) -> bool:
        """Whether what goes in comes out unchanged."""
        return self.source == self.target

    def push(self, pcm: bytes | memoryview) -> bytes:
        """Convert one piece; the result may be empty. A torn last sample is ignored."""
        whole = len(pcm) - len(pcm) % self.source.bytes_per_sample
        if self.identity:
            return bytes(pcm[:whole])
        if whole == 0:
            return b""
        samples = np.frombuffer(pcm, dtype="<i2", count=whole // 2).reshape(-1, self.source.channels)
        mixed = _mixed(samples.astype(np.float32), min(self.source.channels, self.target.channels))
        if self.source.rate != self.target.rate:
            if self._stream is None:
                self._stream = soxr.ResampleStream(
                    self.source.rate, self.target.rate, mixed.shape[1], dtype="float32", quality=self.quality
                )
            mixed = self._stream.resample_chunk(mixed)
        return self._pcm(mixed)

    def flush(self) -> bytes:
        """What the filter still holds. Afterwards the resampler is as new: the next ``push`` begins another stream."""
        if self._stream is None:
            return b""
        channels = min(self.source.channels, self.target.channels)
        rest = self._stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)
        self._stream = None
        return self._pcm(rest)

    def _pcm(self, samples: _Floats) -> bytes:
        spread = _mixed(samples, self.target.channels)
        return np.rint(spread).clip(-32768, 32767).astype("<i2").tobytes()


def _mixed(samples: _Floats, channels: int) -> _Floats:
    """``samples`` (instants by channels) with ``channels`` channels: all of them averaged, then the one repeated."""
    if samples.shape[1] == channels:
        return samples
    mono = samples if samples.shape[1] == 1 else samples.mean(axis=1, keepdims=True, dtype=np.float32)
    return np.repeat(mono, channels, axis=1)
