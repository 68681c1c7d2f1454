"""Whatever a file holds: findings or a document, never a traceback, and never for long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.language.strategies import documents, read, rules

QUICK = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
ODD = st.sampled_from(
    ["->", "-[", "]->", "??", *"-><=→[](){}\"'*&!|?:;,.#%@`~\t\r\n\\ \x00\x85\u2028\ufeff\u200b\U0001f600"]
)
CORPUS = sorted(p for p in (Path(__file__).parent / "malformed").iterdir() if p.suffix in (".echo", ".json"))


@QUICK
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    read(text)
    read(text, "f.json")


@QUICK
@given(st.lists(st.one_of(ODD, st.sampled_from(["a", "b.c", "pipeline:", "\n  - ", "and", "x < 1"])), max_size=60))
def test_any_mixture_of_what_the_language_is_made_of(parts: list[str]) -> None:
    text = "".join(parts)
    read(text)
    read("pipeline:\n  - " + text)
    read('{"pipeline": ["' + text, "f.json")


@QUICK
@given(documents(), st.data())
def test_a_document_with_something_changed(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    much = data.draw(st.integers(0, 5))
    mutated = text[:at] + data.draw(st.one_of(ODD, st.just(""))) + text[at + much :]
    document, findings = read(mutated)
    for rule in document.pipeline:
        assert len(rule.stages) == len(rule.arrows) + 1
    for found in findings.items:
        assert found.span is not None
        lines = mutated.split("\n")
        assert 1 <= found.span.line <= len(lines)
        assert 1 <= found.span.column <= len(lines[found.span.line - 1]) + 1


@QUICK
@given(rules(), st.data())
def test_a_rule_with_something_changed(rule: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rule)))
    read("pipeline:\n  - " + rule[:at] + data.draw(ODD) + rule[at + data.draw(st.integers(0, 2)) :])


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.name)
def test_every_beginning_of_a_malformed_file(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    for end in range(0, min(len(text), 200), 3):
        read(text[:end], path.name)


HOSTILE = {
    "deep lists": "a: " + "[" * 100_000,
    "deep mappings": "{a: " * 50_000,
    "deep blocks": "".join(" " * i + "a:\n" for i in range(500)),
    "deep dashes": "- " * 50_000,
    "laughs": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)),
    "a long line": "pipeline:\n  - " + "a -> " * 20_000 + "b\n",
    "a long word": "pipeline:\n  - " + "a" * 100_000 + " -> b\n",
    "a long guard": "pipeline:\n  - a -[ " + "(" * 100_000,
    "a long quote": 'pipeline:\n  - "' + "x" * 100_000,
    "a long plain text": "name: " + "x " * 50_000,
    "many stars": "pipeline:\n  - " + "*" * 3_900 + " -> b\n",
    "many dots": "pipeline:\n  - " + "a." * 1_900 + " -> b\n",
    "many hyphens": "pipeline:\n  - " + "a-" * 1_900 + " -> b\n",
    "many spaces": "pipeline:\n  - a -[ x ]" + " " * 3_800 + "b\n",
    "many quotes": "pipeline:\n  - a -[ x == " + "'\"" * 1_900 + "\n",
    "many items": "pipeline: [" + "x, " * 30_000 + "]",
    "many keys": "".join(f"k{i}: 1\n" for i in range(10_000)),
    "many wrong rules": "pipeline:\n" + "  - a => b\n" * 5_000,
    "many broken rules": "pipeline:\n" + "  - *a -> b\n" * 3_000,
    "many broken sections": "".join(f"k{i}: [\n" for i in range(3_000)),
    "many comments": "# x\n" * 100_000,
    "digits": "name: " + "9" * 10_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_soon(name: str) -> None:
    began = time.perf_counter()
    _, findings = read(HOSTILE[name])
    assert findings.errors
    assert time.perf_counter() - began < 20  # some seconds at most on a busy machine, where a blow-up takes hours


def test_hostile_json_ends_soon() -> None:
    began = time.perf_counter()
    for text in ('{"a":' * 50_000, "[" * 100_000, '{"a": "' + "x" * 900_000, '{"pipeline": [' + '"a->b",' * 100_000):
        _, findings = read(text, "f.json")
        assert findings.errors
    assert time.perf_counter() - began < 20


def test_two_thousand_rules_are_read_without_a_finding() -> None:
    # How long that takes is for benchmarks/check_scale.py to say.
    many = 2_000
    text = "pipeline:\n" + "".join(f"  - a{i}.stt -[ confidence < 0.4 ]-> b{i}.say -> c.log\n" for i in range(many))
    document, findings = read(text)
    assert not findings.items
    assert len(document.pipeline) == many
