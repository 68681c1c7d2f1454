"""The pages under docs/diagnostics/ as data, and what their examples really say.

A page is Markdown in a fixed order: the title `# E0203: …`, what it means, the example (`yaml`, `json`, or a `python`
block that makes it), the message (`text`, written by this module), and how to mend it, with a mended `yaml` file where
one page can hold it. Blocks of further files name them: ```yaml parts/speak.echo.

`python -m tests.diagnostics.pages --update` writes the messages anew; without the flag it only tells what differs.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from echostack.checks import check, environment
from echostack.checks.codes import CODES as CHECK_CODES
from echostack.cli.report import report_text
from echostack.connectors import BUILTIN
from echostack.core.diagnostic import Code, Diagnostic, Findings
from echostack.core.errors import InvalidFile
from echostack.graph import build
from echostack.graph.codes import CODES as GRAPH_CODES
from echostack.graph.scenarios import graph_of
from echostack.language import read_document, read_file, read_source
from echostack.language.codes import CODES as LANGUAGE_CODES
from echostack.language.scenario import ScenarioFile
from echostack.registry import Registry, connector

FOLDER = Path(__file__).parents[2] / "docs" / "diagnostics"
CODES: tuple[Code, ...] = (*LANGUAGE_CODES, *GRAPH_CODES, *CHECK_CODES)
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
STAGES = {
    "01": "The document", "02": "Arrows and guards", "03": "Names and imports", "04": "Types and settings",
    "05": "Topology and time", "06": "The environment",
}  # fmt: skip
PRIVILEGED = {"E0324"} if hasattr(os, "geteuid") and os.geteuid() == 0 else set()
"""Pages whose example needs a file that may not be read: there is none for the superuser."""
MEND = "## How to mend it"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, the file that it names, its text."""

    language: str
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page, taken apart."""

    path: Path
    text: str

    @property
    def code(self) -> str:
        return self.path.stem

    @property
    def title(self) -> str:
        return self.text.split("\n", 1)[0].removeprefix("# ")

    @property
    def outside(self) -> bool:
        """Whether it takes `check --environment` to find it."""
        return self.code[1:3] == "06"

    def blocks(self, *, mended: bool = False) -> list[Block]:
        """The blocks before the heading of the remedy, or those after it."""
        before, _, after = self.text.partition(MEND)
        found = []
        for fence in FENCE.finditer(after if mended else before):
            language, _, file = fence["info"].partition(" ")
            found.append(Block(language, file, fence["body"]))
        return found

    @property
    def message(self) -> str:
        return next((b.text for b in self.blocks() if b.language == "text"), "")

    def with_message(self, message: str) -> str:
        """The page's text with another message."""
        return self.text.replace(f"```text\n{self.message}```", f"```text\n{message}```", 1)


def pages() -> list[Page]:
    """All pages, by code."""
    return [Page(p, p.read_text(encoding="utf-8")) for p in sorted(FOLDER.glob("[EW]*.md"))]


def said(page: Page) -> str:
    """What the page's example gives: the findings of the page's code, as the command tells them."""
    with _examined(page.blocks(), environment_too=page.outside) as (findings, sources):
        return report_text([d for d in findings if d.code.id == page.code], sources).removesuffix("\n")


def said_when_mended(page: Page) -> list[str] | None:
    """The codes of what the mended file gives; None when the page has none."""
    mended = [b for b in page.blocks(mended=True) if b.language in ("yaml", "json")]
    if not mended:
        return None
    others = [b for b in page.blocks() if b.language == "python" or b.file]
    names = {b.file for b in mended}
    with _examined(
        [*(b for b in others if not b.file or b.file not in names), *mended], environment_too=page.outside
    ) as (findings, _):
        return [d.code.id for d in findings]


@contextlib.contextmanager
def _examined(blocks: list[Block], *, environment_too: bool) -> Iterator[tuple[list[Diagnostic], Mapping[str, Any]]]:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        example = Path("example.echo")
        names: dict[str, Any] = {"Path": Path, "registry": Registry(BUILTIN), "Registry": Registry, "env": {}}
        names |= {"BUILTIN": BUILTIN, "connector": connector}
        for block in blocks:
            if block.language == "python":
                exec(compile(block.text, "<example>", "exec", dont_inherit=True), names)
            elif block.language in ("yaml", "json"):
                file = Path(block.file) if block.file else Path(f"example.{block.language}").with_suffix(
                    ".json" if block.language == "json" else ".echo"
                )  # fmt: skip
                if not block.file:
                    example = file
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text, encoding="utf-8")
        yield _find(example, names["registry"], names["env"], outside=environment_too)


def _find(
    example: Path, registry: Registry, env: Mapping[str, str], *, outside: bool
) -> tuple[list[Diagnostic], Mapping[str, Any]]:
    findings = Findings()
    try:
        source = read_source(example)
        findings.sources[source.file] = source
        read = read_file(source, findings)
        if isinstance(read, ScenarioFile):
            tested = graph_of(example, read, findings, root=Path("."))
            if tested is None:
                return findings.ordered(), findings.sources
            graph = build(read_document(read_source(tested), findings), findings, root=Path("."))
            graph = replace(graph, scenarios=read.scenarios)
        else:
            graph = build(read, findings, root=Path("."))
        findings.sources.update(graph.sources)
        checked = check(graph, registry, findings, env=env)
        if checked is not None and outside:
            for finding in environment(checked, env):
                findings.add(finding)
    except InvalidFile as invalid:
        for finding in invalid.diagnostics:
            findings.add(finding)
        findings.sources.update(invalid.sources)
    return findings.ordered(), findings.sources


def index() -> str:
    """The page that lists all pages, by stage."""
    lines = [
        "# Diagnostics",
        "",
        "Every finding has a code that never changes its meaning. `E` marks an error, which keeps a file from running;",
        "`W` a warning. `echostack explain-code E0203` prints a page in the terminal.",
    ]
    for stage, name in STAGES.items():
        found = sorted((c for c in CODES if c.id[1:3] == stage), key=lambda c: (c.id[1:], c.id))
        lines += [
            "",
            f"## {name}",
            "",
            *(f"- [{c.id}]({c.id}.md): {c.title.replace('|', chr(92) + '|')}" for c in found),
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    update, stale = "--update" in sys.argv, 0
    for page in pages():
        if page.code in PRIVILEGED:
            continue
        message = said(page)
        if not message:
            print(f"{page.path.name}: its example does not give {page.code}")
            stale += 1
        elif message != page.message:
            print(f"{page.path.name}: {'written anew' if update else 'its message is not what the example gives'}")
            stale += not update
            if update:
                page.path.write_text(page.with_message(message), encoding="utf-8")
    listing = FOLDER / "README.md"
    if not listing.is_file() or listing.read_text(encoding="utf-8") != index():
        stale += not update
        print(f"README.md: {'written anew' if update else 'does not list the codes that there are'}")
        if update:
            listing.write_text(index(), encoding="utf-8")
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main())
