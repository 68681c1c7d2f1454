"""An item of the pipeline: a rule as text, or ``rule: {options}``. Knows what YAML may have done to it on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.kinds import Overflow
from echostack.language import codes
from echostack.language.arrows import parse_rule
from echostack.language.ast import Rule, RuleOptions
from echostack.language.records import Field, Record, RecordValue
from echostack.language.shapes import Count, Flag, OneOf, Schema
from echostack.language.tree import MappingNode, Node, ScalarNode, SequenceNode
from echostack.language.yaml_read import colon_cuts
from echostack.language.yaml_tree import kind_of, shorten

MAX_QUEUE: Final = 1_000_000

OPTIONS: Final = Record(
    {
        "queue": Field(Count(1, MAX_QUEUE), "The bound of the edge's queue, in events."),
        "overflow": Field(
            OneOf(tuple(o.value for o in Overflow)),
            "What a full queue does with one event more: block (the producer waits), drop_oldest, drop_newest, "
            "latest (only the arriving event stays) or error (the producer gets an error).",
        ),
        "cycle": Field(Flag(), "True marks the cycle that this rule closes as meant."),
    },
    words="options such as {queue: 64, overflow: block}",
)
"""The options of a rule of one arrow."""

_CUT_SHORT = frozenset({codes.STRING_OPEN.id, codes.GUARD_OPEN.id, codes.GROUP_OPEN.id})


@dataclass(frozen=True)
class RuleShape:
    """One rule of the pipeline."""

    words: str = "a rule such as `a.b -> c.d`"

    def read(self, node: Node, what: str, findings: Findings) -> Rule | None:
        return read_rule(node, findings)

    def schema(self) -> Schema:
        text: Schema = {"type": "string", "minLength": 4, "pattern": "->|→"}
        with_options: Schema = {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"pattern": "->|→"},
            "additionalProperties": OPTIONS.schema(),
        }
        return {"anyOf": [text, with_options]}


def read_rule(node: Node, findings: Findings) -> Rule | None:
    """The rule of one item; None, with findings, when it is none."""
    match node:
        case ScalarNode(value=str()):
            return _parse(node, findings, RuleOptions())
        case MappingNode(pairs=[pair]) if isinstance(pair.value, MappingNode):
            options = OPTIONS.read(pair.value, "the rule's options", findings)
            rule = _parse(pair.key, findings, _options(options))
            if rule is not None and len(rule.arrows) > 1:
                findings.add(
                    Diagnostic(
                        codes.OPTIONS_ON_CHAIN,
                        f"options stand on a rule of {len(rule.arrows)} arrows",
                        pair.value.span,
                        notes=("Options belong to one edge, and this rule has several.",),
                        help="give the edge that is meant a rule of its own",
                    )
                )
            return rule
        case MappingNode(pairs=[pair]) if isinstance(pair.value, ScalarNode) and not node.flow:
            _cut_by_colon(pair.key, pair.value, findings)
        case _:
            _not_a_rule(node, findings)
    return None


def _options(read: RecordValue | None) -> RuleOptions:
    if read is None:
        return RuleOptions()
    overflow = read.get("overflow")
    return RuleOptions(
        queue=read.get("queue"),
        overflow=Overflow(overflow) if overflow else None,
        cycle=read.get("cycle", False),
        queue_span=read.span_of("queue"),
        overflow_span=read.span_of("overflow"),
    )


def _parse(node: ScalarNode, findings: Findings, options: RuleOptions) -> Rule | None:
    mine = Findings()
    rule = parse_rule(node.text, node.sub, mine, options)
    if any(d.code.id in _CUT_SHORT for d in mine.items):
        cut = _cut_by_hash(node) or _cut_in_flow(node)
        if cut is not None:
            findings.add(cut)
            return None
    elif mine.errors and node.style == "":
        cut = _cut_in_flow(node)
        if cut is not None:
            findings.add(cut)
            return None
    for diagnostic in mine.items:
        findings.add(diagnostic)
    return rule


def _rest_of_line(node: ScalarNode) -> str:
    text = node.places.text
    end = text.find("\n", node.end)
    return text[node.end : end if end >= 0 else len(text)].rstrip("\r")


def _cut_by_hash(node: ScalarNode) -> Diagnostic | None:
    rest = _rest_of_line(node)
    bare = rest.lstrip(" \t")
    if node.style != "" or not bare.startswith("#"):
        return None
    at = node.end + len(rest) - len(bare)
    whole = node.raw + rest
    quoted = f"'{whole}'" if '"' in whole else f'"{whole}"'
    return Diagnostic(
        codes.HASH_CUTS,
        "the # begins a comment and cuts the rule",
        node.places.span(at, at + 1),
        notes=("In YAML a # after a blank begins a comment, unless the text is quoted.",),
        help=f"quote the whole rule: {shorten(quoted, 200)}",
    )


def _cut_in_flow(node: ScalarNode) -> Diagnostic | None:
    """A plain rule inside [ ] or { } ends at the first comma, bracket or brace."""
    after = node.places.text[node.end : node.end + 1]
    before = node.places.text[: node.start].rstrip()[-1:]
    if node.style != "" or before not in ("[", ",") or after not in (",", "]", "}", "["):
        return None
    return Diagnostic(
        codes.COMMA_CUTS,
        "a rule in a [ ] list ends at its first comma or bracket",
        node.places.span(node.start, node.end + 1),
        help="write each rule on a line of its own, after `- `, or quote it",
    )


def _cut_by_colon(key: ScalarNode, value: ScalarNode, findings: Findings) -> None:
    text = key.places.text
    colon = text.rfind(":", key.end, max(value.start, key.end) + 1)
    colon = colon if colon >= 0 else key.end
    if value.value is None and value.start >= value.end:
        findings.add(
            Diagnostic(
                codes.BAD_OPTIONS,
                "no options stand after the colon of the rule",
                key.places.span(colon, colon + 1),
                help="remove the colon, or write options, such as `{queue: 64}`",
            )
        )
        return
    first_word = str(value.text).split(" ", 1)[0]
    if "->" not in key.text and "→" not in key.text and "-[" not in key.text and "->" in value.text:
        findings.add(
            Diagnostic(
                codes.PORT_BLANK,
                f"a blank stands between `{shorten(key.text)}` and its port",
                key.places.span(key.start, value.end),
                notes=("In YAML `: ` ends a key: what stands after it is no longer part of the rule.",),
                help=f"write `{shorten(key.text)}:{shorten(first_word)}`",
            )
        )
        return
    if any(mark in value.text for mark in ("->", "→", "]", '"', "'")) or "-[" in key.text:
        findings.add(colon_cuts(key.places, colon, f"{key.raw}: {_line_of(value)}"))
        return
    findings.add(
        Diagnostic(
            codes.BAD_OPTIONS,
            f"`{shorten(value.text)}` is no mapping of options",
            value.span,
            help="write options in braces, such as `{queue: 64, overflow: block}`",
        )
    )


def _line_of(value: ScalarNode) -> str:
    return value.raw.split("\n", 1)[0].strip()


def _not_a_rule(node: Node, findings: Findings) -> None:
    help_ = "write a rule such as `a.b -> c.d`"
    what: Any = f"a {kind_of(node)}"
    if isinstance(node, MappingNode):
        what = "a mapping" if node.pairs else "an empty mapping"
        help_ = (
            "quote a rule that holds braces or a colon and a blank; options follow one rule: `a.b -> c.d: {queue: 64}`"
        )
        if len(node.pairs) > 1:
            help_ = "write each rule in an item of its own, after `- `"
        elif node.flow and node.pairs:
            help_ = "write the rule without braces, or its options in braces: `a.b -> c.d: {queue: 64}`"
    elif isinstance(node, SequenceNode):
        help_ = "a group stands in parentheses: `(a.b, c.d) -> e.f`; each item of the pipeline is one rule"
    elif isinstance(node, ScalarNode) and node.text:
        what = f"`{shorten(node.text)}`"
    findings.add(Diagnostic(codes.NOT_A_RULE, f"{what} stands where a rule should be", node.span, help=help_))
