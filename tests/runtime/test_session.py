"""One call from its opening to its end: what is opened is closed, what is started ends, and who was late is named."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import echostack.api as echostack
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.errors import EchoStackError, MissingExtra, SessionClosed, UsageError
from echostack.core.kinds import Overflow
from echostack.core.payloads import AgentMessage, AudioFrame, Data, PlayoutFinished, SpeechStarted, Text, ToolResult
from echostack.registry import AudioSink, Context, Inbox, connector
from echostack.runtime import Session
from echostack.simulation.loop import run_virtual
from tests.runtime.cast import CALL, RATE, Outcome, Pace, cues, hears, play, registry, reply_to
from tests.runtime.doors import DOORS, Doors
from tests.runtime.sinks import MemorySink

ASKED = [(1.0, "say:hello")]  # heard from 1.5 to 6.5


def leftovers() -> list[asyncio.Task[Any]]:
    return [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]


async def refuse(clock: LoopClock) -> None:
    raise ConnectionRefusedError("nobody at home")


async def hang(clock: LoopClock) -> None:
    await clock.sleep(3600.0)


async def crash(clock: LoopClock) -> None:
    raise ValueError("a bug")


def test_every_connector_is_opened_and_closed_in_reverse() -> None:
    doors = Doors()
    play(ASKED, *doors.cast, graph=DOORS)
    assert doors.log == ["open one", "open two", "close two", "close one"]


@pytest.mark.parametrize(
    ("opens", "error", "message"),
    [
        (refuse, EchoStackError, "two.door cannot open: nobody at home"),
        (hang, EchoStackError, "the call could not open within 2 s: two.door was opening"),
        (crash, EchoStackError, "two.door cannot open: ValueError: a bug"),
    ],
)
def test_a_call_that_cannot_open_closes_what_it_opened(opens: Any, error: type[Exception], message: str) -> None:
    doors = Doors(opens)

    async def main() -> None:
        pipeline = echostack.compile(DOORS, registry=registry(*doors.cast), env={})
        with pytest.raises(error) as caught:
            async with pipeline.session(compute=InlineCompute(), open_timeout=2.0):
                raise AssertionError("it opened")
        assert str(caught.value) == message
        assert not leftovers()

    run_virtual(main())
    assert doors.log == ["open one", "open two", "close two", "close one"]


def test_a_cancelled_opening_closes_what_it_opened() -> None:
    doors = Doors(hang)

    async def main() -> None:
        pipeline = echostack.compile(DOORS, registry=registry(*doors.cast), env={})

        async def call() -> None:
            async with pipeline.session(compute=InlineCompute()):
                raise AssertionError("it opened")

        calling = asyncio.ensure_future(call())
        await asyncio.sleep(1.0)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert calling.cancelled()
        assert not leftovers()

    run_virtual(main())
    assert doors.log[-2:] == ["close two", "close one"]


def test_a_connector_that_does_not_close_is_late_and_the_others_are_closed() -> None:
    doors = Doors(closes=hang)
    over = play(ASKED, *doors.cast, graph=DOORS, close_timeout=2.0)
    assert doors.log[-2:] == ["close two", "close one"]
    assert over.stats.late == ("two.door (closing)",)


def test_an_error_on_closing_is_an_error_event_and_the_others_are_closed() -> None:
    doors = Doors(closes=crash)
    over = play(ASKED, *doors.cast, graph=DOORS)
    assert doors.log[-2:] == ["close two", "close one"]
    assert over.stats.nodes["two.door"]["failures"] == {"exception": 1}


def test_a_missing_package_names_the_extra_to_install() -> None:
    @connector("acme.node", packages=("no_such_package_at_all",), extra="acme")
    async def node(text: Text) -> Data:
        return Data("")

    with pytest.raises(MissingExtra) as caught:
        play(ASKED, node, graph=hears("ear.stt -> acme.node"))
    assert str(caught.value) == (
        "acme.node needs the package 'no_such_package_at_all', which is not installed: pip install 'echostack[acme]'"
    )


@pytest.mark.parametrize(
    "at", [0.0, 0.5, 0.99, 1.0, 1.2, 1.4, 1.45, 1.5, 1.501, 1.517, 2.0, 3.21, 4.0, 4.2, 6.48, 6.5, 6.6, 9.9]
)
@pytest.mark.parametrize("how", ["hang_up", "leave", "cancel", "error"])
def test_whenever_a_call_ends_nothing_of_it_is_left(at: float, how: str) -> None:
    async def main() -> tuple[float, MemorySink, int]:
        clock = LoopClock()
        sink = MemorySink(clock)
        pipeline = echostack.compile(CALL, registry=registry(), env={})
        script = [*ASKED, (4.0, "speech"), (4.3, "stop")]
        silent_at = 0.0

        async def call() -> None:
            nonlocal silent_at
            async with pipeline.session(
                clock=clock, compute=InlineCompute(), ingress={"line": cues(script, clock, 10.0)},
                egress={"line": sink},
            ) as session:  # fmt: skip
                await clock.sleep(at)
                silent_at = sink.heard_samples
                if how == "hang_up":
                    session.hang_up()
                    await session.finished()
                elif how == "error":
                    raise KeyError("the program's own")
                elif how == "cancel":
                    await clock.sleep(3600.0)

        calling = asyncio.ensure_future(call())
        if how == "cancel":
            await clock.sleep(at)
            await asyncio.sleep(0)
            calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        left = leftovers()
        assert not left, left
        ended = clock.now()
        await clock.sleep(5.0)
        return ended, sink, int(silent_at)

    ended, sink, heard = run_virtual(main())
    assert ended <= at + 0.1
    assert sink.heard_samples == heard


@pytest.mark.parametrize("at", [1.2, 2.5])
def test_a_second_cancellation_does_not_keep_the_call_from_closing(at: float) -> None:
    doors = Doors(closes=lambda clock: clock.sleep(0.5))

    async def main() -> None:
        clock = LoopClock()
        pipeline = echostack.compile(DOORS, registry=registry(*doors.cast), env={})

        async def call() -> None:
            async with pipeline.session(
                clock=clock, compute=InlineCompute(), ingress={"line": cues(ASKED, clock, 10.0)}
            ):
                await clock.sleep(3600.0)

        calling = asyncio.ensure_future(call())
        await clock.sleep(at)
        calling.cancel()
        await clock.sleep(0.2)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert calling.cancelled()
        assert not leftovers()

    run_virtual(main())
    assert doors.log == ["open one", "open two", "close two", "close one"]


def test_the_caller_hangs_up_while_a_connector_connects() -> None:
    ends: list[str] = []

    @connector("acme.node")
    class Socket:
        """Connects as it runs, for long."""

        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
            try:
                await self._clock.sleep(60.0)
                yield Data("connected")
            finally:
                ends.append("gone")

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(1.0)
        call.hang_up()

    over = play(ASKED, Socket, graph=hears("ear.stt -> acme.node"), during=during, drain_timeout=2.0)
    assert over.times("control.call.call_ended") == [3.0]
    assert over.stats.late == ("acme.node",)
    assert ends == ["gone"]


def test_a_connector_that_never_ends_is_named_and_the_call_ends_by_its_deadline() -> None:
    @connector("acme.node")
    class Never:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
            while True:
                try:
                    await self._clock.sleep(60.0)
                except asyncio.CancelledError:
                    await self._clock.sleep(0.5)
                    raise
                yield Data("never the last")

    over = play(ASKED, Never, graph=hears("ear.stt -> acme.node"), until=5.0, drain_timeout=7.0)
    assert over.times("control.call.call_ended") == [12.0]
    assert over.stats.late == ("acme.node",)
    assert [(t, p.message) for t, p in over.at("error.acme.late")] == [
        (12.0, "was still busy 7 s after the call's end")
    ]  # fmt: skip


@pytest.mark.parametrize(("hung_up", "ended"), [(3.0, 63.0), (20.0, 80.0), (290.0, 305.0)])
def test_a_call_whose_caller_has_hung_up_waits_a_minute_at_most_for_what_never_ends(
    hung_up: float, ended: float
) -> None:
    @connector("acme.node")
    class Never:
        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
            await asyncio.get_running_loop().create_future()
            yield Data("never the last")

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(hung_up)
        call.hang_up()

    over = play(ASKED, Never, graph=hears("ear.stt -> acme.node"), until=5.0, during=during)
    assert over.times("control.call.call_ended") == [ended]
    assert over.stats.late == ("acme.node",)


def test_a_connector_that_will_not_be_cancelled_is_named_and_the_call_closes_by_its_deadline() -> None:
    async def main() -> tuple[float, tuple[str, ...]]:
        clock = LoopClock()
        released = asyncio.Event()

        @connector("acme.node")
        class Deaf:
            async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
                while not released.is_set():
                    try:
                        await released.wait()
                    except asyncio.CancelledError:
                        continue
                yield Data("at last")

        pipeline = echostack.compile(hears("ear.stt -> acme.node"), registry=registry(Deaf), env={})
        async with pipeline.session(
            clock=clock, compute=InlineCompute(), ingress={"line": cues(ASKED, clock, 3.0)}, close_timeout=1.5
        ) as call:
            await clock.sleep(2.0)
        closed = clock.now()
        released.set()
        await clock.sleep(0.1)
        assert not leftovers()
        return closed, call.stats().late

    assert run_virtual(main()) == (3.5, ("acme.node stream",))


# -- the end by itself -----------------------------------------------------------------------------------------


def test_the_end_of_the_sources_lets_everything_be_answered_and_played() -> None:
    over = play(ASKED, until=1.0)
    assert over.heard("hello") == 5.0
    assert over.times("control.call.call_ended") == [6.5]
    assert over.said[-1] == ("agent", reply_to("hello"))


def test_a_stream_that_answers_only_at_the_end_of_its_input_is_waited_for() -> None:
    graph = CALL.replace("ear.stt -> acme.agent", "slow.stt -> acme.agent").replace("  acme.agent", "  acme.agent", 1)

    @connector("slow.stt")
    class SlowStt:
        """Transcribes everything when the call is over, in two seconds."""

        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
            async for _ in inbox:
                pass
            await self._clock.sleep(2.0)
            yield Text("hello")

    noted: list[str] = []

    @connector("acme.watch")
    async def watch(message: AgentMessage) -> Data:
        noted.append(message.text)
        return Data("noted")

    graph = graph.replace("barge_in:", "  - processing.*.agent_message -> acme.watch\nbarge_in:")
    over = play([(1.0, "noise")], SlowStt, watch, graph=graph, until=2.0)
    assert over.times("control.line.playout_started") == [4.5]
    assert over.heard("hello") == 5.0
    assert noted == [reply_to("hello")]


@pytest.mark.parametrize("form", ["async", "stream"])
def test_what_only_the_engine_feeds_gets_the_last_words_of_the_call(form: str) -> None:
    heard: list[str] = []

    if form == "async":

        @connector("acme.log")
        async def log(event: PlayoutFinished) -> None:
            heard.append(event.heard)

        target: Any = log
    else:

        @connector("acme.log")
        class Log:
            async def run(self, inbox: Inbox[PlayoutFinished]) -> AsyncIterator[Data]:
                async for event in inbox:
                    heard.append(event.payload.heard)  # type: ignore[attr-defined]
                yield Data("closed")

        target = Log
    graph = CALL.replace("barge_in:", "  - control.line.playout_finished -> acme.log\nbarge_in:")
    over = play(ASKED, target, graph=graph, until=1.0)
    assert heard == [reply_to("hello")]
    assert 6.5 <= over.times("control.call.call_ended")[0] <= 6.55


def test_a_cycle_on_purpose_comes_to_an_end() -> None:
    @connector("acme.loop")
    async def loop(item: Text | Data) -> Data | None:
        left = int(item.name) - 1 if isinstance(item, Data) else 3
        return Data(str(left)) if left else None

    graph = hears("ear.stt -> acme.loop", "acme.loop -> acme.loop: {cycle: true, queue: 4, overflow: drop_oldest}")
    over = play(ASKED, loop, graph=graph, until=2.0)
    assert [p.name for _, p in over.at("processing.acme.data")] == ["3", "2", "1"]
    assert 2.0 <= over.times("control.call.call_ended")[0] <= 2.05


# -- several calls ---------------------------------------------------------------------------------------------


def test_two_calls_of_one_pipeline_do_not_touch_each_other() -> None:
    @connector("acme.agent")
    class Fragile:
        def __init__(self, settings: Pace, context: Context) -> None:
            self._clock, self.turns = context.clock, 0

        async def __call__(self, text: Text) -> AgentMessage:
            self.turns += 1
            await self._clock.sleep(0.4)
            if text.text == "break":
                raise ValueError("broken")
            return AgentMessage(f"{text.text}-{self.turns}")

    async def main() -> list[Outcome]:
        clock = LoopClock()
        pipeline = echostack.compile(CALL, registry=registry(Fragile), env={})

        async def one(script: list[tuple[float, str]], interrupt: float) -> Outcome:
            sink = MemorySink(clock)
            async with pipeline.session(
                clock=clock, compute=InlineCompute(), ingress={"line": cues(script, clock, 8.0)}, egress={"line": sink}
            ) as call:
                events = call.events()
                if interrupt:
                    await clock.sleep(interrupt)
                    call.barge_in()
                await call.finished()
            return Outcome([e async for e in events], call.conversation, call.stats(), sink)

        return list(
            await asyncio.gather(
                one([(1.0, "say:a"), (3.0, "say:break"), (5.0, "say:b")], 1.6), one([(1.0, "say:c"), (3.0, "say:d")], 0)
            )
        )

    first, second = run_virtual(main())
    assert first.said == [("caller", "a"), ("caller", "break"), ("caller", "b"), ("agent", "b-3")]
    assert second.said == [("caller", "c"), ("agent", "c-1"), ("caller", "d"), ("agent", "d-2")]
    assert (first.stats.interruptions, second.stats.interruptions) == (1, 0)
    assert first.heard("a") == pytest.approx(0.1)
    assert second.heard("c") == second.heard("d") == 0.5
    assert len(first.at("error.*.*")) == 2
    assert second.at("error.*.*") == []
    assert first.stats.session != second.stats.session
    assert {e.session for e in first.events} == {first.stats.session}


# -- the embedding program -------------------------------------------------------------------------------------


def test_emit_to_a_node_and_from_a_node() -> None:
    seen: list[str] = []

    @connector("acme.note")
    def note(text: Text) -> None:
        seen.append(text.text)

    async def during(call: Session, clock: LoopClock) -> None:
        await call.emit(Text("to"), to="acme.note")
        await call.emit(Text("from"), source="ear.stt")
        await call.emit(Text("of a vendor"), source="ear")

    over = play([], note, graph=hears("ear.stt -> acme.note"), during=during, until=1.0)
    assert seen == ["to", "from", "of a vendor"]
    assert [p.text for _, p in over.at("processing.ear.text")] == ["from", "of a vendor"]


def test_what_is_emitted_into_a_scope_is_a_turn_and_can_be_interrupted() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(1.0)
        await call.emit(Text("hello"), to="acme.agent")
        await clock.sleep(1.0)
        call.barge_in()

    over = play([], during=during, until=5.0)
    assert over.heard("hello") == 0.5
    assert over.said == [("caller", "hello"), ("agent", "hello-1")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "emit takes either to= (a node that gets it) or source= (a node that seems to send it)"),
        (
            {"to": "ear.stt", "source": "ear"},
            "emit takes either to= (a node that gets it) or source= (a node that seems to send it)",
        ),
        ({"to": "no.body"}, "the graph has no node 'no.body'; it has ear.stt, ingress.line"),
        ({"to": "ear.stt"}, "ear.stt does not take text; it takes audio_frame"),
        ({"source": "line"}, "cannot emit text from 'line': line does not make text"),
        ({"source": "nobody"}, "cannot emit text from 'nobody': nothing here is called 'nobody' (ear, line)"),
    ],
)
def test_what_cannot_be_emitted_says_why(options: dict[str, str], message: str) -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        with pytest.raises(UsageError) as caught:
            await call.emit(Text("x"), **options)  # type: ignore[arg-type]
        assert str(caught.value) == message

    play([], graph=hears(), during=during, until=1.0)


def test_a_closed_call_takes_nothing_and_still_tells_its_figures() -> None:
    async def main() -> None:
        pipeline = echostack.compile(CALL, registry=registry(), env={})
        session = pipeline.session(compute=InlineCompute(), ingress={"line": cues([], LoopClock(), 1.0)})
        async with session as call:
            await call.finished()
        with pytest.raises(SessionClosed, match="the call is closed"):
            await call.emit(Text("x"), to="acme.agent")
        with pytest.raises(SessionClosed, match="the call is closed"):
            call.barge_in()
        assert call.stats().seconds == 1.0
        assert [e async for e in call.events()] == []
        with pytest.raises(UsageError, match="a session is entered once"):
            await session.__aenter__()

    run_virtual(main())


def test_a_reader_that_falls_behind_loses_the_oldest_and_it_is_counted() -> None:
    async def main() -> None:
        clock = LoopClock()
        pipeline = echostack.compile(hears(), registry=registry(), env={})
        script = [(0.1 * n, f"say:{n}") for n in range(1, 21)]
        async with pipeline.session(
            clock=clock, compute=InlineCompute(), ingress={"line": cues(script, clock, 3.0)}
        ) as call:
            late = call.events("processing.ear.text", queue=5)
            await call.finished()
            found = [e.payload.text async for e in late]  # type: ignore[attr-defined]
        assert found == ["16", "17", "18", "19", "20"]
        assert late.dropped == 15
        (queue,) = [q for q in call.stats().queues if q.edge == "events(processing.ear.text)"]
        assert (queue.put, queue.taken, queue.dropped) == (20, 5, 15)

    run_virtual(main())


def test_a_reader_that_blocks_sets_the_pace_of_the_source() -> None:
    made: list[float] = []

    async def main() -> None:
        clock = LoopClock()

        async def source() -> AsyncIterator[AudioFrame]:
            for n in range(10):
                made.append(clock.now())
                yield AudioFrame(b"\0\0", RATE, track=f"say:{n}")

        pipeline = echostack.compile(hears(), registry=registry(), env={})
        async with pipeline.session(clock=clock, compute=InlineCompute(), ingress={"line": source()}) as call:
            seen = 0
            async for _ in call.events("processing.ear.text", queue=1, overflow=Overflow.BLOCK):
                seen += 1
                await clock.sleep(1.0)
        assert seen == 10

    run_virtual(main())
    assert made[-1] >= 7.0


@pytest.mark.parametrize("pattern", ["text", "a.b", "a.b.c.d.e", "a.*x.b", ""])
def test_something_that_is_no_pattern_says_so(pattern: str) -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        with pytest.raises(UsageError) as caught:
            call.events(pattern)
        assert str(caught.value) == (
            f"{pattern!r} is not an event pattern: it takes <stage>.<source>.<kind>[.<modifier>]"
        )

    play([], graph=hears(), during=during, until=1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ingress": {"phone": None}}, "the graph has no ingress.phone to stand in for (it has line)"),
        ({"egress": {"line": None}}, "the graph has no egress.line to stand in for (it has none)"),
    ],
)
def test_a_stand_in_for_a_transport_that_is_not_there_says_what_is(options: dict[str, Any], message: str) -> None:
    pipeline = echostack.compile(hears(), registry=registry(), env={})
    with pytest.raises(UsageError) as caught:
        pipeline.session(**options)
    assert str(caught.value) == message


def test_something_else_than_payloads_at_an_ingress_is_an_error_event() -> None:
    async def feed() -> AsyncIterator[str]:
        yield "words"

    async def main() -> list[str]:
        pipeline = echostack.compile(hears(), registry=registry(), env={})
        async with pipeline.session(compute=InlineCompute(), ingress={"line": feed()}) as call:
            errors = call.events("error.*.exception")
            await call.finished()
        return [e.payload.message async for e in errors]  # type: ignore[attr-defined]

    assert run_virtual(main()) == [
        "UsageError: ingress.line is fed with payloads or PCM bytes, not with str"
    ]  # fmt: skip


def test_a_sink_that_fails_is_an_error_and_the_call_goes_on_to_its_end() -> None:
    @connector("egress.broken")
    class Broken(AudioSink):
        @property
        def format(self) -> Any:
            from echostack.core.audio import AudioFormat

            return AudioFormat(RATE)

        def write(self, pcm: bytes) -> None:
            raise OSError("the device is gone")

        def clear(self) -> None: ...

    graph = CALL.replace("egress.line", "egress.broken")
    over = play([*ASKED, (8.0, "say:other")], Broken, graph=graph, until=12.0)
    assert over.at("error.broken.exception")[0][1].message == "OSError: the device is gone"
    assert over.said == [("caller", "hello"), ("caller", "other")]
    assert over.times("control.call.call_ended")[0] <= 12.1


def test_a_caller_who_hangs_up_silences_the_reply_and_counts_as_no_interruption() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.5)
        call.hang_up()

    over = play(ASKED, during=during)
    assert over.at("control.barge_in.committed")[0][1].cause == "hang up"
    assert (over.stats.interruptions, over.stats.epochs) == (0, (0, 1))


def test_the_figures_of_a_call() -> None:
    over = play([*ASKED, (3.0, "speech"), (3.2, "stop"), (3.3, "say:other")])
    assert over.stats.nodes["acme.agent"]["received"] == 2
    assert over.stats.nodes["acme.agent"]["first_output_ms"]["p50"] == pytest.approx(400.0)
    assert over.stats.turn_to_audio_ms == pytest.approx((500.0, 500.0))
    assert (over.stats.interruptions, over.stats.suspensions, over.stats.epochs) == (1, 1, (0, 1))
    assert over.stats.dropped == 0
    for queue in over.stats.queues:
        assert queue.put == queue.taken + queue.dropped + queue.stale + queue.refused + queue.held, queue


def test_control_events_and_results_survive_in_the_queues_of_an_interrupted_scope() -> None:
    assert SpeechStarted.__kind__.keep
    assert ToolResult.__kind__.keep


TRACE = """
import sys
from tests.runtime.cast import CALL, play
from tests.runtime.test_session import flaky
graph = CALL.replace("acme.agent: {seconds: 0.4}", "acme.agent: {attempts: 5, backoff: 300ms}")
script = [(1.0, "say:hello"), (4.0, "speech"), (4.3, "stop"), (7.0, "say:other"), (8.0, "say:third")]
over = play(script, flaky(), graph=graph, seed=int(sys.argv[1]))
for event in over.events:
    print(event.seq, repr(event.time), event.name, event.scope, event.epoch, event.cause, event.port, event.node,
          [getattr(event.payload, f) for f in event.payload.__struct_fields__])
print(over.said)
"""


def flaky() -> Any:
    """An agent that fails by its dice."""

    @connector("acme.agent")
    class Flaky:
        def __init__(self, context: Context) -> None:
            self._context = context

        async def __call__(self, text: Text) -> AgentMessage:
            await self._context.clock.sleep(self._context.random.uniform(0.1, 0.5))
            if self._context.random.random() < 0.6:
                raise ConnectionError("bad luck")
            return AgentMessage(reply_to(text.text))

    return Flaky


def traced(seed: int, hash_seed: int, checkout: Path) -> bytes:
    return subprocess.run(
        [sys.executable, "-c", TRACE, str(seed)], cwd=checkout, capture_output=True, check=True, timeout=120,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(checkout)},
    ).stdout  # fmt: skip


def test_one_seed_gives_one_trace_to_the_byte_whatever_the_order_of_hashes(checkout: Path) -> None:
    traces = {traced(3, hash_seed, checkout) for hash_seed in range(5)}
    assert len(traces) == 1
    assert b"error.acme.retried" in next(iter(traces))
    assert traced(4, 0, checkout) not in traces
