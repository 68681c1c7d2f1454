"""Whole calls on the local servers: the installed command in a process of its own, the servers and the caller here."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from echostack.connectors.pcm import to_pcm
from echostack.connectors.piper_voice import shared_voice
from echostack.core.clock import LoopClock
from echostack.providers.brain import Message, Script
from echostack.providers.caller import Caller
from echostack.providers.deepgram.ears import Lines
from echostack.providers.elevenlabs.voice import Speech, spread
from echostack.providers.faults import Fault
from echostack.providers.local import Local

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "examples" / "manifest.json"
PROGRAM = Path(sys.executable).with_name("echostack")
LIVE = ("livekit", "deepgram", "anthropic", "elevenlabs")

STORY = " ".join(f"Then came the {word} ship, and it had a lamp." for word in (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
))  # fmt: skip
SAID = {"story": STORY, "where": "You find us at twelve Mill Lane.", "thank": "You are welcome."}


class Tone:
    """A voice without weights: a tone of so many ``seconds`` a character."""

    def __init__(self, seconds: float = 0.04) -> None:
        self._seconds = seconds

    async def speak(self, text: str, rate: int) -> Speech:
        count = round(self._seconds * len(text) * rate)
        wave = 8_000 * np.sin(2 * np.pi * 440 * np.arange(count) / rate)
        return spread(text, wave.astype("<i2").tobytes(), rate)

    def close(self) -> None:
        """Nothing to let go of."""


def answer(messages: Sequence[Message]) -> str:
    """What the model says: by the last words of the caller."""
    said = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    return next((text for key, text in SAID.items() if key in said.lower()), "I do not know that.")


def local(lines: Sequence[str], *, names: Sequence[str] = LIVE) -> Local:
    """Servers without weights: what is heard are ``lines``, in turn, and the model writes 25 words a second."""
    options = {"deepgram": {"recognise": Lines(lines)}, "elevenlabs": {"voice": Tone(), "pace": 2.0}}
    return Local(names, brain=Script(answer, pause=0.04), options=options)


@cache
def voice(text: str) -> tuple[Any, int]:
    """A caller's words, spoken."""
    made = shared_voice("joe")
    return np.frombuffer(to_pcm(made.speak(text, speed=1.0, volume=0.6, variation=0.0)), np.int16), made.rate


@dataclass
class Made:
    """What came of a call: the command's status, output and events, and what the caller heard and when."""

    code: int
    out: Mapping[str, Any]
    err: str
    events: list[dict[str, Any]] = field(default_factory=list)
    spoken: list[tuple[float, float]] = field(default_factory=list)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["name"] == name]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [e for e in self.events if e["name"].startswith("error.")]

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(turn["role"], turn["text"]) for turn in self.out.get("conversation", ())]


async def made(
    servers: Local,
    folder: Path,
    script: Callable[[Caller], Awaitable[object]],
    *args: str,
    file: Path = MANIFEST,
    seconds: float = 60.0,
    environment: Mapping[str, str] | None = None,
    faults: Mapping[str, Fault] | None = None,
) -> Made:
    """Run ``file`` by the command against ``servers``, and a caller by ``script``, who is in the room before ``faults``
    are added and the command begins."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LIVEKIT", "DEEPGRAM", "ANTHROPIC", "ELEVEN"))}
    trace = folder / "trace.jsonl"
    spoken: list[tuple[float, float]] = []
    where = servers.environment
    key = (where["LIVEKIT_API_KEY"], where["LIVEKIT_API_SECRET"])
    caller = Caller(where["LIVEKIT_URL"], key, where["LIVEKIT_ROOM"], "caller", LoopClock())
    await caller.join()
    for name, fault in (faults or {}).items():
        servers.servers[name].faults.add(fault)
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "run", file, "--json", "--trace", trace, *args,
        cwd=folder, env={**env, **(servers.environment if environment is None else environment)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def call() -> None:
        try:
            await script(caller)
        finally:
            await caller.leave()
            spoken.extend((a - caller.joined, b - caller.joined) for a, b in caller.spoken())

    try:
        async with asyncio.timeout(seconds):
            calling = asyncio.create_task(call())
            try:
                out, err = await process.communicate()
            finally:
                calling.cancel()
                await asyncio.wait([calling])
            if not calling.cancelled() and calling.exception() is not None and process.returncode == 0:
                raise calling.exception() or AssertionError
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    events = [json.loads(line) for line in trace.read_text("utf-8").splitlines()] if trace.exists() else []
    told = json.loads(out) if out.strip().startswith(b"{") else {}
    return Made(process.returncode or 0, told, err.decode(), events, spoken)
