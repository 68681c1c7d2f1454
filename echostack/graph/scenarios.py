"""The scenarios that a file holds, and the graph that they test: its own, or the one that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from echostack.core.diagnostic import Code, Diagnostic, Findings
from echostack.core.errors import InvalidFile
from echostack.core.span import Span
from echostack.graph.codes import TESTED_NOT_FOUND, TESTED_OUTSIDE
from echostack.graph.files import SUFFIXES, project_root
from echostack.language import read_file, read_source
from echostack.language.document import Document
from echostack.language.scenario import Scenario, ScenarioFile


@dataclass(frozen=True, slots=True)
class ScenarioSet:
    """The scenarios of one file and the file of the graph that they test. ``document`` is that graph's when it has
    been read already, because the scenarios stand in it."""

    file: Path
    graph: Path
    scenarios: tuple[Scenario, ...]
    document: Document | None = None


def scenarios_of(path: Path, findings: Findings, *, root: Path | None = None) -> ScenarioSet | None:
    """The scenarios under ``tests:`` of a graph's file, or those of a file of scenarios beside it.

    The path of the graph is relative to the file that names it, and may not leave ``root``, the project's folder (see
    ``graph.files``). None when the file cannot be read or its graph is not there; what is wrong goes to ``findings``,
    and a scenario with a mistake is left out. UsageError for a file that cannot be opened.
    """
    try:
        source = read_source(path)
    except InvalidFile as error:
        findings.sources.update(error.sources)
        for diagnostic in error.diagnostics:
            findings.add(diagnostic)
        return None
    read = read_file(source, findings)
    if isinstance(read, Document):
        return ScenarioSet(path, path, read.tests, read)
    graph = graph_of(path, read, findings, root=root)
    return None if graph is None else ScenarioSet(path, graph, read.scenarios)


def graph_of(path: Path, read: ScenarioFile, findings: Findings, *, root: Path | None = None) -> Path | None:
    """The file of the graph that the scenarios of ``path`` test; None, with a finding, when it is not to be had."""
    if not read.graph:
        return None  # a wrong path, which has been reported
    place = read.graph_span
    pure = PurePosixPath(read.graph)
    folder = (root if root is not None else project_root(str(path))).resolve()
    beside = path.parent / read.graph
    outside = pure.is_absolute()
    try:
        outside = outside or not beside.resolve().is_relative_to(folder)
        there = not outside and beside.is_file()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long: no such file, then
        there = False
    if outside:
        _tell(
            findings, TESTED_OUTSIDE, f"{read.graph!r} lies outside the project's folder", place,
            "keep the scenarios in the project of the graph that they test",
        )  # fmt: skip
        return None
    if not there or pure.suffix not in SUFFIXES:
        what = f"there is no file {read.graph!r}" if not there else f"{read.graph!r} is not an EchoStack file"
        _tell(
            findings, TESTED_NOT_FOUND, what, place,
            "name the .echo file of the graph, relative to the file of the scenarios",
        )  # fmt: skip
        return None
    return beside


def _tell(findings: Findings, code: Code, message: str, place: Span | None, help_: str) -> None:
    findings.add(Diagnostic(code, message, place, help=help_))
