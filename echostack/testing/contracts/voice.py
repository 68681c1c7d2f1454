"""A caller's voice for suites: the embedded synthesiser (extra ``embedded``), the same audio every time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from echostack.connectors.pcm import to_pcm
from echostack.connectors.piper_voice import shared_voice
from echostack.connectors.resample import Resampler
from echostack.core.payloads import AudioFrame

_FRAME_MS = 20


@cache
def _said(text: str, rate: int) -> bytes:
    voice = shared_voice("joe")
    samples = voice.speak(text, speed=1.0, volume=0.5, variation=0.0)
    return to_pcm(Resampler(voice.rate, rate).feed(samples, last=True))


def spoken(turns: Sequence[str], rate: int = 16_000) -> list[AudioFrame]:
    """``turns`` spoken, half a second of silence before them and a second behind each, in frames of 20 ms."""
    pcm = bytes(rate) + b"".join(_said(turn, rate) + bytes(2 * rate) for turn in turns)
    size = 2 * rate * _FRAME_MS // 1000
    return [AudioFrame(pcm[at : at + size], rate) for at in range(0, len(pcm), size)]
