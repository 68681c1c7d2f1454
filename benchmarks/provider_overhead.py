"""Provider overhead: what EchoStack and its connectors add, voice to voice, to the times of the providers themselves.

The manifest's chain runs in real time against local servers in a process of their own, and beside it in the same loop
the chain of ``by_hand``: the vendors' own clients without EchoStack. Their turns alternate. Both processes read one
clock, the machine's, so for each turn three stretches are known in which no provider works: from the recogniser's end
of the turn to the request at the model, from the model's last word to the text at the synthesiser, and from the
synthesiser's first audio to the first frame out. Their sum holds both directions of the loopback and the vendors' SDKs
in both chains; the rest is what the connectors and the engine add. The engine's own share is measured besides: from the
recogniser's turn to the call of the agent, from the agent's words to the call of the synthesiser, and from its audio to
the write. First turns stand apart, each in a process of its own.

``--turns N`` sets how many turns of each chain (200; 40 with ``--quick``), ``--first N`` how many first turns (5; 2).
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import echostack.api as echostack
from benchmarks import by_hand
from echostack.connectors.claude.agent import ClaudeAgent
from echostack.connectors.elevenlabs.tts import ElevenLabsTts
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

RATE = by_hand.RATE
FRAME = RATE // 50
QUESTION = "when are you open"
ANSWER = "We open at nine in the morning."
EVERY = 2.0  # seconds from one question to the next; the other chain's come in the middle
TOKEN = 0.01  # seconds the model takes for a word: a burst of all at once would be a load that no model makes
SPOKEN_MS = 10  # a character of the answer: 0.3 s in all, so that it is over before the next question
WANTED = {
    ("deepgram", "sent"), ("anthropic", "opened"), ("anthropic", "sent"),
    ("elevenlabs", "received"), ("elevenlabs", "sent"),
}  # fmt: skip
STRETCHES = (
    "turn's end -> request at the model",
    "last word -> text at the synthesiser",
    "first audio -> first frame out",
)
SHARES = ("turn -> agent called", "words -> synthesiser called", "audio -> written")
Stretches = tuple[float, float, float]

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
                    seen = [loop.time(), server, sighting.exchange, sighting.what, dict(sighting.data)]
                    out.write(json.dumps(seen, default=str) + "\n")

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


async def questions(turns: int, clock: LoopClock, ready: asyncio.Barrier, late: float) -> AsyncIterator[bytes]:
    """The questions as frames, each at the end of the time that it covers, ``late`` seconds after all are ``ready``."""
    question = CALLER.audio(RATE, tail=0.0)
    one = question + bytes(2 * round(EVERY * RATE) - len(question))
    frames = [one[at : at + 2 * FRAME] for at in range(0, len(one), 2 * FRAME)]
    await ready.wait()
    begun = clock.now() + late
    for number in range(turns * len(frames)):
        await clock.sleep(begun + (number + 1) * 0.02 - clock.now())
        yield frames[number % len(frames)]


class Watch:
    """When what happened in EchoStack's chain, on the machine's clock: the engine's events, and its calls."""

    def __init__(self, clock: LoopClock) -> None:
        self._loop = asyncio.get_running_loop()
        self._ahead = self._loop.time() - clock.now()
        self.first: list[float] = []
        self.shares: dict[str, list[float]] = {share: [] for share in SHARES}

    def called(self, connector: type, share: str) -> Callable[[], None]:
        """Have the time from an event's making to its call of ``connector`` noted; what undoes that."""
        call: Any = connector.__call__

        def noted(node: Any, event: Any) -> Any:
            times.append(self._loop.time())
            return call(node, event)

        times: list[float] = []
        self.shares[share] = times
        connector.__call__ = noted  # type: ignore[method-assign]

        def undo() -> None:
            connector.__call__ = call  # type: ignore[method-assign]

        return undo

    async def follow(self, session: Any) -> None:
        """Watch the call to its end."""
        spoken, made = "", 0.0
        turns: list[float] = []
        words: list[float] = []
        async for event in session.events(
            "processing.deepgram.text", "processing.claude.agent_message.partial",
            "processing.elevenlabs.audio_chunk.stream", "egress.app.audio_chunk",
        ):  # fmt: skip
            # The event's own time, not that of its reading: what is measured is when it was made.
            time = event.time + self._ahead
            match event.name:
                case "processing.deepgram.text":
                    turns.append(time)
                case "processing.claude.agent_message.partial":
                    words.append(time)
                case "egress.app.audio_chunk" if event.payload.utterance != spoken:
                    spoken = event.payload.utterance
                    self.first.append(time)
                    self.shares[SHARES[2]].append(time - made)
                case "processing.elevenlabs.audio_chunk.stream" if (
                    event.payload.utterance != spoken and event.payload.text
                ):
                    made = time
        for share, begun in zip(SHARES, (turns, words), strict=False):
            self.shares[share] = [after - before for before, after in zip(begun, self.shares[share], strict=False)]


