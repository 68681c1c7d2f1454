"""Every file in the corpus gets exactly the codes, at exactly the lines, that its first line expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from echostack.checks import check, codes
from echostack.core.diagnostic import Findings
from echostack.graph import build
from echostack.graph import codes as graph_codes
from echostack.language import read_document, read_source
from tests.checks.vendors import registry

CORPUS = sorted((Path(__file__).parent / "malformed").glob("*.echo"))
NOT_IN_A_FILE = {
    "E0402",  # takes a registry whose connector does not load
    "E0318",  # takes nine files: tests/graph/test_imports.py
    "E0319",  # takes a file of a size of its own: tests/graph/test_imports.py
    "E0325",  # takes a file of scenarios beside its graph: tests/graph/test_scenarios.py
    "E0326",  # likewise
    "E0324",  # takes a file that cannot be read: tests/graph/test_imports.py
}


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.stem)
def test_a_malformed_file_gets_its_own_codes(path: Path) -> None:
    expected = path.read_text().split("\n", 1)[0].removeprefix("# expect: ").split(", ")
    findings = Findings()
    graph = build(read_document(read_source(path), findings), findings)
    result = check(graph, registry(), findings, env={})
    found = []
    for diagnostic in findings.ordered():
        assert diagnostic.span is not None
        where = (
            "" if diagnostic.span.file == str(path) else f" of {Path(diagnostic.span.file).relative_to(path.parent)}"
        )
        found.append(f"{diagnostic.code.id} line {diagnostic.span.line}{where}")
    assert found == expected
    assert (result is None) == any(code.startswith("E") for code in expected)


def test_the_corpus_has_a_file_for_every_code() -> None:
    expected = {word for path in CORPUS for word in path.read_text().split("\n", 1)[0].replace(",", "").split()}
    static = {c.id for c in (*graph_codes.CODES, *codes.CODES) if not c.id.startswith("E06")}
    assert static - expected == NOT_IN_A_FILE


def test_codes_are_unique_and_in_the_hundreds_of_their_stage() -> None:
    every = [c.id for c in (*graph_codes.CODES, *codes.CODES)]
    assert len(set(every)) == len(every) >= 55
    assert {i[1:3] for i in every} == {"03", "04", "05", "06"}
