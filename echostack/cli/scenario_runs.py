"""Runs many scenarios, in this process or in several, and gives their results in the order in which they were asked."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from echostack.core.errors import EchoStackError
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


class WorkerDied(EchoStackError):
    """A process ended while it ran a scenario: it was killed, or there was no memory left."""


def results(runs: Iterable[Run], setting: Setting, bench: Bench, processes: int = 1) -> Generator[Result, None, None]:
    """The result of every run, in order, as soon as it and all before it are there.

    processes: how many work at it; 1 is this one, with ``bench``. Closing the iterator, or an exception inside it
    (Ctrl-C), ends the processes at once. WorkerDied when one of them ends by itself.
    """
    if processes == 1:
        for run in runs:
            yield bench.result(run.file, run.name, run.seed, record=setting.record)
        return
    yield from _spread(iter(runs), setting, processes)


def _spread(runs: Iterator[Run], setting: Setting, processes: int) -> Generator[Result, None, None]:
    pool = ProcessPoolExecutor(processes, initializer=_begin, initargs=(setting,))
    ahead: deque[tuple[Run, Future[Result]]] = deque()
    finished = False
    try:
        while True:
            while len(ahead) < processes * AHEAD and (run := next(runs, None)) is not None:
                ahead.append((run, pool.submit(_work, run)))
            if not ahead:
                break
            run, future = ahead.popleft()
            try:
                result = future.result()
            except BrokenProcessPool:
                near = f"{run.file}::{run.name}"
                raise WorkerDied(f"a process of -j {processes} ended by itself, at {near} or just after it") from None
            yield result
        finished = True
    finally:
        if not finished:
            for process in multiprocessing.active_children():
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


_worker: tuple[Setting, Bench] | None = None
"""What this process works with, when it is one of several."""


def _begin(setting: Setting) -> None:
    """Prepare a process: it is ended by the one that started it, not by the keyboard."""
    global _worker
    import sys

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    sys.path[:0] = [p for p in setting.path if p not in sys.path]
    _worker = (setting, Bench(setting.plugins, setting.real))


def _work(run: Run) -> Result:
    assert _worker is not None
    setting, bench = _worker
    return bench.result(run.file, run.name, run.seed, record=setting.record)
