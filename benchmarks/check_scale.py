"""How checking grows with the size of a graph: read, built and checked at 500 and at 2,000 nodes.

    python benchmarks/check_scale.py

Both sizes are measured alternately in one process, with Python's collector off, whose pauses grow with everything else
that the process holds; medians and their ratio are printed. Linear is a ratio of 4.
"""

from __future__ import annotations

import gc
import statistics
import time

from echostack.checks import check
from echostack.core.audio import AudioFormat
from echostack.core.diagnostic import Findings
from echostack.core.payloads import AgentMessage, AudioChunkStream, AudioFrame, Sentiment, Text
from echostack.core.span import Source
from echostack.graph import build
from echostack.language import read_document
from echostack.registry import AudioSink, Registry, connector

SIZES = (500, 2_000)
ROUNDS = 5


@connector("bench.stt")
def hear(frame: AudioFrame) -> Text:
    """Audio to words."""
    return Text("")


@connector("bench.text")
def edit(text: Text) -> Text:
    """Words to words."""
    return text


@connector("bench.score")
def score(text: Text) -> Sentiment:
    """Words to a score."""
    return Sentiment(0.0, "neutral")


@connector("bench.agent")
def answer(text: Text) -> AgentMessage:
    """Words to an answer."""
    return AgentMessage("")


@connector("bench.tts")
def speak(message: AgentMessage) -> AudioChunkStream:
    """An answer to audio."""
    return AudioChunkStream(b"", 16_000)


@connector("webrtc.vad")
class Vad:
    """Audio to nothing that is measured here."""

    def __call__(self, frame: AudioFrame) -> None: ...


@connector("ingress.bench")
class Ear:
    """The caller."""

    async def run(self) -> AudioFrame:
        raise AssertionError("never run")


@connector("egress.bench")
class Mouth(AudioSink):
    """The caller's ear."""

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(16_000)

    def write(self, pcm: bytes) -> None:
        raise AssertionError("never run")

    def clear(self) -> None:
        raise AssertionError("never run")


def source(nodes: int) -> Source:
    """A graph of about ``nodes`` nodes: chains of ten with a guard and a score on each, and a pattern."""
    declared, rules = [], ["  - ingress.bench.audio_frame -> bench.stt"]
    for chain in range(nodes // 10):
        names = [f"n{chain}_{i}" for i in range(8)]
        declared += [f"  {name}: {{use: bench.text}}" for name in names]
        declared += [f"  s{chain}: {{use: bench.score}}", f"  a{chain}: {{use: bench.agent}}"]
        rules.append(f"  - bench.stt -> {' -> '.join(names)} -> a{chain} -> bench.tts")
        rules.append(f"  - {names[3]} -[ confidence > 0.5 and language == 'en' ]-> s{chain}")
    rules += ["  - processing.bench.text -> bench.score", "  - bench.tts -> egress.bench.audio_chunk"]
    return Source("bench.echo", "\n".join(["barge_in: off", "connectors:", *declared, "pipeline:", *rules]) + "\n")


def main() -> None:
    registry = Registry().add(hear, edit, score, answer, speak, Vad, Ear, Mouth)
    stages: dict[tuple[int, str], list[float]] = {}
    for _ in range(ROUNDS):
        for size in SIZES:
            gc.collect()
            gc.disable()
            text = source(size)
            findings = Findings()
            marks = [time.perf_counter()]
            document = read_document(text, findings)
            marks.append(time.perf_counter())
            graph = build(document, findings)
            marks.append(time.perf_counter())
            checked = check(graph, registry, findings, env={})
            marks.append(time.perf_counter())
            gc.enable()
            assert checked is not None, [d.message for d in findings.errors[:3]]
            for name, start, end in zip(("read", "build", "check"), marks, marks[1:], strict=False):
                stages.setdefault((size, name), []).append(end - start)
    small, large = SIZES
    print(f"{'':8}{small:>8} {large:>8}  ratio")
    for name in ("read", "build", "check"):
        one, other = (statistics.median(stages[size, name]) for size in SIZES)
        print(f"{name:8}{one * 1000:6.0f}ms {other * 1000:6.0f}ms {other / one:6.1f}")


if __name__ == "__main__":
    main()
