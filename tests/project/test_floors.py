"""The floors of the house: the linter holds them, and sees an import that points up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def lint(where: Path) -> tuple[int, str]:
    """Run import-linter over the checkout (or a copy of it) at ``where``."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache", "--no-logo"],
        cwd=where,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(where), "COLUMNS": "200"},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path, checkout: Path) -> Path:
    shutil.copytree(checkout / "echostack", tmp_path / "echostack", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(checkout / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def test_the_floors_hold(checkout: Path) -> None:
    status, said = lint(checkout)
    assert status == 0, said


@pytest.mark.parametrize(
    ("module", "imported", "broken"),
    [
        ("core/planted.py", "echostack.registry", "Imports point down, floor by floor BROKEN"),
        ("language/planted.py", "echostack.registry", "Imports point down, floor by floor BROKEN"),
        ("graph/planted.py", "echostack.registry", "Imports point down, floor by floor BROKEN"),
        ("connectors/planted.py", "echostack.runtime", "Imports point down, floor by floor BROKEN"),
        ("connectors/planted.py", "echostack.graph.model", "nothing of files, graphs and plans BROKEN"),
        ("runtime/planted.py", "aiostream", "aiostream is imported by runtime.streams only BROKEN"),
        ("attic/__init__.py", "echostack.core", "Imports point down, floor by floor BROKEN"),
    ],
)
def test_a_planted_violation_is_found(copy: Path, module: str, imported: str, broken: str) -> None:
    planted = copy / "echostack" / module
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"import {imported}\n", encoding="utf-8")
    status, said = lint(copy)
    assert status == 1, said
    assert broken in said
