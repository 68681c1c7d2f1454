"""leaks: calls of the manifest one after the other and side by side, and what each of them leaves behind.

The graph of ``examples/manifest.json`` is called in this process, on the vendors' own SDKs. The local servers and the
callers are in a process of their own. Every caller interrupts the agent; the calls end in turn by the caller's hanging
up, by his hanging up in the middle of a reply, by the server's closing the room, by hanging up after the connection of
the agent was cut and came back, and by the program's leaving the call in the middle of a reply.

After every batch, when no call is under way, the tasks, file descriptors, threads and handles of the LiveKit SDK of
this process are counted, and its memory; after the last one what the servers still hold open. Of each call every sample
that was written to the egress must be accounted for (played or cleared), the caller must have heard as long as was
played, and the conversation must hold the words that were played and no others. The exit status says whether all that
is so.

``--calls N`` (1,000; 40 with ``--quick``), ``--at-once K`` (8), ``--batch N`` (50; 20 with ``--quick``).
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from livekit.rtc._ffi_client import FfiClient, _live_handles

from echostack import api
from echostack.connectors.livekit.egress import LiveKitEgress
from echostack.connectors.livekit.kept import KEPT
from echostack.connectors.pcm import to_pcm
from echostack.connectors.piper_voice import shared_voice
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.providers.brain import Message, Script
from echostack.providers.caller import Caller
from echostack.providers.deepgram.ears import Lines
from echostack.providers.elevenlabs.voice import Speech, spread
from echostack.providers.local import Local

MANIFEST = Path(__file__).resolve().parents[1] / "examples" / "manifest.json"
LIVE = ("livekit", "deepgram", "anthropic", "elevenlabs")
ENDINGS = ("hangs up", "hangs up in a reply", "room closed", "cut and back", "program leaves")
STORY = " ".join(f"Then came the {word} ship, and it had a lamp." for word in (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
))  # fmt: skip
THANKS = "You are most welcome, and I wish you a very good day by the sea."
CHARACTER_MS = 20
LONGEST = 60.0  # seconds that a call may take
SETTLE = 5.0  # seconds in which what a call had is released
SLACK = 0.35  # seconds: what is on its way, and what a jitter buffer stretches
WORD = 0.3  # seconds of the longest word and the pause behind it


class Tone:
    """A voice of one tone, 20 ms a character: a codec leaves its length as it is."""

    async def speak(self, text: str, rate: int) -> Speech:
        count = round(CHARACTER_MS / 1000 * len(text) * rate)
        wave = 8_000 * np.sin(2 * np.pi * 440 * np.arange(count) / rate)
        return spread(text, wave.astype("<i2").tobytes(), rate)

    def close(self) -> None:
        """Nothing to let go of."""


def answer(messages: Sequence[Message]) -> str:
    """A long story first, which is interrupted; then something short."""
    return STORY if sum(m["role"] == "user" for m in messages) < 2 else THANKS


# -- the servers and the callers ------------------------------------------------------------------------------


class Far:
    """The child: servers, and a caller for each line of stdin that asks for one."""

    def __init__(self, servers: Local) -> None:
        self._servers = servers
        voice = shared_voice("joe")
        pcm = to_pcm(voice.speak("Tell me a story.", speed=1.3, volume=0.6, variation=0.0))
        self._words = np.frombuffer(pcm, np.int16), voice.rate

    async def run(self) -> None:
        lines = await _stdin()
        say(environment=self._servers.environment)
        async with asyncio.TaskGroup() as group:
            while line := await lines.readline():
                asked = json.loads(line)
                if "call" in asked:
                    group.create_task(self._call(asked["call"], asked["ending"]))
                else:
                    await self._count()

    async def _call(self, number: int, ending: str) -> None:
        where, failure = self._servers.environment, ""
        key, room = (where["LIVEKIT_API_KEY"], where["LIVEKIT_API_SECRET"]), f"call-{number}"
        caller = Caller(where["LIVEKIT_URL"], key, room, "caller", LoopClock())
        try:
            async with asyncio.timeout(LONGEST - 10), caller:
                await caller.until_met()
                await asyncio.sleep(0.2)
                await caller.say(*self._words)
                await caller.until_heard(0.5)
                await caller.say(*self._words)  # in the middle of the story
                await caller.until_quiet(0.15)
                await caller.until_heard(0.3)
                await self._end(caller, room, ending, number)
        except (TimeoutError, ConnectorFailure) as error:
            failure = f"the caller: {type(error).__name__} {error}"
        pcm, rate = caller.heard()
        level = np.abs(pcm[: len(pcm) // 480 * 480].reshape(-1, 480).astype(np.int32)).max(axis=1, initial=0)
        say(call=number, heard=float((level >= 500).sum() * 480 / rate), failure=failure)

    async def _end(self, caller: Caller, room: str, ending: str, number: int) -> None:
        server = self._servers.servers["livekit"]
        if ending == "program leaves":
            say(call=number, leave=True)
            await caller.until_quiet(1.0)
        elif ending == "room closed":
            await server.delete(room)
            await caller.ended.wait()
        elif ending == "cut and back":
            for identity in server.rooms[room].participants:
                if identity != "caller":
                    server.cut(room, identity)
            await caller.until_quiet(1.0)
        elif ending == "hangs up":
            await caller.until_quiet(1.0)

    async def _count(self) -> None:
        """What is still open here, once it has had the time to close."""
        server = self._servers.servers["livekit"]
        for _ in range(round(30 / 0.1)):
            if not server.rooms and not any(s.open for s in self._servers.servers.values()):
                break
            await asyncio.sleep(0.1)
        gc.collect()
        still = {name: s.open for name, s in self._servers.servers.items()}
        say(open=still, rooms=len(server.rooms), tasks=len(asyncio.all_tasks()), files=_files())


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def serve() -> None:
    options: Mapping[str, Mapping[str, Any]] = {
        "deepgram": {"recognise": Lines(["Tell me a story."])},
        "elevenlabs": {"voice": Tone(), "pace": 2.0},
    }
    async with Local(LIVE, brain=Script(answer, pause=0.02), options=options) as servers:
        await Far(servers).run()


# -- this process ---------------------------------------------------------------------------------------------


@dataclass
class Mouth:
    """The samples of one egress: what was written, and what a clear or the end took back."""

    rate: int
    written: int = 0
    cleared: int = 0
    played: int = 0

    @property
    def unaccounted(self) -> int:
        return self.written - self.cleared - self.played


MOUTHS: dict[str, Mouth] = {}


def watch(egress: type[LiveKitEgress]) -> None:
    """Have every call's egress tell what is written to it, what it clears and how far it has played."""
    write, clear, close = egress.write, egress.clear, egress.close

    def mouth(self: Any) -> Mouth:
        return MOUTHS.setdefault(self._context.session, Mouth(self.format.rate))

    def written(self: Any, pcm: bytes) -> None:
        write(self, pcm)
        mouth(self).written += len(pcm) // 2

    def cleared(self: Any) -> None:
        clear(self)
        mouth(self).played = self.played()
        mouth(self).cleared += mouth(self).unaccounted

    async def closed(self: Any) -> None:
        await close(self)
        mouth(self).played = self.played()

    for name, counted in (("write", written), ("clear", cleared), ("close", closed)):
        setattr(egress, name, counted)


