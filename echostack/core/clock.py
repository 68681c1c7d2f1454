"""Time and blocking work, injected. Only this module reads a clock or sleeps.

A clock follows the event loop that it runs in: under the simulator's loop, whose ``time()`` is virtual, the same
code runs on virtual time without knowing it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

A = ParamSpec("A")
R = TypeVar("R")


class Clock(Protocol):
    """What everything below the command line knows of time. Seconds throughout."""

    def now(self) -> float:
        """Seconds since the clock began; never goes back."""

    def wall(self) -> float:
        """Seconds since the Unix epoch, for stamps that people read; may jump."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a cancellation point even at 0."""

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """``async with clock.timeout(s)``: TimeoutError past the deadline; None waits for ever."""

    def call_later(self, seconds: float, call: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Run ``call`` synchronously after ``seconds``; the handle's ``cancel()`` revokes it."""


class LoopClock:
    """The clock of the running event loop; 0 is when it was made. Make it inside the loop that will use it.

    wall: tells the Unix time; the loop's own ``wall`` when it has one (virtual time does), else ``time.time``.
    """

    def __init__(self, *, wall: Callable[[], float] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time  # bound once: every event is stamped with it
        self._start = self._time()
        own: Callable[[], float] = getattr(self._loop, "wall", time.time)
        self._wall = wall or own

    def now(self) -> float:
        return self._time() - self._start

    def restart(self) -> None:
        """Count from this instant. For whoever made the clock, before anyone has read a time that matters."""
        self._start = self._loop.time()

    def wall(self) -> float:
        return self._wall()

    async def sleep(self, seconds: float) -> None:
        if not seconds > 0:
            await asyncio.sleep(0)
            return
        # As asyncio.sleep does it, without a second coroutine: every frame of every call passes here.
        loop = self._loop
        due = loop.create_future()
        timer = loop.call_later(seconds, _settle, due)
        try:
            await due
        finally:
            timer.cancel()

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        return asyncio.timeout(seconds)

    def call_later(self, seconds: float, call: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds if seconds > 0.0 else 0.0, call, *args)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def stopwatch() -> Callable[[], float]:
    """A function that gives the seconds of real time since this call: for telling a person how long work took, and
    for nothing that a call's course depends on."""
    begun = time.perf_counter()
    return lambda: time.perf_counter() - begun


class Compute(Protocol):
    """Where a connector's blocking or heavy work runs: a model's inference, a file's write."""

    async def run(self, work: Callable[A, R], *args: A.args, **kwargs: A.kwargs) -> R:
        """The result of ``work(*args)``. Cancelling the await does not stop work that has begun."""

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""


class _DaemonThreads(Executor):
    """A bounded pool of daemon threads. concurrent.futures' own pool is joined at the end of the program, which a
    device that hangs would then hold up for good."""

    def __init__(self, threads: int) -> None:
        self._limit = threads
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._idle = 0
        self._closed = False
        self.running = 0

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Run ``fn`` on a thread, a new one while there are fewer than the limit. RuntimeError once shut down."""
        future: Future[R] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the compute threads of this call are closed")
            self._work.put((future, lambda: fn(*args, **kwargs)))
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._limit:
                thread = threading.Thread(target=self._serve, name=f"echostack-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            future, work = item
            if future.set_running_or_notify_cancel():
                self._count(1)
                try:
                    result = work()
                except BaseException as error:  # noqa: BLE001 - whoever awaits it gets it
                    self._count(-1)
                    future.set_exception(error)
                else:
                    self._count(-1)
                    future.set_result(result)
            del item, future, work
            with self._lock:
                self._idle += 1

    def _count(self, change: int) -> None:
        with self._lock:
            self.running += change

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; threads end when they are idle. Nothing is waited for, whatever ``wait`` says."""
        with self._lock:
            self._closed = True
        for _ in self._threads:
            self._work.put(None)


class ThreadCompute:
    """Blocking work on a bounded number of threads: for calls on real time.

    The threads are daemons: work that never returns (a device that hangs) holds up neither the end of its call nor
    the end of the program.
    """

    def __init__(self, threads: int = 4) -> None:
        self._pool = _DaemonThreads(threads)

    async def run(self, work: Callable[A, R], *args: A.args, **kwargs: A.kwargs) -> R:
        # Through the loop, because a loop on virtual time refuses threads.
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))

    @property
    def running(self) -> int:
        """How many pieces of work are being done at this instant."""
        return self._pool.running

    def close(self) -> None:
        self._pool.shutdown()


class InlineCompute:
    """Work in place, at once: for virtual time, where a thread would let the clock run away (FACTS)."""

    async def run(self, work: Callable[A, R], *args: A.args, **kwargs: A.kwargs) -> R:
        result = work(*args, **kwargs)
        await asyncio.sleep(0)
        return result

    def close(self) -> None:
        """Nothing to close."""
