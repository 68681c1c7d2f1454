"""Finding the files that have scenarios, and reading them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.errors import UsageError
from echostack.core.span import Source
from echostack.graph.scenarios import scenarios_of
from echostack.language.scenario import Scenario
from echostack.recording.format import GRAPH, LINES

SUFFIX = ".echo"
_TESTS = re.compile(r"""^\s*["']?tests["']?\s*:""", re.MULTILINE)
_LOOKED_AT = 1 << 20
"""Characters of a file in which ``tests:`` is looked for; a longer `.echo` file is refused when it is read."""


@dataclass(frozen=True, slots=True)
class ScenarioSource:
    """A file with scenarios, read: its scenarios, and everything that is wrong with it.

    ``name``: how a person named the file. With an error among the findings nothing of it is to be run.
    """

    name: str
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
    """Whether a file says ``tests:`` at the beginning of a line; for a file that cannot be read, False. So it is for
    the copies of a graph's files that a recording keeps: what is to be tested are the files themselves."""
    if path.parent.name == GRAPH and (path.parent.parent / LINES).exists():
        return False
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _TESTS.search(file.read(_LOOKED_AT)) is not None
    except OSError:
        return False


def read_tests(path: Path) -> ScenarioSource:
    """The scenarios of a file. Never raises for what it may hold; UsageError when it cannot be opened."""
    findings = Findings()
    found = scenarios_of(path, findings)
    scenarios = found.scenarios if found is not None else ()
    return ScenarioSource(str(path), scenarios, tuple(findings.ordered()), findings.sources.get(str(path)))


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
