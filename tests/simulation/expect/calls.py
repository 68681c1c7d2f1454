"""Calls made by hand, and expectations read as they stand in a file."""

from __future__ import annotations

import functools
from typing import Any

from echostack import api
from echostack.core.diagnostic import Findings
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import Text
from echostack.core.span import Source
from echostack.language import read_file
from echostack.language.scenario import Scenario, ScenarioFile
from echostack.plan import Plan
from echostack.registry import Turn
from echostack.simulation.expect import judge
from echostack.simulation.outcome import Failure, Outcome
from echostack.simulation.world import HeardSpeech, HeardWord

GRAPH = """
echostack: 1
connectors: {faq.agent: {facts: [{ask: are you open, say: yes we are}]}}
pipeline:
  - ingress.mic.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.speaker.audio_chunk
"""


@functools.cache
def plan() -> Plan:
    """A plan with a caller, an agent and a voice."""
    return api.compile(GRAPH).plan


def scenario(*expect: str, head: str = "") -> Scenario:
    """A scenario with these expectations, each a line of a file."""
    lines = "".join(f"      - {line}\n" for line in expect)
    text = f"graph: a.echo\ntests:\n  - name: a call\n{head}{'    expect:' if expect else ''}\n{lines}"
    findings = Findings()
    read = read_file(Source("a.test.echo", text), findings)
    assert not findings.items, findings.items
    assert isinstance(read, ScenarioFile)
    return read.scenarios[0]


def event(time: float, name: str, payload: Payload, **more: Any) -> Event:
    """An event as a call gives it."""
    return Event(name, payload, "simulated", seq=round(time * 1000) + 1, time=time, **more)


def text(time: float, words: str, source: str = "moonshine", **more: Any) -> Event:
    """A turn of the caller."""
    return event(time, f"processing.{source}.text", Text(words, **more), node=f"{source}.stt")


def heard(start: float, words: str, each: float = 0.25, utterance: str = "u") -> HeardSpeech:
    """An utterance as it was heard, each word so many seconds."""
    said = [
        HeardWord(word, utterance, i, start + i * each, start + (i + 1) * each, 400, 400)
        for i, word in enumerate(words.split())
    ]
    return HeardSpeech(utterance, "egress.speaker", tuple(said), start, said[-1].end, len(said) * each)


def outcome(*expect: str, head: str = "", **parts: Any) -> Outcome:
    """A call that went as ``parts`` say, of a scenario that expects so much."""
    parts.setdefault("seconds", 10.0)
    return Outcome(scenario(*expect, head=head), 0, plan(), **parts)


def turn(role: str, words: str, start: float = 0.0, end: float = 1.0, cut: bool = False) -> Turn:
    """A turn of the conversation."""
    return Turn(role, words, start, end, cut)


def judged(*expect: str, **parts: Any) -> list[str]:
    """What is wrong with such a call, in words."""
    return [failure.what for failure in failures(*expect, **parts)]


def failures(*expect: str, **parts: Any) -> tuple[Failure, ...]:
    """The same, with everything that is told."""
    return judge(outcome(*expect, **parts))
