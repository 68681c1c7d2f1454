"""Bounded queues: the only places in a session where an event waits.

An ``Inbox`` stands before every node that has a task of its own. It holds one *lane* an incoming edge, each with
its own bound and overflow policy, and one control lane. ``take`` serves control first, then the lanes in turn,
one event each: with N ready lanes none waits for more than N - 1 events of others, however full they are, and a
control event waits for none. (aiostream's own merge delivered 20000:0:0 from three ready sources.)

Putting never waits, so that a synchronous push through an island never does. A producer that pushed into a full
``block`` lane finds that lane in ``Pressure`` right after its push and waits for room *before its next event*: a
lane may exceed its bound by what one event fans out to, and by nothing else. Producers that cannot wait (a
callback) may overshoot by ``OVERSHOOT`` events, then their events are refused and counted.

Clearing a lane on an interruption costs the same however much it holds: events that survive (``keep`` kinds)
wait in a deque of their own, ordered with the rest by sequence number, and the rest is dropped by replacing its
deque, released later in slices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from echostack.core.errors import QueueOverflow
from echostack.core.events import Event
from echostack.core.kinds import Overflow

OVERSHOOT = 1024
CONTROL_BOUND = 4096


class Pressure:
    """The full ``block`` lanes that the current synchronous push ran into; one for a session."""

    __slots__ = ("lanes",)

    def __init__(self) -> None:
        self.lanes: list[Lane] = []

    async def relieve(self) -> None:
        """Wait until every lane pushed full has room again. Cancelling loses nothing: the events are queued."""
        while self.lanes:
            lanes, self.lanes = self.lanes, []
            for lane in lanes:
                await lane.room()


@dataclass(slots=True)
class Lane:
    """One bounded FIFO. Counters never go back: put = taken + dropped + stale + refused + held."""

    edge: str
    bound: int
    overflow: Overflow
    pressure: Pressure
    on_drop: Callable[[Lane, Event], None] | None = None
    put_count: int = 0
    taken: int = 0
    dropped: int = 0
    stale: int = 0
    refused: int = 0
    high: int = 0
    abandoned: bool = False
    _events: deque[Event] = field(default_factory=deque)
    _kept: deque[Event] = field(default_factory=deque)
    _rooms: list[asyncio.Future[None]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._events) + len(self._kept)

    def put(self, event: Event) -> bool:
        """Queue ``event`` by the lane's policy; False when it was not queued. QueueOverflow under ``error``."""
        self.put_count += 1
        size = len(self._events) + len(self._kept)
        if size >= self.bound:
            match self.overflow:
                case Overflow.BLOCK:
                    if size >= self.bound + OVERSHOOT:
                        self.refused += 1
                        self._tell(event)
                        return False
                case Overflow.DROP_OLDEST:
                    if not self._events:
                        return self._drop(event)
                    self._drop(self._events.popleft())
                case Overflow.DROP_NEWEST:
                    return self._drop(event)
                case Overflow.LATEST:
                    if not self._events and self._kept:
                        return self._drop(event)
                    while self._events:
                        self._drop(self._events.popleft())
                case Overflow.ERROR:
                    self._drop(event)
                    raise QueueOverflow(f"the queue of {self.edge} holds {self.bound} events and is full")
            size = len(self._events) + len(self._kept)
        (self._kept if event.payload.__kind__.keep else self._events).append(event)
        size += 1
        if size > self.high:
            self.high = size
        if size >= self.bound and self.overflow is Overflow.BLOCK:
            self.pressure.lanes.append(self)
        return True

    def pop(self) -> Event | None:
        """The oldest event, or None."""
        events, kept = self._events, self._kept
        if kept and (not events or kept[0].seq < events[0].seq):
            event = kept.popleft()
        elif events:
            event = events.popleft()
        else:
            return None
        self.taken += 1
        if self._rooms and len(self) < self.bound:
            self._release()
        return event

    def clear(self) -> tuple[int, deque[Event]]:
        """Drop all that does not survive an interruption, in constant time: how many, and the husk to release."""
        husk, self._events = self._events, deque()
        self.stale += len(husk)
        if self._rooms:
            self._release()
        return len(husk), husk

    @property
    def clearable(self) -> bool:
        """Whether it holds anything that an interruption drops."""
        return bool(self._events)

    async def room(self) -> None:
        """Wait until the lane is below its bound (or cleared, or abandoned)."""
        while len(self) >= self.bound and not self.abandoned:
            future = asyncio.get_running_loop().create_future()
            self._rooms.append(future)
            await future

    def abandon(self) -> None:
        """No one will take from here again: producers stop waiting; what is held counts as dropped."""
        self.abandoned = True
        self.dropped += len(self)
        self._events.clear()
        self._kept.clear()
        self._release()

    def _drop(self, event: Event) -> bool:
        self.dropped += 1
        self._tell(event)
        return False

    def _tell(self, event: Event) -> None:
        if self.on_drop is not None:
            self.on_drop(self, event)

    def _release(self) -> None:
        rooms, self._rooms = self._rooms, []
        for future in rooms:
            if not future.done():
                future.set_result(None)


