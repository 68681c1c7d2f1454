"""Every synthesiser, held to the contract of synthesisers."""

from __future__ import annotations

import pytest

from echostack.connectors.piper_tts import PiperTts
from echostack.testing.contracts import SynthesiserContract


@pytest.mark.embedded
class TestPiper(SynthesiserContract):
    connector = PiperTts
    settings = {"speed": 2.0}
    long_sentences = 8
