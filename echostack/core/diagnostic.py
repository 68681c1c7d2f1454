"""Findings about a file, as data. How one is printed is decided in the command line, not here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from echostack.core.span import Provenance, Source, Span


class Severity(StrEnum):
    """How bad a finding is. Only an error keeps a file from running."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Code:
    """The stable identity of one kind of finding: ``E0203`` and the name of its page under docs/diagnostics/.

    Hundreds are stages: 01 document, 02 arrows and guards, 03 names and imports, 04 types and settings,
    05 topology and time, 06 environment, 07 running. ``E`` marks an error, ``W`` a warning.
    """

    id: str
    title: str

    @property
    def severity(self) -> Severity:
        return Severity.ERROR if self.id.startswith("E") else Severity.WARNING


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that a finding points at, with the words to print beside its caret."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what is wrong (``message``), where (``span``), why (``notes``), what to do (``help``)."""

    code: Code
    message: str
    span: Span | None = None
    label: str = ""
    related: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""
    via: tuple[Span, ...] = ()

    @property
    def severity(self) -> Severity:
        return self.code.severity

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


def at(code: Code, message: str, place: Provenance | Span | None, **rest: object) -> Diagnostic:
    """A diagnostic at a place, taking over the chain of imports when the place has one."""
    if isinstance(place, Provenance):
        return Diagnostic(code, message, place.span, via=place.via, **rest)  # type: ignore[arg-type]
    return Diagnostic(code, message, place, **rest)  # type: ignore[arg-type]


@dataclass(slots=True)
class Findings:
    """An append-only bag that a stage fills; stages collect every finding before they stop."""

    items: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    _seen: set[Diagnostic] = field(default_factory=set, repr=False, compare=False)

    def add(self, diagnostic: Diagnostic) -> None:
        # Two rules through the same endpoint find the same thing twice; a reader wants it once. The set keeps that
        # linear in a file with thousands of findings.
        if diagnostic not in self._seen:
            self._seen.add(diagnostic)
            self.items.append(diagnostic)

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self.items if d.is_error]

    @property
    def warnings(self) -> list[Diagnostic]:
        return [d for d in self.items if d.severity is Severity.WARNING]

    def ordered(self) -> list[Diagnostic]:
        """By file, line, column, then code; findings without a place come last."""
        return sorted(self.items, key=lambda d: (d.span is None, d.span or Span("", 0, 0, 0, 0), d.code.id, d.message))


def did_you_mean(word: str, known: Iterable[str], *, most: int = 3) -> tuple[str, ...]:
    """Up to ``most`` of the ``known`` words closest to ``word``, best first; empty when none is close."""
    return tuple(difflib.get_close_matches(word, sorted(set(known)), n=most, cutoff=0.6))
