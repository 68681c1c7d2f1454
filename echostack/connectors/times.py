"""Times of day and days in what was said: ``half past seven in the evening``, ``19:30``, ``the third of June``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from echostack.connectors.numbers import PEOPLE, Tokens, Value, number_at, word_at
from echostack.connectors.words import TENS, UNITS, listed

WEEKDAYS: Final = listed("monday tuesday wednesday thursday friday saturday sunday")
_MONTHS: Final = (
    listed("""
        january february march april may june july august september october november december
    """)
)  # fmt: skip
_ORDINALS: Final = {
    w: i + 1
    for i, w in enumerate(
        listed("""
        first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
        fifteenth sixteenth seventeenth eighteenth nineteenth twentieth
    """)
    )
} | {"thirtieth": 30}
DAY_PARTS: Final = {"morning": "in the morning", "afternoon": "in the afternoon", "evening": "in the evening"}


def clock(hour: int, minute: int, half: str) -> str:
    """A time as it is spoken back: ``7:30 pm``, ``7 o'clock``, ``19:00``; ``half`` is am, pm or empty."""
    if half in ("am", "pm") and hour > 12:
        half = ""
    shown = f"{hour}:{minute:02d}" if minute else f"{hour}"
    if half:
        return f"{shown} {half}"
    return shown if minute else f"{hour} o'clock" if 1 <= hour <= 12 else f"{hour}:00"


def half_of_day(tokens: Tokens, at: int) -> tuple[str, int]:
    """``am``, ``p.m.``, ``in the evening``, ``at night`` at ``at``, and the token after it."""
    word = word_at(tokens, at)
    if word in ("am", "pm"):
        return word, at + 1
    if word in ("a", "p") and word_at(tokens, at + 1) == "m":
        return word + "m", at + 2
    if word == "in" and word_at(tokens, at + 1) == "the" and word_at(tokens, at + 2) in DAY_PARTS:
        return ("am" if word_at(tokens, at + 2) == "morning" else "pm"), at + 3
    if word == "at" and word_at(tokens, at + 1) == "night":
        return "pm", at + 2
    return "", at


def times_at(tokens: Tokens, at: int) -> Iterator[Value]:
    """The time of day that begins at ``at``. A bare number is one only after a word such as ``at``."""
    word = tokens[at].word
    if word in ("noon", "midday"):
        yield Value("noon", at + 1)
        return
    if word == "midnight":
        yield Value("midnight", at + 1)
        return
    if word in ("half", "quarter") or (word == "a" and word_at(tokens, at + 1) == "quarter"):
        at += word == "a"
        relation = word_at(tokens, at + 1)
        hour = number_at(tokens, at + 2)
        if relation in ("past", "to") and hour and 1 <= hour[0] <= 12:
            half, end = half_of_day(tokens, hour[1])
            minute = 30 if tokens[at].word == "half" else 15 if relation == "past" else 45
            before = relation == "to" and minute == 45
            yield Value(clock((hour[0] - 2) % 12 + 1 if before else hour[0], minute, half), end)
        return
    lead = word in ("at", "around", "by", "about", "say", "from", "until", "till", "for")
    start = at + 1 if lead else at
    if lead and word_at(tokens, start) in ("around", "about", "say", "half", "quarter", "noon", "midday", "midnight"):
        yield from times_at(tokens, start)
        return
    stamp = _stamp(tokens, start)
    if stamp is not None:
        yield stamp
        return
    hour = number_at(tokens, start)
    if hour is None:
        return
    number, end = hour
    if word_at(tokens, end) in ("minutes", "past", "to") and number < 60:
        relation_at = end + (word_at(tokens, end) == "minutes")
        after = number_at(tokens, relation_at + 1)
        if word_at(tokens, relation_at) in ("past", "to") and after and 1 <= after[0] <= 12 and number in range(1, 60):
            half, stop = half_of_day(tokens, after[1])
            past = word_at(tokens, relation_at) == "past"
            yield Value(
                clock(after[0] if past else (after[0] - 2) % 12 + 1, number if past else 60 - number, half), stop
            )
            return
    if not 0 <= number <= 23:
        return
    minute, after_minute, told = 0, end, False
    if word_at(tokens, end) == "oclock":
        after_minute, told = end + 1, True
    else:
        spoken = _minutes_at(tokens, end)
        if spoken is not None:
            minute, after_minute, told = spoken[0], spoken[1], True
    half, stop = half_of_day(tokens, after_minute)
    if half and number == 0:
        return
    counted = word_at(tokens, stop) in PEOPLE or (word_at(tokens, stop), word_at(tokens, stop + 1)) == ("of", "us")
    clear = word in ("at", "around", "by", "until", "till")
    if told or half or (clear and 1 <= number <= 23 and not counted):
        yield Value(clock(number, minute, half), stop)


