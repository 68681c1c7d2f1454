"""What the embedded voice costs and how well it does: run it with ``python benchmarks/embedded_voice.py``.

Sentences are spoken by the embedded synthesiser and heard by the embedded recogniser, clean, at telephone rate and
in noise. Prints word error rates, real-time factors (seconds of work a second of audio), the time to the first
audio, and how soon the voice-activity detector decides. Figures of one machine; read them as ratios.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import cast

import numpy as np
import soxr

from echostack.connectors.clauses import clauses
from echostack.connectors.moonshine_model import RATE, shared_model
from echostack.connectors.moonshine_stt import MoonshineStt, MoonshineSttSettings
from echostack.connectors.pcm import Floats, to_pcm
from echostack.connectors.piper_voice import shared_voice
from echostack.connectors.speech_gate import SpeechGate
from echostack.connectors.turn_buffer import Piece, TurnBuffer
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.events import Event
from echostack.core.payloads import AudioFrame, Text
from echostack.registry import Context, Inbox, Out

SENTENCES = (
    "I would like to book a table for two people tomorrow evening.",
    "Can you tell me what time you open on Sunday?",
    "My name is Susan Miller and I am calling about my order.",
    "Yes, that is right.",
    "Could you please move my appointment to next Wednesday morning?",
    "No, I do not need anything else, thank you.",
    "How much does it cost to send a parcel to Canada?",
    "The screen of my phone is broken and it does not turn on.",
    "Please connect me to somebody in the sales department.",
    "I forgot my password and I cannot log in to my account.",
    "What is the weather going to be like this weekend?",
    "Stop, that is not what I asked for.",
    "Is there parking close to the restaurant?",
    "I want to cancel my subscription at the end of the month.",
    "Do you have a room with a view of the lake?",
    "We are a company of fifty people and we are looking for a new supplier.",
)
ROUNDS = 2


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", "")).split()


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein's distance in words."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def spread(values: Iterable[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return f"p50 {statistics.median(ordered):6.0f} ms   p95 {p95:6.0f} ms"


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_call(wave: Floats, noise_db: float | None, seed: int) -> Floats:
    """The wave between two silences, with white noise over all of it."""
    pause = np.zeros(RATE, np.float32)
    whole = np.concatenate([pause, wave, pause])
    if noise_db is not None:
        hiss = np.random.default_rng(seed).standard_normal(len(whole)) * 10 ** (noise_db / 20)
        whole = np.clip(whole + hiss.astype(np.float32), -1, 1)
    return whole


def turns(wave: Floats) -> tuple[list[bytes], float]:
    """The turns that the recogniser would cut out of it, and the seconds that finding them took."""
    s = MoonshineSttSettings.model_validate({})
    gate = SpeechGate(RATE, mode=s.mode, gate_db=s.gate_db, start_ms=60, hangover_ms=s.endpoint_ms, who="benchmark")
    buffer = TurnBuffer(gate, look_ms=0, longest_s=s.longest_s)
    pcm, found, begun = to_pcm(wave), [], time.perf_counter()
    for at in range(0, len(pcm), 640):
        found += [t.pcm for t in buffer.feed(pcm[at : at + 640]) if t.piece is not Piece.LOOK]
    last = buffer.end()
    return [*found, *([last.pcm] if last else [])], time.perf_counter() - begun


def recogniser(spoken: list[tuple[str, Floats]]) -> None:
    model = shared_model("tiny-en")
    print(f"moonshine.stt    load {timed(model.load) * 1000:6.0f} ms")
    for title, rate, db in (("clean", 16_000, None), ("8 kHz", 8_000, None), ("noise -40", 16_000, -40.0),
                            ("noise -30", 16_000, -30.0)):  # fmt: skip
        wrong = total = 0
        works: list[float] = []
        length = gate = 0.0
        for k, (text, wave) in enumerate(spoken):
            narrow = wave if rate == RATE else soxr.resample(soxr.resample(wave, RATE, rate), rate, RATE)
            call = in_call(np.asarray(narrow, np.float32), db, k)
            pieces, spent = turns(call)
            heard: list[str] = []
            for pcm in pieces:
                begun = time.perf_counter()
                heard.append(model.decode(pcm))
                works.append(time.perf_counter() - begun)
                length += len(pcm) / 2 / RATE
            gate += spent
            wrong += errors(words(text), words(" ".join(heard)))
            total += len(words(text))
        print(
            f"  {title:10} WER {100 * wrong / total:5.1f} %   RTF {sum(works) / length:.3f}   "
            f"final decode {spread(1000 * w for w in works)}"
        )
    audio = sum(len(w) / RATE + 2 for _, w in spoken)
    print(f"  gate and buffer: {gate / audio * 20_000:.0f} µs for 20 ms of audio")


def synthesiser() -> list[tuple[str, Floats]]:
    voice = shared_voice("joe")
    print(f"piper.tts        load {timed(voice.load) * 1000:6.0f} ms")
    first: list[float] = []
    length = spent = 0.0
    spoken: list[tuple[str, Floats]] = []
    for text in SENTENCES * ROUNDS:
        parts = []
        for k, clause in enumerate(clauses(text)):
            begun = time.perf_counter()
            wave = voice.speak(clause.spoken, speed=1, volume=0.5, variation=1)
            took = time.perf_counter() - begun
            if not k:
                first.append(took)
            parts.append(wave)
            length, spent = length + len(wave) / voice.rate, spent + took
        whole = np.concatenate(parts)
        spoken.append((text, np.asarray(soxr.resample(whole, voice.rate, RATE), np.float32)))
    print(f"  first audio {spread(1000 * s for s in first)}   RTF {spent / length:.3f}")
    return spoken


def detector(spoken: list[tuple[str, Floats]]) -> None:
    delays: list[float] = []
    missed = 0
    for _, wave in spoken:
        gate = SpeechGate(RATE, mode=3, gate_db=-45, start_ms=60, hangover_ms=300, who="benchmark")
        call = in_call(wave, -60, 1)
        begins = RATE + int(np.flatnonzero(np.abs(wave) > 0.02)[0])
        pcm = to_pcm(call)
        told = None
        for at in range(0, len(pcm), 640):
            if any(edge.began for edge in gate.feed(pcm[at : at + 640])):
                told = at // 2 + 320
                break
        if told is None:
            missed += 1
        else:
            delays.append((told - begins) / RATE * 1000)
    pcm = to_pcm(np.concatenate([w for _, w in spoken]))
    gate = SpeechGate(RATE, mode=3, gate_db=-45, start_ms=60, hangover_ms=300, who="benchmark")
    cost = timed(lambda: [gate.feed(pcm[at : at + 640]) for at in range(0, len(pcm), 640)]) / (len(pcm) / 640)
    print(f"webrtc.vad       speech told after {spread(delays)}   missed {missed}   {cost * 1e6:.0f} µs a 20 ms frame")
    false = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        wave = np.zeros(2 * RATE, np.float32)
        for at in rng.integers(0, 2 * RATE - 500, 4):  # two keys a second
            wave[at : at + 400] += (rng.standard_normal(400) * np.exp(-np.arange(400) / 60) * 0.3).astype(np.float32)
        gate = SpeechGate(RATE, mode=3, gate_db=-45, start_ms=60, hangover_ms=300, who="benchmark")
        false += sum(edge.began for edge in gate.feed(to_pcm(wave)))
    print(f"  false starts in two minutes of typing: {false}")


class _Context:
    """What the recogniser needs of a session."""

    def __init__(self, clock: LoopClock, compute: ThreadCompute) -> None:
        self.clock, self.compute = clock, compute


class _Inbox:
    """Audio at the pace of real time."""

    def __init__(self, wave: Floats, clock: LoopClock) -> None:
        self._pcm, self._clock = to_pcm(wave), clock

    async def __aiter__(self) -> AsyncIterator[Event]:
        begun = self._clock.now()
        for k, at in enumerate(range(0, len(self._pcm), 640), start=1):
            await self._clock.sleep(begun + k * 0.02 - self._clock.now())
            frame = AudioFrame(self._pcm[at : at + 640], RATE)
            yield Event("processing.file.audio_frame", frame, "benchmark", k, self._clock.now())


async def real_time(spoken: list[tuple[str, Floats]]) -> None:
    """The recogniser as it runs in a call: threads, partial texts and all."""
    compute, waited = ThreadCompute(2), []
    for _, wave in spoken[: len(SENTENCES) // 2]:
        clock = LoopClock()
        stt = MoonshineStt(MoonshineSttSettings.model_validate({}), cast(Context, _Context(clock, compute)))
        async for out in stt.run(cast("Inbox[AudioFrame]", _Inbox(in_call(wave, -60, 1), clock))):
            if isinstance(out, Out) and isinstance(out.payload, Text):
                waited.append(out.payload.waited_ms)
    compute.close()
    print(f"  in real time, from the end of the speech to its text: {spread(waited)}")


async def main() -> None:
    spoken = synthesiser()
    recogniser(spoken)
    await real_time(spoken)
    detector(spoken)


if __name__ == "__main__":
    asyncio.run(main())
