"""Nodes with a task of their own: order, deadlines, retries, cancellation, restarts, effects, on exact times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    AudioChunkStream,
    Data,
    HttpResponse,
    Text,
    TextPartial,
)  # fmt: skip
from echostack.registry import Context, Forward, Inbox, Out, connector
from echostack.runtime import Session
from echostack.runtime.effects import KEYS_KEPT, Effects
from tests.runtime.cast import CALL, RATE, Outcome, hears, play

NODE = hears("ear.stt -> acme.node")
DATA = "processing.acme.data"


def names(over: Outcome, pattern: str = DATA) -> list[tuple[float, str]]:
    return [(t, p.name) for t, p in over.at(pattern)]


def saying(*words: str, start: float = 1.0, every: float = 1.0) -> list[tuple[float, str]]:
    return [(start + every * n, f"say:{word}") for n, word in enumerate(words)]


def node(work: Any) -> Any:
    """A connector ``acme.node`` of a coroutine function ``work(clock, words) -> str``."""

    @connector("acme.node")
    class Node:
        def __init__(self, context: Context) -> None:
            self._context = context

        async def __call__(self, text: Text) -> Data:
            return Data(await work(self._context, text.text))

    return Node


def test_one_event_at_a_time_in_order() -> None:
    running = most = 0

    async def work(context: Context, words: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await context.clock.sleep({"a": 3.0, "b": 0.5, "c": 0.1}[words])
        running -= 1
        return words

    over = play(saying("a", "b", "c"), node(work), graph=NODE)
    assert names(over) == [(4.0, "a"), (4.5, "b"), (4.6, "c")]
    assert most == 1


def test_a_timeout_is_an_error_event_and_the_next_event_is_worked_on() -> None:
    async def work(context: Context, words: str) -> str:
        await context.clock.sleep(9.0 if words == "slow" else 0.1)
        return words

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {timeout: 700ms}}")
    over = play(saying("slow", "fast"), node(work), graph=graph)
    assert names(over) == [(2.1, "fast")]
    ((when, failure),) = over.at("error.acme.timeout")
    assert (when, failure.node, failure.message, failure.event) == (
        1.7, "acme.node", "no answer within its time", "processing.ear.text"
    )  # fmt: skip
    ((_, letter),) = over.at("error.acme.dead_letter")
    assert letter.payload["text"] == "slow"
    assert over.stats.nodes["acme.node"]["failures"] == {"timeout": 1, "dead_letter": 1}


def test_a_generator_has_its_timeout_for_each_answer() -> None:
    @connector("acme.node")
    class Node:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> AsyncIterator[Data]:
            for wait in (0.6, 0.6, 0.6, 5.0):
                await self._clock.sleep(wait)
                yield Data(str(wait))

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {timeout: 1s}}")
    over = play(saying("x"), Node, graph=graph)
    assert over.times(DATA) == [1.6, 2.2, 2.8]
    assert over.times("error.acme.timeout") == [3.8]


def test_retries_wait_with_the_jitter_of_the_seed() -> None:
    tried: list[float] = []

    async def work(context: Context, words: str) -> str:
        tried.append(context.clock.now())
        if len(tried) < 4:
            raise ConnectionError("refused")
        return words

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {attempts: 4, backoff: 200ms}}")
    over = play(saying("x"), node(work), graph=graph, seed=7)
    jitter = Random("7:acme.node")
    expected = [1.0]
    for longest in (0.2, 0.4, 0.8):
        expected.append(expected[-1] + jitter.uniform(longest / 2, longest))
    assert tried == pytest.approx(expected)
    assert [(p.attempt, p.message) for _, p in over.at("error.acme.retried")] == [
        (n, "ConnectionError: refused") for n in (1, 2, 3)
    ]
    assert len(over.at(DATA)) == 1
    assert over.at("error.acme.exception") == []


def test_the_far_ends_own_hint_is_waited_for() -> None:
    tried: list[float] = []

    async def work(context: Context, words: str) -> str:
        tried.append(context.clock.now())
        if len(tried) == 1:
            raise ConnectorFailure("too many requests", retry_after=3.5)
        return words

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {attempts: 2, backoff: 1s}}")
    play(saying("x"), node(work), graph=graph)
    assert tried == [1.0, 4.5]


@pytest.mark.parametrize(("timeout", "hint"), [("", 31.0), ("timeout: 2s, ", 2.5)])
def test_a_hint_beyond_the_nodes_patience_is_giving_up_now(timeout: str, hint: float) -> None:
    tried: list[float] = []

    async def work(context: Context, words: str) -> str:
        tried.append(context.clock.now())
        if words == "a":
            raise ConnectorFailure("too many requests", retry_after=hint)
        return words

    graph = hears("ear.stt -> acme.node", connectors=f"{{acme.node: {{{timeout}attempts: 3}}}}")
    over = play(saying("a", "b"), node(work), graph=graph)
    assert tried == [1.0, 2.0]
    patience = "2 s" if timeout else "30 s"
    assert [p.message for _, p in over.at("error.acme.exception")] == [
        f"too many requests (asks to be tried again in {hint:g} s, and this node waits {patience} at most)"
    ]
    assert names(over) == [(2.0, "b")]


@pytest.mark.parametrize("error", [ValueError("bad input"), ConnectorFailure("no such model", retryable=False)])
def test_what_trying_again_cannot_help_is_tried_once(error: Exception) -> None:
    tried: list[str] = []

    async def work(context: Context, words: str) -> str:
        tried.append(words)
        raise error

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {attempts: 3, backoff: 1s}}")
    over = play(saying("x"), node(work), graph=graph)
    assert tried == ["x"]
    ((when, failure),) = over.at("error.acme.exception")
    assert (when, failure.attempt) == (1.0, 1)


def test_when_every_attempt_failed_the_last_error_says_which_attempt_it_was() -> None:
    async def work(context: Context, words: str) -> str:
        raise ConnectionError("refused")

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {attempts: 3, backoff: 1s}}")
    over = play(saying("x"), node(work), graph=graph)
    assert [p.attempt for _, p in over.at("error.acme.exception")] == [3]
    assert [p.attempt for _, p in over.at("error.acme.dead_letter")] == [3]


def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    tried: list[str] = []

    @connector("acme.node")
    async def half(text: Text) -> AsyncIterator[Data]:
        tried.append(text.text)
        yield Data("half")
        raise ConnectionError("reset")

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {attempts: 3, backoff: 1s}}")
    over = play(saying("x"), half, graph=graph)
    assert tried == ["x"]
    assert names(over) == [(1.0, "half")]
    assert [p.message for _, p in over.at("error.acme.exception")] == ["failed after its answer had begun: reset"]


def test_the_cleanup_of_a_cancelled_answer_delays_no_other() -> None:
    ends: list[float] = []

    @connector("acme.agent")
    class Slow:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> AsyncIterator[AgentMessage]:
            try:
                await self._clock.sleep(5.0 if text.text == "hello" else 0.0)
                yield AgentMessage(f"{text.text}-1")
            finally:
                if text.text == "hello":
                    await self._clock.sleep(0.2)
                    ends.append(self._clock.now())

    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "")
    over = play([(1.0, "say:hello"), (2.0, "say:other")], Slow, graph=graph)
    assert over.times("control.line.playout_started") == [2.1]
    assert ends == [2.2]


def test_a_cancelled_task_that_does_not_end_is_reported() -> None:
    @connector("acme.agent")
    class Stuck:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> AgentMessage:
            try:
                await self._clock.sleep(1.0)
            except asyncio.CancelledError:
                await self._clock.sleep(7.0)
            return AgentMessage("never heard")

    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "")
    over = play([(1.0, "say:hello"), (1.5, "speech"), (1.9, "stop"), (1.9, "say:other")], Stuck, graph=graph)
    late = [(t, p.node, p.message) for t, p in over.at("error.acme.late")]
    assert late == [(6.9, "acme.agent", "acme.agent on processing.ear.text is still running")]


def test_the_error_of_a_cancelled_answers_cleanup_is_recorded() -> None:
    @connector("acme.agent")
    class Clumsy:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> AgentMessage:
            try:
                await self._clock.sleep(1.0)
            except asyncio.CancelledError:
                raise ValueError("cannot even stop") from None
            return AgentMessage(text.text)

    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "")
    over = play([(1.0, "say:hello"), (1.5, "say:other")], Clumsy, graph=graph)
    assert [(t, p.message) for t, p in over.at("error.acme.exception")] == [(1.5, "ValueError: cannot even stop")]
    assert over.heard("other") > 0


def test_every_shape_of_answer() -> None:
    @connector("acme.node", ports=lambda settings: ("left",))
    async def shapes(text: Text, event: Event) -> list[Data | Out | Forward]:
        return [Data("plain"), Out(Data("out"), cause=event, port="left"), Forward("left")]

    graph = hears("ear.stt -> acme.node", "acme.node:left -> acme.seen")
    seen: list[str] = []

    @connector("acme.seen")
    def note(item: Data | Text) -> None:
        seen.append(getattr(item, "name", "") or getattr(item, "text", ""))

    play(saying("x"), shapes, note, graph=graph)
    assert seen == ["out", "x"]


@pytest.mark.parametrize("answer", ["words", {"a": 1}, 7, [Data("ok"), b"bytes"]])
def test_something_that_is_no_answer_is_the_connectors_error(answer: Any) -> None:
    @connector("acme.node")
    async def wrong(text: Text) -> Data:
        return answer  # type: ignore[no-any-return]

    over = play(saying("x"), wrong, graph=NODE)
    bad = type(answer[-1] if isinstance(answer, list) else answer).__name__
    assert [p.message for _, p in over.at("error.acme.exception")] == [
        f"TypeError: a connector answers with payloads, Out or Forward, not with {bad}"
    ]


def test_a_callback_that_belongs_to_a_dead_turn_is_refused() -> None:
    @connector("acme.agent")
    class Callback:
        def __init__(self, context: Context) -> None:
            self._context = context

        async def __call__(self, text: Text) -> AgentMessage | None:
            words = text.text
            self._context.clock.call_later(1.0, lambda: self._context.emit(AgentMessage(f"{words}-1")))
            await self._context.clock.sleep(0.1)
            return None

    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "")
    over = play([(1.0, "say:hello"), (1.05, "say:other")], Callback, graph=graph)
    assert over.heard("hello") == 0.0
    assert over.heard("other") == 0.5
    assert over.stats.nodes["acme.agent"]["stale"] == 1


def test_what_a_fused_node_has_held_of_a_dead_turn_is_refused_when_it_comes() -> None:
    @connector("acme.agent")
    class Holding:
        """Answers to an event when the next one comes."""

        def __init__(self) -> None:
            self._held: Event | None = None

        def __call__(self, text: Text, event: Event) -> list[Out | AgentMessage]:
            held, self._held = self._held, event
            late = [Out(AgentMessage("stale-1"), cause=held)] if held is not None else []
            return [AgentMessage(f"{text.text}-1 {text.text}-2"), *late]

    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "")
    over = play([(1.0, "say:hello"), (1.2, "say:other"), (9.0, "say:again")], Holding, graph=graph)
    said = [p.text for _, p in over.at("processing.acme.agent_message")]
    assert said == ["hello-1 hello-2", "other-1 other-2", "again-1 again-2", "stale-1"]
    assert over.stats.nodes["acme.agent"]["stale"] == 1  # of the turn that was cut; not of the one heard to its end


class Threads:
    """Threads on virtual time: work takes ``seconds`` and goes on when whoever awaits it is cancelled."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.inside, self.most = seconds, 0, 0

    async def run(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self.inside += 1
        self.most = max(self.most, self.inside)

        def end() -> None:
            self.inside -= 1
            if not done.done():
                done.set_result(work(*args, **kwargs))

        loop.call_later(self.seconds, end)
        return await done

    def close(self) -> None:
        """Nothing to close."""


def in_threads(threads: Threads, script: list[tuple[float, str]], *more: Any, graph: str) -> list[Event]:
    import echostack.api as echostack
    from echostack.simulation.loop import run_virtual
    from tests.runtime.cast import cues, registry

    async def main() -> list[Event]:
        clock = LoopClock(wall=lambda: 0.0)
        pipeline = echostack.compile(graph, registry=registry(*more), env={})
        line = cues(script, clock, 20.0)
        async with pipeline.session(clock=clock, compute=threads, ingress={"line": line}) as call:
            events = call.events("processing.acme.*", "error.acme.*")
            await call.finished()
        return [e async for e in events]

    return run_virtual(main())


def test_a_thread_that_goes_on_after_an_interruption_holds_back_the_next_event_until_it_ends() -> None:
    @connector("acme.agent", blocking_ms=200)
    def think(text: Text) -> AgentMessage:
        return AgentMessage(f"{text.text}-1")

    threads = Threads(1.0)
    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "")
    script = [(1.0, "say:hello"), (1.4, "say:other"), (1.6, "say:third")]
    events = in_threads(threads, script, think, graph=graph)
    assert threads.most == 1
    # The second waited and was interrupted in turn; the third began when the first's thread had ended, at 2.0.
    said = [(round(e.time, 6), e.payload.text) for e in events if e.kind == "agent_message"]  # type: ignore[attr-defined]
    assert said == [(3.0, "third-1")]


