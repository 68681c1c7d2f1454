"""What a connector leaves behind: tasks, threads, and whatever has a file descriptor (sockets, files, pipes)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from echostack.core.clock import LoopClock

_OPEN = Path("/proc/self/fd")
_POLL = 0.005  # seconds between two looks; what is closed by both ends takes a moment


class Left:
    """What there is now; ``nothing`` waits until there is no more than that."""

    def __init__(self) -> None:
        self._tasks = _tasks()
        self._threads = _threads()
        self._open = _open()

    async def nothing(self, seconds: float, why: str = "") -> None:
        """AssertionError that names what is left ``seconds`` from now at the latest."""
        clock = LoopClock()
        while left := self._more():
            if clock.now() >= seconds:
                raise AssertionError(f"{why or 'it'} left behind: " + "; ".join(left))
            await clock.sleep(_POLL)

    def _more(self) -> list[str]:
        told = [f"the task {_told(t)}" for t in _tasks() if t not in self._tasks]
        told += [f"the thread {t.name}" for t in _threads() if t not in self._threads]
        return told + [f"open: {link}" for link in (_open() - self._open).elements()]


def _tasks() -> list[asyncio.Task[Any]]:
    own = asyncio.current_task()
    return [t for t in asyncio.all_tasks() if t is not own and not t.done()]


def _told(task: asyncio.Task[Any]) -> str:
    work = task.get_coro()
    return getattr(work, "__qualname__", None) or task.get_name()


def _threads() -> list[threading.Thread]:
    # The loop's own pool and the call's compute threads are ended by whoever runs the call.
    return [t for t in threading.enumerate() if not t.name.startswith(("asyncio_", "echostack-"))]


def _open() -> Counter[str]:
    """What is behind the open descriptors, a socket by its number; nothing where the system has no such folder."""
    found: Counter[str] = Counter()
    for name in os.listdir(_OPEN) if _OPEN.is_dir() else ():
        with contextlib.suppress(OSError):  # the listing's own descriptor, closed by now
            found[os.readlink(_OPEN / name)] += 1
    return found
