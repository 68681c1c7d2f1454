"""From a path or a text to a graph, and the findings on the way."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echostack import checks
from echostack import graph as graphs
from echostack.api.overrides import with_settings
from echostack.api.registry import default_registry
from echostack.api.veil import veiled
from echostack.checks.model import CheckedGraph
from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.errors import InvalidFile
from echostack.core.span import Source
from echostack.graph.model import Graph
from echostack.graph.scenarios import scenarios_of
from echostack.language import read_document, read_source
from echostack.registry import Registry

SUFFIXES = (".echo", ".json", ".yaml", ".yml")
TEXT_NAME = "<text>"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found. ``graph`` is None when the file could not be read, ``checked`` when it has errors."""

    findings: tuple[Diagnostic, ...]
    sources: Mapping[str, Source]
    graph: Graph | None
    checked: CheckedGraph | None

    @property
    def ok(self) -> bool:
        """Whether there is no error; there may be warnings."""
        return self.checked is not None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.findings if d.is_error)

    def raise_if_invalid(self) -> CheckedGraph:
        """The checked graph. InvalidFile with every finding when there are errors."""
        if self.checked is None:
            raise InvalidFile(self.findings, dict(self.sources))
        return self.checked


def load(path: str | os.PathLike[str]) -> Graph:
    """The graph of a `.echo` file, imports expanded, not yet checked.

    InvalidFile with every finding on errors; UsageError when there is no such file, or it cannot be opened.
    """
    findings = Findings()
    graph = _graph(Path(path), findings)
    if graph is None or findings.errors:
        raise InvalidFile(findings.ordered(), veiled(findings.sources, graph, default_registry()))
    return graph


def check(
    source: str | os.PathLike[str] | Graph,
    *,
    registry: Registry | None = None,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Checked:
    """Everything that can be said of a file, a text or a graph without running it; never raises for its mistakes.
    A file of scenarios is checked with the graph that it names.
    Only for a file that is not there, or cannot be opened: UsageError.

    settings: ``{"node.key": value}`` overrides, as for ``compile``. env: where ``{env: NAME}`` leaves are taken
    from; the process's environment when None.
    """
    findings = Findings()
    known = registry or default_registry()
    graph = source if isinstance(source, Graph) else _examined(source, findings)
    checked: CheckedGraph | None = None
    if graph is not None:
        findings.sources.update(graph.sources)
        if settings:
            graph = with_settings(graph, settings)
        environment = os.environ if env is None else env
        checked = checks.check(graph, known, findings, env=environment)
    if findings.errors:
        checked = None
    found = tuple(findings.ordered())
    return Checked(found, veiled(findings.sources, graph, known) if found else dict(findings.sources), graph, checked)


def is_path(source: str | os.PathLike[str]) -> bool:
    """Whether a string is meant as a path: one line that ends like one of ours, or that names a file."""
    if not isinstance(source, str):
        return True
    if "\n" in source or source.lstrip().startswith("{"):
        return False
    if source.endswith(SUFFIXES):
        return True
    try:
        return Path(source).is_file()
    except (OSError, ValueError):  # too long, or with a NUL in it: no path
        return False


def _graph(source: str | os.PathLike[str], findings: Findings) -> Graph | None:
    root: Path | None = None
    if is_path(source):
        path = Path(source)
        try:
            read = read_source(path)
        except InvalidFile as error:
            for diagnostic in error.diagnostics:
                findings.add(diagnostic)
            return None
        root = path.parent
    else:
        read = Source(TEXT_NAME, str(source))
    findings.sources[read.file] = read
    document = read_document(read, findings)
    return graphs.build(document, findings, root=root)


def _examined(source: str | os.PathLike[str], findings: Findings) -> Graph | None:
    """The same, and for a file of scenarios the graph that they test, with them in the place of its own."""
    if not is_path(source):
        return _graph(source, findings)
    path = Path(source)
    found = scenarios_of(path, findings)
    if found is None:
        return None
    if found.document is not None:
        return graphs.build(found.document, findings, root=path.parent)
    graph = _graph(found.graph, findings)
    return dataclasses.replace(graph, scenarios=found.scenarios) if graph is not None else None
