"""Choices across vendors, end to end: the first fails, the second answers, and the first has the next turn again.

The calls run in this process, some at a time, before the first test looks at what came of its call.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from echostack import api
from echostack.core.clock import LoopClock
from echostack.core.payloads import FailedOver, Recovered
from echostack.providers.brain import Script
from echostack.providers.caller import Caller
from echostack.providers.deepgram.ears import Lines
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.local import Local
from tests.providers.calls import SAID, Tone, answer, voice

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

COOLDOWN = 0.5
# The synthesisers differ in their rates (44.1 and 22.05 kHz), and in their languages; recognisers take one rate.
FILE = f"""
echostack: 1
connectors:
  ingress.livekit: {{rejoin: 0}}
  deepgram.stt: {{cooldown: {COOLDOWN}s, outage_s: 0.2, connect_s: 1, stall_s: 1, language: en-GB}}
  claude.agent: {{cooldown: {COOLDOWN}s, attempts: 1, first_seconds: 1}}
  elevenlabs.tts: {{cooldown: {COOLDOWN}s, attempts: 1, first_audio_s: 1, connect_s: 1, rate: 44100, language: de}}
pipeline:
  - ingress.livekit.audio_frame -> deepgram.stt ?? moonshine.stt -> claude.agent ?? openai.agent
  - claude.agent ?? openai.agent -> elevenlabs.tts ?? piper.tts -> egress.livekit.audio_chunk
"""
AT_ONCE = 3
NAMES = ("livekit", "deepgram", "anthropic", "openai", "elevenlabs")
QUESTION, REPLY = "Where are you?", SAID["where"]
CASES = [
    ("deepgram", FaultKind.CUT),
    ("deepgram", FaultKind.HALF_OPEN),
    ("anthropic", FaultKind.UNAVAILABLE),
    ("anthropic", FaultKind.HALF_OPEN),
    ("elevenlabs", FaultKind.CUT),
    ("elevenlabs", FaultKind.HALF_OPEN),
]
CHOICES = {
    "deepgram": ("deepgram.stt", "moonshine.stt"),
    "anthropic": ("claude.agent", "openai.agent"),
    "elevenlabs": ("elevenlabs.tts", "piper.tts"),
}


@dataclass
class Came:
    """What came of one call, and what the first member's server saw until its end and a while after it."""

    events: list[Any] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    spoken: int = 0
    at_end: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    broke: BaseException | None = None

    def of(self, kind: type) -> list[Any]:
        return [e for e in self.events if isinstance(e.payload, kind)]


async def one(name: str, kind: FaultKind) -> Came:
    """One call of two questions; the fault strikes the first member until the second has taken over."""
    came, over = Came(), asyncio.Event()
    options = {
        "deepgram": {"recognise": Lines([QUESTION], apart=1.0)},
        "elevenlabs": {"voice": Tone(0.02), "pace": 2.0},
    }
    async with Local(NAMES, brain=Script(answer, pause=0.03), options=options) as servers:
        where, server = servers.environment, servers.servers[name]
        key = (where["LIVEKIT_API_KEY"], where["LIVEKIT_API_SECRET"])
        caller = Caller(where["LIVEKIT_URL"], key, where["LIVEKIT_ROOM"], "caller", LoopClock())
        await caller.join()
        server.faults.add(Fault(kind, times=0))
        session = api.compile(FILE, env=where).session()
        every, failures = session.events(queue=65_536), session.events("error.*.failed_over")

        async def mend() -> None:
            async for _ in failures:
                server.faults.clear()
                over.set()

        async def ask() -> None:
            try:
                await caller.until_met(deadline=20)
                if name == "deepgram":  # which needs no words to fail
                    async with asyncio.timeout(20):
                        await over.wait()
                for _ in range(2):
                    await asyncio.sleep(COOLDOWN + 0.1)
                    await caller.say(*voice(QUESTION))
                    await caller.until_heard(0.2, deadline=15)
                    await caller.until_quiet(1.5, deadline=20)
            finally:
                await caller.leave()

        async with asyncio.timeout(75), session, asyncio.TaskGroup() as group:
            mending, asking = group.create_task(mend()), group.create_task(ask())
            await session.finished()
            await asking
            mending.cancel()
            came.events = [event async for event in every]
        came.said = [(turn.role, turn.text) for turn in session.conversation]
        came.spoken = len(caller.spoken(gap=1.0))
        came.at_end = dict(server.seen.counts)
        await asyncio.sleep(2 * COOLDOWN)
        came.later = dict(server.seen.counts)
    return came


async def all_of(cases: list[tuple[str, FaultKind]]) -> dict[tuple[str, FaultKind], Came]:
    gate, found = asyncio.Semaphore(AT_ONCE), {}

    async def run(case: tuple[str, FaultKind]) -> None:
        async with gate:
            try:
                found[case] = await one(*case)
            except Exception as error:  # noqa: BLE001 - the case's own test raises it
                found[case] = Came(broke=error)

    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(run(case))
    return found


@pytest.fixture(scope="module")
def calls(request: pytest.FixtureRequest) -> dict[tuple[str, FaultKind], Came]:
    """What came of the calls that this run asks about."""
    voice(QUESTION)
    here = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    return asyncio.run(all_of([item.callspec.params["case"] for item in here]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_the_second_takes_over_and_the_first_has_the_next_turn(
    calls: dict[tuple[str, FaultKind], Came], case: tuple[str, FaultKind]
) -> None:
    (name, kind), came = case, calls[case]
    first, second = CHOICES[name]
    if came.broke is not None:
        raise came.broke
    (over,) = came.of(FailedOver)
    (back,) = came.of(Recovered)
    assert (over.name, over.payload.node, over.payload.to) == (
        f"error.{first.split('.')[0]}.failed_over",
        first,
        second,
    )
    assert (back.name, back.payload.node) == (f"error.{first.split('.')[0]}.recovered", first)
    # What the failure cost: a far end that says nothing costs the time that it is given, one that refuses next to none.
    least = 1_000 if kind is FaultKind.HALF_OPEN else 0
    assert least <= over.payload.elapsed_ms < 15_000
    # Who did the work, turn by turn.
    kinds = {"deepgram": "text", "anthropic": "agent_message", "elevenlabs": "audio_chunk"}
    vendors = [e.name.split(".")[1] for e in came.events if e.name.split(".")[2].startswith(kinds[name])]
    turns = [vendor for vendor in vendors if vendor in (first.split(".")[0], second.split(".")[0])]
    assert [v for at, v in enumerate(turns) if at == 0 or turns[at - 1] != v] == [
        second.split(".")[0], first.split(".")[0],
    ]  # fmt: skip
    assert [text for role, text in came.said if role == "agent"] == [REPLY, REPLY]
    assert came.spoken == 2
    assert came.later == came.at_end, "somebody was asked after the end of the call"
