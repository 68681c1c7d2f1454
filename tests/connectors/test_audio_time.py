"""Session times of places in an audio stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.audio_time import AudioTime


def test_a_stream_on_time_keeps_its_positions() -> None:
    time = AudioTime()
    for k in range(1, 500):
        time.arrived(k * 0.02, k * 0.02)
        assert time.at(k * 0.02) == pytest.approx(k * 0.02, abs=1e-6)


def test_a_stream_that_starts_late_is_shifted_by_its_start() -> None:
    time = AudioTime()
    time.arrived(0.02, 5.02)
    assert time.at(0.01) == 5.01


def test_a_stream_faster_than_real_time_keeps_its_own_positions() -> None:
    time = AudioTime()
    for k in range(1, 100):
        time.arrived(k * 0.02, 0.0)
    assert time.at(1.98) == 1.98


def test_lost_audio_is_followed_within_two_seconds() -> None:
    time = AudioTime()
    for k in range(1, 51):
        time.arrived(k * 0.02, k * 0.02)
    for k in range(51, 201):  # one second went missing before position 1.02
        time.arrived(k * 0.02, k * 0.02 + 1.0)
    assert time.at(4.0) == pytest.approx(5.0)


@given(st.lists(st.floats(0, 0.3), min_size=50, max_size=200))
def test_jitter_moves_no_time_past_the_earliest_arrival(delays: list[float]) -> None:
    time = AudioTime()
    for k, delay in enumerate([0.0, *delays], start=1):
        time.arrived(k * 0.02, k * 0.02 + delay)
        assert 0.0 <= time.offset <= delay + 1e-9
