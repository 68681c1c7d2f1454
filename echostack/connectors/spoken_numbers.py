"""Numbers as they are said in English: cardinals, ordinals, years, digits, amounts of money."""

from __future__ import annotations

from typing import Final

from echostack.connectors.words import TENS, UNITS

_UNITS: Final = {value: word for word, value in UNITS.items()}
_TENS: Final = {value: word for word, value in TENS.items()}
_SCALES: Final = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_ORDINALS: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
LARGEST: Final = 10**15 - 1
"""What is larger is said digit by digit."""


def cardinal(number: int) -> str:
    """``45`` → ``forty-five``, ``-3`` → ``minus three``; digit by digit beyond ``LARGEST``."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number > LARGEST:
        return digits(str(number))
    parts: list[str] = []
    for scale, name in _SCALES:
        count, number = divmod(number, scale)
        if count:
            parts.append(f"{_below_thousand(count)} {name}")
    if number or not parts:
        parts.append(_below_thousand(number))
    return " ".join(parts)


def ordinal(number: int) -> str:
    """``23`` → ``twenty-third``."""
    words = cardinal(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    if last in _ORDINALS:
        return words[:cut] + _ORDINALS[last]
    return words[:cut] + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year(number: int) -> str:
    """``2026`` → ``twenty twenty-six``, ``1905`` → ``nineteen oh five``, ``2005`` → ``two thousand five``."""
    century, rest = divmod(number, 100)
    if not 1100 <= number <= 2099 or 2000 <= number <= 2009:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(text: str) -> str:
    """``555`` → ``five five five``; anything but digits is left out."""
    return " ".join(_UNITS[int(c)] for c in text if c.isascii() and c.isdigit())


def decimal(whole: str, fraction: str) -> str:
    """``3``, ``14`` → ``three point one four``."""
    return f"{cardinal(int(whole or '0'))} point {digits(fraction)}"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_UNITS[hundreds]} hundred"] if hundreds else []
    if rest in _UNITS and (rest or not hundreds):
        parts.append(_UNITS[rest])
    elif rest:
        tens, units = divmod(rest, 10)
        parts.append(_TENS[tens * 10] + (f"-{_UNITS[units]}" if units else ""))
    return " ".join(parts)
