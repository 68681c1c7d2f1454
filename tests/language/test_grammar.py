"""The grammar file: LALR(1) without conflicts, every terminal named, every mistake with a message of its own."""

from __future__ import annotations

import logging

import pytest
from lark import Lark, logger

from echostack.core.diagnostic import Findings
from echostack.core.span import Span
from echostack.language.arrows import parse_rule, parser
from echostack.language.ast import Rule
from echostack.resources import folder


def parse(text: str) -> tuple[Rule | None, Findings]:
    findings = Findings()
    return parse_rule(text, lambda a, b: Span("r", 1, a + 1, 1, b + 1), findings), findings


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    # Lark raises for two reductions, and only logs when it prefers a shift.
    level, handlers = logger.level, list(logger.handlers)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(caplog.handler)
    try:
        Lark((folder("grammar") / "arrows.lark").read_text(encoding="utf-8"), start="rule", parser="lalr", debug=True)
    finally:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    assert not [r.getMessage() for r in caplog.records if "onflict" in r.getMessage()]


def test_every_terminal_is_named() -> None:
    assert not [t.name for t in parser().terminals if t.name.startswith("__")]
    assert {"FAT_ARROW", "LONG_ARROW", "PIPE", "EQUALS", "AND_SIGN", "ODD"} <= {t.name for t in parser().terminals}


@pytest.mark.parametrize(
    "text",
    [
        "a -> b", "a->b", "a→b", "ingress.livekit.audio_frame → deepgram.stt", "a.b ?? c.d -> (e.f, g.h ?? i) -> j",
        "a:p -[ else ]-> b", "a -[final]→ b", 'a -[ "x" not in text ]-> b', "a -[ x in (1, 2.5, -3, null) ]-> b",
        "a -[ not (x < 0.4 and y == \"q\\\"\") or t in ('a') ]-> b", "in.and -> else", "a -[ x<-1 ]-> b", "_ -> _a1é",
        "a -[ x == ']-> c' ]-> b", "a -[ x >= 1e-3 ]-> b",
    ],
)  # fmt: skip
def test_right_rules(text: str) -> None:
    rule, findings = parse(text)
    assert findings.items == []
    assert rule is not None
    assert len(rule.stages) == len(rule.arrows) + 1


MISTAKES = {
    "a => b": ("E0201", 3, "`=>` is no arrow", "write `->`"),
    "a --> b": ("E0202", 3, "`-->` is no arrow", "write `->`"),
    "a ->> b": ("E0202", 3, "`->>` is no arrow", "write `->`"),
    "a | b": ("E0203", 3, "`|` does not join two nodes", "write `->`"),
    "a <- b": ("E0204", 3, "`<-` points to the left", "write the source first: `a.b -> c.d`"),
    "a —> b": ("E0205", 3, "`—>` looks like an arrow and is none", "write `->`"),
    "a ⇒ b": ("E0205", 3, "`⇒` looks like an arrow and is none", "write `->`"),
    "a -> b -> -> c": ("E0206", 11, "two arrows in a row", "name the node between them, or remove one"),
    "a ->": ("E0207", 3, "the arrow leads nowhere", "name the node that it leads to, or remove it"),
    "a": ("E0209", 1, "a rule needs an arrow", "write `a -> …`"),
    "(a, b -> c": ("E0211", 1, "the group is not closed before the arrow", "write `)` after its last member"),
    "a -> (b, c": ("E0211", 6, "the group is not closed", "write `)` after its last member"),
    "a -> ()": ("E0213", 6, "an empty group", "name at least two nodes in it, or remove it"),
    "a ? b -> c": ("E0220", 3, "one `?` is no fallback", "write `??`"),
    "deep gram -> c": (
        "E0230", 6, "nothing joins `deep` and `gram`",
        "write `->` between two nodes; a name itself has no blanks, write `_` instead",
    ),
    "my-stt.x -> b": ("E0232", 1, "`my-stt.x` has a hyphen", "write `my_stt.x`"),
    "a -[ x = 3 ]-> b": ("E0254", 8, "`=` is no operator of a guard", "write `==`"),
    "a -[ x && y ]-> b": ("E0255", 8, "`&&` is no operator of a guard", "write `and`"),
    "a -[ x || y ]-> b": ("E0256", 8, "`||` is no operator of a guard", "write `or`"),
    "a -[ x < 1 -> b": ("E0250", 3, "the guard is not closed", "close it with `]->`"),
    "a -[ 0 < x < 1 ]-> b": (
        "E0259", 12, "comparisons do not chain", "compare twice: `0.2 < confidence and confidence < 0.4`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_says_what_where_and_what_to_do(text: str) -> None:
    _, findings = parse(text)
    assert len(findings.items) == 1
    found = findings.items[0]
    assert found.span is not None
    assert (found.code.id, found.span.column, found.message, found.help) == MISTAKES[text]


def test_several_slips_of_one_rule_are_all_reported() -> None:
    rule, findings = parse("a => b -[ x = 1 && !y ]-> c | d")
    assert [d.code.id for d in findings.items] == ["E0201", "E0254", "E0255", "E0257", "E0203"]
    assert rule is not None


def test_two_groups_point_at_the_arrow_between_them() -> None:
    _, findings = parse("(a, b) -> (c, d)")
    assert [(d.code.id, str(d.span)) for d in findings.items] == [("E0215", "r:1:8")]
