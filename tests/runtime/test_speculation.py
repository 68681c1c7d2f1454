"""A reply begun on a guess of the turn: what it saves, and that nothing of a wrong guess is heard, stored or done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    AudioChunkStream,
    AudioFrame,
    Text,
    TextPartial,
    TextSegment,
    ToolCall,
    ToolResult,
)  # fmt: skip
from echostack.registry import Context, Forward, connector
from echostack.runtime import Session
from echostack.runtime.guess import HELD_ANSWERS, words_of
from tests.runtime.cast import CALL, RATE, Outcome, Pace, play, reply_to, spoken

STARTED, CONFIRMED, DISCARDED = (f"control.speculation.{k}" for k in ("started", "confirmed", "discarded"))
FIRST_SAMPLE = "control.line.playout_started"
SPOKEN = [("caller", "hello there"), ("agent", reply_to("hello"))]
SCRIPT = [(2.2, "partial:hello"), (2.3, "partial:hello there"), (3.0, "say:hello there")]
"""The words stand from 2.3 on; the turn ends at 3.0."""


@connector("acme.agent")
async def agent(text: Text, settings: Pace, context: Context) -> AsyncIterator[AgentMessage]:
    """As the cast's agent; of a function nothing remains."""
    await context.clock.sleep(settings.seconds)
    yield AgentMessage(reply_to(text.text))


@connector("acme.tts", output_format=lambda settings: AudioFormat(RATE))
async def tts(message: AgentMessage, settings: Pace, context: Context) -> AsyncIterator[AudioChunkStream]:
    await context.clock.sleep(settings.seconds)
    words = message.text.split()
    for number, word in enumerate(words, 1):
        yield spoken(word, message, final=number == len(words))


def guessing(on: str, graph: str = CALL) -> str:
    return f"{graph}speculate: {on}\n"


def told(over: Outcome) -> list[tuple[float, str, str]]:
    """Every event of the speculation: when, what, and why or about which words."""
    return [
        (round(e.time, 6), e.name.rsplit(".", 1)[1], getattr(e.payload, "why", "") or e.payload.text)
        for e in over.events
        if e.name.startswith("control.speculation.")
    ]  # fmt: skip


def made(over: Outcome, pattern: str = "processing.*.agent_message") -> list[float]:
    return over.times(pattern)


# -- what is saved ----------------------------------------------------------------------------------------------


def test_the_first_sample_is_earlier_by_what_each_saves_and_all_else_is_the_same() -> None:
    off, model, both = (play(SCRIPT, agent, tts, graph=guessing(on)) for on in ("off", "model", "synthesis"))
    assert [o.times(FIRST_SAMPLE) for o in (off, model, both)] == [[3.5], [3.1], [3.0]]
    assert [o.stats.turn_to_audio_ms for o in (off, model, both)] == [
        (pytest.approx(500),), (pytest.approx(100),), (pytest.approx(0),),
    ]  # fmt: skip
    assert off.said == model.said == both.said == SPOKEN
    assert off.sink.heard == model.sink.heard == both.sink.heard
    assert [(o.stats.guesses, o.stats.guesses_confirmed, o.stats.guessed_dropped) for o in (off, model, both)] == [
        (0, 0, 0), (1, 1, 0), (1, 1, 0),
    ]  # fmt: skip
    assert told(off) == []
    assert told(model) == told(both) == [(2.5, "started", "hello there"), (3.0, "confirmed", "hello there")]
    assert [p.ahead_ms for _, p in both.at(CONFIRMED)] == [500]


def test_a_guess_that_still_works_when_the_turn_ends_saves_what_it_has_done() -> None:
    # Begun at 2.5: at 2.7 the agent has worked 0.2 of its 0.4 s.
    over = play([(2.3, "partial:hello there"), (2.7, "say:hello there")], agent, tts, graph=guessing("synthesis"))
    assert over.times(FIRST_SAMPLE) == [pytest.approx(3.0)]
    # At 2.95 the agent is done and the synthesiser has worked 0.05 of its 0.1 s.
    over = play([(2.3, "partial:hello there"), (2.95, "say:hello there")], agent, tts, graph=guessing("synthesis"))
    assert over.times(FIRST_SAMPLE) == [pytest.approx(3.0)]
    assert over.said == SPOKEN


