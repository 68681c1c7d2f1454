"""Task ownership: every task of a session is started here, awaited here, and gone when the session has closed.

asyncio.TaskGroup is not used because it cancels all siblings on the first error, while an error in one branch of
a call must stay in that branch; and because it aborts in the order of a set, which differs from run to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from echostack.core.clock import Clock

GRACE = 0.05
"""Seconds that cancelled work of a connector's ``open`` or ``close`` is given to end."""

OnError = Callable[[str, BaseException], None]


class Nursery:
    """Owns tasks by name, in the order of their start.

    An error of a task is handed to ``on_error`` (once, synchronously, on the loop); nothing is swallowed. A
    cancelled task is not an error.
    """

    def __init__(self, clock: Clock, on_error: OnError) -> None:
        self._clock = clock
        self._on_error = on_error
        self._tasks: dict[asyncio.Task[Any], str] = {}
        self._idle: list[asyncio.Future[None]] = []
        self.closing = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run ``work`` as a task that this nursery owns. After ``close`` began, ``work`` is closed unrun."""
        if self.closing:
            work.close()
            raise RuntimeError(f"the session is closing; {name} cannot start")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = name
        task.add_done_callback(self._done)
        return task

    def expect_end(self, task: asyncio.Task[Any], seconds: float, on_late: Callable[[str], None]) -> None:
        """``task`` was cancelled: call ``on_late`` with its name if it has not ended in ``seconds``."""
        name = self._tasks.get(task, task.get_name())
        timer = self._clock.call_later(seconds, lambda: None if task.done() else on_late(name))
        task.add_done_callback(lambda _: timer.cancel())

    def _done(self, task: asyncio.Task[Any]) -> None:
        name = self._tasks.pop(task, "")
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._on_error(name, error)
        if not self._tasks:
            idle, self._idle = self._idle, []
            for future in idle:
                if not future.done():
                    future.set_result(None)

    async def finish(self, deadline: float) -> tuple[str, ...]:
        """Await what runs for ``deadline`` seconds, then cancel the rest without awaiting it; the names of that rest.

        For other people's code under a deadline: a timeout around it would wait for a connector that swallows its
        cancellation.
        """
        late: tuple[str, ...] = ()
        try:
            await self._empty(deadline)
            late = tuple(self._tasks.values())
        finally:
            self.closing = True
            for task in list(self._tasks):
                task.cancel()
        if self._tasks:
            await self._empty(GRACE)
        return late

    async def _empty(self, deadline: float) -> None:
        try:
            async with self._clock.timeout(deadline):
                while self._tasks:
                    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._idle.append(future)
                    await future
        except TimeoutError:
            pass  # whoever is late is named by the caller

    async def close(self, deadline: float) -> tuple[str, ...]:
        """Cancel every task and await them for ``deadline`` seconds; the names of those that were late.

        A late task has been cancelled and stays referenced by the loop only; it can do no more harm because its
        session's epochs, queues and sinks reject whatever it still makes.
        """
        self.closing = True
        for task in list(self._tasks):
            task.cancel()
        await self._empty(deadline)
        return tuple(self._tasks.values())


async def within(clock: Clock, work: Coroutine[Any, Any, Any], seconds: float) -> tuple[bool, BaseException | None]:
    """Run ``work`` for at most ``seconds``: whether it was late, and the error that it raised in time."""
    errors: list[BaseException] = []

    def keep(name: str, error: BaseException) -> None:
        errors.append(error)

    nursery = Nursery(clock, keep)
    nursery.start(work, "within a deadline")
    late = await nursery.finish(seconds)
    return bool(late), errors[0] if errors and not late else None


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await ``work`` to its end although the awaiting task is cancelled meanwhile, however often; the cancellation is
    raised afterwards. For cleanup with a deadline of its own."""
    running = asyncio.get_running_loop().create_task(work, name="closing")
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # of the work itself: raised below, from its result
            break
    running.result()
    if cancelled is not None:
        raise cancelled
