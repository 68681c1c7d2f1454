"""What a YAML or a JSON document is made of, as the section readers and the formatter see it.

Offsets count code points of the Source's text. Every scalar can say where each character of its value stands,
whatever quotes, escapes and folded lines lie between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from echostack.core.span import Span
from echostack.language.source import Places

PlainValue = str | int | float | bool | None


@dataclass(eq=False)
class Node:
    """``start`` and ``end`` enclose the node's own text, without its anchor or tag.

    ``broken`` marks a node about which everything has been said already: readers pass over it in silence.
    """

    places: Places
    start: int
    end: int
    anchor: str = field(default="", kw_only=True)
    alias: str = field(default="", kw_only=True)
    alias_at: tuple[int, int] = field(default=(0, 0), kw_only=True)
    broken: bool = field(default=False, kw_only=True)

    @property
    def span(self) -> Span:
        if self.alias:
            return self.places.span(*self.alias_at)
        return self.places.span(self.start, self.end)


@dataclass(eq=False)
class ScalarNode(Node):
    """``style`` is "" for plain, or one of ``' " | >``; ``text`` the characters, ``value`` what they mean."""

    text: str
    value: PlainValue
    style: str = ""

    @property
    def raw(self) -> str:
        return self.places.text[self.start : self.end]

    @cached_property
    def offsets(self) -> list[int] | None:
        """Where each character of ``text`` stands, one entry more for its end; None when they stand in a row."""
        if self.style == "" and self.end - self.start == len(self.text):
            return None
        return _align(self.places.text, self.start, self.end, self.text, self.style)

    def sub(self, start: int, end: int) -> Span:
        """The place in the file of ``text[start:end]``."""
        return self.places.span(self.offset(start), self.end_offset(start, end))

    def offset(self, index: int) -> int:
        offsets = self.offsets
        return self.start + index if offsets is None else offsets[min(index, len(offsets) - 1)]

    def end_offset(self, start: int, end: int) -> int:
        # The end is one past the last character covered, not the start of the next: lines may lie between.
        if end <= start:
            return self.offset(start)
        offsets = self.offsets
        if offsets is None:
            return self.start + end
        last = offsets[min(end - 1, len(offsets) - 1)]
        if self.style in ("'", '"') and end < len(offsets) and self.places.text[last : last + 1] in ("'", "\\"):
            after = offsets[end]
            if "\n" not in self.places.text[last:after]:
                return after
        return last + 1


@dataclass(eq=False)
class SequenceNode(Node):
    items: list[Node]
    flow: bool = False


@dataclass(eq=False)
class Pair:
    """One entry of a mapping. A key that is no plain string has been reported and is not here."""

    key: ScalarNode
    value: Node


@dataclass(eq=False)
class MappingNode(Node):
    pairs: list[Pair]
    flow: bool = False

    def get(self, key: str) -> Node | None:
        return next((p.value for p in self.pairs if p.key.text == key), None)


_LONG = {"x": 2, "u": 4, "U": 8}
_BLANK = " \t\r\n\x85\u2028\u2029"


def _escape(text: str, at: int, char: str) -> int:
    """How many characters the escape at ``at`` takes, which stands for ``char``."""
    length = 2 + _LONG.get(text[at + 1 : at + 2], 0)
    # JSON writes a character beyond U+FFFF as two escapes.
    return length * 2 if length == 6 and ord(char) > 0xFFFF else length


def _align(text: str, start: int, end: int, value: str, style: str) -> list[int]:
    """Walk the value and its source side by side: everything but blanks appears in both, in the same order."""
    offsets: list[int] = []
    at = start
    if style in ("'", '"'):
        at, end = start + 1, max(start + 1, end - 1)
    elif style in ("|", ">"):
        newline = text.find("\n", start, end)
        at = end if newline < 0 else newline + 1
    for char in value:
        if style == '"' and text[at : at + 2] in ("\\\n", "\\\r"):
            at += 1  # an escaped line end stands for nothing
            while at < end and text[at] in _BLANK:
                at += 1
        if style == '"' and at < end and text[at] == "\\":
            offsets.append(at)
            at += _escape(text, at, char)
            continue
        if char in _BLANK:
            offsets.append(min(at, end))
            if at < end and text[at] in _BLANK:
                at += 1
            continue
        while at < end and text[at] in _BLANK:
            at += 1
        if style == '"' and at < end and text[at] == "\\":
            if text[at : at + 2] in ("\\\n", "\\\r"):
                at += 1
                while at < end and text[at] in _BLANK:
                    at += 1
            if text[at : at + 1] == "\\":
                offsets.append(at)
                at += _escape(text, at, char)
                continue
        offsets.append(min(at, end))
        at += 2 if style == "'" and text[at : at + 2] == "''" else 1
    offsets.append(min(at, end))
    return offsets
