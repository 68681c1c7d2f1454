"""Words to test connectors with."""

from __future__ import annotations

from typing import Final

UNICODE: Final = {
    "combining": "Zoe\u0308 a\u0301te pho\u031b\u0309",
    "right to left": "שלום, איפה אתם? مرحبا بك",
    "no spaces": "你好，请问几点开门？",
    "emoji": "fine 👍🏽 family 👩‍👩‍👧 flag 🇨🇭 end",
    "invisible": "soft\u00adhyphen zero\u200bwidth \u202eturned\u202c \ufeffmark",
    "far planes": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 end",
    "NUL": "before\x00after \x07 \x1b[31m end",
    "line ends": "one\r\ntwo\u2028three\x85four",
    "json": '{"type": "error", "text": "\\u0000\\"}',
    "markup": "<speak>&amp; <b>x</b></speak> ]]> %s {0} ${KEY}",
}
"""Text of every sort, by what is special about it."""

BLANK: Final = {"empty": "", "blank": " ", "lines": "\n\t \r\n", "no-break": "\u00a0\u2003"}
"""Text without a word in it."""

_TENS: Final = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet")


def numbered(count: int) -> tuple[str, ...]:
    """``count`` different sentences of three or four words, none of them part of another; a space after each."""
    return tuple(" ".join(_TENS[int(d)] for d in f"{n:03d}").capitalize() + " stop. " for n in range(count))


def letters(text: str) -> str:
    """The letters of ``text`` alone, in lower case: what must not be lost whatever is done to spaces and marks."""
    return "".join(c for c in text.lower() if c.isalpha())


_TALK: Final = (
    "I would like to book a table for two people tomorrow evening and my name is Smith and then please call me again "
    "before you close the shop because my sister wants to come along and bring her friends"
)


def long_turn(words: int) -> str:
    """A caller who does not stop: that many words."""
    talk = _TALK.split()
    return " ".join(talk[n % len(talk)] for n in range(words))
