"""How the end of the sources runs through a graph, and whom it does not reach by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

import echostack.api as echostack
from echostack.connectors.transcript_log import TranscriptLog
from echostack.core.audio import AudioFormat
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.payloads import AgentMessage, AudioFrame, DeadLetter, Text, ToolResult
from echostack.registry import Context, connector
from echostack.runtime.driver import Driver
from echostack.runtime.ending import Ending
from echostack.runtime.queues import Inbox, Pressure
from echostack.simulation.loop import run_virtual
from tests.runtime.cast import RATE, registry


@connector("acme.loop")
async def loop(text: Text) -> Text | None:
    """Hears itself."""
    return text


@connector("acme.undertaker")
async def undertaker(letter: DeadLetter) -> AgentMessage | None:
    """Looks after what failed."""
    return None


@dataclass
class Idle:
    """A driver that has nothing to do."""

    inbox: Inbox
    resting: bool = True


def is_source(node: str) -> bool:
    return node.startswith("ingress")


def ending(*rules: str) -> tuple[Ending, dict[str, Idle]]:
    """The wave of a graph whose every node has a driver, but for voice activity."""
    text = "echostack: 1\npipeline:\n" + "".join(f"  - {rule}\n" for rule in rules) + "barge_in: off\n"
    plan = echostack.compile(text, registry=registry(loop, undertaker), env={}).plan
    idle = {n.id: Idle(Inbox(n.id, Pressure())) for n in plan.nodes.values() if not n.fused}
    return Ending(plan, cast("dict[str, Driver]", idle)), idle


STRAIGHT = "ingress.line.audio_frame -> ear.stt -> acme.agent -> acme.tts -> egress.line.audio_chunk"


def test_the_end_reaches_every_node_of_a_straight_graph_by_itself() -> None:
    wave, idle = ending(STRAIGHT)
    assert not wave.must_ask(is_source)
    order = [n for n in idle if not is_source(n)]
    wave.ended(next(n for n in idle if is_source(n)))
    for at, node in enumerate(order):
        assert [n for n in order if idle[n].inbox.closed] == order[: at + 1]
        assert not wave.must_ask(is_source)
        wave.ended(node)


@pytest.mark.parametrize(
    "rule",
    [
        "ear.stt -> acme.loop\n  - acme.loop -> acme.loop: {cycle: true, queue: 4, overflow: drop_oldest}",
        "error.acme.dead_letter -> acme.undertaker",
    ],
)
def test_a_node_that_feeds_itself_or_is_fed_by_the_engine_must_be_asked_whether_it_is_idle(rule: str) -> None:
    wave, idle = ending(STRAIGHT, rule)
    lonely = "acme.loop" if "loop" in rule else "acme.undertaker"
    for node in idle:
        if node != lonely:
            assert wave.must_ask(is_source)
            wave.ended(node)
    assert wave.must_ask(is_source)
    assert not idle[lonely].inbox.closed
    assert wave.close_idle(is_source)
    assert idle[lonely].inbox.closed
    assert not wave.must_ask(is_source)


@connector("ingress.line", output_format=lambda settings: AudioFormat(RATE))
class Leaving:
    """A caller who asks something, and is gone two seconds later, in the middle of the answer."""

    hung_up = False

    def __init__(self, context: Context) -> None:
        self._clock = context.clock

    async def run(self) -> AsyncIterator[AudioFrame]:
        yield AudioFrame(b"\0\0", RATE, track="say:hello")
        await self._clock.sleep(2.0)
        self.hung_up = True


def test_what_is_being_said_is_not_said_on_to_a_caller_whose_transport_says_that_he_is_gone() -> None:
    async def body() -> tuple[str, float]:
        pipeline = echostack.compile(
            f"echostack: 1\npipeline:\n  - {STRAIGHT}\nbarge_in: off\n", registry=registry(Leaving), env={}
        )
        async with pipeline.session(clock=LoopClock(), compute=InlineCompute()) as call:
            await call.finished()
            (agent,) = [turn for turn in call.conversation if turn.role == "agent"]
            return agent.text, call.now

    text, ended = run_virtual(body())
    assert text == "hello-1 hello-2 hello-3 hello-4"
    assert ended == pytest.approx(2.0, abs=0.1)


RECORDS = """
echostack: 1
connectors:
  transcript.log: {path: transcript.jsonl}
pipeline:
  - ingress.line.audio_frame -> ear.stt -> acme.agent -> acme.tts -> egress.line.audio_chunk
  - ear.stt -> acme.crm -> acme.ledger
  - ingress.line.audio_frame -> ear.vad
  - ear.stt -> transcript.log
  - control.*.playout_finished -> transcript.log
barge_in: off
"""


@pytest.mark.parametrize("barge_in", ["barge_in: off", "barge_in: {on: processing.ear.speech_started}"])
@pytest.mark.parametrize("begun", [0.5, 1.9, 2.0])
def test_what_had_begun_when_the_caller_left_is_finished_and_what_was_said_is_recorded(
    begun: float, barge_in: str, tmp_path: Path
) -> None:
    """An effect takes three seconds. One that began before the caller was gone ends after it, and its result is
    handed on; the transcript has his last words, and of the agent's what was played."""
    did: list[tuple[str, float]] = []
    kept: list[str] = []

    @connector("ingress.line", output_format=lambda settings: AudioFormat(RATE))
    class Booking:
        hung_up = False

        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self) -> AsyncIterator[AudioFrame]:
            await self._clock.sleep(begun)
            yield AudioFrame(b"\0\0", RATE, track="say:table")
            await self._clock.sleep(2.0 - begun)
            self.hung_up = True

    @connector("acme.crm", effect=True)
    class Crm:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> ToolResult:
            did.append(("begun", self._clock.now()))
            await self._clock.sleep(3.0)
            did.append(("done", self._clock.now()))
            return ToolResult("crm", text.text, "done")

    @connector("acme.ledger")
    def ledger(result: ToolResult) -> None:
        kept.append(result.id)

    file = tmp_path / "transcript.jsonl"

    async def body() -> tuple[str, float]:
        text = RECORDS.replace("transcript.jsonl", str(file)).replace("barge_in: off", barge_in)
        pipeline = echostack.compile(text, registry=registry(Booking, Crm, ledger, TranscriptLog), env={})
        async with pipeline.session(clock=LoopClock(), compute=InlineCompute()) as call:
            await call.finished()
            return " ".join(turn.text for turn in call.conversation if turn.role == "agent"), call.now

    heard, ended = run_virtual(body())
    assert did == [("begun", begun), ("done", begun + 3.0)]
    assert kept == ["table"]
    assert ended == pytest.approx(begun + 3.0, abs=0.1)
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    said = [("caller", "table")] + ([("agent", heard)] if heard else [])
    assert [(line["role"], line["text"]) for line in lines] == said
    if begun < 1.0:
        assert heard == "table-1 table-2 table-3"
