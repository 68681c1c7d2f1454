"""The edges of a call: before it opens, while something cannot open or close, and after it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import echostack.api as echostack
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.errors import EchoStackError, QueueOverflow, SessionClosed, UsageError
from echostack.core.payloads import AgentMessage, Data, HttpResponse, Text
from echostack.registry import Context, connector
from echostack.runtime import Session
from echostack.simulation.loop import run_virtual
from tests.runtime.cast import CALL, cues, hears, play, registry
from tests.runtime.doors import DOORS, Doors

ASKED = [(1.0, "say:hello")]  # heard from 1.5 to 6.5


def leftovers() -> list[asyncio.Task[Any]]:
    return [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]


def test_a_node_may_be_given_less_time_to_open_than_the_call() -> None:
    @connector("slow.door")
    class Slow:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def open(self) -> None:
            await self._clock.sleep(5.0)

        def __call__(self, text: Text) -> None: ...

    graph = hears("ear.stt -> slow.door", connectors="{slow.door: {timeout: 2s}}")
    with pytest.raises(EchoStackError, match=r"slow\.door did not open within 2 s"):
        play([], Slow, graph=graph)


def test_events_asked_for_before_the_call_opens_have_its_very_first() -> None:
    async def main() -> list[str]:
        clock = LoopClock()
        pipeline = echostack.compile(hears("ear.stt -> acme.agent"), registry=registry(), env={})
        session = pipeline.session(clock=clock, compute=InlineCompute(), ingress={"line": cues(ASKED, clock, 2.0)})
        early = session.events("control.call.*")
        async with session as call:
            late = call.events("control.call.*")
            await call.finished()
        assert [e.kind async for e in late] == ["call_ended"]
        return [e.kind async for e in early]

    assert run_virtual(main()) == ["call_started", "call_ended"]


def test_events_of_a_call_that_could_not_open_end() -> None:
    async def main() -> list[str]:
        async def dead(clock: LoopClock) -> None:
            raise OSError("the line is dead")

        doors = Doors(opens=dead)
        pipeline = echostack.compile(hears("ear.stt -> two.door"), registry=registry(*doors.cast), env={})
        session = pipeline.session(compute=InlineCompute(), ingress={"line": cues([], LoopClock(), 1.0)})
        events = session.events()
        with pytest.raises(EchoStackError, match=r"two\.door cannot open: the line is dead"):
            await session.__aenter__()
        return [e.name async for e in events]

    assert run_virtual(main()) == []


def test_a_member_of_a_choice_is_not_fed_past_its_choice() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(1.0)
        with pytest.raises(UsageError, match=r"acme\.agent is a member of a choice: emit to 'acme\.agent \?\? "):
            await call.emit(Text("x"), to="acme.agent")

    graph = hears("ear.stt -> acme.agent ?? other -> acme.tts", connectors="{other: {use: acme.agent}}")
    play([], graph=graph, during=during, until=3.0)


def test_connectors_that_do_not_close_share_one_deadline_and_are_named() -> None:
    async def hang_for_ever(clock: LoopClock) -> None:
        while True:
            try:
                await clock.sleep(60.0)
            except asyncio.CancelledError:
                if clock.now() > 1000:
                    raise

    doors = Doors(closes=hang_for_ever)

    async def main() -> tuple[float, tuple[str, ...]]:
        clock = LoopClock()
        pipeline = echostack.compile(DOORS, registry=registry(*doors.cast), env={})
        async with pipeline.session(clock=clock, compute=InlineCompute(), close_timeout=2.0) as call:
            await clock.sleep(1.0)
        took = clock.now() - 1.0
        for task in leftovers():  # the connector's own fault, and its end
            await clock.sleep(1000.0)
            task.cancel()
        return took, call.stats().late

    took, late = run_virtual(main())
    assert 2.0 <= took < 2.2
    assert late == ("two.door (closing)",)


def test_leaving_while_another_task_closes_waits_until_it_is_closed() -> None:
    async def slow(clock: LoopClock) -> None:
        await clock.sleep(1.0)

    doors = Doors(closes=slow)

    async def main() -> list[str]:
        clock = LoopClock()
        pipeline = echostack.compile(DOORS, registry=registry(*doors.cast), env={})
        async with asyncio.TaskGroup() as group, pipeline.session(clock=clock, compute=InlineCompute()) as call:
            group.create_task(call.close())
            await clock.sleep(0.1)
        return list(doors.log)

    assert "close two" in run_virtual(main())


def test_a_compute_that_was_given_serves_the_next_call_too() -> None:
    class Given(InlineCompute):
        closed = False

        def close(self) -> None:
            self.closed = True

    given = Given()

    async def main() -> None:
        pipeline = echostack.compile(hears("ear.stt -> acme.agent"), registry=registry(), env={})
        async with pipeline.session(compute=given):
            pass

    run_virtual(main())
    assert not given.closed


def test_a_call_that_was_not_entered_says_so() -> None:
    session = echostack.compile(hears("ear.stt -> acme.agent"), registry=registry(), env={}).session()
    for ask in (session.stats, session.hang_up, session.barge_in, lambda: session.conversation, lambda: session.now):
        with pytest.raises(UsageError, match="the call has not begun"):
            ask()


def test_nothing_is_done_to_a_call_that_has_ended() -> None:
    async def main() -> int:
        clock = LoopClock()
        pipeline = echostack.compile(hears("ear.stt -> acme.agent"), registry=registry(), env={})
        async with pipeline.session(
            clock=clock, compute=InlineCompute(), ingress={"line": cues([], clock, 1.0)}
        ) as call:
            await call.finished()
            call.hang_up()
            with pytest.raises(SessionClosed, match="the call has ended"):
                call.barge_in()
            with pytest.raises(SessionClosed, match="the call has ended"):
                await call.emit(Text("x"), to="acme.agent")
            return call.stats().interruptions

    assert run_virtual(main()) == 0


def test_a_subscription_that_may_not_lose_fails_alone() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        strict = call.events("processing.*.text", queue=2, overflow="error")
        await clock.sleep(6.0)
        got = [(await anext(strict)).payload.text for _ in range(2)]  # type: ignore[attr-defined]
        assert got == ["one", "two"]
        with pytest.raises(QueueOverflow):
            await anext(strict)

    script = [(float(n), f"say:{word}") for n, word in enumerate(("one", "two", "three", "four"), 1)]
    over = play(script, graph=hears("ear.stt -> acme.agent"), during=during, until=8.0)
    assert [p.text for _, p in over.at("processing.ear.text")] == ["one", "two", "three", "four"]
    assert not [e for e in over.events if e.name.startswith("error.")]


def test_closed_subscriptions_are_forgotten() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        before = len(call.stats().queues)
        for _ in range(50):
            call.events("processing.*.text").close()
        assert len(call.stats().queues) == before

    play([], graph=hears("ear.stt -> acme.agent"), during=during, until=1.0)


def test_hanging_up_gives_up_the_reply_although_nothing_may_interrupt_it() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.0)
        call.hang_up()

    graph = CALL.replace("barge_in: {on: processing.ear.speech_started}", "barge_in: off")
    over = play(ASKED, graph=graph, during=during)
    assert over.at("control.call.call_ended")[0][0] < 2.2


def test_a_member_that_cannot_open_rests_and_the_other_answers() -> None:
    @connector("dead.node")
    class Dead:
        async def open(self) -> None:
            raise OSError("no line")

        async def __call__(self, text: Text) -> Data:
            return Data("dead")

    @connector("live.node")
    async def live(text: Text) -> Data:
        return Data(f"live {text.text}")

    graph = hears("ear.stt -> dead.node ?? live.node -> acme.sink")

    @connector("acme.sink")
    def sink(data: Data) -> None: ...

    over = play(ASKED, Dead, live, sink, graph=graph, until=3.0)
    assert [e.payload.name for e in over.events if e.kind == "data"] == ["live hello"]  # type: ignore[attr-defined]
    assert over.stats.nodes["dead.node"]["failures"] == {"exception": 1}


def test_what_a_node_says_of_itself_belongs_to_the_present_epoch() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await call.emit(AgentMessage("one two three four five six seven eight"), source="acme.agent")
        await clock.sleep(1.1)
        call.barge_in()
        await clock.sleep(3.0)

    over = play([], during=during, until=6.0)
    assert [(t.role, t.cut) for t in over.turns] == [("agent", True)]
    assert over.stats.interruptions == 1
    finished = over.at("control.line.playout_finished")
    assert len(finished) == 1
    assert finished[0][0] == 1.1


def test_two_messages_for_one_event_are_two_utterances() -> None:
    @connector("twice.agent")
    async def twice(text: Text) -> AsyncIterator[AgentMessage]:
        yield AgentMessage("first one")
        yield AgentMessage("second one")

    over = play(
        ASKED,
        twice,
        graph=CALL.replace("acme.agent", "twice.agent").replace("twice.agent: {seconds: 0.4}", "twice.agent: {}"),
    )
    ids = [p.id for _, p in over.at("processing.twice.agent_message")]
    assert len(set(ids)) == 2
    assert [t.text for t in over.turns if t.role == "agent"] == ["first one", "second one"]


def test_an_effect_under_way_at_the_end_is_on_record() -> None:
    @connector("acme.book", effect=True)
    class Book:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> HttpResponse:
            await self._clock.sleep(60.0 if text.text == "slow" else 0.1)
            return HttpResponse(200)

    async def main() -> list[tuple[str, str]]:
        clock = LoopClock()
        pipeline = echostack.compile(hears("ear.stt -> acme.book"), registry=registry(Book), env={})
        script = [(1.0, "say:quick"), (2.0, "say:slow")]
        session = pipeline.session(clock=clock, compute=InlineCompute(), ingress={"line": cues(script, clock, 9.0)})
        async with session as call:
            await clock.sleep(3.0)
        return [(e.node, e.state) for e in call.stats().effects]

    assert run_virtual(main()) == [("acme.book", "done"), ("acme.book", "begun")]
