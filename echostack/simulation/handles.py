"""What the virtual loop queues and runs: callbacks, timers and tasks, as light as Python lets them be.

Handles are asyncio's own types, because asyncio and its users expect them, without what a loop in debug mode keeps in
them. A task's hash is its number in its loop instead of its address: asyncio holds tasks in sets (``wait`` returns
two, a TaskGroup cancels its members out of one), and so the order of those sets is a function of the program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar

T_co = TypeVar("T_co", covariant=True)

_STEP = "TaskStepMethWrapper"
_STEP_NAMES = frozenset({"task_wakeup", "__step", "__wakeup"})


def revoked(*args: object) -> None:
    """What a revoked handle calls, so that the loop need not ask whether it is."""


class SoonHandle(asyncio.Handle):
    """A callback of the next round."""

    __slots__ = ()
    _callback: Callable[..., object]
    _args: tuple[Any, ...]
    _context: Context
    # In place of slots that the base class has for loops in debug mode, and for its own way of being revoked.
    _repr = None
    _source_traceback = None
    _cancelled = property(lambda self: self._callback is revoked)

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self._context = context
        self._callback = callback
        self._args = args

    def cancel(self) -> None:
        """Revoke it, and let go of what it holds."""
        self._callback = revoked
        self._args = ()


class VirtualTimer(asyncio.TimerHandle):
    """A callback of an instant."""

    __slots__ = ()
    _callback: Callable[..., object]
    _args: tuple[Any, ...]
    _context: Context
    _scheduled: bool
    _repr = None
    _source_traceback = None
    _cancelled = property(lambda self: self._callback is revoked)

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.BaseEventLoop,
        context: Context,
    ) -> None:
        self._context = context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._when = when
        self._scheduled = True

    def cancel(self) -> None:
        """Revoke it, and let go of what it holds; the loop forgets it when it has many such."""
        if self._callback is not revoked:
            self._callback = revoked
            self._args = ()
            if self._scheduled:
                self._loop._timer_handle_cancelled(self)  # type: ignore[attr-defined]  # asyncio's own, of every loop


class VirtualTask(asyncio.Task[T_co]):
    """A task with a number: the order in which its loop made it."""

    __slots__ = ("number",)

    def __init__(
        self, coro: Generator[Any, None, T_co] | Coroutine[Any, Any, T_co], number: int, *, loop: asyncio.BaseEventLoop,
        name: str, context: Context | None,
    ) -> None:  # fmt: skip
        self.number = number  # before the base class puts the task into a set
        super().__init__(coro, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self.number


def number_of(task: asyncio.Task[Any]) -> int:
    """The order in which its loop made it; -1 for a task that was made past the loop."""
    return task.number if isinstance(task, VirtualTask) else -1


def stepped(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """The task that ``handle`` starts or goes on with; None for every other callback, ``task.cancel`` included."""
    callback = getattr(handle, "_callback", None)
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task) and (
        type(callback).__name__ == _STEP or getattr(callback, "__name__", "") in _STEP_NAMES
    ):
        return task
    return None
