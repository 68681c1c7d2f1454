"""What one run of one scenario came to, as plain data: it crosses processes, and every report is made from it."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from echostack.core import raised
from echostack.core.diagnostic import Diagnostic
from echostack.core.errors import TRACEBACK
from echostack.core.span import Source, Span
from echostack.simulation.expect import failure_timeline
from echostack.simulation.outcome import Outcome


class Status(StrEnum):
    """``error``: it could not be run, because the graph has errors or cannot play it."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Told:
    """One failure with what is shown of it: its words, its place, its instant, and the part of the call around it."""

    what: str
    span: Span | None = None
    at: float | None = None
    help: str = ""
    timeline: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario, run once. seconds: of the call, on its own clock. took: seconds of real time. line: where the
    scenario stands. findings, sources: what keeps the graph from being run. recorded: the folder of a recording."""

    file: str
    name: str
    line: int
    seed: int
    status: Status
    seconds: float = 0.0
    took: float = 0.0
    failures: tuple[Told, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    sources: tuple[Source, ...] = ()
    recorded: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything is as the scenario says."""
        return self.status is Status.PASSED

    @property
    def id(self) -> str:
        """``front_desk.echo::asks for lunch``"""
        return f"{self.file}::{self.name}"

    def data(self) -> dict[str, Any]:
        """The same as JSON-ready data; every key is always there."""
        return {
            "file": self.file, "name": self.name, "line": self.line, "seed": self.seed, "status": self.status.value,
            "seconds": round(self.seconds, 6), "took_seconds": round(self.took, 6),
            "failures": [
                {"message": f.what, "line": f.span.line if f.span else None, "file": f.span.file if f.span else None,
                 "column": f.span.column if f.span else None, "at": None if f.at is None else round(f.at, 6),
                 "help": f.help, "timeline": list(f.timeline)}
                for f in self.failures
            ],
            "recording": self.recorded or None,
        }  # fmt: skip


def told(outcome: Outcome) -> tuple[Told, ...]:
    """The failures of a call, with the part of it that each is about."""
    return tuple(Told(f.what, f.span, f.at, f.help, failure_timeline(outcome, f)) for f in outcome.failures)


def unexpected(error: BaseException, span: Span) -> Told:
    """An error that nobody raised on purpose: what it was and where it came from, its traceback when asked for."""
    what = f"an unexpected {raised.told(error)}"
    if os.environ.get(TRACEBACK):
        return Told("\n".join([what, *"".join(traceback.format_exception(error)).rstrip().split("\n")]), span)
    return Told(what, span, help=f"{TRACEBACK}=1 shows the way to it")
