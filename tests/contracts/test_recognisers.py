"""Every recogniser, held to the contract of recognisers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from echostack.connectors.deepgram.stt import DeepgramStt
from echostack.connectors.moonshine_stt import MoonshineStt
from echostack.core.payloads import AudioFrame
from echostack.providers.deepgram.ears import CodedScript
from echostack.providers.deepgram.server import DeepgramServer
from echostack.testing.contracts import FarEnd, RecogniserContract, RecogniserScript


@pytest.mark.embedded
class TestMoonshine(RecogniserContract):
    connector = MoonshineStt
    settings = {"partial_ms": 800}
    exact = False
    long_words = 40
    most_cancellations = 8


def coded(turns: Sequence[str]) -> CodedScript:
    return CodedScript.of(" | ".join(turns))


class TestDeepgram(RecogniserContract):
    connector = DeepgramStt
    settings = {"connect_s": 0.5, "stall_s": 0.6, "outage_s": 1.0, "keepalive_s": 0.5}

    def far_end(self, script: RecogniserScript) -> FarEnd:
        return DeepgramServer(coded(script.turns))

    def speech(self, turns: Sequence[str]) -> list[AudioFrame]:
        pcm = coded(turns).audio(16_000)
        return [AudioFrame(pcm[at : at + 640], 16_000) for at in range(0, len(pcm), 640)]
