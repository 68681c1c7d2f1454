"""Interruptions at random instants, by speech, by turns and by the program: not one stale sample is heard."""

from __future__ import annotations

import pytest

from benchmarks.barge_in import stale_samples


@pytest.mark.parametrize("seed", range(4))
def test_no_stale_sample_in_hundreds_of_random_interruptions(seed: int) -> None:
    interruptions, heard, stale = stale_samples(400, seed)
    assert interruptions >= 400
    assert heard > 50_000
    assert stale == 0
