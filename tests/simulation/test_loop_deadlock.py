"""A deadlock is told in words: every task, where it stands, and what it waits for by the name that it has there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from echostack.runtime.queues import Inbox, Pressure
from echostack.simulation.loop import Deadlock, run_virtual


def told(main: Callable[[], Coroutine[Any, Any, Any]]) -> list[str]:
    with pytest.raises(Deadlock) as caught:
        run_virtual(main())
    words = re.sub(r"\.py:\d+", ".py:N", str(caught.value))
    return re.sub(r"\w+\.<locals>\.", "", words).split("\n")


class Mouth:
    """Waits for an event that it has a name for."""

    __slots__ = ("_roomy",)

    def __init__(self) -> None:
        self._roomy = asyncio.Event()

    async def speak(self) -> None:
        await self._roomy.wait()


def test_each_task_is_named_in_the_order_of_its_making_with_what_it_waits_for() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        asyncio.current_task().set_name("caller")  # type: ignore[union-attr]
        await asyncio.sleep(2.5)
        await loop.create_task(never(), name="reader")

    assert told(main) == [
        "nothing will ever happen: at 2.5 s nothing is ready and no timer is pending",
        "  'caller' waits in main (test_loop_deadlock.py:N) for task 'reader'",
        "  'reader' waits in never (test_loop_deadlock.py:N) > Event.wait (locks.py:N) "
        "for a future that nobody has set",
    ]


def test_what_is_awaited_has_the_name_that_it_has_for_whoever_waits() -> None:
    async def take(inbox: Inbox) -> None:
        await inbox.take()

    async def get() -> None:
        words: asyncio.Queue[str] = asyncio.Queue()
        await words.get()

    async def wait() -> None:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await answer

    async def main() -> None:
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(take(Inbox("claude.agent", Pressure())), name="inbox"),
            loop.create_task(Mouth().speak(), name="mouth"),
            loop.create_task(get(), name="queue"),
            loop.create_task(wait(), name="future"),
        ]
        await asyncio.gather(*tasks)

    first, inbox, *others = told(main)[1:]
    assert first == "  'Task-1' waits in main (test_loop_deadlock.py:N) for tasks 'inbox', 'mouth', 'queue', 'future'"
    assert inbox.startswith("  'inbox' waits in take (test_loop_deadlock.py:N) > Inbox.take (queues.py:N)")
    assert inbox.endswith(" for Inbox 'claude.agent'")
    assert others == [
        "  'mouth' waits in Mouth.speak (test_loop_deadlock.py:N) > Event.wait (locks.py:N) for Event Mouth._roomy",
        "  'queue' waits in get (test_loop_deadlock.py:N) > Queue.get (queues.py:N) for Queue 'words'",
        "  'future' waits in wait (test_loop_deadlock.py:N) for the future 'answer', which nobody has set",
    ]


def test_whoever_waits_for_several_says_for_which() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            for k in range(10):
                tasks.create_task(never(), name=f"member {k}")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(group(), name="group"), loop.create_task(never(), name="other")]
        await asyncio.wait(tasks)

    lines = told(main)
    assert lines[1:4] == [
        "  'Task-1' waits in main (test_loop_deadlock.py:N) > wait (tasks.py:N) > _wait (tasks.py:N) "
        "for tasks 'group', 'other'",
        "  'group' waits in group (test_loop_deadlock.py:N) > TaskGroup.__aexit__ (taskgroups.py:N) for tasks "
        "'member 0', 'member 1', 'member 2', 'member 3', 'member 4', 'member 5', 'member 6', 'member 7', 2 more",
        "  'other' waits in never (test_loop_deadlock.py:N) > Event.wait (locks.py:N) for a future that nobody has set",
    ]


def test_a_future_of_nobody_is_said_to_be_one() -> None:
    from echostack.simulation.loop import VirtualLoop

    loop = VirtualLoop()
    try:
        with pytest.raises(Deadlock, match="no task is pending: the future that is run belongs to nobody"):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()
