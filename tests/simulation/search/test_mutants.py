"""A search finds bugs that are planted into a copy of the runtime, and calls them by their name; and in the runtime as
it is, it finds none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import echostack
from tests.simulation.search.mutants import MUTANTS, Mutant

HERE = Path(__file__).parent
PACKAGE = Path(echostack.__file__).parent


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, copied once: a mutant changes a file or two of it, and puts them back."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "echostack", ignore=shutil.ignore_patterns("__pycache__"))
    for beside in ("pyproject.toml", "grammar"):  # what makes it a checkout, and what reading a file needs
        (folder / beside).symlink_to(PACKAGE.parent / beside)
    return folder


def hunt(folder: Path, runs: int, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a search of the copy in ``folder`` finds, as ``hunt.py`` prints it."""
    done = subprocess.run(
        [sys.executable, str(HERE / "hunt.py"), str(runs), "1", ",".join(only)],
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert Path(found["package"]).is_relative_to(folder)
    return found


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_planted(copy: Path) -> None:
    found = hunt(copy, 200)
    assert (found["runs"], found["unplayed"], found["violated"]) == (200, 0, {})


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_planted_bug_is_found(copy: Path, mutant: Mutant) -> None:
    package = copy / "echostack"
    kept: dict[str, str] = {}
    try:
        for name, old, new in mutant.changes:
            text = (package / name).read_text(encoding="utf-8")
            kept.setdefault(name, text)
            assert text.count(old) == 1, f"{name} no longer says once what the mutant changes: {old!r}"
            (package / name).write_text(text.replace(old, new), encoding="utf-8")
        found = hunt(copy, mutant.runs, mutant.only)
    finally:
        for name, text in kept.items():
            (package / name).write_text(text, encoding="utf-8")
    assert mutant.found in found["violated"], found


@pytest.mark.slow
def test_what_is_found_is_saved_as_a_small_scenario_that_does_it_again(copy: Path, tmp_path: Path) -> None:
    """With the bug, the saved scenario fails; without it, the same scenario passes."""
    for name in ("desk.echo", "parts.py"):
        shutil.copy(HERE / name, tmp_path)
    program = "from echostack.cli.app import main; main()"
    sink = copy / "echostack" / "runtime" / "farend.py"
    text = sink.read_text(encoding="utf-8")
    found = "desk-nothing-stale-is-heard.echo"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments, "--plugin", "parts"], cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    try:
        sink.write_text(text.replace("            self._sink.clear()\n", "            pass\n"), encoding="utf-8")
        searched = run("search", "desk.echo", "--runs", "25", "-j", "1")
        failed = run("test", found)
    finally:
        sink.write_text(text, encoding="utf-8")
    passed = run("test", found)
    assert searched.returncode == 1, searched.stderr
    assert "VIOLATED  nothing stale is heard: " in searched.stdout
    assert f"  saved: echostack test {found} --plugin parts\n" in searched.stdout
    saved = (tmp_path / found).read_text(encoding="utf-8")
    assert saved.count("\n      - ") <= 4, saved  # as many steps, at most
    assert failed.returncode == 1, failed.stdout
    assert "was heard until" in failed.stdout
    assert (passed.returncode, passed.stderr) == (0, ""), passed.stdout
