"""Conversion of rates and channels in pieces: what comes out depends on the samples, not on how they were cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.audio import AudioFormat
from echostack.core.errors import UsageError
from echostack.runtime.resample import Resampler


def tone(rate: int, seconds: float, hertz: float = 440.0, channels: int = 1, level: float = 20_000) -> bytes:
    t = np.arange(round(rate * seconds)) / rate
    wave = np.rint(np.sin(2 * np.pi * hertz * t) * level).astype("<i2")
    return np.repeat(wave[:, None], channels, axis=1).tobytes()


def ints(pcm: bytes, channels: int = 1) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").reshape(-1, channels).astype(int)


@given(
    rates=st.tuples(*[st.sampled_from([8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])] * 2),
    channels=st.tuples(*[st.sampled_from([1, 2])] * 2),
    samples=st.integers(0, 3000),
    cuts=st.lists(st.integers(0, 3000), max_size=8),
    seed=st.integers(0, 99),
)
def test_pieces_join_without_a_seam(
    rates: tuple[int, int], channels: tuple[int, int], samples: int, cuts: list[int], seed: int
) -> None:
    source, target = AudioFormat(rates[0], channels[0]), AudioFormat(rates[1], channels[1])
    noise = np.random.default_rng(seed).normal(0, 8000, (samples, source.channels)).clip(-32768, 32767)
    pcm = noise.astype("<i2").tobytes()
    whole = Resampler(source, target)
    expected = whole.push(pcm) + whole.flush()
    pieces = Resampler(source, target)
    got, at = b"", 0
    for cut in [*sorted(c for c in cuts if c < samples), samples]:
        got += pieces.push(pcm[at * source.bytes_per_sample : cut * source.bytes_per_sample])
        at = cut
    got += pieces.flush()
    assert got == expected
    assert abs(target.samples(got) - samples * target.rate / source.rate) <= 1


def test_a_tone_stays_the_tone() -> None:
    resampler = Resampler(AudioFormat(24_000), AudioFormat(16_000))
    got = ints(resampler.push(tone(24_000, 1.0)) + resampler.flush())
    wanted = ints(tone(16_000, 1.0))
    assert len(got) == len(wanted)
    assert np.abs(got - wanted)[200:-200].max() <= 2


def test_silence_stays_silence() -> None:
    resampler = Resampler(AudioFormat(16_000), AudioFormat(24_000))
    assert not ints(resampler.push(bytes(2 * 16_000)) + resampler.flush()).any()


def test_equal_formats_pass_unchanged_and_at_once() -> None:
    resampler = Resampler(AudioFormat(16_000, 2), AudioFormat(16_000, 2))
    assert resampler.identity
    pcm = tone(16_000, 0.02, channels=2)
    assert resampler.push(pcm) == pcm
    assert resampler.flush() == b""


@pytest.mark.parametrize(("source", "target"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_a_torn_last_sample_is_ignored(source: int, target: int) -> None:
    torn = Resampler(AudioFormat(8000, source), AudioFormat(16_000, target))
    whole = Resampler(AudioFormat(8000, source), AudioFormat(16_000, target))
    pcm = tone(8000, 0.1, channels=source)
    assert torn.push(pcm + b"\x7f") + torn.flush() == whole.push(pcm) + whole.flush()
    assert torn.push(b"\x01") == b""


def test_stereo_to_mono_is_the_mean_and_mono_to_stereo_repeats() -> None:
    pairs = np.array([[100, 300], [-32768, -32768], [32767, 32767], [-5, 5]], "<i2")
    down = Resampler(AudioFormat(16_000, 2), AudioFormat(16_000, 1))
    assert ints(down.push(pairs.tobytes()))[:, 0].tolist() == [200, -32768, 32767, 0]
    up = Resampler(AudioFormat(16_000, 1), AudioFormat(16_000, 2))
    assert ints(up.push(np.array([1, -2], "<i2").tobytes()), 2).tolist() == [[1, 1], [-2, -2]]


def test_the_loudest_signal_is_clipped_and_never_wraps() -> None:
    square = np.where(np.arange(8000) // 40 % 2, 32767, -32768).astype("<i2")
    resampler = Resampler(AudioFormat(16_000), AudioFormat(22_050))
    got = ints(resampler.push(square.tobytes()) + resampler.flush())[:, 0]
    wanted = np.where(np.floor(np.arange(len(got)) * 16_000 / 22_050) // 40 % 2, 1, -1)
    inside = np.abs(np.arange(len(got)) * 16_000 / 22_050 % 40 - 20) < 10
    assert (np.sign(got[inside]) == wanted[inside]).all()


def test_after_a_flush_it_is_as_new() -> None:
    resampler = Resampler(AudioFormat(8000), AudioFormat(16_000))
    first = resampler.push(tone(8000, 0.3)) + resampler.flush()
    assert resampler.flush() == b""
    assert resampler.push(tone(8000, 0.3)) + resampler.flush() == first


def test_an_impossible_format_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        Resampler(AudioFormat(100), AudioFormat(16_000))
    assert str(caught.value) == (
        "cannot convert 0.1 kHz mono to 16 kHz mono: rates run from 4000 to 384000 Hz, channels from 1"
    )
