"""The one module that knows aiostream: our own operators, and the loops that run them.

aiostream (GPL-3.0-or-later) has no fan-out and its merge is unfair and unprioritised (docs/architecture.md), so
merge and broadcast are written here, as operators like any other: ``a | fused.pipe(push)``, ``merge(a, b)``,
``broadcast(a, 2)``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from aiostream import operator, pipable_operator, streamcontext
from aiostream.core import Stream

from echostack.core.kinds import Overflow
from echostack.runtime.queues import Inbox, Pressure

T = TypeVar("T")


@operator
async def taken(inbox: Inbox) -> AsyncIterator[Any]:
    """The events of an inbox, fairly and by priority, until it is closed and empty."""
    while (event := await inbox.take()) is not None:
        yield event


@pipable_operator
async def fused(source: AsyncIterable[T], push: Callable[[T], object], pressure: Pressure) -> AsyncIterator[object]:
    """Push every item through an island, synchronously; wait, before the next, until its queues have room again.

    What leaves an island leaves by its queues, so the operator yields only what ``push`` returns, when that is
    not None. An island is one operator however many nodes it has: a layer of operators costs 0.3 µs an item, and
    a chain of 500 ends in a RecursionError (FACTS).
    """
    async with reading(source) as items:
        async for item in items:
            left = push(item)
            if pressure.lanes:
                await pressure.relieve()
            if left is not None:
                yield left


async def drive(source: AsyncIterable[Any]) -> None:
    """Run a pipeline for its effects, to its end. Cancelling it closes the source."""
    async with streamcontext(source) as items:
        async for _ in items:
            pass


@asynccontextmanager
async def reading(source: AsyncIterable[T]) -> AsyncIterator[AsyncIterable[T]]:
    """Any async iterable for reading, closed at the end. A plain generator is read bare: aiostream's streamer
    around it would cost more than all else that is done for an item."""
    if isinstance(source, AsyncGenerator):
        async with aclosing(source):
            yield source
    else:
        async with streamcontext(source) as items:
            yield items


@dataclass(slots=True)
class _Slot:
    """One source of a merge or one reader of a broadcast: a bounded buffer with both ends waiting."""

    bound: int
    items: deque[Any]
    ended: bool = False
    error: BaseException | None = None
    dropped: int = 0
    closed: bool = False
    room: asyncio.Future[None] | None = None


class _Feeders:
    """The tasks of one operator. asyncio.TaskGroup would wrap a source's error, and the generator's own exit, in
    a group; feeders hand their errors to the reader themselves, so leaving is cancelling and awaiting each."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


@operator
async def merge(
    *sources: AsyncIterable[T], priorities: Sequence[int] | None = None, bound: int = 64
) -> AsyncIterator[T]:
    """All items of all sources, as they come: fair among equals, the higher priority always first.

    Each source has a buffer of ``bound`` items that its own task fills; a full buffer holds its source back and
    no other. Sources of one priority are served in turn, one item each. The first error of a source is raised
    after the items that came before it. Closing cancels the tasks and awaits them.
    """
    ranks = list(priorities or [0] * len(sources))
    if len(ranks) != len(sources):
        raise ValueError(f"{len(sources)} sources take as many priorities, not {len(ranks)}")
    slots = [_Slot(bound, deque()) for _ in sources]
    order = sorted(set(ranks), reverse=True)
    groups = [[s for s, r in zip(slots, ranks, strict=True) if r == rank] for rank in order]
    turns = [0] * len(groups)
    ready: list[asyncio.Future[None] | None] = [None]

    async def feed(source: AsyncIterable[T], slot: _Slot) -> None:
        try:
            async with streamcontext(source) as items:
                async for item in items:
                    slot.items.append(item)
                    _wake(ready[0])
                    while len(slot.items) >= slot.bound:
                        slot.room = asyncio.get_running_loop().create_future()
                        await slot.room
        except Exception as error:  # handed to the reader, in order
            slot.error = error
        finally:
            slot.ended = True
            _wake(ready[0])

    feeders = _Feeders()
    try:
        for source, slot in zip(sources, slots, strict=True):
            feeders.start(feed(source, slot))
        while True:
            found = _next_item(groups, turns)
            if found is not None:
                slot, item = found
                _wake(slot.room)
                yield item
                continue
            for slot in slots:
                if slot.error is not None:
                    raise slot.error
            if all(slot.ended for slot in slots):
                return
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            ready[0] = waiting
            await waiting
    finally:
        await feeders.close()


