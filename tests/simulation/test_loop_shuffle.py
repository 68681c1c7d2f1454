"""Asked to search, the loop draws the order of what may come in any order, and of nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.clock import LoopClock
from echostack.simulation.loop import VirtualLoop, run_virtual

Main = Callable[[], Coroutine[Any, Any, list[str]]]


def orders(main: Main, runs: int = 200, jitter: float = 0.0) -> set[tuple[str, ...]]:
    return {tuple(run_virtual(main(), shuffle=random.Random(seed), jitter=jitter)) for seed in range(runs)}


async def tasks_ready_together() -> list[str]:
    seen: list[str] = []
    go = asyncio.Event()

    async def one(name: str) -> None:
        await go.wait()
        seen.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(one(name))
        await asyncio.sleep(0)
        go.set()
    return seen


async def equal_deadlines() -> list[str]:
    seen: list[str] = []
    clock = LoopClock()
    for name in "abc":
        clock.call_later(0.5, seen.append, name)
    await clock.sleep(1.0)
    return seen


async def nearly_equal_deadlines() -> list[str]:
    seen: list[str] = []
    clock = LoopClock()
    for k, name in enumerate("abc"):
        clock.call_later(0.5 + 0.001 * k, seen.append, name)
    await clock.sleep(1.0)
    return seen


@pytest.mark.parametrize("main", [tasks_ready_together, equal_deadlines])
def test_every_order_of_what_is_ready_together_is_found(main: Main) -> None:
    assert orders(main) == set(permutations("abc"))
    assert run_virtual(main()) == ["a", "b", "c"]


def test_nearly_equal_deadlines_change_places_within_the_jitter_only() -> None:
    assert orders(nearly_equal_deadlines) == {("a", "b", "c")}
    assert orders(nearly_equal_deadlines, jitter=0.0015) == {("a", "b", "c"), ("b", "a", "c"), ("a", "c", "b")}
    assert orders(nearly_equal_deadlines, jitter=0.01) == set(permutations("abc"))


@given(st.lists(st.floats(0.0, 0.1), min_size=1, max_size=30), st.integers(0, 2**32), st.floats(0.0, 0.02))
def test_a_timer_is_never_early_and_never_later_than_the_jitter(delays: list[float], seed: int, jitter: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        late: list[float] = []
        for delay in delays:
            when = loop.time() + delay
            loop.call_at(when, lambda when=when: late.append(loop.time() - when))
        await asyncio.sleep(1.0)
        assert len(late) == len(delays)
        assert all(-1e-12 <= x <= jitter + 1e-12 for x in late)

    run_virtual(main(), shuffle=random.Random(seed), jitter=jitter)


def test_a_lone_timer_is_exact_whatever_the_jitter() -> None:
    async def main() -> list[str]:
        clock = LoopClock()
        for _ in range(50):
            await clock.sleep(0.02)
        return [repr(clock.now())]

    assert orders(main, 20, jitter=0.005) == {("1.0",)}


def test_callbacks_are_first_in_first_out_under_every_seed() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        for k in range(8):
            loop.call_soon(seen.append, str(k))
        await asyncio.sleep(0.1)
        return seen

    assert orders(main) == {tuple("01234567")}


def test_no_step_of_a_task_passes_a_callback() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()

        async def step(name: str) -> None:
            seen.append(name)

        tasks = [loop.create_task(step(name)) for name in "ab"]
        loop.call_soon(seen.append, "|")
        tasks += [loop.create_task(step(name)) for name in "cd"]
        await asyncio.gather(*tasks)
        return seen

    assert orders(main) == {(*x, "|", *y) for x in permutations("ab") for y in permutations("cd")}


def test_a_callback_that_cancels_a_task_is_no_step_of_it() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()

        async def other() -> None:
            seen.append("other")

        async def victim() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("cancelled")

        task = loop.create_task(victim())
        await asyncio.sleep(0.1)
        loop.call_soon(task.cancel)
        loop.call_soon(seen.append, "after")
        await asyncio.gather(task, loop.create_task(other()), return_exceptions=True)
        return seen

    assert orders(main) == {("after", "other", "cancelled")}


def test_what_is_added_to_a_future_first_runs_first() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        async def wait(name: str) -> None:
            await done
            seen.append(name)

        done.add_done_callback(lambda _: seen.append("callback"))
        tasks = [loop.create_task(wait(name)) for name in "ab"]
        await asyncio.sleep(0.1)
        done.set_result(None)
        await asyncio.gather(*tasks)
        return seen

    assert orders(main) == {("callback", "a", "b"), ("callback", "b", "a")}


@given(st.integers(0, 2**32))
def test_queues_stay_in_order_and_locks_stay_fair(seed: int) -> None:
    async def main() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(2)
        lock = asyncio.Lock()
        got: list[int] = []

        async def produce() -> None:
            for k in range(20):
                await queue.put(k)

        async def consume() -> None:
            for _ in range(20):
                async with lock:
                    got.append(await queue.get())

        async with asyncio.TaskGroup() as group:
            group.create_task(consume())
            group.create_task(produce())
        return got

    assert run_virtual(main(), shuffle=random.Random(seed)) == list(range(20))


def test_one_seed_is_one_order() -> None:
    async def main() -> list[str]:
        return [*await tasks_ready_together(), *await equal_deadlines(), *await nearly_equal_deadlines()]

    for seed in range(20):
        first = run_virtual(main(), shuffle=random.Random(seed), jitter=0.01)
        assert run_virtual(main(), shuffle=random.Random(seed), jitter=0.01) == first


def test_the_jitter_needs_a_seed_and_a_size() -> None:
    assert run_virtual(nearly_equal_deadlines(), jitter=0.01) == ["a", "b", "c"]
    for jitter in (-0.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="jitter is a number of seconds, 0 or more"):
            VirtualLoop(shuffle=random.Random(1), jitter=jitter)
