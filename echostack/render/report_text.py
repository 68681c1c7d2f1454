"""Findings as text for people: what, where with a caret, both places where two are to blame, why, and what to do."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from echostack.core.diagnostic import Diagnostic, Severity
from echostack.core.span import Source
from echostack.render.snippet import Line, Pointer, Style, snippet

WIDTH = 100
_STYLES = {Severity.ERROR: Style.ERROR, Severity.WARNING: Style.WARNING, Severity.NOTE: Style.NOTE}


def report_text(findings: Iterable[Diagnostic], sources: Mapping[str, Source]) -> str:
    """Every finding, an empty line after each; the empty string when there are none."""
    lines = report_lines(findings, sources)
    return "".join("".join(words for _, words in line).rstrip() + "\n" for line in lines)


def report_lines(findings: Iterable[Diagnostic], sources: Mapping[str, Source]) -> list[Line]:
    """The same, line by line, every piece with its style."""
    lines: list[Line] = []
    for finding in findings:
        lines += [*_finding(finding, sources), ()]
    return lines


def summary(findings: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """``2 errors, 1 warning in front_desk.echo``; ``front_desk.echo: no findings``."""
    where = files[0] if len(files) == 1 else f"{len(files)} files"
    counts = [
        _count(sum(f.severity is severity for f in findings), severity.value)
        for severity in Severity
        if any(f.severity is severity for f in findings)
    ]
    return f"{', '.join(counts)} in {where}" if counts else f"{where}: no findings"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _finding(finding: Diagnostic, sources: Mapping[str, Source]) -> list[Line]:
    style = _STYLES[finding.severity]
    head, *more = finding.message.split("\n")
    lines: list[Line] = [((style, f"{finding.severity.value}[{finding.code.id}]"), (Style.MESSAGE, f": {head}"))]
    lines += [((Style.MESSAGE, f"  {line}"),) for line in more]
    pointers = [Pointer(label.span, label.text, "~", Style.SECOND) for label in finding.related]
    if finding.span is not None:
        pointers.insert(0, Pointer(finding.span, finding.label, "^", style))
    gutter = max([len(str(p.span.line)) for p in pointers], default=1) + 1
    if pointers:
        lines += snippet(sources, pointers, gutter)
    for site in finding.via:
        lines.append(((Style.GUTTER, f"{' ' * gutter} = "), (Style.PLAIN, f"imported at {site}")))
    for note in finding.notes:
        lines += _tail("note", note, Style.NOTE, gutter)
    if finding.help:
        lines += _tail("help", finding.help, Style.HELP, gutter)
    return lines


def _tail(word: str, text: str, style: Style, gutter: int) -> list[Line]:
    """A note or help, wrapped under its own first word; a line of its own that is indented stays one."""
    indent = gutter + 3 + len(word) + 2
    text = re.sub(r"(?<!\n)\n(?![\s-])", " ", text)
    wrapped = [
        piece
        for line in text.split("\n")
        for piece in textwrap.wrap(
            line, WIDTH - indent, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
        )
        or [""]
    ]
    lines: list[Line] = [
        ((Style.GUTTER, f"{' ' * gutter} = "), (style, f"{word}:"), (Style.PLAIN, f" {wrapped[0]}")),
    ]
    return lines + [((Style.PLAIN, f"{' ' * indent}{line}"),) for line in wrapped[1:]]
