"""The simulated recogniser: which words it hears, and when it says so."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from pydantic import BaseModel

from echostack.core.audio import AudioFormat
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, SpeechStarted, SpeechStopped, Text, TextPartial, TextSegment, Word
from echostack.language.scenario import Script
from echostack.runtime.resample import Resampler
from echostack.simulation.loop import run_virtual
from echostack.simulation.mock.recogniser import SimulatedRecogniser
from echostack.simulation.speech import LOUD_NOISE, QUIET_NOISE, SpokenWord
from tests.simulation.mock.harness import (
    Caller,
    FakeInbox,
    FakeSimulator,
    Heard,
    Script_,
    collected,
    delayed,
    spec_of,
    world_of,
)  # fmt: skip

TURNS: tuple[type[Payload], ...] = (Text,)
ALL: tuple[type[Payload], ...] = (Text, TextPartial, TextSegment)


class Moonshine(BaseModel):
    endpoint_ms: int = 400
    partial_ms: int = 300
    longest_s: float = 4.0
    language: str = "de"


class Deepgram(BaseModel):
    endpointing: int | bool = 700
    utterance_end_ms: int = 1000
    interim_results: bool = True


def heard(
    script: Script_,
    produces: tuple[type[Payload], ...] = TURNS,
    settings: object = None,
    *,
    latency: float = 0.0,
    scripts: dict[str, Script] | None = None,
    answers: dict[str, tuple[Payload, ...]] | None = None,
    lose: tuple[float, float] = (-1.0, -1.0),
    stay: float = 3.0,
    rate: int = 16_000,
) -> Heard:
    """What a recogniser gives for a caller's script, with the instants; frames that arrive within ``lose`` never do."""

    async def main() -> Heard:
        world = world_of(scripts)
        simulator = FakeSimulator(world, seconds=latency)
        simulator.answers = answers or {}
        recogniser = SimulatedRecogniser(spec_of((AudioFrame,), produces), settings, simulator, world)
        inbox = FakeInbox()
        caller = Caller(simulator, inbox.put, rate)
        caller.lost = lambda now: lose[0] <= now < lose[1]
        caller.line.open()

        async def call() -> None:
            await script(caller)
            await simulator.clock.sleep(stay)
            caller.line.close()
            inbox.end()

        given, _ = await asyncio.gather(collected(recogniser.run(inbox), simulator.clock.now), call())
        await recogniser.close()
        assert simulator.emitted == []
        return given

    return run_virtual(main())


def texts(given: Heard) -> list[tuple[float, str, str]]:
    return [(time, type(p).__name__, p.text) for time, p in given]  # type: ignore[attr-defined]


async def good_morning(caller: Caller) -> None:
    await caller.until(1.0)
    await caller.say("good morning", 0.88, confidence=0.9)


def test_a_turn_is_its_words_with_their_times_after_the_silence_that_ended_it() -> None:
    words = (Word("good", 0.0, 320.0, 0.9), Word("morning", 320.0, 880.0, 0.9))
    text = Text("good morning", 0.9, "en", 1.0, 1.88, words, "recogniser", 400.0)
    assert heard(good_morning) == [(2.28, text)]


def test_the_latency_counts_from_the_end_of_speech_and_a_delay_of_the_scenario_from_the_end_of_the_turn() -> None:
    (within,) = heard(good_morning, latency=0.3)
    (beyond,) = heard(good_morning, latency=0.65)
    (named,) = heard(good_morning, latency=0.3, scripts=delayed(0.3))
    assert [(t, getattr(p, "waited_ms", None)) for t, p in (within, beyond, named)] == [
        (2.28, 400.0), (2.53, 650.0), (2.58, 700.0)
    ]  # fmt: skip


def test_a_partial_text_follows_every_word_at_its_end() -> None:
    given = heard(good_morning, ALL)
    assert texts(given) == [
        (1.32, "TextPartial", "good"), (1.88, "TextPartial", "good morning"), (2.28, "Text", "good morning")
    ]  # fmt: skip
    assert given[0][1] == TextPartial("good", 0.9, "en", 1.0, 1.32)


def test_where_the_settings_space_partial_texts_they_hold_the_words_of_which_half_was_heard() -> None:
    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.say("good morning everybody", 1.6)  # good 0.32 s, morning 0.56 s, everybody 0.72 s

    assert texts(heard(script, ALL, Moonshine())) == [
        (1.3, "TextPartial", "good"),
        (1.6, "TextPartial", "good morning"),
        (2.5, "TextPartial", "good morning everybody"),
        (3.0, "Text", "good morning everybody"),
    ]


@pytest.mark.parametrize("settings", [Moonshine(partial_ms=0), Deepgram(endpointing=400, interim_results=False)])
def test_settings_without_partial_texts_are_respected(settings: object) -> None:
    assert [kind for _, kind, _ in texts(heard(good_morning, ALL, settings))] == ["Text"]