def test_nothing_of_a_guess_is_seen_before_the_turn_is_over_and_then_all_of_it_in_order() -> None:
    over = play(SCRIPT, agent, tts, graph=guessing("synthesis"))
    shown = [e for e in over.events if e.name.split(".")[1] in ("acme", "ear") and e.kind != "text.partial"]
    assert [e.kind for e in shown[:3]] == ["text", "agent_message", "audio_chunk.stream"]
    assert {round(e.time, 6) for e in shown[:12]} == {3.0}
    turn, message, chunk = shown[:3]
    assert (message.cause, chunk.cause) == (turn.seq, message.seq)
    assert chunk.payload.utterance == message.payload.id == over.at(FIRST_SAMPLE)[0][1].utterance  # type: ignore[attr-defined]
    numbers = [e.seq for e in over.events]
    assert numbers == sorted(set(numbers))


def test_a_graph_without_a_scope_guesses_as_well() -> None:
    graph = CALL.replace("barge_in: {on: processing.ear.speech_started}", "barge_in: off")
    over = play(SCRIPT, agent, tts, graph=guessing("synthesis", graph))
    assert over.times(FIRST_SAMPLE) == [3.0]
    assert over.said == SPOKEN


def test_every_turn_is_guessed_anew_once_the_reply_to_the_one_before_is_over() -> None:
    again = [(t + 10, cue.replace("hello", "goodbye")) for t, cue in SCRIPT]
    over = play([*SCRIPT, *again], agent, tts, graph=guessing("synthesis"), until=30)
    assert over.times(FIRST_SAMPLE) == [3.0, 13.0]
    assert over.stats.guesses_confirmed == 2
    assert over.said == [*SPOKEN, ("caller", "goodbye there"), ("agent", reply_to("goodbye"))]


@pytest.mark.parametrize(
    ("guessed", "turn", "equal"),
    [
        ("hello there", "Hello, there!", True),
        ("HELLO   there", "“hello” – there…", True),
        ("hello there", "hello their", False),
        ("hello", "hello there", False),
        ("c", "C++", False),
        ("35", "3.5", False),
        ("well known", "well-known", False),
        ("straße", "STRASSE", True),
    ],
)
def test_case_blanks_and_marks_do_not_make_another_turn(guessed: str, turn: str, equal: bool) -> None:
    assert (words_of(guessed) == words_of(turn)) is equal
    over = play([(2.0, f"partial:{guessed}"), (3.0, f"say:{turn}")], agent, tts, graph=guessing("model"))
    assert over.stats.guesses_confirmed == int(equal)
    assert over.said[0] == ("caller", turn)
    assert over.times(FIRST_SAMPLE) == [3.1 if equal else 3.5]


# -- when a guess is made ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stable_for", "begun"), [("0ms", 2.3), ("200ms", 2.5), ("500ms", 2.8)])
def test_words_are_guessed_on_when_they_have_stood_for_so_long(stable_for: str, begun: float) -> None:
    graph = guessing(f"{{on: model, stable_for: {stable_for}}}")
    over = play(SCRIPT[1:], agent, tts, graph=graph)
    assert [t for t, what, _ in told(over) if what == "started"] == [begun]


def test_words_that_change_before_are_no_guess_and_the_same_words_again_do_not_put_it_off() -> None:
    script = [
        (2.0, "partial:hel"), (2.1, "partial:hello"), (2.25, "partial:Hello,"), (2.29, "partial:hello"),
        (3.0, "say:hello"),
    ]  # fmt: skip
    over = play(script, agent, tts, graph=guessing("model"))
    assert told(over) == [(2.3, "started", "hello"), (3.0, "confirmed", "hello")]


def test_a_turn_that_ends_before_its_words_have_stood_long_enough_takes_its_ordinary_way() -> None:
    over = play([(2.9, "partial:hello there"), (3.0, "say:hello there")], agent, tts, graph=guessing("synthesis"))
    assert told(over) == []
    assert over.times(FIRST_SAMPLE) == [3.5]


def test_a_turn_that_ends_at_the_instant_of_the_guess_is_answered_once_and_not_later() -> None:
    over = play([(2.8, "partial:hello there"), (3.0, "say:hello there")], agent, tts, graph=guessing("synthesis"))
    assert over.times(FIRST_SAMPLE) == [3.5]
    assert over.said == SPOKEN
    assert len(made(over)) == 1


def test_partials_without_words_are_no_guess() -> None:
    over = play([(2.0, "partial:…"), (2.5, "partial: "), (3.0, "say:hello there")], agent, tts, graph=guessing("model"))
    assert told(over) == []


def test_while_a_reply_is_thought_or_said_nothing_is_guessed() -> None:
    script = [(3.0, "say:hello"), (3.1, "partial:and"), (4.0, "partial:and more"), (5.0, "say:and more")]
    over = play(script, agent, tts, graph=guessing("synthesis"))
    assert told(over) == []
    assert over.said[-1] == ("agent", reply_to("and"))


