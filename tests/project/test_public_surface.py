"""What a program can import is what the pages say, and costs nothing until it is used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import echostack


def test_the_surface_is_what_the_architecture_page_lists(checkout: Path) -> None:
    page = (checkout / "docs/architecture.md").read_text(encoding="utf-8")
    section = page.partition("## What a program imports\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)", section, re.MULTILINE)
    assert sorted(listed) == sorted(echostack.__all__)


def test_every_name_is_there_and_documented() -> None:
    for name in echostack.__all__:
        assert getattr(echostack, name).__doc__, name
    assert sorted(dir(echostack)) == sorted([*echostack.__all__, "__version__"])


def test_the_version_is_that_of_the_project(checkout: Path) -> None:
    declared = re.search(r'^version = "(.*)"$', (checkout / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert declared is not None
    assert echostack.__version__ == declared[1]


def test_importing_it_loads_nothing_else() -> None:
    ask = "import sys; before = set(sys.modules); import echostack; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", ask], text=True, capture_output=True, check=True).stdout.split()
    assert "echostack" in loaded
    assert not {name.partition(".")[0] for name in loaded} - {"echostack"} - sys.stdlib_module_names
    assert not [name for name in loaded if name.startswith("echostack.")]
