"""Sample-rate conversion of a stream, piece by piece, without clicks at the seams."""

from __future__ import annotations

import numpy as np
import soxr

from echostack.connectors.pcm import Floats


class Resampler:
    """Floats at ``source`` Hz in, floats at ``target`` Hz out; the same rate passes through untouched.

    Keeps the filter's state between pieces (soxr's high quality; 4 to 5 µs for 20 ms). Its output trails its input
    by a few milliseconds until ``last`` gives out the rest, so that in all nothing is lost.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        self._stream = None if source == target else soxr.ResampleStream(source, target, 1, dtype="float32")

    def feed(self, samples: Floats, *, last: bool = False) -> Floats:
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples, last=last), np.float32)
