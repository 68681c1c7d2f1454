"""Scenarios against the schemas and the formatter: what reads is accepted, and formatting changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from echostack.core.diagnostic import Findings
from echostack.core.span import Source
from echostack.language import format_text, json_schema, read_file, read_scenarios, scenarios_schema
from echostack.language.scenario_expect import EXPECTATIONS
from echostack.language.scenario_scripts import FAULTS
from echostack.language.scenario_steps import STEPS
from tests.language.scenario_text import FULL, PIPELINE, scenarios
from tests.language.strategies import read, without_spans

GRAPHS = Draft202012Validator(json_schema())
FILES = Draft202012Validator(scenarios_schema())
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def load(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


@SLOW
@given(scenarios())
def test_what_reads_fits_the_schemas_and_survives_the_formatter(tests: str) -> None:
    text = PIPELINE + tests
    before, findings = read(text)
    assert not findings.errors, (text, findings.errors)
    assert before.tests
    GRAPHS.validate(load(text))
    FILES.validate(load("graph: a.echo\n" + tests))
    once = format_text(text, "f.echo")
    after, again = read(once)
    assert not again.errors, (once, again.errors)
    assert without_spans(before) == without_spans(after), once
    assert format_text(once, "f.echo") == once
    assert once.count("# why") == text.count("# why")
    assert once.count("# the seed") == text.count("# the seed")


@SLOW
@given(scenarios(), st.data())
def test_a_scenario_with_something_changed_gives_findings_and_no_traceback(tests: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(tests)))
    put = data.draw(st.sampled_from(["", ":", "-", "{", "}", "[", '"', "\n", " ", "#", "1", "x", ",", "&a", "*a"]))
    text = tests[:at] + put + tests[at + data.draw(st.integers(0, 4)) :]
    findings = Findings()
    read_file(Source("f.echo", "graph: a.echo\n" + text), findings)
    for found in findings.items:
        assert found.span is not None
    if not findings.errors:
        format_text("graph: a.echo\n" + text, "f.echo")


def test_it_is_a_schema_and_the_committed_copy_is_current(checkout: Path) -> None:
    Draft202012Validator.check_schema(scenarios_schema())
    copy = (checkout / "docs" / "scenarios.schema.json").read_text(encoding="utf-8")
    assert copy == json.dumps(scenarios_schema(), indent=2, ensure_ascii=False) + "\n"


def test_a_file_with_everything_fits_its_schema() -> None:
    FILES.validate(load(FULL))
    for key in (*STEPS, *FAULTS, *EXPECTATIONS):
        assert key in FULL.replace("hang up", "")


@pytest.mark.parametrize(
    "tests",
    [
        "[{caller: []}]",
        "[{name: x, caller: [{speak: a}]}]",
        "[{name: x, caller: [{say: a, pause: 1}]}]",
        "[{name: x, caller: [hello]}]",
        "[{name: x, caller: {pase: 3}}]",
        "[{name: x, caller: [{keys: 12}]}]",
        "[{name: x, connectors: {a.b.c: {}}}]",
        "[{name: x, connectors: {a.b: {faults: [slow]}}}]",
        "[{name: x, connectors: {a.b: {replies: [{give: {text: a}}]}}}]",
        "[{name: x, expect: [{event: a.b.c, times: many}]}]",
        "[{name: x, expect: [{takes: a.b, p96: 1}]}]",
        "[{name: x, expect: [{conversation: [{user: a}]}]}]",
        "[{name: x, expect: [3]}]",
        "hello",
    ],
)
def test_what_the_reader_refuses_in_the_data_the_schema_refuses(tests: str) -> None:
    assert read(f"{PIPELINE}tests: {tests}\n")[1].errors
    assert not GRAPHS.is_valid(load(f"{PIPELINE}tests: {tests}\n"))
    assert not FILES.is_valid(load(f"graph: a.echo\ntests: {tests}\n"))


def test_a_file_with_everything_survives_the_formatter() -> None:
    once = format_text(FULL, "f.echo")
    assert format_text(once, "f.echo") == once
    files = [read_scenarios(Source("f.echo", text), Findings()) for text in (FULL, once)]
    assert without_spans(files[0]) == without_spans(files[1])


def test_one_style() -> None:
    text = """\
# what the desk must do
tests:
  # about this
  - {name: a, expect: [{heard: "x"}], caller: [{say: hi}, hang up]}

  - expect:
      # a note
      - {where: '"a" in text', event: a.b.c}   # beside
      - {heard: x}  # too
    # why this seed
    seed: 7
    name: b
    connectors: {a.b: {delay: 1s}, c.d: {delay: 1s, replies: [x, {say: y, to: "z * q"}]}}
    caller: {steps: [say: a, {after: 1s, interrupt: b}], pace: 3}
    settings: {z.z: {expect: [1], a: 2}}
graph: x.echo
"""
    assert (
        format_text(text, "f.echo")
        == """\
graph: x.echo
# what the desk must do
tests:
  # about this
  - name: a
    caller:
      - say: hi
      - hang up
    expect:
      - heard: x

  - name: b
    # why this seed
    seed: 7
    settings: {z.z: {expect: [1], a: 2}}
    caller:
      pace: 3
      steps:
        - say: a
        - {interrupt: b, after: 1s}
    connectors:
      a.b: {delay: 1s}
      c.d:
        replies:
          - x
          - {to: z * q, say: y}
        delay: 1s
    expect:
      # a note
      - {event: a.b.c, where: '"a" in text'}  # beside
      - heard: x  # too
"""
    )


def test_a_json_file_of_scenarios_is_put_in_order_too() -> None:
    text = '{"tests": [{"expect": [{"times": 1, "event": "a.b.c"}], "name": "x"}], "graph": "a.echo"}'
    once = json.loads(format_text(text, "f.json"))
    assert list(once) == ["graph", "tests"]
    assert list(once["tests"][0]) == ["name", "expect"]
    assert list(once["tests"][0]["expect"][0]) == ["event", "times"]


def test_a_file_with_anchors_keeps_its_order() -> None:
    text = "tests:\n  - caller: &c\n      - say: a\n    name: x\n  - caller: *c\n    name: y\ngraph: a.echo\n"
    once = format_text(text, "f.echo")
    assert once == text
