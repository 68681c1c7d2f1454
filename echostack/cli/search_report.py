"""What ``echostack search`` prints: a line while it runs, then what it found, then how much was searched."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echostack.cli.output import columns
from echostack.simulation.search.run import Searched
from echostack.testing.searching import Found


class Progress:
    """One line on a terminal's stderr that is written over and over; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def searched(self, so_far: Searched) -> None:
        """So many runs are done."""
        batch = so_far.batch
        self._say(
            f"{batch.runs:,} of {so_far.search.runs:,} runs, {so_far.speed:,.0f} times real time,"
            f" {_count(sum(batch.violated.values()), 'violation')}"
        )

    def shrinking(self, invariant: str, calls: int) -> None:
        """A scenario is being made smaller."""
        self._say(f"making it small: {invariant}, {_count(calls, 'call')}")

    def close(self) -> None:
        """Leave the line empty."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _say(self, line: str) -> None:
        if self._shown:
            print(f"\r\x1b[K{line[: columns() - 1]}", end="", file=sys.stderr, flush=True)


def report(
    searched: Searched, found: Sequence[Found], file: Path, scenario: str, again: Sequence[str] = ()
) -> list[str]:
    """The report, line by line. again: the options of this search that a call to what was found needs as well."""
    batch, search = searched.batch, searched.search
    lines: list[str] = []
    for one in found:
        lines += _found_lines(one, again)
    told = f"{file}::{scenario}: {_count(batch.runs, 'run')} of {search.runs:,}, seed {search.seed}"
    if searched.interrupted:
        told = f"interrupted: {told}"
    lines.append(told)
    lines.append(
        f"  {batch.seconds / 3600:,.1f} hours of calls in {searched.took:,.1f} s, {searched.speed:,.0f} times real time"
    )
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in batch.kinds.most_common())
    lines.append(f"  varied: {kinds or 'nothing'}")
    lines.append(f"  at {_count(len(batch.instants), 'instant')}; the call as it stands has {searched.instants:,}")
    if batch.unplayed:
        lines.append(f"  {_count(batch.unplayed, 'run')} could not be played: {batch.why}")
    if found:
        violated = ", ".join(f"{name} {count:,}" for name, count in batch.violated.most_common())
        lines.append(f"  violated: {violated}")
    else:
        lines.append("  no violation")
    return lines


def _found_lines(one: Found, again: Sequence[str]) -> list[str]:
    script = one.scenario
    parts = [_count(len(script.caller.steps), "step"), f"seed {script.seed}"]
    faults = sum(len(s.faults) for s in script.connectors.values())
    if faults:
        parts.insert(1, _count(faults, "fault"))
    if script.shuffle:
        parts.append("shuffled")
    lines = [f"VIOLATED  {one.invariant}: {_count(one.runs, 'run')}, the first of them number {one.number}"]
    at = f" (at {one.failure.at:.3f} s)" if one.failure.at is not None else ""
    lines.append(f"  {one.failure.what}{at}")
    lines.append(f"  smallest: {', '.join(parts)}; {_count(one.calls, 'call')} to make it so")
    if one.file is not None:
        command = shlex.join(["echostack", "test", str(one.file), *again])
        how = command if one.reproduced else f"{one.file}, which, read again, does not do it again"
        lines.append(f"  saved: {how}")
    if one.why:
        lines.append(f"  not saved: {one.why}")
    lines.append("")
    return lines


def data(searched: Searched, found: Sequence[Found], file: Path, scenario: str) -> dict[str, Any]:
    """The same as JSON-ready data; every key is always there."""
    batch, search = searched.batch, searched.search
    return {
        "file": str(file), "scenario": scenario, "runs": batch.runs, "asked": search.runs, "seed": search.seed,
        "interrupted": searched.interrupted, "seconds": round(batch.seconds, 3),
        "took_seconds": round(searched.took, 3), "times_real_time": round(searched.speed, 1),
        "instants": len(batch.instants),
        "instants_of_the_call": searched.instants, "kinds": dict(batch.kinds.most_common()),
        "unplayed": batch.unplayed, "violated": dict(batch.violated.most_common()),
        "found": [
            {
                "invariant": one.invariant, "runs": one.runs, "run": one.number, "message": one.failure.what,
                "at": None if one.failure.at is None else round(one.failure.at, 6), "seed": one.scenario.seed,
                "shuffle": one.scenario.shuffle, "steps": len(one.scenario.caller.steps), "calls": one.calls,
                "file": None if one.file is None else str(one.file), "reproduced": one.reproduced,
                "not_saved": one.why,
            }
            for one in found
        ],
    }  # fmt: skip


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
