"""Conversions of PCM."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.pcm import mono, to_float, to_pcm
from echostack.connectors.resample import Resampler


@given(st.lists(st.integers(-32_768, 32_767)))
def test_pcm_survives_the_way_through_floats(samples: list[int]) -> None:
    pcm = np.array(samples, "<i2").tobytes()
    assert to_pcm(to_float(pcm)) == pcm


def test_loud_floats_are_clipped_and_what_is_no_number_is_silence() -> None:
    pcm = to_pcm(np.array([2.0, -2.0, np.nan, np.inf], np.float32))
    assert np.frombuffer(pcm, "<i2").tolist() == [32_767, -32_768, 0, 32_767]


def test_channels_are_averaged_and_torn_samples_left_out() -> None:
    stereo = np.array([100, 300, -5, -6], "<i2").tobytes()
    assert np.frombuffer(mono(stereo + b"\x01\x02\x03", 2), "<i2").tolist() == [200, -6]
    assert mono(b"\x01\x02\x03", 1) == b"\x01\x02"


def test_a_stream_cut_anywhere_is_resampled_as_if_it_were_whole() -> None:
    wave = np.sin(np.arange(44_100) * 0.05).astype(np.float32)
    whole = Resampler(44_100, 16_000).feed(wave, last=True)
    pieces = Resampler(44_100, 16_000)
    cuts = [0, 1, 7, 1000, 1000, 30_000, 44_100]
    parts = [pieces.feed(wave[a:b]) for a, b in pairwise(cuts)]
    joined = np.concatenate([*parts, pieces.feed(np.zeros(0, np.float32), last=True)])
    assert len(joined) == len(whole) == 16_000
    assert float(np.max(np.abs(joined - whole))) < 1e-4
