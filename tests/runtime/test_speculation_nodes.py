"""What a node does on a guess: its failures, and what it sees and keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    Text,
)  # fmt: skip
from echostack.registry import Context, connector
from echostack.runtime import Session
from tests.runtime.cast import CALL, Pace, play, reply_to
from tests.runtime.guessing import (
    CONFIRMED,
    FIRST_SAMPLE,
    SCRIPT,
    SPOKEN,
    guessing,
    made,
    told,
    tts,
)

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


def test_a_member_that_is_found_working_by_a_guess_has_recovered_when_the_guess_is_right() -> None:
    graph = guessing("synthesis", CHOICE).replace("connectors:\n", "connectors:\n  first.agent: {cooldown: 2s}\n")
    again = [(t + 8, cue) for t, cue in SCRIPT]
    # Fails on the guess and on the turn of the first script.
    over = play([*SCRIPT, *again], member("first.agent", fail=2), member("second.agent"), tts, graph=graph, until=30)
    assert over.times("error.first.recovered") == [11.0]
    assert over.times("processing.first.agent_message") == [11.0]
    assert over.times(FIRST_SAMPLE) == [pytest.approx(3.9), 11.0]


def test_a_member_that_fails_after_its_answer_was_given_out_rests() -> None:
    @connector("first.agent")
    async def breaks(text: Text, context: Context) -> AsyncIterator[AgentMessage]:
        yield AgentMessage("first-1")
        await context.clock.sleep(0.4)
        raise ConnectorFailure("down", retryable=False)

    script = [(2.3, "partial:hello there"), (2.7, "say:hello there"), (8.0, "say:hello again")]
    over = play(script, breaks, member("second.agent"), tts, graph=guessing("model", CHOICE))
    assert [text for _, text in over.said] == ["hello there", "first-1", "hello again", "second-1 second-2"]


def test_a_guess_that_fails_before_it_answers_leaves_no_memory_for_the_turn() -> None:
    failures = iter([True])

    @connector("acme.agent")
    class Failing(Counting):
        async def __call__(self, text: Text) -> AgentMessage:
            message = await super().__call__(text)
            if next(failures, False):
                raise ConnectorFailure("no", retryable=False)
            return message

    over = play([(2.3, "partial:a b"), (2.7, "say:a b")], Failing, tts, graph=guessing("model"))
    off = play([(2.7, "say:a b")], Counting, tts, graph=guessing("off"))
    assert over.said == off.said


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
    assert (events[0].scope, events[0].epoch) == (1, 0)
    assert keys[0] != keys[1]
    assert turn.seq in {e.cause for e in over.events if e.kind == "agent_message"}


# -- what may go wrong in a connector ------------------------------------------------------------------------------


def test_a_memory_that_cannot_be_put_back_is_a_failure_of_its_node_and_of_nothing_else() -> None:
    @connector("acme.agent")
    class Stubborn(Counting):
        def restore(self, snapshot: int) -> None:
            raise OSError("the disk is full")

        async def __call__(self, text: Text) -> AgentMessage:
            return await super().__call__(text)

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.8)
        call.barge_in()

    over = play(SCRIPT, Stubborn, tts, graph=guessing("synthesis"), during=during)
    assert [(t, p.message) for t, p in over.at("error.acme.exception")] == [(2.8, "OSError: the disk is full")]
    assert over.times("control.barge_in.committed") == [2.8]
    assert over.times(FIRST_SAMPLE) == [3.5]


def test_what_a_task_of_the_node_emits_after_its_answer_goes_its_ordinary_way() -> None:
    tasks = []

    @connector("acme.agent")
    async def lingering(text: Text, settings: Pace, context: Context) -> AgentMessage:
        async def later() -> None:
            await context.clock.sleep(1.0)
            context.emit(AgentMessagePartial("afterwards"))

        tasks.append(asyncio.get_running_loop().create_task(later()))
        await context.clock.sleep(settings.seconds)
        return AgentMessage(reply_to(text.text))

    over = play(SCRIPT, lingering, tts, graph=guessing("synthesis"))
    assert made(over, "processing.acme.agent_message.partial") == [3.5]
    script = [(2.3, "partial:hello"), (3.0, "say:goodbye")]
    over = play(script, lingering, tts, graph=guessing("synthesis"))
    assert made(over, "processing.acme.agent_message.partial") == [4.0]  # of the turn; the guess's own are dropped
    assert all(t.done() for t in tasks)


def test_a_slow_function_is_asked_in_its_thread() -> None:
    asked: list[str] = []

    @connector("acme.agent", blocking_ms=300)
    def slow(text: Text, settings: Pace) -> AgentMessage:
        asked.append(text.text)
        return AgentMessage(reply_to(text.text))

    for final, questions in (("hello there", ["hello there"]), ("goodbye", ["hello there", "goodbye"])):
        asked.clear()
        over = play([(2.3, "partial:hello there"), (3.0, f"say:{final}")], slow, tts, graph=guessing("synthesis"))
        assert asked == questions
        assert over.said[1] == ("agent", reply_to(final))
        assert over.times(FIRST_SAMPLE) == [3.0 if len(questions) == 1 else 3.1]


def test_an_agent_with_a_wrong_answer_fails_on_the_turn_and_not_on_the_guess() -> None:
    @connector("acme.agent")
    async def wrong(text: Text, settings: Pace) -> AgentMessage:
        return "hello"  # type: ignore[return-value]

    over = play(SCRIPT, wrong, tts, graph=guessing("synthesis"))
    assert [(t, p.message) for t, p in over.at("error.acme.exception")] == [
        (3.0, "TypeError: a connector answers with payloads, Out or Forward, not with str")
    ]