def test_a_reply_that_was_cut_makes_room_for_a_guess() -> None:
    script = [
        (3.0, "say:hello"), (5.0, "speech"), (5.4, "partial:stop"), (5.55, "partial:stop now"), (6.2, "stop"),
        (6.5, "say:stop now"),
    ]  # fmt: skip
    over = play(script, agent, tts, graph=guessing("synthesis"))
    assert over.times("control.barge_in.committed") == [5.5]
    assert told(over) == [(5.75, "started", "stop now"), (6.5, "confirmed", "stop now")]
    assert over.times(FIRST_SAMPLE) == [3.5, 6.5]
    assert over.stats.interruptions == 1


def test_pieces_of_a_turn_that_silence_ends_are_guessed_on() -> None:
    graph = guessing("synthesis", CALL) + "turns: {end_by: silence, silence: 600ms}\n"
    script = [
        (1.0, "speech"), (1.5, "partial:hello"), (1.9, "stop"), (2.0, "say:Hello"), (2.15, "speech"), (2.4, "stop"),
        (2.5, "say:there."),
    ]  # fmt: skip

    @connector("ear.stt")
    async def hearing(frame: AudioFrame) -> Text | TextPartial | None:
        cue, _, words = frame.track.partition(":")
        kinds = {"partial": TextPartial, "say": Text}
        return kinds[cue](words) if cue in kinds else None

    over = play(script, hearing, agent, tts, graph=graph)
    assert told(over) == [
        (1.7, "started", "hello"), (2.5, "discarded", "the caller said more"), (2.7, "started", "Hello there."),
        (3.0, "confirmed", "Hello there."),
    ]  # fmt: skip
    assert over.at("processing.ear.text")[0][0] == 3.0
    # Begun at 2.7, and worked 0.3 of 0.5 s when the silence was long enough.
    assert over.times(FIRST_SAMPLE) == [pytest.approx(3.2)]
    assert over.said == [("caller", "Hello there."), ("agent", reply_to("Hello"))]


@pytest.mark.parametrize("partial", ["hello there", "there"])
def test_partial_words_may_hold_the_pieces_before_them_or_go_on_after_them(partial: str) -> None:
    @connector("ear.stt")
    def segments(frame: AudioFrame) -> Text | TextPartial | TextSegment | None:
        cue, _, words = frame.track.partition(":")
        kinds = {"partial": TextPartial, "piece": TextSegment, "say": Text}
        return kinds[cue](words) if cue in kinds else None  # type: ignore[no-any-return]

    script = [(2.0, "piece:Hello"), (2.1, f"partial:{partial}"), (3.0, "say:hello there")]
    over = play(script, segments, agent, tts, graph=guessing("model"))
    assert over.times(CONFIRMED) == [3.0]
    assert over.times(FIRST_SAMPLE) == [3.1]


# -- a wrong guess ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["model", "synthesis"])
@pytest.mark.parametrize("final", [2.55, 2.9, 2.95, 3.0, 4.0])
def test_of_a_wrong_guess_nothing_is_heard_or_stored(on: str, final: float) -> None:
    script = [(2.3, "partial:hello"), (final, "say:goodbye my friend")]
    over = play(script, agent, tts, graph=guessing(on))
    assert told(over) == [(2.5, "started", "hello"), (final, "discarded", "the turn was another")]
    assert over.said == [("caller", "goodbye my friend"), ("agent", reply_to("goodbye"))]
    assert over.heard("hello") == 0
    assert over.times(FIRST_SAMPLE) == [pytest.approx(final + 0.5)]
    assert not [e for e in over.events if "hello" in str(getattr(e.payload, "text", "")) and "acme" in e.name]
    assert over.stats.interruptions == 0
    assert over.stats.epochs == (0, 0)


def test_what_is_dropped_is_counted() -> None:
    over = play([(2.3, "partial:hello"), (4.0, "say:goodbye")], agent, tts, graph=guessing("synthesis"))
    # One message, and ten pieces of its speech.
    assert [p.dropped for _, p in over.at(DISCARDED)] == [11]
    assert over.stats.guessed_dropped == 11


