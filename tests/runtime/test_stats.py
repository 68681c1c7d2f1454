"""Percentiles are nearest-rank: always one of the values, the least that the share does not exceed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.runtime.stats import percentile


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ((), 0.5, 0.0),
        ((3.0,), 0.0, 3.0),
        ((1.0, 2.0), 0.5, 1.0),
        ((1.0, 2.0, 3.0), 0.5, 2.0),
        ((1.0, 2.0, 3.0, 4.0), 0.5, 2.0),
        ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0), 0.5, 3.0),
        (tuple(map(float, range(1, 21))), 0.95, 19.0),
        (tuple(map(float, range(1, 101))), 0.07, 7.0),
        ((2.0, 1.0), 1.0, 2.0),
    ],
)
def test_a_percentile_by_nearest_rank(values: tuple[float, ...], share: float, found: float) -> None:
    assert percentile(values, share) == found


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.integers(1, 100))
def test_it_is_the_least_value_that_so_many_do_not_exceed(values: list[float], hundredths: int) -> None:
    found = percentile(tuple(values), hundredths / 100)
    assert found in values
    assert 100 * sum(v <= found for v in values) >= hundredths * len(values)
    assert 100 * sum(v < found for v in values) < hundredths * len(values)
