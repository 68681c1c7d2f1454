"""The simulated synthesiser: how long its speech is, when it comes, and what its samples say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import BaseModel

from echostack.core.audio import AudioFormat
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial, AudioChunk, AudioChunkStream
from echostack.runtime.ledger import Ledger
from echostack.simulation.loop import run_virtual
from echostack.simulation.mock.coded import read
from echostack.simulation.mock.synthesiser import SimulatedSynthesiser
from echostack.simulation.speech import spoken_seconds
from echostack.simulation.world import World
from tests.simulation.mock.harness import NODE, Events, FakeSimulator, Heard, collected, spec_of, world_of

STREAM: tuple[type[Payload], ...] = (AudioChunkStream,)
TAKES = (AgentMessagePartial, AgentMessage)
RATE = 24_000


class Fast(BaseModel):
    speed: float = 2.0


def spoken(
    messages: Sequence[Payload],
    produces: tuple[type[Payload], ...] = STREAM,
    *,
    latency: float = 0.2,
    settings: object = None,
    audio: AudioFormat | None = None,
    answers: dict[str, tuple[Payload, ...]] | None = None,
) -> tuple[list[Heard], World]:
    """What a synthesiser gives for messages one after the other, with the seconds since each reached it."""

    async def main() -> tuple[list[Heard], World]:
        world = world_of()
        simulator = FakeSimulator(world, seconds=latency)
        simulator.answers = answers or {}
        synthesiser = SimulatedSynthesiser(
            spec_of(TAKES, produces, audio), settings or Fast(speed=1.0), simulator, world
        )
        events, given = Events(simulator.clock.now), []
        for message in messages:
            begun = simulator.clock.now()
            heard = await collected(synthesiser.answer(events.of(message)), simulator.clock.now)
            given.append([(round(time - begun, 6), chunk) for time, chunk in heard])
        return given, world

    return run_virtual(main())


def chunks(heard: Heard) -> list[AudioChunkStream]:
    return [chunk for _, chunk in heard if isinstance(chunk, AudioChunkStream)]


def test_a_message_is_a_chunk_a_sentence_at_ten_times_the_pace_of_speech_after_the_latency() -> None:
    (heard,), _ = spoken([AgentMessage("Good morning. How can I help you?", "m1")])
    first, second = chunks(heard)
    later = spoken_seconds("How can I help you?", 2.5) / 10
    assert [time for time, _ in heard] == [0.2, round(0.2 + later, 6)]
    assert (first.text, first.utterance, first.final) == ("Good morning.", "m1", False)
    assert (second.text, second.utterance, second.final) == ("How can I help you?", "m1", True)
    assert first.format == AudioFormat(RATE)
    assert first.samples == round(spoken_seconds("Good morning.", 2.5) * RATE)


def test_its_samples_say_which_word_of_which_utterance_they_are() -> None:
    (heard,), world = spoken([AgentMessage("Good morning. How are you?", "m1")])
    words = []
    for chunk in chunks(heard):
        for value, count in read(chunk.pcm, RATE, 1, world.speech) or ():
            word = world.speech.word(value)
            assert word is not None
            assert (word.speaker, word.utterance, word.samples, word.rate) == (NODE, "m1", count, RATE)
            words.append((word.index, word.text, word.last))
    assert words == [
        (0, "Good", False), (1, "morning.", False), (2, "How", False), (3, "are", False), (4, "you?", True)
    ]  # fmt: skip


def test_the_times_of_its_words_are_those_of_its_samples_for_the_engines_ledger_as_well() -> None:
    (heard,), world = spoken([AgentMessage("The quick brown fox jumps over it", "m1")], audio=AudioFormat(22_050))
    (chunk,) = chunks(heard)
    ledger = Ledger(22_050)
    ledger.append(chunk.text, chunk.words, chunk.samples)
    ledger.close(chunk.samples)
    at, said = 0, ""
    for _, count in read(chunk.pcm, 22_050, 1, world.speech) or ():
        assert ledger.heard(at + count - 1) == said
        at += count
        said = " ".join(chunk.text.split()[: len(said.split()) + 1])
        assert ledger.heard(at) == said
    assert said == chunk.text


def test_pieces_of_one_message_are_one_utterance_whose_last_piece_ends_it() -> None:
    (one, two, three), world = spoken(
        [
            AgentMessagePartial("Good morning. ", "m1"),
            AgentMessagePartial("How are you?", "m1", interruptible=False),
            AgentMessagePartial("", "m1", final=True),
        ]
    )
    (good,), (how,) = chunks(one), chunks(two)
    assert (one[0][0], good.text, good.final, good.interruptible) == (0.2, "Good morning.", False, True)
    assert (two[0][0], how.text, how.final, how.interruptible) == (0.2, "How are you?", False, False)
    assert three == [(0.0, AudioChunkStream(b"", RATE, utterance="m1", final=True))]
    word = world.speech.word(3)
    assert word is not None
    assert (word.text, word.index) == ("How", 2)


@pytest.mark.parametrize("text", ["", "   ", "\n", "…", "--"])
def test_a_message_with_nothing_to_say_ends_at_once_with_no_audio(text: str) -> None:
    assert spoken([AgentMessage(text, "m1")])[0] == [[]]
    assert spoken([AgentMessagePartial(text, "m1")])[0] == [[]]
    assert spoken([AgentMessage(text, "m1")], (AudioChunk,))[0] == [[]]


def test_a_synthesiser_that_makes_whole_chunks_gives_the_utterance_in_one() -> None:
    (heard,), _ = spoken([AgentMessage("Good morning. How are you?", "m1")], (AudioChunk,))
    ((time, chunk),) = heard
    assert time == 0.2
    assert isinstance(chunk, AudioChunk)
    assert (chunk.text, len(chunk.words), chunk.final) == ("Good morning. How are you?", 5, True)
    (first, second), _ = spoken(
        [AgentMessagePartial("Good morning. ", "m1"), AgentMessagePartial("Bye.", "m1", final=True)], (AudioChunk,)
    )
    assert first == []
    ((_, whole),) = second
    assert isinstance(whole, AudioChunk)
    assert whole.text == "Good morning. Bye."


def test_its_format_and_speed_are_those_of_its_settings() -> None:
    (heard,), _ = spoken([AgentMessage("Good morning", "m1")], settings=Fast(), audio=AudioFormat(8_000, 2))
    (chunk,) = chunks(heard)
    assert chunk.format == AudioFormat(8_000, 2)
    assert chunk.samples == round(spoken_seconds("Good morning", 2.5) / 2 * 8_000)


def test_a_scripted_text_is_said_in_place_of_the_messages_own() -> None:
    answers: dict[str, tuple[Payload, ...]] = {"Hello": (AudioChunkStream(b"", 1, text="Howdy partner"),), "Bye": ()}
    (hello, bye), _ = spoken([AgentMessage("Hello", "m1"), AgentMessage("Bye", "m2")], answers=answers)
    (chunk,) = chunks(hello)
    assert (chunk.text, chunk.utterance, chunk.final, len(chunk.words)) == ("Howdy partner", "m1", True, 2)
    assert bye == []


def test_interrupted_it_is_ready_for_the_next_message() -> None:
    async def main() -> Heard:
        world = world_of()
        simulator = FakeSimulator(world, seconds=0.2)
        synthesiser = SimulatedSynthesiser(spec_of(TAKES, STREAM), None, simulator, world)
        events = Events(simulator.clock.now)
        for n in range(200):  # more than it remembers
            cut = synthesiser.answer(events.of(AgentMessagePartial("One. Two.", f"cut{n}")))
            await anext(cut)
            await cut.aclose()  # type: ignore[attr-defined]
        return await collected(synthesiser.answer(events.of(AgentMessage("Three.", "m1"))), simulator.clock.now)

    (chunk,) = chunks(run_virtual(main()))
    assert (chunk.text, chunk.final) == ("Three.", True)


def test_one_that_is_told_of_an_interruption_gives_up_at_that_very_instant() -> None:
    async def main() -> tuple[Heard, float]:
        world = world_of()
        simulator = FakeSimulator(world, seconds=0.2)
        spec = replace(spec_of(TAKES, STREAM), keeps_running=True)
        synthesiser = SimulatedSynthesiser(spec, None, simulator, world)
        simulator.clock.call_later(0.25, synthesiser.interrupted)
        message = Events(simulator.clock.now).of(AgentMessage("One is a number. Two is another number.", "m1"))
        return await collected(synthesiser.answer(message), simulator.clock.now), simulator.clock.now()

    heard, ended = run_virtual(main())
    assert ([time for time, _ in heard], ended) == ([0.2], 0.25)