def test_a_thread_that_goes_on_after_its_timeout_is_waited_for_and_in_the_end_said_to_be_late() -> None:
    @connector("acme.node", blocking_ms=200)
    def slow(text: Text) -> Data:
        return Data(text.text)

    threads = Threads(7.0)
    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {timeout: 1s}}")
    events = in_threads(threads, [(1.0, "say:a"), (3.0, "say:b")], slow, graph=graph)
    assert threads.most == 1
    assert [(round(e.time, 6), e.kind, e.payload.message) for e in events if e.kind in ("timeout", "late")] == [  # type: ignore[attr-defined]
        (2.0, "timeout", "no answer within its time"),
        (4.0, "timeout", "its thread still works on an earlier event after 1 s"),
        (7.0, "late", "acme.node in its thread goes on"),
    ]


# -- streams ---------------------------------------------------------------------------------------------------


class Echo:
    """The base of streams that answer every event after a wait."""

    runs: list[float]

    def __init__(self, context: Context) -> None:
        self.context = context


def test_a_stream_runs_as_long_as_the_call_and_sees_its_end() -> None:
    ends: list[str] = []

    @connector("acme.node")
    class Stream(Echo):
        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
            async for event in inbox:
                yield Data(event.payload.text)  # type: ignore[attr-defined]
            ends.append("saw the end")
            yield Data("last")

    over = play(saying("a", "b"), Stream, graph=NODE, until=5.0)
    assert names(over) == [(1.0, "a"), (2.0, "b"), (5.0, "last")]
    assert ends == ["saw the end"]


