"""What a local ElevenLabs speaks with: the embedded voice, or one whose every sample says which character it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from echostack.connectors.pcm import to_pcm
from echostack.connectors.piper_voice import PiperVoice, shared_voice
from echostack.core.clock import ThreadCompute

FORMATS: Final[Mapping[str, int]] = {
    **{f"pcm_{rate}": rate for rate in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)},
    "ulaw_8000": 8_000,
}
"""The output formats that are spoken, and their sample rates in Hz."""

_BIAS, _CLIP = 132, 32_635


@dataclass(frozen=True, slots=True)
class Speech:
    """One text as audio: 16-bit mono PCM at ``rate`` Hz, and for each character where it begins and how long it lasts,
    in ms from the beginning of the audio."""

    pcm: bytes
    rate: int
    text: str
    starts: tuple[int, ...]
    durations: tuple[int, ...]

    @property
    def ms(self) -> float:
        return len(self.pcm) / 2 / self.rate * 1000


class Voice(Protocol):
    """What speaks: one text at a time."""

    async def speak(self, text: str, rate: int) -> Speech:
        """``text`` at ``rate`` Hz."""

    def close(self) -> None:
        """Let go of whatever speaks."""


class CodedVoice:
    """A voice for tests: every character lasts ``ms`` (a number, or a function of the character), and each of its
    samples has the character's ``code`` as its value. ``silent``: all samples are 0.

    Exact and cheap: what was heard can be read back from the samples, character by character.
    """

    def __init__(self, ms: int | Callable[[str], int] = 40, *, silent: bool = False) -> None:
        self._ms = ms if callable(ms) else lambda character: ms
        self._silent = silent

    async def speak(self, text: str, rate: int) -> Speech:
        durations = tuple(self._ms(c) for c in text)
        starts = tuple(int(s) for s in np.cumsum((0, *durations))[:-1])
        edges = [round((s + d) * rate / 1000) for s, d in zip(starts, durations, strict=True)]
        counts = np.diff((0, *edges))
        codes = np.asarray([0 if self._silent else code(c) for c in text], "<i2")
        return Speech(np.repeat(codes, counts).tobytes(), rate, text, starts, durations)

    def close(self) -> None:
        """Nothing to let go of."""


def code(character: str) -> int:
    """The value of every sample that ``character`` is spoken with: 1 to 30,000."""
    return ord(character) % 30_000 + 1


class EmbeddedVoice:
    """Piper, its audio brought to the rate that is asked for, and the characters spread evenly over it."""

    def __init__(self, name: str = "joe") -> None:
        self._voice: PiperVoice = shared_voice(name)
        self._compute: ThreadCompute | None = None

    async def speak(self, text: str, rate: int) -> Speech:
        """``text`` at ``rate`` Hz, made in a thread. MissingExtra when the voice is not installed."""
        if self._compute is None:
            self._compute = ThreadCompute(2)
        pcm = await self._compute.run(self._make, text, rate)
        return spread(text, pcm, rate)

    def close(self) -> None:
        if self._compute is not None:
            self._compute.close()
            self._compute = None

    def _make(self, text: str, rate: int) -> bytes:
        audio = self._voice.speak(text, speed=1.0, volume=0.7, variation=1.0)
        if audio.size and rate != self._voice.rate:
            audio = np.asarray(soxr.resample(audio, self._voice.rate, rate), np.float32)
        return to_pcm(audio)


def spread(text: str, pcm: bytes, rate: int) -> Speech:
    """``pcm`` as the speech of ``text``, every character given the same share of it."""
    length = len(pcm) / 2 / rate * 1000
    edges = [round(length * k / max(1, len(text))) for k in range(len(text) + 1)]
    return Speech(pcm, rate, text, tuple(edges[:-1]), tuple(b - a for a, b in pairwise(edges)))


def encoded(pcm: bytes, output_format: str) -> bytes:
    """16-bit PCM in an output format of ``FORMATS``."""
    return _ulaw(pcm) if output_format.startswith("ulaw") else pcm


def _ulaw(pcm: bytes) -> bytes:
    """µ-law (ITU-T G.711): the logarithm of the biased magnitude in eight segments, all bits inverted."""
    samples: npt.NDArray[Any] = np.frombuffer(pcm, "<i2").astype(np.int32)
    sign = np.where(samples < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(samples), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes())