class Child:
    """The other process, asked by lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[Any, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told = json.loads(line)
            kind = ("leave" if "leave" in told else "done", told["call"]) if "call" in told else next(iter(told))
            self.until(kind).set_result(told)

    def until(self, kind: Any) -> asyncio.Future[dict[str, Any]]:
        return self._waiting.setdefault(kind, asyncio.get_running_loop().create_future())

    def forget(self, number: int) -> None:
        for kind in ("leave", "done"):
            self._waiting.pop((kind, number), None)

    def ask(self, **what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader


@dataclass(frozen=True)
class Counts:
    """What this process has, with no call under way."""

    tasks: int
    files: int
    threads: int
    handles: int
    queues: int
    rss_kb: int

    @classmethod
    async def now(cls) -> Counts:
        """After all that was let go of has had the time to be gone."""
        last = None
        for _ in range(round(SETTLE / 0.25)):
            gc.collect()
            handles = sum(not h.disposed for h in _live_handles)
            # What is kept for the next call is no leak: a handle and a thread each, and no more than calls at once.
            found = (len(asyncio.all_tasks()), _files(), _status("Threads") - len(KEPT), handles - len(KEPT))
            if found == last:
                break
            last = found
            await asyncio.sleep(0.25)
        assert last is not None
        return cls(*last, len(FfiClient.instance.queue._subscribers), _status("VmRSS"))

    def leaked(self, before: Counts) -> list[str]:
        """What there is more of than before; a thread or two of a pool come when they are first needed."""
        slack = {"files": 2, "threads": 4}
        return [
            f"{getattr(self, name) - getattr(before, name)} {name}"
            for name in ("tasks", "files", "threads", "handles", "queues")
            if getattr(self, name) > getattr(before, name) + slack.get(name, 0)
        ]


def _files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise KeyError(key)


async def call(child: Child, environment: dict[str, str], number: int) -> list[str]:
    """One call; what was wrong with it."""
    ending = ENDINGS[number % len(ENDINGS)]
    pipeline = api.compile(
        MANIFEST, settings={"ingress.livekit.rejoin": 0.2}, env={**environment, "LIVEKIT_ROOM": f"call-{number}"}
    )
    session = pipeline.session()
    done, leave = child.until(("done", number)), child.until(("leave", number))
    child.ask(call=number, ending=ending)
    wrong: list[str] = []
    try:
        async with asyncio.timeout(LONGEST):
            async with session:
                finished = asyncio.ensure_future(session.finished())
                over: list[asyncio.Future[Any]] = [finished, leave]
                await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
                finished.cancel()
            told = await done
    except Exception as error:  # noqa: BLE001 - whatever a call ends with is what is wanted here
        wrong.append(f"{type(error).__name__}: {error}")
        told = {"heard": 0.0, "failure": ""}
    finally:
        child.forget(number)
    mouth = MOUTHS.pop(session.id, None)
    if told["failure"]:
        wrong.append(told["failure"])
    if not wrong and mouth is not None:
        wrong += _heard(mouth, told["heard"], [t.text for t in session.conversation if t.role == "agent"], ending)
    if not wrong and not session.stats().interruptions:
        wrong.append("nobody was interrupted")
    return [f"call {number} ({ending}): {w}" for w in wrong]


def _heard(mouth: Mouth, heard: float, texts: list[str], ending: str) -> list[str]:
    played, said = mouth.played / mouth.rate, sum(len(text) for text in texts) * CHARACTER_MS / 1000
    wrong = []
    if mouth.unaccounted:
        wrong.append(f"{mouth.unaccounted} samples of {mouth.written} neither played nor cleared")
    early = 0.0 if ending in ("hangs up", "cut and back") else SLACK  # what was on its way when it ended
    if not -SLACK - early <= heard - played <= SLACK + played / 4:  # a jitter buffer stretches what comes late
        wrong.append(f"{played:.2f} s played, {heard:.2f} s heard")
    if abs(said - played) > WORD * len(texts):
        wrong.append(f"{played:.2f} s played, words of {said:.2f} s in the conversation")
    return wrong


def row(made: int, seconds: float, now: Counts, wrong: int) -> str:
    figures = f"{now.tasks:>5}  {now.files:>5}  {now.threads:>7}  {now.handles:>7}  {now.queues:>6}"
    return f"  {made:>5}  {seconds:>7.0f}  {figures}  {now.rss_kb / 1024:>8.1f}  {wrong:>5}"


async def measure(calls: int, at_once: int, batch: int) -> int:
    """Make the calls, print a line after each batch; how much was wrong."""
    command = [sys.executable, "-m", "benchmarks.leaks", "--serve"]
    pipe = asyncio.subprocess.PIPE
    child = Child(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=MANIFEST.parents[1]))
    environment = (await child.until("environment"))["environment"]
    wrong: list[str] = []
    slots, began = asyncio.Semaphore(at_once), LoopClock()

    async def make(numbers: range) -> None:
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(one(number))

    async def one(number: int) -> None:
        async with slots:
            for one_thing in await call(child, environment, number):
                print(f"  {one_thing}", flush=True)
                wrong.append(one_thing)

    # What is made once and kept for good is there after as many calls as go on at once.
    await make(range(calls, calls + max(at_once, len(ENDINGS))))
    counted = [(0, await Counts.now())]
    print("  calls  seconds  tasks  files  threads  handles  queues  RSS (MB)  wrong")
    print(row(0, began.now(), counted[0][1], len(wrong)), flush=True)
    for first in range(0, calls, batch):
        made = min(first + batch, calls)
        await make(range(first, made))
        counted.append((made, await Counts.now()))
        print(row(made, began.now(), counted[-1][1], len(wrong)), flush=True)
    child.ask(count=True)
    told = await child.until("open")
    await child.end()
    (_, before), (_, after) = counted[0], counted[-1]
    told_already = len(wrong)
    wrong += after.leaked(before)
    wrong += [f"{count} exchanges open at {name}" for name, count in told["open"].items() if count]
    wrong += [f"{told['rooms']} rooms are left"] if told["rooms"] else []
    print(f"  servers: open {sum(told['open'].values())}, rooms {told['rooms']}, tasks {told['tasks']}")
    half = counted[len(counted) // 2]
    if half[0] < calls:
        growth = (after.rss_kb - half[1].rss_kb) / (calls - half[0])
        print(f"  memory: {growth:.1f} kB a call over the second half")
    for line in wrong[told_already:]:
        print(f"  {line}")
    return len(wrong)


def main(arguments: list[str]) -> int:
    if "--serve" in arguments:
        asyncio.run(serve())
        return 0

    def number(name: str, usual: int) -> int:
        return int(arguments[arguments.index(name) + 1]) if name in arguments else usual

    quick = "--quick" in arguments
    watch(LiveKitEgress)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    wrong = asyncio.run(
        measure(
            number("--calls", 40 if quick else 1_000), number("--at-once", 8), number("--batch", 20 if quick else 50)
        )
    )
    sys.stdout.flush()
    os._exit(1 if wrong else 0)  # the SDK's threads may call into an interpreter that is going


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
