"""How long a simulated connector takes."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from echostack.language.scenario import Delay
from echostack.simulation.latency import drawn

SECONDS = st.floats(0.001, 10.0)


@given(SECONDS, st.integers())
def test_a_delay_without_spread_is_always_the_same_and_draws_nothing(seconds: float, seed: int) -> None:
    random = Random(seed)
    before = random.getstate()
    assert drawn(Delay(seconds, seconds), random) == seconds
    assert random.getstate() == before


def test_no_profile_is_no_time() -> None:
    assert drawn(Delay(0.0, 0.0), Random(1)) == 0.0


def test_half_are_under_the_median_and_one_in_twenty_is_over_the_95th_percentile() -> None:
    random, delay = Random(7), Delay(0.2, 0.9)
    draws = sorted(drawn(delay, random) for _ in range(20_000))
    assert abs(draws[10_000] - 0.2) < 0.01
    assert abs(draws[19_000] - 0.9) < 0.05
    assert draws[0] > 0


@given(SECONDS, st.floats(1.0, 20.0), st.integers())
def test_one_seed_is_one_draw_in_whole_microseconds(p50: float, spread: float, seed: int) -> None:
    delay = Delay(p50, p50 * spread)
    first = drawn(delay, Random(seed))
    assert first == drawn(delay, Random(seed))
    if spread > 1:
        assert round(first, 6) == first
