"""A small cast for calls on virtual time: a caller whose script says what is heard when, and connectors whose every
delay is a setting.

The caller's line carries frames whose ``track`` is a cue: ``speech`` and ``stop`` for the voice activity, ``partial:…``
and ``say:…`` for the recogniser. Both connectors read a cue in no time, so a script's times are the call's times.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import echostack.api as echostack
from echostack.core.audio import AudioFormat
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.events import Event, EventPattern
from echostack.core.payloads import (
    AgentMessage,
    AudioChunkStream,
    AudioFrame,
    SpeechStarted,
    SpeechStopped,
    Text,
    TextPartial,
)  # fmt: skip
from echostack.registry import AudioSink, ConnectorSettings, Context, Registry, Turn, connector
from echostack.runtime import Session, Stats
from echostack.simulation.loop import run_virtual
from tests.runtime.sinks import MemorySink

RATE = 16_000
WORD_SECONDS = 0.5
Script = Iterable[tuple[float, str]]


@connector("ingress.line", output_format=lambda settings: AudioFormat(RATE))
class Line:
    """The caller's end when nothing stands in for it: silent."""

    async def run(self) -> AsyncIterator[AudioFrame]:
        await asyncio.Event().wait()
        yield AudioFrame(b"", RATE)


@connector("egress.line")
class Mouth(AudioSink):
    """The far end when nothing stands in for it: deaf."""

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(RATE)

    def write(self, pcm: bytes) -> None: ...

    def clear(self) -> None: ...


@connector("ear.vad")
class Vad:
    """Voice activity as the script has it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self, frame: AudioFrame) -> SpeechStarted | SpeechStopped | None:
        now = self._context.clock.now()
        if frame.track == "speech":
            return SpeechStarted(now)
        return SpeechStopped(now) if frame.track == "stop" else None


@connector("ear.stt")
def stt(frame: AudioFrame) -> Text | TextPartial | None:
    """Words as the script has them."""
    cue, _, words = frame.track.partition(":")
    if cue == "partial":
        return TextPartial(words)
    return Text(words) if cue == "say" else None


class Pace(ConnectorSettings):
    """How long a connector waits before it answers."""

    seconds: float = 0.0
    """The wait in seconds."""


@connector("acme.agent")
class Agent:
    """Says ten words that name the turn they answer: "hello-1 hello-2 …"."""

    def __init__(self, settings: Pace, context: Context) -> None:
        self._wait, self._clock = settings.seconds, context.clock

    async def __call__(self, text: Text) -> AgentMessage:
        await self._clock.sleep(self._wait)
        return AgentMessage(reply_to(text.text))


@connector("acme.tts", output_format=lambda settings: AudioFormat(RATE))
class Tts:
    """Half a second of sound a word; every sample of an utterance is the same number, told by its first word."""

    def __init__(self, settings: Pace, context: Context) -> None:
        self._wait, self._clock = settings.seconds, context.clock

    async def __call__(self, message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
        await self._clock.sleep(self._wait)
        words = message.text.split()
        for number, word in enumerate(words, 1):
            yield spoken(word, message, final=number == len(words))


def reply_to(said: str) -> str:
    """The ten words that the agent answers ``said`` with."""
    first = said.split()[0].strip("!?.,").lower() if said.split() else "nothing"
    return " ".join(f"{first}-{n}" for n in range(1, 11))


def spoken(word: str, message: AgentMessage, *, final: bool) -> AudioChunkStream:
    """One word as sound."""
    pcm = tone(word) * round(RATE * WORD_SECONDS)
    return AudioChunkStream(pcm, RATE, 1, message.id, f"{word} ", final=final, interruptible=message.interruptible)


def tone(word: str) -> bytes:
    """The one sample that stands for all words of an utterance."""
    return (sum(word.split("-")[0].encode()) % 30_000 + 1).to_bytes(2, "little")


def hears(*rules: str, connectors: str = "{}", barge_in: str = "off") -> str:
    """A graph that turns cues into words; ``rules`` are the rest of it."""
    lines = "".join(f"  - {rule}\n" for rule in ("ingress.line.audio_frame -> ear.stt", *rules))
    return f"echostack: 1\nconnectors: {connectors}\npipeline:\n{lines}barge_in: {barge_in}\n"


CALL = """
echostack: 1
name: call
connectors:
  acme.agent: {seconds: 0.4}
  acme.tts: {seconds: 0.1}
pipeline:
  - ingress.line.audio_frame -> ear.vad
  - ingress.line.audio_frame -> ear.stt -> acme.agent -> acme.tts -> egress.line.audio_chunk
barge_in: {on: processing.ear.speech_started}
"""
"""A turn that ends at t is answered from t + 0.5 on, for 5 s."""


def registry(*more: Any) -> Registry:
    """The cast, with ``more`` in the place of those of the same name."""
    return Registry().add(Line, Mouth, Vad, stt, Agent, Tts, *more)


async def cues(script: Script, clock: LoopClock, until: float) -> AsyncIterator[AudioFrame]:
    """The caller's line by the script, then open until ``until``."""
    for when, cue in script:
        await clock.sleep(when - clock.now())
        yield AudioFrame(b"\0\0", RATE, track=cue)
    await clock.sleep(until - clock.now())


@dataclass(slots=True)
class Outcome:
    """A call that is over."""

    events: list[Event]
    turns: tuple[Turn, ...]
    stats: Stats
    sink: MemorySink

    def at(self, pattern: str) -> list[tuple[float, Any]]:
        """When which payloads of matching events came."""
        wanted = EventPattern.parse(pattern)
        return [(round(e.time, 6), e.payload) for e in self.events if wanted.matches(e.name)]

    def times(self, pattern: str) -> list[float]:
        return [time for time, _ in self.at(pattern)]

    @property
    def said(self) -> list[tuple[str, str]]:
        """The conversation as (role, text)."""
        return [(t.role, t.text) for t in self.turns]

    def heard(self, word: str) -> float:
        """Seconds of the utterance of ``word`` that the far end played."""
        mine, pcm = tone(word), self.sink.heard
        return sum(pcm[at : at + 2] == mine for at in range(0, len(pcm), 2)) / RATE


During = Callable[[Session, LoopClock], Awaitable[None]]


def play(
    script: Script,
    *more: Any,
    graph: str = CALL,
    until: float = 20.0,
    during: During | None = None,
    **options: Any,
) -> Outcome:
    """Run one call on virtual time to its end. ``during`` runs beside it and is over before it is."""

    async def main() -> Outcome:
        clock = LoopClock(wall=lambda: 0.0)
        sink = MemorySink(clock)
        pipeline = echostack.compile(graph, registry=registry(*more), env={})
        session = pipeline.session(
            session="call", clock=clock, compute=InlineCompute(), ingress={"line": cues(script, clock, until)},
            egress={"line": sink} if "egress.line" in graph else {}, **options,
        )  # fmt: skip
        async with session as call:
            events = call.events()
            if during is not None:
                await during(call, clock)
            await call.finished()
        seen = [event async for event in events]
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        assert not left, f"tasks outlive the call: {left}"
        return Outcome(seen, call.conversation, call.stats(), sink)

    return run_virtual(main())
