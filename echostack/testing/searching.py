"""A search of a file's scenario: what is searched, and what was found as a file that runs again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from echostack.core.diagnostic import Findings
from echostack.core.errors import EchoStackError, UsageError
from echostack.core.span import Source
from echostack.graph.files import project_root
from echostack.graph.scenarios import scenarios_of
from echostack.language import read_source
from echostack.language.reader import read_tree
from echostack.language.scenario import Say, Scenario
from echostack.language.tree import MappingNode, Node, ScalarNode, SequenceNode
from echostack.simulation.outcome import Failure
from echostack.simulation.search.found import Batch
from echostack.simulation.search.shrink import Shrunk, shrink
from echostack.simulation.search.subject import EXPECTED, Subject
from echostack.simulation.search.writing import scenario_text
from echostack.testing.bench import Bench
from echostack.testing.default_caller import default_scenario


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens what is searched, in whichever process. scenario: its name; None for the file's only one, or a caller of no
    scenario where it has none. path: where plugins are looked for first."""

    file: Path
    scenario: str | None = None
    plugins: tuple[str, ...] = ()
    real: tuple[str, ...] = ()
    expect: bool = False
    path: tuple[str, ...] = ()

    def __call__(self) -> Subject:
        """InvalidFile for a file with errors; UsageError for a scenario or a plugin that is not there."""
        import sys

        sys.path[:0] = [p for p in self.path if p not in sys.path]
        bench = Bench(self.plugins, self.real)
        scenario = self._scenario(bench)
        plan = bench.plan(self.file, scenario)
        return Subject(plan, scenario, bench.answers(scenario), self.real, self.expect)

    def _scenario(self, bench: Bench) -> Scenario:
        if self.scenario is not None:
            return bench.scenario(self.file, self.scenario)
        known = bench.read(self.file).scenarios
        if len(known) == 1:
            return bench.scenario(self.file, known[0].name)
        if known:
            names = ", ".join(repr(s.name) for s in known)
            raise UsageError(f"{self.file} has several scenarios; name one with --scenario: {names}")
        return default_scenario(self.file, bench.plan(self.file, default_scenario(self.file)))


def graph_file(file: Path) -> Path:
    """The file of the graph that the scenarios of ``file`` test: itself, or the one that it names."""
    found = scenarios_of(file, Findings())
    return found.graph if found is not None else file


@dataclass(frozen=True, slots=True)
class Found:
    """One invariant that is violated: by how many runs, the smallest scenario that does it, and the file that it is
    saved in. reproduced: whether that file, read again, does it again. why: why it could not be saved."""

    invariant: str
    runs: int
    number: int
    failure: Failure
    scenario: Scenario
    calls: int
    file: Path | None = None
    reproduced: bool = False
    why: str = ""


def place_of(folder: Path, graph: Path) -> str:
    """The path of ``graph`` as a file in ``folder`` says it. UsageError for a folder from which it may not be named."""
    root = project_root(str(folder / "found.echo"))
    if not graph.resolve().is_relative_to(root):
        raise UsageError(
            f"--out {folder}: what is found there could not name its graph, {graph}: a scenario stands in the project"
            " of the graph that it tests, which is the nearest folder above with a pyproject.toml or .git in it, and"
            " the file's own folder where there is none"
        )
    return Path(os.path.relpath(graph.resolve(), folder.resolve())).as_posix()


def smallest(
    subject: Subject, batch: Batch, invariant: str, *, on_try: Callable[[int], None] = lambda _: None
) -> Found | None:
    """The smallest scenario that was found for ``invariant``, made smaller still."""
    hit = batch.smallest(invariant)
    if hit is None:
        return None
    named = replace(hit.scenario, name=f"found: {invariant}", about="")
    small: Shrunk | None = shrink(subject, named, invariant, on_try=on_try)
    if small is None:  # the same run in this process must do the same; tell what was seen all the same
        failure = next(f for f in hit.failures if f.invariant == invariant)
        return Found(invariant, batch.violated[invariant], hit.number, failure, named, 1)
    return Found(invariant, batch.violated[invariant], hit.number, small.failure, small.scenario, small.runs)


def saved(found: Found, opening: Opening, subject: Subject, folder: Path) -> Found:
    """Write ``found`` as a scenario of its own into ``folder``, and run what was written.

    A file that holds something else is left as it is, and another name found. What cannot be written is told in
    ``why``: nothing that was found is lost because one file could not be saved.
    """
    try:
        return _saved(found, opening, subject, folder)
    except (EchoStackError, OSError) as error:
        return replace(found, why=str(error))


def _saved(found: Found, opening: Opening, subject: Subject, folder: Path) -> Found:
    from echostack.language import read_file
    from echostack.language.scenario import ScenarioFile

    graph = graph_file(opening.file)
    stem = re.sub(r"[^A-Za-z0-9]+", "-", f"{opening.file.stem} {found.invariant}").strip("-").lower()
    comment = [*found.failure.what.splitlines(), f"Found by searching {opening.file.name}: {subject.scenario.name}"]
    expect = expectations(opening.file, subject.scenario.name) if found.invariant == EXPECTED else None
    moved = _sounds_from(found.scenario, folder)
    text = scenario_text(
        moved, place_of(folder, graph), file=str(folder / f"{stem}.echo"), comment=comment, expect=expect
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = _free(folder, stem, text)
    file.write_text(text, encoding="utf-8")
    read = read_file(Source(str(file), text), Findings())
    again = False
    if isinstance(read, ScenarioFile) and read.scenarios:
        outcome = subject.call(read.scenarios[0])
        again = any(f.invariant == found.invariant for f in subject.found(outcome))
    return replace(found, file=file, reproduced=again)


def _free(folder: Path, stem: str, text: str) -> Path:
    """A file of ``folder`` that is not there yet, or that holds ``text`` already."""
    for number in count(1):
        file = folder / (f"{stem}.echo" if number == 1 else f"{stem}-{number}.echo")
        if not file.exists() or (file.is_file() and file.read_bytes() == text.encode()):
            return file
    raise AssertionError  # count never ends


def _sounds_from(scenario: Scenario, folder: Path) -> Scenario:
    """``scenario`` with the paths of its WAV files as a file in ``folder`` says them."""
    steps = []
    for step in scenario.caller.steps:
        if isinstance(step, Say) and step.audio is not None and step.span.file:
            sound = Path(step.span.file).resolve().parent / step.audio
            step = replace(step, audio=Path(os.path.relpath(sound, folder.resolve())).as_posix())
        steps.append(step)
    return replace(scenario, caller=replace(scenario.caller, steps=tuple(steps)))


def expectations(file: Path, name: str) -> Any:
    """What the scenario ``name`` of ``file`` expects, as plain data; None for nothing."""
    root = read_tree(read_source(file), Findings())
    tests = root.get("tests") if isinstance(root, MappingNode) else None
    for item in tests.items if isinstance(tests, SequenceNode) else ():
        said = item.get("name") if isinstance(item, MappingNode) else None
        if isinstance(said, ScalarNode) and said.text == name and isinstance(item, MappingNode):
            expect = item.get("expect")
            return None if expect is None else _plain(expect)
    return None


def _plain(node: Node) -> Any:
    match node:
        case MappingNode():
            return {pair.key.text: _plain(pair.value) for pair in node.pairs}
        case SequenceNode():
            return [_plain(item) for item in node.items]
        case ScalarNode():
            return node.value
        case _:
            raise TypeError(node)
