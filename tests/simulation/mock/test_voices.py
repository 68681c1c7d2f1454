"""The simulated voices in a whole call, with connectors that nobody here has seen."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from functools import cache

import pytest

import echostack.api as echostack
from echostack.core.audio import AudioFormat
from echostack.core.payloads import (
    AgentMessagePartial,
    AudioChunkStream,
    AudioFrame,
    PlayoutStarted,
    Suspended,
    Text,
    TextPartial,
)  # fmt: skip
from echostack.language.scenario import Caller, Interrupt, Listen, Noise, NoiseLevel, Pause, Say, Scenario, Step
from echostack.plan import Plan
from echostack.registry import AudioSink, Inbox, Latency, connector
from echostack.simulation.outcome import Outcome
from echostack.simulation.run import simulate
from tests.simulation.mock.harness import NOWHERE

GRAPH = """
echostack: 1
pipeline:
  - ingress.phone.audio_frame -> acme.stt -> acme.agent -> acme.tts -> egress.phone.audio_chunk
barge_in: {min_speech: 500ms}
"""


@connector("ingress.phone", output_format=lambda settings: AudioFormat(16_000))
class Line:
    """A telephone line."""

    async def run(self) -> AsyncIterator[AudioFrame]:
        raise AssertionError("it is simulated")
        yield


@connector("acme.stt", latency=Latency(450, 450))
class Stt:
    """Hears."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial]:
        raise AssertionError("it is simulated")
        yield

    def interrupted(self) -> None:
        """It goes on."""


@connector("acme.agent", latency=Latency(300, 300))
async def agent(turn: Text) -> AsyncIterator[AgentMessagePartial]:
    """Thinks."""
    raise AssertionError("it is simulated")
    yield


@connector("acme.tts", output_format=lambda settings: AudioFormat(24_000), latency=Latency(100, 100))
class Tts:
    """Speaks."""

    async def run(self, inbox: Inbox[AgentMessagePartial]) -> AsyncIterator[AudioChunkStream]:
        raise AssertionError("it is simulated")
        yield

    def interrupted(self) -> None:
        """It goes on."""


@connector("egress.phone", output_format=lambda settings: AudioFormat(24_000))
class Mouth(AudioSink):
    """The other end of the line."""

    @property
    def format(self) -> AudioFormat:
        raise AssertionError("it is simulated")

    def write(self, pcm: bytes) -> None:
        """Nothing."""

    def clear(self) -> None:
        """Nothing."""


@cache
def plan() -> Plan:
    registry = echostack.default_registry()
    return echostack.compile(GRAPH, registry=registry.add(Line, Stt, agent, Tts, Mouth), env={}).plan


def played(*steps: Step, seed: int = 0, shuffle: bool = False) -> Outcome:
    return simulate(plan(), Scenario("test", NOWHERE, caller=Caller(steps)), seed=seed, shuffle=shuffle)


def times(outcome: Outcome, kind: type) -> list[float]:
    return [round(event.time, 6) for event in outcome.events if isinstance(event.payload, kind)]


def test_every_latency_of_a_turn_is_where_its_connector_says() -> None:
    outcome = played(Pause(1.0, NOWHERE), Say("where is my parcel", NOWHERE, lasts=1.6), Listen(0.5, NOWHERE))
    assert times(outcome, Text) == [3.05]  # 450 ms after the end of speech, 400 ms of which are its endpoint
    assert times(outcome, AgentMessagePartial)[0] == 3.35
    assert times(outcome, PlayoutStarted) == [3.45]
    (heard,) = outcome.heard
    (caller, said) = outcome.conversation
    assert (caller.text, caller.start, caller.end) == ("where is my parcel", 1.0, 2.6)
    assert (heard.text, heard.start, heard.end) == (said.text, 3.45, round(said.end, 9))
    assert outcome.failures == ()


def test_what_was_heard_of_an_interrupted_reply_is_told_to_the_sample() -> None:
    outcome = played(
        Say("where is my parcel", NOWHERE, lasts=1.6), Interrupt("no wait", 1.0, NOWHERE, lasts=1.0),
        Listen(0.5, NOWHERE),
    )  # fmt: skip
    (suspended,) = times(outcome, Suspended)
    (begun, *_) = times(outcome, PlayoutStarted)
    assert (begun, suspended) == (2.45, 3.51)  # a second of it, and 60 ms until voice shows
    assert (outcome.heard[0].seconds, outcome.heard[0].end) == (1.06, 3.51)
    assert outcome.failures == ()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_caller_does_the_conversation_holds_the_words_that_were_heard_whole(seed: int) -> None:
    draw = random.Random(seed)
    steps: list[Step] = [Say("good morning", NOWHERE), Listen(0.2, NOWHERE)]
    for _ in range(draw.randrange(2, 6)):
        steps += draw.choice(
            [
                [Say("I want to book a table for two", NOWHERE)],
                [Say("and some wine", NOWHERE), Interrupt("please stop that now", draw.uniform(0, 2), NOWHERE)],
                [Noise(round(draw.uniform(0.1, 1.0), 2), NoiseLevel.LOUD, NOWHERE)],
                [Pause(round(draw.uniform(0.1, 3.0), 2), NOWHERE)],
            ]
        )
    for shuffle in (False, True):
        outcome = played(*steps, seed=seed, shuffle=shuffle)
        heard = {speech.utterance: speech for speech in outcome.heard}
        assert heard
        for turn in outcome.conversation:
            if turn.role == "agent":
                speech = heard[turn.utterance]
                assert turn.text == " ".join(w.text for w in speech.words if w.samples == w.whole)
                assert (round(turn.start, 9), round(turn.end, 9)) == (speech.start, speech.end)
        assert (outcome.crash, outcome.left, outcome.late) == ("", (), ())
