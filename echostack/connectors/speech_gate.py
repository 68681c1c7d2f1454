"""Where speech begins and ends in 16-bit mono audio: WebRTC's voice-activity detector behind a gate of loudness.

The detector alone takes typing, clicks and the first instants of any noise for speech. So a block counts as
voiced only when the detector says so, its loudness passes a fixed floor, and it stands out of the noise that has
been there for the last seconds; and speech has begun only when enough such blocks fall into one short window.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from echostack.core.audio import BYTES_PER_SAMPLE
from echostack.core.errors import ConnectorFailure, MissingExtra

RATES = (8_000, 16_000, 32_000, 48_000)
"""The sample rates that the detector knows, in Hz."""

BLOCK_MS = 20
"""The length of one decision. The detector takes 10, 20 or 30 ms; 20 errs least on the onset of noise."""

_HALF_MS = BLOCK_MS // 2  # loudness is looked at in halves, so that a click on the edge of two blocks counts once

_SLACK_MS = 40  # unvoiced time allowed inside the window in which speech must show
_SETTLE_BLOCKS = 5  # the detector calls the first instants of anything voiced, until its noise model has settled
_NOISE_BLOCKS, _NOISE_PARTS = 12, 8  # the noise is the quietest of 8 stretches of 240 ms
_STANDS_OUT = 4.0  # 6 dB over the noise, as a ratio of powers: what begins speech
_GOES_ON = 1.6  # 2 dB, and 6 dB less than the gate: what carries it on, since words fade towards their ends
_FULL_SCALE = 32_768.0


@dataclass(frozen=True, slots=True)
class Edge:
    """Speech began (``began``) or ended at sample ``at`` of the audio fed so far; ``began_at`` is where it began."""

    began: bool
    at: int
    began_at: int


class SpeechGate:
    """Feed audio of any block size, in order; get the edges of speech. Positions count samples from the first fed.

    rate: Hz, one of ``RATES``. mode: 0 (lets much through) to 3 (strict). gate_db: loudness in dB of full scale
    under which nothing is speech. start_ms: voiced time within ``start_ms + 40`` ms that makes speech.
    hangover_ms: time without a voiced block that ends it. Costs about 10 µs for 20 ms of audio.
    """

    def __init__(self, rate: int, *, mode: int, gate_db: float, start_ms: int, hangover_ms: int, who: str) -> None:
        if rate not in RATES:
            known = ", ".join(f"{r / 1000:g}" for r in RATES)
            raise ConnectorFailure(f"{who} takes audio at {known} kHz, not at {rate / 1000:g} kHz", retryable=False)
        self.rate = rate
        self.position = 0
        self.speaking = False
        self.last_voiced = 0
        self.voiced_ms = 0
        self._mode = mode
        self._detector = _detector(mode, who)
        self._block = rate * BLOCK_MS // 1000
        self._gate = (_FULL_SCALE * 10 ** (gate_db / 20)) ** 2
        self._half = self._block // 2
        self._needed = -(-start_ms // _HALF_MS)
        self._hangover = rate * hangover_ms // 1000
        self._window: deque[bool] = deque(maxlen=self._needed + _SLACK_MS // _HALF_MS)
        self._began_at = 0
        self._rest = b""
        self._blocks = 0
        self._noise = _Noise()

    @property
    def quiet(self) -> int:
        """Samples since the last voiced block ended; 0 or more, and of meaning only while speaking."""
        return self.position - self.last_voiced

    def feed(self, pcm: bytes) -> list[Edge]:
        """The edges that this audio shows. What is shorter than a block waits for the rest of it."""
        data = self._rest + pcm if self._rest else pcm
        size = self._block * BYTES_PER_SAMPLE
        edges: list[Edge] = []
        whole = len(data) // size * size
        for at in range(0, whole, size):
            edge = self._decide(data[at : at + size])
            if edge is not None:
                edges.append(edge)
        self._rest = data[whole:]
        return edges

    def end(self) -> Edge | None:
        """No more audio comes: the end of the speech that was going on, if any."""
        return self._stop() if self.speaking else None

    def _decide(self, block: bytes) -> Edge | None:
        for voiced in self._voiced(block):
            self.position += self._half
            self._window.append(voiced)
            if voiced:
                self.last_voiced = self.position
                if self.speaking:
                    self.voiced_ms += _HALF_MS
        if self.speaking:
            return self._stop() if self.quiet >= self._hangover else None
        heard = sum(self._window)
        if heard < self._needed:
            return None
        first = len(self._window) - list(self._window).index(True)
        self.speaking, self.voiced_ms = True, heard * _HALF_MS
        self._began_at = self.position - first * self._half
        self._detector.set_mode(max(0, self._mode - 1))
        return Edge(True, self._began_at, self._began_at)

    def _stop(self) -> Edge:
        self.speaking = False
        self._window.clear()
        self._detector.set_mode(self._mode)
        return Edge(False, self.last_voiced, self._began_at)

    def _voiced(self, block: bytes) -> tuple[bool, bool]:
        samples = np.frombuffer(block, "<i2").astype(np.float32)
        early, late = samples[: self._half], samples[self._half :]
        powers = float(early @ early) / self._half, float(late @ late) / self._half
        gate, ratio = (self._gate / 4, _GOES_ON) if self.speaking else (self._gate, _STANDS_OUT)
        floor = max(gate, self._noise.take(sum(powers) / 2) * ratio)
        # The detector sees every block, loud or not: it keeps a model of the noise of its own.
        speech = bool(self._detector.is_speech(block, self.rate))
        self._blocks += 1
        speech = speech and self._blocks > _SETTLE_BLOCKS
        return speech and powers[0] >= floor, speech and powers[1] >= floor


class _Noise:
    """The power of the steady noise: the quietest of the last stretches. Speech pauses; a fan does not."""

    def __init__(self) -> None:
        self._parts: deque[float] = deque(maxlen=_NOISE_PARTS)
        self._sum, self._count = 0.0, 0
        self._level = 0.0

    def take(self, power: float) -> float:
        """The noise as known before this block; 0 until as much was heard as it looks back."""
        level = self._level
        self._sum, self._count = self._sum + power, self._count + 1
        if self._count == _NOISE_BLOCKS:
            self._parts.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
            full = len(self._parts) == _NOISE_PARTS
            self._level = min(self._parts) if full else 0.0
        return level


def _detector(mode: int, who: str) -> Any:
    try:
        return import_module("webrtcvad").Vad(mode)
    except ImportError as error:
        # An installation without it is broken, not merely small: it is a dependency of EchoStack itself.
        raise MissingExtra(who, "webrtcvad-wheels", "all") from error
