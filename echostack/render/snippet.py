"""Source lines with carets under the words that a finding is about.

Columns of a terminal are not characters: a tab runs to the next stop, a wide character takes two, a combining one
none, and a control character is shown by its number so that it cannot turn or hide the text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from echostack.core.span import Source, Span

TAB = 4
MOST_COLUMNS = 160
"""A longer line is cut on both sides of what is pointed at."""
BEFORE = 40


class Style(StrEnum):
    """What a piece of text is, for whoever colours it."""

    PLAIN = "plain"
    MESSAGE = "message"
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    GUTTER = "gutter"
    SECOND = "second"
    HELP = "help"


Piece = tuple[Style, str]
Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Pointer:
    """A range of source to underline, with ``mark`` (``^`` or ``~``) and the words beside it."""

    span: Span
    text: str
    mark: str
    style: Style


def snippet(sources: Mapping[str, Source], pointers: Sequence[Pointer], gutter: int) -> list[Line]:
    """The lines of the first pointer's file, then those of the others, each with its carets under it.

    ``gutter`` is the width of the line numbers. Pointers into files whose text is not known show their place only.
    """
    lines: list[Line] = []
    files = list(dict.fromkeys(p.span.file for p in pointers))
    for file in files:
        mine = [p for p in pointers if p.span.file == file]
        first = file == files[0]
        place = min(mine, key=lambda p: p.span) if not first else mine[0]
        lines.append(((Style.GUTTER, f"{' ' * gutter}{'-->' if first else ':::'} "), (Style.PLAIN, str(place.span))))
        source = sources.get(file)
        if source is not None:
            lines += _quote(source, mine, gutter)
        else:
            lines += [_bare(p, gutter) for p in mine if p.text]
    return lines


def _bare(pointer: Pointer, gutter: int) -> Line:
    return ((Style.GUTTER, f"{' ' * gutter} = "), (pointer.style, pointer.text))


def _quote(source: Source, pointers: Sequence[Pointer], gutter: int) -> list[Line]:
    bar: Line = ((Style.GUTTER, f"{' ' * gutter} |"),)
    lines: list[Line] = [bar]
    last = 0
    for number in sorted({p.span.line for p in pointers}):
        if last and number > last + 1:
            lines.append(((Style.GUTTER, f"{'.' * max(3, gutter)}"),))
        last = number
        here = sorted((p for p in pointers if p.span.line == number), key=lambda p: (p.mark != "^", p.span.column))
        lines += _one_line(source, number, here, gutter)
    return lines


def _one_line(source: Source, number: int, pointers: Sequence[Pointer], gutter: int) -> list[Line]:
    text = source.line(number)
    shown, starts = spread(text)
    ranges = [_range(p.span, starts) for p in pointers]
    left, right = _window(shown, starts, ranges)
    visible = shown[_index(shown, left) : _index(shown, right)]
    before, after = "… " if left else "", " …" if right < starts[-1] else ""
    lines: list[Line] = [
        ((Style.GUTTER, f"{number:>{gutter}} | "), (Style.PLAIN, f"{before}{visible}{after}".rstrip()))
    ]
    for pointer, (begin, end) in zip(pointers, ranges, strict=True):
        begin, end = max(begin, left), min(end, right)
        pad = " " * (begin - left + len(before))
        words = pointer.text
        if pointer.span.end_line > number:
            words = f"{words} (down to line {pointer.span.end_line})".strip()
        carets = pointer.mark * max(1, end - begin)
        lines.append(
            ((Style.GUTTER, f"{' ' * gutter} | "), (pointer.style, f"{pad}{carets}{f' {words}' if words else ''}"))
        )
    return lines


def spread(text: str) -> tuple[str, list[int]]:
    """``text`` as a terminal can show it, and for every character of it (and its end) the column where it begins."""
    if text.isascii() and text.isprintable():  # nearly every line, and a tenth of the time
        return text, list(range(len(text) + 1))
    shown, starts, column = [], [], 0
    for character in text:
        starts.append(column)
        if character == "\t":
            piece = " " * (TAB - column % TAB)
        elif unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            piece = f"<U+{ord(character):04X}>"
        else:
            piece = character
        shown.append(piece)
        column += columns(piece)
    return "".join(shown), [*starts, column]


def columns(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _range(span: Span, starts: Sequence[int]) -> tuple[int, int]:
    """The columns that a span covers on its first line; at least one, also for an empty span."""
    last = len(starts) - 1
    begin = starts[min(max(span.column - 1, 0), last)]
    end = starts[last] if span.end_line > span.line else starts[min(max(span.end_column - 1, 0), last)]
    return begin, max(end, begin + 1)


def _window(shown: str, starts: Sequence[int], ranges: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Which columns of a long line are shown: as many as fit, from a little before the first caret."""
    if starts[-1] <= MOST_COLUMNS:
        return 0, starts[-1]
    wanted = max(0, min(begin for begin, _ in ranges) - BEFORE)
    left = _edge(shown, wanted)
    return left, _edge(shown, min(left + MOST_COLUMNS, starts[-1]))


def _edge(shown: str, column: int) -> int:
    """The first column at or after ``column`` at which a character begins."""
    at = 0
    for character in shown:
        if at >= column:
            return at
        at += columns(character)
    return at


def _index(shown: str, column: int) -> int:
    """The index of the character that begins at ``column``."""
    at = 0
    for index, character in enumerate(shown):
        if at >= column:
            return index
        at += columns(character)
    return len(shown)
