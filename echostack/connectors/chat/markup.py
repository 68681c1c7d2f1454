"""What a model writes for the eye, taken out of what is for the ear: headings, lists, tables, code, emphasis, links."""

from __future__ import annotations

import html
import re
from typing import Final

from echostack.connectors.chat.cut import Cut
from echostack.connectors.spoken_numbers import ordinal

_FENCE: Final = re.compile(r"(?:```|~~~)")
_RULE: Final = re.compile(r"(?:[-*_=]\s*){3,}")
_TABLE_LINE: Final = re.compile(r"\|?(?:\s*:?-+:?\s*\|)+\s*(?::?-+:?)?\s*")
_HEADING: Final = re.compile(r"#{1,6}\s+(?P<text>.*?)\s*#*")
_BULLET: Final = re.compile(r"[-*+•·]\s+(?:\[[ xX]\]\s+)?(?P<text>.+)", re.S)
_NUMBERED: Final = re.compile(r"(?P<number>\d{1,3})[.)]\s+(?P<text>.+)", re.S)
_QUOTE: Final = re.compile(r"(?:>\s?)+")
_LINK: Final = re.compile(r"!?\[(?P<text>[^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
_NOTE: Final = re.compile(r"\[\^?[\w-]{1,8}\](?!\()")
_BRACKETED: Final = re.compile(r"<(https?://[^\s<>]+)>")
_TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_STRONG: Final = re.compile(r"\*\*|__|~~|`+")
_EMPHASIS: Final = re.compile(r"(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)|(?<=\S)_(?!\w)")
_ENDS: Final = re.compile(r"[.!?…:;,][\"'”’)]*")
_ORDERED: Final = 20  # items that are counted; further ones are said as they are


class Markup:
    """Pieces of one answer in, what is said of them out. It remembers only whether it is within a block of code."""

    def __init__(self) -> None:
        self._in_code = False

    def said(self, cut: Cut) -> str:
        """The words of a piece; empty for what is not read out. An item of a numbered list begins with its ordinal, and
        a line that has no full stop of its own gets one."""
        text = cut.text
        fences = len(_FENCE.findall(text))
        if fences and (cut.begins_line or self._in_code):
            self._in_code ^= fences % 2 == 1
            return ""
        if self._in_code:
            return ""
        stop = False
        if cut.begins_line:
            if _RULE.fullmatch(text) or _TABLE_LINE.fullmatch(text):
                return ""
            text, stop = _line(_QUOTE.sub("", text, count=1) if text.startswith(">") else text)
        text = _inline(text)
        if stop and cut.ends_line and text and not _ENDS.search(text[-2:]):
            text += "."
        return text


def _line(text: str) -> tuple[str, bool]:
    """A line without what marks it as a heading, an item or a row, and whether it was marked."""
    if text.startswith("|"):
        return ", ".join(cell.strip() for cell in text.strip("|").split("|") if cell.strip()), True
    heading = _HEADING.fullmatch(text)
    if heading is not None:
        return heading["text"], True
    bullet = _BULLET.fullmatch(text)
    if bullet is not None:
        return bullet["text"], True
    numbered = _NUMBERED.fullmatch(text)
    if numbered is not None and 0 < int(numbered["number"]) <= _ORDERED:
        return f"{ordinal(int(numbered['number'])).capitalize()}, {numbered['text']}", True
    return text, False


def _inline(text: str) -> str:
    text = _LINK.sub(lambda m: m["text"], text)
    text = _TAG.sub(" ", _BRACKETED.sub(r"\1", _NOTE.sub("", text)))
    text = html.unescape(text)
    return _EMPHASIS.sub("", _STRONG.sub("", text)).strip()
