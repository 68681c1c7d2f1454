"""``webrtc.vad``: tells when the caller begins and stops speaking, from the audio alone.

It is a quick gate rather than a judge: it opens 60 to 120 ms after real speech begins and lets clicks, silence and
faint noise pass in silence, but sudden loud noise opens it too (benchmarks/embedded_voice.py measures both).
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from pydantic import Field

from echostack.connectors.audio_time import AudioTime
from echostack.connectors.pcm import mono
from echostack.connectors.speech_gate import Edge, SpeechGate
from echostack.core.audio import AudioFormat
from echostack.core.payloads import AudioFrame, SpeechStarted, SpeechStopped
from echostack.registry import ConnectorSettings, Context, Latency, connector


class WebrtcVadSettings(ConnectorSettings):
    """How strict the detector is, and how long it looks."""

    mode: Literal[0, 1, 2, 3] = 3
    """How strict: 0 takes much for speech, 3 little."""
    start_ms: int = Field(60, ge=20, le=1000)
    """Voiced milliseconds that make speech."""
    hangover_ms: int = Field(300, ge=20, le=5000)
    """Milliseconds without voice that end speech."""
    gate_db: float = Field(-45.0, ge=-96.0, le=0.0)
    """Loudness in dB of full scale under which nothing is speech."""
    rate: Literal[8000, 16000, 32000, 48000] = 16000
    """The sample rate that the engine converts the audio to, in Hz."""


@connector(
    "webrtc.vad",
    input_format=lambda settings: AudioFormat(settings.rate),
    hangover=lambda settings: settings.hangover_ms / 1000,
    latency=Latency(p50=70, p95=120),
    packages=("webrtcvad",),
)
class WebrtcVad:
    """Tells when the caller begins and stops speaking, from the audio alone.

    Frames may have any length; audio of another of the detector's rates, or of more channels, is taken as it
    comes, and starts the detection anew. Times are session seconds, told from the position in the audio: a frame
    that arrives late does not move them. Raises ConnectorFailure at a rate that the detector does not know.

    Simulated: by a detector of the scripted voice.
    """

    NAME = "webrtc.vad"

    def __init__(self, settings: WebrtcVadSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._time = AudioTime()
        self._told: deque[SpeechStarted | SpeechStopped] = deque()
        self._rate: int = settings.rate
        self._base = 0.0  # seconds of audio taken before this gate was made
        self._taken = 0  # samples taken since
        self._gate = self._make(settings.rate)

    def __call__(self, frame: AudioFrame) -> SpeechStarted | SpeechStopped | None:
        if frame.rate != self._rate:
            self._change(frame.rate)
        self._taken += frame.samples
        self._time.arrived(self._base + self._taken / self._rate, self._context.clock.now())
        for edge in self._gate.feed(mono(frame.pcm, frame.channels)):
            self._told.append(self._tell(edge))
        # One output a frame: of a frame so long that speech both began and ended in it, the end waits for the next.
        return self._told.popleft() if self._told else None

    def _tell(self, edge: Edge) -> SpeechStarted | SpeechStopped:
        at = self._time.at(self._base + edge.at / self._rate)
        if edge.began:
            return SpeechStarted(at)
        return SpeechStopped(at, round((edge.at - edge.began_at) / self._rate, 6))

    def _change(self, rate: int) -> None:
        gate = self._make(rate)
        ended = self._gate.end()
        if ended is not None:
            self._told.append(self._tell(ended))
        self._base += self._taken / self._rate
        self._gate, self._rate, self._taken = gate, rate, 0

    def _make(self, rate: int) -> SpeechGate:
        s = self._settings
        return SpeechGate(
            rate, mode=s.mode, gate_db=s.gate_db, start_ms=s.start_ms, hangover_ms=s.hangover_ms, who=self.NAME
        )
