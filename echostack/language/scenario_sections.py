"""The one table of what a scenario may hold, under ``tests:`` of a graph and in a file of its own.

The reader reads by it, the JSON Schema is written from it, and the formatter takes the order of the keys from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from echostack.core.diagnostic import Diagnostic, Findings, Label
from echostack.language import codes
from echostack.language.forms import Built, Defined, place
from echostack.language.records import Field, ListOf, MapOf, Record, RecordValue
from echostack.language.scenario import Caller, Scenario
from echostack.language.scenario_expect import EXPECTATION, MOST_EXPECTATIONS, TURN
from echostack.language.scenario_scripts import FAULT, NODE, REPLY, SCRIPT, OutputShape
from echostack.language.scenario_steps import CALLER, DAY, EVENT, STEP
from echostack.language.shapes import Checked, Count, Duration, Flag, Name, Schema, Text, Version
from echostack.language.tree import MappingNode, Node, ScalarNode, SequenceNode
from echostack.language.values import ENV_NAME
from echostack.language.yaml_tree import shorten

MOST_SCENARIOS: Final = 1_000
MOST_SEED: Final = 2**53 - 1


@dataclass(frozen=True)
class _EnvName(Name):
    """The name of an environment variable."""

    parts: tuple[int, int] = (1, 1)
    words: str = "the name of an environment variable"

    @property
    def pattern(self) -> str:
        return ENV_NAME


def _scenario(read: RecordValue, node: Node, findings: Findings) -> Scenario:
    scripts = {name: replace(f.value, node=name, span=f.key_span) for name, f in read.get("connectors", {}).items()}
    plain = Scenario("", place(node))
    return Scenario(
        read.get("name"),
        read.span_of("name") or place(node),
        read.get("about", ""),
        read.get("seed", plain.seed),
        read.get("lasts", plain.lasts),
        settings={name: replace(f.value.rest, span=f.key_span) for name, f in read.get("settings", {}).items()},
        env={name: f.value for name, f in read.get("env", {}).items()},
        caller=read.get("caller", Caller()),
        connectors=scripts,
        expect=read.get("expect", ()),
        shuffle=read.get("shuffle", False),
        jitter=read.get("jitter", 0.0),
    )


SCENARIO: Final = Record(
    {
        "name": Field(Text(), "What the scenario is called: what happens in it.", required=True),
        "about": Field(Text(lines=True, most=10_000), "What it is there for, for people."),
        "seed": Field(Count(0, MOST_SEED), "What every draw by chance begins with; 0 unless said."),
        "shuffle": Field(Flag(), "True: what is ready at one instant runs in an order drawn by the seed."),
        "jitter": Field(Duration(0, 0.1), "With `shuffle`: timers fire late by up to so much, drawn by the seed."),
        "lasts": Field(Duration(0.001, DAY), "How long the call may take at most; 10 minutes unless said."),
        "env": Field(
            MapOf(_EnvName(), Text(lines=True, most=10_000), words="a mapping from names to texts"),
            "What `{env: NAME}` leaves are given; nothing comes from the real environment.",
        ),
        "settings": Field(
            MapOf(
                NODE,
                Record({}, words="a mapping of settings", rest=True, nullable=True),
                words="a mapping from nodes to their settings",
            ),
            "Settings laid over those of the graph, by node.",
        ),
        "caller": Field(CALLER, "Who calls, and what the caller does."),
        "connectors": Field(
            MapOf(NODE, SCRIPT, words="a mapping from nodes to what they do"), "What the nodes do, by node."
        ),
        "expect": Field(
            ListOf(EXPECTATION, "a list of expectations", MOST_EXPECTATIONS), "What must come of it."
        ),
    },
    words="a scenario such as {name: …, caller: […], expect: […]}",
)  # fmt: skip
"""Every key of a scenario, in its canonical order."""


class Scenarios(ListOf):
    """The scenarios of a file: no two of one name."""

    def read(self, node: Node, what: str, findings: Findings) -> tuple[Any, ...] | None:
        if isinstance(node, ScalarNode) and node.value is None:
            return ()  # `tests:` with nothing under it, or everything under it commented out
        read = super().read(node, what, findings)
        self._names(node, findings)
        return read

    def _names(self, node: Node, findings: Findings) -> None:
        first: dict[str, ScalarNode] = {}
        for item in node.items if isinstance(node, SequenceNode) else ():
            name = item.get("name") if isinstance(item, MappingNode) else None
            if not isinstance(name, ScalarNode) or not isinstance(name.value, str):
                continue
            before = first.setdefault(name.text, name)
            if before is not name:
                findings.add(
                    Diagnostic(
                        codes.SCENARIO_TWICE,
                        f"a second scenario is called `{shorten(name.text)}`",
                        name.span,
                        related=(Label(before.span, "the first one"),),
                        help="give each a name of its own: it is chosen and reported by it",
                    )
                )

    def schema(self) -> Schema:
        shape = super().schema()
        return {**shape, "type": ["array", "null"]}


SCENARIOS: Final = Scenarios(
    Defined("scenario", Built(SCENARIO, _scenario)), "a list of scenarios", MOST_SCENARIOS
)  # fmt: skip
"""``tests:``"""


def _graph_path(text: str) -> str:
    if not text.strip() or "\0" in text or "\n" in text or len(text) > 1000:
        raise ValueError("the path of the graph is empty or no path")
    if "://" in text:
        raise ValueError(f"`{text[:60]}` is an address, and a graph is a file")
    if "\\" in text:
        raise ValueError(f"`{text[:60]}` has backslashes, which only one system reads as a path")
    return text


SCENARIO_FILE: Final = Record(
    {
        "echostack": Field(Version(), "The version of the language that the file is written in."),
        "graph": Field(
            Checked(_graph_path, "the path of a .echo file, relative to this one", codes.BAD_PATH),
            "The graph that the scenarios test, relative to this file.",
            required=True,
        ),
        "tests": Field(SCENARIOS, "The scenarios.", required=True),
    },
    words="a mapping of sections",
    unknown=codes.UNKNOWN_SECTION,
)
"""A file of scenarios beside the graph that they test."""

_DEFINED: Final = {
    "scenario": Built(SCENARIO, _scenario), "step": STEP.shape, "event": EVENT.shape, "connector": SCRIPT.shape,
    "reply": REPLY.shape, "output": OutputShape(), "fault": FAULT.shape, "expectation": EXPECTATION.shape,
    "turn": TURN.shape,
}  # fmt: skip


def definitions() -> dict[str, Schema]:
    """The parts of scenarios that the JSON Schemas refer to, by name."""
    return {name: shape.schema() for name, shape in _DEFINED.items()}
