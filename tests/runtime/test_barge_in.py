"""Who may speak over the reply and what an interruption does, on exact times (the cases of a call that goes wrong)."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator

import pytest

from echostack.core.clock import LoopClock
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    AudioChunkStream,
    AudioFrame,
    CallEnded,
    SpeechStarted,
    SpeechStopped,
    Text,
    TextPartial,
)  # fmt: skip
from echostack.registry import Context, Inbox, connector
from echostack.runtime import Session
from tests.runtime.cast import CALL, RATE, Pace, play, reply_to, spoken

SUSPENDED, COMMITTED, ABORTED = (f"control.barge_in.{k}" for k in ("suspended", "committed", "aborted"))
ASKED = [(3.0, "say:hello")]  # answered from 3.5 to 8.5


def with_barge_in(options: str) -> str:
    return CALL.replace("{on: processing.ear.speech_started}", f"{{on: processing.ear.speech_started, {options}}}")


@connector("acme.agent")
class LongAgent:
    """Twenty words, ten seconds."""

    def __init__(self, settings: Pace, context: Context) -> None:
        self._wait, self._clock = settings.seconds, context.clock

    async def __call__(self, text: Text) -> AgentMessage:
        await self._clock.sleep(self._wait)
        return AgentMessage(" ".join(f"long-{n}" for n in range(20)))


@connector("acme.agent")
class Notice:
    """Says what must be heard to its end."""

    def __init__(self, settings: Pace, context: Context) -> None:
        self._wait, self._clock = settings.seconds, context.clock

    async def __call__(self, text: Text) -> AgentMessage:
        await self._clock.sleep(self._wait)
        return AgentMessage(reply_to(text.text), interruptible=False)


def test_speech_suspends_at_once_and_cuts_after_min_speech() -> None:
    over = play([*ASKED, (5.0, "speech"), (9.0, "stop")], LongAgent)
    assert [(t, p.heard_seconds) for t, p in over.at(SUSPENDED)] == [(5.0, 1.5)]
    assert [(t, p.cause) for t, p in over.at(COMMITTED)] == [(5.5, "speech")]
    assert over.heard("long") == 1.5
    assert over.sink.heard_samples == 1.5 * RATE


@connector("ear.vad")
class PunctualVad:
    """Tells of speech by timers of its own, which are due before anything else of their instant."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def open(self) -> None:
        for said in (SpeechStarted(8.5), SpeechStopped(9.0), SpeechStarted(11.0)):
            self._context.clock.call_later(said.at, functools.partial(self._context.emit, said))

    def __call__(self, frame: AudioFrame) -> SpeechStarted | SpeechStopped | None:
        return None


def test_speech_at_the_instant_of_the_last_sample_suspends_nothing_and_the_next_reply_can_be_suspended() -> None:
    over = play([*ASKED, (9.2, "say:and")], PunctualVad)
    assert over.times(SUSPENDED) == [11.0]  # not at 8.5, where nothing was left, nor passed over because of that
    assert over.heard("hello") == 5.0
    assert over.heard("and") == pytest.approx(11.0 - 9.7, abs=1e-9)


@pytest.mark.parametrize("at", [3.52, 4.0, 4.7, 7.3, 8.49])
def test_the_conversation_holds_only_the_words_that_were_played(at: float) -> None:
    over = play([*ASKED, (at, "speech"), (at + 2, "stop")])
    heard = round((at - 3.5) / 0.5 + 1e-9, 3)
    words = reply_to("hello").split()
    said = over.said[1][1].split() if len(over.said) > 1 else []
    assert said == words[: len(said)]
    assert abs(len(said) - heard) < 1
    assert over.heard("hello") == pytest.approx(at - 3.5, abs=1e-9)
    assert all(turn.cut for turn in over.turns if turn.role == "agent")


def test_after_one_point_two_seconds_only_the_words_of_those_are_recorded() -> None:
    over = play([*ASKED, (4.7, "speech"), (6.7, "stop")])
    assert over.said == [("caller", "hello"), ("agent", "hello-1 hello-2")]
    assert over.heard("hello") == 1.2


def test_a_turn_before_the_first_sample_leaves_no_assistant_message() -> None:
    over = play([*ASKED, (3.2, "say:wait")])
    assert [(t, p.cause) for t, p in over.at(COMMITTED)] == [(3.2, "turn")]
    assert over.said == [("caller", "hello"), ("caller", "wait"), ("agent", reply_to("wait"))]
    assert over.heard("hello") == 0.0
    assert over.times("control.line.playout_started") == [3.7]


