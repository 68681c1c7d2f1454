"""Time and blocking work, injected. Only this module reads a clock or sleeps.

A clock follows the event loop that it runs in: under the simulator's loop, whose ``time()`` is virtual, the same
code runs on virtual time without knowing it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    """The clock of the running event loop; 0 is when it was made. Make it inside the loop that will use it."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._wall = wall

    def now(self) -> float:
        return self._loop.time() - self._start

    def restart(self) -> None:
        """Count from this instant. For whoever made the clock, before anyone has read a time that matters."""
        self._start = self._loop.time()

    def wall(self) -> float:
        return self._wall()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        return asyncio.timeout(seconds)

    def call_later(self, seconds: float, call: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return self._loop.call_later(max(0.0, seconds), call, *args)


class Compute(Protocol):
    """Where a connector's blocking or heavy work runs: a model's inference, a file's write."""

    async def run(self, work: Callable[A, R], *args: A.args, **kwargs: A.kwargs) -> R:
        """The result of ``work(*args)``. Cancelling the await does not stop work that has begun."""

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""


class ThreadCompute:
    """Blocking work on a bounded pool of threads: for calls on real time."""

    def __init__(self, threads: int = 4) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="echostack")

    async def run(self, work: Callable[A, R], *args: A.args, **kwargs: A.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class InlineCompute:
    """Work in place, at once: for virtual time, where a thread would let the clock run away (FACTS)."""

    async def run(self, work: Callable[A, R], *args: A.args, **kwargs: A.kwargs) -> R:
        result = work(*args, **kwargs)
        await asyncio.sleep(0)
        return result

    def close(self) -> None:
        """Nothing to close."""
