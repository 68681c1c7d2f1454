"""One seed, one trace, byte for byte: in other processes, under other hash seeds, at other addresses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, gc, random, sys
from echostack.core.clock import LoopClock
from echostack.simulation.loop import Deadlock, run_virtual

junk = [[] for _ in range(int(sys.argv[1]))]  # other addresses, and another moment for the garbage collector
seed = sys.argv[2]
lines = []

async def abandoned(name, note):
    try:
        while True:
            await asyncio.sleep(0.5)
            yield name
    finally:
        await asyncio.sleep(0)
        note("closed", name)

async def main():
    clock = LoopClock()
    loop = asyncio.get_running_loop()
    dice = random.Random(7)

    def note(*what):
        lines.append(f"{clock.now()!r} {clock.wall()!r} {' '.join(map(str, what))}")

    async def worker(k, queue):
        try:
            while True:
                item = await queue.get()
                await clock.sleep(dice.choice((0.0, 0.01, 0.02)))
                note("worker", k, item, asyncio.current_task().get_name())
                if item % 13 == 12:
                    raise ValueError(f"{k} broke on {item}")
        except asyncio.CancelledError:
            note("worker", k, "cancelled")
            raise

    async def producer(queue):
        for item in range(40):
            await queue.put(item)
            if item % 4 == 0:
                await clock.sleep(0.01)

    for _ in range(3):
        queue = asyncio.Queue(3)
        try:
            async with asyncio.TaskGroup() as group:
                for k in range(12):
                    group.create_task(worker(k, queue))
                group.create_task(producer(queue))
        except* ValueError as errors:
            note("group", [str(e) for e in errors.exceptions])

    async def late(k):
        try:
            async with clock.timeout(0.05):
                await clock.sleep(0.02 * (k % 5))
                note("late", k)
        except TimeoutError:
            note("timeout", k)
        return k

    waiting = {loop.create_task(late(k)) for k in range(20)}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        note("done", [t.result() for t in done], "left", [t.get_name() for t in waiting])
    for ready in asyncio.as_completed([loop.create_task(late(k)) for k in range(9)]):
        note("completed", await ready)

    gathered = asyncio.gather(*(loop.create_task(late(k)) for k in range(8)), return_exceptions=True)
    await clock.sleep(0.01)
    gathered.cancel()
    try:
        await gathered
    except asyncio.CancelledError:
        note("gather cancelled")

    for k in range(300):
        stream = abandoned(k, note)
        await anext(stream)
        cycle = [stream]
        cycle.append(cycle)  # only the collector finds it, and what it finalises is seen
        del stream, cycle
    left = [abandoned(f"left {k}", note) for k in range(10)]
    for stream in left:
        await anext(stream)
    forgotten = [loop.create_task(worker(f"forgotten {k}", asyncio.Queue())) for k in range(10)]
    await clock.sleep(0.1)
    await asyncio.Event().wait()

try:
    run_virtual(main(), shuffle=None if seed == "none" else random.Random(int(seed)), jitter=0.005)
except Deadlock as error:
    lines.append(str(error))
print(chr(10).join(lines))
"""


def trace(number: int, seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(number * 997), seed],
        env={**os.environ, "PYTHONHASHSEED": str(number)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("seed", ["none", "3"])
def test_a_program_of_tasks_timeouts_cancels_and_queues_has_one_trace_under_every_hash_seed(seed: str) -> None:
    first = trace(0, seed)
    assert first.count("worker") > 50
    assert "closed left 9" in first
    assert first.count("closed") >= 300
    assert "nothing will ever happen" in first
    for number in range(1, 6):
        assert trace(number, seed) == first


def test_another_seed_is_another_trace() -> None:
    assert len({trace(0, seed) for seed in ("none", "1", "2", "3")}) == 4