def test_an_endpoint_longer_than_the_line_sends_frames_ends_by_the_clock_at_that_very_instant() -> None:
    # Short frames end at 2.38, the next comfort frame would end at 2.78.
    assert [time for time, _ in heard(good_morning, settings=Deepgram())] == [2.58]


def test_a_turn_ends_by_the_clock_when_the_line_goes_dead() -> None:
    ((time, text),) = heard(good_morning, lose=(1.65, 9.0))
    assert (time, getattr(text, "text", ""), getattr(text, "end", 0.0)) == (2.04, "good morning", 1.64)


def test_a_word_of_which_less_than_half_arrived_is_not_heard() -> None:
    ((_, text),) = heard(good_morning, lose=(1.55, 9.0))
    assert getattr(text, "text", "") == "good"
    assert heard(good_morning, lose=(1.1, 9.0)) == []


def test_a_word_is_heard_although_frames_in_the_middle_of_it_were_lost() -> None:
    ((_, text),) = heard(good_morning, lose=(1.4, 1.6))
    assert isinstance(text, Text)
    assert text.words == (Word("good", 0.0, 320.0, 0.9), Word("morning", 320.0, 880.0, 0.9))


def test_a_pause_shorter_than_the_endpoint_is_inside_the_turn_and_a_longer_one_is_between_turns() -> None:
    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.say("one", 0.4)
        await caller.until(1.78)
        await caller.say("two", 0.4)
        await caller.until(2.6)
        await caller.say("three", 0.4)

    assert texts(heard(script)) == [(2.58, "Text", "one two"), (3.4, "Text", "three")]


def test_a_turn_begins_while_the_text_of_the_one_before_is_still_due_and_never_overtakes_it() -> None:
    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.say("one", 0.4)
        await caller.until(2.0)
        await caller.say("two", 0.4)

    assert texts(heard(script, latency=2.4)) == [(3.8, "Text", "one"), (4.8, "Text", "two")]


