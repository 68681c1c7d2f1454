"""YAML 1.2 to a tree with exact places, bounded in depth, in number of parts and in what aliases may multiply.

ruamel.yaml turns the text into events; composing them here instead of there keeps every bound ours, needs no
recursion, and lets nothing but text, numbers, truth values and null exist: a tag is an error, so no file can ask
for an object. After a syntax error the file is read again piece by piece (section by section, and in a list item
by item), so that one mistake does not hide the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from echostack.core.diagnostic import Code, Diagnostic, Findings, Label
from echostack.language import codes
from echostack.language.source import Places
from echostack.language.tree import MappingNode, Node, Pair, PlainValue, ScalarNode, SequenceNode

MAX_DEPTH: Final = 40
MAX_NODES: Final = 100_000
"""Parts of a document, each alias counted as everything that it stands for."""
MAX_DIGITS: Final = 300

_PROPERTY = re.compile(r"(?:[&!][^\s,\[\]{}]*[ \t]*\r?\n?[ \t]*)+")
_TAG = re.compile(r"(?:&\S+\s+)?(!\S*)")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL: Final[dict[str, PlainValue]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), ".Inf": float("inf"), ".INF": float("inf"), "+.inf": float("inf"),
    "-.inf": float("-inf"), "-.Inf": float("-inf"), "-.INF": float("-inf"),
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
}  # fmt: skip


class TooMuch(Exception):
    """A bound was passed; the finding has been added and the rest of the document is not read."""


def plain_value(text: str) -> PlainValue:
    """What an unquoted scalar means by the core schema of YAML 1.2. ValueError for a number out of range."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError("too many digits")
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError("too large a number")
        return number
    return text


@dataclass
class _Open:
    """A collection that is being read."""

    node: SequenceNode | MappingNode
    key: Node | None = None
    seen: dict[str, ScalarNode] = field(default_factory=dict)


