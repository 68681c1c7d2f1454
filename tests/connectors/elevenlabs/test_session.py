"""``elevenlabs.tts`` in whole calls over real sockets: what is recorded as said was heard, and others take over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

import echostack
from echostack.connectors.elevenlabs.tts import ElevenLabsTts
from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.payloads import AgentMessage, AudioChunkStream, AudioFrame, Committed, FailedOver, Text, Usage
from echostack.providers.elevenlabs.server import ElevenLabsServer
from echostack.providers.faults import Fault, FaultKind
from echostack.registry import connector
from echostack.runtime import Session
from tests.connectors.elevenlabs.calls import RATE, server, spelled, words_of
from tests.runtime.cast import registry
from tests.runtime.sinks import MemorySink

REPLY = "One two three, four five six seven eight nine ten."


@connector("acme.agent")
def reply(text: Text) -> AgentMessage:
    """Always says the same."""
    return AgentMessage(REPLY)


@connector("other.tts", output_format=lambda settings: AudioFormat(RATE))
async def other(message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
    """A fifth of a second of sound."""
    yield AudioChunkStream(b"\7\0" * 3_200, RATE, utterance=message.id, text=message.text, final=True)


GRAPH = """
echostack: 1
connectors:
  elevenlabs.tts: {rate: 16000, first_audio_s: 0.3, gap_s: 0.2}
pipeline:
  - ingress.line.audio_frame -> ear.vad
  - ingress.line.audio_frame -> ear.stt -> acme.agent -> MOUTH -> egress.line.audio_chunk
barge_in: {on: processing.ear.speech_started, min_speech: 0ms}
"""


class Line:
    """What the caller does, when the test says so."""

    def __init__(self) -> None:
        self.cues: asyncio.Queue[str] = asyncio.Queue()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        while (cue := await self.cues.get()) != "hang up":
            yield AudioFrame(b"\0\0", RATE, track=cue)


class Call:
    """One open call, with its far end."""

    def __init__(self, session: Session, sink: MemorySink, line: Line) -> None:
        self.session, self.sink, self.line = session, sink, line
        self.seen: list[Any] = []

    def cue(self, cue: str) -> None:
        self.line.cues.put_nowait(cue)

    async def heard(self, seconds: float) -> None:
        async with asyncio.timeout(5):
            while (left := seconds - self.sink.heard_samples / RATE) > 0:  # noqa: ASYNC110 - the far end tells nobody
                await asyncio.sleep(max(0.002, left))


async def play(there: ElevenLabsServer, during: Any, *, mouth: str = "elevenlabs.tts") -> Call:
    """A call on real time; ``during`` is the caller."""
    clock, compute, line = LoopClock(), ThreadCompute(2), Line()
    sink = MemorySink(clock)
    cast = registry(reply, other).add(ElevenLabsTts)
    pipeline = echostack.compile(GRAPH.replace("MOUTH", mouth), registry=cast, env=dict(there.environment))
    session = pipeline.session(
        session="call", clock=clock, compute=compute, ingress={"line": line.frames()}, egress={"line": sink}
    )
    async with session as opened:
        call = Call(opened, sink, line)
        events = opened.events()
        await during(call)
        call.cue("hang up")
        await opened.finished()
        call.seen = [event async for event in events]
    compute.close()
    return call


def payloads(call: Call, kind: type) -> list[Any]:
    return [e.payload for e in call.seen if isinstance(e.payload, kind)]


@pytest.mark.parametrize("at", [0.25, 0.61, 0.9])
async def test_only_the_words_that_were_played_are_recorded(at: float) -> None:
    async def during(call: Call) -> None:
        call.cue("say:hello")
        await call.heard(at)
        call.cue("speech")
        await there.seen.until("context closed")
        call.cue("stop")

    async with server(message_ms=130, pace=1.7) as there:
        call = await play(there, during)
    heard = call.sink.heard
    (committed,) = payloads(call, Committed)
    played_ms = len(heard) / 2 / RATE * 1000
    expected = [w.text for w in words_of(f" {REPLY} ") if w.end_ms <= played_ms + 1e-6]
    assert committed.heard == " ".join(expected)
    assert [(t.role, t.text) for t in call.session.conversation] == [
        ("caller", "hello"), *([("agent", " ".join(expected))] if expected else []),
    ]  # fmt: skip
    whole = np.frombuffer(heard, "<i2")
    said = spelled(heard[: len(whole) // 640 * 1280])
    assert f" {REPLY} ".startswith(said)
    assert len(said) < len(REPLY)
    assert [p.characters for p in payloads(call, Usage)] == [len(REPLY) + 1]


async def test_a_reply_is_heard_whole_and_told_with_what_it_used() -> None:
    async def during(call: Call) -> None:
        call.cue("say:hello")
        await call.heard(0.04 * (len(REPLY) + 2))

    async with server() as there:
        call = await play(there, during)
    assert spelled(call.sink.heard) == f" {REPLY} "
    assert [(t.role, t.text) for t in call.session.conversation] == [("caller", "hello"), ("agent", REPLY)]
    assert payloads(call, Usage) == [Usage("eleven_flash_v2_5", characters=len(REPLY) + 1)]


async def test_a_barge_in_stops_the_synthesis_at_once_and_the_next_reply_has_the_same_connection() -> None:
    async def during(call: Call) -> None:
        call.cue("say:hello")
        await call.heard(0.3)
        begun = there.clock.now()
        call.cue("speech")
        closed = await there.seen.until("context closed")
        assert closed.time - begun < 0.1
        assert there.seen.counts["cancelled"] == 1
        call.cue("stop")
        call.cue("say:again")
        await call.heard(0.3 + 0.04 * (len(REPLY) + 2))

    async with server(pace=3.0, message_ms=40) as there:
        call = await play(there, during)
        assert there.seen.counts["opened"] == 1
    assert [t.text for t in call.session.conversation][-2:] == ["again", REPLY]


@pytest.mark.parametrize("kind", [FaultKind.HALF_OPEN, FaultKind.UNAUTHORISED, FaultKind.RATE_LIMITED])
async def test_another_synthesiser_takes_over(kind: FaultKind) -> None:
    async def during(call: Call) -> None:
        call.cue("say:hello")
        await call.heard(0.2)

    async with server(faults=[Fault(kind, times=0)]) as there:
        call = await play(there, during, mouth="elevenlabs.tts ?? other.tts")
    assert any(p.to == "other.tts" for p in payloads(call, FailedOver)) or kind is not FaultKind.HALF_OPEN
    assert call.sink.heard == b"\7\0" * 3_200
    assert call.session.conversation[-1].text == REPLY