def test_noise_is_no_word_but_loud_noise_holds_the_turn_open() -> None:
    async def noise_only(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.noise(LOUD_NOISE, 1.0)
        await caller.noise(QUIET_NOISE, 1.0)

    async def noise_after(caller: Caller) -> None:
        await good_morning(caller)
        await caller.noise(LOUD_NOISE, 0.6)

    assert heard(noise_only, ALL) == []
    assert [time for time, _ in heard(noise_after)] == [2.88]
    # A recogniser that goes by its words does not care.
    assert [time for time, _ in heard(noise_after, settings=Deepgram(endpointing=500, utterance_end_ms=800))] == [2.68]


def test_what_a_recogniser_makes_of_the_words_may_be_something_else_or_nothing() -> None:
    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.say("flour", 0.4, heard_as="flower power")
        await caller.until(3.0)
        await caller.say("hm", 0.4, heard_as="")

    ((_, text),) = heard(script)
    assert isinstance(text, Text)
    assert (text.text, text.words) == ("flower power", (Word("flower", 0.0, 218.182), Word("power", 218.182, 400.0)))


def test_a_script_replaces_the_text_and_the_turn_keeps_its_time() -> None:
    answers: dict[str, tuple[Payload, ...]] = {"good morning": (Text("good mourning", 0.4),)}
    scripted = Text("good mourning", 0.4, "en", 1.0, 1.88, (), "recogniser", 400.0)
    assert heard(good_morning, answers=answers) == [(2.28, scripted)]
    assert heard(good_morning, answers={"good morning": ()}, latency=0.9) == []


def test_a_long_turn_gives_segments_and_then_all_of_it() -> None:
    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.say("one two six ten", 8.0)  # two seconds a word

    given = heard(script, (Text, TextSegment), Moonshine())
    assert texts(given) == [
        (5.0, "TextSegment", "one two"), (9.0, "TextSegment", "six ten"), (9.4, "Text", "one two six ten")
    ]  # fmt: skip
    assert given[1][1] == TextSegment(
        "six ten", 1.0, "de", 5.0, 9.0, (Word("six", 0.0, 2000.0), Word("ten", 2000.0, 4000.0))
    )


def test_a_recogniser_without_turns_gives_its_turns_as_segments() -> None:
    assert [kind for _, kind, _ in texts(heard(good_morning, (TextSegment,)))] == ["TextSegment"]


def test_the_last_turn_is_given_when_the_call_ends_in_the_middle_of_it() -> None:
    assert texts(heard(good_morning, stay=0.1)) == [(1.98, "Text", "good morning")]
    assert texts(heard(good_morning, stay=0.1, latency=1.4)) == [(2.98, "Text", "good morning")]


def test_a_recogniser_that_tells_voice_does_so() -> None:
    given = heard(good_morning, (Text, SpeechStarted, SpeechStopped))
    assert given[:2] == [(1.06, SpeechStarted(1.0)), (2.18, SpeechStopped(1.88, 0.88))]
    assert texts(given[2:]) == [(2.28, "Text", "good morning")]


def test_a_resampled_line_is_understood_within_three_milliseconds() -> None:
    async def main() -> Text:
        world = world_of()
        simulator = FakeSimulator(world)
        recogniser = SimulatedRecogniser(spec_of((AudioFrame,), TURNS), None, simulator, world)
        for _ in range(900):  # high numbers blur into many values, all of which are words
            world.speech.number(SpokenWord("x", "caller", "0", 0, samples=100, rate=48_000))
        inbox, resampler = FakeInbox(), Resampler(AudioFormat(48_000), AudioFormat(16_000))

        def converted(event: Event) -> None:
            assert isinstance(event.payload, AudioFrame)
            pcm = resampler.push(event.payload.pcm)
            inbox.put(Event(event.name, AudioFrame(pcm, 16_000), event.session, event.seq, event.time))

        caller = Caller(simulator, converted, 48_000)
        caller.line.open()

        async def call() -> None:
            await good_morning(caller)
            await simulator.clock.sleep(2.0)
            caller.line.close()
            inbox.end()

        given, _ = await asyncio.gather(collected(recogniser.run(inbox), simulator.clock.now), call())
        ((_, text),) = given
        assert isinstance(text, Text)
        return text

    text = run_virtual(main())
    assert text.text == "good morning"
    # Late by what the filter holds back, which a real recogniser cannot know either.
    assert 0.0 <= text.start - 1.0 < 0.045
    assert abs(text.end - text.start - 0.88) < 0.02


def test_cancelled_it_loses_the_turn_that_was_going_on_and_is_ready_for_the_next_run() -> None:
    async def main() -> list[str]:
        world = world_of()
        simulator = FakeSimulator(world)
        recogniser = SimulatedRecogniser(spec_of((AudioFrame,), TURNS), None, simulator, world)
        said: list[str] = []
        inboxes = [FakeInbox(), FakeInbox()]
        current = [inboxes[0]]
        caller = Caller(simulator, lambda e: current[0].put(e))

        async def run(inbox: FakeInbox) -> None:
            async for output in recogniser.run(inbox):
                said.append(output.payload.text)  # type: ignore[attr-defined]

        caller.line.open()
        first = asyncio.create_task(run(inboxes[0]))
        await caller.until(0.5)
        await caller.say("lost words", 1.0)
        first.cancel()
        await asyncio.wait([first])
        current[0] = inboxes[1]
        second = asyncio.create_task(run(inboxes[1]))
        await caller.until(3.0)
        await caller.say("heard words", 1.0)
        await simulator.clock.sleep(1.0)
        caller.line.close()
        inboxes[1].end()
        await second
        return said

    assert run_virtual(main()) == ["heard words"]


def test_a_recogniser_that_is_called_with_every_frame_answers_it_and_emits_what_comes_by_the_clock() -> None:
    async def main() -> tuple[Heard, Heard]:
        world = world_of()
        simulator = FakeSimulator(world, seconds=0.6)
        recogniser = SimulatedRecogniser(spec_of((AudioFrame,), (Text, TextPartial)), None, simulator, world)
        answered: Heard = []
        caller = Caller(
            simulator, lambda e: answered.extend((round(e.time, 6), o.payload) for o in recogniser.at_once(e))
        )
        caller.line.open()
        await good_morning(caller)
        await simulator.clock.sleep(1.0)
        caller.line.close()
        await recogniser.close()
        return answered, simulator.emitted

    answered, emitted = run_virtual(main())
    assert texts(answered) == [(1.32, "TextPartial", "good"), (1.88, "TextPartial", "good morning")]
    assert texts(emitted) == [(2.48, "Text", "good morning")]


def test_partial_texts_of_a_long_turn_grow_rarer_and_its_pause_shows_all_of_it() -> None:
    words = [f"word{place}" for place in range(1_000)]

    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.say(" ".join(words), 400.0)

    given = heard(script, ALL)
    partials = [p.text.split() for _, p in given if isinstance(p, TextPartial)]
    assert [len(p) for p in partials[:66]] == [*range(1, 65), 66, 68]
    assert len(partials) < 300
    assert all(p == words[: len(p)] for p in partials)
    assert all(63 * (later - 1) <= 64 * earlier for earlier, later in pairwise(map(len, partials)))
    assert partials[-1] == words
    assert [p.text.split() for _, p in given if isinstance(p, Text)] == [words]
