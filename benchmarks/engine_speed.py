"""Engine speed: how many times faster than real time a call runs whose connectors take next to no processor.

The caller says a turn every eight seconds: frames of 20 ms while speaking, a comfort frame every 400 ms in silence, as
Opus sends them. The agent streams its reply token by token, the synthesiser speaks a second for each sentence, and
every fourth reply is interrupted. The connectors take their time on the clock and next to none of the processor, so
what is measured is the engine and the virtual loop; the far end takes two seconds ahead, as a simulated one may.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

import echostack.api as echostack
from benchmarks.measure import interleaved, table
from echostack.core.audio import AudioFormat
from echostack.core.clock import InlineCompute
from echostack.core.events import Event
from echostack.core.kinds import Overflow
from echostack.core.payloads import (
    AgentMessagePartial,
    AudioChunkStream,
    AudioFrame,
    SpeechStarted,
    SpeechStopped,
    Text,
    TextPartial,
)  # fmt: skip
from echostack.registry import AudioSink, Context, Inbox, Registry, connector
from echostack.runtime import Session
from echostack.simulation.loop import run_virtual

CALLER, AGENT = AudioFormat(16_000), AudioFormat(24_000)
SECONDS = 600.0
CALLS = 100
OPENINGS = 200
TURN_EVERY, TURN_LASTS, CUT_AFTER = 8.0, 2.8, 2.0
FRAME, COMFORT = 0.02, 0.4
SENTENCES, TOKENS = 4, 4

SPEECH_FRAME = CALLER.silence(FRAME)
SENTENCE = b"\1\0" * AGENT.samples_in(1.0)

GRAPH = """
echostack: 1
pipeline:
  - ingress.bench.audio_frame -> bench.vad
  - ingress.bench.audio_frame -> bench.stt -> bench.agent -> bench.tts -> egress.bench.audio_chunk
barge_in: {on: processing.bench.speech_started}
"""

WIDE_GRAPH = """
echostack: 1
pipeline:
  - ingress.bench.audio_frame -> bench.vad
  - ingress.bench.audio_frame -> bench.stt -> bench.agent -> bench.tts -> egress.bench.audio_chunk
  - bench.stt -> tidy_one -> tidy_two -> tidy_three
  - bench.stt -> look_up_one -> look_up_two -> look_up_three
connectors:
  tidy_one: {use: bench.tidy}
  tidy_two: {use: bench.tidy}
  tidy_three: {use: bench.tidy}
  look_up_one: {use: bench.look_up}
  look_up_two: {use: bench.look_up}
  look_up_three: {use: bench.look_up}
barge_in: {on: processing.bench.speech_started}
"""


@connector("ingress.bench", output_format=lambda settings: CALLER)
class Line:
    """Replaced by the caller of each case."""

    async def run(self) -> AsyncIterator[AudioFrame]:
        yield AudioFrame(SPEECH_FRAME, CALLER.rate)


@connector("bench.vad")
def vad(frame: AudioFrame) -> SpeechStarted | SpeechStopped | None:
    """Voice activity by cue."""
    if not frame.track:
        return None
    return SpeechStarted() if frame.track == "speech" else SpeechStopped() if frame.track == "stop" else None


@connector("bench.stt")
class Stt:
    """A partial text every 300 ms of speech, and a turn by cue."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial]:
        said = 0
        async for event in inbox:
            if event.payload.track == "stop":  # type: ignore[attr-defined]
                said = 0
                yield Text("what time is it in the city of Vienna")
            elif event.payload.pcm:  # type: ignore[attr-defined]
                said += 1
                if said % 15 == 0:
                    yield TextPartial("what time is it")

    def interrupted(self) -> None:
        """The caller's words are his own, whatever happens to the reply."""


@connector("bench.agent")
class Agent:
    """Thinks for 300 ms and streams sentences token by token."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock

    async def __call__(self, text: Text) -> AsyncIterator[AgentMessagePartial]:
        await self._clock.sleep(0.3)
        for token in range(SENTENCES * TOKENS):
            await self._clock.sleep(0.03)
            end = "." if token % TOKENS == TOKENS - 1 else ""
            yield AgentMessagePartial(f"word{end} ", final=token == SENTENCES * TOKENS - 1)


@connector("bench.tts", output_format=lambda settings: AGENT)
class Tts:
    """A second of speech for each sentence, 100 ms after its last token."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock

    async def __call__(self, message: AgentMessagePartial) -> AsyncIterator[AudioChunkStream]:
        if message.text.rstrip().endswith("."):
            await self._clock.sleep(0.1)
            yield AudioChunkStream(SENTENCE, AGENT.rate, 1, message.id, "four words at once", final=message.final)


@connector("bench.tidy")
def tidy(text: Text) -> Text:
    """A step that costs nothing."""
    return text


@connector("bench.look_up")
async def look_up(text: Text) -> Text:
    """A step that might wait."""
    return text


@connector("egress.bench", output_format=lambda settings: AGENT)
class Mouth(AudioSink):
    """A far end that takes two seconds ahead and plays by the clock."""

    lead = 2.0
    stride = 1.0

    def __init__(self) -> None:
        self.samples = 0

    @property
    def format(self) -> AudioFormat:
        return AGENT

    def write(self, pcm: bytes) -> None:
        self.samples += len(pcm) // 2

    def clear(self) -> None:
        """What is written again is counted again: this counts work, not what is heard."""


