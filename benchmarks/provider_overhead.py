"""Provider overhead: what EchoStack and its connectors add, voice to voice, to the times of the providers themselves.

The manifest's chain runs in real time against local servers in a process of their own. Both processes read one clock,
the machine's, so for each turn three stretches are known in which no provider works: from the recogniser's end of the
turn to the request at the model, from the model's last event to the text at the synthesiser, and from the
synthesiser's first audio to the first frame that goes out. Their sum holds both directions of the loopback, the
vendors' SDKs, the connectors and the engine. ``--turns N`` sets how many turns (200; 40 with ``--quick``).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import echostack.api as echostack
from echostack.core.clock import LoopClock
from echostack.core.payloads import AudioFrame
from echostack.providers.anthropic.server import AnthropicServer
from echostack.providers.brain import Script
from echostack.providers.deepgram.ears import CodedScript
from echostack.providers.deepgram.server import DeepgramServer
from echostack.providers.elevenlabs.server import ElevenLabsServer
from echostack.providers.elevenlabs.voice import CodedVoice
from echostack.providers.seen import Sighting
from echostack.providers.server import ProviderServer
from echostack.runtime.stats import percentile

RATE = 16_000
FRAME = RATE // 50
QUESTION = "when are you open"
ANSWER = "We open at nine in the morning."
EVERY = 2.5  # seconds from one question to the next
TOKEN = 0.01  # seconds the model takes for a word: a burst of all at once would be a load that no model makes
SPOKEN_MS = 20  # a character of the answer: 0.6 s in all, so that it is over before the next question
WANTED = {
    ("deepgram", "sent"), ("anthropic", "opened"), ("anthropic", "sent"),
    ("elevenlabs", "received"), ("elevenlabs", "sent"),
}  # fmt: skip

GRAPH = """
echostack: 1
connectors:
  ingress.app: {rate: 16000}
pipeline:
  - ingress.app.audio_frame -> deepgram.stt
  - deepgram.stt -> claude.agent
  - claude.agent -> elevenlabs.tts
  - elevenlabs.tts -> egress.app.audio_chunk
"""

CALLER = CodedScript.of(QUESTION, start=0.2, seconds=0.12, gap=0.03)
"""One question; the same words come again every ``EVERY`` seconds."""


async def serve(log: Path) -> None:
    """The child: the servers' environment as a line on stdout, what they see as lines of ``log``, until stdin ends."""
    loop = asyncio.get_running_loop()
    with log.open("w", encoding="utf-8") as out:

        def tell(server: str) -> Any:
            def told(sighting: Sighting) -> None:
                if (server, sighting.what) in WANTED:
                    out.write(json.dumps([loop.time(), server, sighting.what, dict(sighting.data)], default=str) + "\n")

            return told

        servers: list[ProviderServer] = [
            DeepgramServer(CALLER, tell=tell("deepgram")),
            AnthropicServer(brain=Script([ANSWER], pause=TOKEN), tell=tell("anthropic")),
            ElevenLabsServer(voice=CodedVoice(SPOKEN_MS), tell=tell("elevenlabs")),
        ]
        for server in servers:
            await server.start()
        print(json.dumps({k: v for s in servers for k, v in s.environment.items()}), flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        for server in servers:
            await server.stop()


async def caller(turns: int, clock: LoopClock) -> AsyncIterator[AudioFrame]:
    """The questions as frames, each at the end of the time that it covers."""
    question = CALLER.audio(RATE, tail=0.0)
    one = question + bytes(2 * round(EVERY * RATE) - len(question))
    frames = [one[at : at + 2 * FRAME] for at in range(0, len(one), 2 * FRAME)]
    begun = clock.now()
    for number in range(turns * len(frames)):
        await clock.sleep(begun + (number + 1) * 0.02 - clock.now())
        yield AudioFrame(frames[number % len(frames)], RATE)


class FirstFrames:
    """When the first frame of each reply was written, on the machine's clock."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.times: list[float] = []

    async def gather(self, session: Any) -> None:
        """Watch the call to its end."""
        loop = asyncio.get_running_loop()
        spoken = ""
        async for event in session.events("egress.app.audio_chunk"):
            if event.payload.utterance != spoken:
                spoken = event.payload.utterance
                # The event's own time, not that of its reading: what is measured is when it was written.
                self.times.append(loop.time() - (self._clock.now() - event.time))


async def call(turns: int, environment: dict[str, str]) -> list[float]:
    """One call of ``turns`` turns: when each reply's first frame went out."""
    pipeline = echostack.compile(GRAPH, env=environment)
    clock = LoopClock()
    frames = FirstFrames(clock)
    async with asyncio.TaskGroup() as group:
        async with pipeline.session(ingress={"app": caller(turns, clock)}, clock=clock) as session:
            watching = group.create_task(frames.gather(session))
            await session.finished()
        await watching
    return frames.times


def stretches(log: Path, heard: list[float]) -> list[tuple[float, float, float]]:
    """For each turn the seconds from its end to the model's request, from the answer to the synthesiser's text, and
    from its first audio to the first frame out. Turns are told apart by the recogniser's ends."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    ends = [
        t for t, server, what, data in lines if server == "deepgram" and what == "sent" and data.get("speech_final")
    ]
    found = []
    for number, end in enumerate(ends):
        upto = ends[number + 1] if number + 1 < len(ends) else float("inf")
        mine = [line for line in lines if end <= line[0] < upto]
        asked = [t for t, server, what, _ in mine if (server, what) == ("anthropic", "opened")]
        told = [t for t, server, what, _ in mine if (server, what) == ("anthropic", "sent")]
        text = [
            t for t, server, what, data in mine if (server, what) == ("elevenlabs", "received") and data["text"].strip()
        ]
        audio = [t for t, server, what, _ in mine if (server, what) == ("elevenlabs", "sent")]
        first = [t for t in heard if end <= t < upto]
        if asked and told and text and audio and first:
            found.append((asked[0] - end, max(0.0, text[0] - told[-1]), first[0] - audio[0]))
    return found


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--serve"]:
        asyncio.run(serve(Path(arguments[1])))
        return
    turns = 40 if "--quick" in arguments else 200
    if "--turns" in arguments:
        turns = int(arguments[arguments.index("--turns") + 1])
    with TemporaryDirectory() as folder:
        log = Path(folder) / "seen"
        command = [sys.executable, "-m", "benchmarks.provider_overhead", "--serve", str(log)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            environment = json.loads(child.stdout.readline())
            heard = asyncio.run(call(turns, environment))
            child.communicate("")
        found = stretches(log, heard)
    print(f"{len(found)} of {turns} turns, ms added where no provider works          p50     p95     p99     max")
    names = (
        "turn's end -> request at the model",
        "answer -> text at the synthesiser",
        "first audio -> first frame out",
    )
    for name, values in [*zip(names, zip(*found, strict=True), strict=True), ("together", [sum(f) for f in found])]:
        ms = tuple(1000 * v for v in values)
        shown = "".join(f"{v:8.2f}" for v in (*(percentile(ms, share) for share in (0.5, 0.95, 0.99)), max(ms)))
        print(f"  {name:<58}{shown}")


if __name__ == "__main__":
    main()