def test_an_interruption_at_the_very_instant_of_the_first_sample_leaves_no_assistant_message() -> None:
    over = play([*ASKED, (3.5, "say:wait")])
    assert over.heard("hello") == 0.0
    assert over.said == [("caller", "hello"), ("caller", "wait"), ("agent", reply_to("wait"))]


def test_too_few_words_are_ignored_and_enough_interrupt() -> None:
    script = [
        *ASKED, (5.0, "speech"), (5.3, "stop"), (5.4, "say:Stop!"), (6.0, "speech"), (6.8, "partial:ok please"),
        (7.0, "partial:ok, please stop"), (7.4, "stop"), (7.5, "say:ok, please stop"),
    ]  # fmt: skip
    over = play(script, graph=with_barge_in("min_words: 3"))
    assert [(t, p.why) for t, p in over.at(ABORTED)] == [(5.4, "too few words")]
    assert [(t, p.cause) for t, p in over.at(COMMITTED)] == [(7.0, "words")]
    # 3.5 to 5.0 and 5.4 to 6.0 sounded: 2.1 s, four words.
    assert over.heard("hello") == pytest.approx(2.1, abs=1e-9)
    assert over.said == [
        ("caller", "hello"), ("caller", "Stop!"), ("agent", "hello-1 hello-2 hello-3 hello-4"),
        ("caller", "ok, please stop"), ("agent", reply_to("ok")),
    ]  # fmt: skip
    assert over.stats.ignored_turns == 1


def test_a_refused_turn_is_recorded_once_however_many_ways_lead_into_the_scope() -> None:
    graph = with_barge_in("min_words: 3").replace("barge_in:", "  - ear.stt -> acme.second -> acme.tts\nbarge_in:")

    @connector("acme.second")
    async def second(text: Text) -> AgentMessage | None:
        return None

    over = play([*ASKED, (5.0, "say:Stop!")], second, graph=graph)
    assert over.said == [("caller", "hello"), ("caller", "Stop!"), ("agent", reply_to("hello"))]
    assert over.stats.ignored_turns == 1


@pytest.mark.parametrize("at", [3.5, 5.0, 8.0])
def test_uninterruptible_speech_plays_to_its_last_sample(at: float) -> None:
    over = play([*ASKED, (at, "speech"), (at + 1, "stop"), (at + 1.2, "say:but")], Notice)
    assert over.heard("hello") == 5.0
    assert over.said[-1] == ("agent", reply_to("but"))
    assert over.times(COMMITTED) == []
    # The turn that came meanwhile waits behind it, but is not lost.
    assert over.heard("but") == 5.0


def test_nothing_interrupts_when_the_file_says_off() -> None:
    graph = CALL.replace("{on: processing.ear.speech_started}", "off")
    over = play([*ASKED, (5.0, "speech"), (7.0, "stop")], graph=graph)
    assert over.heard("hello") == 5.0


def test_a_noise_while_the_agent_thinks_changes_nothing() -> None:
    quiet, noisy = play(ASKED), play([*ASKED, (3.05, "speech"), (3.35, "stop")])
    assert noisy.sink.heard == quiet.sink.heard
    assert noisy.times("control.line.playout_started") == quiet.times("control.line.playout_started") == [3.5]
    assert noisy.said == quiet.said


def test_a_long_noise_without_a_word_does_not_lose_the_answer_that_is_being_thought_of() -> None:
    graph = CALL.replace("acme.agent: {seconds: 0.4}", "acme.agent: {seconds: 2.0}")
    over = play([*ASKED, (3.2, "speech"), (4.4, "stop")], graph=graph)
    assert over.times(COMMITTED) == []
    assert over.heard("hello") == 5.0


def test_words_while_the_agent_thinks_end_its_thought() -> None:
    graph = CALL.replace("acme.agent: {seconds: 0.4}", "acme.agent: {seconds: 2.0}")
    script = [
        *ASKED,
        (3.2, "speech"),
        (3.6, "partial:no"),
        (3.9, "partial:no wait"),
        (4.4, "stop"),
        (4.5, "say:no wait"),
    ]
    over = play(script, graph=graph)
    assert [(t, p.cause) for t, p in over.at(COMMITTED)] == [(3.7, "speech")]
    assert over.heard("hello") == 0.0
    assert over.said == [("caller", "hello"), ("caller", "no wait"), ("agent", reply_to("no"))]


