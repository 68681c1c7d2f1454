"""Runs many scenarios, in this process or in several, and gives their results in the order in which they were asked."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from echostack.simulation.workers import spread
from echostack.testing.bench import Bench
from echostack.testing.collect import Run
from echostack.testing.result import Result

AHEAD = 8
"""Runs that each process is given before the first of them is asked for."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs of a command have in common; see ``Bench`` and ``Bench.result``."""

    plugins: tuple[str, ...] = ()
    real: tuple[str, ...] = ()
    record: Path | None = None
    path: tuple[str, ...] = ()
    """Where the plugins are looked for first."""


def results(runs: Iterable[Run], setting: Setting, bench: Bench, processes: int = 1) -> Generator[Result, None, None]:
    """The result of every run, in order, as soon as it and all before it are there.

    processes: how many work at it; 1 is this one, with ``bench``. Closing the iterator, or an exception inside it
    (Ctrl-C), ends the processes at once. WorkerDied when one of them ends by itself.
    """
    if processes == 1:
        for run in runs:
            yield bench.result(run.file, run.name, run.seed, record=setting.record)
        return
    yield from spread(
        runs, _work, processes, ahead=AHEAD, begin=_begin, given=(setting,),
        died=lambda run: f"a process of -j {processes} ended by itself, at {run.file}::{run.name} or just after it",
    )  # fmt: skip


_worker: tuple[Setting, Bench] | None = None
"""What this process works with, when it is one of several."""


def _begin(setting: Setting) -> None:
    """Prepare a process."""
    global _worker
    sys.path[:0] = [p for p in setting.path if p not in sys.path]
    _worker = (setting, Bench(setting.plugins, setting.real))


def _work(run: Run) -> Result:
    assert _worker is not None
    setting, bench = _worker
    return bench.result(run.file, run.name, run.seed, record=setting.record)
