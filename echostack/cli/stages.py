"""The stages from a file to its plan, as the commands that look at a file need them: all findings, nothing raised."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echostack.core.diagnostic import Findings
from echostack.core.errors import InvalidFile

if TYPE_CHECKING:
    from echostack.check.model import CheckedGraph
    from echostack.graph.model import Graph
    from echostack.plan.model import Plan
    from echostack.registry import Registry


@dataclass(frozen=True, slots=True)
class Examined:
    """One file after the stages: its findings, and what it became as far as it came.

    ``graph`` is missing when the file could not be read at all, ``checked`` when anything in it is an error.
    """

    file: str
    findings: Findings
    graph: Graph | None = None
    checked: CheckedGraph | None = None

    def valid(self) -> CheckedGraph:
        """The checked graph; InvalidFile with every finding when there is none."""
        if self.checked is None:
            raise InvalidFile(self.findings.ordered(), self.findings.sources)
        return self.checked

    def plan(self) -> Plan:
        """The plan; InvalidFile with every finding when the file has errors."""
        from echostack.plan import lower

        return lower(self.valid())


def examine(file: Path, registry: Registry, env: Mapping[str, str] | None = None) -> Examined:
    """Read, build and check ``file``; values from the environment are taken from ``env``, the process's own if None.

    UsageError when the file cannot be opened; everything else is a finding.
    """
    from echostack.check import check
    from echostack.graph import build
    from echostack.language import read_document, read_source

    findings = Findings()
    graph: Graph | None = None
    try:
        source = read_source(file)
        findings.sources[source.file] = source
        document = read_document(source, findings)
        graph = build(document, findings, root=None)
        findings.sources.update(graph.sources)
        checked = check(graph, registry, findings, env=os.environ if env is None else env)
    except InvalidFile as invalid:
        for diagnostic in invalid.diagnostics:
            findings.add(diagnostic)
        findings.sources.update(invalid.sources)
        checked = None
    if findings.errors:
        checked = None
    return Examined(str(file), findings, graph, checked)
