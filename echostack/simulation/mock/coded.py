"""Reading coded audio to the sample: which word, silence or noise each stretch of it is.

Audio comes as it was coded, or through a resampler, which blurs the two or three milliseconds around the edge of a
word into values that may be the numbers of other words. A word says at which rate it was coded, so the two are told
apart: at its own rate every sample of it is trusted, else what is shorter than 2 ms belongs to its neighbours.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from echostack.core.payloads import AudioFrame
from echostack.simulation.speech import SILENCE, SpeechCode, frame_runs, runs

Run = tuple[int, int]
"""A sample value, and how many sample frames in a row have it."""


def read(pcm: bytes, rate: int, channels: int, speech: SpeechCode) -> tuple[Run, ...] | None:
    """The runs of ``pcm``, which add up to its length. None when so many values differ that it is no coded audio."""
    step = 2 * channels
    count = len(pcm) // step
    if not count:
        return ()
    value = int.from_bytes(pcm[:2], "little", signed=True)
    if pcm[:step] * count == pcm:
        return ((value, count),)
    samples = np.frombuffer(pcm, dtype="<i2", count=count * channels)[::channels]
    edges = np.flatnonzero(samples[1:] != samples[:-1]) + 1
    if len(edges) > count // 2:
        return None
    starts = edges.tolist()
    values = [value, *samples[edges].tolist()]
    for value in values:
        if value > SILENCE:
            word = speech.word(value)
            if word is None or word.rate != rate:
                return tuple(runs(pcm, rate, channels))
    return tuple((v, end - start) for v, (start, end) in zip(values, pairwise((0, *starts, count)), strict=True))


def read_frame(frame: AudioFrame, speech: SpeechCode) -> tuple[Run, ...]:
    """The runs of a caller's frame; what is no coded audio says in ``track`` which word it is, or is silence."""
    if frame.track.startswith("#"):
        return tuple(frame_runs(frame))
    found = read(frame.pcm, frame.rate, frame.channels, speech)
    return ((SILENCE, frame.samples),) if found is None else found
