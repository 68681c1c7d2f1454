"""Events per second through N stages: EchoStack's fused islands against a chain of asyncio.Queue and plain aiostream.

Every case does the same work: the same source of the same payload objects, N times the same function, one counter at
the end. ``session`` runs the compiled graph as a call; ``operator`` runs it as ``frames | pipeline.pipe(...)``, where
each event leaves in its envelope.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable

from aiostream import pipe, stream

import echostack.api as echostack
from benchmarks.measure import interleaved, table
from echostack.core.payloads import Data
from echostack.registry import Registry, connector

EVENTS = 20_000
STAGES = (1, 4, 8, 16)


@connector("bench.stage")
def stage(data: Data) -> Data:
    """Passes its input on: what remains is the cost of the hop."""
    return data


@connector("bench.count")
class Count:
    """Counts at the end of the chain, so that nothing is optimised away."""

    seen = 0

    def __call__(self, data: Data) -> None:
        Count.seen += 1


@connector("ingress.bench")
class Ingress:
    """Stands for the source that every case is fed by."""

    async def run(self) -> AsyncIterator[Data]:
        for _ in range(EVENTS):
            yield ITEM


ITEM = Data("tick", {})


async def source() -> AsyncIterator[Data]:
    """The same payload, EVENTS times."""
    for _ in range(EVENTS):
        yield ITEM


def graph(stages: int, end: str) -> str:
    """A straight chain as a `.echo` text."""
    names = [f"s{n}" for n in range(stages)]
    lines = ["echostack: 1", "connectors:", *(f"  {n}: {{use: bench.stage}}" for n in names), "pipeline:"]
    return "\n".join([*lines, f"  - {' -> '.join(['ingress.bench.data', *names, *([end] if end else [])])}", ""])


REGISTRY = Registry().add(stage, Count, Ingress)


def timed(run: Callable[[], AsyncIterator[None] | object]) -> Callable[[], float]:
    """A case: run it on a fresh loop and give events per second."""

    def measure() -> float:
        async def main() -> float:
            started = time.perf_counter()
            await run()  # type: ignore[misc]
            return EVENTS / (time.perf_counter() - started)

        return asyncio.run(main())

    return measure


def raw_queues(stages: int) -> Callable[[], float]:
    """N tasks joined by asyncio.Queue(64), as one would write it by hand."""

    async def run() -> None:
        queues: list[asyncio.Queue[Data | None]] = [asyncio.Queue(64) for _ in range(stages + 1)]
        count = Count()

        async def work(into: asyncio.Queue[Data | None], out: asyncio.Queue[Data | None]) -> None:
            while (item := await into.get()) is not None:
                await out.put(stage(item))
            await out.put(None)

        async def feed() -> None:
            async for item in source():
                await queues[0].put(item)
            await queues[0].put(None)

        async def end() -> None:
            while (item := await queues[-1].get()) is not None:
                count(item)

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            for a, b in itertools.pairwise(queues):
                group.create_task(work(a, b))
            group.create_task(end())

    return timed(run)


def plain_aiostream(stages: int) -> Callable[[], float]:
    """N times ``pipe.map``, aiostream's own operator."""

    async def run() -> None:
        count, chain = Count(), stream.iterate(source())
        for _ in range(stages):
            chain = chain | pipe.map(lambda item, *_: stage(item))
        async with chain.stream() as items:
            async for item in items:
                count(item)

    return timed(run)


def session(stages: int) -> Callable[[], float]:
    """The compiled graph as a call."""
    pipeline = echostack.compile(graph(stages, "bench.count"), registry=REGISTRY, env={})

    async def run() -> None:
        before = Count.seen
        async with pipeline.session() as call:
            await call.finished()
        if Count.seen - before != EVENTS:
            raise AssertionError(f"{Count.seen - before} of {EVENTS} events arrived")

    return timed(run)


def operator(stages: int) -> Callable[[], float]:
    """The compiled graph as an aiostream operator, each event in its envelope."""
    pipeline = echostack.compile(graph(stages, "bench.count"), registry=REGISTRY, env={})

    async def run() -> None:
        count, last = Count(), f"processing.s{stages - 1}.data"
        async with (stream.iterate(source()) | pipeline.pipe(last)).stream() as events:
            async for event in events:
                count(event.payload)

    return timed(run)


def main() -> None:
    """Print one table for each number of stages."""
    for stages in STAGES:
        cases = {
            "asyncio.Queue": raw_queues(stages),
            "aiostream map": plain_aiostream(stages),
            "EchoStack session": session(stages),
            "EchoStack operator": operator(stages),
        }
        print("\n".join(table(f"{stages} stages", "events/s", interleaved(cases, rounds=5))))


if __name__ == "__main__":
    main()
