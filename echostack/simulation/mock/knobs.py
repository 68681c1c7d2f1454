"""What simulations read from the settings of connectors that they do not know: a few knobs that many connectors have,
under the names that vendors give them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

ENDPOINT = (
    "endpoint_ms", "endpointing_ms", "endpointing", "silence_ms", "silence_duration_ms", "end_of_turn_silence_ms",
    "min_end_of_turn_silence_when_confident", "end_utterance_silence_threshold", "vad_silence_threshold_secs",
    "silence_s", "silence",
)  # fmt: skip
"""Silence that ends the caller's turn."""
WORDS_END = ("utterance_end_ms",)
"""Time without words that ends the caller's turn, whatever noise there is."""
PARTIALS = ("partial_ms", "interim_ms", "partial_interval_ms")
"""Speech between two partial texts."""
LONGEST = ("longest_s", "max_segment_s")
"""Speech after which a piece of a turn is given as a segment."""
START = ("start_ms", "min_speech_duration_ms", "speech_start_ms")
"""Voice that opens a voice-activity detector."""
HANGOVER = ("hangover_ms", "stop_ms", "min_silence_duration_ms", "silence_duration_ms", "hangover", "silence")
"""Silence that closes it."""

_SECONDS = ("_s", "_secs", "_seconds", "silence", "hangover")
_SLOWEST, _FASTEST = 0.25, 4.0


def seconds(settings: Any, names: tuple[str, ...], default: float) -> float:
    """The first of ``names`` that the settings have as a number, in seconds; ``default`` when they have none.

    Numbers are milliseconds unless the name says seconds. What is no number, not finite or negative is passed over.
    """
    for name in names:
        value = getattr(settings, name, None)
        if isinstance(value, timedelta):
            return max(0.0, value.total_seconds())
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
            return float(value) if name.endswith(_SECONDS) else value / 1000
    return default


def off(settings: Any, name: str) -> bool:
    """Whether the settings say that ``name`` is off."""
    return getattr(settings, name, None) is False


def text(settings: Any, name: str, default: str) -> str:
    """The setting ``name``, when it is a text that says something."""
    value = getattr(settings, name, None)
    return value if isinstance(value, str) and value else default


def flag(settings: Any, name: str, default: bool) -> bool:
    """The setting ``name``, when it is a boolean."""
    value = getattr(settings, name, None)
    return value if isinstance(value, bool) else default


def ratio(settings: Any, name: str) -> float:
    """The setting ``name`` as a factor of speed, 1 where there is none that makes sense."""
    value = getattr(settings, name, None)
    sensible = isinstance(value, int | float) and not isinstance(value, bool) and _SLOWEST <= value <= _FASTEST
    return float(value) if sensible and value is not None else 1.0


def none(settings: Any, names: tuple[str, ...]) -> bool:
    """Whether the first of ``names`` that the settings have is 0."""
    return seconds(settings, names, 1.0) == 0.0


def number(settings: Any, name: str, default: float) -> float:
    """The setting ``name``, when it is a number above 0."""
    value = getattr(settings, name, None)
    sensible = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    return float(value) if sensible and value is not None else default