def test_a_stream_may_wait_with_a_deadline_and_lose_nothing() -> None:
    @connector("acme.node")
    class Stream(Echo):
        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
            try:
                while True:
                    event = await inbox.take(0.5)
                    yield Data(event.payload.text if event else "-")  # type: ignore[attr-defined]
            except StopAsyncIteration:
                return

    over = play([(1.0, "say:a"), (1.25, "say:b")], Stream, graph=NODE, until=2.0)
    assert names(over) == [(0.5, "-"), (1.0, "-"), (1.0, "a"), (1.25, "b"), (1.75, "-")]


def test_a_stream_that_fails_is_started_again_and_loses_no_later_event() -> None:
    @connector("acme.node")
    class Stream(Echo):
        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
            async for event in inbox:
                if event.payload.text == "break":  # type: ignore[attr-defined]
                    raise ConnectionError("reset")
                yield Data(event.payload.text)  # type: ignore[attr-defined]

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {attempts: 3, backoff: 100ms}}")
    over = play(saying("a", "break", "c"), Stream, graph=graph)
    assert names(over) == [(1.0, "a"), (3.0, "c")]
    assert [p.attempt for _, p in over.at("error.acme.retried")] == [1]


class Breaking(Echo):
    """Answers every event, but breaks on some, and ends its run on others."""

    async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Data]:
        async for event in inbox:
            words = event.payload.text  # type: ignore[attr-defined]
            if words.startswith("break"):
                raise ConnectionError("reset")
            yield Data(words)
            if words.startswith("end"):
                return