class _Composer:
    def __init__(self, places: Places, findings: Findings, base: int, *, piece: bool) -> None:
        self._places, self._findings, self._base, self._piece = places, findings, base, piece
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def compose(self, events: Iterator[Event]) -> Node | None:
        """The first document. Raises YAMLError for bad syntax and TooMuch past a bound."""
        root: Node | None = None
        stack: list[_Open] = []
        sizes: list[int] = []
        documents = 0
        for event in events:
            node: Node | None = None
            match event:
                case DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self._several(event)
                        return root
                    self._directives(event)
                case AliasEvent():
                    node = self._alias(event, stack)
                case ScalarEvent():
                    node = self._scalar(event)
                    self._grow(1, node)
                    self._anchor(event, node, 1)
                case SequenceStartEvent() | MappingStartEvent():
                    opened = self._collection(event)
                    self._grow(1, opened)
                    if len(stack) >= MAX_DEPTH:
                        self._stop(codes.TOO_DEEP, f"more than {MAX_DEPTH} levels of nesting", opened)
                    self._anchor(event, opened, 0)
                    stack.append(_Open(opened))
                    sizes.append(self._count)
                case SequenceEndEvent() | MappingEndEvent():
                    closed = stack.pop()
                    node = closed.node
                    node.end = self._end_of(node, event)
                    if node.anchor:
                        self._anchors[node.anchor] = (node, self._count - sizes[-1] + 1)
                    sizes.pop()
                case _:
                    pass
            if node is None:
                continue
            if stack:
                self._put(stack[-1], node)
            elif root is None:
                root = node
        return root

    def _put(self, parent: _Open, node: Node) -> None:
        if isinstance(parent.node, SequenceNode):
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            key, parent.key = parent.key, None
            self._pair(parent, key, node)

    def _pair(self, parent: _Open, key: Node, value: Node) -> None:
        assert isinstance(parent.node, MappingNode)
        if not isinstance(key, ScalarNode) or (key.style == "" and not isinstance(key.value, str)):
            if isinstance(key, ScalarNode) and key.text:
                message, fix = f"the key {key.text} is a {kind_of(key)}, not text", f'quote it: "{key.text}"'
            elif isinstance(key, ScalarNode):
                message, fix = "a key is missing before the colon", "write a name before the colon"
            else:
                message = f"a {kind_of(key)} stands where a key should be"
                fix = "quote the whole line, if it is a rule that begins with a bracket; else write a name"
            self._findings.add(Diagnostic(codes.BAD_KEY, message, key.span, help=fix))
            return
        first = parent.seen.get(key.text)
        if first is not None:
            self._findings.add(
                Diagnostic(
                    codes.DUPLICATE_KEY,
                    f"the key `{shorten(key.text)}` stands here for the second time",
                    key.span,
                    related=(Label(first.span, "first here"),),
                    notes=("Only one of the two could count, and YAML does not say which.",),
                    help="remove one of them, or join what they hold",
                )
            )
            return
        if key.text == "<<" and key.style == "":
            self._findings.add(
                Diagnostic(
                    codes.MERGE_KEY,
                    "`<<` merges nothing: YAML 1.2 has no merge keys",
                    key.span,
                    help="write the keys out",
                )
            )
        parent.seen[key.text] = key
        parent.node.pairs.append(Pair(key, value))

    def _collection(self, event: SequenceStartEvent | MappingStartEvent) -> SequenceNode | MappingNode:
        start = self._skip_properties(event.start_mark.index + self._base)
        broken = self._no_tag(event)
        flow = bool(event.flow_style)
        anchor = event.anchor or ""
        if isinstance(event, SequenceStartEvent):
            return SequenceNode(self._places, start, start, [], flow, anchor=anchor, broken=broken)
        return MappingNode(self._places, start, start, [], flow, anchor=anchor, broken=broken)

    def _end_of(self, node: SequenceNode | MappingNode, event: Event) -> int:
        if node.flow:
            return int(event.end_mark.index) + self._base
        # A block ends where its last part does: YAML's own mark is the start of whatever follows.
        last: Node | None = None
        if isinstance(node, SequenceNode):
            last = node.items[-1] if node.items else None
        elif node.pairs:
            last = node.pairs[-1].value
        if last is None:
            return int(event.end_mark.index) + self._base
        return max(node.start, last.alias_at[1] if last.alias else last.end)

    def _scalar(self, event: ScalarEvent) -> ScalarNode:
        broken = self._no_tag(event)
        start, end = event.start_mark.index + self._base, event.end_mark.index + self._base
        if event.anchor or event.tag:
            start = min(self._skip_properties(start), end)
        text, style = str(event.value), event.style or ""
        if style in ("|", ">"):
            body = self._places.text[start:end]
            end = start + len(body.rstrip(" \t\r\n")) if body.strip() else end
        node = ScalarNode(self._places, start, end, text, text, style, anchor=event.anchor or "", broken=broken)
        if style == "":
            try:
                node.value = plain_value(text)
            except ValueError as error:
                self._findings.add(
                    Diagnostic(codes.BAD_NUMBER, f"{shorten(text)} is {error}", node.span, help="quote it to mean text")
                )
        if any("\ud800" <= c <= "\udfff" for c in text):
            self._surrogate(node)
        return node

    def _surrogate(self, node: ScalarNode) -> None:
        node.text = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in node.text)
        node.value = node.text
        self._findings.add(
            Diagnostic(
                codes.LONE_SURROGATE,
                "an escape \\uD800 to \\uDFFF is half of a character",
                node.span,
                help="write the character itself, or \\U and its eight digits",
            )
        )

    def _alias(self, event: AliasEvent, stack: list[_Open]) -> Node | None:
        start, end = event.start_mark.index + self._base, event.end_mark.index + self._base
        place = self._places.span(start, end)
        name = str(event.anchor)
        if name in self._anchors and not any(o.node.anchor == name for o in stack):
            node, size = self._anchors[name]
            self._grow(size, node)
            return _aliased(node, name, (start, end))
        if not self._piece or any(o.node.anchor == name for o in stack):
            inside = any(o.node.anchor == name for o in stack)
            self._findings.add(
                Diagnostic(
                    codes.BAD_ALIAS,
                    f"`*{name}` stands inside what it repeats" if inside else f"no `&{name}` stands before `*{name}`",
                    place,
                    notes=("In YAML a value that begins with * repeats the value marked with & under that name.",),
                    help="write the value out; a text that begins with * needs quotes",
                )
            )
        return ScalarNode(self._places, start, end, "", None, "", alias=name, alias_at=(start, end), broken=True)

    def _anchor(self, event: Event, node: Node, size: int) -> None:
        if node.anchor and size:
            self._anchors[node.anchor] = (node, size)

    def _grow(self, size: int, node: Node) -> None:
        self._count += size
        if self._count > MAX_NODES:
            message = f"the document has more than {MAX_NODES:,} parts, counting what aliases repeat"
            self._stop(codes.TOO_MANY_PARTS, message, node)

    def _stop(self, code: Code, message: str, node: Node) -> None:
        self._findings.add(Diagnostic(code, message, self._places.span(node.start, node.start + 1)))
        raise TooMuch

    def _skip_properties(self, start: int) -> int:
        found = _PROPERTY.match(self._places.text, start)
        return found.end() if found else start

    def _no_tag(self, event: ScalarEvent | SequenceStartEvent | MappingStartEvent) -> bool:
        """Report the tag of a node, if it has one; whether it had."""
        if event.tag is None:
            return False
        start = event.start_mark.index + self._base
        text = self._places.text
        found = _TAG.match(text, start)
        first, last = found.span(1) if found else (start, start + 1)
        if (trap := rule_start(self._places, first)) is not None:
            self._findings.add(trap)
            return True
        self._findings.add(
            Diagnostic(
                codes.TAG,
                f"the tag `{shorten(text[first:last])}` is not allowed",
                self._places.span(first, last),
                notes=("A .echo file holds text, numbers, true, false, null, lists and mappings, and nothing else.",),
                help="remove the tag; a text that begins with ! needs quotes",
            )
        )
        return True

    def _directives(self, event: DocumentStartEvent) -> None:
        version = event.version
        if (version is None or tuple(version) == (1, 2)) and not event.tags:
            return
        at = self._places.text.find("%")
        line, _ = self._places.line_column(max(at, 0))
        start = self._places.line_start(line)
        said = self._places.text[start:].split("\n", 1)[0].strip()
        self._findings.add(
            Diagnostic(
                codes.YAML_VERSION,
                f"the directive `{shorten(said)}` is not allowed",
                self._places.span(start, start + len(said)),
                help="remove the line: a .echo file is YAML 1.2",
            )
        )

    def _several(self, event: Event) -> None:
        start = int(event.start_mark.index) + self._base
        self._findings.add(
            Diagnostic(
                codes.SEVERAL_DOCUMENTS,
                "a second document begins here",
                self._places.span(start, start + 3),
                notes=("A .echo file is one YAML document.",),
                help="remove the line `---`, or put what follows into a file of its own",
            )
        )


