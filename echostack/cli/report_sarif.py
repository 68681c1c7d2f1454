"""Findings as a SARIF log (OASIS Static Analysis Results Interchange Format, version 2.1.0)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from echostack.core.diagnostic import Diagnostic, Label, Severity
from echostack.core.span import Span

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif_log(findings: Sequence[Diagnostic]) -> dict[str, Any]:
    """One run with one result a finding; rules are the codes that occur, by their number."""
    codes = sorted({f.code for f in findings}, key=lambda c: c.id)
    index = {code.id: i for i, code in enumerate(codes)}
    rules = [
        {
            "id": code.id,
            "name": _pascal(code.title),
            "shortDescription": {"text": code.title},
            "help": {"text": f"echostack explain-code {code.id}"},
            "defaultConfiguration": {"level": _LEVELS[code.severity]},
        }
        for code in codes
    ]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "EchoStack", "semanticVersion": version("echostack"), "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(f, index[f.code.id]) for f in findings],
            }
        ],
    }


def _result(finding: Diagnostic, rule: int) -> dict[str, Any]:
    text = [finding.message, *finding.notes, *([finding.help] if finding.help else [])]
    related = [*finding.related, *(Label(site, "imported here") for site in finding.via)]
    result: dict[str, Any] = {
        "ruleId": finding.code.id,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": "\n".join(text)},
    }
    if finding.span is not None:
        result["locations"] = [{"physicalLocation": _place(finding.span)}]
    if related:
        result["relatedLocations"] = [
            {"id": i, "physicalLocation": _place(label.span), "message": {"text": label.text or "see also"}}
            for i, label in enumerate(related, 1)
        ]
    return result


def _place(span: Span) -> dict[str, Any]:
    line, end_line = max(1, span.line), max(1, span.line, span.end_line)
    region = {"startLine": line, "startColumn": max(1, span.column), "endLine": end_line}
    end = max(1, span.end_column)
    region["endColumn"] = max(end, region["startColumn"]) if end_line == line else end
    return {"artifactLocation": {"uri": _uri(span.file)}, "region": region}


def _uri(file: str) -> str:
    """A relative path as a relative URI, an absolute one as a file URI; SARIF's separators are slashes."""
    path = PurePath(file)
    return Path(file).as_uri() if path.is_absolute() else quote(path.as_posix())


def _pascal(title: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in title).split()
    return "".join(w[:1].upper() + w[1:] for w in words) or "Finding"