def test_a_turn_that_ends_before_the_voice_activity_does_is_not_taken_for_its_own_interruption() -> None:
    script = [(2.0, "speech"), (2.8, "partial:hello"), (3.0, "say:hello"), (4.2, "stop")]
    graph = CALL.replace("acme.agent: {seconds: 0.4}", "acme.agent: {seconds: 2.0}")
    over = play(script, graph=graph)
    assert over.times(COMMITTED) == []
    assert over.heard("hello") == 5.0


def test_speech_that_goes_on_into_the_first_sample_of_the_reply_interrupts_it_there() -> None:
    over = play([*ASKED, (3.1, "speech"), (6.0, "stop")])
    assert over.times(SUSPENDED) == [3.5]
    assert over.heard("hello") == 0.0
    assert over.said == [("caller", "hello")]


def test_a_noise_whose_end_is_told_after_the_first_sample_holds_the_reply_back_only_until_then() -> None:
    over = play([*ASKED, (2.95, "speech"), (3.55, "stop")])
    assert over.times(SUSPENDED) == [3.5]
    assert [(t, p.why) for t, p in over.at(ABORTED)] == [(3.55, "no words")]
    assert over.times(COMMITTED) == []
    assert over.heard("hello") == 5.0


def test_speech_before_the_first_sample_counts_from_its_beginning_once_a_word_came_of_it() -> None:
    over = play([*ASKED, (3.1, "speech"), (3.7, "partial:no wait"), (6.0, "stop")])
    assert over.times(SUSPENDED) == [3.5]
    assert [(t, p.cause) for t, p in over.at(COMMITTED)] == [(3.7, "speech")]
    assert over.heard("hello") == 0.0


def test_speech_just_before_the_first_sample_is_long_enough_by_all_of_it() -> None:
    over = play([*ASKED, (3.3, "speech"), (3.6, "partial:no wait"), (6.0, "stop")])
    assert [(t, p.cause) for t, p in over.at(COMMITTED)] == [(3.8, "speech")]


def test_a_late_answer_of_an_abandoned_turn_is_neither_heard_nor_stored() -> None:
    @connector("acme.agent")
    class Stubborn:
        """Answers although it was cancelled, by return and by callback."""

        def __init__(self, settings: Pace, context: Context) -> None:
            self._context = context

        async def __call__(self, text: Text) -> AsyncIterator[AgentMessage | AgentMessagePartial]:
            if text.text == "hello":
                try:
                    await self._context.clock.sleep(1.0)
                except asyncio.CancelledError:
                    await self._context.clock.sleep(0.3)
                    self._context.emit(AgentMessage("stale-1 stale-2"))
                    yield AgentMessage("stale-3 stale-4")
                    return
            yield AgentMessage(reply_to(text.text))

    over = play([*ASKED, (3.2, "say:other")], Stubborn)
    assert over.heard("stale") == 0.0
    assert over.said == [("caller", "hello"), ("caller", "other"), ("agent", reply_to("other"))]
    assert over.stats.nodes["acme.agent"]["stale"] == 2
    assert not [p for _, p in over.at("processing.acme.agent_message") if "stale" in p.text]


