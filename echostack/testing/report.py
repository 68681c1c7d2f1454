"""What failed, for people: each failure in words, where it stands in its file, what happened around it, and how to
see it again. Lines of styled pieces, like the findings of a check, so that one printer serves both."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from echostack.core.span import Source, Span
from echostack.render.report_text import report_lines
from echostack.render.snippet import Line, Pointer, Style, snippet
from echostack.testing.choose import choosing
from echostack.testing.result import Result, Told


def result_lines(result: Result, sources: Mapping[str, Source], *, options: tuple[str, ...] = ()) -> list[Line]:
    """Everything about a run that did not pass; nothing for one that did. ``options``: further options of the command
    that shows it again."""
    if result.ok:
        return []
    lines: list[Line] = [((Style.ERROR, f"{result.status.upper()} "), (Style.MESSAGE, result.id)), ()]
    lines += report_lines(result.findings, {s.file: s for s in result.sources})
    lines += failures_lines(result.failures, sources)
    if result.recorded:
        lines.append(((Style.NOTE, "recording: "), (Style.PLAIN, result.recorded)))
    lines.append(((Style.NOTE, "see it again: "), (Style.PLAIN, again(result, options))))
    return lines


def failures_lines(failures: Iterable[Told], sources: Mapping[str, Source]) -> list[Line]:
    """Failures one after the other, an empty line after each."""
    return [line for told in failures for line in (*_failure(told, sources), ())]


def again(result: Result, options: tuple[str, ...] = ()) -> str:
    """The command that runs this scenario with this seed once more."""
    words = ("echostack", "test", result.file, "-k", choosing(result.name), "--seed", str(result.seed), *options)
    return shlex.join(words)


def text_of(lines: list[Line]) -> str:
    """Lines without their styles, each with its end of line."""
    return "".join("".join(words for _, words in line).rstrip() + "\n" for line in lines)


def _failure(told: Told, sources: Mapping[str, Source]) -> list[Line]:
    head, *more = told.what.split("\n")
    lines: list[Line] = [((Style.ERROR, "failed"), (Style.MESSAGE, f": {head}"))]
    lines += [((Style.PLAIN, f"  {line}"),) for line in more]
    gutter = 4
    if told.span is not None:
        gutter = max(gutter, len(str(told.span.line)) + 1)
        lines += snippet(sources, [Pointer(_one_line(told.span, sources), "", "^", Style.ERROR)], gutter)
    if told.help:
        lines.append(((Style.GUTTER, f"{' ' * gutter} = "), (Style.HELP, "help:"), (Style.PLAIN, f" {told.help}")))
    if told.timeline:
        lines.append(())
        for line in told.timeline:
            style = Style.ERROR if line.startswith(">") else Style.PLAIN
            lines.append(((style, line),))
    return lines


def _one_line(span: Span, sources: Mapping[str, Source]) -> Span:
    """The first line of a place: what an expectation says is shown, not how many lines it goes on for."""
    if span.end_line == span.line:
        return span
    source = sources.get(span.file)
    end = len(source.line(span.line)) + 1 if source is not None else span.column + 1
    return Span(span.file, span.line, span.column, span.line, max(end, span.column + 1))
