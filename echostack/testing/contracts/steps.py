"""Cancels a coroutine at its n-th suspension: the instant at which an interruption may come is any of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Stepped(Generic[T]):
    """Awaits ``work`` and counts its suspensions in ``steps``; at number ``at`` the task around it is cancelled.

    A suspension is an await that really waits, so 0 cancels nowhere. Make one inside the task that is to be cancelled.
    """

    def __init__(self, work: Coroutine[Any, Any, T], at: int = 0) -> None:
        self._work, self._at = work, at
        self.steps = 0

    def __await__(self) -> Generator[Any, Any, T]:
        inner = self._work.__await__()
        resume: Callable[[], Any] = partial(inner.send, None)
        while True:
            try:
                waits_for = resume()
            except StopIteration as done:
                result: T = done.value
                return result
            self.steps += 1
            if self.steps == self._at:
                task = asyncio.current_task()
                assert task is not None
                asyncio.get_running_loop().call_soon(task.cancel)
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is the work's, whatever it is
                resume = partial(inner.throw, error)
            else:
                resume = partial(inner.send, None)


async def steps_of(work: Coroutine[Any, Any, Any]) -> int:
    """How many suspensions ``work`` has when it is left alone."""
    stepped = Stepped(work)
    await stepped
    return stepped.steps


async def cancelled_at(work: Coroutine[Any, Any, Any], at: int, patience: float) -> bool:
    """Run ``work`` in a task of its own and cancel it at suspension ``at``. Whether it got that far.

    AssertionError when it takes longer than ``patience`` seconds to end, or goes on as if nothing had been: a
    cancellation is cleaned up after and let through.
    """
    stepped = Stepped(work, at)

    async def main() -> None:
        await stepped

    loop = asyncio.get_running_loop()
    task = loop.create_task(main())
    begun = loop.time()
    done, _ = await asyncio.wait([task], timeout=patience + 5.0)
    assert done, f"cancelled at await {at}, it has not ended after {patience + 5.0:g} s"
    assert loop.time() - begun <= patience + 5.0
    if stepped.steps < at:
        task.result()
        return False
    if not task.cancelled():
        error = task.exception()
        told = "ended as if nothing had been" if error is None else f"raised {type(error).__name__}: {error}"
        raise AssertionError(f"cancelled at await {at}, it {told}: let CancelledError through")
    return True


def choice_of(count: int, most: int) -> Iterator[int]:
    """The suspensions 1 to ``count`` to cancel at: all of them, or ``most`` spread over them, the first half as dense
    as it can be, because what opens and what closes has the awaits that matter."""
    if count <= most:
        yield from range(1, count + 1)
        return
    first = most // 2
    yield from range(1, first + 1)
    rest = most - first
    last = first
    for k in range(1, rest + 1):
        at = first + round(k * (count - first) / rest)
        if at > last:
            last = at
            yield at
