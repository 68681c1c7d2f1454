"""A simulated call on the terminal: its lines, the figures of every node, and what was not as it should be."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from echostack.cli.call_lines import CallLines
from echostack.cli.call_screen import beside, figures, styled, whole
from echostack.cli.output import console
from echostack.cli.report import write_lines
from echostack.cli.trace import Trace
from echostack.core.events import Event
from echostack.core.span import Source
from echostack.runtime.probe import CallView
from echostack.simulation.outcome import Outcome
from echostack.testing.report import failures_lines
from echostack.testing.result import told


class TraceProbe:
    """Writes every event of a call, audio by its length, to a trace. What cannot be written is told afterwards."""

    wants_audio = False

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._lost: OSError | None = None

    def wants(self, name: str) -> bool:
        """Everything."""
        return True

    def begin(self, view: CallView) -> None:
        """Nothing to prepare."""

    def event(self, event: Event) -> None:
        """Write it, unless writing has failed before."""
        if self._lost is None:
            try:
                self._trace.write(event)
            except OSError as error:
                self._lost = error

    def dropped(self, edge: str, event: Event) -> None:
        """A trace holds what happened; the statistics count what was lost."""

    def played(self, egress: str, event: Event, pcm: bytes, rate: int) -> None:
        """Not asked for."""

    def end(self) -> None:
        """The file is closed by its owner."""

    def raise_if_lost(self) -> None:
        """OSError with the file's name when not everything could be written."""
        if self._lost is not None:
            raise self._lost


def show_call(outcome: Outcome, sources: Mapping[str, Source], files: Mapping[str, str]) -> None:
    """The whole call on standard output."""
    out = console()
    lines = CallLines()
    for event in outcome.events:
        for line in lines.take(event):
            if line.style != "partial":
                out.print(styled(line))
    if outcome.stats is not None:
        out.print()
        out.print(figures(outcome.stats))
        out.print(whole(outcome.stats))
        for more in beside(outcome.stats):
            out.print(more)
    for what, where in files.items():
        out.print(f"{what}: {where}")
    if not outcome.ok:
        out.print()
        write_lines(failures_lines(told(outcome), sources), sys.stdout)


def call_data(outcome: Outcome, files: Mapping[str, str]) -> dict[str, Any]:
    """The same as JSON-ready data."""
    return {
        "scenario": outcome.scenario.name,
        "seed": outcome.seed,
        "seconds": round(outcome.seconds, 6),
        "ended": outcome.ended,
        "heard": [
            {"utterance": h.utterance, "text": h.text, "start": round(h.start, 6), "end": round(h.end, 6),
             "seconds": round(h.seconds, 6)}
            for h in outcome.heard
        ],
        "conversation": [asdict(turn) for turn in outcome.conversation],
        "written": {
            node: [{"time": round(w.time, 6), "key": w.key, "data": dict(w.data)} for w in store.writes]
            for node, store in outcome.stores.items()
        },
        "stats": asdict(outcome.stats) if outcome.stats is not None else None,
        "failures": [asdict(failure) for failure in told(outcome)],
        "files": dict(files),
    }  # fmt: skip