def _next_item(groups: list[list[_Slot]], turns: list[int]) -> tuple[_Slot, Any] | None:
    for number, group in enumerate(groups):
        for step in range(len(group)):
            at = (turns[number] + step) % len(group)
            if group[at].items:
                turns[number] = (at + 1) % len(group)
                return group[at], group[at].items.popleft()
    return None


class Broadcast:
    """A source read once and heard by several: ``async with broadcast(source, 2) as (a, b)``.

    Every reader has a buffer of ``bound`` items and the policy of ``overflow``. Under ``block`` the slowest
    reader sets the pace; under any other policy none delays another, and what one loses is counted in
    ``dropped``. A reader that closes is forgotten. The task that reads the source belongs to the ``async with``
    and is cancelled and awaited at its end.
    """

    def __init__(self, source: AsyncIterable[Any], readers: int, bound: int, overflow: Overflow) -> None:
        if readers < 1 or bound < 1:
            raise ValueError("a broadcast takes at least one reader and a bound of at least one item")
        self._source, self._overflow = source, overflow
        self._slots = [_Slot(bound, deque()) for _ in range(readers)]
        self._ready: list[asyncio.Future[None] | None] = [None] * readers
        self._feeders = _Feeders()

    @property
    def dropped(self) -> tuple[int, ...]:
        """How many items each reader has lost to its policy."""
        return tuple(s.dropped for s in self._slots)

    async def __aenter__(self) -> tuple[Stream[Any], ...]:
        self._feeders.start(self._feed())
        return tuple(_reader(self, n) for n in range(len(self._slots)))

    async def __aexit__(self, *error: object) -> None:
        await self._feeders.close()

    async def _feed(self) -> None:
        try:
            async with streamcontext(self._source) as items:
                async for item in items:
                    for number, slot in enumerate(self._slots):
                        if not slot.closed:
                            await self._give(number, slot, item)
        except Exception as error:  # handed to every reader, in order
            for slot in self._slots:
                slot.error = error
        finally:
            for number, slot in enumerate(self._slots):
                slot.ended = True
                _wake(self._ready[number])

    async def _give(self, number: int, slot: _Slot, item: Any) -> None:
        full = len(slot.items) >= slot.bound
        if full and self._overflow is Overflow.BLOCK:
            while len(slot.items) >= slot.bound and not slot.closed:
                slot.room = asyncio.get_running_loop().create_future()
                await slot.room
        elif full:
            match self._overflow:
                case Overflow.DROP_NEWEST:
                    slot.dropped += 1
                    return
                case Overflow.LATEST:
                    slot.dropped += len(slot.items)
                    slot.items.clear()
                case Overflow.DROP_OLDEST:
                    slot.dropped += 1
                    slot.items.popleft()
                case _:
                    slot.dropped += 1
                    slot.error = OverflowError(f"a reader fell {slot.bound} items behind")
                    slot.closed = True
                    _wake(self._ready[number])
                    return
        slot.items.append(item)
        _wake(self._ready[number])

    async def read(self, number: int) -> AsyncIterator[Any]:
        """The items of one reader."""
        slot = self._slots[number]
        try:
            while True:
                if slot.items:
                    item = slot.items.popleft()
                    _wake(slot.room)
                    yield item
                elif slot.error is not None:
                    raise slot.error
                elif slot.ended:
                    return
                else:
                    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._ready[number] = ready
                    await ready
        finally:
            slot.closed = True
            slot.items.clear()
            _wake(slot.room)


def broadcast(
    source: AsyncIterable[Any], readers: int, *, bound: int = 64, overflow: Overflow = Overflow.BLOCK
) -> Broadcast:
    """Fan a source out to ``readers`` bounded streams; see ``Broadcast``."""
    return Broadcast(source, readers, bound, overflow)


@operator
async def _reader(owner: Broadcast, number: int) -> AsyncIterator[Any]:
    async for item in owner.read(number):
        yield item


class Call(Protocol):
    """What ``called`` needs of a session; the runtime's Session is one."""

    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None: ...
    def events(self, *patterns: str, overflow: Overflow) -> AsyncIterable[Any]: ...


@pipable_operator
async def called(
    source: AsyncIterable[Any], session: Callable[[AsyncIterable[Any]], Call], output: tuple[str, ...]
) -> AsyncIterator[Any]:
    """A whole call as one operator: the source is its ingress, its matching events are the items.

    The reader sets the pace: events wait for it, and through the queues so does the source. Leaving the stream
    ends the call.
    """
    call = session(source)
    async with call:
        async for event in call.events(*output, overflow=Overflow.BLOCK):
            yield event
