"""Values in what was said: numbers, times, days, names, telephone numbers, yes and no, in words or in digits.

Each reader takes the tokens of an utterance and a place, and gives the values that begin there, longest first. A value
is text as it should be spoken back: ``7:30 pm``, ``Friday``, ``Anna Smith``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from echostack.connectors.words import FILLERS, QUESTION_WORDS, STOP, TENS, UNITS, Token, listed

SlotKind = Literal["name", "number", "time", "day", "phone", "yes_no", "words"]
SLOT_KINDS: Final[tuple[str, ...]] = get_args(SlotKind)


@dataclass(frozen=True, slots=True)
class Value:
    """A value and the token after its last one."""

    text: str
    end: int


@dataclass(frozen=True, slots=True)
class Found:
    """A value somewhere in an utterance: tokens ``start`` to ``end`` (exclusive)."""

    text: str
    start: int
    end: int


Tokens = tuple[Token, ...]

_WEEKDAYS: Final = listed("monday tuesday wednesday thursday friday saturday sunday")
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
_PARTS: Final = {"morning": "in the morning", "afternoon": "in the afternoon", "evening": "in the evening"}
_YES: Final = frozenset(listed("yes yeah yep yup sure correct right exactly absolutely definitely certainly"))
_NO: Final = frozenset(["no", "nope", "nah", "wrong", "incorrect"])
_PEOPLE: Final = frozenset(listed("people person persons guest guests adult adults seat seats pax"))
_NAME_LEADS: Final = (
    ("my", "name", "is"), ("the", "name", "is"), ("name", "is"), ("my", "names"), ("this", "is"), ("i", "am"),
    ("it", "is"), ("under", "the", "name", "of"), ("under", "the", "name"), ("in", "the", "name", "of"),
    ("name", "of"), ("call", "me"), ("under",), ("that", "is"), ("that", "would", "be"), ("for",), ("it", "will", "be"),
)  # fmt: skip
_OPEN_LEADS: Final = _NAME_LEADS[:5] + _NAME_LEADS[7:12]
"""The lead-ins after which a name may be read anywhere: `it is` and `for` lead to too much else."""
_WEAK_LEADS: Final = (("this", "is"), ("call", "me"))
"""After these only a word with a capital is a name: "this is urgent", "call me back"."""
_NOT_NAMES: Final = (
    STOP | _YES | _NO | _PEOPLE | frozenset(_WEEKDAYS) | frozenset(_PARTS) | frozenset(UNITS) | frozenset(TENS)
    | frozenset(
        listed("""
        calling looking interested trying afraid hoping table booking reservation today tomorrow tonight noon
        midnight here there fine good great correct never mind know only really very don sir madam speaking
        wondering oclock half quarter past thinking later early late sure certain pm am ringing phoning asking
        happy glad unable able available free busy under name cancel stop nothing nobody
    """)
    )
)  # fmt: skip


def number_at(tokens: Tokens, at: int) -> tuple[int, int] | None:
    """A whole number that begins at ``at``, in digits or in words up to 999,999, and the token after it."""
    if at >= len(tokens):
        return None
    word = tokens[at].word
    if word[0].isdigit():
        digits = word.replace(",", "")
        return (int(digits), at + 1) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None
    total, group, place, read = 0, 0, at, False
    last = 1_000
    while place < len(tokens):
        word = tokens[place].word
        if word in TENS and last > 99:
            group, last = group + TENS[word], 10
        elif word in UNITS and (last > 99 or (last == 10 and 0 < UNITS[word] < 10)):
            group, last = group + UNITS[word], 1
        elif word == "hundred" and ((read and 0 < group < 10) or not read):
            group, last = (group or 1) * 100, 100
        elif word == "thousand" and total == 0 and ((read and group) or not read):
            total, group, last = (group or 1) * 1_000, 0, 1_000
        elif word == "a" and not read and _word(tokens, place + 1) in ("hundred", "thousand", "dozen"):
            place += 1
            continue
        elif word == "dozen" and not read:
            return 12, place + 1
        elif (
            word == "and" and read and last in (100, 1_000) and _word(tokens, place + 1) in (UNITS.keys() | TENS.keys())
        ):
            place += 1
            continue
        else:
            break
        read = True
        place += 1
    return (total + group, place) if read else None


def read(kind: str, tokens: Tokens, at: int) -> Iterator[Value]:
    """The values of ``kind`` that begin at token ``at``, the likeliest first. Nothing for ``words``."""
    reader = _READERS.get(kind)
    if reader is not None and 0 <= at < len(tokens):
        yield from reader(tokens, at)


def find(kind: str, tokens: Tokens, *, asked: bool = False) -> Found | None:
    """The value of ``kind`` that an utterance holds, or None.

    ``asked`` says that the caller was just asked for it, so that bare answers count: ``seven`` is a time then, and
    ``Anna`` a name. Where there are several, a correction stands last (``at six, no, at seven``), so the last wins.
    """
    if kind == "words":
        kept = [t for t in tokens if t.word not in FILLERS]
        return Found(" ".join(t.raw for t in kept), 0, len(tokens)) if asked and kept else None
    if kind == "name":
        return _find_name(tokens, asked)
    if kind == "number":
        return _find_number(tokens, asked)
    if kind == "yes_no":
        return _find_yes_no(tokens) if asked else None
    best: Found | None = None
    place = 0
    while place < len(tokens):
        value = next(read(kind, tokens, place), None)
        if value is None:
            place += 1
            continue
        best, place = Found(value.text, place, value.end), value.end
    if best is None and kind == "time" and asked:
        return _bare_hour(tokens)
    return best


def kind_for(slot: str) -> SlotKind:
    """The kind that a slot's own name suggests: ``guest_name`` a name, ``people`` a number; words otherwise."""
    parts = set(slot.lower().split("_"))
    if parts & {"phone", "telephone", "mobile"}:
        return "phone"
    if parts & {"name", "surname"}:
        return "name"
    if parts & {"time", "hour"}:
        return "time"
    if parts & {"day", "date", "weekday"}:
        return "day"
    if parts & {"people", "guests", "persons", "number", "count", "amount", "party", "seats", "quantity", "size"}:
        return "number"
    return "words"


