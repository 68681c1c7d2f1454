"""Cuts a text into sentences that can be spoken one by one, without cutting ``a.m.``, ``Dr. Lee`` or ``7.30``."""

from __future__ import annotations

import re
from typing import Final

from echostack.connectors.words import listed

_END = re.compile(r"[.!?…]+[\"'”’)]*(?=\s)|\n\s*\n")
_SHORT: Final = frozenset(listed("mr mrs ms dr st no vs etc e.g i.e a.m p.m approx prof jr sr dept ext inc ltd co"))


def sentences(text: str) -> list[str]:
    """The sentences of ``text``, stripped, none empty; joined by spaces they are the text with its spaces tidied."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        before = text[start : match.start()].rsplit(None, 1)
        last = before[-1].lower().lstrip("(\"'") if before else ""
        following = text[match.end() :].lstrip()[:1]
        dot = match.group().strip() == "."
        # After an abbreviation or an initial a new sentence may still begin, but a wrong cut sounds worse than none.
        if (
            dot
            and (last in _SHORT or (len(last) == 1 and last.isalpha() and last != "i"))
            and not (last in ("a.m", "p.m") and following.isupper())
        ):
            continue
        if dot and following.islower():
            continue
        _keep(found, text[start : match.end()])
        start = match.end()
    _keep(found, text[start:])
    return found


def _keep(found: list[str], piece: str) -> None:
    tidy = " ".join(piece.split())
    if tidy:
        found.append(tidy)
