"""The way of a guess through a graph, its bounds, and what holds for whatever is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.connectors.faq_agent import FaqAgent
from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import (
    AgentMessage,
    AudioChunkStream,
    Text,
)  # fmt: skip
from echostack.registry import Context, Forward, connector
from echostack.runtime import Session
from echostack.runtime.guess import HELD_ANSWERS
from tests.runtime.cast import CALL, RATE, Pace, play, reply_to, spoken
from tests.runtime.guessing import (
    CONFIRMED,
    DISCARDED,
    FIRST_SAMPLE,
    SCRIPT,
    SPOKEN,
    agent,
    guessing,
    told,
    tts,
)

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
        asked: list[str] = []

        @connector("acme.agent")
        async def asking(text: Text, settings: Pace, context: Context) -> AgentMessage:
            asked.append(context.node)  # noqa: B023 - called within the turn of the loop
            await context.clock.sleep(settings.seconds)
            return AgentMessage(reply_to(text.text))

        script = [(2.0, f"partial:{words}"), (3.0, f"say:{words}")]
        over = play(script, note, asking, tts, graph=guessing("synthesis", graph))
        assert asked == [speaker]
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


def test_behind_the_agent_that_answers_from_its_settings_the_synthesiser_begins() -> None:
    facts = "facts: [{ask: when are you open, say: At noon.}]"
    rules = "rules: [{when: book, needs: {time: At what time?}, say: 'At {time}, then.'}]"
    said_by = f"{{greeting: '', {facts}, {rules}, follow_ups: []}}"
    graph = CALL.replace("acme.agent", "faq.agent").replace("{seconds: 0.4}", said_by)
    script = [
        (2.0, "partial:when are you open"), (3.0, "say:When are you open?"), (6.0, "partial:book"),
        (6.5, "partial:book that"), (7.0, "say:book that, please"), (10.0, "partial:at seven"), (11.0, "say:At seven"),
    ]  # fmt: skip
    off, on = (play(script, FaqAgent, tts, graph=guessing(on, graph)) for on in ("off", "synthesis"))
    assert off.times(FIRST_SAMPLE) == [pytest.approx(t) for t in (3.1, 7.1, 11.1)]
    assert on.times(FIRST_SAMPLE) == [pytest.approx(t) for t in (3.0, 7.1, 11.0)]
    assert off.said == on.said
    assert [text for who, text in on.said if who == "agent"] == ["At noon.", "At what time?", "At 7 o'clock, then."]


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


def test_the_bound_is_for_all_that_a_node_makes_ahead() -> None:
    made_ahead = 0

    @connector("acme.agent")
    async def talkative(text: Text, settings: Pace) -> AsyncIterator[AgentMessage]:
        for number in range(30):
            yield AgentMessage(f"piece-{number} piece-{number}")

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

    over = play(SCRIPT, talkative, counting, graph=guessing("synthesis"), during=during, until=60)
    assert seen == [20]  # ten seconds
    assert over.heard("piece") == 30.0
    assert over.said[1:] == [("agent", f"piece-{n} piece-{n}") for n in range(30)]
    assert over.at("control.line.playout_finished")[-1][0] == 33.0


def test_a_guess_that_works_on_after_its_cancellation_is_neither_seen_nor_held_up() -> None:
    ended: list[float] = []

    @connector("acme.agent")
    async def stubborn(text: Text, settings: Pace, context: Context) -> AsyncIterator[AgentMessage]:
        try:
            await context.clock.sleep(settings.seconds)
        except asyncio.CancelledError:
            for _ in range(2 * HELD_ANSWERS):
                context.emit(AgentMessage("too late"))
            await context.clock.sleep(0.1)
            ended.append(round(context.clock.now(), 6))
            raise
        yield AgentMessage(reply_to(text.text))

    again = [(t + 7, cue) for t, cue in SCRIPT]
    over = play([(2.3, "partial:hello"), (2.6, "say:goodbye"), *again], stubborn, tts, graph=guessing("synthesis"))
    assert ended == [2.7]
    assert over.said == [("caller", "goodbye"), ("agent", reply_to("goodbye")), *SPOKEN]
    # Nor is what it said too late in the way of the next guess.
    assert over.times(FIRST_SAMPLE) == [pytest.approx(3.1), 10.0]
    assert over.stats.late == ()


def test_the_synthesiser_speaks_what_the_turn_asks_for_and_not_what_the_guess_did() -> None:
    number = 0

    @connector("acme.filler")
    def filler(text: Text) -> AgentMessage:
        nonlocal number
        number += 1
        return AgentMessage(f"um-{number}")

    graph = CALL.replace("barge_in:", "  - ear.stt -> acme.filler -> acme.tts\nbarge_in:")
    over = play(SCRIPT, filler, agent, tts, graph=guessing("synthesis", graph))
    assert over.stats.guesses_confirmed == 1
    assert [text for who, text in over.said if who == "agent"] in (
        ["um-2", reply_to("hello")], [reply_to("hello"), "um-2"],
    )  # fmt: skip


def test_what_is_left_of_one_guess_is_not_in_the_way_of_the_next() -> None:
    calls = 0

    @connector("acme.agent")
    async def uneven(text: Text, settings: Pace, context: Context) -> AsyncIterator[AgentMessage]:
        nonlocal calls
        calls += 1
        if calls == 1:
            yield AgentMessage("never mind")
            raise ConnectorFailure("no", retryable=False)
        if calls == 2:
            return
        await context.clock.sleep(settings.seconds)
        yield AgentMessage(reply_to(text.text))

    again = [(t + 5, cue) for t, cue in SCRIPT]
    over = play([*SCRIPT, *again], uneven, tts, graph=guessing("synthesis"))
    assert over.times(FIRST_SAMPLE) == [8.0]
    assert [t for t, _ in over.at(CONFIRMED)] == [8.0]


def test_leaving_a_call_ends_its_guess() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.6)
        await call.close()

    over = play(SCRIPT, agent, tts, graph=guessing("synthesis"), during=during)
    assert told(over) == [(2.5, "started", "hello there"), (2.6, "discarded", "the call ended")]


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


# -- whatever is said ---------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["red", "green", "blue"])
PHRASES = st.lists(WORDS, min_size=1, max_size=2).map(" ".join)


@st.composite
def turns(draw: st.DrawFn) -> list[tuple[float, str]]:
    """Turns far enough from each other that no reply is interrupted, each with whatever was heard on the way."""
    script: list[tuple[float, str]] = []
    for number in range(draw(st.integers(1, 2))):
        start = 1 + number * 10.0
        places = sorted(draw(st.lists(st.integers(0, 19), max_size=5, unique=True)))
        script += [(start + p * 0.05, f"partial:{draw(PHRASES)}") for p in places]
        script.append((start + 1.0, f"say:{draw(PHRASES)}"))
    return script


@settings(max_examples=40, deadline=None)
@given(turns(), st.sampled_from(["model", "synthesis"]), st.sampled_from(["0ms", "100ms", "200ms"]))
def test_with_and_without_guesses_the_same_is_heard_and_stored(
    script: list[tuple[float, str]], on: str, stable: str
) -> None:
    off = play(script, agent, tts, graph=guessing("off"), until=24)
    guessed = play(script, agent, tts, graph=guessing(f"{{on: {on}, stable_for: {stable}}}"), until=24)
    assert guessed.said == off.said
    assert guessed.sink.heard == off.sink.heard
    assert [e.name for e in guessed.events if ".speculation." not in e.name] == [e.name for e in off.events]
    assert all(a <= b for a, b in zip(guessed.times(FIRST_SAMPLE), off.times(FIRST_SAMPLE), strict=True))
    stats = guessed.stats
    assert stats.guesses == stats.guesses_confirmed + len(guessed.times(DISCARDED))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(10, 60),
            PHRASES.map("partial:{}".format) | PHRASES.map("say:{}".format) | st.sampled_from(["speech", "stop"]),
        ),
        max_size=12, unique_by=lambda cue: cue[0],
    ),
    st.lists(st.floats(1.0, 6.5).map(lambda at: round(at, 3)), max_size=2),
)  # fmt: skip
def test_whatever_interrupts_only_turns_are_answered(cues: list[tuple[int, str]], cuts: list[float]) -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        for at in sorted(cuts):
            await clock.sleep(max(0.0, at - clock.now()))
            call.barge_in()

    script = [(at / 10, cue) for at, cue in sorted(cues)]
    over = play(script, agent, tts, graph=guessing("synthesis"), during=during)
    said: list[str] = []
    for event in over.events:
        if event.name == "processing.ear.text":
            said.append(reply_to(event.payload.text))  # type: ignore[attr-defined]
        if event.kind == "agent_message":
            assert event.payload.text in said  # type: ignore[attr-defined]
    assert over.at("error.*.*") == []
    known = {t.text for t in over.turns if t.role == "caller"}
    assert known <= {cue.partition(":")[2] for _, cue in script if cue.startswith("say:")}
    assert over.stats.guesses == over.stats.guesses_confirmed + len(over.times(DISCARDED))
