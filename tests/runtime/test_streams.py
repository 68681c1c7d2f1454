"""The operators of our own: fair merge, bounded broadcast, fused pushes; and that aiostream is known in one module."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from aiostream import stream
from aiostream.core import Stream

from echostack.core.kinds import Overflow
from echostack.runtime.queues import Pressure
from echostack.runtime.streams import broadcast, drive, fused, merge
from echostack.simulation.loop import run_virtual


async def items(values: Iterable[object], every: float = 0.0) -> AsyncIterator[object]:
    for value in values:
        if every:
            await asyncio.sleep(every)
        yield value


async def endless(tag: str) -> AsyncIterator[str]:
    while True:
        yield tag
        await asyncio.sleep(0)


async def failing(values: Iterable[object]) -> AsyncIterator[object]:
    for value in values:
        yield value
    raise ConnectionError("the line broke")


def others() -> list[asyncio.Task[object]]:
    return [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]


def test_aiostream_is_imported_in_one_module_only(checkout: Path) -> None:
    found = [
        p.relative_to(checkout).as_posix()
        for p in (checkout / "echostack").rglob("*.py")
        if re.search(r"^\s*(from|import) aiostream", p.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert found == ["echostack/runtime/streams.py"]


def test_three_ready_sources_are_merged_in_turn() -> None:
    async def main() -> list[object]:
        found: list[object] = []
        async with merge(endless("a"), endless("b"), endless("c")).stream() as merged:
            async for item in merged:
                found.append(item)
                if len(found) == 300:
                    break
        assert not others()
        return found

    found = run_virtual(main())
    tail = found[30:]
    assert all(abs(tail.count(a) - tail.count(b)) <= 1 for a in "abc" for b in "abc")


def test_the_higher_priority_goes_first_however_much_the_lower_holds() -> None:
    async def main() -> list[object]:
        media, control = items(range(50)), items(["stop"], every=1.0)
        found: list[object] = []
        async with merge(media, control, priorities=[0, 1], bound=100).stream() as merged:
            async for item in merged:
                found.append(item)
                if item == 3:
                    await asyncio.sleep(2.0)
        return found

    found = run_virtual(main())
    assert found.index("stop") == 4
    assert [x for x in found if x != "stop"] == list(range(50))


def test_a_merge_ends_when_all_sources_have() -> None:
    async def main() -> list[object]:
        return await stream.list(merge(items("ab", 0.1), items("cd", 0.15)))

    assert run_virtual(main()) == ["a", "c", "b", "d"]


def test_an_error_comes_after_the_items_before_it_and_leaves_no_task() -> None:
    async def main() -> list[object]:
        found: list[object] = []

        async def read() -> None:
            async with merge(failing("ab"), endless("x")).stream() as merged:
                async for item in merged:
                    found.append(item)
                    if len(found) > 100:
                        raise AssertionError("the error never came")

        with pytest.raises(ConnectionError, match="the line broke"):
            await read()
        assert not others()
        return found

    assert [x for x in run_virtual(main()) if x != "x"] == ["a", "b"]


def test_leaving_a_merge_closes_its_sources_and_awaits_their_cleanup() -> None:
    async def main() -> list[str]:
        closed: list[str] = []

        async def source(name: str) -> AsyncIterator[str]:
            try:
                while True:
                    yield name
                    await asyncio.sleep(1.0)
            finally:
                await asyncio.sleep(0.2)
                closed.append(name)

        async with merge(source("a"), source("b")).stream() as merged:
            async for _ in merged:
                break
        assert not others()
        return sorted(closed)

    assert run_virtual(main()) == ["a", "b"]


def test_a_full_source_of_a_merge_holds_back_no_other() -> None:
    async def main() -> int:
        made = 0

        async def fast() -> AsyncIterator[int]:
            nonlocal made
            while True:
                made += 1
                yield made

        async with merge(fast(), items(range(3), 1.0), bound=4).stream() as merged:
            seen = 0
            async for _ in merged:
                seen += 1
                await asyncio.sleep(0.5)
                if seen == 8:
                    break
        return made

    assert run_virtual(main()) <= 16


def test_as_many_priorities_as_sources() -> None:
    async def main() -> None:
        await stream.list(merge(items("a"), items("b"), priorities=[1]))

    with pytest.raises(ValueError, match="2 sources take as many priorities, not 1"):
        run_virtual(main())


@pytest.mark.parametrize(
    ("overflow", "slow_gets", "lost"),
    [
        (Overflow.DROP_OLDEST, [0, 8, 9], 7),
        (Overflow.DROP_NEWEST, [0, 1, 2], 7),
        (Overflow.LATEST, [0, 9], 8),
    ],
)
def test_a_slow_reader_loses_by_its_policy_and_does_not_hold_up_a_fast_one(
    overflow: Overflow, slow_gets: list[int], lost: int
) -> None:
    async def main() -> tuple[list[tuple[float, object]], list[object], tuple[int, ...]]:
        loop = asyncio.get_running_loop()
        fast: list[tuple[float, object]] = []
        slow: list[object] = []

        async def read_fast(reader: Stream[object]) -> None:
            async with reader.stream() as reading:
                async for item in reading:
                    fast.append((loop.time(), item))

        async def read_slow(reader: Stream[object]) -> None:
            async with reader.stream() as reading:
                async for item in reading:
                    slow.append(item)
                    await asyncio.sleep(10.0)

        fan = broadcast(items(range(10), 0.1), 2, bound=2, overflow=overflow)
        async with fan as (one, two):
            await asyncio.gather(read_fast(one), read_slow(two))
        assert not others()
        return fast, slow, fan.dropped

    fast, slow, dropped = run_virtual(main())
    assert fast == [(round(0.1 * (n + 1), 9), n) for n in range(10)]
    assert slow == slow_gets
    assert dropped == (0, lost)


def test_under_block_the_slowest_reader_sets_the_pace_and_all_get_everything() -> None:
    async def main() -> tuple[list[object], list[object], float]:
        fan = broadcast(items(range(6)), 2, bound=1)
        slow: list[object] = []

        async def read_slow(reader: Stream[object]) -> None:
            async with reader.stream() as reading:
                async for item in reading:
                    slow.append(item)
                    await asyncio.sleep(1.0)

        async with fan as (one, two):
            reading = asyncio.ensure_future(stream.list(one))
            await read_slow(two)
            return await reading, slow, asyncio.get_running_loop().time()

    fast, slow, seconds = run_virtual(main())
    assert fast == slow == list(range(6))
    assert seconds == 6.0


def test_under_error_a_reader_that_falls_behind_gets_one_and_the_other_goes_on() -> None:
    async def main() -> list[object]:
        fan = broadcast(items(range(6), 0.1), 2, bound=2, overflow=Overflow.ERROR)
        async with fan as (one, two):
            fast = asyncio.ensure_future(stream.list(one))
            await asyncio.sleep(5.0)
            with pytest.raises(OverflowError, match="a reader fell 2 items behind"):
                await stream.list(two)
            return await fast

    assert run_virtual(main()) == list(range(6))


def test_a_reader_that_leaves_is_forgotten() -> None:
    async def main() -> list[object]:
        fan = broadcast(items(range(20)), 2, bound=1)
        async with fan as (one, two):
            async with two.stream() as reading:
                async for _ in reading:
                    break
            return await stream.list(one)

    assert run_virtual(main()) == list(range(20))


def test_an_error_of_the_source_reaches_every_reader_after_its_items() -> None:
    async def main() -> list[object]:
        found: list[object] = []

        async def read(reader: Stream[object]) -> None:
            async with reader.stream() as reading:
                async for item in reading:
                    found.append(item)

        async with broadcast(failing("ab"), 2) as readers:
            for reader in readers:
                with pytest.raises(ConnectionError):
                    await read(reader)
        return found

    assert run_virtual(main()) == ["a", "b", "a", "b"]


@pytest.mark.parametrize(("readers", "bound"), [(0, 1), (1, 0)])
def test_a_broadcast_takes_a_reader_and_a_bound(readers: int, bound: int) -> None:
    with pytest.raises(ValueError, match="at least one reader and a bound of at least one item"):
        broadcast(items(""), readers, bound=bound)


def test_a_fused_push_runs_for_every_item_and_yields_what_it_returns() -> None:
    async def main() -> list[object]:
        return await stream.list(
            stream.iterate(items(range(5))) | fused.pipe(lambda n: n * 10 if n % 2 else None, Pressure())
        )

    assert run_virtual(main()) == [10, 30]


def test_cancelling_a_run_closes_its_source() -> None:
    async def main() -> list[str]:
        closed: list[str] = []

        async def source() -> AsyncIterator[int]:
            try:
                while True:
                    yield 1
                    await asyncio.sleep(1.0)
            finally:
                closed.append("source")

        running = asyncio.ensure_future(drive(fused(source(), lambda item: None, Pressure())))
        await asyncio.sleep(2.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return closed

    assert run_virtual(main()) == ["source"]
