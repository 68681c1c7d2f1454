"""Choices across vendors, end to end: the first fails, the second answers, and the first is tried again later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from echostack.providers.caller import Caller
from echostack.providers.faults import Fault, FaultKind
from tests.providers.calls import SAID, local, made, voice

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

FILE = """
echostack: 1
connectors:
  deepgram.stt: {cooldown: 2s, outage_s: 0.5, connect_s: 1, stall_s: 1}
  claude.agent: {cooldown: 2s, attempts: 1, first_seconds: 1}
  elevenlabs.tts: {cooldown: 2s, attempts: 1, first_audio_s: 1}
pipeline:
  - ingress.livekit.audio_frame -> deepgram.stt ?? moonshine.stt -> claude.agent ?? openai.agent
  - claude.agent ?? openai.agent -> elevenlabs.tts ?? piper.tts -> egress.livekit.audio_chunk
"""


async def asking_twice(caller: Caller) -> None:
    """Asks, and after the rest of whoever failed asks again."""
    await caller.until_met(deadline=20)
    await asyncio.sleep(0.5)
    for _ in range(2):
        await caller.say(*voice("Where are you?"))
        await caller.until_heard(0.3, deadline=10)
        await caller.until_quiet(3.0, deadline=20)


@pytest.mark.parametrize(
    ("name", "node", "to", "kind"),
    [
        ("deepgram", "deepgram", "moonshine.stt", FaultKind.CUT),
        ("deepgram", "deepgram", "moonshine.stt", FaultKind.HALF_OPEN),
        ("anthropic", "claude", "openai.agent", FaultKind.UNAVAILABLE),
        ("anthropic", "claude", "openai.agent", FaultKind.HALF_OPEN),
        ("elevenlabs", "elevenlabs", "piper.tts", FaultKind.HALF_OPEN),
    ],
)
async def test_the_second_takes_over_and_the_first_comes_back(
    tmp_path: Path, name: str, node: str, to: str, kind: FaultKind
) -> None:
    file = tmp_path / "choices.echo"
    file.write_text(FILE, encoding="utf-8")
    names = ("livekit", "deepgram", "anthropic", "openai", "elevenlabs")
    # Enough for every try of the first turn, and over by the second one.
    tries = {"deepgram": 3, "anthropic": 3, "elevenlabs": 2}[name] if kind is not FaultKind.UNAVAILABLE else 3
    async with local(["Where are you?"], names=names) as servers:
        fault = Fault(kind, times=tries)
        call = await made(servers, tmp_path, asking_twice, file=file, seconds=90, faults={name: fault})
    assert "Traceback" not in call.err
    assert call.named(f"error.{node}.failed_over"), (call.err, call.errors)
    assert {e["payload"]["to"] for e in call.named(f"error.{node}.failed_over")} == {to}
    answers = [text for role, text in call.said if role == "agent"]
    assert SAID["where"] in answers, (call.said, call.errors)
    assert len(call.spoken) >= 2