@pytest.mark.parametrize(
    ("turn", "ran", "at"), [("book a table", ["book a table"], 3.0), ("cancel it", ["cancel it"], 3.4)]
)
def test_a_tool_runs_for_the_turn_and_never_for_a_guess(turn: str, ran: list[str], at: float) -> None:
    calls: list[tuple[float, str, str]] = []

    @connector("acme.agent")
    async def asking(text: Text, settings: Pace, context: Context) -> ToolCall | AgentMessage:
        await context.clock.sleep(settings.seconds)
        return ToolCall("book", "call-1", {"what": text.text})

    @connector("crm.write", effect=True)
    async def write(call: ToolCall, context: Context) -> ToolResult:
        calls.append((round(context.clock.now(), 6), call.arguments["what"], context.idempotency_key))
        return ToolResult(call.name, call.id, "done")

    graph = CALL.replace("barge_in:", "  - acme.agent -> crm.write -> transcript.note\nbarge_in:")

    @connector("transcript.note")
    def note(result: ToolResult) -> None: ...

    over = play([(2.0, "partial:book a table"), (3.0, f"say:{turn}")], asking, write, note, tts,
                graph=guessing("synthesis", graph))  # fmt: skip
    assert [(t, what) for t, what, _ in calls] == [(at, ran[0])]
    assert [r.state for r in over.stats.effects] == ["done"]
    assert [r.key for r in over.stats.effects] == [calls[0][2]]


def test_an_effect_itself_never_begins_on_a_guess() -> None:
    asked: list[float] = []

    @connector("acme.agent", effect=True)
    async def acting(text: Text, context: Context) -> AgentMessage:
        asked.append(round(context.clock.now(), 6))
        return AgentMessage(reply_to(text.text))

    graph = guessing("synthesis", CALL.replace("  acme.agent: {seconds: 0.4}\n", ""))
    play(SCRIPT, acting, tts, graph=graph)
    assert asked == [3.0]


def test_words_that_change_and_come_back_are_three_guesses_of_which_the_last_counts() -> None:
    script = [(2.0, "partial:hello"), (2.4, "partial:yellow"), (2.8, "partial:hello"), (3.5, "say:hello")]
    over = play(script, agent, tts, graph=guessing("synthesis"))
    assert told(over) == [
        (2.2, "started", "hello"), (2.4, "discarded", "the caller said more"), (2.6, "started", "yellow"),
        (2.8, "discarded", "the caller said more"), (3.0, "started", "hello"), (3.5, "confirmed", "hello"),
    ]  # fmt: skip
    assert over.times(FIRST_SAMPLE) == [3.5]
    assert over.said == [("caller", "hello"), ("agent", reply_to("hello"))]


@pytest.mark.parametrize("at", [2.6, 2.92, 2.99])
def test_an_interruption_during_a_guess_ends_it_and_the_turn_takes_its_ordinary_way(at: float) -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(at)
        call.barge_in()

    over = play(SCRIPT, agent, tts, graph=guessing("synthesis"), during=during)
    assert told(over) == [(2.5, "started", "hello there"), (at, "discarded", "interrupted")]
    assert over.times(FIRST_SAMPLE) == [3.5]
    assert over.said == SPOKEN


@pytest.mark.parametrize("at", [3.0, 3.02, 3.3])
def test_a_reply_made_ahead_is_interrupted_like_any_other(at: float) -> None:
    script = [(2.3, "partial:hello there"), (2.6, "say:hello there"), (at, "say:goodbye")]
    over = play(script, agent, tts, graph=guessing("synthesis"))
    # Begun at 2.5, spoken from 3.0 on.
    assert [(t, p.cause) for t, p in over.at("control.barge_in.committed")] == [(at, "turn")]
    assert over.heard("hello") == pytest.approx(at - 3.0, abs=1e-6)
    assert over.said == [("caller", "hello there"), ("caller", "goodbye"), ("agent", reply_to("goodbye"))]


@pytest.mark.parametrize("at", [2.6, 2.95])
def test_the_caller_who_hangs_up_during_a_guess_leaves_nothing(at: float) -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(at)
        call.hang_up()

    over = play(SCRIPT[:2], agent, tts, graph=guessing("synthesis"), during=during)
    assert told(over) == [(2.5, "started", "hello there"), (at, "discarded", "interrupted")]
    assert over.said == []
    assert over.sink.heard == b""
    assert over.stats.late == ()


def test_a_call_that_ends_without_the_turn_drops_its_guess() -> None:
    over = play(SCRIPT[:2], agent, tts, graph=guessing("synthesis"), until=2.7)
    assert told(over) == [(2.5, "started", "hello there"), (2.7, "discarded", "the call ended")]
    assert over.said == []
    assert over.stats.seconds < 3


def test_another_event_for_the_node_ends_the_guess_first() -> None:
    working = 0
    most = 0

    @connector("acme.agent")
    async def alone(text: Text, settings: Pace, context: Context) -> AgentMessage:
        nonlocal working, most
        working += 1
        most = max(most, working)
        try:
            await context.clock.sleep(settings.seconds)
        finally:
            working -= 1
        return AgentMessage(reply_to(text.text))

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.6)
        await call.emit(Text("wait"), to="acme.agent")

    over = play(SCRIPT[1:2], alone, tts, graph=guessing("model"), during=during)
    assert told(over) == [(2.5, "started", "hello there"), (2.6, "discarded", "acme.agent was needed")]
    assert over.said == [("caller", "wait"), ("agent", reply_to("wait"))]
    assert most == 2  # the one that is being cancelled, and the new one: as after any interruption


