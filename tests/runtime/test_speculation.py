"""A reply begun on a guess of the turn: what it saves, and that nothing of a wrong guess is heard, stored or done."""

from __future__ import annotations

import pytest

from echostack.core.clock import LoopClock
from echostack.core.payloads import (
    AgentMessage,
    AudioFrame,
    Text,
    TextPartial,
    TextSegment,
    ToolCall,
    ToolResult,
)  # fmt: skip
from echostack.registry import Context, connector
from echostack.runtime import Session
from echostack.runtime.guess import words_of
from tests.runtime.cast import CALL, Pace, play, reply_to
from tests.runtime.guessing import (
    CONFIRMED,
    DISCARDED,
    FIRST_SAMPLE,
    SCRIPT,
    SPOKEN,
    agent,
    guessing,
    made,
    told,
    tts,
)

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


def test_nor_is_anything_where_nothing_can_be_interrupted() -> None:
    graph = CALL.replace("barge_in: {on: processing.ear.speech_started}", "barge_in: off")
    script = [(3.0, "say:hello"), (5.0, "partial:and more"), (6.0, "say:and more")]
    over = play(script, agent, tts, graph=guessing("synthesis", graph))
    assert told(over) == []
    assert over.said == [
        ("caller", "hello"),
        ("caller", "and more"),
        ("agent", reply_to("hello")),
        ("agent", reply_to("and")),
    ]


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
    assert not [e for e in over.events if "acme" in e.name and "hello" in str(e.payload)]
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
