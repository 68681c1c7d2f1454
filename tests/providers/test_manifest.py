"""The manifest of four rules, unchanged, by the installed command, on the vendors' own SDKs and the local servers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from echostack import api
from echostack.core.clock import LoopClock
from echostack.providers.caller import Caller
from echostack.providers.faults import Fault, FaultKind
from tests.providers.calls import MANIFEST, SAID, STORY, local, made, voice

pytestmark = pytest.mark.embedded

LINES = ("Tell me a story.", "Where are you?", "Thank you.")
RULES = [
    "ingress.livekit.audio_frame → deepgram.stt",
    "deepgram.stt → claude.agent",
    "claude.agent → elevenlabs.tts",
    "elevenlabs.tts → egress.livekit.audio_chunk",
]


async def interrupting(caller: Caller) -> None:
    """Asks, interrupts after two seconds of the answer, hears the next one out, says thanks."""
    await caller.until_met()
    await asyncio.sleep(0.3)
    await caller.say(*voice("Tell me a story."))
    await caller.until_heard(2.0)
    await caller.say(*voice("Where are you?"))
    await caller.until_quiet(1.5)
    await caller.say(*voice("Thank you."))
    await caller.until_heard(0.1)
    await caller.until_quiet(1.0)


async def asking(caller: Caller) -> None:
    """Asks twice, however well it is answered."""
    await caller.until_met(deadline=20)
    await asyncio.sleep(0.3)
    for words in ("Where are you?", "Thank you."):
        await caller.say(*voice(words))
        try:
            await caller.until_heard(0.3, deadline=4)
            await caller.until_quiet(0.8, deadline=8)
        except TimeoutError:
            continue


def test_the_manifest_is_the_four_rules() -> None:
    assert json.loads(MANIFEST.read_text("utf-8")) == {"pipeline": RULES}


async def test_a_caller_asks_is_answered_interrupts_and_asks_again(tmp_path: Path) -> None:
    async with local(LINES) as servers:
        call = await made(servers, tmp_path, interrupting)
        assert (call.code, call.err) == (0, "")
        assert [role for role, _ in call.said] == ["caller", "agent", "caller", "agent", "caller", "agent"]
        assert [text for role, text in call.said if role == "caller"] == list(LINES)
        cut, where, thanks = (text for role, text in call.said if role == "agent")
        assert STORY.startswith(cut)
        assert cut != STORY
        assert (where, thanks) == (SAID["where"], SAID["thank"])
        # The tone takes 40 ms a character: what the conversation says was heard, and no more.
        committed = call.named("control.barge_in.committed")[0]
        suspended = call.named("control.barge_in.suspended")[0]
        assert abs(len(cut) * 0.04 - suspended["payload"]["heard_seconds"]) < 0.5
        assert committed["payload"]["heard"] == cut
        assert call.spoken, "the caller heard nothing"
        assert call.errors == []
        # Both streams were given up: at the model's, and at the synthesiser's.
        model, speech = servers.servers["anthropic"], servers.servers["elevenlabs"]
        (aborted,) = model.seen.of("cancelled")
        assert aborted.data["tokens"] < len(STORY.split())
        assert speech.seen.of("context closed")[0].data["unsent_ms"] > 0
        assert len(speech.seen.of("opened")) == 1, "one connection for the whole call"
        assert not [s.open for s in servers.servers.values() if s.open]


async def test_settings_take_the_place_of_the_environment(tmp_path: Path) -> None:
    async with local(LINES[1:]) as servers:
        where = servers.environment
        settings = {
            "deepgram.stt.base_url": where["DEEPGRAM_BASE_URL"],
            "deepgram.stt.api_key": "mine",
            "claude.agent.base_url": where["ANTHROPIC_BASE_URL"],
            "claude.agent.api_key": "mine",
            "elevenlabs.tts.base_url": where["ELEVENLABS_BASE_URL"],
            "elevenlabs.tts.api_key": "mine",
            "ingress.livekit.url": where["LIVEKIT_URL"],
            "ingress.livekit.api_key": where["LIVEKIT_API_KEY"],
            "ingress.livekit.api_secret": where["LIVEKIT_API_SECRET"],
            "ingress.livekit.room": where["LIVEKIT_ROOM"],
        }
        args = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        args += ["--set", "ingress.livekit.rejoin=0"]
        call = await made(servers, tmp_path, asking, *args, environment={})
        assert (call.code, call.err) == (0, "")
        assert ("agent", SAID["where"]) in call.said
        assert "mine" not in json.dumps([call.out, call.events])


async def test_what_the_environment_lacks_is_one_message(tmp_path: Path) -> None:
    async with local(LINES) as servers:
        where = {k: v for k, v in servers.environment.items() if k != "ANTHROPIC_API_KEY"}
        call = await made(servers, tmp_path, asking, environment=where)
        assert call.code in (1, 2)
        assert "ANTHROPIC_API_KEY" in call.err
        assert "Traceback" not in call.err


async def test_the_outgoing_audio_stops_within_20_ms_of_the_speech_being_detected() -> None:
    """In one process, so that one clock tells both: when the engine knew of the speech, and the last audible sample
    that left the agent, as the server decoded it. Up to three calls, since the machine may be busy at that instant."""
    late: list[float] = []
    while len(late) < 3 and (not late or min(late) >= 0.020):
        late += await silences()
    assert min(late) < 0.020, f"the last audible sample left {[round(s * 1000) for s in late]} ms after the detection"


async def silences() -> list[float]:
    """Seconds from each detection of speech in one call to the last audible sample of the agent."""
    async with local(LINES) as servers:
        room, where = servers.servers["livekit"], servers.environment
        pipeline = api.compile(MANIFEST, env=where)
        caller = Caller(
            where["LIVEKIT_URL"], (where["LIVEKIT_API_KEY"], where["LIVEKIT_API_SECRET"]), where["LIVEKIT_ROOM"],
            "caller", LoopClock(),
        )  # fmt: skip
        session = pipeline.session()
        suspended: list[float] = []

        async def watch() -> None:
            async for _ in session.events("control.barge_in.suspended"):
                suspended.append(room.clock.now())

        async with asyncio.timeout(60), session:
            watching = asyncio.create_task(watch())
            async with caller:
                await interrupting(caller)
            watching.cancel()
            await asyncio.wait([watching])
        assert suspended
        silent = [s.data["at"] for s in room.seen.of("silent") if str(s.data["identity"]).startswith("agent")]
        after = [[s for s in silent if s > at - 0.2] for at in suspended]
        assert all(after), "the agent was never silent"
        return [first[0] - at for first, at in zip(after, suspended, strict=True)]


ENDS = {
    "anthropic": "echostack: the call did not go as it should: claude.agent: ",
    "deepgram": "echostack: the call did not go as it should: deepgram.stt: ",
    "elevenlabs": "echostack: elevenlabs.tts: the key is not taken: ",
    "livekit": "echostack: ingress.livekit: ",
}
"""How the one message begins in which the command tells of a key that is not taken."""


@pytest.mark.slow
async def test_a_key_that_is_not_taken_is_status_1_and_never_a_traceback(tmp_path: Path) -> None:
    """All four at once, each with its own servers; what comes of every other fault is in test_fault_matrix.py."""

    async def once(caller: Caller) -> None:
        await caller.until_met(deadline=20)
        await asyncio.sleep(0.3)
        await caller.say(*voice("Where are you?"))
        await asyncio.sleep(1.0)

    async def ended(name: str) -> Any:
        folder = tmp_path / name
        folder.mkdir()
        async with local(LINES[1:]) as servers:
            fault = Fault(FaultKind.UNAUTHORISED, times=0)
            return await made(servers, folder, once, "--set", "ingress.livekit.rejoin=0", faults={name: fault})

    for name, call in zip(ENDS, await asyncio.gather(*map(ended, ENDS)), strict=True):
        assert call.code == 1, (name, call.err)
        assert call.err.startswith(ENDS[name])
        assert len(call.err.splitlines()) == 1
        assert "401" in call.err
        if name in ("anthropic", "deepgram"):  # elsewhere the call does not even begin
            assert {e["payload"]["node"] for e in call.errors} == {
                {"anthropic": "claude.agent", "deepgram": "deepgram.stt"}[name]
            }
            assert all("401" in e["payload"]["message"] for e in call.errors)
