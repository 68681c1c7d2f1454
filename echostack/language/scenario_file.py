"""Files of scenarios that stand beside the graph that they test: ``graph:`` and ``tests:``."""

from __future__ import annotations

from dataclasses import replace

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.span import Source
from echostack.language import codes
from echostack.language.document import Document
from echostack.language.reader import document_of, is_scenarios, read_root
from echostack.language.scenario import ScenarioFile
from echostack.language.scenario_sections import SCENARIO_FILE
from echostack.language.tree import Node


def read_file(source: Source, findings: Findings) -> Document | ScenarioFile:
    """The graph or the scenarios that ``source`` says. Never raises for what a file may hold."""
    findings.sources[source.file] = source
    mine = Findings()
    root = read_root(source, mine)
    read: Document | ScenarioFile
    if is_scenarios(root):
        assert root is not None
        read = _scenarios(source, root, mine)
    else:
        read = document_of(source, root, mine)
    for diagnostic in mine.items:
        findings.add(diagnostic)
    return read


def read_scenarios(source: Source, findings: Findings) -> ScenarioFile | None:
    """The scenarios of a file of scenarios; None, with a finding, when it is no such file. Never raises for what a
    file may hold; what is wrong is added to ``findings`` and left out."""
    read = read_file(source, findings)
    if isinstance(read, ScenarioFile):
        return read
    if not any(d.is_error and d.span is not None and d.span.file == source.file for d in findings.items):
        findings.add(
            Diagnostic(
                codes.MISSING_KEY,
                "a file of scenarios needs `graph`",
                read.span,
                help="`graph`: the path of the graph that the scenarios test, relative to this file",
            )
        )
    return None


def _scenarios(source: Source, root: Node, findings: Findings) -> ScenarioFile:
    read = SCENARIO_FILE.read(root, "the file", findings)
    graph = read.get("graph", "") if read is not None else ""
    found = read.get("tests", ()) if read is not None else ()
    place = read.span_of("graph") if read is not None else None
    return ScenarioFile(source, graph, tuple(replace(s, graph=graph) for s in found), place)
