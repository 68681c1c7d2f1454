"""The clock follows its loop; blocking work goes to daemon threads, or is done in place."""

from __future__ import annotations

import asyncio
import threading

import pytest

from echostack.core.clock import InlineCompute, LoopClock, ThreadCompute
from echostack.simulation.loop import Deadlock, run_virtual


def test_a_clock_counts_from_its_making_and_again_from_its_restart() -> None:
    async def main() -> list[float]:
        clock = LoopClock()
        await clock.sleep(1.5)
        before = clock.now()
        clock.restart()
        await clock.sleep(0.25)
        return [before, clock.now()]

    assert run_virtual(main()) == [1.5, 0.25]


def test_a_deadline_of_the_clock_is_the_loops() -> None:
    async def main() -> float:
        clock = LoopClock()
        with pytest.raises(TimeoutError):
            async with clock.timeout(2.0):
                await asyncio.Event().wait()
        return clock.now()

    assert run_virtual(main()) == 2.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_sleeping_no_time_lets_others_run_once_and_can_be_cancelled(seconds: float) -> None:
    async def main() -> list[str]:
        clock, seen = LoopClock(), list[str]()
        asyncio.get_running_loop().call_soon(seen.append, "other")
        await clock.sleep(seconds)
        seen.append(f"after {clock.now():g}")
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await clock.sleep(seconds)
        return seen

    assert run_virtual(main()) == ["other", "after 0"]


def test_a_cancelled_sleep_leaves_no_timer_behind() -> None:
    async def main() -> None:
        clock = LoopClock()
        task = asyncio.get_running_loop().create_task(clock.sleep(3600))
        await clock.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="at 1 s nothing is ready"):
        run_virtual(main())


def test_a_timer_can_be_revoked() -> None:
    async def main() -> list[str]:
        clock, fired = LoopClock(), list[str]()
        clock.call_later(1.0, fired.append, "kept")
        clock.call_later(1.0, fired.append, "revoked").cancel()
        await clock.sleep(2.0)
        return fired

    assert run_virtual(main()) == ["kept"]


def test_threads_are_bounded_and_their_results_and_errors_come_back() -> None:
    most = [0, 0]
    lock = threading.Lock()
    gate = threading.Barrier(2, timeout=10)

    def work(number: int) -> int:
        with lock:
            most[0] += 1
            most[1] = max(most)
        gate.wait()
        with lock:
            most[0] -= 1
        return number * 2

    def fail() -> None:
        raise LookupError("nothing here")

    async def main() -> list[int]:
        compute = ThreadCompute(threads=2)
        try:
            found = await asyncio.gather(*(compute.run(work, n) for n in range(6)))
            with pytest.raises(LookupError, match="nothing here"):
                await compute.run(fail)
            return found
        finally:
            compute.close()

    assert asyncio.run(main()) == [0, 2, 4, 6, 8, 10]
    assert most[1] == 2


def test_work_that_never_returns_holds_up_nothing() -> None:
    stuck = threading.Event()

    async def main() -> int:
        compute, loop, begun = ThreadCompute(threads=1), asyncio.get_running_loop(), asyncio.Event()

        def hang() -> None:
            loop.call_soon_threadsafe(begun.set)
            stuck.wait()

        task = loop.create_task(compute.run(hang))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        running = compute.running
        compute.close()
        with pytest.raises(RuntimeError, match="closed"):
            await compute.run(int)
        return running

    try:
        assert asyncio.run(main()) == 1
        assert all(t.daemon for t in threading.enumerate() if t.name.startswith("echostack"))
    finally:
        stuck.set()


def test_work_in_place_takes_no_virtual_time() -> None:
    async def main() -> tuple[int, float]:
        clock = LoopClock()
        return await InlineCompute().run(sum, [1, 2, 3]), clock.now()

    assert run_virtual(main()) == (6, 0.0)
