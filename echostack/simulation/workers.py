"""Several processes at one piece of work; what comes is in the order in which it was asked for."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from echostack.core.errors import EchoStackError

Job = TypeVar("Job")
Done = TypeVar("Done")


class WorkerDied(EchoStackError):
    """A process ended while it worked: it was killed, or there was no memory left."""


def spread(
    jobs: Iterable[Job],
    work: Callable[[Job], Done],
    processes: int,
    *,
    ahead: int,
    begin: Callable[..., None],
    given: tuple[Any, ...],
    died: Callable[[Job], str],
) -> Generator[Done, None, None]:
    """What ``work`` makes of every job, in order, as soon as it and all before it are there.

    begin: prepares a process, with ``given``. ahead: jobs that each process is given before the first of them is asked
    for. Closing the iterator, or an exception inside it (Ctrl-C), ends the processes at once. WorkerDied, with what
    ``died`` says of the job, when one of them ends by itself.
    """
    pool = ProcessPoolExecutor(processes, initializer=_begin, initargs=(begin, given))
    waiting: deque[tuple[Job, Future[Done]]] = deque()
    left = iter(jobs)
    finished = False
    try:
        while True:
            for job in islice(left, processes * ahead - len(waiting)):
                waiting.append((job, pool.submit(work, job)))
            if not waiting:
                break
            job, future = waiting.popleft()
            try:
                done = future.result()
            except BrokenProcessPool:
                raise WorkerDied(died(job)) from None
            yield done
        finished = True
    finally:
        if not finished:
            for process in multiprocessing.active_children():
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(begin: Callable[..., None], given: tuple[Any, ...]) -> None:
    # A process is ended by the one that started it, not by the keyboard.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    begin(*given)