# -- failures ---------------------------------------------------------------------------------------------------


def failing(*fail: int, after: int = 0) -> Any:
    """An agent whose calls of these numbers fail, after so many messages."""
    calls = 0

    @connector("acme.agent")
    async def sometimes(text: Text, settings: Pace, context: Context) -> AsyncIterator[AgentMessage]:
        nonlocal calls
        calls += 1
        mine = calls
        for number in range(after):
            yield AgentMessage(f"piece-{number}")
        await context.clock.sleep(settings.seconds)
        if mine in fail:
            raise ConnectorFailure("no", retryable=False)
        yield AgentMessage(reply_to(text.text))

    return sometimes


def test_a_guess_that_fails_is_no_failure_of_the_call_and_the_turn_is_asked_again() -> None:
    over = play(SCRIPT, failing(1), tts, graph=guessing("synthesis"))
    assert over.at("error.*.*") == []
    assert over.times(FIRST_SAMPLE) == [3.5]
    assert over.said == SPOKEN
    assert over.stats.nodes["acme.agent"]["failures"] == {"guess": 1}
    assert told(over)[-1] == (3.1, "discarded", "nobody was given the turn")


def test_a_failure_between_the_turn_and_the_first_answer_is_none_either() -> None:
    over = play([(2.3, "partial:hello there"), (2.7, "say:hello there")], failing(1), tts, graph=guessing("synthesis"))
    assert over.at("error.*.*") == []
    # Failed at 2.9, asked again, answered at 3.3, spoken at 3.4.
    assert over.times(FIRST_SAMPLE) == [pytest.approx(3.4)]
    assert over.said == SPOKEN


def test_a_failure_after_an_answer_was_given_out_is_the_turns_own() -> None:
    script = [(2.3, "partial:hello there"), (2.7, "say:hello there")]
    over = play(script, failing(1, after=1), tts, graph=guessing("model"))
    assert [(t, p.message) for t, p in over.at("error.acme.exception")] == [
        (2.9, "failed after its answer had begun: no")
    ]  # fmt: skip
    assert over.said == [("caller", "hello there"), ("agent", "piece-0")]


def test_a_guess_that_takes_longer_than_the_node_may_is_asked_again_about_the_turn() -> None:
    calls = 0

    @connector("acme.agent")
    async def slow_once(text: Text, context: Context) -> AgentMessage:
        nonlocal calls
        calls += 1
        await context.clock.sleep(5.0 if calls == 1 else 0.4)
        return AgentMessage(reply_to(text.text))

    graph = guessing("model", CALL.replace("{seconds: 0.4}", "{timeout: 1s}"))
    over = play([(2.3, "partial:hello there"), (4.0, "say:hello there")], slow_once, tts, graph=graph)
    assert over.at("error.*.*") == []
    assert over.times(FIRST_SAMPLE) == [4.5]


CHOICE = """
connectors:
  acme.tts: {seconds: 0.1}
pipeline:
  - ingress.line.audio_frame -> ear.vad
  - ingress.line.audio_frame -> ear.stt -> first.agent ?? second.agent -> acme.tts -> egress.line.audio_chunk
barge_in: {on: processing.ear.speech_started}
"""


def member(name: str, fail: int = 0) -> Any:
    """A member of a choice that fails for its first ``fail`` calls."""
    calls = 0

    @connector(name)
    async def answer(text: Text, context: Context) -> AgentMessage:
        nonlocal calls
        calls += 1
        await context.clock.sleep(0.4)
        if calls <= fail:
            raise ConnectorFailure("down", retryable=False)
        return AgentMessage(f"{name.split('.')[0]}-1 {name.split('.')[0]}-2")

    return answer


def test_a_choice_guesses_with_the_member_that_it_would_ask() -> None:
    over = play(SCRIPT, member("first.agent"), member("second.agent"), tts, graph=guessing("synthesis", CHOICE))
    assert over.times(FIRST_SAMPLE) == [3.0]
    assert over.said[1] == ("agent", "first-1 first-2")
    assert over.times("processing.first.agent_message") == [3.0]


