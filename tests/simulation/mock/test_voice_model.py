"""Connectors that take speech and give speech: heard, answered and interrupted like the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import echostack.api as api
from echostack.core.audio import AudioFormat
from echostack.core.payloads import AgentMessage, AudioChunkStream, AudioFrame, Text
from echostack.registry import Inbox, Latency, StandIn, connector, stand_in
from echostack.simulation.outcome import Outcome
from echostack.simulation.run import simulate
from tests.simulation.calls import registry, scenario, times

FORMAT = AudioFormat(24_000)
QUICK = Latency(p50=200, p95=200)


@connector("acme.told", network=True, latency=QUICK, output_format=lambda settings: FORMAT)
class Told:
    """Tells what it hears and says; goes on through an interruption."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[AudioChunkStream | Text | AgentMessage]:
        raise AssertionError
        yield Text("")

    def interrupted(self) -> None: ...


@connector("acme.mute", network=True, latency=QUICK, output_format=lambda settings: FORMAT)
class Mute:
    """Says nothing in text; is cancelled by an interruption."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[AudioChunkStream]:
        raise AssertionError
        yield AudioChunkStream(b"", 24_000)


@connector("acme.called", network=True, latency=QUICK, output_format=lambda settings: FORMAT)
async def called(frame: AudioFrame) -> AsyncIterator[AudioChunkStream]:
    """Is called with every frame."""
    raise AssertionError
    yield AudioChunkStream(b"", 24_000)


MODELS = (Told, Mute, called)


def talk(model: str, body: str) -> Outcome:
    text = f"pipeline:\n  - ingress.phone.audio_frame -> acme.{model} -> egress.app.audio_chunk\n"
    graph = api.compile(text, registry=registry().add(*MODELS), env={}).plan
    return simulate(graph, scenario(body.replace("MODEL", f"acme.{model}")))


REPLIES = """
connectors:
  MODEL: {replies: [{to: wait, say: I am waiting then.}, {say: One two three four five six seven eight nine ten.}]}
"""


@pytest.mark.parametrize("model", ["told", "mute", "called"])
def test_a_turn_is_answered_in_speech_after_the_latency(model: str) -> None:
    outcome = talk(model, "connectors: {MODEL: {replies: [Hello yourself.]}}\ncaller: [{say: hello, lasts: 1s}]")
    assert not outcome.failures
    assert [h.text for h in outcome.heard] == ["Hello yourself."]
    assert outcome.heard[0].start >= 1.6, "400 ms of silence end the turn, and the model takes 200"
    assert outcome.heard[0].start < 2.1, "or no later than the frame after that"


def test_what_it_hears_and_says_is_told_in_the_kinds_that_it_makes() -> None:
    outcome = talk("told", "connectors: {MODEL: {replies: [Hello yourself.]}}\ncaller: [{say: hello, lasts: 1s}]")
    texts = [e.payload for e in outcome.events if e.name == "processing.acme.text"]
    assert [(t.text, t.end) for t in texts] == [("hello", 1.0)]  # type: ignore[attr-defined]
    assert times(outcome, "processing.acme.agent_message") == [pytest.approx(texts[0].end + 0.6, abs=0.03)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", ["told", "mute"])
def test_it_is_interrupted_and_answers_what_interrupted_it(model: str) -> None:
    outcome = talk(
        model,
        REPLIES
        + "caller: [{say: go, lasts: 1s}, {interrupt: now wait a minute please, after: 1s, lasts: 2s}, {listen: 1s}]",
    )
    assert not outcome.failures
    assert times(outcome, "control.barge_in.committed")
    first, second = outcome.heard
    assert (first.text + " ten").startswith("One two three")
    assert "ten" not in first.text
    assert second.text == "I am waiting then."


def test_what_stands_in_for_them_is_a_voice_model() -> None:
    specs = [spec for spec in registry().add(*MODELS) if spec.name in ("acme.told", "acme.mute", "acme.called")]
    assert [stand_in(spec) for spec in specs] == [StandIn.VOICE] * 3
