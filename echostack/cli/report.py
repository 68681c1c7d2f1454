"""Findings as a product: one function for each form in which they leave the command, and the exit status they mean.

``text`` is for people, ``json`` for programs, ``github`` for annotations in a pull request, ``sarif`` for the code
scanners that read SARIF 2.1.0. All are functions of the findings and the sources alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TextIO

from echostack.cli.output import encodes_all, print_json
from echostack.cli.report_data import report_data
from echostack.cli.report_github import github_commands
from echostack.cli.report_sarif import sarif_log
from echostack.core.diagnostic import Diagnostic
from echostack.core.span import Source
from echostack.render.report_text import report_lines, report_text, summary
from echostack.render.snippet import Line, Style, spread


class Form(StrEnum):
    """The values of ``--format``."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def exit_code(findings: Iterable[Diagnostic], *, strict: bool = False) -> int:
    """0 when a file with these findings can run, else 1; with ``strict``, 1 for any finding at all."""
    return int(any(strict or finding.is_error for finding in findings))


def write_report(
    findings: Sequence[Diagnostic],
    sources: Mapping[str, Source],
    files: Sequence[str],
    *,
    form: Form = Form.TEXT,
    stream: TextIO | None = None,
) -> None:
    """Write the findings about ``files`` to ``stream`` (standard output) in ``form``, in the order given.

    Text is coloured when the stream is a terminal that has colours and nobody asked for none (NO_COLOR).
    """
    stream = stream or sys.stdout
    match form:
        case Form.JSON:
            print_json(report_data(findings, files), stream)
        case Form.SARIF:
            print_json(sarif_log(findings), stream)
        case Form.GITHUB:
            for command in github_commands(findings):
                print(command, file=stream)
        case Form.TEXT:
            write_text(findings, sources, stream)
            print(summary(findings, files), file=stream)


def write_text(findings: Sequence[Diagnostic], sources: Mapping[str, Source], stream: TextIO) -> None:
    """The findings as text with source lines and carets, in colour where ``stream`` is a terminal that has it."""
    write_lines(report_lines(findings, sources), stream)


def write_lines(lines: Iterable[Line], stream: TextIO) -> None:
    """Lines of styled pieces, in colour where ``stream`` is a terminal that has it.

    Names come from files, so control characters in a piece are shown by their numbers; it may have several lines.
    """
    lines = [
        tuple((style, "\n".join(spread(row)[0] for row in words.split("\n"))) for style, words in line)
        for line in lines
    ]
    if not (stream.isatty() and encodes_all(stream)):
        stream.writelines("".join(words for _, words in line).rstrip() + "\n" for line in lines)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((words, _COLOURS[style]) for style, words in line)), soft_wrap=True)


_COLOURS = {
    Style.PLAIN: "",
    Style.MESSAGE: "bold",
    Style.ERROR: "bold red",
    Style.WARNING: "bold yellow",
    Style.NOTE: "bold cyan",
    Style.GUTTER: "blue",
    Style.SECOND: "cyan",
    Style.HELP: "bold green",
}

__all__ = [
    "Form", "exit_code", "github_commands", "report_data", "report_text", "sarif_log", "summary", "write_lines",
    "write_report", "write_text",
]  # fmt: skip
