"""Finding the files that have scenarios, and reading them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.errors import InvalidFile, UsageError
from echostack.core.span import Source
from echostack.language import read_file, read_source
from echostack.language.scenario import Scenario, ScenarioFile

SUFFIX = ".echo"
_TESTS = re.compile(r"""^\s*["']?tests["']?\s*:""", re.MULTILINE)
_LOOKED_AT = 1 << 20
"""Characters of a file in which ``tests:`` is looked for; a longer `.echo` file is refused when it is read."""


@dataclass(frozen=True, slots=True)
class ScenarioSource:
    """A file with scenarios, read: its scenarios, and everything that is wrong with it.

    ``graph``: the file of the graph that they test, the file itself when they stand in it. ``name``: how a person
    named the file. With an error among the findings nothing of it is to be run.
    """

    name: str
    graph: Path
    scenarios: tuple[Scenario, ...]
    findings: tuple[Diagnostic, ...]
    source: Source | None

    @property
    def broken(self) -> bool:
        """Whether it has an error."""
        return any(finding.is_error for finding in self.findings)


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files among ``paths`` as they are named, and those with scenarios in its folders: each once, in order.

    A folder gives its `.echo` files with tests, sorted, those of its folders after them; what begins with a dot is
    left out. UsageError for a path that is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_within(path)))
        elif path.exists():
            found[path] = None
        else:
            raise UsageError(f"{path}: there is no such file or folder")
    return list(found)


def has_tests(path: Path) -> bool:
    """Whether a file says ``tests:`` at the beginning of a line; for a file that cannot be read, False."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _TESTS.search(file.read(_LOOKED_AT)) is not None
    except OSError:
        return False


def read_tests(path: Path) -> ScenarioSource:
    """The scenarios of a file. Never raises for what it may hold; UsageError when it cannot be opened."""
    findings = Findings()
    try:
        source = read_source(path)
    except InvalidFile as error:
        return ScenarioSource(str(path), path, (), error.diagnostics, None)
    read = read_file(source, findings)
    if isinstance(read, ScenarioFile):
        graph = path.parent / read.graph if read.graph else path
        return ScenarioSource(str(path), graph, read.scenarios, tuple(findings.ordered()), source)
    return ScenarioSource(str(path), path, read.tests, tuple(findings.ordered()), source)


def _within(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror or error}") from error
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in shown:
        path = folder / entry.name
        if entry.is_file() and entry.name.endswith(SUFFIX) and has_tests(path):
            yield path
    for entry in shown:
        if entry.is_dir(follow_symlinks=False):
            yield from _within(folder / entry.name)