BREAKING = hears("ear.stt -> acme.node", connectors="{acme.node: {attempts: 2, backoff: 100ms}}")


def test_what_a_broken_run_had_in_hand_is_a_dead_letter_and_what_it_had_answered_is_not() -> None:
    over = play(saying("a", "break", "c"), connector("acme.node")(Breaking), graph=BREAKING)
    assert [(t, p.payload["text"]) for t, p in over.at("error.acme.dead_letter")] == [(2.0, "break")]
    assert names(over) == [(1.0, "a"), (3.0, "c")]


def test_a_run_that_has_answered_begins_the_count_of_attempts_anew() -> None:
    script = saying("break", "a", "break", "b", "break", "c", "break", "break", "d")
    over = play(script, connector("acme.node")(Breaking), graph=BREAKING)
    assert names(over) == [(2.0, "a"), (4.0, "b"), (6.0, "c")]
    # Two runs in a row that answer nothing are all that two attempts allow.
    assert over.times("error.acme.retried") == [1.0, 3.0, 5.0, 7.0]
    assert over.times("error.acme.exception") == [8.0]
    assert len(over.at("error.acme.dead_letter")) == 5


def test_a_run_that_ends_before_its_input_is_a_failure_and_is_started_again() -> None:
    over = play(saying("a", "end b", "c"), connector("acme.node")(Breaking), graph=BREAKING)
    assert names(over) == [(1.0, "a"), (2.0, "end b"), (3.0, "c")]
    assert [(t, p.message) for t, p in over.at("error.acme.retried")] == [(2.0, "acme.node ended before its input did")]
    assert over.at("error.acme.dead_letter") == []


