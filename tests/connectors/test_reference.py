"""docs/connectors.md shows the connectors as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from echostack.connectors import BUILTIN
from echostack.connectors.reference import BEGIN, END, reference, write
from echostack.registry import Registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "connectors.md"


def test_the_reference_in_the_docs_is_current() -> None:
    text = PAGE.read_text("utf-8")
    current = write(text, reference(Registry(BUILTIN)))
    assert text == current, "run: python -m echostack.connectors.reference docs/connectors.md"


def test_every_connector_and_every_setting_is_described() -> None:
    part = reference(Registry(BUILTIN))
    for name in BUILTIN:
        assert f"### {name}\n" in part
    bare = [line for line in part.splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert bare == []


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the text has no <!-- reference: begin"):
        write("no marks", "x")
    assert write(f"a {BEGIN} old {END} b", "new") == f"a {BEGIN}\n\nnew\n{END} b"
