"""Findings as JSON-ready data, for `--json` and for programs that embed the check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from echostack.core.diagnostic import Diagnostic, Severity
from echostack.core.span import Span


def report_data(findings: Sequence[Diagnostic], files: Sequence[str]) -> dict[str, Any]:
    """``{"files": […], "findings": […], "errors": n, "warnings": n}``.

    Lines and columns count from 1, columns in code points; ``end_column`` is one past the last. A finding that has
    no place has ``"span": null``.
    """
    return {
        "files": list(files),
        "errors": sum(f.severity is Severity.ERROR for f in findings),
        "warnings": sum(f.severity is Severity.WARNING for f in findings),
        "findings": [finding_data(f) for f in findings],
    }


def finding_data(finding: Diagnostic) -> dict[str, Any]:
    """One finding; every key is always there."""
    return {
        "code": finding.code.id,
        "title": finding.code.title,
        "severity": finding.severity.value,
        "message": finding.message,
        "span": span_data(finding.span),
        "label": finding.label,
        "related": [{"span": span_data(label.span), "text": label.text} for label in finding.related],
        "notes": list(finding.notes),
        "help": finding.help,
        "via": [span_data(site) for site in finding.via],
    }


def span_data(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {
        "file": span.file, "line": span.line, "column": span.column, "end_line": span.end_line,
        "end_column": span.end_column,
    }  # fmt: skip