def _word(tokens: Tokens, at: int) -> str:
    return tokens[at].word if 0 <= at < len(tokens) else ""


def _numbers(tokens: Tokens, at: int) -> Iterator[Value]:
    number = number_at(tokens, at)
    if number is not None:
        yield Value(str(number[0]), number[1])


def _clock(hour: int, minute: int, half: str) -> str:
    if half in ("am", "pm") and hour > 12:
        half = ""
    shown = f"{hour}:{minute:02d}" if minute else f"{hour}"
    if half:
        return f"{shown} {half}"
    return shown if minute else f"{hour} o'clock" if 1 <= hour <= 12 else f"{hour}:00"


def _half_of_day(tokens: Tokens, at: int) -> tuple[str, int]:
    """``am``, ``p.m.``, ``in the evening``, ``tonight`` at ``at``, and the token after it."""
    word = _word(tokens, at)
    if word in ("am", "pm"):
        return word, at + 1
    if word in ("a", "p") and _word(tokens, at + 1) == "m":
        return word + "m", at + 2
    if word == "in" and _word(tokens, at + 1) == "the" and _word(tokens, at + 2) in _PARTS:
        return ("am" if _word(tokens, at + 2) == "morning" else "pm"), at + 3
    if word == "at" and _word(tokens, at + 1) == "night":
        return "pm", at + 2
    return "", at


