"""Small conversions of 16-bit PCM that several connectors need."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def mono(pcm: bytes, channels: int) -> bytes:
    """The mean of the channels as 16-bit mono; a torn last sample is left out."""
    if channels == 1:
        return pcm if len(pcm) % 2 == 0 else pcm[:-1]
    usable = len(pcm) // (2 * channels) * 2 * channels
    samples: npt.NDArray[Any] = np.frombuffer(pcm[:usable], "<i2").reshape(-1, channels)
    return bytes(samples.mean(axis=1).round().astype("<i2").tobytes())


def to_float(pcm: bytes) -> Floats:
    """Samples in -1..1."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768)


def to_pcm(samples: npt.NDArray[Any]) -> bytes:
    """16-bit PCM of samples in -1..1; what is louder is clipped, what is not a number is silence."""
    usable = np.clip(np.nan_to_num(np.asarray(samples, np.float32)), -1.0, 1.0)
    return bytes(np.clip(np.rint(usable * np.float32(32_768)), -32_768, 32_767).astype("<i2").tobytes())
