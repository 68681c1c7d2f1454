"""An asyncio event loop on virtual time: it never waits, it jumps to the next deadline when nothing is ready.

The order of everything is a function of the program alone: callbacks run first in, first out, and timers with equal
deadlines fire in the order in which they were made, which asyncio's own loops do not promise. There is no selector,
so nothing outside the loop (a socket, a thread, a wall clock) can move it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from echostack.core.errors import EchoStackError, UsageError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STANDSTILL_ROUNDS = 1_000_000
"""Rounds of the loop at one instant after which time is taken to stand still for good."""

_PURGE_AFTER = 100
_SNAP_DIGITS = 9


class Deadlock(EchoStackError):
    """Nothing is ready, no timer is pending, and so nothing will ever happen. The message names who waits for what."""


class Standstill(EchoStackError):
    """Callbacks run without end at one instant, so time never advances: somebody polls instead of waiting."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose ``time()`` is virtual and begins at 0.0.

    Time stands still while anything is ready and jumps to the next timer when nothing is. A deadline that lies within
    rounding error of a whole nanosecond is that nanosecond exactly, so that sleeping 0.02 s fifty times ends at 1.0.
    ``run_until_complete`` raises Deadlock or Standstill instead of hanging. Threads cannot reach it: their
    ``call_soon_threadsafe`` and any ``run_in_executor`` raise UsageError.
    """

    _stopping: bool

    def __init__(self) -> None:
        self._now = 0.0
        self._soon: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_numbers = itertools.count()
        self._cancelled_timers = 0
        self._rounds = 0
        self._task_numbers: weakref.WeakKeyDictionary[asyncio.Task[Any], int] = weakref.WeakKeyDictionary()
        self._next_task = itertools.count()
        self._home = threading.get_ident()
        self.unhandled: list[BaseException] = []
        """Errors that no task and no handler took: of callbacks, and of tasks whose result nobody asked for."""
        super().__init__()

    # -- time ---------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run ``callback`` at ``when``; after every timer of the same instant that was made earlier."""
        self._refuse_if_closed()
        when = self._exact(when)
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._timer_numbers), handle))
        return handle

    def _exact(self, when: float) -> float:
        """``when`` without the rounding error of the sum that it comes from, but never moved back to the present."""
        if not math.isfinite(when):
            if math.isnan(when):
                raise ValueError("a timer needs a time, not NaN")
            return when
        near = round(when, _SNAP_DIGITS)
        if abs(near - when) <= 4 * math.ulp(when) and (near > self._now or when <= self._now):
            return near
        return when

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        # asyncio calls this for every timer revoked; without a purge, a timeout around each event would pile up.
        self._cancelled_timers += 1
        if self._cancelled_timers > _PURGE_AFTER and 2 * self._cancelled_timers > len(self._timers):
            # The handle that is being cancelled does not say so yet.
            self._timers = [t for t in self._timers if t[2] is not handle and not t[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    # -- running ------------------------------------------------------------------------------------------------

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run ``callback`` in the next round, first in, first out."""
        self._refuse_if_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def _run_once(self) -> None:
        """One round: what is ready now, or else what becomes ready at the next deadline."""
        if not self._soon and not self._stopping:
            self._advance()
        timers, soon = self._timers, self._soon
        while timers and timers[0][0] <= self._now:
            soon.append(heapq.heappop(timers)[2])
        self._rounds += 1
        if self._rounds > STANDSTILL_ROUNDS:
            self._rounds = 0
            raise Standstill(
                f"time stands still at {self._now:g} s: callbacks have been ready for {STANDSTILL_ROUNDS:,} rounds"
                f"\n{self._tasks_in_words()}"
            )
        # What these callbacks schedule runs in the next round, as in every asyncio loop.
        for _ in range(len(soon)):
            handle = soon.popleft()
            if not handle.cancelled():
                handle._run()

    def _advance(self) -> None:
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
            self._cancelled_timers -= 1
        if not timers or timers[0][0] == math.inf:
            raise Deadlock(
                f"nothing will ever happen: at {self._now:g} s nothing is ready and no timer is pending"
                f"\n{self._tasks_in_words()}"
            )
        self._now = max(self._now, timers[0][0])
        self._rounds = 0

    def close(self) -> None:
        """Forget what is still scheduled; the loop must not be running."""
        super().close()
        self._soon.clear()
        self._timers.clear()

    def _refuse_if_closed(self) -> None:
        if self.is_closed():
            raise RuntimeError("Event loop is closed")

    # -- tasks --------------------------------------------------------------------------------------------------

    def create_task(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], *, name: object = None, context: Any = None
    ) -> asyncio.Task[T]:
        """As every loop does, and remember the order in which tasks were made."""
        task: asyncio.Task[T] = super().create_task(coro, name=name, context=context)
        self._task_numbers[task] = next(self._next_task)
        return task

    def pending(self) -> list[asyncio.Task[Any]]:
        """The tasks that are not done, in the order in which they were made."""
        return sorted(asyncio.all_tasks(self), key=lambda task: self._task_numbers.get(task, -1))

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log as asyncio does, and keep the error for ``run_virtual`` to raise."""
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.unhandled.append(error)
        super().default_exception_handler(context)

    def _tasks_in_words(self) -> str:
        tasks = self.pending()
        if not tasks:
            return "  no task is pending: the future that is run belongs to nobody"
        return "\n".join(f"  {_in_words(task)}" for task in tasks)

    # -- what would let something else than the program decide the order ---------------------------------------

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """``call_soon``, from the loop's own thread; UsageError from any other, whose timing is not virtual."""
        if threading.get_ident() != self._home:
            raise UsageError(
                f"the thread {threading.current_thread().name!r} called into a loop on virtual time, where the order "
                "of things must not depend on threads: run blocking work through the session's Compute"
            )
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        """Always UsageError: virtual time would run away while a thread works."""
        raise UsageError(
            f"{getattr(func, '__qualname__', func)!r} cannot run in a thread on virtual time: the clock would run away "
            "while it works; run it through the session's Compute (InlineCompute)"
        )


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` on a virtual loop of its own to its end and return its result.

    Like ``asyncio.run``: what is left is cancelled, in the order in which it was made, and awaited, asynchronous
    generators are closed, and the loop is closed. Raises Deadlock or Standstill when ``main`` cannot end, and an
    ExceptionGroup of errors that nobody took when ``main`` itself ends well.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        main.close()
        raise RuntimeError("run_virtual() cannot be called from a running event loop")
    loop = VirtualLoop()
    try:
        try:
            result = loop.run_until_complete(main)
        finally:
            _cancel_leftovers(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    if loop.unhandled:
        raise BaseExceptionGroup("errors that nobody took", loop.unhandled)
    return result


def _cancel_leftovers(loop: VirtualLoop) -> None:
    # A cancelled task may start another while it ends; ten generations of that is a loop without end.
    for _ in range(10):
        left = loop.pending()
        if not left:
            return
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        for task in left:
            if not task.cancelled() and (error := task.exception()) is not None:
                loop.call_exception_handler(
                    {"message": "unhandled error while run_virtual() ended", "exception": error, "task": task}
                )
    raise Standstill(f"tasks go on starting tasks after they were cancelled\n{loop._tasks_in_words()}")


def _in_words(task: asyncio.Task[Any]) -> str:
    """``'playout' waits in Playout.run (playout.py:120) > Event.wait (locks.py:213) for task 'reader'``."""
    chain = " > ".join(_frames(task.get_coro())) or "code that does not say where it waits"
    awaited = getattr(task, "_fut_waiter", None)
    if awaited is None:
        what = "its next turn"
    elif isinstance(awaited, asyncio.Task):
        what = f"task {awaited.get_name()!r}"
    else:
        what = "a future that nobody has set"
    return f"{task.get_name()!r} waits in {chain} for {what}"


def _frames(awaiting: Any) -> list[str]:
    """Where each coroutine of a chain of awaits stands, outermost first."""
    found: list[str] = []
    while awaiting is not None:
        for prefix, inner in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame: FrameType | None = getattr(awaiting, f"{prefix}_frame", None)
            code: CodeType | None = getattr(awaiting, f"{prefix}_code", None)
            if frame is not None and code is not None:
                found.append(f"{awaiting.__qualname__} ({Path(code.co_filename).name}:{frame.f_lineno})")
                awaiting = getattr(awaiting, inner, None)
                break
        else:
            break
    return found
