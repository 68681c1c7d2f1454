"""What stands written in an English text, as it is said: money, times, dates, phone numbers, units, abbreviations.

A text is taken piece by piece, each whole in itself, so everything here is a function of one piece. What is not sure
to mean one thing is left as it stands, for the synthesiser to read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from echostack.connectors.spoken_numbers import LARGEST, cardinal, decimal, digits, ordinal, year
from echostack.connectors.words import listed

_MONTHS: Final = listed("January February March April May June July August September October November December")
_MONTH: Final = (
    r"(?P<month>Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?|July?|Aug(?:ust|\.)?"
    r"|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_AMOUNT: Final = r"(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<part>\d+))?"
_SCALE: Final = r"(?:\s?(?P<scale>thousand|million|billion|trillion|k|K|M|bn|B)\b)?"
_SCALES: Final = {"k": "thousand", "K": "thousand", "M": "million", "bn": "billion", "B": "billion"}
_CURRENCIES: Final = {
    "$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "sen", "sen"),
}  # fmt: skip
_CODES: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_UNITS: Final = {
    "km": ("kilometer", "kilometers"), "km/h": ("kilometer an hour", "kilometers an hour"),
    "mph": ("mile an hour", "miles an hour"), "m": ("meter", "meters"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "mi": ("mile", "miles"), "ft": ("foot", "feet"),
    "kg": ("kilogram", "kilograms"),
    "g": ("gram", "grams"), "mg": ("milligram", "milligrams"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "l": ("liter", "liters"), "L": ("liter", "liters"), "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"), "s": ("second", "seconds"), "sec": ("second", "seconds"),
    "secs": ("second", "seconds"), "min": ("minute", "minutes"), "mins": ("minute", "minutes"),
    "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "h": ("hour", "hours"), "ms": ("millisecond", "milliseconds"),
    "GB": ("gigabyte", "gigabytes"), "MB": ("megabyte", "megabytes"), "KB": ("kilobyte", "kilobytes"),
    "TB": ("terabyte", "terabytes"), "Mbps": ("megabit a second", "megabits a second"), "kWh": ("kilowatt hour",
    "kilowatt hours"), "kW": ("kilowatt", "kilowatts"), "W": ("watt", "watts"), "V": ("volt", "volts"),
    "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"), "sqft": ("square foot", "square feet"), "m²": ("square meter", "square meters"),
}  # fmt: skip
_UNIT: Final = "|".join(re.escape(u) for u in sorted(_UNITS, key=len, reverse=True))
_FRACTIONS: Final = {(1, 2): "one half", (1, 4): "one quarter", (3, 4): "three quarters", (1, 3): "one third",
                     (2, 3): "two thirds"}  # fmt: skip
_SIGNS: Final = {"½": "one half", "¼": "one quarter", "¾": "three quarters"}
_YEAR_AFTER: Final = r"(?:in|since|until|till|from|of|by|before|after|year|during|around|late|early)"
_EDGE: Final = r"(?<![\w.,:/$€£¥-])"
_END: Final = r"(?![\w]|[.,:/]\d)"


def spoken(text: str) -> str:
    """``text`` with what is written in signs and digits put into words."""
    for pattern, said in _RULES:
        text = pattern.sub(said, text)
    return text


def _number(whole: str, part: str | None) -> str:
    """A number with digits as they were written: a leading zero or more digits than are counted are read out."""
    bare = whole.replace(",", "")
    if part:
        return decimal(bare, part)
    if (len(bare) > 1 and bare[0] == "0") or int(bare) > LARGEST:
        return digits(bare)
    return cardinal(int(bare))


def _money(match: re.Match[str]) -> str:
    sign = match["sign"] if "sign" in match.re.groupindex else _CODES[match["code"]]
    one, many, cent, cents = _CURRENCIES[sign]
    whole, part, scale = match["whole"].replace(",", ""), match["part"], match["scale"]
    if scale:
        return f"{_number(whole, part)} {_SCALES.get(scale, scale)} {many}"
    if part and len(part) != 2:
        return f"{decimal(whole, part)} {many}"
    main = f"{cardinal(int(whole))} {one if int(whole) == 1 else many}"
    if not part or int(part) == 0:
        return main
    rest = f"{cardinal(int(part))} {cent if int(part) == 1 else cents}"
    return f"{main} and {rest}" if int(whole) else rest


def _time(match: re.Match[str]) -> str:
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), match["half"]
    if hour > 24 or minute > 59:
        return match.group()
    said = cardinal(hour)
    if minute:
        said += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif not half:
        said += " o'clock" if 1 <= hour <= 12 else " hundred"
    if half:
        said += " AM" if half[0] in "aA" else " PM"
    # A full stop of "p.m." that also ends the sentence is the sentence's.
    ends = half is not None and half.endswith(".") and not match.string[match.end() :].strip(" \"'”’)")
    return said + ("." if ends else "")


def _month(name: str) -> str:
    return next(m for m in _MONTHS if m.lower().startswith(name.rstrip(".").lower()[:3]))


def _date(match: re.Match[str]) -> str:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return match.group()
    said = f"{_month(match['month'])} {ordinal(day)}"
    return said + (f", {year(int(match['year']))}" if match["year"] else "")


def _day_first(match: re.Match[str]) -> str:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return match.group()
    the = "" if match["the"] else "the "
    said = f"{match['the'] or ''}{the}{ordinal(day)} of {_month(match['month'])}"
    return said + (f", {year(int(match['year']))}" if match["year"] else "")


def _numeric_date(match: re.Match[str]) -> str:
    numbers = match.groupdict()
    month, day = int(numbers["m"]), int(numbers["d"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match.group()
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(int(numbers['y']))}"


def _phone(match: re.Match[str]) -> str:
    plus = "plus " if match.group().startswith("+") else ""
    return plus + ", ".join(digits(group) for group in re.findall(r"\d+", match.group()))


def _unit(match: re.Match[str]) -> str:
    whole, part = match["whole"], match["part"]
    one, many = _UNITS[match["unit"]]
    return f"{_number(whole, part)} {one if whole == '1' and not part else many}"


def _range(match: re.Match[str]) -> str:
    return f"{match['low']} to {match['high']}"


def _fraction(match: re.Match[str]) -> str:
    pair = int(match["top"]), int(match["bottom"])
    if pair == (24, 7):
        return "twenty-four seven"
    return _FRACTIONS.get(pair) or f"{cardinal(pair[0])} out of {cardinal(pair[1])}"


def _address(match: re.Match[str]) -> str:
    said = match["host"].removeprefix("www.").replace(".", " dot ").replace("-", " dash ")
    path = [p for p in (match["path"] or "").split("?")[0].split("#")[0].split("/") if p]
    if path and len(path) <= 2 and all(re.fullmatch(r"[A-Za-z][A-Za-z-]{0,24}", p) for p in path):
        said += "".join(f" slash {p.replace('-', ' dash ')}" for p in path)
    return said


def _mail(match: re.Match[str]) -> str:
    user, host = match.group().split("@")
    for sign, word in ((".", " dot "), ("_", " underscore "), ("-", " dash "), ("+", " plus ")):
        user, host = user.replace(sign, word), host.replace(sign, word)
    return f"{user} at {host}"


def _minus(match: re.Match[str]) -> str:
    return f"minus {_number(match['whole'], match['part'])}"


def _plain(match: re.Match[str]) -> str:
    whole, part = match["whole"], match["part"]
    if len(whole) >= 7 and "," not in whole and not part:
        return digits(whole)  # an identifier: nobody counts ungrouped millions
    return _number(whole, part)


def _always(text: str) -> Callable[[re.Match[str]], str]:
    return lambda match: text


def _short(text: str) -> Callable[[re.Match[str]], str]:
    """For an abbreviation: ``text``, with the full stop back where it ended the sentence as well."""

    def said(match: re.Match[str]) -> str:
        ends = match.group().endswith(".") and not match.string[match.end() :].strip(" \"'”’)")
        return text + ("." if ends else "")

    return said


def _street(match: re.Match[str]) -> str:
    return f"{match['name']} Street" + ("" if match.string[match.end() :].strip() else ".")


_TEXTS: Final[tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]] = (
    (r"\b[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", _mail),
    (r"\bhttps?://(?P<host>[A-Za-z0-9.-]*[A-Za-z0-9])(?::\d+)?(?P<path>/[^\s.,;!?)]*(?:[.,;!?)][^\s.,;!?)]+)*)?",
     _address),
    (r"\b(?P<host>www\.[A-Za-z0-9.-]*[A-Za-z0-9])(?P<path>/[^\s.,;!?)]*)?", _address),
    (r"\be\.g\.,?", _short("for example")),
    (r"\bi\.e\.,?", _short("that is")),
    (r"\betc\.", _short("et cetera")),
    (r"\bapprox\.", _short("approximately")),
    (r"\bvs\.?(?=\s)", "versus"),
    (r"\bMr\.(?=\s)", "Mister"),
    (r"\bMrs\.(?=\s)", "Missus"),
    (r"\bMs\.(?=\s)", "Miss"),
    (r"\bDr\.(?=\s+[A-Z])", "Doctor"),
    (r"\bProf\.(?=\s+[A-Z])", "Professor"),
    (r"\b(?P<name>[A-Z][a-z]+) St\.(?!\s+[A-Z])", _street),
    (r"\bSt\.(?=\s+[A-Z])", "Saint"),
    (r"\b[Nn]o\.\s?(?=\d)", "number "),
    (r"#(?=\d)", "number "),
    (r"(?<!\w)~(?=[\d$€£])", "about "),
    (r"\bC#", "C sharp"),
    (r"\bw/\s?", "with "),
    (r"\band/or\b", "and or"),
    (r"\s&\s", " and "),
    (r"(?<=\d)\s*[×*]\s*(?=\d)", " times "),
    (r"(?<=[\d)])\s+\+\s+(?=[\d(])", " plus "),
    (r"(?<=[\d)])\s*=\s*(?=[\d(])", " equals "),
    (r"(?<=\d)\s+<\s+(?=\d)", " is less than "),
    (r"(?<=\d)\s+>\s+(?=\d)", " is more than "),
    (r"½|¼|¾", lambda m: _SIGNS[m.group()]),
    # Phone numbers, before anything that would take a part of one.
    (r"(?<![\w$€£.,:/-])(?:\+\d{1,3}[\s.-]?)?(?:\(\d{2,4}\)\s?|\d{2,4}[\s.-])\d{3}[\s.-]\d{3,4}(?![\w]|[.,-]\d)",
     _phone),
    (r"(?<![\w$€£.,:/-])\+\d{1,3}(?:[\s-]?\d{2,4}){2,5}(?![\w]|[.,-]\d)", _phone),
    (r"(?<![\w$€£.,:/-])\d{3}-\d{4}(?![\w]|[.,-]\d)", _phone),
    # Dates.
    (rf"{_EDGE}(?P<y>\d{{4}})-(?P<m>\d{{2}})-(?P<d>\d{{2}}){_END}", _numeric_date),
    (rf"{_EDGE}(?P<m>\d{{1,2}})/(?P<d>\d{{1,2}})/(?P<y>\d{{4}}){_END}", _numeric_date),
    (rf"\b(?P<the>the\s+)?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+(?P<year>\d{{4}}))?\b",
     _day_first),
    (rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d|:)(?:,?\s+(?P<year>(?:19|20)\d{{2}})(?!\d))?", _date),
    # Times of day, and ranges of them and of numbers.
    (rf"{_EDGE}(?P<low>\d{{1,2}}(?::\d{{2}})?\s?(?:[ap]\.?m\.?)?)\s?[–-]\s?(?P<high>\d{{1,2}}:\d{{2}}|\d{{1,2}}\s?[ap]\.?m)",
     _range),
    (r"(?<![\w.,:])(?P<hour>\d{1,2}):(?P<minute>\d{2})(?!:?\d)(?:\s?(?P<half>[aApP](?:\.[mM]\.|[mM]\b)))?", _time),
    (r"(?<![\w.,:$€£])(?P<hour>\d{1,2})(?P<minute>)\s?(?P<half>[aApP](?:\.[mM]\.|[mM]\b))", _time),
    (r"(?<![\w.,:/-])(?P<low>[$€£]?\d+(?:[.,]\d+)*)\s?[–-]\s?(?P<high>[$€£]?\d+(?:[.,]\d+)*)(?![\w-]|[.,]\d)", _range),
    (rf"{_EDGE}(?P<year>(?:1[1-9]|20)\d)0s\b", lambda m: _decade(int(m["year"] + "0"))),
    # Money, parts in a hundred, units.
    (rf"(?P<sign>[$€£¥])\s?{_AMOUNT}{_SCALE}", _money),
    (rf"{_EDGE}{_AMOUNT}{_SCALE}\s?(?P<code>USD|EUR|GBP|JPY)\b", _money),
    (rf"{_EDGE}{_AMOUNT}\s?€", lambda m: _euros(m)),
    (rf"{_EDGE}{_AMOUNT}\s?%", lambda m: f"{_number(m['whole'], m['part'])} percent"),
    (rf"{_EDGE}{_AMOUNT}\s?(?P<unit>{_UNIT})(?![\w/²])", _unit),
    # What is left of numbers.
    (rf"\b(?P<lead>(?i:{_YEAR_AFTER})|{'|'.join(_MONTHS)})\s+(?P<year>(?:1[1-9]|20)\d{{2}}){_END}",
     lambda m: f"{m['lead']} {year(int(m['year']))}"),
    (rf"{_EDGE}(?P<n>\d{{1,4}})(?:st|nd|rd|th)\b", lambda m: ordinal(int(m["n"]))),
    (rf"{_EDGE}(?P<top>\d{{1,3}})/(?P<bottom>\d{{1,3}}){_END}", _fraction),
    (rf"(?<![\w.,:)/-])[-−]{_AMOUNT}{_END}", _minus),
    (rf"{_EDGE}{_AMOUNT}{_END}", _plain),
)  # fmt: skip


def _euros(match: re.Match[str]) -> str:
    return f"{_number(match['whole'], match['part'])} euros"


def _decade(first: int) -> str:
    words = year(first)
    return (words[:-1] + "ies") if words.endswith("y") else words + "s"


_RULES: Final = tuple((re.compile(pattern), said) for pattern, said in _TEXTS)
