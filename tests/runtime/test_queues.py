"""Lanes and inboxes against a model: every event is accounted for, nobody waits out of turn, nothing is lost."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from echostack.core.errors import QueueOverflow
from echostack.core.events import Event
from echostack.core.kinds import Overflow, Payload
from echostack.core.payloads import SpeechStarted, Text, ToolResult
from echostack.runtime.queues import OVERSHOOT, Inbox, Lane, Pressure
from echostack.simulation.loop import run_virtual


def event(seq: int, payload: Payload | None = None) -> Event:
    return Event("processing.a.text", payload or Text(""), "s", seq, 0.0)


def lane(overflow: Overflow = Overflow.BLOCK, bound: int = 3) -> Lane:
    return Lane("a -> b", bound, overflow, Pressure())


class LaneAgainstAModel(RuleBasedStateMachine):
    """One lane, every policy, ordinary and keep events, cleared at will."""

    @initialize(overflow=st.sampled_from(list(Overflow)), bound=st.integers(1, 5))
    def begin(self, overflow: Overflow, bound: int) -> None:
        self.overflow, self.bound = overflow, bound
        self.told: list[int] = []
        self.lane = Lane("a -> b", bound, overflow, Pressure(), on_drop=lambda _, e: self.told.append(e.seq))
        self.model: deque[tuple[int, bool]] = deque()
        self.seq = self.taken = self.dropped = self.stale = self.most = 0

    @rule(keep=st.booleans())
    def put(self, keep: bool) -> None:
        self.seq += 1
        item = event(self.seq, ToolResult("t") if keep else Text(""))
        full = len(self.model) >= self.bound
        ordinary = [e for e in self.model if not e[1]]
        queued = True
        if full and self.overflow in (Overflow.DROP_NEWEST, Overflow.ERROR):
            queued = False
        elif full and self.overflow in (Overflow.DROP_OLDEST, Overflow.LATEST):
            gone = ordinary[:1] if self.overflow is Overflow.DROP_OLDEST else ordinary
            queued = bool(gone)
            for old in gone:
                self.model.remove(old)
                self.dropped += 1
        if full and self.overflow is Overflow.ERROR:
            with pytest.raises(QueueOverflow, match=f"the queue of a -> b holds {self.bound} events and is full"):
                self.lane.put(item)
        else:
            assert self.lane.put(item) is queued
        if queued:
            self.model.append((self.seq, keep))
        else:
            self.dropped += 1
        self.most = max(self.most, len(self.model))

    @rule()
    def pop(self) -> None:
        found = self.lane.pop()
        if self.model:
            assert found is not None
            assert found.seq == self.model.popleft()[0]
            self.taken += 1
        else:
            assert found is None

    @rule()
    def clear(self) -> None:
        gone = [e for e in self.model if not e[1]]
        count, husk = self.lane.clear()
        assert count == len(gone)
        assert [e.seq for e in husk] == [s for s, _ in gone]
        self.model = deque(e for e in self.model if e[1])
        self.stale += len(gone)

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        if not hasattr(self, "lane"):
            return
        found = self.lane
        assert found.put_count == found.taken + found.dropped + found.stale + found.refused + len(found)
        assert (found.put_count, found.taken, found.dropped, found.stale) == (
            self.seq, self.taken, self.dropped, self.stale
        )  # fmt: skip
        assert len(found) == len(self.model)
        assert found.high == self.most
        assert len(self.told) == self.dropped
        if self.overflow is not Overflow.BLOCK:
            assert len(found) <= self.bound


TestLaneAgainstAModel = LaneAgainstAModel.TestCase


class InboxAgainstAModel(RuleBasedStateMachine):
    """Several lanes and the control lane before one consumer."""

    @initialize(lanes=st.integers(1, 4))
    def begin(self, lanes: int) -> None:
        self.inbox = Inbox("b", Pressure())
        self.lanes = [Lane(f"{n} -> b", 1000, Overflow.BLOCK, Pressure()) for n in range(lanes)]
        for one in self.lanes:
            self.inbox.add(one)
        self.model: list[deque[int]] = [deque() for _ in self.lanes]
        self.control: deque[int] = deque()
        self.waited = [0] * lanes
        self.seq = 0
        self.closed = False

    @rule(at=st.integers(0, 3), control=st.booleans(), count=st.integers(1, 4))
    def put(self, at: int, control: bool, count: int) -> None:
        for _ in range(count):
            self.seq += 1
            number = at % len(self.lanes)
            self.inbox.put(self.lanes[number], event(self.seq, SpeechStarted() if control else Text("")))
            if not self.closed:
                (self.control if control else self.model[number]).append(self.seq)

    @rule()
    def take(self) -> None:
        found = self.inbox.take_nowait()
        if self.control:
            assert found is not None
            assert found.seq == self.control.popleft()
            return
        ready = [n for n, q in enumerate(self.model) if q]
        if not ready:
            assert found is None
            return
        assert found is not None
        (served,) = [n for n in ready if self.model[n][0] == found.seq]
        self.model[served].popleft()
        self.waited[served] = 0
        for other in ready:
            if other != served:
                self.waited[other] += 1
                assert self.waited[other] <= len(self.lanes) - 1
        for idle in range(len(self.lanes)):
            if idle not in ready:
                self.waited[idle] = 0

    @precondition(lambda self: not self.closed)
    @rule()
    def close(self) -> None:
        self.inbox.close()
        self.closed = True

    @invariant()
    def holds_what_was_put(self) -> None:
        if hasattr(self, "inbox"):
            assert len(self.inbox) == len(self.control) + sum(map(len, self.model))


TestInboxAgainstAModel = InboxAgainstAModel.TestCase


def test_with_three_ready_lanes_each_is_served_in_turn_and_control_first() -> None:
    inbox = Inbox("b", Pressure())
    lanes = [Lane(f"{n} -> b", 50, Overflow.BLOCK, Pressure()) for n in range(3)]
    for number, one in enumerate(lanes):
        inbox.add(one)
        for seq in range(4):
            inbox.put(one, event(10 * number + seq))
    inbox.put(lanes[2], event(99, SpeechStarted()))
    order = [found.seq for _ in range(13) if (found := inbox.take_nowait()) is not None]
    assert order == [99, 0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23]


def test_clearing_keeps_what_survives_in_its_order_and_touches_no_event() -> None:
    found = lane(bound=100_000)
    for seq in range(10_000):
        found.put(event(seq, ToolResult("t") if seq % 1000 == 0 else Text("")))
    before = found._events
    count, husk = found.clear()
    # The very deque goes, whatever it holds: nothing is walked, moved or freed in this step.
    assert husk is before
    assert count == len(husk) == 9_990
    assert [e.seq for e in iter(found.pop, None)] == list(range(0, 10_000, 1000))


def test_kept_and_ordinary_events_leave_in_the_order_in_which_they_came() -> None:
    found = lane(bound=10)
    for seq, payload in enumerate([Text(""), ToolResult("t"), Text(""), ToolResult("t"), Text("")]):
        found.put(event(seq, payload))
    assert [e.seq for e in iter(found.pop, None)] == [0, 1, 2, 3, 4]


def test_a_blocking_lane_takes_the_overshoot_of_those_that_cannot_wait_and_then_refuses() -> None:
    found = lane(bound=2)
    taken = [found.put(event(seq)) for seq in range(OVERSHOOT + 4)]
    assert taken == [True] * (OVERSHOOT + 2) + [False, False]
    assert (found.refused, len(found), found.put_count) == (2, OVERSHOOT + 2, OVERSHOOT + 4)


def test_the_producer_of_a_full_lane_waits_for_room() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        pressure = Pressure()
        found = Lane("a -> b", 2, Overflow.BLOCK, pressure)
        times: list[float] = []

        async def produce() -> None:
            for seq in range(5):
                found.put(event(seq))
                await pressure.relieve()
                times.append(loop.time())

        producer = asyncio.ensure_future(produce())
        for _ in range(5):
            await asyncio.sleep(1.0)
            found.pop()
        await producer
        return times

    assert run_virtual(main()) == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("end", ["clear", "abandon"])
def test_a_waiting_producer_goes_on_when_the_lane_is_cleared_or_abandoned(end: str) -> None:
    async def main() -> float:
        pressure = Pressure()
        found = Lane("a -> b", 1, Overflow.BLOCK, pressure)
        found.put(event(1))
        asyncio.get_running_loop().call_later(2.0, getattr(found, end))
        await pressure.relieve()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 2.0


def test_a_cancelled_take_loses_no_event() -> None:
    async def main() -> list[int]:
        inbox = Inbox("b", Pressure())
        one = Lane("a -> b", 50, Overflow.BLOCK, Pressure())
        inbox.add(one)
        got: list[int] = []
        for seq in range(20):
            taking = asyncio.ensure_future(inbox.take())
            await asyncio.sleep(0)
            # The event and the cancellation arrive in one step, in either order.
            if seq % 2:
                inbox.put(one, event(seq))
                taking.cancel()
            else:
                taking.cancel()
                inbox.put(one, event(seq))
            await asyncio.gather(taking, return_exceptions=True)
            if not taking.cancelled():
                got.append(taking.result().seq)  # type: ignore[union-attr]
        while (left := inbox.take_nowait()) is not None:
            got.append(left.seq)
        return got

    assert run_virtual(main()) == list(range(20))


def test_the_late_cleanup_of_a_cancelled_take_does_not_deafen_its_successor() -> None:
    async def main() -> int:
        inbox = Inbox("b", Pressure())
        one = Lane("a -> b", 50, Overflow.BLOCK, Pressure())
        inbox.add(one)
        first = asyncio.ensure_future(inbox.take())
        await asyncio.sleep(0)
        second = asyncio.ensure_future(inbox.take())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        inbox.put(one, event(7))
        found = await asyncio.wait_for(second, 1.0)
        assert found is not None
        return found.seq

    assert run_virtual(main()) == 7


def test_a_closed_inbox_is_emptied_and_then_ends() -> None:
    async def main() -> list[int | None]:
        inbox = Inbox("b", Pressure())
        one = Lane("a -> b", 50, Overflow.BLOCK, Pressure())
        inbox.add(one)
        inbox.put(one, event(1))
        inbox.close()
        inbox.put(one, event(2))
        assert one.refused == 1
        return [found.seq if (found := await inbox.take()) else None for _ in range(2)]

    assert run_virtual(main()) == [1, None]


def test_closing_wakes_a_waiting_consumer() -> None:
    async def main() -> Event | None:
        inbox = Inbox("b", Pressure())
        asyncio.get_running_loop().call_later(1.0, inbox.close)
        return await inbox.take()

    assert run_virtual(main()) is None


def test_an_abandoned_inbox_counts_what_it_held_as_dropped() -> None:
    inbox = Inbox("b", Pressure())
    one = lane(bound=50)
    inbox.add(one)
    for seq in range(4):
        inbox.put(one, event(seq, ToolResult("t") if seq == 2 else Text("")))
    inbox.abandon()
    inbox.put(one, event(9))
    assert (one.put_count, one.dropped, one.refused, len(one)) == (5, 4, 1, 0)