def test_a_generator_cancelled_at_its_yield_is_closed_in_its_own_task() -> None:
    closed: list[tuple[float, str]] = []

    @connector("acme.tts")
    class Talker(Echo):
        async def run(self, inbox: Inbox[AgentMessage]) -> AsyncIterator[AudioChunkStream]:
            try:
                async for event in inbox:
                    for _ in range(400):
                        yield AudioChunkStream(b"\1\0" * RATE, RATE, 1, event.payload.id, "word")  # type: ignore[attr-defined]
            finally:
                task = asyncio.current_task()
                closed.append((self.context.clock.now(), task.get_name() if task is not None else ""))

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(3.0)
        call.barge_in()

    play([(1.0, "say:hello")], Talker, graph=CALL.replace("  acme.tts: {seconds: 0.1}\n", ""), during=during)
    assert closed[0] == (3.0, "acme.tts stream")


STREAMED = CALL.replace("  acme.agent: {seconds: 0.4}\n", "").replace("  acme.tts: {seconds: 0.1}\n", "")


def test_a_stream_of_the_reply_is_started_anew_by_an_interruption_and_its_old_run_is_not_heard() -> None:
    runs: list[float] = []

    @connector("acme.agent")
    class Stream:
        """Its old run goes on talking while it is being cancelled."""

        def __init__(self, context: Context) -> None:
            self._context = context

        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[AgentMessage]:
            runs.append(self._context.clock.now())
            async for event in inbox:
                words = event.payload.text  # type: ignore[attr-defined]
                try:
                    await self._context.clock.sleep(0.5)
                except asyncio.CancelledError:
                    await self._context.clock.sleep(0.3)
                    self._context.emit(AgentMessage("stale-1"))
                    yield AgentMessage("stale-2")
                    continue
                yield AgentMessage(f"{words}-1")

    over = play([(1.0, "say:hello"), (1.2, "say:other"), (3.0, "say:third")], Stream, graph=STREAMED.replace("", ""))
    assert over.heard("hello") == 0.0
    assert over.heard("stale") == 0.0
    assert over.heard("other") == 0.5
    assert over.heard("third") == 0.5
    assert runs == [0.0, 1.2]


