"""Recorded calls to run through graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import echostack.api as api
from echostack.plan import Plan
from echostack.recording import Recorder, Recording
from echostack.simulation.through import Difference, through
from tests.simulation.calls import VOICE, call, plan, registry

TALK = """
caller:
  - say: Hello there how are you my friend today is a good day
  - {interrupt: Wait a moment please, after: 1.2s}
  - listen: 1s
"""


def recorded(folder: Path, body: str = TALK, graph: str = VOICE, *, redact: bool = False, **options: Any) -> Recording:
    """The simulated call of the scenario ``body``, recorded."""
    recorder = Recorder(folder, simulated=True, redact=redact)
    call(body, graph, probes=[recorder], **options)
    assert recorder.error == ""
    return Recording.open(folder)


def again(recording: Recording, graph: str = VOICE, **options: Any) -> Difference:
    """The recording through ``graph``."""
    return through(recording, plan(graph), registry=registry(), **options)


def plan_of(path: Path) -> Plan:
    return api.compile(path, registry=registry(), env={}).plan
