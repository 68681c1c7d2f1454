"""Every synthesiser, held to the contract of synthesisers."""

from __future__ import annotations

import pytest

from echostack.connectors.elevenlabs.tts import ElevenLabsTts
from echostack.connectors.piper_tts import PiperTts
from echostack.providers.elevenlabs.server import ElevenLabsServer
from echostack.providers.elevenlabs.voice import CodedVoice
from echostack.testing.contracts import FarEnd, SynthesiserContract, VoiceScript


@pytest.mark.embedded
class TestPiper(SynthesiserContract):
    connector = PiperTts
    settings = {"speed": 2.0}
    long_sentences = 8


class _ElevenLabs(SynthesiserContract):
    def far_end(self, script: VoiceScript) -> FarEnd:
        return ElevenLabsServer(voice=CodedVoice(), pace=script.pause)


HASTE = {"connect_s": 0.3, "first_audio_s": 1.0, "gap_s": 0.3, "settle_ms": 60, "keepalive_s": 0.5}


class TestElevenLabs(_ElevenLabs):
    connector = ElevenLabsTts
    settings = HASTE


class TestElevenLabsOverHttp(_ElevenLabs):
    connector = ElevenLabsTts
    settings = {**HASTE, "transport": "http"}