def _times(tokens: Tokens, at: int) -> Iterator[Value]:
    word = tokens[at].word
    if word in ("noon", "midday"):
        yield Value("noon", at + 1)
        return
    if word == "midnight":
        yield Value("midnight", at + 1)
        return
    if word in ("half", "quarter") or (word == "a" and _word(tokens, at + 1) == "quarter"):
        at += word == "a"
        relation = _word(tokens, at + 1)
        hour = number_at(tokens, at + 2)
        if relation in ("past", "to") and hour and 1 <= hour[0] <= 12:
            half, end = _half_of_day(tokens, hour[1])
            minute = 30 if tokens[at].word == "half" else 15 if relation == "past" else 45
            before = relation == "to" and minute == 45
            yield Value(_clock((hour[0] - 2) % 12 + 1 if before else hour[0], minute, half), end)
        return
    lead = word in ("at", "around", "by", "about", "say", "from", "until", "till", "for")
    start = at + 1 if lead else at
    if lead and _word(tokens, start) in ("around", "about", "say", "half", "quarter", "noon", "midday", "midnight"):
        yield from _times(tokens, start)
        return
    stamp = _stamp(tokens, start)
    if stamp is not None:
        yield stamp
        return
    hour = number_at(tokens, start)
    if hour is None:
        return
    number, end = hour
    if _word(tokens, end) in ("minutes", "past", "to") and number < 60:
        relation_at = end + (_word(tokens, end) == "minutes")
        after = number_at(tokens, relation_at + 1)
        if _word(tokens, relation_at) in ("past", "to") and after and 1 <= after[0] <= 12 and number in range(1, 60):
            half, stop = _half_of_day(tokens, after[1])
            past = _word(tokens, relation_at) == "past"
            yield Value(
                _clock(after[0] if past else (after[0] - 2) % 12 + 1, number if past else 60 - number, half), stop
            )
            return
    if not 0 <= number <= 23:
        return
    minute, after_minute, told = 0, end, False
    if _word(tokens, end) == "oclock":
        after_minute, told = end + 1, True
    else:
        spoken = _minutes_at(tokens, end)
        if spoken is not None:
            minute, after_minute, told = spoken[0], spoken[1], True
    half, stop = _half_of_day(tokens, after_minute)
    if half and number == 0:
        return
    counted = _word(tokens, stop) in _PEOPLE or (_word(tokens, stop), _word(tokens, stop + 1)) == ("of", "us")
    clear = word in ("at", "around", "by", "until", "till")
    if told or half or (clear and 1 <= number <= 23 and not counted):
        yield Value(_clock(number, minute, half), stop)


def _minutes_at(tokens: Tokens, at: int) -> tuple[int, int] | None:
    """Minutes as they are said after an hour: ``thirty``, ``forty five``, ``oh five``."""
    if _word(tokens, at) in ("oh", "o") and _word(tokens, at + 1) in UNITS:
        minute = UNITS[_word(tokens, at + 1)]
        return (minute, at + 2) if 0 < minute < 10 else None
    number = number_at(tokens, at)
    if number is None or not 10 <= number[0] <= 59:
        return None
    if _word(tokens, number[1]) in _PEOPLE:
        return None
    return number


def _stamp(tokens: Tokens, at: int) -> Value | None:
    """``7:30``, ``7.30pm``, ``19:30``, ``7pm``."""
    word = _word(tokens, at)
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
        half, end = _half_of_day(tokens, end)
    return Value(_clock(int(hours), int(minutes or 0), half), end)


def _bare_hour(tokens: Tokens) -> Found | None:
    day = find("day", tokens)
    for place in range(len(tokens) - 1, -1, -1):
        if day is not None and day.start <= place < day.end:
            continue
        number = number_at(tokens, place)
        starts = place == 0 or number_at(tokens, place - 1) is None
        if number is not None and starts and 1 <= number[0] <= 23:
            half, end = _half_of_day(tokens, number[1])
            return Found(_clock(number[0], 0, half), place, end)
    return None


