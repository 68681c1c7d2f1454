"""Where the time of a reply went: voice to voice, the end of the turn, and each stage, failed attempts included."""

from __future__ import annotations

from collections.abc import AsyncIterator

from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import (
    AgentMessage,
    AudioChunkStream,
    AudioFrame,
    BudgetExceeded,
    StageTime,
    Text,
    ToolCall,
    ToolResult,
    TurnTimed,
)
from echostack.registry import Context, connector
from tests.runtime.cast import CALL, RATE, Outcome, play, spoken

LATE = 0.3
"""Seconds that the recogniser takes to know that a turn is over."""


@connector("ear.stt")
class Stt:
    """Words as the script has them, a little after they were spoken."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock

    def __call__(self, frame: AudioFrame) -> Text | None:
        cue, _, words = frame.track.partition(":")
        return Text(words, end=self._clock.now() - LATE) if cue == "say" else None


BUDGET = CALL + "budget: {voice_to_voice: 750ms}\n"


def timed(over: Outcome) -> list[tuple[float, TurnTimed]]:
    return over.at("control.call.turn_timed")


def test_a_reply_tells_where_its_time_went_when_its_first_sample_sounds() -> None:
    over = play([(1.0, "say:hello")], Stt, graph=CALL)
    ((when, turn),) = timed(over)
    ((began, started),) = over.at("control.line.playout_started")
    assert when == began == 1.5
    assert turn == TurnTimed(
        started.utterance, 800.0, 300.0, (StageTime("acme.agent", 400.0), StageTime("acme.tts", 100.0))
    )
    assert over.at("control.budget.exceeded") == []


def test_every_turn_is_timed_by_itself_and_the_whole_call_in_percentiles() -> None:
    over = play([(1.0, "say:hello"), (8.0, "say:more")], Stt, graph=CALL)
    assert [t for t, _ in timed(over)] == [1.5, 8.5]
    timing = over.stats.timing
    assert list(timing) == ["voice_to_voice", "endpointing", "acme.agent", "acme.tts"]
    assert {name: (part["count"], round(part["p50"], 6)) for name, part in timing.items()} == {
        "voice_to_voice": (2, 800.0), "endpointing": (2, 300.0), "acme.agent": (2, 400.0), "acme.tts": (2, 100.0),
    }  # fmt: skip


def test_a_reply_over_the_budget_names_the_stage_that_took_most() -> None:
    over = play([(1.0, "say:hello")], Stt, graph=BUDGET)
    ((when, exceeded),) = over.at("control.budget.exceeded")
    assert when == 1.5
    assert exceeded == BudgetExceeded(timed(over)[0][1].utterance, 800.0, 750.0, "acme.agent")
    assert (over.stats.budget_ms, over.stats.budget_exceeded) == (750.0, 1)
    assert over.stats.budget_slowest == {"acme.agent": 1}


def test_within_the_budget_nothing_is_said() -> None:
    over = play([(1.0, "say:hello")], Stt, graph=BUDGET.replace("750ms", "800ms"))
    assert over.at("control.budget.exceeded") == []
    assert over.stats.budget_exceeded == 0


def test_the_end_of_the_turn_can_be_what_took_most() -> None:
    quick = BUDGET.replace("seconds: 0.4", "seconds: 0.2").replace("750ms", "500ms")
    ((_, exceeded),) = play([(1.0, "say:hello")], Stt, graph=quick).at("control.budget.exceeded")
    assert (exceeded.voice_to_voice_ms, exceeded.slowest) == (600.0, "endpointing")


def test_a_failed_attempt_counts_in_its_stages_time() -> None:
    class Twice:
        failures = 1

    @connector("acme.agent")
    class Agent:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> AgentMessage:
            await self._clock.sleep(0.4)
            if Twice.failures:
                Twice.failures -= 1
                raise ConnectorFailure("busy", retryable=True, retry_after=0.05)
            return AgentMessage("hello")

    graph = CALL.replace("acme.agent: {seconds: 0.4}", "acme.agent: {attempts: 2}")
    ((_, turn),) = timed(play([(1.0, "say:hello")], Stt, Agent, graph=graph))
    assert turn.stages[0] == StageTime("acme.agent", 850.0)
    assert turn.voice_to_voice_ms == 1250.0


def test_a_member_that_gave_up_counts_in_the_time_of_the_one_that_answered() -> None:
    def voice(name: str, *, broken: bool) -> type:
        @connector(f"{name}.tts")
        class Voice:
            def __init__(self, context: Context) -> None:
                self._clock = context.clock

            async def __call__(self, message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
                await self._clock.sleep(0.2)
                if broken:
                    raise ConnectionError("gone")
                yield spoken("hello", message, final=True)

        return Voice

    graph = (
        CALL.replace("acme.tts: {seconds: 0.1}", "{}")
        .replace("  {}\n", "")
        .replace("-> acme.tts ->", "-> first.tts ?? second.tts ->")
    )
    over = play([(1.0, "say:hello")], Stt, voice("first", broken=True), voice("second", broken=False), graph=graph)
    assert timed(over)[0][1].stages == (StageTime("acme.agent", 400.0), StageTime("second.tts", 400.0))


def test_with_tools_the_model_and_they_count_each_time_and_at_the_same_time_once() -> None:
    @connector("acme.agent")
    class Asking:
        def __init__(self, context: Context) -> None:
            self._clock, self._results = context.clock, 0

        async def __call__(self, event: Text | ToolResult) -> AsyncIterator[ToolCall | AgentMessage]:
            if isinstance(event, ToolResult):
                self._results += 1
                if self._results < 2:
                    return
            await self._clock.sleep(0.4)
            if isinstance(event, Text):
                yield ToolCall("look", "c1", {"seconds": 0.1})
                yield ToolCall("look", "c2", {"seconds": 0.2})
            else:
                yield AgentMessage("hello")

    @connector("crm.look")
    async def look(call: ToolCall, context: Context) -> ToolResult:
        await context.clock.sleep(call.arguments["seconds"])
        return ToolResult(call.name, call.id, "done")

    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "").replace(
        "barge_in:",
        "  - acme.agent -> crm.look\n"
        "  - crm.look -> acme.agent: {cycle: true, queue: 8, overflow: drop_oldest}\n"
        "barge_in:",
    )
    ((_, turn),) = timed(play([(1.0, "say:hello")], Stt, Asking, look, graph=graph))
    assert turn.voice_to_voice_ms == 1500.0
    assert turn.stages == (StageTime("acme.agent", 800.0), StageTime("crm.look", 300.0), StageTime("acme.tts", 100.0))


def test_what_the_caller_only_wrote_has_no_voice_to_time() -> None:
    over = play([(1.0, "say:hello")])  # the cast's own recogniser does not say when the speech ended
    assert timed(over) == []
    assert over.stats.timing == {}
    assert over.stats.turn_to_audio_ms == (500.0,)


def test_speech_that_was_made_before_the_turn_is_no_answer_to_it() -> None:
    @connector("acme.agent")
    class Firm:
        """Cannot be interrupted in its first message."""

        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> AgentMessage:
            return AgentMessage(text.text, interruptible=text.text == "two")

    @connector("acme.tts")
    class Short:
        def __call__(self, message: AgentMessage) -> AudioChunkStream:
            return AudioChunkStream(
                b"\1\0" * RATE * 2, RATE, 1, message.id, message.text, final=True, interruptible=False
            )

    graph = (
        CALL.replace("acme.agent: {seconds: 0.4}", "{}")
        .replace("  {}\n", "")
        .replace("  acme.tts: {seconds: 0.1}\n", "")
    )
    graph = graph.replace("connectors:\n", "")
    over = play([(1.0, "say:one"), (1.5, "say:two")], Stt, Firm, Short, graph=graph)
    # The answer to the second turn waits behind the first answer, which takes two seconds.
    assert [(t, turn.voice_to_voice_ms) for t, turn in timed(over)] == [(1.0, 300.0), (3.0, 1800.0)]