def test_a_late_chunk_and_its_words_are_ignored() -> None:
    @connector("acme.tts")
    class Late:
        """Hands over the rest of its speech although it was cancelled."""

        def __init__(self, settings: Pace, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
            try:
                for word in message.text.split():
                    yield spoken(word, message, final=False)
                    await self._clock.sleep(0.4)
            except asyncio.CancelledError:
                yield spoken("stale-1", message, final=True)

    over = play([*ASKED, (4.4, "say:other")], Late)
    assert over.heard("stale") == 0.0
    assert over.said[:3] == [("caller", "hello"), ("agent", "hello-1 hello-2"), ("caller", "other")]
    assert "stale" not in " ".join(text for _, text in over.said)


@pytest.mark.parametrize("word", ["mhm", "Mhm.", "yeah, right", "I see"])
def test_a_backchannel_does_not_interrupt(word: str) -> None:
    over = play([*ASKED, (5.0, "speech"), (5.2, f"partial:{word}"), (5.6, "stop"), (5.7, f"say:{word}")])
    assert over.times(COMMITTED) == []
    assert [(t, p.why) for t, p in over.at(ABORTED)] == [(5.7, "backchannel")]
    assert over.heard("hello") == 5.0
    assert over.turns[-1].text == reply_to("hello")
    assert not over.turns[-1].cut


def test_a_backchannel_that_goes_on_into_words_interrupts() -> None:
    script = [*ASKED, (5.0, "speech"), (5.4, "partial:yeah"), (5.9, "partial:yeah but no"), (6.2, "stop")]
    over = play([*script, (6.3, "say:yeah but no")])
    assert [(t, p.cause) for t, p in over.at(COMMITTED)] == [(5.9, "speech")]


@pytest.mark.parametrize("at", [3.5, 3.61, 5.0, 5.003, 8.49])
def test_after_a_false_interruption_the_reply_goes_on_from_the_very_sample(at: float) -> None:
    quiet, cough = play(ASKED), play([*ASKED, (at, "speech"), (at + 0.3, "stop")])
    assert cough.sink.heard == quiet.sink.heard
    assert [(t, p.why) for t, p in cough.at(ABORTED)] == [(pytest.approx(at + 2.3), "no words")]
    finished = cough.times("control.line.playout_finished")
    assert finished == [pytest.approx(8.5 + 2.3, abs=1e-3)]
    assert cough.said == quiet.said


def test_an_empty_turn_is_noise() -> None:
    over = play([*ASKED, (5.0, "speech"), (5.3, "stop"), (5.5, "say:")])
    assert over.times(COMMITTED) == []
    assert [(t, p.why) for t, p in over.at(ABORTED)] == [(5.5, "no words")]
    assert over.heard("hello") == 5.0


def test_two_barge_ins_within_fifty_milliseconds_make_one_turn_of_the_last() -> None:
    over = play([*ASKED, (5.0, "say:first"), (5.05, "say:second")])
    assert over.times(COMMITTED) == [5.0, 5.05]
    assert over.heard("first") == 0.0
    assert over.heard("second") == 5.0
    assert over.said == [
        ("caller", "hello"), ("agent", "hello-1 hello-2 hello-3"), ("caller", "first"), ("caller", "second"),
        ("agent", reply_to("second")),
    ]  # fmt: skip


def test_two_turns_at_the_same_instant_are_answered_by_the_last() -> None:
    over = play([*ASKED, (5.0, "say:first"), (5.0, "say:second")])
    assert over.heard("first") == 0.0
    assert over.heard("second") == 5.0
    assert over.stats.interruptions == 2


def test_two_interruptions_of_the_api_at_one_instant_cancel_once() -> None:
    cleaned: list[float] = []

    @connector("acme.agent")
    class Tidy:
        """Takes 200 ms to clean up."""

        def __init__(self, settings: Pace, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> AgentMessage:
            try:
                await self._clock.sleep(1.0 if text.text == "hello" else 0.0)
            finally:
                if text.text == "hello":
                    await self._clock.sleep(0.2)
                    cleaned.append(self._clock.now())
            return AgentMessage(reply_to(text.text))

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(3.3)
        call.barge_in()
        call.barge_in()

    over = play([*ASKED, (3.35, "say:other")], Tidy, during=during)
    assert cleaned == [3.5]
    # The turn after it waits for none of the cleanup: 3.35 and the synthesiser's 0.1 s.
    assert over.times("control.line.playout_started") == [3.45]


def test_an_interruption_before_anything_started_is_done_at_once() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        assert call.barge_in() == 0
        assert clock.now() == 0.0

    over = play(ASKED, during=during)
    assert over.heard("hello") == 5.0


def test_an_interruption_while_the_call_drains_still_cuts() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(5.0)
        call.barge_in()

    over = play(ASKED, until=3.1, during=during)
    assert over.heard("hello") == 1.5
    assert over.times("control.call.call_ended")[0] < 5.1


def test_an_interruption_of_suspended_speech_counts_what_was_heard_once() -> None:
    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(5.2)
        call.barge_in()

    over = play([*ASKED, (5.0, "speech"), (5.3, "stop")], during=during)
    assert [(t, p.cause, p.heard) for t, p in over.at(COMMITTED)] == [(5.2, "api", "hello-1 hello-2 hello-3")]
    assert over.heard("hello") == 1.5
    assert over.times(ABORTED) == []


def test_the_call_ends_although_its_end_is_asked_for_at_the_instant_of_a_barge_in() -> None:
    @connector("acme.goodbye")
    class Goodbye:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> CallEnded:
            await self._clock.sleep(2.0 if text.text == "hello" else 50.0)
            return CallEnded("said goodbye")

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(5.0)
        call.barge_in()

    graph = CALL.replace("barge_in:", "  - ear.stt -> acme.goodbye\nbarge_in:")
    over = play(ASKED, Goodbye, graph=graph, during=during, until=1000.0)
    assert [p.reason for _, p in over.at("control.call.call_ended")] == ["said goodbye"]
    assert over.times("control.call.call_ended")[0] < 6.0


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_empty_text_at_the_synthesiser_ends_at_once_without_audio_or_error(text: str) -> None:
    @connector("acme.agent")
    def mute(text_: Text) -> AgentMessage:
        return AgentMessage(text)

    over = play(ASKED, mute, graph=CALL.replace("  acme.agent: {seconds: 0.4}\n", ""))
    assert over.sink.heard == b""
    assert [e.name for e in over.events if e.name.startswith("error.")] == []


def test_control_passes_a_stage_that_is_slower_than_its_source() -> None:
    @connector("acme.slow")
    class Slow:
        """30 ms of work a frame."""

        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[TextPartial]:
            async for _ in inbox:
                await self._clock.sleep(0.03)
                yield TextPartial("")

    graph = CALL.replace("barge_in:", "  - ingress.line.audio_frame -> acme.slow: {queue: 10}\nbarge_in:")
    flood = [(round(4.0 + n * 0.02, 2), "noise") for n in range(100)]
    over = play(sorted([*ASKED, *flood, (5.5, "speech")]), Slow, graph=graph)
    assert over.times(SUSPENDED) == [5.5]
    assert over.times(COMMITTED) == [6.0]
    queue = next(q for q in over.stats.queues if q.edge == "ingress.line -> acme.slow")
    assert queue.dropped > 20
    assert queue.put == 102 == queue.taken + queue.dropped + queue.stale + queue.refused + queue.held
    assert queue.high == 10


def test_four_hundred_seconds_of_speech_at_once_stay_bounded_and_are_cut_as_fast() -> None:
    @connector("acme.tts")
    async def fast(message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
        for _ in range(20_000):
            yield AudioChunkStream(b"\1\0" * 320, RATE, 1, message.id, "la ")

    most: list[int] = []

    async def during(call: Session, clock: LoopClock) -> None:
        await clock.sleep(5.5)
        most.append(sum(q.held for q in call.stats().queues if "events(" not in q.edge))
        call.barge_in()

    graph = CALL.replace("  acme.tts: {seconds: 0.1}\n", "")
    over = play(ASKED, fast, graph=graph, during=during)
    assert most[0] <= 64
    assert max(q.high for q in over.stats.queues if "egress" in q.edge) <= 17
    assert over.sink.heard_samples == pytest.approx(2.1 * RATE, abs=1)


def test_speech_comes_in_the_order_asked_for_and_never_mixes() -> None:
    @connector("acme.agent")
    def eight(text: Text) -> list[AgentMessage]:
        return [AgentMessage(f"{chr(97 + n)}-1 {chr(97 + n)}-2", id=f"u{n}") for n in range(8)]

    over = play(ASKED, eight, graph=CALL.replace("  acme.agent: {seconds: 0.4}\n", ""))
    pcm = over.sink.heard
    runs = [pcm[0:2]]
    for at in range(2, len(pcm), 2):
        if pcm[at : at + 2] != runs[-1]:
            runs.append(pcm[at : at + 2])
    assert len(runs) == 8
    assert [t.text for t in over.turns[1:]] == [f"{chr(97 + n)}-1 {chr(97 + n)}-2" for n in range(8)]


def test_noise_that_does_not_end_freezes_the_reply_no_longer_than_resume_after() -> None:
    graph = CALL.replace("{on: processing.ear.speech_started}", "{on: processing.ear.speech_started, min_words: 3}")
    over = play([(1.0, "say:hello"), (3.0, "speech")], graph=graph)
    assert over.times("control.barge_in.suspended") == [3.0]
    assert over.times("control.barge_in.aborted") == [5.5]  # 0.5 s of speech, then resume_after without a word
    assert over.turns[-1].text == reply_to("hello")
    assert over.stats.late == ()


def test_a_reply_that_is_suspended_when_the_caller_leaves_is_finished() -> None:
    over = play([(1.0, "say:hello"), (3.0, "speech"), (3.1, "stop")], until=3.2)
    assert over.turns[-1].text == reply_to("hello")
    assert over.stats.seconds < 10.0