def test_an_interrupted_run_that_fails_in_its_cleanup_is_not_started_again_beside_its_successor() -> None:
    runs: list[float] = []

    @connector("acme.agent")
    class Stream(Echo):
        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[AgentMessage]:
            runs.append(self.context.clock.now())
            async for event in inbox:
                try:
                    await self.context.clock.sleep(0.5)
                except asyncio.CancelledError:
                    raise ConnectionError("cannot say goodbye") from None
                yield AgentMessage(f"{event.payload.text}-1")  # type: ignore[attr-defined]

    graph = STREAMED.replace("connectors:\n", "connectors:\n  acme.agent: {attempts: 3, backoff: 100ms}\n")
    over = play([(1.0, "say:hello"), (1.2, "say:other"), (3.0, "say:third")], Stream, graph=graph)
    assert runs == [0.0, 1.2]
    assert over.heard("other") == over.heard("third") == 0.5
    assert over.at("error.acme.retried") == []
    assert [p.message for _, p in over.at("error.acme.exception")] == ["ConnectionError: cannot say goodbye"]


def test_a_stream_that_keeps_running_is_told_of_the_interruption() -> None:
    told: list[float] = []

    @connector("acme.agent")
    class Stream:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        def interrupted(self) -> None:
            told.append(self._clock.now())

        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[AgentMessage]:
            async for event in inbox:
                await self._clock.sleep(0.5)
                yield AgentMessage(f"{event.payload.text}-1")  # type: ignore[attr-defined]

    over = play([(1.0, "say:hello"), (1.2, "say:other")], Stream, graph=STREAMED)
    assert told == [1.2]
    assert over.heard("hello") == 0.0
    assert over.heard("other") == 0.5
    assert over.stats.nodes["acme.agent"]["stale"] == 1


def test_a_source_that_fails_is_an_error_and_ends_the_call() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"\0\0" * 160
        raise ConnectionError("the trunk is down")

    import echostack.api as echostack
    from echostack.core.clock import InlineCompute
    from echostack.simulation.loop import run_virtual
    from tests.runtime.cast import registry

    async def main() -> list[Event]:
        pipeline = echostack.compile(hears(), registry=registry(), env={})
        async with pipeline.session(ingress={"line": broken()}, compute=InlineCompute()) as call:
            events = call.events("error.*.*", "control.call.*", "processing.*.*")
            await call.finished()
        return [e async for e in events]

    events = run_virtual(main())
    assert [e.name for e in events] == [
        "processing.line.audio_frame", "error.line.exception", "control.call.call_ended"
    ]  # fmt: skip
    assert events[0].payload.pcm == b"\0\0" * 160  # type: ignore[attr-defined]


