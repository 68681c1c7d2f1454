"""The way of a guess through a graph, its bounds, and what holds for whatever is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock
from echostack.core.payloads import (
    AgentMessage,
    AudioChunkStream,
    Text,
)  # fmt: skip
from echostack.registry import Forward, connector
from echostack.runtime import Session
from echostack.runtime.guess import HELD_ANSWERS
from tests.runtime.cast import CALL, RATE, Pace, play, reply_to, spoken
from tests.runtime.guessing import (
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
