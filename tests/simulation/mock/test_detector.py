"""The simulated detector: when it opens and closes, and where it says that voice was."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from echostack.core.events import Event
from echostack.core.payloads import AudioFrame, SpeechStarted, SpeechStopped
from echostack.simulation.loop import run_virtual
from echostack.simulation.mock import hearing
from echostack.simulation.mock.coded import Run, read_frame
from echostack.simulation.mock.detector import SimulatedDetector
from echostack.simulation.speech import LOUD_NOISE, QUIET_NOISE, SpeechCode, SpokenWord, coded
from tests.simulation.mock.harness import RATE, Caller, Events, FakeSimulator, Heard, Script_, spec_of, world_of

SPEC = spec_of((AudioFrame,), (SpeechStarted, SpeechStopped))


class Slow(BaseModel):
    start_ms: int = 100
    hangover_ms: int = 700


def heard(script: Script_, settings: object = None, *, lose: tuple[float, float] = (-1.0, -1.0)) -> Heard:
    """What a detector tells of a caller's script, with the instants; frames that arrive within ``lose`` never do."""

    async def main() -> Heard:
        world = world_of()
        simulator = FakeSimulator(world)
        detector = SimulatedDetector(SPEC, settings, simulator, world)

        def hear(event: Event) -> None:
            simulator.emitted += [(round(event.time, 6), p) for p in detector.at_once(event)]

        caller = Caller(simulator, hear)
        caller.lost = lambda now: lose[0] <= now < lose[1]
        caller.line.open()
        await script(caller)
        await simulator.clock.sleep(3.0)
        caller.line.close()
        await detector.close()
        return simulator.emitted

    return run_virtual(main())


async def two_words(caller: Caller) -> None:
    await caller.until(1.0)
    await caller.say("good morning", 0.85)


def test_it_opens_after_60_ms_of_voice_and_closes_after_300_ms_without() -> None:
    assert heard(two_words) == [(1.06, SpeechStarted(1.0)), (2.15, SpeechStopped(1.85, 0.85))]


def test_its_settings_say_when_it_opens_and_closes_and_the_clock_closes_where_frames_are_rare() -> None:
    # 0.5 s after speech the line sends comfort frames only: 700 ms of silence end between two of them.
    assert heard(two_words, Slow()) == [(1.1, SpeechStarted(1.0)), (2.55, SpeechStopped(1.85, 0.85))]


def test_it_closes_by_the_clock_when_the_line_goes_dead_in_the_middle_of_a_word() -> None:
    assert heard(two_words, lose=(1.41, 9.0)) == [(1.06, SpeechStarted(1.0)), (1.7, SpeechStopped(1.4, 0.4))]


def test_a_click_does_not_open_it_and_a_pause_shorter_than_the_hangover_does_not_close_it() -> None:
    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.noise(LOUD_NOISE, 0.05)
        await caller.until(2.0)
        await caller.say("one", 0.4)
        await caller.until(2.68)
        await caller.say("two", 0.4)

    assert heard(script) == [(2.06, SpeechStarted(2.0)), (3.38, SpeechStopped(3.08, 1.08))]


def test_two_clicks_close_together_are_voice_as_they_are_to_the_real_one() -> None:
    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.noise(LOUD_NOISE, 0.04)
        await caller.until(1.06)
        await caller.noise(LOUD_NOISE, 0.04)

    assert heard(script) == [(1.08, SpeechStarted(1.0)), (1.4, SpeechStopped(1.1, 0.1))]


def test_loud_noise_opens_it_and_quiet_noise_does_not() -> None:
    async def script(caller: Caller) -> None:
        await caller.until(1.0)
        await caller.noise(QUIET_NOISE, 0.5)
        await caller.until(3.0)
        await caller.noise(LOUD_NOISE, 0.5)

    assert heard(script) == [(3.06, SpeechStarted(3.0)), (3.8, SpeechStopped(3.5, 0.5))]


def test_a_frame_may_hold_a_beginning_and_an_end() -> None:
    async def main() -> list[object]:
        world = world_of()
        simulator = FakeSimulator(world)
        detector = SimulatedDetector(SPEC, None, simulator, world)
        word = world.speech.number(SpokenWord("hi", "caller", "1", 0, samples=1600, rate=RATE))
        pcm = coded(0, 1600) + coded(word, 1600) + coded(0, 8000)
        await simulator.clock.sleep(0.7)
        told = detector.at_once(Events(simulator.clock.now).of(AudioFrame(pcm, RATE)))
        await detector.close()
        return list(told)

    assert run_virtual(main()) == [SpeechStarted(0.1), SpeechStopped(0.2, 0.1)]


def test_it_tells_only_what_its_connector_makes() -> None:
    async def main() -> Heard:
        world = world_of()
        simulator = FakeSimulator(world)
        detector = SimulatedDetector(spec_of((AudioFrame,), (SpeechStarted,)), None, simulator, world)
        told: Heard = []
        caller = Caller(simulator, lambda e: told.extend((e.time, p) for p in detector.at_once(e)))
        caller.line.open()
        await two_words(caller)
        await simulator.clock.sleep(1.0)
        caller.line.close()
        return told + simulator.emitted

    assert [type(payload) for _, payload in run_virtual(main())] == [SpeechStarted]


def test_a_closed_detector_leaves_no_timer() -> None:
    async def main() -> Heard:
        world = world_of()
        simulator = FakeSimulator(world)
        detector = SimulatedDetector(SPEC, None, simulator, world)
        caller = Caller(
            simulator,
            lambda e: simulator.emitted.extend((1.0, p) for p in detector.at_once(e) if isinstance(p, SpeechStopped)),
        )
        caller.line.open()
        await caller.say("hello", 0.5)
        caller.line.close()
        await detector.close()
        await simulator.clock.sleep(5.0)
        return simulator.emitted

    assert run_virtual(main()) == []


def test_a_frame_like_the_one_before_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[AudioFrame] = []

    def counted(frame: AudioFrame, speech: SpeechCode) -> tuple[Run, ...]:
        read.append(frame)
        return read_frame(frame, speech)

    monkeypatch.setattr(hearing, "read_frame", counted)
    heard(two_words)
    # Silence and the rest of it before the words, two words, where they meet, the end of the second, silence in short
    # frames and in long ones: none of the 76 frames between is read.
    assert len(read) == 8