def _minutes_at(tokens: Tokens, at: int) -> tuple[int, int] | None:
    """Minutes as they are said after an hour: ``thirty``, ``forty five``, ``oh five``."""
    if word_at(tokens, at) in ("oh", "o") and word_at(tokens, at + 1) in UNITS:
        minute = UNITS[word_at(tokens, at + 1)]
        return (minute, at + 2) if 0 < minute < 10 else None
    number = number_at(tokens, at)
    if number is None or not 10 <= number[0] <= 59:
        return None
    if word_at(tokens, number[1]) in PEOPLE:
        return None
    return number


def _stamp(tokens: Tokens, at: int) -> Value | None:
    """``7:30``, ``7.30pm``, ``19:30``, ``7pm``."""
    word = word_at(tokens, at)
    half = word[-2:] if word[-2:] in ("am", "pm") and word[:1].isdigit() else ""
    core = word.removesuffix(half) if half else word
    hours, mark, minutes = core.replace(".", ":").partition(":")
    if not (hours.isascii() and hours.isdigit() and (mark or half)) or len(hours) > 2 or ":" in minutes:
        return None
    if mark and not (minutes.isascii() and minutes.isdigit() and len(minutes) == 2 and int(minutes) < 60):
        return None
    if int(hours) > 23 or (half and not 1 <= int(hours) <= 23):
        return None
    end = at + 1
    if not half:
        half, end = half_of_day(tokens, end)
    return Value(clock(int(hours), int(minutes or 0), half), end)


def days_at(tokens: Tokens, at: int) -> Iterator[Value]:
    """The day that begins at ``at``, as it was named: nobody is asked which year."""
    word = tokens[at].word
    start = at
    if word in ("next", "this", "coming"):
        start += 1
    name = word_at(tokens, start).removesuffix("s") if word_at(tokens, start) else ""
    if name in WEEKDAYS:
        shown = ("next " if word == "next" else "") + name.capitalize()
        if word_at(tokens, start + 1) in DAY_PARTS:
            yield Value(f"{shown} {word_at(tokens, start + 1)}", start + 2)
            return
        yield Value(shown, start + 1)
    elif word in ("today", "tonight"):
        yield Value(word, at + 1)
    elif word == "tomorrow":
        if word_at(tokens, at + 1) in DAY_PARTS or word_at(tokens, at + 1) == "night":
            yield Value(f"tomorrow {word_at(tokens, at + 1)}", at + 2)
            return
        yield Value("tomorrow", at + 1)
    elif word == "the" and [word_at(tokens, at + i) for i in (1, 2, 3)] == ["day", "after", "tomorrow"]:
        yield Value("the day after tomorrow", at + 4)
    elif word in _MONTHS:
        day = _day_of_month(tokens, at + 1 + (word_at(tokens, at + 1) == "the"))
        if day is not None:
            yield Value(f"{word.capitalize()} {day[0]}", day[1])
    else:
        place = at + (word == "the")
        day = _day_of_month(tokens, place)
        if day is not None:
            end = day[1] + (word_at(tokens, day[1]) == "of")
            if word_at(tokens, end) in _MONTHS:
                yield Value(f"{word_at(tokens, end).capitalize()} {day[0]}", end + 1)


def _day_of_month(tokens: Tokens, at: int) -> tuple[int, int] | None:
    word = word_at(tokens, at)
    if word in _ORDINALS:
        return _ORDINALS[word], at + 1
    if word in ("twenty", "thirty") and 1 <= _ORDINALS.get(word_at(tokens, at + 1), 0) <= 9:
        day = TENS[word] + _ORDINALS[word_at(tokens, at + 1)]
        return (day, at + 2) if day <= 31 else None
    digits = word[:-2] if word[-2:] in ("st", "nd", "rd", "th") else word
    if digits.isascii() and digits.isdigit():
        return (int(digits), at + 1) if len(digits) <= 2 and 1 <= int(digits) <= 31 else None
    number = number_at(tokens, at)
    return number if number is not None and 1 <= number[0] <= 31 else None
