"""For a program's own tests: the scenarios of a file by name, and one of them simulated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from echostack.core.errors import InvalidFile, UsageError
from echostack.registry import Registry
from echostack.runtime.probe import Probe
from echostack.simulation.outcome import Outcome
from echostack.testing.bench import Bench
from echostack.testing.files import read_tests
from echostack.testing.report import result_lines, text_of
from echostack.testing.result import Result, Status, told


def scenarios(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of a file's scenarios, in its order: for a parametrised test.

    InvalidFile with every finding when the file has errors, UsageError when it cannot be opened.
    """
    source = read_tests(Path(path))
    if source.broken:
        raise InvalidFile(source.findings, {source.source.file: source.source} if source.source else {})
    return tuple(scenario.name for scenario in source.scenarios)


def simulate(
    path: str | os.PathLike[str],
    scenario: str,
    *,
    seed: int | None = None,
    plugins: Sequence[str] = (),
    registry: Registry | None = None,
    real: Iterable[str] = (),
    probes: Sequence[Probe] = (),
) -> Outcome:
    """Run one scenario of a file on a virtual clock, and judge it: ``assert not simulate(...).failures``.

    seed: in place of the scenario's own. plugins: modules with connectors and functions that reply for nodes.
    registry: the connectors that there are, in place of the default ones. real: nodes that are not simulated.
    probes: who else watches. InvalidFile when the file or its graph has errors, UsageError when there is no such
    scenario or this graph cannot play it. Must not be called inside a running event loop.
    """
    bench = Bench(plugins, real, registry)
    file = Path(path)
    return bench.outcome(file, bench.scenario(file, scenario), seed, probes=probes)


def explain(outcome: Outcome) -> str:
    """What is wrong with a call, as ``echostack test`` tells it; empty for one that is as its scenario says."""
    scenario = outcome.scenario
    file = scenario.span.file
    status = Status.PASSED if outcome.ok else Status.FAILED
    result = Result(
        file, scenario.name, scenario.span.line, outcome.seed, status, outcome.seconds, failures=told(outcome)
    )
    try:
        source = read_tests(Path(file)).source
    except UsageError:  # it came from a text, not from a file
        source = None
    return text_of(result_lines(result, {file: source} if source is not None else {}))
