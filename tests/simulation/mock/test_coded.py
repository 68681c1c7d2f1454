"""Reading coded audio: exact at the words' own rate, without the blur of a resampler at another."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.audio import AudioFormat
from echostack.core.payloads import AudioFrame
from echostack.runtime.resample import Resampler
from echostack.simulation.mock.coded import blur, read, read_frame
from echostack.simulation.speech import LOUD_NOISE, SpeechCode, SpokenWord, coded

RATE = 16_000


def code(words: int, rate: int = RATE) -> SpeechCode:
    speech = SpeechCode()
    for n in range(words):
        speech.number(SpokenWord(f"w{n}", "caller", "1", n, samples=1_600, rate=rate))
    return speech


@given(
    st.lists(st.tuples(st.integers(-2, 9), st.integers(1, 400)), max_size=8),
    st.sampled_from((1, 2)),
)
def test_every_sample_is_read_as_it_was_coded(pieces: list[tuple[int, int]], channels: int) -> None:
    pcm = b"".join(coded(value, count, channels) for value, count in pieces)
    values = [value for value, count in pieces for _ in range(count)]
    found = read(pcm, RATE, channels, code(9))
    if found is None:  # nearly every sample differs from the one before it
        assert sum(a != b for a, b in pairwise(values)) > len(values) // 2
    else:
        assert [value for value, count in found for _ in range(count)] == values
        assert all(a[0] != b[0] for a, b in pairwise(found))


@pytest.mark.parametrize("source", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("values", [(0, 1, 2, 0), (0, 700, 701, 0), (700, LOUD_NOISE, 701)])
def test_resampled_audio_is_read_without_the_values_of_its_blurred_edges(source: int, values: tuple[int, ...]) -> None:
    resampler = Resampler(AudioFormat(source), AudioFormat(RATE))
    pcm = b"".join(coded(value, source // 5) for value in values)
    pcm = resampler.push(pcm) + resampler.flush()
    found = read(pcm, RATE, 1, code(701, source))
    assert found is not None
    assert [value for value, _ in found] == list(values)
    assert all(abs(count / RATE - 0.2) <= blur(source, RATE) for _, count in found)
    assert sum(count for _, count in found) == len(pcm) // 2


def test_audio_that_is_not_coded_is_told_from_coded_audio() -> None:
    voice = random.Random(3).randbytes(640)
    assert read(voice, RATE, 1, code(3)) is None
    assert read(b"", RATE, 1, code(3)) == ()
    assert read_frame(AudioFrame(voice, RATE), code(3)) == ((0, 320),)
    assert read_frame(AudioFrame(voice, RATE, track="#2"), code(3)) == ((2, 320),)