def test_a_member_that_fails_on_the_guess_is_found_failing_on_the_turn_and_the_next_one_answers() -> None:
    graph = guessing("synthesis", CHOICE)
    over = play(SCRIPT, member("first.agent", fail=9), member("second.agent"), tts, graph=graph)
    assert over.times("error.first.failed_over") == [3.4]
    assert over.said[1] == ("agent", "second-1 second-2")
    # And while it rests, the guess goes to the next one.
    again = [(t + 8, cue) for t, cue in SCRIPT]
    over = play([*SCRIPT, *again], member("first.agent", fail=9), member("second.agent"), tts, graph=graph, until=30)
    assert over.times(FIRST_SAMPLE) == [pytest.approx(3.9), 11.0]
    assert len(over.times("error.first.failed_over")) == 1


# -- what a node sees and keeps -----------------------------------------------------------------------------------


def test_the_conversation_ends_with_the_guessed_turn_as_it_will() -> None:
    read: list[tuple[float, list[str]]] = []

    @connector("acme.agent")
    async def reader(text: Text, settings: Pace, context: Context) -> AgentMessage:
        read.append((round(context.clock.now(), 6), [t.text for t in context.conversation.turns]))
        await context.clock.sleep(settings.seconds)
        read.append((round(context.clock.now(), 6), [t.text for t in context.conversation.turns]))
        return AgentMessage(reply_to(text.text))

    over = play([(2.3, "partial:hello there"), (2.7, "say:Hello there!")], reader, tts, graph=guessing("model"))
    assert read == [(2.5, ["hello there"]), (2.9, ["Hello there!"])]
    assert over.said[0] == ("caller", "Hello there!")


def slots_agent() -> Any:
    @connector("acme.agent")
    async def noting(text: Text, settings: Pace, context: Context) -> AgentMessage:
        slots = context.conversation.slots
        before = slots.get("count", 0)
        slots["count"] = before + 1
        slots[text.text] = True
        await context.clock.sleep(settings.seconds)
        slots["late"] = text.text
        return AgentMessage(f"{text.text.split()[0]}-{before}")

    return noting


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        ("hello there", {"count": 1, "hello there": True, "late": "hello there"}),
        ("goodbye", {"count": 1, "goodbye": True, "late": "goodbye"}),
    ],
)
@pytest.mark.parametrize("at", [2.7, 3.0])
def test_slots_that_a_guess_fills_count_when_it_is_right(final: str, expected: dict[str, Any], at: float) -> None:
    slots: dict[str, Any] = {}

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.69)
        assert call._parts.dialogue.conversation.slots == {}
        await clock.sleep(5 - 2.69)
        slots.update(call._parts.dialogue.conversation.slots)

    over = play([(2.3, "partial:hello there"), (at, f"say:{final}")], slots_agent(), tts, graph=guessing("synthesis"),
                during=during)  # fmt: skip
    assert slots == expected
    assert over.said[1] == ("agent", f"{final.split()[0]}-0")


def test_slots_that_others_change_meanwhile_make_a_guess_worthless() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.8)
        call._parts.dialogue.conversation.slots["count"] = 7

    over = play(SCRIPT, slots_agent(), tts, graph=guessing("synthesis"), during=during)
    assert over.times(CONFIRMED) == []
    assert over.times(FIRST_SAMPLE) == [3.5]
    assert over.said[1] == ("agent", "hello-7")


@connector("acme.agent")
class Counting:
    """Keeps a count, and can take it back."""

    def __init__(self, settings: Pace, context: Context) -> None:
        self._wait, self._context, self._count = settings.seconds, context, 0

    def snapshot(self) -> int:
        return self._count

    def restore(self, snapshot: int) -> None:
        self._count = snapshot

    async def __call__(self, text: Text) -> AgentMessage:
        self._count += 1
        mine = self._count, self._context.random.randrange(1000)
        await self._context.clock.sleep(self._wait)
        return AgentMessage(f"{text.text.split()[0]}-{mine[0]}-{mine[1]}")


def test_memory_and_randomness_go_back_when_a_guess_was_wrong() -> None:
    script = [
        (2.0, "partial:a b"), (2.3, "partial:a c"), (2.9, "partial:a d"), (3.5, "say:a e"), (8.0, "partial:a f"),
        (9.0, "say:a f"),
    ]  # fmt: skip
    off, on = (play(script, Counting, tts, graph=guessing(on)) for on in ("off", "synthesis"))
    assert (on.stats.guesses, on.stats.guesses_confirmed) == (4, 1)
    assert off.said == on.said
    assert [s.split("-")[1] for _, s in on.said[1::2]] == ["1", "2"]


