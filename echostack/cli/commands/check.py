"""``echostack check``: everything that is wrong with files, before a call is made."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from echostack.cli.options import Files, Plugins, registry

if TYPE_CHECKING:
    from pathlib import Path

    from echostack.core.diagnostic import Findings
    from echostack.registry import Registry


class Format(StrEnum):
    """How findings are written. The reporters are imported only when there is something to write."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def check(
    files: Files,
    environment: Annotated[
        bool, typer.Option("--environment", help="Also check keys, packages and services of this machine.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail for warnings, too.")] = False,
    format: Annotated[Format, typer.Option("--format", help="How to write the findings.")] = Format.TEXT,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    plugin: Plugins = None,
) -> None:
    """Report everything that is wrong with .echo files: every finding at once, with its place, reason and remedy.

    Needs no network, no keys and no vendor's package, unless --environment asks for them. Only errors fail the command.
    """
    from echostack.cli.guard import tell
    from echostack.cli.report import Form, exit_code, write_report
    from echostack.core.diagnostic import Findings
    from echostack.core.errors import UsageError

    known, findings = registry(plugin), Findings()
    read, status = [], 0
    for file in dict.fromkeys(files):  # a file named twice is reported once
        try:
            examine(file, known, environment, findings)
            read.append(str(file))
        except UsageError as error:  # one that cannot be read does not keep the others from being checked
            status = tell(error)
    found = findings.ordered()
    if read:
        write_report(found, findings.sources, read, form=Form.JSON if json else Form(format.value))
    if status := max(status, exit_code(found, strict=strict)):
        raise typer.Exit(status)


def examine(file: Path, known: Registry, environment: bool, findings: Findings) -> None:
    """Add what is wrong with ``file`` to ``findings``. UsageError when it cannot be opened."""
    import os

    from echostack import api
    from echostack.checks import environment as lacking

    checked = api.check(file, registry=known)
    findings.sources.update(checked.sources)
    found = list(checked.findings)
    if environment and checked.checked is not None:
        found += lacking(checked.checked, os.environ)
    for diagnostic in found:
        findings.add(diagnostic)
