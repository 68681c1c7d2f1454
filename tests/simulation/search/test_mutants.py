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


def test_nothing_is_found_where_nothing_is_planted(copy: Path) -> None:
    found = hunt(copy, 200)
    assert (found["runs"], found["unplayed"], found["violated"]) == (200, 0, {})


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
