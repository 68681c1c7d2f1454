"""The virtual loop: exact time, one order, and an end to everything that cannot end."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.errors import UsageError
from echostack.simulation import loop as loop_module
from echostack.simulation.guards import NotVirtual
from echostack.simulation.loop import Deadlock, Standstill, VirtualLoop, run_virtual


def test_time_begins_at_zero_and_jumps_to_each_deadline() -> None:
    async def main() -> list[float]:
        clock = LoopClock()
        seen = [clock.now()]
        for seconds in (0.5, 3600.0, 0.25):
            await clock.sleep(seconds)
            seen.append(clock.now())
        return seen

    assert run_virtual(main()) == [0.0, 0.5, 3600.5, 3600.75]


def test_an_hour_of_20_ms_sleeps_does_not_drift() -> None:
    async def main() -> None:
        clock = LoopClock()
        for k in range(1, 180_001):
            await clock.sleep(0.02)
            assert clock.now() == k / 50

    run_virtual(main())


def test_time_stands_still_while_anything_is_ready() -> None:
    async def main() -> float:
        clock = LoopClock()
        clock.call_later(0.001, lambda: None)
        for _ in range(1000):
            await clock.sleep(0)
        return clock.now()

    assert run_virtual(main()) == 0.0


def test_equal_deadlines_fire_in_the_order_they_were_made() -> None:
    async def main() -> list[int]:
        clock = LoopClock()
        fired: list[int] = []
        for k in range(200):
            clock.call_later(1.0, fired.append, k)
        await clock.sleep(2.0)
        return fired

    assert run_virtual(main()) == list(range(200))


def test_deadlines_reached_by_different_sums_are_equal() -> None:
    async def main() -> list[str]:
        clock = LoopClock()
        fired: list[str] = []
        clock.call_later(0.3, fired.append, "0.3 made first")
        await clock.sleep(0.1)
        clock.call_later(0.2, fired.append, "0.1 + 0.2 made second")
        await clock.sleep(0.2)
        assert 0.1 + 0.2 != 0.3
        assert clock.now() == 0.3
        return fired

    assert run_virtual(main()) == ["0.3 made first", "0.1 + 0.2 made second"]


@given(st.lists(st.floats(0.0, 10.0), max_size=50), st.sets(st.integers(0, 49)))
def test_timers_fire_by_deadline_then_by_age_and_never_when_cancelled(delays: list[float], cancelled: set[int]) -> None:
    async def main() -> tuple[list[int], list[float]]:
        loop = asyncio.get_running_loop()
        fired: list[int] = []
        times: list[float] = []

        def fire(k: int) -> None:
            fired.append(k)
            times.append(loop.time())

        handles = [loop.call_later(d, fire, k) for k, d in enumerate(delays)]
        whens = [h.when() for h in handles]
        for k in cancelled & set(range(len(delays))):
            handles[k].cancel()
        await asyncio.sleep(11.0)
        expected = [k for k in sorted(range(len(delays)), key=lambda k: (whens[k], k)) if k not in cancelled]
        assert fired == expected
        assert times == [whens[k] for k in expected]
        return fired, times

    assert run_virtual(main()) == run_virtual(main())


def test_waiting_out_a_deadline_in_a_loop_ends() -> None:
    async def main() -> float:
        clock = LoopClock()
        await clock.sleep(0.1)
        deadline = 0.1 + 0.2  # an ulp past 0.3, where the clock's own sum would stop
        while clock.now() < deadline:
            await clock.sleep(deadline - clock.now())
        return clock.now()

    assert run_virtual(main()) == pytest.approx(0.3)


def test_ten_thousand_cancelled_timeouts_do_not_pile_up() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        for _ in range(10_000):
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
        return len(loop._timers)

    assert run_virtual(main()) < 300


def test_a_timeout_fires_at_its_exact_time() -> None:
    async def main() -> float:
        clock = LoopClock()
        with pytest.raises(TimeoutError):
            async with clock.timeout(1.5):
                await asyncio.Event().wait()
        return clock.now()

    assert run_virtual(main()) == 1.5


def test_a_timer_at_infinity_is_a_deadlock_too() -> None:
    async def main() -> None:
        await asyncio.sleep(float("inf"))

    with pytest.raises(Deadlock, match="nothing will ever happen"):
        run_virtual(main())


def test_polling_without_waiting_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "STANDSTILL_ROUNDS", 1000)

    async def main() -> None:
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(1.0, done.set)
        while not done.is_set():  # noqa: ASYNC110 - the mistake that is tested
            await asyncio.sleep(0)

    with pytest.raises(Standstill, match="time stands still at 0 s"):
        run_virtual(main())


def test_leftover_tasks_are_cancelled_in_the_order_they_were_made_and_awaited() -> None:
    ended: list[tuple[str, float]] = []

    async def left(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1.0)
            ended.append((name, asyncio.get_running_loop().time()))

    async def main() -> list[asyncio.Task[None]]:
        tasks = [asyncio.get_running_loop().create_task(left(f"t{k}")) for k in range(20)]
        await asyncio.sleep(3.0)
        return tasks

    run_virtual(main())
    assert ended == [(f"t{k}", 4.0) for k in range(20)]


def test_leftovers_are_cancelled_after_a_deadlock_and_generators_are_closed() -> None:
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("generator")

    async def main() -> None:
        stream = numbers()
        await anext(stream)
        try:
            await asyncio.Event().wait()
        finally:
            closed.append("main")

    with pytest.raises(Deadlock):
        run_virtual(main())
    assert sorted(closed) == ["generator", "main"]


def test_an_error_in_a_callback_is_not_lost() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(0.5, lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(ExceptionGroup) as caught:
        run_virtual(main())
    assert [type(e) for e in caught.value.exceptions] == [ZeroDivisionError]


def test_the_error_of_main_comes_out_as_it_is() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_virtual(main())


def test_a_call_from_another_thread_is_refused_there_and_at_the_end() -> None:
    errors: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []
    begin, done = threading.Event(), threading.Event()

    def intrude() -> None:
        begin.wait(5)
        try:
            loops[0].call_soon_threadsafe(lambda: None)
        except UsageError as error:
            errors.append(str(error))
        done.set()

    thread = threading.Thread(target=intrude, name="vendor-callback")
    thread.start()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        loops[0].call_soon_threadsafe(lambda: None)
        begin.set()
        assert done.wait(5)

    with pytest.raises(NotVirtual) as caught:
        run_virtual(main())
    thread.join()
    assert errors == [str(caught.value)]
    assert re.sub(r"py:\d+", "py:N", errors[0]) == (
        "tests/simulation/test_loop.py:N: a call into the loop from the thread 'vendor-callback' cannot be done on "
        "virtual time: the order of things must not depend on threads; run what it waits for through the session's "
        "Compute (InlineCompute)"
    )


def test_blocking_work_in_a_thread_is_refused() -> None:
    def work() -> int:
        return 1

    async def main() -> None:
        compute = ThreadCompute(1)
        try:
            await compute.run(work)
        finally:
            compute.close()

    with pytest.raises(UsageError, match=r"work\(\) in a thread cannot be done on virtual time"):
        run_virtual(main())


def test_a_revoked_callback_never_runs_and_says_so() -> None:
    async def main() -> list[str]:
        ran: list[str] = []
        loop = asyncio.get_running_loop()
        soon, later = loop.call_soon(ran.append, "soon"), loop.call_later(0.1, ran.append, "later")
        both = loop.call_later(0.2, ran.append, "both")
        assert not soon.cancelled()
        assert not later.cancelled()
        for handle in (soon, later, soon, later):
            handle.cancel()
            assert handle.cancelled()
        assert "cancelled" in repr(later)
        await asyncio.sleep(0.3)
        assert both.when() == 0.2
        both.cancel()  # after its time: nothing is left to revoke
        return ran

    assert run_virtual(main()) == ["both"]


def test_a_nameless_task_is_named_by_its_number_in_its_own_loop() -> None:
    async def nothing() -> None: ...

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(nothing(), name=name) for name in (None, "mine", None)]
        async with asyncio.TaskGroup() as group:
            tasks.append(group.create_task(nothing()))
        return [task.get_name() for task in tasks]

    for _ in range(2):
        assert run_virtual(main()) == ["Task-2", "mine", "Task-4", "Task-5"]


def test_a_timer_needs_a_time() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_at(float("nan"), print)

    with pytest.raises(ValueError, match="a timer needs a time, not NaN"):
        run_virtual(main())


@given(st.integers(0, 10**13), st.integers(0, 10**9))
def test_a_deadline_within_rounding_error_of_a_nanosecond_is_that_nanosecond(now: int, delay: int) -> None:
    loop = VirtualLoop()
    try:
        loop._now = now / 1e9
        assert loop.call_later(delay / 1e9, print).when() == (now + delay) / 1e9
    finally:
        loop.close()


def test_the_collector_runs_at_moments_of_the_loop_and_again_by_itself_afterwards() -> None:
    import gc

    async def main() -> None:
        assert not gc.isenabled()
        before = gc.get_stats()[1]["collections"]
        for _ in range(3 * loop_module._COLLECT_AFTER):
            await asyncio.sleep(0)
        assert gc.get_stats()[1]["collections"] - before == 3

    assert gc.isenabled()
    run_virtual(main())
    assert gc.isenabled()


async def test_it_cannot_be_nested() -> None:
    async def main() -> None: ...

    with pytest.raises(RuntimeError, match="from a running event loop"):
        run_virtual(main())


def test_the_loop_is_closed_afterwards() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = run_virtual(main())
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