REGISTRY = Registry().add(Line, vad, Stt, Agent, Tts, tidy, look_up, Mouth)


def turns(seconds: float) -> list[float]:
    """When the caller begins to speak: every eight seconds, every fourth time two seconds into the reply before."""
    reply = TURN_LASTS + 0.3 + TOKENS * 0.03 + 0.1 + CUT_AFTER
    count = int(seconds / TURN_EVERY)
    return [n * TURN_EVERY - (TURN_EVERY - reply if n % 4 == 3 else 0.0) for n in range(count)]


async def caller(seconds: float) -> AsyncIterator[AudioFrame]:
    """The caller's frames, each at its time."""
    now = 0.0
    sound, comfort = (AudioFrame(SPEECH_FRAME, CALLER.rate), AudioFrame(b"", CALLER.rate))
    first, last = (AudioFrame(SPEECH_FRAME, CALLER.rate, track=cue) for cue in ("speech", "stop"))
    for start, following in zip(turns(seconds), [*turns(seconds)[1:], seconds], strict=True):
        while now < start - 1e-9:
            await asyncio.sleep(step := min(COMFORT, start - now))
            now += step
            yield comfort
        frames = round(TURN_LASTS / FRAME)
        for number in range(frames):
            await asyncio.sleep(FRAME)
            now += FRAME
            yield first if number == 0 else last if number == frames - 1 else sound
        while now < following - COMFORT:
            await asyncio.sleep(COMFORT)
            now += COMFORT
            yield comfort


def opened(graph: echostack.Pipeline, seconds: float = SECONDS) -> Session:
    """A call that has not begun."""
    return graph.session(
        session="bench", ingress={"bench": caller(seconds)}, egress={"bench": Mouth()}, compute=InlineCompute()
    )


def compiled(graph: str = GRAPH) -> echostack.Pipeline:
    return echostack.compile(graph, registry=REGISTRY, env={})


Watch = Callable[[Session], None]


def unwatched(call: Session) -> None:
    """Nobody looks at the call's events."""


def watched(call: Session) -> None:
    """A subscription to every event, which keeps the last 64: what a recording pays before it writes."""
    call.events(queue=64, overflow=Overflow.DROP_OLDEST)


def times_real(watch: Watch, calls: int = 1, seconds: float = SECONDS) -> float:
    """Seconds of call simulated in one second of processor time, all calls together."""

    async def main() -> float:
        pipeline = compiled()
        started = time.process_time()
        async with AsyncExitStack() as stack:
            opened_calls = []
            for _ in range(calls):
                call = opened(pipeline, seconds)
                watch(call)
                opened_calls.append(await stack.enter_async_context(call))
            await asyncio.gather(*(call.finished() for call in opened_calls))
        return calls * seconds / (time.process_time() - started)

    return run_virtual(main())


def opening(graph: str) -> float:
    """Milliseconds of processor time to open a call and to close it again."""

    async def main() -> float:
        pipeline = compiled(graph)
        started = time.process_time()
        for _ in range(OPENINGS):
            async with opened(pipeline):
                pass
        return (time.process_time() - started) / OPENINGS * 1000

    return run_virtual(main())


def what_happens() -> str:
    """The benchmark call in figures, so that what is fast is known to be a call."""
    kinds: dict[str, int] = {}

    async def main() -> str:
        mouth = Mouth()
        call = compiled().session(
            session="bench", ingress={"bench": caller(SECONDS)}, egress={"bench": mouth}, compute=InlineCompute()
        )
        events = call.events(queue=10_000_000)
        async with call:
            await call.finished()
            stats, said = call.stats(), call.conversation
        seen: Event
        async for seen in events:
            kinds[seen.name] = kinds.get(seen.name, 0) + 1
        heard = sum(1 for turn in said if turn.role == "agent")
        return (
            f"{stats.seconds:.0f} s, {sum(kinds.values()):,} events, {kinds['processing.bench.audio_frame']:,} frames "
            f"in, {kinds['processing.bench.text']} turns, {heard} replies heard, {stats.interruptions} cut"
        )

    return run_virtual(main())


def main(arguments: Sequence[str] = ()) -> None:
    """Print the ratios to real time, what opening a call costs, and what the call consists of. ``--quick``: fewer
    rounds, and a minute of each of the calls at once in place of ten."""
    quick = "--quick" in arguments
    rounds = 3 if quick else 5
    cases: dict[str, Callable[[], float]] = {
        "one call": lambda: times_real(unwatched),
        "one call, every event observed": lambda: times_real(watched),
    }
    print("\n".join(table("speed of a call", "times real time", interleaved(cases, rounds=rounds))))
    together = {f"{CALLS} calls": lambda: times_real(unwatched, CALLS, SECONDS / 10 if quick else SECONDS)}
    print("\n".join(table("calls at once in one loop", "times real time", interleaved(together, rounds=1, warm_up=0))))
    empty = {f"graph of {n} nodes": (lambda g=g: opening(g)) for n, g in ((6, GRAPH), (12, WIDE_GRAPH))}
    print("\n".join(table("opening and closing a call", "ms", interleaved(empty, rounds=rounds))))
    print(f"the call: {what_happens()}")


if __name__ == "__main__":
    main(sys.argv[1:])
