"""``deepgram.stt`` in whole calls over real sockets: turns, another recogniser taking over, and what was used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import echostack
from echostack.connectors.deepgram.stt import DeepgramStt
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.payloads import AudioFrame, FailedOver, Recovered, Text, TextSegment, Usage
from echostack.providers.deepgram.ears import CodedScript
from echostack.providers.deepgram.server import DeepgramServer
from echostack.providers.faults import Fault, FaultKind
from echostack.registry import connector
from tests.connectors.deepgram.line import RATE
from tests.runtime.cast import registry

SCRIPT = CodedScript.of("Hello there. | " + " ".join(f"word{n}" for n in range(40)) + " | Thank you.")
WORDS = [w.text for w in SCRIPT.words]
GRAPH = """
echostack: 1
connectors:
  deepgram.stt: {stall_s: STALL, outage_s: 0.2, connect_s: 1, reconnects: 2, api_key: first, cooldown: REST}
  backup: {use: deepgram.stt, base_url: BACKUP, api_key: second}
pipeline:
  - ingress.line.audio_frame -> EARS -> acme.words
policy: {}
"""


@connector("acme.words")
def words(text: Text | TextSegment) -> None:
    """Somewhere to go."""


async def play(
    first: DeepgramServer,
    backup: DeepgramServer,
    *,
    ears: str = "deepgram.stt ?? backup",
    more: str = "",
    at: dict[float, Callable[[], Awaitable[Any]]] | None = None,
    speed: float = 12.0,
    rest: str = "10s",
    stall: float = 3.0,
) -> list[Any]:
    """The events of a call in which the script is said, ``speed`` times as fast as it is spoken. ``at``: what is done
    when so many seconds of it are said."""
    clock, compute = LoopClock(), ThreadCompute(2)

    async def frames() -> AsyncIterator[AudioFrame]:
        pcm, todo = SCRIPT.audio(RATE), dict(at or {})
        for place in range(0, len(pcm), 640):
            for when in [t for t in todo if t <= place / 2 / RATE]:
                await todo.pop(when)()
            yield AudioFrame(pcm[place : place + 640], RATE)
            await clock.sleep(0.02 / speed)

    text = (
        GRAPH.replace("policy: {}\n", more)
        .replace("EARS", ears)
        .replace("REST", rest)
        .replace("STALL", str(stall))
        .replace("BACKUP", backup.url)
    )
    pipeline = echostack.compile(text, registry=registry(words).add(DeepgramStt), env=dict(first.environment))
    async with pipeline.session(clock=clock, compute=compute, ingress={"line": frames()}) as session:
        events = session.events()
        await session.finished()
        seen = [event async for event in events]
    compute.close()
    return seen


def of(seen: list[Any], kind: type) -> list[Any]:
    return [e.payload for e in seen if isinstance(e.payload, kind)]


def said(seen: list[Any]) -> list[str]:
    return " ".join(t.text for t in of(seen, Text)).split()


async def test_a_call_is_heard_turn_by_turn_and_what_was_used_is_told() -> None:
    async with DeepgramServer(SCRIPT) as first, DeepgramServer(SCRIPT) as backup:
        seen = await play(first, backup)
    assert said(seen) == WORDS
    assert len(of(seen, Text)) == 3
    assert sum(u.audio_seconds for u in of(seen, Usage)) == pytest.approx(len(SCRIPT.audio(RATE)) / 2 / RATE)
    assert [e.node for e in seen if isinstance(e.payload, Usage)] == ["deepgram.stt"] * len(of(seen, Usage))
    assert backup.seen.counts == {}


@pytest.mark.parametrize("seconds", [0.5, 2.1, 4.0, 7.3, 9.9])
async def test_another_recogniser_goes_on_where_the_first_one_failed(seconds: float) -> None:
    async with DeepgramServer(SCRIPT) as first, DeepgramServer(SCRIPT) as backup:
        seen = await play(first, backup, at={seconds: first.stop})
    assert said(seen) == WORDS
    (over,) = of(seen, FailedOver)
    assert over.to == "backup"
    assert "cannot be reached" in over.message


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.UNAUTHORISED, times=0),
        Fault(FaultKind.RATE_LIMITED, seconds=30, times=0),
        Fault(FaultKind.UNAVAILABLE, times=0),
        Fault(FaultKind.HALF_OPEN, times=0),
        Fault(FaultKind.HALF_OPEN, after=9, times=0),
        Fault(FaultKind.CUT, after=0, times=0),
    ],
    ids=lambda fault: f"{fault.kind.value} {fault.after}",
)
async def test_whatever_is_wrong_with_the_first_the_second_hears_every_word(fault: Fault) -> None:
    async with DeepgramServer(SCRIPT, faults=[fault]) as first, DeepgramServer(SCRIPT) as backup:
        # Only where silence is the fault is it given up soon: a busy machine is not taken for it. After the end of
        # the audio there are two seconds for the last words, and three stalls must fit into them.
        seen = await play(first, backup, stall=0.4 if fault.kind is FaultKind.HALF_OPEN else 3.0)
    assert said(seen) == WORDS
    assert [f.to for f in of(seen, FailedOver)] == ["backup"]


async def test_the_first_recogniser_is_tried_again_between_two_turns() -> None:
    faults = [Fault(FaultKind.UNAUTHORISED)]
    async with DeepgramServer(SCRIPT, faults=faults) as first, DeepgramServer(SCRIPT) as backup:
        seen = await play(first, backup, rest="100ms", speed=4.0)
    assert said(seen) == WORDS
    assert len(of(seen, FailedOver)) == 1
    assert [e.node for e in seen if isinstance(e.payload, Recovered)] == ["deepgram.stt"]


async def test_silence_that_the_file_waits_for_ends_the_turn_and_no_word_is_said_twice() -> None:
    async with DeepgramServer(SCRIPT) as first, DeepgramServer(SCRIPT) as backup:
        seen = await play(
            first, backup, ears="deepgram.stt", more="turns: {end_by: silence, silence: 500ms}\n", speed=1.5
        )
    texts = of(seen, Text)
    assert said(seen) == WORDS
    assert {t.ended_by for t in texts} <= {"silence", "end_of_audio"}