def _aliased(node: Node, name: str, at: tuple[int, int]) -> Node:
    """The same node, seen from the place of an alias."""
    match node:
        case ScalarNode():
            return ScalarNode(
                node.places, node.start, node.end, node.text, node.value, node.style, alias=name, alias_at=at
            )
        case SequenceNode():
            return SequenceNode(node.places, node.start, node.end, node.items, node.flow, alias=name, alias_at=at)
        case MappingNode():
            return MappingNode(node.places, node.start, node.end, node.pairs, node.flow, alias=name, alias_at=at)
        case _:
            raise TypeError(node)


_ITEM = re.compile(r"[ \t]*-[ \t]+([^\s\w(#-])(.*)")
_INDICATORS: Final = "*&!|>@`\"'%{}[],?"


def rule_start(places: Places, offset: int) -> Diagnostic | None:
    """The finding for a list item that was meant as a rule, when ``offset`` lies in the line of one that begins with
    a character that YAML keeps for itself; None otherwise."""
    line, _ = places.line_column(offset)
    start = places.line_start(line)
    item = _ITEM.match(places.text, start)
    if item is None or item[1] not in _INDICATORS:
        return None
    if not any(arrow in item[2] for arrow in ("->", "→", "=>", "-[")):
        return None
    at, end = item.start(1), item.end()
    said = places.text[at:end].split(" #", 1)[0].rstrip()
    quoted = f"'{said}'" if '"' in said else f'"{said}"'
    extra = "a rule may not begin with a pattern's star: write the stage, " if item[1] == "*" else ""
    if item[1] == "[":
        extra = "a group stands in parentheses, not in brackets: "
    return Diagnostic(
        codes.RULE_START,
        f"a rule may not begin with {item[1]}",
        places.span(at, at + 1),
        notes=(f"YAML keeps {item[1]} at the start of a value for itself, so the rule never reaches the arrows.",),
        help=f"{extra}or quote the whole rule: {quoted}" if extra else f"quote the whole rule: {quoted}",
    )


def kind_of(node: Node) -> str:
    """The words for a node's type in a message."""
    match node:
        case SequenceNode():
            return "list"
        case MappingNode():
            return "mapping"
        case ScalarNode(value=bool()):
            return "truth value"
        case ScalarNode(value=None):
            return "null"
        case ScalarNode(value=int()) | ScalarNode(value=float()):
            return "number"
        case _:
            return "text"


def shorten(text: str, most: int = 60) -> str:
    """``text`` on one line, cut to ``most`` characters, fit for a message."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else "\ufffd" for c in line[: most + 1])
    return line if len(line) <= most else line[: most - 1] + "…"


def events_of(text: str) -> Iterator[Event]:
    """ruamel's events; YAMLError from the iterator at the first place that is not YAML."""
    yaml = YAML(typ="safe", pure=True)
    events: Iterator[Event] = yaml.parse(text)
    return events


def compose(places: Places, findings: Findings, text: str, base: int = 0, *, piece: bool = False) -> Node | None:
    """The tree of ``text``, which stands at offset ``base`` of the source. YAMLError when it is not YAML."""
    try:
        return _Composer(places, findings, base, piece=piece).compose(events_of(text))
    except TooMuch:
        return None
    except (MarkedYAMLError, YAMLError):
        raise
    except (ValueError, IndexError, KeyError, AttributeError, AssertionError, OverflowError, TypeError) as error:
        # ruamel raises these for a few malformed inputs (a bad escape, a bad version); they are syntax errors.
        raise YAMLError(f"it is not YAML ({error or type(error).__name__})") from error
