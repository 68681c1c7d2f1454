"""Where audio lies on the call's clock, by when it arrived."""

from __future__ import annotations

import pytest

from echostack.core.payloads import AudioFrame
from echostack.simulation.mock.hearing import HeardLine
from echostack.simulation.speech import SpeechCode, SpokenWord, coded

RATE = 16_000


def places(arrivals: list[float]) -> list[tuple[float, float]]:
    """From when to when each of several frames of 20 ms sounded, by their arrivals."""
    line = HeardLine(SpeechCode())
    found = [line.take(AudioFrame(coded(0, 320), RATE), at)[0] for at in arrivals]
    return [(round(start, 6), round(end, 6)) for _, start, end in found]


def test_a_frame_ends_when_it_arrives() -> None:
    assert places([0.02, 0.04, 0.5]) == [(0.0, 0.02), (0.02, 0.04), (0.48, 0.5)]


def test_frames_that_were_held_up_and_come_at_once_catch_up_with_the_clock() -> None:
    late = places([0.02, 0.10, 0.10, 0.10, 0.10, 0.12, 0.14])
    assert late[:2] == [(0.0, 0.02), (0.08, 0.10)]
    assert late[-2:] == [(0.10, 0.12), (0.12, 0.14)]


def test_a_line_faster_than_real_time_keeps_its_own_positions() -> None:
    assert places([0.02, 0.02, 0.02, 0.02]) == [(0.0, 0.02), (0.02, 0.04), (0.04, 0.06), (0.06, 0.08)]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_frame_with_an_edge_is_told_in_its_parts(channels: int) -> None:
    speech = SpeechCode()
    word = speech.number(SpokenWord("hi", "caller", "1", 0, samples=160, rate=RATE))
    line = HeardLine(speech)
    frame = AudioFrame(coded(word, 160, channels) + coded(0, 480, channels), RATE, channels)
    assert [(v, round(s, 6), round(e, 6)) for v, s, e in line.take(frame, 1.04)] == [(word, 1.0, 1.01), (0, 1.01, 1.04)]
    assert line.take(AudioFrame(b"", RATE, channels), 1.04) == []


def test_the_same_samples_at_another_rate_are_another_frame() -> None:
    line = HeardLine(SpeechCode())
    line.take(AudioFrame(coded(0, 320), RATE), 0.02)
    ((_, start, end),) = line.take(AudioFrame(coded(0, 320), 8_000), 0.06)
    assert (round(start, 6), end) == (0.02, 0.06)
