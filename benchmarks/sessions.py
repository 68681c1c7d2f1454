"""Sessions: memory and CPU of one call, and how many one core carries at 50 frames a second.

Every call has voice activity, a recogniser, an agent, a synthesiser and a mouth that do no work of their own, so what
is measured is the engine: frames in, one turn every four seconds, two seconds of speech out. The calls run on
virtual time, so a core is busy all the while: CPU seconds a second of call are the share of a core that a call takes.
"""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import echostack.api as echostack
from benchmarks.measure import interleaved, table
from echostack.core.audio import AudioFormat
from echostack.core.clock import InlineCompute
from echostack.core.payloads import (
    AgentMessage,
    AudioChunkStream,
    AudioFrame,
    SpeechStarted,
    SpeechStopped,
    Text,
)  # fmt: skip
from echostack.registry import AudioSink, Inbox, Registry, connector
from echostack.simulation.loop import run_virtual

RATE = 16_000
SECONDS = 20
CALLS = (1, 10, 50)
FRAME = b"\0\0" * (RATE // 50)
SPEECH = b"\1\0" * (RATE // 10)

GRAPH = """
echostack: 1
pipeline:
  - ingress.bench.audio_frame -> bench.vad
  - ingress.bench.audio_frame -> bench.stt -> bench.agent -> bench.tts -> egress.bench.audio_chunk
barge_in: {on: processing.bench.speech_started}
"""


@connector("ingress.bench")
class Line:
    """Replaced by the frames of the case."""

    async def run(self) -> AsyncIterator[AudioFrame]:
        yield AudioFrame(FRAME, RATE)


@connector("bench.vad")
def vad(frame: AudioFrame) -> SpeechStarted | SpeechStopped | None:
    """Voice activity by cue."""
    return SpeechStarted() if frame.track == "speech" else SpeechStopped() if frame.track == "stop" else None


@connector("bench.stt")
class Stt:
    """A turn by cue."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
        async for event in inbox:
            if event.payload.track == "stop":  # type: ignore[attr-defined]
                yield Text("what time is it")


@connector("bench.agent")
async def agent(text: Text) -> AgentMessage:
    """Answers at once."""
    return AgentMessage("it is noon")


@connector("bench.tts", output_format=lambda settings: AudioFormat(RATE))
async def tts(message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
    """Two seconds of speech in pieces of 100 ms."""
    for piece in range(20):
        yield AudioChunkStream(SPEECH, RATE, 1, message.id, "word ", final=piece == 19)


@connector("egress.bench")
class Mouth(AudioSink):
    """Plays by the clock and keeps nothing."""

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(RATE)

    def write(self, pcm: bytes) -> None:
        """Nobody listens."""

    def clear(self) -> None:
        """Nothing is kept."""


REGISTRY = Registry().add(Line, vad, Stt, agent, tts, Mouth)


async def frames(seconds: float) -> AsyncIterator[AudioFrame]:
    """Fifty frames a second, with a turn every four seconds."""
    for number in range(round(seconds * 50)):
        await asyncio.sleep(0.02)
        place = number % 200
        yield AudioFrame(FRAME, RATE, track="speech" if place == 10 else "stop" if place == 60 else "")


def cpu_share(calls: int) -> float:
    """CPU seconds that one second of one call takes, of ``calls`` at once."""

    async def main() -> float:
        pipeline = echostack.compile(GRAPH, registry=REGISTRY, env={})
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(
                    pipeline.session(
                        ingress={"bench": frames(SECONDS)}, egress={"bench": Mouth()}, compute=InlineCompute()
                    )
                )
                for _ in range(calls)
            ]
            started = time.process_time()
            await asyncio.gather(*(call.finished() for call in opened))
            return (time.process_time() - started) / (calls * SECONDS)

    return run_virtual(main())


def memory(calls: int) -> float:
    """KiB that one open call holds while it speaks."""

    async def main() -> float:
        pipeline = echostack.compile(GRAPH, registry=REGISTRY, env={})
        async with AsyncExitStack() as stack:
            gc.collect()
            tracemalloc.start()
            for _ in range(calls):
                await stack.enter_async_context(
                    pipeline.session(ingress={"bench": frames(10)}, egress={"bench": Mouth()}, compute=InlineCompute())
                )
            await asyncio.sleep(2.0)
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return held / calls / 1024

    return run_virtual(main())


def main() -> None:
    """Print CPU, calls a core, and memory."""
    cases = {f"{n} call{'s' if n > 1 else ''} at once": (lambda n=n: cpu_share(n) * 100) for n in CALLS}
    results = interleaved(cases, rounds=5)
    print("\n".join(table("CPU of one call", "% of a core", results)))
    for result in results:
        print(f"  {result.case}: one core carries {100 / result.median:,.0f} such calls in real time")
    print(f"memory of one call that speaks (of 20 at once): {memory(20):,.0f} KiB")


if __name__ == "__main__":
    main()
