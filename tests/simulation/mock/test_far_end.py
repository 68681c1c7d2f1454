"""The simulated far end: what was heard, to the sample, whatever is written and cleared when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.core.audio import AudioFormat
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AudioChunkStream
from echostack.runtime.playout import Heard, Playout
from echostack.simulation.loop import run_virtual
from echostack.simulation.mock.far_end import SimulatedFarEnd
from echostack.simulation.mock.synthesiser import SimulatedSynthesiser
from echostack.simulation.speech import SpokenWord, coded
from echostack.simulation.world import HeardSpeech, World
from tests.simulation.mock.harness import Events, FakeSimulator, spec_of, world_of

RATE = 1_000
"""A sample a millisecond, so that a test can speak of samples as of milliseconds."""


def far_end(world: World, rate: int = RATE, node: str = "egress.test") -> tuple[SimulatedFarEnd, FakeSimulator]:
    simulator = FakeSimulator(world, node=node)
    return SimulatedFarEnd(
        spec_of((AudioChunkStream,), (), AudioFormat(rate)), AgentMessage(""), simulator, world
    ), simulator


def speech(world: World, utterance: str, *words: int, first: int = 0, rate: int = RATE) -> bytes:
    """Coded words of so many samples each, as the node ``acme.tts`` says them."""
    return b"".join(
        coded(
            world.speech.number(SpokenWord(f"w{n}", "acme.tts", utterance, n, samples=count, rate=rate)), count
        )
        for n, count in enumerate(words, first)
    )  # fmt: skip


def told(heard: HeardSpeech) -> tuple[str, float, float, float, list[tuple[str, float, float, int, int]]]:
    words = [(w.text, w.start, w.end, w.samples, w.whole) for w in heard.words]
    return heard.utterance, heard.start, heard.end, heard.seconds, words


def test_what_is_played_whole_is_heard_whole_and_at_its_time() -> None:
    async def main() -> World:
        world = world_of()
        sink, simulator = far_end(world)
        await simulator.clock.sleep(1.0)
        sink.write(speech(world, "m1", 300, 500))
        await simulator.clock.sleep(2.0)
        await sink.close()
        await sink.close()
        return world

    (heard,) = run_virtual(main()).heard
    assert told(heard) == ("m1", 1.0, 1.8, 0.8, [("w0", 1.0, 1.3, 300, 300), ("w1", 1.3, 1.8, 500, 500)])
    assert (heard.text, heard.egress) == ("w0 w1", "egress.test")


def test_what_is_cleared_was_not_heard_and_what_goes_on_later_is_the_same_utterance() -> None:
    async def main() -> World:
        world = world_of()
        sink, simulator = far_end(world)
        pcm = speech(world, "m1", 300, 500)
        sink.write(pcm)
        await simulator.clock.sleep(0.4)
        sink.clear()
        await simulator.clock.sleep(1.0)
        sink.write(pcm[2 * 400 :])
        await simulator.clock.sleep(0.2)
        sink.clear()
        sink.write(speech(world, "m2", 100))
        await simulator.clock.sleep(0.05)
        sink.finish()
        return world

    first, second = run_virtual(main()).heard
    assert told(first) == ("m1", 0.0, 1.6, 0.6, [("w0", 0.0, 0.3, 300, 300), ("w1", 0.3, 1.6, 300, 500)])
    assert told(second) == ("m2", 1.6, 1.65, 0.05, [("w0", 1.6, 1.65, 50, 100)])
    assert (first.text, second.text) == ("w0 w1", "w0")


def test_it_takes_the_format_that_the_egress_declares() -> None:
    async def main() -> list[AudioFormat]:
        world, wanted = world_of(), AudioFormat(8_000, 2)
        simulator = FakeSimulator(world)
        spec = spec_of((AudioChunkStream,), ())
        specs = [replace(spec, input_format=lambda _: wanted), replace(spec, output_format=lambda _: wanted), spec]
        return [SimulatedFarEnd(s, AgentMessage(""), simulator, world).format for s in specs]

    assert run_virtual(main()) == [AudioFormat(8_000, 2), AudioFormat(8_000, 2), AudioFormat(24_000)]


def test_less_than_half_of_a_word_is_no_word_of_the_text() -> None:
    async def main() -> World:
        world = world_of()
        sink, simulator = far_end(world)
        sink.write(speech(world, "m1", 300, 500))
        await simulator.clock.sleep(0.549)
        sink.finish()
        return world

    (heard,) = run_virtual(main()).heard
    assert (heard.text, heard.words[1].samples) == ("w0", 249)


def test_a_single_sample_of_a_word_counts_for_that_word() -> None:
    async def main() -> World:
        world = world_of()
        sink, simulator = far_end(world, 24_000)
        sink.write(speech(world, "m1", 2_400, 2_400, rate=24_000))
        await simulator.clock.sleep(2_401 / 24_000)
        sink.finish()
        return world

    (heard,) = run_virtual(main()).heard
    assert [word.samples for word in heard.words] == [2_400, 1]


def test_the_agents_own_silence_belongs_to_its_utterance() -> None:
    async def main() -> World:
        world = world_of()
        sink, simulator = far_end(world)
        sink.write(speech(world, "m1", 200) + bytes(200))
        sink.write(speech(world, "m1", 100, first=1) + bytes(200))
        await simulator.clock.sleep(2.0)
        sink.finish()
        return world

    (heard,) = run_virtual(main()).heard
    assert told(heard) == ("m1", 0.0, 0.5, 0.5, [("w0", 0.0, 0.2, 200, 200), ("w1", 0.3, 0.4, 100, 100)])


def test_audio_that_is_no_coded_speech_is_an_utterance_without_words() -> None:
    async def main() -> World:
        world = world_of()
        sink, simulator = far_end(world, 16_000)
        voice = random.Random(1).randbytes(2 * 16_000)
        sink.write(voice)  # one second, paused in the middle
        await simulator.clock.sleep(0.5)
        sink.clear()
        await simulator.clock.sleep(1.5)
        sink.write(voice[16_000:])
        await simulator.clock.sleep(2.0)
        sink.write(voice)  # another, much later
        sink.write(speech(world, "m1", 1_600, rate=16_000))
        await simulator.clock.sleep(2.0)
        sink.finish()
        return world

    heard = run_virtual(main()).heard
    assert [told(h) for h in heard] == [
        ("@egress.test.1", 0.0, 2.5, 1.0, []),
        ("@egress.test.2", 4.0, 5.0, 1.0, []),
        ("m1", 5.0, 5.1, 0.1, [("w0", 5.0, 5.1, 1_600, 1_600)]),
    ]


def test_what_several_far_ends_heard_is_told_in_the_order_in_which_it_ended() -> None:
    async def main() -> World:
        world = world_of()
        one, simulator = far_end(world)
        other, _ = far_end(world, node="egress.other")
        one.write(speech(world, "m1", 500))
        other.write(speech(world, "m2", 300))
        await simulator.clock.sleep(1.0)
        one.finish()
        other.finish()
        return world

    assert [(h.utterance, h.egress) for h in run_virtual(main()).heard] == [
        ("m2", "egress.other"), ("m1", "egress.test")
    ]  # fmt: skip


def test_words_that_came_through_a_resampler_are_heard_whole() -> None:
    async def main() -> World:
        world = world_of()
        for _ in range(700):
            world.speech.number(SpokenWord("x", "acme.tts", "m0", 0, samples=100, rate=22_050))
        sink, simulator = far_end(world, 48_000)
        chunks = _said(world, simulator, "Good morning to all of you", 22_050)
        playout = _playout(sink, simulator)
        task = asyncio.create_task(playout.run())
        events = Events(simulator.clock.now)
        for chunk in chunks:
            playout.push(events.of(chunk))
        await playout.drained()
        playout.close()
        await task
        await sink.close()
        return world

    (heard,) = run_virtual(main()).heard
    assert heard.text == "Good morning to all of you"
    assert all(word.samples == word.whole for word in heard.words)


def test_a_word_that_was_cut_just_before_its_end_is_not_whole_in_resampled_audio_either() -> None:
    async def main() -> World:
        world = world_of()
        sink, simulator = far_end(world)
        for n in range(2):
            word = world.speech.number(SpokenWord(f"w{n}", "acme.tts", "m1", n, samples=100, rate=500))
            sink.write(coded(word, 199))  # half of the rate, and a sample lost to the filter
        await simulator.clock.sleep(0.397)
        sink.finish()
        return world

    (heard,) = run_virtual(main()).heard
    assert [(word.samples, word.whole) for word in heard.words] == [(200, 200), (198, 200)]


# -- anything at any time --------------------------------------------------------------------------------------

Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 400), st.integers(1, 300)),
        st.tuples(st.just("wait"), st.integers(0, 700), st.just(0)),
        st.tuples(st.just("clear"), st.integers(0, 1), st.just(0)),
    ),
    max_size=30,
)


@given(steps=STEPS)
@settings(deadline=None, max_examples=150)
def test_it_hears_what_a_model_that_plays_sample_by_sample_hears(steps: list[Step]) -> None:
    """write: a word of so many samples, in pieces of so many. clear: and, at 1, write the rest again."""
    played: list[tuple[int, int]] = []  # the instant in milliseconds, and the value
    buffer: list[int] = []
    now = 0

    async def main() -> World:
        nonlocal now, buffer
        world = world_of()
        sink, simulator = far_end(world)
        index = 0
        for what, amount, size in steps:
            if what == "wait":
                await simulator.clock.sleep((now + amount) / RATE - simulator.clock.now())
                for tick in range(now, now + amount):
                    if buffer:
                        played.append((tick, buffer.pop(0)))
                now += amount
                continue
            if what == "clear":
                sink.clear()
                pcm = b"".join(coded(value, 1) for value in buffer) if amount else b""
                buffer, size = [], 250
            else:
                pcm = speech(world, f"m{index // 3}", amount, first=index % 3)
                index += 1
            for at in range(0, len(pcm), 2 * size):
                sink.write(pcm[at : at + 2 * size])
            buffer += [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), 2)]
        sink.finish()
        return world

    world = run_virtual(main())
    expected: dict[str, dict[int, list[int]]] = {}
    for tick, value in played:
        word = world.speech.word(value)
        assert word is not None
        expected.setdefault(word.utterance, {}).setdefault(word.index, []).append(tick)
    found = {
        h.utterance: {w.index: (round(w.start * RATE, 6), round(w.end * RATE, 6), w.samples) for w in h.words}
        for h in world.heard
    }
    assert found == {
        utterance: {index: (ticks[0], ticks[-1] + 1, len(ticks)) for index, ticks in words.items()}
        for utterance, words in expected.items()
    }
    for h in world.heard:
        assert round(h.seconds * RATE, 6) == sum(w.samples for w in h.words)


@given(
    moves=st.lists(
        st.tuples(st.sampled_from(("push", "suspend", "resume", "cut")), st.floats(0.0, 1.5)), min_size=1, max_size=15
    ),
    stride=st.sampled_from((0.02, 0.1, 1.0)),
)
@settings(deadline=None, max_examples=60)
def test_it_agrees_with_the_engine_about_every_sample(moves: list[tuple[str, float]], stride: float) -> None:
    async def main() -> tuple[World, dict[int, int], list[Heard]]:
        world = world_of()
        sink, simulator = far_end(world, 24_000)
        sink.stride = stride
        counted: dict[int, int] = {}
        over: list[Heard] = []

        def played(event: Event, pcm: bytes, rate: int) -> None:
            for at in range(0, len(pcm), 2):
                value = int.from_bytes(pcm[at : at + 2], "little")
                counted[value] = counted.get(value, 0) + 1

        playout = _playout(sink, simulator, over)
        playout.show_played(played)
        task = asyncio.create_task(playout.run())
        events = Events(simulator.clock.now)
        for number, (what, wait) in enumerate(moves):
            if what == "push":
                for chunk in _said(world, simulator, "One two three. Four five.", 24_000, f"m{number}"):
                    playout.push(events.of(chunk))
            else:
                getattr(playout, what)()
            await simulator.clock.sleep(wait)
        playout.close()
        await task
        await sink.close()
        return world, counted, over

    world, counted, over = run_virtual(main())
    heard = {(w.utterance, w.index): w.samples for h in world.heard for w in h.words}
    engine = {}
    for value, samples in counted.items():
        word = world.speech.word(value)
        assert word is not None
        engine[(word.utterance, word.index)] = samples
    assert heard == engine
    assert {h.utterance: h.seconds for h in world.heard} == {h.utterance: round(h.seconds, 9) for h in over}
    assert {h.utterance: h.start for h in world.heard} == {h.utterance: round(h.start, 9) for h in over}


def _playout(sink: SimulatedFarEnd, simulator: FakeSimulator, over: list[Heard] | None = None) -> Playout:
    done: list[Heard] = [] if over is None else over
    return Playout(sink, simulator.clock, on_started=lambda utterance, event: None, on_finished=done.append)


def _said(world: World, simulator: FakeSimulator, text: str, rate: int, utterance: str = "m1") -> Sequence[Payload]:
    spec = spec_of((AgentMessage,), (AudioChunkStream,), AudioFormat(rate))
    synthesiser = SimulatedSynthesiser(spec, AgentMessage(""), simulator, world)
    return synthesiser.at_once(Events(simulator.clock.now).of(AgentMessage(text, utterance)))
