"""Everything stands where the file says it stands, whatever quotes and folds lie between."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from echostack.core.span import Span
from echostack.language.guard import Compare
from tests.language.strategies import quoted, read, rules

TEXTS = {
    "plain": "pipeline:\n  - aa.b -> cc.d\n",
    "double quoted": 'pipeline:\n  - "aa.b -> cc.d"\n',
    "single quoted": "pipeline:\n  - 'aa.b -> cc.d'\n",
    "escaped": 'pipeline:\n  - "\\x61a.b -> cc.d"\n',
    "escaped arrow": 'pipeline:\n  - "aa.b \\u2192 cc.d"\n',
    "plain over two lines": "pipeline:\n  - aa.b ->\n      cc.d\n",
    "plain over a blank line": "pipeline:\n  - aa.b ->\n\n\n      cc.d\n",
    "quoted over two lines": 'pipeline:\n  - "aa.b ->\n      cc.d"\n',
    "quoted with an escaped line end": 'pipeline:\n  - "aa.b -> \\\n      cc.d"\n',
    "folded": "pipeline:\n  - >\n    aa.b ->\n    cc.d\n",
    "literal": "pipeline:\n  - |  # why\n    aa.b ->\n      cc.d\n",
    "windows": "pipeline:\r\n  - aa.b ->\r\n      cc.d\r\n",
    "tab inside quotes": 'pipeline:\n  - "aa.b\t->\tcc.d"\n',
    "wide": 'name: "日本語😀"\npipeline: ["aa.b -> cc.d"]\n',
    "flow": "pipeline: [x -> y, aa.b -> cc.d]\n",
    "options": "pipeline:\n  - aa.b -> cc.d: {queue: 3}\n",
    "explicit key": "pipeline:\n  - ? aa.b -> cc.d\n    : {queue: 3}\n",
    "anchored": "pipeline:\n  - &r aa.b -> cc.d\n",
    "byte order mark": "pipeline:\n  - aa.b -> cc.d\n",
}


def cut(text: str, span: Span | None) -> str:
    """The part of ``text`` that ``span`` covers."""
    assert span is not None
    lines = text.split("\n")
    if span.line == span.end_line:
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]
    middle = lines[span.line : span.end_line - 1]
    return "\n".join(
        [lines[span.line - 1][span.column - 1 :], *middle, lines[span.end_line - 1][: span.end_column - 1]]
    )


@pytest.mark.parametrize("name", TEXTS)
def test_the_parts_of_a_rule_stand_where_the_file_says(name: str) -> None:
    text = TEXTS[name]
    document, findings = read(text)
    assert not findings.items
    rule = document.pipeline[-1]
    first, second = rule.stages
    assert cut(text, first.span) == ("\\x61a.b" if name == "escaped" else "aa.b")
    assert cut(text, second.span) == "cc.d"
    assert cut(text, rule.arrows[0].span) == ("\\u2192" if name == "escaped arrow" else "->")


@given(rules())
@settings(max_examples=150)
def test_every_name_of_a_quoted_rule_stands_where_the_file_says(rule: str) -> None:
    text = f"pipeline:\n  - {quoted(rule)}\n"
    document, _ = read(text)
    for stage in document.pipeline[0].stages:
        for choice in stage.choices:
            for ref in choice.members:
                if str(ref).isascii():
                    assert cut(text, ref.span) == str(ref)


def test_the_parts_of_a_guard() -> None:
    text = "pipeline:\n  - 'a -[ text == \"it''s\" and confidence < 0.4 ]-> b'\n"
    document, _ = read(text)
    guard = document.pipeline[0].arrows[0].guard
    assert guard is not None
    assert cut(text, guard.span) == "text == \"it''s\" and confidence < 0.4"
    first, second = guard.items  # type: ignore[union-attr]
    assert isinstance(first, Compare)
    assert first.right.value == "it's"  # type: ignore[union-attr]
    assert cut(text, first.right.span) == "\"it''s\""
    assert cut(text, second.left.span) == "confidence"
    assert cut(text, second.right.span) == "0.4"


def test_a_mistake_in_a_folded_rule_is_shown_on_its_own_line() -> None:
    _, findings = read("pipeline:\n  - >\n    a ->\n      b =>\n    c\n")
    assert [str(d.span) for d in findings.items] == ["f.echo:4:9"]


def test_a_json_rule_with_escapes() -> None:
    text = '{\n\t"pipeline": ["a \\u2192 b", "\\ud83d\\ude00 -> b"]\n}'
    document, findings = read(text, "f.json")
    assert cut(text, document.pipeline[0].stages[1].span) == "b"
    assert document.pipeline[0].stages[1].span.column == 25
    assert [(d.code.id, str(d.span)) for d in findings.items] == [("E0240", "f.json:2:30")]


def test_keys_and_values() -> None:
    text = "connectors:\n  sales: {use: claude.agent, system: 'x y'}\nbudget: {voice_to_voice: 800ms}\n"
    text += "pipeline: [a -> b]\n"
    document, _ = read(text)
    sales = document.connectors["sales"]
    assert cut(text, sales.span) == "sales"
    assert cut(text, sales.use_span) == "claude.agent"
    assert cut(text, sales.settings.keys["system"]) == "system"
    assert cut(text, sales.settings.items["system"].span) == "'x y'"
    assert cut(text, document.voice_to_voice_span) == "800ms"