def test_speech_that_cannot_be_played_silences_nothing_but_itself() -> None:
    @connector("acme.tts")
    async def odd(message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
        rate = 0 if message.text.startswith("bad") else RATE
        yield AudioChunkStream(b"\1\0" * 800, rate, 1, message.id, "word", final=True)

    @connector("acme.agent")
    def say(text: Text) -> AgentMessage:
        return AgentMessage(text.text)

    over = play([(1.0, "say:bad"), (3.0, "say:good")], odd, say, graph=STREAMED)
    assert len(over.at("error.line.exception")) == 1
    assert over.sink.heard_samples == 800


# -- effects ---------------------------------------------------------------------------------------------------


def test_an_effect_that_failed_may_be_tried_again_under_its_key() -> None:
    keys: list[str] = []

    @connector("acme.node", effect=True)
    class Post:
        def __init__(self, context: Context) -> None:
            self._context = context

        async def __call__(self, text: Text) -> HttpResponse:
            keys.append(self._context.idempotency_key)
            if len(keys) < 3:
                raise ConnectionError("reset")
            return HttpResponse(200)

    graph = hears("ear.stt -> acme.node", connectors="{acme.node: {attempts: 3, backoff: 1s}}")
    over = play(saying("x"), Post, graph=graph)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert [p.status for _, p in over.at("processing.acme.http_response")] == [200]


def test_the_record_of_effects_tells_what_became_of_each_and_counts_repeated_keys() -> None:
    effects = Effects()
    assert effects.begin("k1", "acme.node")
    assert not effects.begin("k1", "acme.node")
    effects.finish("k1", ("booked",))
    assert not effects.begin("k1", "acme.node")
    assert effects.answers("k1") == ("booked",)
    assert effects.begin("k2", "acme.node")
    effects.fail("k2", again=False)
    assert not effects.begin("k2", "acme.node")
    assert effects.begin("k3", "acme.node")
    effects.fail("k3", again=True)
    assert effects.begin("k3", "acme.node")
    assert [(r.key, r.node, r.state) for r in effects.record()] == [
        ("k1", "acme.node", "done"), ("k2", "acme.node", "failed"), ("k3", "acme.node", "begun"),
    ]  # fmt: skip
    assert effects.repeated == 3


def test_the_oldest_effects_are_forgotten() -> None:
    effects = Effects()
    for number in range(KEYS_KEPT + 1):
        assert effects.begin(str(number), "acme.node")
        effects.finish(str(number), ("x",))
    assert len(effects.record()) == KEYS_KEPT
    assert effects.answers("0") == ()
    assert effects.answers("1") == ("x",)


def test_an_effect_in_place_is_one_too() -> None:
    done: list[str] = []

    @connector("acme.node", effect=True)
    def write(text: TextPartial | Text) -> Data:
        done.append(text.text)
        return Data(text.text)

    over = play(saying("a", "b"), write, graph=NODE)
    assert done == ["a", "b"]
    queue = [q for q in over.stats.queues if q.edge == "ear.stt -> acme.node"]
    assert len(queue) == 1
    assert queue[0].taken == 2


def test_effects_that_began_are_finished_when_the_caller_hangs_up() -> None:
    booked: list[float] = []

    @connector("acme.node", effect=True)
    class Book:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> Data:
            await self._clock.sleep(2.0)
            booked.append(self._clock.now())
            return Data("booked")

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(1.5)
        call.hang_up()

    over = play(saying("x"), Book, graph=NODE, during=during, until=100.0)
    assert booked == [3.0]
    assert names(over) == [(3.0, "booked")]
    assert over.times("control.call.call_ended") == [3.0]


def test_pieces_of_one_answer_share_an_id_and_two_answers_do_not() -> None:
    @connector("acme.node")
    def pieces(text: Text) -> list[AgentMessagePartial]:
        return [AgentMessagePartial(text.text), AgentMessagePartial("", final=True)]

    over = play(saying("a", "b"), pieces, graph=NODE)
    ids = [p.id for _, p in over.at("processing.acme.agent_message.partial")]
    assert ids[0] == ids[1] != ids[2] == ids[3]
