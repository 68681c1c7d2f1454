"""Values in what was said: numbers, times, days, names, telephone numbers, yes and no, in words or in digits.

Each reader takes the tokens of an utterance and a place, and gives the values that begin there, longest first. A value
is text as it should be spoken back: ``7:30 pm``, ``Friday``, ``Anna Smith``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final, Literal, get_args

from echostack.connectors.numbers import PEOPLE, Found, Tokens, Value, number_at, word_at
from echostack.connectors.times import DAY_PARTS, WEEKDAYS, clock, days_at, half_of_day, times_at
from echostack.connectors.words import FILLERS, QUESTION_WORDS, STOP, TENS, UNITS, Token, listed

SlotKind = Literal["name", "number", "time", "day", "phone", "yes_no", "words"]
SLOT_KINDS: Final[tuple[str, ...]] = get_args(SlotKind)


_YES: Final = frozenset(listed("yes yeah yep yup sure correct right exactly absolutely definitely certainly"))
_NO: Final = frozenset(["no", "nope", "nah", "wrong", "incorrect"])
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
    STOP | _YES | _NO | PEOPLE | frozenset(WEEKDAYS) | frozenset(DAY_PARTS) | frozenset(UNITS) | frozenset(TENS)
    | frozenset(
        listed("""
        calling looking interested trying afraid hoping table booking reservation today tomorrow tonight noon
        midnight here there fine good great correct never mind know only really very don sir madam speaking
        wondering oclock half quarter past thinking later early late sure certain pm am ringing phoning asking
        happy glad unable able available free busy under name cancel stop nothing nobody
    """)
    )
)  # fmt: skip


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


def _numbers(tokens: Tokens, at: int) -> Iterator[Value]:
    number = number_at(tokens, at)
    if number is not None:
        yield Value(str(number[0]), number[1])


def _bare_hour(tokens: Tokens) -> Found | None:
    day = find("day", tokens)
    for place in range(len(tokens) - 1, -1, -1):
        if day is not None and day.start <= place < day.end:
            continue
        number = number_at(tokens, place)
        starts = place == 0 or number_at(tokens, place - 1) is None
        if number is not None and starts and 1 <= number[0] <= 23:
            half, end = half_of_day(tokens, number[1])
            return Found(clock(number[0], 0, half), place, end)
    return None


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
        before, after = word_at(tokens, place - 1), word_at(tokens, end)
        found = Found(str(amount), place, end)
        of_us = after == "of" and word_at(tokens, end + 1) in ("us", "them")
        if (
            after in PEOPLE
            or of_us
            or (before in ("for", "party") and place not in taken)
            or (before == "of" and word_at(tokens, place - 2) in ("party", "group", "table"))
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
    "name": _names, "number": _numbers, "time": times_at, "day": days_at, "phone": _phones, "yes_no": _yes_nos,
}  # fmt: skip
