"""What ``echostack test`` prints: a line a scenario as results come, then what failed, then the sum."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from echostack.cli.report import write_lines, write_text
from echostack.cli.report_data import finding_data
from echostack.cli.scenario_runs import Setting
from echostack.core.span import Source
from echostack.render.snippet import Line, Style, columns, spread
from echostack.testing.collect import Collected
from echostack.testing.report import result_lines
from echostack.testing.result import Result, Status

NAME_COLUMNS = 56
MOST_SEEDS = 10
_WORDS = {Status.PASSED: "ok", Status.FAILED: "FAILED", Status.ERROR: "ERROR"}
_STYLES = {Status.PASSED: Style.HELP, Status.FAILED: Style.ERROR, Status.ERROR: Style.ERROR}


def by_scenario(results: Iterable[Result]) -> Iterator[list[Result]]:
    """The runs of each scenario together; they come one after the other."""
    for _, runs in groupby(results, key=lambda result: result.id):
        yield list(runs)


def scenario_line(runs: Sequence[Result], *, verbose: bool = False) -> Line:
    """One scenario with all its runs: how it went, its name, how long its call was; with ``verbose``, how fast."""
    worst = _worst(runs)
    name, _ = spread(runs[0].name)
    pad = " " * max(1, NAME_COLUMNS - columns(name))
    shortest, longest = min(r.seconds for r in runs), max(r.seconds for r in runs)
    told = f"{longest:9.3f} s" if shortest == longest else f"{longest:9.3f} s (from {shortest:.3f} s)"
    if len(runs) > 1:
        failed = sum(not r.ok for r in runs)
        told += f"  {len(runs)} seeds" + (f", {failed} of them failed" if failed else "")
    if verbose and (took := sum(r.took for r in runs)) > 0:
        told += f"  {sum(r.seconds for r in runs) / took:,.0f} times real time"
    return ((Style.PLAIN, "  "), (_STYLES[worst], f"{_WORDS[worst]:<6}"), (Style.PLAIN, f"  {name}{pad}{told}"))


def failure_lines(runs: Sequence[Result], sources: Mapping[str, Source], options: tuple[str, ...] = ()) -> list[Line]:
    """The first run of a scenario that did not pass, whole, and with which other seeds it did not either."""
    bad = [run for run in runs if not run.ok]
    if not bad:
        return []
    lines = result_lines(bad[0], sources, options=options)
    if len(bad) > 1:
        seeds = ", ".join(str(run.seed) for run in bad[1 : MOST_SEEDS + 1])
        more = f" and {len(bad) - 1 - MOST_SEEDS} more" if len(bad) > MOST_SEEDS + 1 else ""
        lines.append(((Style.NOTE, "also with seed: "), (Style.PLAIN, f"{seeds}{more}")))
    return [*lines, ()]


def sum_line(results: Sequence[Result], found: Collected, *, interrupted: bool = False) -> str:
    """``2 passed, 1 failed`` in scenarios, and what kept others from being run."""
    groups = list(by_scenario(results))
    passed = sum(all(r.ok for r in runs) for runs in groups)
    errors = sum(_worst(runs) is Status.ERROR for runs in groups)
    failed = len(groups) - passed - errors
    parts = [(failed, "failed"), (errors, "could not be run"), (passed, "passed"), (found.left_out, "not chosen")]
    told = [f"{number} {word}" for number, word in parts if number]
    if broken := len(found.broken):
        told.append(f"{broken} file{'s' if broken > 1 else ''} with errors")
    return ("interrupted: " if interrupted else "") + (", ".join(told) or "nothing was run")


def results_data(
    results: Sequence[Result], found: Collected, files: Sequence[str], *, interrupted: bool = False
) -> dict[str, Any]:
    """Everything as JSON-ready data, for ``--json``."""
    return {
        "files": list(files),
        "passed": sum(r.ok for r in results),
        "failed": sum(r.status is Status.FAILED for r in results),
        "errors": sum(r.status is Status.ERROR for r in results),
        "not_chosen": found.left_out,
        "interrupted": interrupted,
        "runs": [{**r.data(), "findings": [finding_data(f) for f in r.findings]} for r in results],
        "findings": [finding_data(f) for f in found.findings.ordered()],
    }


class Screen:
    """Standard output: a line a scenario as soon as all its runs are there, and at the end what failed and the sum."""

    def __init__(self, found: Collected, setting: Setting, *, verbose: bool = False) -> None:
        self._found, self._verbose = found, verbose
        given = [("--real", node) for node in setting.real] + [("--plugin", module) for module in setting.plugins]
        self._options = tuple(word for pair in given for word in pair)
        self._file = ""
        self._runs: list[Result] = []
        self._counts: dict[tuple[str, str], int] = {}
        for run in found.runs:
            key = (str(run.file), run.name)
            self._counts[key] = self._counts.get(key, 0) + 1

    def show(self, result: Result) -> None:
        """One more result; those of a scenario come one after the other."""
        self._runs.append(result)
        if len(self._runs) == self._counts[result.file, result.name]:
            self._tell()

    def close(self, results: Sequence[Result], *, interrupted: bool = False) -> None:
        """Everything that is to be told in full, and the sum."""
        if self._runs:
            self._tell()
        findings, sources = self._found.findings.ordered(), self._found.findings.sources
        if self._file:
            print()
        if findings:
            write_text(findings, sources, sys.stdout)
        for group in by_scenario(results):
            write_lines(failure_lines(group, sources, self._options), sys.stdout)
        print(sum_line(results, self._found, interrupted=interrupted))

    def _tell(self) -> None:
        if self._runs[0].file != self._file:
            self._file = self._runs[0].file
            print(self._file)
        write_lines([scenario_line(self._runs, verbose=self._verbose)], sys.stdout)
        sys.stdout.flush()
        self._runs = []


def _worst(runs: Sequence[Result]) -> Status:
    for status in (Status.ERROR, Status.FAILED):
        if any(run.status is status for run in runs):
            return status
    return Status.PASSED
