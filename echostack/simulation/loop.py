"""An asyncio event loop on virtual time: it never waits, it jumps to the next deadline when nothing is ready.

The order of everything is a function of the program alone: callbacks run first in, first out, and timers with equal
deadlines fire in the order in which they were made, which asyncio's own loops do not promise. There is no selector,
so nothing outside the loop (a socket, a thread, a wall clock) can move it, and what would go behind its back is
refused (``guards.py``).

Asked to search, it draws the order from a seed wherever no program may count on one, and nowhere else:

- *Timers that are due together* fire in any order. asyncio says so of equal deadlines ("it is undefined which will be
  called first"). With ``jitter``, deadlines nearly equal are due together too: the loop wakes up late, by no more than
  that, as on a busy machine; none ever fires early. They are the callers of one instant: who comes first is chance.
- *Steps of different tasks that stand next to each other in one round* run in any order: tasks owe each other nothing
  but what they say by events, queues and futures, and those hold in every order.
- Everything else keeps its place. ``call_soon`` promises first in, first out, so callbacks, those of futures among
  them, are never exchanged; and no step passes one, because a callback that was added to a future before somebody
  awaited it runs before that somebody goes on. Two steps of one task keep their order.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import math
import random
import sys
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from functools import partial
from itertools import count
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from echostack.core.errors import EchoStackError
from echostack.simulation.deadlock import tasks_in_words
from echostack.simulation.guards import NETWORK, ORDER, PROCESS, THREAD, Guarded, NotVirtual, guarded, refuse
from echostack.simulation.handles import SoonHandle, VirtualTask, VirtualTimer, number_of, revoked, stepped

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STANDSTILL_ROUNDS = 1_000_000
"""Rounds of the loop at one instant after which time is taken to stand still for good."""

WALL = 946_684_800.0
"""What a wall clock shows at virtual 0.0 unless told otherwise: midnight of 1 January 2000, UTC."""

_PURGE_AFTER = 100
_NANOSECONDS = 1e9
_ROUNDING = 4 * sys.float_info.epsilon
_COLLECT_AFTER = 10_000
_COLLECT_ALL_AFTER = 256


class Deadlock(EchoStackError):
    """Nothing is ready, no timer is pending, and so nothing will ever happen. The message names who waits for what."""


class Standstill(EchoStackError):
    """Callbacks run without end at one instant, so time never advances: somebody polls instead of waiting."""


class VirtualLoop(Guarded, asyncio.BaseEventLoop):
    """An event loop whose ``time()`` is virtual and begins at 0.0.

    Time stands still while anything is ready and jumps to the next timer when nothing is. A deadline that lies within
    rounding error of a whole nanosecond is that nanosecond exactly, so that sleeping 0.02 s fifty times ends at 1.0.
    ``run_until_complete`` raises Deadlock or Standstill instead of hanging, and NotVirtual is raised wherever a
    socket, a thread, a process, ``time.sleep`` or a real clock is asked for while it runs.

    shuffle: draws the order of what may come in any order (see above); None keeps the one order. jitter: seconds
    within which deadlines are due together, only with ``shuffle``. wall: Unix time at virtual 0.0.
    """

    _stopping: bool
    _closed = True  # until the base class has made it one that needs closing
    _asyncgens: Any

    def __init__(self, shuffle: random.Random | None = None, *, jitter: float = 0.0, wall: float = WALL) -> None:
        if not 0.0 <= jitter < math.inf:
            raise ValueError(f"jitter is a number of seconds, 0 or more, not {jitter!r}")
        self._shuffle = shuffle
        self._jitter = jitter if shuffle is not None else 0.0
        self._wall = wall
        self._now = 0.0
        self._soon: deque[SoonHandle | VirtualTimer] = deque()
        self._timers: list[tuple[float, int, VirtualTimer]] = []
        self._timer_numbers = count()
        self._cancelled_timers = 0
        self._collections = 0
        self._task_numbers = count(1)
        self._home = threading.get_ident()
        self.refused: list[NotVirtual] = []
        self.unhandled: list[BaseException] = []
        """Errors that no task and no handler took: of callbacks, and of tasks whose result nobody asked for."""
        super().__init__()
        self._asyncgens = _InOrder()

    # -- time ---------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def wall(self) -> float:
        """Seconds since the Unix epoch, as a wall clock on virtual time shows them: the same on every run."""
        return self._wall + self._now

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run ``callback`` after ``delay`` seconds."""
        return self._timer(self._now + delay, callback, args, context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run ``callback`` at ``when``; after every timer of the same instant that was made earlier."""
        return self._timer(when, callback, args, context)

    def _timer(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.TimerHandle:
        if self._closed:
            self._refuse_if_closed()
        # The nanosecond that it means, without the rounding error of the sum that it comes from; the quotient of a
        # whole number is the nearest float to it. A deadline is never moved back to the present.
        try:
            near = int(when * _NANOSECONDS + 0.5) / _NANOSECONDS
        except OverflowError:
            near = when
        except ValueError:
            raise ValueError("a timer needs a time, not NaN") from None
        if near != when and abs(near - when) <= _ROUNDING * when and (near > self._now or when <= self._now):
            when = near
        handle = VirtualTimer(when, callback, args, self, copy_context() if context is None else context)
        heapq.heappush(self._timers, (when, next(self._timer_numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        # A handle calls this when it is revoked before its time; without a purge, a timeout around each event would
        # pile up.
        self._cancelled_timers += 1
        if self._cancelled_timers > _PURGE_AFTER and 2 * self._cancelled_timers > len(self._timers):
            self._timers[:] = [t for t in self._timers if not t[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    # -- running ------------------------------------------------------------------------------------------------

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run ``callback`` in the next round, first in, first out."""
        if self._closed:
            self._refuse_if_closed()
        handle = SoonHandle(callback, args, copy_context() if context is None else context)
        self._soon.append(handle)
        return handle

    def run_forever(self) -> None:
        """Run until ``stop()``, guarded against what goes behind the loop's back."""
        with guarded():
            super().run_forever()

    def _run_once(self) -> None:
        """Rounds until somebody stops the loop: what is ready now, or else what becomes ready at the next deadline."""
        timers, soon, shuffle = self._timers, self._soon, self._shuffle
        pop, next_ready = heapq.heappop, soon.popleft
        rounds = done = 0
        while True:
            if not soon and not self._stopping:
                self._advance()
                rounds = 0
            now = self._now
            if timers and timers[0][0] <= now:
                if shuffle is None:
                    while timers and timers[0][0] <= now:
                        timer = pop(timers)[2]
                        timer._scheduled = False
                        soon.append(timer)
                else:
                    self._fire_in_any_order(shuffle)
            rounds += 1
            if rounds > STANDSTILL_ROUNDS:
                self._stand_still()
            # What these callbacks schedule runs in the next round, as in every asyncio loop.
            ready = len(soon)
            if shuffle is not None and ready > 1:
                self._step_in_any_order(shuffle)
            for _ in range(ready):
                handle = next_ready()
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 - goes to the loop's exception handler, as in asyncio
                    self._failed(handle, error)
            done += ready
            if done >= _COLLECT_AFTER:
                done = 0
                self._collect()
            if self._stopping:
                return

    def _advance(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._callback is revoked:
            heapq.heappop(timers)
            self._cancelled_timers -= 1
        if not timers or timers[0][0] == math.inf:
            raise Deadlock(
                f"nothing will ever happen: at {self._now:g} s nothing is ready and no timer is pending"
                f"\n{tasks_in_words(self.pending())}"
            )
        if timers[0][0] > self._now:
            self._now = timers[0][0]
        if self._jitter and self._shuffle is not None:
            self._oversleep(self._shuffle)

    def _stand_still(self) -> NoReturn:
        raise Standstill(
            f"time stands still at {self._now:g} s: callbacks have been ready for {STANDSTILL_ROUNDS:,} rounds"
            f"\n{tasks_in_words(self.pending())}"
        )

    def _failed(self, handle: asyncio.Handle, error: BaseException) -> None:
        self.call_exception_handler({"message": f"Exception in {handle!r}", "exception": error, "handle": handle})

    def _collect(self) -> None:
        # By work done instead of by allocations of the whole process: see ``guarded``.
        self._collections += 1
        gc.collect(2 if self._collections % _COLLECT_ALL_AFTER == 0 else 1)

    def close(self) -> None:
        """Forget what is still scheduled; the loop must not be running."""
        super().close()
        self._soon.clear()
        self._timers.clear()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")

    # -- any order ----------------------------------------------------------------------------------------------

    def _oversleep(self, shuffle: random.Random) -> None:
        """Wake up late, with the last of the deadlines that a drawn part of the jitter reaches."""
        until = self._now + self._jitter * shuffle.random()
        timers, places, latest = self._timers, [0], self._now
        while places:  # of the heap, whose every entry comes before the two below it
            place = places.pop()
            if place < len(timers) and timers[place][0] <= until:
                if timers[place][0] > latest and not timers[place][2].cancelled():
                    latest = timers[place][0]
                places += (2 * place + 1, 2 * place + 2)
        self._now = latest

    def _fire_in_any_order(self, shuffle: random.Random) -> None:
        due: list[VirtualTimer] = []
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False
            if not timer.cancelled():
                due.append(timer)
        if len(due) > 1:
            shuffle.shuffle(due)
        self._soon.extend(due)

    def _step_in_any_order(self, shuffle: random.Random) -> None:
        ready = list(self._soon)
        self._soon.clear()
        run: list[SoonHandle | VirtualTimer] = []
        tasks: set[asyncio.Task[Any]] = set()
        for handle in ready:
            task = stepped(handle)
            if task is None or task in tasks:
                self._soon.extend(_shuffled(run, shuffle))
                run, tasks = [], set()
            if task is None:
                self._soon.append(handle)
            else:
                run.append(handle)
                tasks.add(task)
        self._soon.extend(_shuffled(run, shuffle))

    # -- tasks --------------------------------------------------------------------------------------------------

    def create_task(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], *, name: object = None, context: Any = None,
        **options: Any,
    ) -> asyncio.Task[T]:  # fmt: skip
        """As every loop does; the task is numbered in the order of its making, and named after it when nameless."""
        self._refuse_if_closed()
        if self._task_factory is not None or options:  # type: ignore[attr-defined]
            return super().create_task(coro, name=name, context=context, **options)
        caller = sys._getframe(1)
        if caller.f_code is _ENSURE_FUTURE:
            _refuse_as_completed(caller, self)
        number = next(self._task_numbers)
        # asyncio numbers nameless tasks through the whole process, so that a second run would name them otherwise.
        called = f"Task-{number}" if name is None else str(name)
        return VirtualTask(coro, number, loop=self, name=called, context=context)

    def pending(self) -> list[asyncio.Task[Any]]:
        """The tasks that are not done, in the order in which they were made."""
        return sorted(asyncio.all_tasks(self), key=number_of)

    def timers(self) -> list[asyncio.TimerHandle]:
        """What is still to happen, in the order in which it will."""
        return [t for _, _, t in sorted(self._timers, key=lambda t: t[:2]) if not t.cancelled()]

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log as asyncio does, and keep the error for ``run_virtual`` to raise."""
        error = context.get("exception")
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            return  # it has come out of the loop already; the tasks that it passed through have nothing to add
        if isinstance(error, BaseException):
            self.unhandled.append(error)
        super().default_exception_handler(context)

    # -- what would let something else than the program decide the order ---------------------------------------

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """``call_soon``, from the loop's own thread; NotVirtual from any other, whose timing is not virtual."""
        if threading.get_ident() != self._home:
            name = threading.current_thread().name
            refuse(f"a call into the loop from the thread {name!r}", _FOREIGN, loop=self)
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        """Always NotVirtual: virtual time would run away while a thread works."""
        if isinstance(func, partial):
            # asyncio.to_thread wraps the work into a context's run.
            func = func.args[0] if isinstance(getattr(func.func, "__self__", None), Context) else func.func
        refuse(f"{getattr(func, '__qualname__', type(func).__name__)}() in a thread", THREAD, loop=self)


_FOREIGN = (
    "the order of things must not depend on threads; run what it waits for through the session's Compute "
    "(InlineCompute)"
)
_ENSURE_FUTURE = getattr(asyncio.tasks, "_ensure_future", asyncio.ensure_future).__code__


def _refused(method: str, why: str) -> None:
    def real(self: VirtualLoop, *args: Any, **options: Any) -> NoReturn:
        refuse(f"loop.{method}()", why, loop=self)

    real.__name__, real.__qualname__ = method, f"VirtualLoop.{method}"
    real.__doc__ = "Always NotVirtual."
    setattr(VirtualLoop, method, real)


for _method in (
    "add_reader", "remove_reader", "add_writer", "remove_writer", "connect_accepted_socket", "connect_read_pipe",
    "connect_write_pipe", "create_connection", "create_datagram_endpoint", "create_server", "create_unix_connection",
    "create_unix_server", "getaddrinfo", "getnameinfo", "sendfile", "sock_accept", "sock_connect", "sock_recv",
    "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall", "sock_sendfile", "sock_sendto",
    "start_tls",
):  # fmt: skip
    _refused(_method, NETWORK)
for _method in ("subprocess_exec", "subprocess_shell"):
    _refused(_method, PROCESS)


class _InOrder(weakref.WeakKeyDictionary[AsyncGenerator[Any, Any], None]):
    """The async generators that have begun, in the order in which they began, where asyncio has a set of addresses."""

    def add(self, generator: AsyncGenerator[Any, Any]) -> None:
        self[generator] = None

    def discard(self, generator: AsyncGenerator[Any, Any]) -> None:
        self.pop(generator, None)


def _shuffled(run: list[T], shuffle: random.Random) -> list[T]:
    if len(run) > 1:
        shuffle.shuffle(run)
    return run


def _refuse_as_completed(frame: Any, loop: VirtualLoop) -> None:
    """asyncio.as_completed begins coroutines in the order of a set of addresses."""
    for _ in range(4):
        frame = frame.f_back
        if frame is None or frame.f_globals.get("__name__") != "asyncio.tasks":
            return
        if frame.f_code.co_name == "as_completed" or "_AsCompletedIterator" in frame.f_code.co_qualname:
            refuse("asyncio.as_completed() of coroutines", ORDER, loop=loop, frame=frame)


def run_virtual(
    main: Coroutine[Any, Any, T], *, shuffle: random.Random | None = None, jitter: float = 0.0, wall: float = WALL
) -> T:
    """Run ``main`` on a virtual loop of its own to its end and return its result.

    Like ``asyncio.run``: what is left is cancelled, in the order in which it was made, and awaited, asynchronous
    generators are closed, and the loop is closed. Raises Deadlock or Standstill when ``main`` cannot end, NotVirtual
    when anything asked for what virtual time cannot hold, even where the program took that error and went on, and an
    ExceptionGroup of errors that nobody took when ``main`` itself ends well.

    shuffle, jitter: draw the order of what may come in any order, see the head of this file. wall: Unix time at 0.0.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        main.close()
        raise RuntimeError("run_virtual() cannot be called from a running event loop")
    try:
        loop = VirtualLoop(shuffle=shuffle, jitter=jitter, wall=wall)
    except BaseException:
        main.close()
        raise
    # Around all of it, because the garbage collector must not run between the program's end and its clean-up either.
    with guarded():
        try:
            try:
                result = loop.run_until_complete(main)
            finally:
                _cancel_leftovers(loop)
                loop.run_until_complete(loop.shutdown_asyncgens())
        except NotVirtual:
            raise
        except Exception as error:
            if loop.refused:
                raise loop.refused[0] from error
            raise
        finally:
            loop.close()
    if loop.refused:
        raise loop.refused[0]
    if loop.unhandled:
        raise BaseExceptionGroup("errors that nobody took", loop.unhandled)
    return result


def _cancel_leftovers(loop: VirtualLoop) -> None:
    interrupted: KeyboardInterrupt | None = None
    # A cancelled task may start another while it ends; ten generations of that is a loop without end.
    for _ in range(10):
        left = loop.pending()
        if not left:
            break
        for task in left:
            task.cancel()
        try:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        except KeyboardInterrupt as again:
            interrupted = again  # a new one, or the task that was hit is awaited by another, which raises it once more
        for task in left:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                loop.call_exception_handler(
                    {"message": "unhandled error while run_virtual() ended", "exception": error, "task": task}
                )
    else:
        raise Standstill(f"tasks go on starting tasks after they were cancelled\n{tasks_in_words(loop.pending())}")
    if interrupted is not None:
        raise interrupted
