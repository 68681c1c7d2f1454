"""From text to findings, and findings as the lines that a person would read."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

from echostack.checks import CheckedGraph, check
from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.span import Source
from echostack.graph import build
from echostack.language import read_document
from echostack.registry import Registry
from tests.checks.vendors import registry


def checked(
    text: str, *, known: Registry | None = None, env: Mapping[str, str] | None = None, file: str = "test.echo"
) -> tuple[CheckedGraph | None, Findings]:
    """``text`` read, built and checked; against the connectors in ``vendors`` unless told otherwise."""
    findings = Findings()
    document = read_document(Source(file, dedent(text).lstrip("\n")), findings)
    graph = build(document, findings)
    return check(graph, known if known is not None else registry(), findings, env=env or {}), findings


def sound(text: str, *, known: Registry | None = None, env: Mapping[str, str] | None = None) -> CheckedGraph:
    """The checked graph of a text without any finding."""
    graph, findings = checked(text, known=known, env=env)
    assert told(findings) == ""
    assert graph is not None
    return graph


def told(findings: Findings) -> str:
    """All that the findings say, in order, without the source lines."""
    return "\n".join(line for d in findings.ordered() for line in lines(d))


def lines(d: Diagnostic) -> list[str]:
    """One diagnostic, as indented lines."""
    place = f"{d.span.line}:{d.span.column}-{d.span.end_column}" if d.span is not None else "-"
    head = f"{place} {d.code.id} {d.message}"
    rest = [f"label: {d.label}"] if d.label else []
    rest += [f"at {r.span.line}:{r.span.column}-{r.span.end_column}: {r.text}" for r in d.related]
    rest += [f"via {v}" for v in d.via]
    rest += [f"note: {n}" for n in d.notes]
    rest += [f"help: {d.help}"] if d.help else []
    return [head, *(f"  {r}" for r in rest)]