def _days(tokens: Tokens, at: int) -> Iterator[Value]:
    word = tokens[at].word
    start = at
    if word in ("next", "this", "coming"):
        start += 1
    name = _word(tokens, start).removesuffix("s") if _word(tokens, start) else ""
    if name in _WEEKDAYS:
        shown = ("next " if word == "next" else "") + name.capitalize()
        if _word(tokens, start + 1) in _PARTS:
            yield Value(f"{shown} {_word(tokens, start + 1)}", start + 2)
            return
        yield Value(shown, start + 1)
    elif word in ("today", "tonight"):
        yield Value(word, at + 1)
    elif word == "tomorrow":
        if _word(tokens, at + 1) in _PARTS or _word(tokens, at + 1) == "night":
            yield Value(f"tomorrow {_word(tokens, at + 1)}", at + 2)
            return
        yield Value("tomorrow", at + 1)
    elif word == "the" and [_word(tokens, at + i) for i in (1, 2, 3)] == ["day", "after", "tomorrow"]:
        yield Value("the day after tomorrow", at + 4)
    elif word in _MONTHS:
        day = _day_of_month(tokens, at + 1 + (_word(tokens, at + 1) == "the"))
        if day is not None:
            yield Value(f"{word.capitalize()} {day[0]}", day[1])
    else:
        place = at + (word == "the")
        day = _day_of_month(tokens, place)
        if day is not None:
            end = day[1] + (_word(tokens, day[1]) == "of")
            if _word(tokens, end) in _MONTHS:
                yield Value(f"{_word(tokens, end).capitalize()} {day[0]}", end + 1)


def _day_of_month(tokens: Tokens, at: int) -> tuple[int, int] | None:
    word = _word(tokens, at)
    if word in _ORDINALS:
        return _ORDINALS[word], at + 1
    if word in ("twenty", "thirty") and 1 <= _ORDINALS.get(_word(tokens, at + 1), 0) <= 9:
        day = TENS[word] + _ORDINALS[_word(tokens, at + 1)]
        return (day, at + 2) if day <= 31 else None
    digits = word[:-2] if word[-2:] in ("st", "nd", "rd", "th") else word
    if digits.isascii() and digits.isdigit():
        return (int(digits), at + 1) if len(digits) <= 2 and 1 <= int(digits) <= 31 else None
    number = number_at(tokens, at)
    return number if number is not None and 1 <= number[0] <= 31 else None


def _names(tokens: Tokens, at: int) -> Iterator[Value]:
    end = at
    while end < len(tokens) and end - at < 3 and _can_be_name(tokens[end]):
        end += 1
        if tokens[end - 1].ends:
            break
    for stop in range(end, at, -1):
        yield Value(" ".join(_proper(t.raw) for t in tokens[at:stop]), stop)


def _can_be_name(token: Token) -> bool:
    return token.word.isalpha() and token.word not in _NOT_NAMES and (len(token.word) > 1 or token.raw.isupper())


def _proper(raw: str) -> str:
    return raw if any(c.isupper() for c in raw[1:]) and not raw.isupper() else raw.capitalize()


def _find_name(tokens: Tokens, asked: bool) -> Found | None:
    words = tuple(t.word for t in tokens)
    found: Found | None = None
    for lead in _NAME_LEADS if asked else _OPEN_LEADS:
        for place in range(len(words) - len(lead)):
            if words[place : place + len(lead)] != lead:
                continue
            start = place + len(lead)
            if not asked and lead in _WEAK_LEADS and not tokens[start].raw[:1].isupper():
                continue
            value = next(_names(tokens, start), None)
            # "I am calling about", "this is a question": a name in mid sentence is followed by nothing or a pause.
            if value is not None and (found is None or start > found.start) and _closed(tokens, value.end):
                found = Found(value.text, start, value.end)
    if found is not None or not asked:
        return found
    kept = [i for i, t in enumerate(tokens) if t.word not in FILLERS and t.word not in _YES | _NO | {"hi", "hello"}]
    while kept and tokens[kept[-1]].word in ("thanks", "thank", "you", "please", "speaking", "here"):
        kept.pop()
    if not kept or len(kept) > 4 or kept[-1] - kept[0] != len(kept) - 1:
        return None
    if any(not _can_be_name(tokens[i]) for i in kept) or words[0] in QUESTION_WORDS:
        return None
    return Found(" ".join(_proper(tokens[i].raw) for i in kept), kept[0], kept[-1] + 1)


