"""Reading coded audio to the sample: which word, silence or noise each stretch of it is.

Audio comes as it was coded, or through a resampler, which blurs some milliseconds around the edge of a word into
values that may be the numbers of other words. A word says at which rate it was coded, so the two are told
apart: at its own rate every sample of it is trusted, else what is shorter than 2 ms belongs to its neighbours.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from echostack.core.payloads import AudioFrame
from echostack.simulation.speech import SILENCE, SpeechCode, frame_runs, is_word, runs

Run = tuple[int, int]
"""A sample value, and how many sample frames in a row have it."""


_BLURRED_SAMPLES = 100  # on the side of the lower rate, measured with soxr's HQ filter


def blur(source: int, target: int) -> float:
    """Seconds that a word may seem longer or shorter after a resampler from ``source`` to ``target`` Hz."""
    return 0.0 if source == target else _BLURRED_SAMPLES / max(1, min(source, target))


def read(pcm: bytes, rate: int, channels: int, speech: SpeechCode) -> tuple[Run, ...] | None:
    """The runs of ``pcm``, which add up to its length. None when so many values differ that it is no coded audio."""
    step = 2 * channels
    count = len(pcm) // step
    if not count:
        return ()
    first, last = pcm[:step], pcm[(count - 1) * step : count * step]
    found: tuple[Run, ...]
    if first * count == pcm:
        return ((_value(first), count),)
    turn = _leading(pcm, first, step, count)
    if pcm[turn * step :] == last * (count - turn):
        found = ((_value(first), turn), (_value(last), count - turn))
    else:
        samples = np.frombuffer(pcm, dtype="<i2", count=count * channels)[::channels]
        edges = np.flatnonzero(samples[1:] != samples[:-1]) + 1
        if len(edges) > count // 2:
            return None
        starts = (0, *edges.tolist(), count)
        values = (_value(first), *samples[edges].tolist())
        found = tuple((value, end - start) for value, (start, end) in zip(values, pairwise(starts), strict=True))
    for value, _ in found:
        if is_word(value):
            word = speech.word(value)
            if word is None or word.rate != rate:
                return tuple(runs(pcm, rate, channels))
    return found


def _value(sample: bytes) -> int:
    return int.from_bytes(sample[:2], "little", signed=True)


def _leading(pcm: bytes, sample: bytes, step: int, count: int) -> int:
    """How many of the first of ``count`` samples, the last of which differs, are ``sample``. Most frames with an edge
    have one, and comparing halves of 20 ms is a fifth of the price of looking at every sample."""
    low, high = 1, count
    while high - low > 1:
        middle = (low + high) // 2
        if pcm[low * step : middle * step] == sample * (middle - low):
            low = middle
        else:
            high = middle
    return low


def read_frame(frame: AudioFrame, speech: SpeechCode) -> tuple[Run, ...]:
    """The runs of a caller's frame; what is no coded audio says in ``track`` which word it is, or is silence."""
    if frame.track.startswith("#"):
        return tuple(frame_runs(frame))
    found = read(frame.pcm, frame.rate, frame.channels, speech)
    return ((SILENCE, frame.samples),) if found is None else found
