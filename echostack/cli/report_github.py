"""Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

Source: GitHub's documentation, "Workflow commands for GitHub Actions", setting a notice, warning or error message.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from echostack.core.diagnostic import Diagnostic, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def github_commands(findings: Iterable[Diagnostic]) -> Iterator[str]:
    """One command a finding; notes, help and the second place stand in its text, since a command has one place."""
    for finding in findings:
        properties = []
        if finding.span is not None:
            span = finding.span
            properties += [f"file={_property(_relative(span.file))}", f"line={span.line}", f"col={span.column}"]
            properties.append(f"endLine={max(span.line, span.end_line)}")
            if span.end_line <= span.line:
                # Ours is one past the last column, GitHub's is the last.
                properties.append(f"endColumn={max(span.column, span.end_column - 1)}")
        properties.append(f"title={_property(f'{finding.code.id} {finding.code.title}')}")
        lines = [finding.message]
        lines += [f"{label.span}: {label.text}" for label in finding.related]
        lines += [f"imported at {site}" for site in finding.via]
        lines += [f"note: {note}" for note in finding.notes]
        lines += [f"help: {finding.help}"] if finding.help else []
        text = "\n".join(lines)
        yield f"::{_COMMANDS[finding.severity]} {','.join(properties)}::{_data(text)}"


def _relative(file: str) -> str:
    """GitHub knows files by their path from the checkout, which is where its steps run."""
    try:
        return Path(os.path.relpath(file)).as_posix() if Path(file).is_relative_to(Path.cwd()) else file
    except ValueError:
        return file


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