class Inbox:
    """The lanes before one consumer. Any number of producers on the same loop, exactly one consumer."""

    __slots__ = ("_closed", "_turn", "_waiter", "control", "lanes", "name")

    def __init__(self, name: str, pressure: Pressure) -> None:
        self.name = name
        self.lanes: list[Lane] = []
        self.control = Lane(f"{name} (control)", CONTROL_BOUND, Overflow.BLOCK, pressure)
        self._turn = 0
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    def add(self, lane: Lane) -> None:
        self.lanes.append(lane)

    def __len__(self) -> int:
        return len(self.control) + sum(map(len, self.lanes))

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def awaited(self) -> bool:
        """Whether the consumer has taken everything and waits for more."""
        return self._waiter is not None and not self

    def put(self, lane: Lane, event: Event) -> None:
        """Queue ``event`` in ``lane``, or in the control lane when its kind is control. Never waits."""
        if self._closed:
            lane.put_count += 1
            lane.refused += 1
            return
        # As put_media, spelt out: this is on the path of every event of a call.
        if (self.control if event.payload.__kind__.control else lane).put(event):
            waiter = self._waiter
            if waiter is not None:
                self._waiter = None
                if not waiter.done():
                    waiter.set_result(None)

    def put_media(self, lane: Lane, event: Event) -> None:
        """Queue ``event`` in ``lane`` whatever its kind, so that a lane keeps the order of all it is given."""
        if lane.put(event):
            waiter = self._waiter
            if waiter is not None:
                self._waiter = None
                if not waiter.done():
                    waiter.set_result(None)

    def take_nowait(self) -> Event | None:
        """The next event by priority and turn, or None."""
        control, lanes, at = self.control, self.lanes, self._turn
        if control._events or control._kept:
            return control.pop()
        count = len(lanes)
        for _ in lanes:
            lane = lanes[at]
            at = at + 1 if at + 1 < count else 0
            if lane._events or lane._kept:
                self._turn = at
                if lane._kept or lane._rooms:
                    return lane.pop()
                lane.taken += 1  # as pop does it, for nearly every event of a call
                return lane._events.popleft()
        return None

    async def take(self) -> Event | None:
        """The next event; None once the inbox is closed and empty. Cancelling it loses no event."""
        event = self.take_nowait()
        while event is None and not self._closed:
            await self.more()
            event = self.take_nowait()
        return event

    async def more(self) -> None:
        """Wait until something is put, or the inbox is closed; for whoever has just found it empty and open."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            # A cancelled take may be cleaned up after its successor has begun to wait.
            if self._waiter is waiter:
                self._waiter = None

    def close(self) -> None:
        """No more will be put; what is held can still be taken."""
        self._closed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def abandon(self) -> None:
        """Close, and give up what is held."""
        self.close()
        for lane in (self.control, *self.lanes):
            lane.abandon()

    def clear(self) -> tuple[int, list[deque[Event]]]:
        """Drop all that does not survive an interruption, from every lane, in constant time a lane."""
        dropped, husks = 0, []
        for lane in self.lanes:
            if lane.clearable:
                count, husk = lane.clear()
                dropped += count
                husks.append(husk)
        return dropped, husks
