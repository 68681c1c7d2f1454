"""Barge-in over real providers' protocols: from speech detected to silence, and to both streams given up.

The manifest's chain runs alone in its process, as ``echostack run`` has it. LiveKit, Deepgram, Claude and ElevenLabs
are local servers in another, with a caller who interrupts a long answer again and again. Both processes read the
machine's one clock. Silence is the last audible sample that the LiveKit server had of the agent, decoded; a stream is
over when its server sees it. ``--rounds N`` sets how many interruptions there are (30; 8 with ``--quick``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import structlog

import echostack.api as echostack
from echostack.core.clock import LoopClock
from echostack.providers.brain import Script
from echostack.providers.caller import Caller
from echostack.providers.deepgram.ears import Lines
from echostack.providers.elevenlabs.voice import Speech, spread
from echostack.providers.local import Local
from echostack.providers.seen import Sighting
from echostack.runtime.stats import percentile

MANIFEST = Path(__file__).resolve().parents[1] / "examples" / "manifest.json"
NAMES = ("livekit", "deepgram", "anthropic", "elevenlabs")
STORY = " ".join("Then came another ship, and it had a lamp." for _ in range(20))
TOKEN = 0.04  # seconds the model takes for a word
HEARD = 1.0  # seconds of the answer before it is interrupted
RATE = 48_000
WITHIN = 0.020


class Tone:
    """A voice without weights or pauses: 40 ms of a tone for a character."""

    async def speak(self, text: str, rate: int) -> Speech:
        wave = 8_000 * np.sin(2 * np.pi * 440 * np.arange(round(0.04 * len(text) * rate)) / rate)
        return spread(text, wave.astype("<i2").tobytes(), rate)

    def close(self) -> None:
        """Nothing to let go of."""


def words() -> bytes:
    """What the caller's turns sound like: 0.8 s that a voice activity detector takes for speech."""
    at = np.arange(round(0.8 * RATE)) / RATE
    voiced = sum(np.sin(2 * np.pi * 140 * k * at) / k for k in range(1, 20))
    made = 5_000 * voiced * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))
    return bytes(made.astype("<i2").tobytes())


async def serve(log: Path, rounds: int) -> None:
    """The child: servers and caller. Its environment is a line on stdout; what it saw, lines of ``log``."""
    loop = asyncio.get_running_loop()
    with log.open("w", encoding="utf-8") as out:

        def told(server: str, sighting: Sighting) -> None:
            data: dict[str, Any] = dict(sighting.data)
            what, now = sighting.what, loop.time()
            if server == "livekit" and what == "silent" and str(data["identity"]).startswith("agent"):
                line = [now - (servers.servers[server].clock.now() - data["at"]), what]
            elif server == "anthropic" and what == "cancelled":
                line = [now, what]
            elif server == "elevenlabs" and what == "context closed" and data.get("unsent_ms", 0) > 0:
                line = [now, "context"]
            else:
                return
            out.write(json.dumps(line) + "\n")

        options: dict[str, dict[str, Any]] = {
            "deepgram": {"recognise": Lines(["Tell me a story."], apart=0.5)},
            "elevenlabs": {"voice": Tone(), "pace": 2.0},
        }
        servers = Local(NAMES, brain=Script([STORY], pause=TOKEN), options=options, tell=told)
        async with servers:
            where = servers.environment
            key = (where["LIVEKIT_API_KEY"], where["LIVEKIT_API_SECRET"])
            async with Caller(where["LIVEKIT_URL"], key, where["LIVEKIT_ROOM"], "caller", LoopClock()) as caller:
                print(json.dumps(dict(where)), flush=True)
                await caller.until_met()
                await asyncio.sleep(0.5)
                for turn in range(rounds + 1):
                    await caller.say(words(), RATE)
                    if turn < rounds:
                        await caller.until_heard(HEARD)
            await loop.run_in_executor(None, sys.stdin.read)  # until the other side's call is over


async def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds that each step of each interruption took; one list a step, in the order of the interruptions."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "seen.jsonl"
        command = [sys.executable, "-m", "benchmarks.provider_barge_in", "--serve", str(log), str(rounds)]
        child = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            where = json.loads(await child.stdout.readline())
            settings = {"ingress.livekit.rejoin": 0}
            session = echostack.compile(MANIFEST, env=where, settings=settings).session()
            loop = asyncio.get_running_loop()
            detected: list[float] = []
            committed: list[float] = []
            async with session:
                events = session.events("control.barge_in.suspended", "control.barge_in.committed")
                async for event in events:
                    at = loop.time() - (session.now - event.time)
                    (detected if event.name.endswith("suspended") else committed).append(at)
            child.stdin.close()
            await child.wait()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        seen = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    found: dict[str, list[float]] = {"silent": [], "settled": [], "cancelled": [], "context": []}
    for number, at in enumerate(detected):
        until = detected[number + 1] if number + 1 < len(detected) else at + 5.0
        decided = next((c for c in committed if at <= c < until), None)
        if decided is None:
            continue  # taken back: what was heard was no turn
        found["settled"].append((decided - at) * 1000)
        # The last sample may be older than the detection, where a sentence has just ended.
        for what, since, origin in (("silent", at - 0.2, at), ("cancelled", at, decided), ("context", at, decided)):
            when = next((t for t, w in seen if w == what and since <= t < until), None)
            if when is not None:
                found[what].append((when - origin) * 1000)
    return found


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when an interruption was heard later than it may be."""
    rounds = int(arguments[arguments.index("--rounds") + 1]) if "--rounds" in arguments else 30
    rounds = 8 if "--quick" in arguments else rounds
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found = asyncio.run(measure(rounds))
    print(f"  {'ms':<58} {'n':>3} {'min':>7} {'p50':>7} {'p95':>7} {'max':>7}")
    names = {
        "silent": "speech detected -> last audible sample at the server",
        "settled": "speech detected -> interruption settled (it is a turn)",
        "cancelled": "settled -> the model's server sees its stream given up",
        "context": "settled -> the synthesiser's server sees its context closed",
    }
    for what, name in names.items():
        took = sorted(found[what])
        if took:
            p50, p95 = percentile(tuple(took), 0.5), percentile(tuple(took), 0.95)
            print(f"  {name:<58} {len(took):>3} {took[0]:>7.1f} {p50:>7.1f} {p95:>7.1f} {took[-1]:>7.1f}")
    late = [ms for ms in found["silent"] if ms > WITHIN * 1000]
    print(f"  heard for more than {WITHIN * 1000:g} ms after the detection: {len(late)} of {len(found['silent'])}")
    return 1 if not found["silent"] else 0


if __name__ == "__main__":
    if "--serve" in sys.argv:
        asyncio.run(serve(Path(sys.argv[-2]), int(sys.argv[-1])))
    else:
        sys.exit(main(sys.argv[1:]))