def test_a_class_that_says_nothing_of_guesses_is_not_asked() -> None:
    @connector("acme.agent")
    class Silent:
        def __init__(self, settings: Pace, context: Context) -> None:
            self._wait, self._clock = settings.seconds, context.clock

        async def __call__(self, text: Text) -> AgentMessage:
            await self._clock.sleep(self._wait)
            return AgentMessage(reply_to(text.text))

    over = play(SCRIPT, Silent, tts, graph=guessing("synthesis"))
    assert told(over) == []
    assert over.times(FIRST_SAMPLE) == [3.5]


def test_what_a_node_emits_on_a_guess_waits_like_what_it_answers() -> None:
    @connector("acme.agent")
    async def emitting(text: Text, settings: Pace, context: Context) -> AgentMessage | AgentMessagePartial:
        context.emit(AgentMessagePartial("one"))
        await context.clock.sleep(settings.seconds)
        return AgentMessage("one two")

    for final, at in (("hello there", [3.0, 3.0]), ("goodbye", [3.0, 3.4])):
        over = play([(2.3, "partial:hello there"), (3.0, f"say:{final}")], emitting, tts, graph=guessing("model"))
        assert [*made(over, "processing.acme.agent_message.partial"), *made(over)] == at


def test_a_node_is_told_the_event_of_the_turn_once_the_guess_is_right() -> None:
    keys: list[str] = []
    events: list[Event] = []

    @connector("acme.agent")
    async def asking(text: Text, event: Event, settings: Pace, context: Context) -> AgentMessage:
        events.append(event)
        keys.append(context.idempotency_key)
        await context.clock.sleep(settings.seconds)
        keys.append(context.idempotency_key)
        return AgentMessage(reply_to(text.text))

    @connector("crm.write", effect=True)
    async def write(message: AgentMessage, context: Context) -> None: ...

    over = play([(2.3, "partial:hello there"), (2.7, "say:hello there")], asking, tts, graph=guessing("model"))
    (turn,) = [e for e in over.events if e.name == "processing.ear.text"]
    assert events[0].name == turn.name
    assert events[0].seq != turn.seq
    assert keys[0] != keys[1]
    assert turn.seq in {e.cause for e in over.events if e.kind == "agent_message"}


# -- the way of a guess -------------------------------------------------------------------------------------------

ROUTED = """
connectors:
  sales: {use: acme.agent, seconds: 0.4}
  support: {use: acme.agent, seconds: 0.2}
  acme.tts: {seconds: 0.1}
pipeline:
  - ingress.line.audio_frame -> ear.vad
  - ingress.line.audio_frame -> ear.stt -> plain.router
  - plain.router:sales -> sales -> acme.tts -> egress.line.audio_chunk
  - plain.router:support -> support -> acme.tts
barge_in: {on: processing.ear.speech_started}
"""


def router(asked: list[str]) -> Any:
    @connector("plain.router", ports=lambda settings: ("sales", "support"))
    def route(text: Text) -> Forward:
        asked.append(text.text)
        return Forward("sales" if "buy" in text.text else "support")

    return route


def test_a_guess_passes_a_router_to_the_one_whom_the_turn_will_reach() -> None:
    for words, speaker in (("buy it", "sales"), ("it broke", "support")):
        asked: list[str] = []
        script = [(2.0, f"partial:{words}"), (3.0, f"say:{words}")]
        over = play(script, router(asked), agent, tts, graph=guessing("synthesis", ROUTED))
        assert over.times(FIRST_SAMPLE) == [3.0]
        assert [e.node for e in over.events if e.kind == "agent_message"] == [speaker]
        assert asked == [words, words]
        assert over.stats.nodes["plain.router"]["received"] == 1


def test_a_router_that_decides_otherwise_about_the_turn_leaves_the_guess_unheard() -> None:
    decisions = iter(["sales", "support"])

    @connector("plain.router", ports=lambda settings: ("sales", "support"))
    def fickle(text: Text) -> Forward:
        return Forward(next(decisions))

    script = [(2.0, "partial:hello there"), (3.0, "say:hello there")]
    over = play(script, fickle, agent, tts, graph=guessing("synthesis", ROUTED))
    assert [e.node for e in over.events if e.kind == "agent_message"] == ["support"]
    assert over.said == SPOKEN
    assert over.times(FIRST_SAMPLE) == [3.3]


def test_a_router_that_fails_on_a_guess_is_asked_again_about_the_turn() -> None:
    calls = 0

    @connector("plain.router", ports=lambda settings: ("sales", "support"))
    def broken_once(text: Text) -> Forward:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("not yet")
        return Forward("support")

    over = play(SCRIPT, broken_once, agent, tts, graph=guessing("model", ROUTED))
    assert over.at("error.*.*") == []
    assert told(over) == []
    assert over.times(FIRST_SAMPLE) == [3.3]


