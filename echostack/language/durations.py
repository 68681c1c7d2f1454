"""Lengths of time as a file writes them: ``250ms``, ``2s``, ``1.5s``, ``1m``, ``1h``, or a bare number of seconds."""

from __future__ import annotations

import re
from typing import Final

PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"
"""The text form, for the JSON Schema as well."""

_FORM = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h)")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(value: object) -> float | None:
    """``value`` in seconds; None when it is no duration (a truth value, a negative or an endless number, no unit)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if 0 <= value < 1e12 else None
    if not isinstance(value, str):
        return None
    found = _FORM.fullmatch(value)
    if found is None:
        return None
    number, unit = float(found[1]), found[2]
    # Division keeps 300ms at the float nearest to 0.3; multiplying by 0.001 does not.
    return number / 1000.0 if unit == "ms" else number * _SECONDS[unit]


def format_duration(seconds: float) -> str:
    """The shortest way to write ``seconds``: ``250ms``, ``1.5s``, ``2s``."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    return f"{seconds:g}s"
