"""What the pages show is true: every command of a console block runs, says and exits as shown.

A block ```` ```console ```` holds commands after ``$ `` and, under a command, what it prints; no lines means that it
does not matter, a line ``...`` stands for any lines. A command succeeds unless ``$ echo $?`` right after it shows
another status. A block ```` ```yaml file=NAME ```` is a file that the commands of the same page find in their folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command of a page, what the page says that it prints, and the status that it is shown to end with."""

    line: int
    text: str
    shown: tuple[str, ...]
    status: int


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """The fenced blocks of a page: line, info string, body."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start()) + 1, m["info"].strip(), m["body"]) for m in FENCE.finditer(text)]


def commands(page: Path) -> list[Command]:
    found: list[Command] = []
    for start, info, body in blocks(page):
        if info.split(" ")[0] != "console":
            continue
        for offset, line in enumerate(body.splitlines(), 1):
            if line.startswith("$ "):
                found.append(Command(start + offset, line[2:], (), 0))
            elif found:
                last = found.pop()
                if last.text == "echo $?":
                    before = found.pop()
                    found.append(Command(before.line, before.text, before.shown, int(line)))
                else:
                    found.append(Command(last.line, last.text, (*last.shown, line), last.status))
    return [c for c in found if c.text != "echo $?"]


def fits(shown: tuple[str, ...], said: str) -> bool:
    """Whether the output is what the page shows, a line ``...`` standing for any lines."""
    parts = ["(.*\n)*?" if line == "..." else re.escape(line) + " *\n" for line in shown]
    return re.fullmatch("".join(parts), said if said.endswith("\n") else said + "\n") is not None


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_of_a_page_does_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    for _, info, body in blocks(page):
        if named := re.search(r"\bfile=(\S+)", info):
            target = tmp_path / named[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(body, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands(page):
        done = subprocess.run(
            ["/bin/sh", "-c", command.text],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
            env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        )
        where = f"{page.relative_to(ROOT)}:{command.line}: $ {command.text}"
        assert done.returncode == command.status, f"{where}\nended with {done.returncode}:\n{done.stdout}"
        shown = "\n".join(command.shown)
        assert not command.shown or fits(command.shown, done.stdout), f"{where}\nshows\n{shown}\nbut\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_to_a_file_finds_it(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"


def test_the_newcomers_page_has_a_file_and_commands() -> None:
    """The tests above say nothing about a page without blocks, so the page that matters most must have them."""
    page = ROOT / "README.md"
    assert [info for _, info, _ in blocks(page) if "file=" in info] == [
        "yaml file=shop.echo",
        "yaml file=shop_tests.echo",
    ]
    assert len(commands(page)) >= 5


def test_output_is_held_against_what_is_shown() -> None:
    assert fits(("a", "..."), "a\nb\nc\n")
    assert fits(("...", "c"), "a\nb\nc\n")
    assert not fits(("a", "c"), "a\nb\nc\n")
    assert not fits(("a",), "a\nb\n")
