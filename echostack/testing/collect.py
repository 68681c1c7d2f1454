"""Which runs a command means: the scenarios of its files that are chosen, each with its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.errors import InvalidFile, UsageError
from echostack.language.scenario import Scenario
from echostack.testing.bench import Bench
from echostack.testing.choose import chosen_by


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario of a file, once. ``seed`` None for its own."""

    file: Path
    name: str
    seed: int | None = None


@dataclass(slots=True)
class Collected:
    """What there is to run, and what keeps the rest from it.

    findings: everything that is wrong with the files and their graphs, warnings included. broken: files with errors,
    and the findings of each. unreadable: of files that cannot be opened. left_out: scenarios that are not chosen.
    """

    runs: list[Run] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    broken: dict[str, tuple[Diagnostic, ...]] = field(default_factory=dict)
    unreadable: list[UsageError] = field(default_factory=list)
    left_out: int = 0


def collect(
    bench: Bench, files: Sequence[Path], keyword: str = "", seed: int | None = None, runs: int = 1
) -> Collected:
    """The runs of the scenarios of ``files`` whose ``file::name`` fulfils ``keyword``, each with ``runs`` seeds from
    ``seed`` (its own when None) on. Graphs are checked here, so that each mistake is found once.

    UsageError for a keyword that means nothing.
    """
    wanted = chosen_by(keyword) if keyword else None
    found = Collected()
    for file in files:
        try:
            source = bench.read(file)
        except UsageError as error:
            found.unreadable.append(error)
            continue
        if source.source is not None:
            found.findings.sources[source.source.file] = source.source
        _add(found, source.name, source.findings)
        if source.broken:
            continue
        mine: list[Run] = []
        for scenario in source.scenarios:
            if wanted is not None and not wanted(f"{source.name}::{scenario.name}"):
                found.left_out += 1
                continue
            _check(found, bench, file, scenario)
            begin = scenario.seed if seed is None else seed
            mine += [Run(file, scenario.name, begin + i) for i in range(runs)]
        if source.name not in found.broken:
            found.runs += mine
    return found


def _check(found: Collected, bench: Bench, file: Path, scenario: Scenario) -> None:
    """Add what is wrong with the graph that a scenario runs."""
    try:
        plan = bench.plan(file, scenario)
    except InvalidFile as error:
        found.findings.sources.update(error.sources)
        _add(found, str(file), error.diagnostics)
    except Exception:  # noqa: BLE001 - told as the result of that scenario, which meets it again
        pass
    else:
        found.findings.sources.update(plan.checked.graph.sources)
        _add(found, str(file), plan.checked.warnings)


def _add(found: Collected, file: str, findings: Sequence[Diagnostic]) -> None:
    for finding in findings:
        found.findings.add(finding)
    if any(f.is_error for f in findings):
        found.broken[file] = tuple(dict.fromkeys([*found.broken.get(file, ()), *findings]))
