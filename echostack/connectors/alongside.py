"""One task beside a block of code, owned by it: it never outlives the block, and its error reaches the block."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any


class Alongside:
    """``async with Alongside(work) as task``: runs ``work`` until the block is left, then cancels and awaits it.

    Unlike a task group it may stand around a ``yield`` of an async generator. Its error is raised on leaving the
    block unless the block raises one of its own; a block that waits for the work checks ``task.done()``.
    """

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> asyncio.Task[None]:
        self._task = asyncio.get_running_loop().create_task(self._work)
        return self._task

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        assert task is not None
        task.cancel()
        await asyncio.wait([task])
        failure = None if task.cancelled() else task.exception()
        if failure is not None and error is None:
            raise failure
