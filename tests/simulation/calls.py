"""Calls for tests of the simulator: a small graph, and a scenario in the words of a file."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator
from typing import Any

import echostack.api as api
from echostack.core.diagnostic import Findings
from echostack.core.payloads import AgentMessage, AudioFrame, Data, Dtmf, Text
from echostack.core.span import Source
from echostack.language import read_scenarios
from echostack.language.scenario import Scenario
from echostack.plan import Plan
from echostack.registry import Latency, Registry, connector
from echostack.simulation.outcome import Outcome
from echostack.simulation.run import simulate


@connector("ingress.phone")
class Phone:
    """A line that carries voice, keys and data."""

    async def run(self) -> AsyncIterator[AudioFrame | Dtmf | Data]:
        yield AudioFrame(b"", 16_000)


@connector("ingress.chat")
class Chat:
    """A line of messages."""

    async def run(self) -> AsyncIterator[Text]:
        yield Text("")


@connector("acme.agent", latency=Latency(200, 200), network=True)
async def agent(text: Text) -> AgentMessage:
    """Asks somewhere else."""
    return AgentMessage(text.text)


VOICE = """
echostack: 1
connectors:
  moonshine.stt: {endpoint_ms: 400}
  piper.tts: {}
pipeline:
  - ingress.phone.audio_frame -> moonshine.stt -> acme.agent -> piper.tts -> egress.app.audio_chunk
barge_in: {min_speech: 500ms}
"""


def registry() -> Registry:
    return api.default_registry().add(Phone, Chat, agent)


def plan(text: str = VOICE) -> Plan:
    return api.compile(text, registry=registry(), env={}).plan


def scenario(body: str, **options: Any) -> Scenario:
    """The scenario whose keys are ``body``."""
    lines = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    findings = Findings()
    text = f"echostack: 1\ngraph: graph.echo\ntests:\n  - name: a call\n{lines}\n"
    found = read_scenarios(Source("calls.echo", text), findings)
    assert found is not None, [d.message for d in findings.ordered()]
    assert not findings.errors, [d.message for d in findings.ordered()]
    return found.scenarios[0]


def call(body: str, graph: str = VOICE, **options: Any) -> Outcome:
    """What comes of the scenario ``body``."""
    return simulate(plan(graph), scenario(body), **options)


def times(outcome: Outcome, name: str) -> list[float]:
    """When events of this name happened."""
    return [round(e.time, 6) for e in outcome.events if e.name == name]