def _closed(tokens: Tokens, end: int) -> bool:
    return end >= len(tokens) or tokens[end - 1].ends or tokens[end].common or tokens[end].word in _NOT_NAMES


def _find_number(tokens: Tokens, asked: bool) -> Found | None:
    taken: set[int] = set()
    for kind in ("time", "day"):
        place = 0
        while place < len(tokens):
            value = next(read(kind, tokens, place), None)
            if value is not None:
                taken.update(range(place, value.end))
                place = value.end
            else:
                place += 1
    loose: Found | None = None
    told: Found | None = None
    place = 0
    while place < len(tokens):
        number = number_at(tokens, place)
        if number is None:
            place += 1
            continue
        amount, end = number
        before, after = _word(tokens, place - 1), _word(tokens, end)
        found = Found(str(amount), place, end)
        of_us = after == "of" and _word(tokens, end + 1) in ("us", "them")
        if (
            after in _PEOPLE
            or of_us
            or (before in ("for", "party") and place not in taken)
            or (before == "of" and _word(tokens, place - 2) in ("party", "group", "table"))
        ):
            told = found
        elif place not in taken and not (before in ("no", "this", "that", "which", "any", "the") and amount == 1):
            loose = found
        place = end
    if told is not None or not asked:
        return told
    if loose is not None:
        return loose
    if len(tokens) <= 2:  # recognisers write a bare "four" or "two" as its commoner sound
        for index, token in enumerate(tokens):
            if token.word in ("for", "to", "too", "won", "ate"):
                sounds = {"for": "4", "to": "2", "too": "2", "won": "1", "ate": "8"}
                return Found(sounds[token.word], index, index + 1)
        if any(t.word in ("me", "myself") for t in tokens):
            return Found("1", 0, len(tokens))
    return None


def _find_yes_no(tokens: Tokens) -> Found | None:
    words = [t.word for t in tokens]
    for index, word in enumerate(words[:6]):
        if word in _NO or (word == "not" and "right" in words[index:] + words[:index]):
            return Found("no", index, index + 1)
    for index, word in enumerate(words[:6]):
        if (
            word in _YES
            or word in ("ok", "okay", "perfect", "fine", "great", "good", "please")
            or words == ["go", "ahead"]
        ):
            return Found("yes", index, index + 1)
    pairs = list(itertools.pairwise(words))
    for pair in (("it", "is"), ("that", "is"), ("sounds", "good"), ("go", "ahead"), ("do", "it")):
        if pair in pairs and "not" not in words:
            return Found("yes", pairs.index(pair), pairs.index(pair) + 2)
    return None


def _phones(tokens: Tokens, at: int) -> Iterator[Value]:
    digits, place, times = "", at, 1
    while place < len(tokens):
        word = tokens[place].word
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
        elif word == "hundred" and digits:
            digits += "00"
        elif word in ("oh", "o") and digits:
            digits, times = digits + "0" * times, 1
        elif word in UNITS and UNITS[word] < 10:
            digits, times = digits + str(UNITS[word]) * times, 1
        elif word in UNITS or word in TENS:
            number = number_at(tokens, place)
            if number is None:
                break
            digits, place = digits + str(number[0]), number[1]
            continue
        elif word.isascii() and word.isdigit():
            digits, times = digits + word * (times if len(word) == 1 else 1), 1
        elif not (digits and word in FILLERS):
            break
        place += 1
    if 5 <= len(digits) <= 15:
        yield Value(digits, place)


def _yes_nos(tokens: Tokens, at: int) -> Iterator[Value]:
    word = tokens[at].word
    if word in _YES:
        yield Value("yes", at + 1)
    elif word in _NO:
        yield Value("no", at + 1)


_READERS: Final[dict[str, Callable[[Tokens, int], Iterator[Value]]]] = {
    "name": _names, "number": _numbers, "time": _times, "day": _days, "phone": _phones, "yes_no": _yes_nos,
}  # fmt: skip
