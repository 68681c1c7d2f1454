"""docs/scenarios.md: its examples read, are in the common style, and its tables name every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from echostack.core.diagnostic import Findings
from echostack.core.span import Source
from echostack.language import format_text, read_file
from echostack.language.scenario import ScenarioFile
from echostack.language.scenario_expect import EXPECTATIONS
from echostack.language.scenario_scripts import FAULTS, REPLY, SCRIPT
from echostack.language.scenario_sections import SCENARIO
from echostack.language.scenario_steps import CALLER, STEPS
from tests.conftest import ROOT
from tests.language.strategies import without_spans

PAGE = (Path(ROOT) / "docs" / "scenarios.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml[^\n]*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_reads_without_a_finding_and_survives_the_formatter(text: str) -> None:
    findings = Findings()
    read = read_file(Source("f.echo", text), findings)
    assert findings.items == []
    assert (read.scenarios if isinstance(read, ScenarioFile) else read.tests) != ()
    again = read_file(Source("f.echo", format_text(text, "f.echo")), findings)
    assert without_spans(again) == without_spans(read)


def rows(heading: str) -> set[str]:
    """The first cells of every table under a heading of the page."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_the_tables_name_every_key_and_no_other() -> None:
    assert rows("The keys of a scenario") == set(SCENARIO.fields)
    steps = {key for step in STEPS.values() for key in step.shape.fields}
    caller = set(CALLER.record.shape.fields)  # type: ignore[attr-defined]
    # `where` of a step is the one that the page explains among the expectations.
    assert rows("The caller") == (steps | caller) - {"where"}
    script, reply = SCRIPT.shape.shape.fields, REPLY.shape.second.shape.fields  # type: ignore[attr-defined]
    faults = {key for fault in FAULTS.values() for key in fault.shape.fields}
    assert rows("The connectors") == {*script, *reply} | faults
    expected = {key for one in EXPECTATIONS.values() for key in one.shape.fields}
    heard = {"nth", "text", "contains", "lacks", "seconds", "starts", "stops"}
    assert rows("What must come of it") == (expected | heard) - {"p50", "p90", "p95", "p99", "max"}


@pytest.mark.parametrize("head", [*STEPS, *EXPECTATIONS])
def test_a_row_names_what_may_stand_beside_its_key(head: str) -> None:
    (row,) = re.findall(rf"^\| `{head}` \|.*\|(.*)\|$", PAGE, re.MULTILINE)[:1]
    fields = {**STEPS, **EXPECTATIONS}[head].shape.fields
    assert re.findall(r"`(\w+)`", row) == [key for key in fields if key != head]
