"""Every recogniser, held to the contract of recognisers."""

from __future__ import annotations

import pytest

from echostack.connectors.moonshine_stt import MoonshineStt
from echostack.testing.contracts import RecogniserContract


@pytest.mark.embedded
class TestMoonshine(RecogniserContract):
    connector = MoonshineStt
    settings = {"partial_ms": 800}
    exact = False
    long_words = 40
    most_cancellations = 8
