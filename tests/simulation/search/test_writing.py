"""What a search has found is written as a file that reads back as the very same scenario."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from echostack.core.diagnostic import Findings
from echostack.core.span import Source, Span
from echostack.language import format_text
from echostack.language.scenario import Scenario
from echostack.language.scenario_file import read_scenarios
from echostack.simulation.search.cases import Cases
from echostack.simulation.search.subject import Subject
from echostack.simulation.search.writing import duration, scenario_text
from tests.simulation.search.hunt import subject

EVERYTHING = """\
graph: desk.echo
tests:
  - name: "everything: that can stand in a scenario"
    about: It holds one of each.
    seed: 12
    shuffle: true
    jitter: 500us_
    lasts: 1m
    env: {KEY: "a: b # c"}
    settings:
      slow.log: {pace: 1.5, key: {env: KEY, default: none}, words: [yes please, "no"]}
    caller:
      pace: 3
      frame: 10ms
      continuous: true
      patience: 2s
      ingress: file
      steps:
        - {say: "Yes: a table, please", at: 0.123456789012, lasts: 1.5s, heard_as: tables please, confidence: 0.4}
        - {interrupt: wait, after: 1s, within: 5s, lasts: 300ms}
        - {backchannel: mhm}
        - {pause: 250ms}
        - {listen: 1s}
        - {wait: processing.*.text, where: text == "one" and confidence > 0.5, within: 2s}
        - {noise: 300ms, level: quiet, background: true}
        - {silence: 2s}
        - {keys: "12#"}
        - {send: data, fields: {name: form, data: {n: 1, on: true}}, from: file, at: 100s}
        - {hang_up: true, at: 200s}
    connectors:
      stubborn.agent:
        replies:
          - {to: a * b, where: confidence > 0.25, say: Yes., delay: {p50: 100ms, p95: 300ms}, times: always}
          - {give: [{agent_message: {text: one}}, {agent_message: {text: two}, after: 200ms}]}
          - {nothing: true}
        delay: 100ms
        faults:
          - {error: It is broken., nth: 2, retryable: false, retry_after: 2s}
          - {slow: 1.5s, at: 2s, until: 5s, times: 3}
          - {drop: true, nth: 1, times: always}
          - endless
      book.table: {real: true}
      slow.log: {answers: my_function}
""".replace("500us_", "0.5ms")


def bare(value: Any) -> Any:
    """A scenario without its places in a file."""
    if isinstance(value, Span):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        left_out = ("span", "spans", "expect", "graph", *(("text",) if type(value).__name__ == "EventMatch" else ()))
        fields = [f.name for f in dataclasses.fields(value) if f.name not in left_out]
        return (type(value).__name__, *((name, bare(getattr(value, name))) for name in fields))
    if isinstance(value, tuple | list):
        return tuple(map(bare, value))
    if isinstance(value, dict):
        return tuple((key, bare(item)) for key, item in value.items())
    return value


def read_again(text: str) -> Scenario:
    findings = Findings()
    read = read_scenarios(Source("found.echo", text), findings)
    assert read is not None
    assert [d.message for d in findings.items] == []
    return read.scenarios[0]


def test_everything_that_can_stand_in_a_scenario_is_written_as_it_is() -> None:
    scenario = read_again(EVERYTHING)
    text = scenario_text(scenario, "desk.echo")
    assert bare(read_again(text)) == bare(scenario)
    assert format_text(text, "found.echo") == text


def test_every_variation_of_a_call_reads_back_as_the_very_same() -> None:
    made = subject()
    assert isinstance(made, Subject)
    cases = Cases(made, 200, 3)
    for number in range(0, 200, 5):
        scenario = cases.scenario(cases.case(number))
        text = scenario_text(scenario, "desk.echo", comment=["What it did."])
        assert bare(read_again(text)) == bare(scenario)
        assert format_text(text, "found.echo") == text
        assert text.startswith("# What it did.\n")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.25, "250ms"), (2.0, "2s"), (1.5, "1.5s"), (0.0, "0s"), (8.0812925, 8.0812925), (1 / 3, 1 / 3)],
)
def test_a_time_that_words_would_round_is_written_as_a_number(seconds: float, said: str | float) -> None:
    assert duration(seconds) == said
