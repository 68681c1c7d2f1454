"""Places in source text, and the chain of imports that led to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of source text. Lines and columns count from 1, columns in code points.

    ``end_column`` is one past the last column covered; an empty range marks a place between two characters.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def to(self, other: Span) -> Span:
        """The range from the start of this span to the end of ``other`` (same file)."""
        return Span(self.file, self.line, self.column, other.end_line, other.end_column)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where something in an expanded graph comes from: its own place, then each import that brought it in.

    ``via`` runs from the innermost import site outwards, so the last entry lies in the file the user opened.
    """

    span: Span
    via: tuple[Span, ...] = ()

    def through(self, site: Span) -> Provenance:
        """The same place, seen through one more import at ``site``."""
        return Provenance(self.span, (*self.via, site))


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file as it was read; diagnostics quote their lines from it."""

    file: str
    text: str

    def line(self, number: int) -> str:
        """Line ``number`` (from 1) without its end, or the empty string past the last."""
        lines = _lines(self.text)
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


@lru_cache(maxsize=8)
def _lines(text: str) -> list[str]:
    """Split once a text: as many findings quote it as it has mistakes."""
    return text.split("\n")