async def of_echostack(turns: int, environment: dict[str, str], ready: asyncio.Barrier) -> Watch:
    """One call of ``turns`` turns by EchoStack: when each reply's first frame went out, and the engine's share."""
    pipeline = echostack.compile(GRAPH, env=environment)
    clock = LoopClock()
    watch = Watch(clock)
    undo = [watch.called(ClaudeAgent, SHARES[0]), watch.called(ElevenLabsTts, SHARES[1])]

    async def frames() -> AsyncIterator[AudioFrame]:
        async for pcm in questions(turns, clock, ready, 0.0):
            yield AudioFrame(pcm, RATE)

    try:
        async with asyncio.TaskGroup() as group:
            async with pipeline.session(ingress={"app": frames()}, clock=clock) as session:
                following = group.create_task(watch.follow(session))
                await session.finished()
            await following
    finally:
        for step in undo:
            step()
    return watch


async def of_hand(turns: int, environment: dict[str, str], ready: asyncio.Barrier) -> list[float]:
    """The same by the chain that is written by hand."""
    loop = asyncio.get_running_loop()
    first: list[float] = []
    frames = questions(turns, LoopClock(), ready, EVERY / 2)
    await by_hand.call(frames, environment, lambda: first.append(loop.time()))
    return first


def stretches(log: Path, heard: Sequence[float]) -> dict[int, list[Stretches]]:
    """For each turn, by the exchange at the recogniser that it belongs to, the seconds in which no provider worked.
    Turns are told apart by the recogniser's ends: they alternate, and each is over before the next."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    ends = [
        (time, exchange)
        for time, server, exchange, what, data in lines
        if server == "deepgram" and what == "sent" and data.get("speech_final")
    ]
    found: dict[int, list[Stretches]] = {}
    for number, (end, exchange) in enumerate(ends):
        upto = ends[number + 1][0] if number + 1 < len(ends) else float("inf")
        mine = [(t, server, what, data) for t, server, _, what, data in lines if end <= t < upto]
        asked = [t for t, server, what, _ in mine if (server, what) == ("anthropic", "opened")]
        told = [t for t, server, what, d in mine if (server, what) == ("anthropic", "sent") and "text_delta" in str(d)]
        text = [t for t, server, what, d in mine if (server, what) == ("elevenlabs", "received") and d["text"].strip()]
        audio = [t for t, server, what, _ in mine if (server, what) == ("elevenlabs", "sent")]
        first = [t for t in heard if end <= t < upto]
        if asked and told and text and audio and first:
            three = asked[0] - end, text[0] - told[-1], first[0] - audio[0]
            found.setdefault(exchange, []).append(three)
    return found


class Servers:
    """The local servers in a process of their own: ``environment`` says where, ``log`` what they saw."""

    def __enter__(self) -> Servers:
        self._folder = TemporaryDirectory()
        self.log = Path(self._folder.name) / "seen"
        command = [sys.executable, "-m", "benchmarks.provider_overhead", "--serve", str(self.log)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        self.environment: dict[str, str] = json.loads(self._child.stdout.readline())
        return self

    def end(self) -> None:
        """Stop them; the log is whole then."""
        self._child.communicate("")

    def __exit__(self, *error: object) -> None:
        self._child.kill()
        self._child.wait()
        self._folder.cleanup()


async def both(turns: int, environment: dict[str, str]) -> tuple[Watch, list[float]]:
    """A call by either chain, the second one half a turn behind."""
    ready = asyncio.Barrier(2)
    async with asyncio.TaskGroup() as group:
        hand = group.create_task(of_hand(turns, environment, ready))
        watch = await of_echostack(turns, environment, ready)
    return watch, hand.result()


def compared(turns: int) -> None:
    """Both chains in one run, turn by turn."""
    with Servers() as servers:
        watch, hand = asyncio.run(both(turns + 1, servers.environment))
        servers.end()
        found = list(stretches(servers.log, sorted([*watch.first, *hand])).values())
    ours, theirs = (part[1:] for part in found)  # EchoStack's recogniser connects first; the first turns stand apart
    print(f"{len(ours)} and {len(theirs)} of {turns} turns, ms; load {os.getloadavg()[0]:.1f}      p50     p95     p99")
    for name, turn in (("EchoStack", ours), ("by hand", theirs)):
        for place, stretch in enumerate(STRETCHES):
            print(told(f"{name}: {stretch}", (t[place] for t in turn)))
        print(told(f"{name}: together", (sum(t) for t in turn)))
    sums = [tuple(sum(t) for t in turn) for turn in (ours, theirs)]
    shares = (0.5, 0.95, 0.99)
    added = "".join(f"{1000 * (percentile(sums[0], s) - percentile(sums[1], s)):8.2f}" for s in shares)
    print(f"  {'EchoStack adds, by the difference':<52}{added}")
    whole = list(zip(*(watch.shares[share][1:] for share in SHARES), strict=False))
    for place, share in enumerate(SHARES):
        print(told(f"the engine: {share}", (t[place] for t in whole)))
    print(told("the engine: together", (sum(t) for t in whole)))


def begun(count: int) -> None:
    """The first turn of a process, by either chain."""
    firsts: dict[str, list[float]] = {"EchoStack": [], "by hand": []}
    for _ in range(count):
        for name, values in firsts.items():
            with Servers() as servers:
                command = [sys.executable, "-m", "benchmarks.provider_overhead", "--one", name]
                told = subprocess.run(
                    command, input=json.dumps(servers.environment), capture_output=True, text=True, check=True
                )
                servers.end()
                values += [sum(t) for turns in stretches(servers.log, json.loads(told.stdout)).values() for t in turns]
    print(f"{count} first turns of a process, ms                            p50     max")
    for name, values in firsts.items():
        print(f"  {name:<52}{1000 * statistics.median(values):8.1f}{1000 * max(values):8.1f}")


def told(name: str, seconds: Iterable[float]) -> str:
    """A line of the table."""
    ms = tuple(1000 * s for s in seconds)
    return f"  {name:<52}" + "".join(f"{percentile(ms, share):8.2f}" for share in (0.5, 0.95, 0.99))


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--serve"]:
        asyncio.run(serve(Path(arguments[1])))
        return
    if arguments[:1] == ["--one"]:
        environment = json.load(sys.stdin)
        if arguments[1] == "by hand":
            heard = asyncio.run(of_hand(1, environment, asyncio.Barrier(1)))
        else:
            heard = asyncio.run(of_echostack(1, environment, asyncio.Barrier(1))).first
        print(json.dumps(heard))
        return
    quick = "--quick" in arguments

    def number(option: str, default: int) -> int:
        return int(arguments[arguments.index(option) + 1]) if option in arguments else default

    compared(number("--turns", 40 if quick else 200))
    begun(number("--first", 2 if quick else 5))


if __name__ == "__main__":
    main()
