"""docs/language.md: its examples read, are in the common style up to comments, and its tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from echostack.language import format_text
from echostack.language.rules import OPTIONS
from echostack.language.sections import POLICY, SECTIONS
from tests.conftest import ROOT
from tests.language.strategies import read, without_spans

PAGE = (Path(ROOT) / "docs" / "language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 12


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_reads_without_a_finding_and_survives_the_formatter(text: str) -> None:
    document, findings = read(text)
    assert findings.items == []
    assert without_spans(read(format_text(text, "f.echo"))[0]) == without_spans(document)


def test_the_tables_name_every_key() -> None:
    for key in (*OPTIONS.fields, *POLICY):
        assert f"| `{key}` |" in PAGE
    for section in ("barge_in", "turns", "budget"):
        shape = SECTIONS.fields[section].shape
        record = getattr(shape, "second", shape)
        for key in record.fields:
            assert f"| `{section}.{key}` |" in PAGE
    assert " · ".join(f"`{name}`" for name in SECTIONS.fields) == " ".join(PAGE.rstrip().split("\n")[-2:])