def test_a_guess_passes_guards_as_the_turn_will() -> None:
    graph = ROUTED.replace("ear.stt -> plain.router\n", "ear.stt -> note.all\n").replace(
        "plain.router:sales -> sales", 'ear.stt -[ "buy" in text ]-> sales'
    ).replace("plain.router:support -> support", "ear.stt -[ else ]-> support\n  - support")  # fmt: skip

    @connector("note.all")
    def note(text: Text) -> None: ...

    graph = graph.replace(" -> sales -> acme.tts", " -> sales\n  - sales -> acme.tts")
    for words, speaker in (("buy it", "sales"), ("it broke", "support")):
        script = [(2.0, f"partial:{words}"), (3.0, f"say:{words}")]
        over = play(script, note, agent, tts, graph=guessing("synthesis", graph))
        assert [e.node for e in over.events if e.kind == "agent_message"] == [speaker]
        assert over.times(FIRST_SAMPLE) == [3.0]


def test_behind_a_plain_agent_the_synthesiser_begins_and_the_message_keeps_its_own_id() -> None:
    @connector("acme.agent")
    def quick(text: Text) -> AgentMessage:
        return AgentMessage(reply_to(text.text))

    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "")
    off, on = (play(SCRIPT, quick, tts, graph=guessing(on, graph)) for on in ("off", "synthesis"))
    assert [off.times(FIRST_SAMPLE), on.times(FIRST_SAMPLE)] == [[3.1], [3.0]]
    assert off.said == on.said == SPOKEN
    (message,) = [e.payload for e in on.events if e.kind == "agent_message"]
    assert {p.utterance for _, p in on.at("processing.acme.audio_chunk.stream")} == {message.id}  # type: ignore[attr-defined]


# -- bounds -----------------------------------------------------------------------------------------------------


def test_a_guess_that_makes_too_much_is_held_back_until_it_is_right() -> None:
    pieces = 0

    @connector("acme.agent")
    async def endless(text: Text, settings: Pace) -> AsyncIterator[AgentMessage]:
        nonlocal pieces
        for number in range(2000):
            pieces += 1
            yield AgentMessage(f"word-{number}")

    seen: list[int] = []

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.99)
        seen.append(pieces)
        await clock.sleep(0.5)
        call.barge_in()

    over = play(SCRIPT, endless, tts, graph=guessing("model"), during=during)
    assert seen == [HELD_ANSWERS]
    messages = [e.payload.text for e in over.events if e.kind == "agent_message"]  # type: ignore[attr-defined]
    assert messages[:10] == [f"word-{n}" for n in range(10)]
    assert over.times(FIRST_SAMPLE) == [3.1]


def test_audio_made_ahead_is_bounded_and_goes_on_without_a_gap() -> None:
    made_ahead = 0

    @connector("acme.agent")
    async def long(text: Text, settings: Pace) -> AgentMessage:
        return AgentMessage(" ".join(f"long-{n}" for n in range(60)))

    @connector("acme.tts", output_format=lambda settings: AudioFormat(RATE))
    async def counting(message: AgentMessage, settings: Pace) -> AsyncIterator[AudioChunkStream]:
        nonlocal made_ahead
        words = message.text.split()
        for number, word in enumerate(words, 1):
            made_ahead += 1
            yield spoken(word, message, final=number == len(words))

    seen: list[int] = []

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.99)
        seen.append(made_ahead)

    over = play(SCRIPT, long, counting, graph=guessing("synthesis"), during=during, until=60)
    assert seen == [20]  # ten seconds
    assert over.heard("long") == 30.0
    assert over.at("control.line.playout_finished")[0][0] == 33.0


def test_one_seed_is_one_trace() -> None:
    def trace() -> list[str]:
        over = play(SCRIPT, agent, tts, graph=guessing("synthesis"))
        return [f"{e.time} {e.name} {e.seq} {e.cause} {e.epoch} {e.payload}" for e in over.events]

    assert trace() == trace()


def test_voice_activity_during_a_guess_is_no_interruption_of_it() -> None:
    script = [
        (1.9, "speech"), (2.3, "partial:hello there"), (2.75, "stop"), (2.8, "speech"), (2.9, "stop"),
        (3.0, "say:hello there"),
    ]  # fmt: skip
    off, on = (play(script, agent, tts, graph=guessing(on)) for on in ("off", "synthesis"))
    assert on.times(FIRST_SAMPLE) == [3.0]
    assert off.said == on.said == SPOKEN
    for over in (off, on):
        assert (over.stats.interruptions, over.stats.suspensions) == (0, 0)
