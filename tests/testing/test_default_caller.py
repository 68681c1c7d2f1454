"""The caller of a graph without scenarios: what it does follows from what the graph can do."""

from __future__ import annotations

from pathlib import Path

import echostack.api as api
from echostack.language.scenario import Interrupt, Listen, Pause, Say
from echostack.simulation.run import simulate
from echostack.testing.default_caller import default_scenario

SPEAKS = "  - ingress.app.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.app.audio_chunk\n"
GREETS = "  - control.call.call_started -> faq.agent\n"
LISTENS = "  - ingress.app.audio_frame -> moonshine.stt -> transcript.log\n"


def steps(rules: str) -> list[type]:
    """The kinds of steps of the caller of such a graph, who meets with nothing that is wrong."""
    settings = "connectors: {faq.agent: {greeting: Hello.}}\n" if "faq" in rules else ""
    plan = api.compile(f"echostack: 1\n{settings}pipeline:\n{rules}", env={}).plan
    scenario = default_scenario(Path("x.echo"), plan)
    assert not simulate(plan, scenario).failures
    return [type(step) for step in scenario.caller.steps[:-1]]


def test_a_graph_that_answers_is_interrupted() -> None:
    assert steps(SPEAKS) == [Say, Interrupt, Listen]


def test_a_graph_that_greets_is_heard_out_first() -> None:
    assert steps(GREETS + SPEAKS) == [Listen, Say, Interrupt, Listen]


def test_a_graph_that_cannot_speak_is_spoken_to() -> None:
    assert steps(LISTENS) == [Say, Pause, Say, Pause]
