"""What is read from the settings of connectors that nobody here has seen."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from echostack.simulation.mock import knobs


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, 0.4),
        ({"endpoint_ms": 250}, 0.25),
        ({"endpointing": 300}, 0.3),
        ({"endpointing": False}, 0.4),
        ({"endpointing": "low"}, 0.4),
        ({"vad_silence_threshold_secs": 1.5}, 1.5),
        ({"silence": 0.6}, 0.6),
        ({"silence": timedelta(milliseconds=700)}, 0.7),
        ({"silence_duration_ms": 500, "silence": 0.6}, 0.5),
        ({"endpoint_ms": -1}, 0.4),
        ({"endpoint_ms": float("nan")}, 0.4),
        ({"endpoint_ms": float("inf"), "silence": 0.6}, 0.6),
    ],
)
def test_a_time_is_in_milliseconds_unless_its_name_says_seconds_and_what_is_no_time_is_passed_over(
    settings: dict[str, Any], wanted: float
) -> None:
    assert knobs.seconds(SimpleNamespace(**settings), knobs.ENDPOINT, 0.4) == wanted


def test_settings_that_are_not_there_change_nothing() -> None:
    assert knobs.seconds(None, knobs.ENDPOINT, 0.4) == 0.4
    assert knobs.text(None, "language", "en") == "en"
    assert knobs.flag(None, "interruptible", True)
    assert knobs.ratio(None, "speed") == 1.0
    assert knobs.number(None, "tokens_per_second", 30.0) == 30.0
    assert not knobs.none(None, knobs.PARTIALS)
    assert not knobs.off(None, "interim_results")


@pytest.mark.parametrize(("speed", "wanted"), [(1.5, 1.5), (2, 2.0), (0, 1.0), (100, 1.0), ("fast", 1.0), (True, 1.0)])
def test_a_speed_that_makes_no_sense_is_no_speed(speed: object, wanted: float) -> None:
    assert knobs.ratio(SimpleNamespace(speed=speed), "speed") == wanted
