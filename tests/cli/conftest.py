"""The installed command as a fixture."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("echostack")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def echostack(tmp_path: Path) -> Run:
    """Run the command in an empty folder: ``echostack("check", file, LANG="C")``; what it said comes back as text."""

    def run(
        *args: str | Path, cwd: Path | None = None, stdin: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ECHOSTACK_", "COLUMNS", "FORCE_COLOR"))}
        return subprocess.run(
            [PROGRAM, *map(str, args)],
            cwd=cwd or tmp_path,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=120,
            check=False,
            env={**inherited, **env},
        )

    return run
