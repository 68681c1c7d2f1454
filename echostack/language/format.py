"""``echostack fmt``: a file in the one canonical style. Never changes what the file means.

Sections stand in one order, rules are spaced alike with ``->`` for ``→``, a collection goes on one line when it
fits and nothing inside it is commented, comments travel with what they stand above or beside, and one blank line
is kept where the author left some. Numbers and words keep the way they are written. A file with anchors keeps the
order of its sections, because an alias must follow its anchor.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, Final

from echostack.core.diagnostic import Findings
from echostack.core.errors import InvalidFile
from echostack.core.span import Source
from echostack.language.arrows import parse_rule
from echostack.language.comments import Entry, entries
from echostack.language.ordering import order_entries, order_node
from echostack.language.printing import rule_text
from echostack.language.reader import is_json, is_scenarios, read_tree
from echostack.language.records import AnyValue, Record
from echostack.language.scenario_file import read_file
from echostack.language.scenario_sections import SCENARIO_FILE
from echostack.language.sections import SECTIONS
from echostack.language.source import Places
from echostack.language.tree import MappingNode, Node, ScalarNode, SequenceNode
from echostack.language.values import OLD_BOOLEANS
from echostack.language.yaml_tree import plain_value

WIDTH: Final = 100
"""A collection that fits into this many columns goes on one line."""

MAX_KEY: Final = 1_000
_UNSAFE_START: Final = "-?:,[]{}#&*!|>'\"%@` \t"


def format_text(source_text: str, file: str) -> str:
    """``source_text`` in the canonical style; ``file`` says by its ending whether it is JSON.

    Idempotent. InvalidFile when the text has errors: what cannot be read cannot be rewritten.
    """
    source = Source(file, source_text.removeprefix("\ufeff"))
    findings = Findings()
    read_file(source, findings)
    root = None if findings.errors else read_tree(source, Findings())
    if root is None:
        raise InvalidFile(findings.ordered(), {file: source})
    sections = SCENARIO_FILE if is_scenarios(root) else SECTIONS
    if is_json(source):
        if isinstance(root, MappingNode):
            order_node(root, _only_order(sections))
        return json.dumps(_json(root, ()), indent=2, ensure_ascii=False) + "\n"
    return _Writer(Places(source), root, sections).text()


def _only_order(sections: Record) -> Record:
    """The sections in their order, and the keys of scenarios in theirs; other sections keep the order of the author."""
    kept = {key: f if key == "tests" else replace(f, shape=AnyValue()) for key, f in sections.fields.items()}
    return replace(sections, fields=kept)


def _json(node: Node, path: tuple[str, ...]) -> Any:
    match node:
        case MappingNode():
            name = _rule if path == ("pipeline", "[]") else str
            return {name(p.key.text): _json(p.value, (*path, p.key.text)) for p in node.pairs}
        case SequenceNode():
            return [_json(i, (*path, "[]")) for i in node.items]
        case ScalarNode():
            return _rule(node.text) if path == ("pipeline", "[]") else node.value
        case _:
            raise TypeError(node)


def _rule(text: str) -> str:
    source = Source("", text)
    rule = parse_rule(text, Places(source).span, Findings())
    return text if rule is None else rule_text(rule)


class _Writer:
    def __init__(self, places: Places, root: Node, sections: Record) -> None:
        self._top = entries(places, root)
        self._sections = sections
        self._lines: list[str] = []

    def text(self) -> str:
        children = self._top.children
        if children and not any(_anchored(c.node) for c in children):
            header = _header(children[0])
            order_entries(self._top, _only_order(self._sections))
            if header:
                self._lines += [*header, ""]
        for index, entry in enumerate(children):
            if index == 0:
                _no_blank_first(entry)
            self._pair(entry, 0, ())
        self._comments(self._top.foot, 0)
        while self._lines and not self._lines[-1]:
            self._lines.pop()
        return "\n".join(self._lines) + "\n"

    def _comments(self, lines: list[str], indent: int) -> None:
        for line in lines:
            self._lines.append(" " * indent + line if line else "")

    def _pair(self, entry: Entry, indent: int, path: tuple[str, ...], lead: str = "") -> None:
        assert entry.pair is not None
        self._comments(entry.above, indent)
        name = entry.pair.key.text
        key = _rule(name) if path == ("pipeline", "[]") else name
        written = _scalar(key, entry.pair.key)
        start = (lead or " " * indent) + written + ":"
        if len(written) > MAX_KEY:
            # YAML takes a longer key only when it is announced.
            self._lines.append((lead or " " * indent) + "? " + written)
            start = " " * indent + ":"
        self._value(entry, start, indent, (*path, name))

    def _value(self, entry: Entry, start: str, indent: int, path: tuple[str, ...]) -> None:
        """Write ``start`` and the value: beside it when it goes on one line, else under it."""
        node = entry.node
        beside = f"  {entry.beside}" if entry.beside else ""
        block = None if path == ("pipeline", "[]") else _block_scalar(node)
        if block is not None:
            head, lines = block
            self._lines.append(f"{start}{_property(node)} {head}{beside}")
            self._lines += [" " * (indent + 2) + line if line else "" for line in lines]
            return
        flat = self._flat(entry, path)
        # An own line for every section that lists things: a rule or a node is easier to move as a line.
        listed = len(path) == 1 and path[0] in ("connectors", "pipeline", "playbooks")
        fits = flat is not None and len(start) + 1 + len(flat) <= WIDTH
        if flat is not None and (
            isinstance(node, ScalarNode) or node.alias or (fits and not (listed and entry.children))
        ):
            self._lines.append(f"{start}{' ' + flat if flat else ''}{beside}")
            return
        self._lines.append(f"{start}{_property(node)}{beside}")
        self._collection(entry, indent + 2, path)

    def _collection(self, entry: Entry, indent: int, path: tuple[str, ...]) -> None:
        for index, child in enumerate(entry.children):
            if index == 0:
                _no_blank_first(child)
            if child.pair is not None:
                self._pair(child, indent, path)
            else:
                self._item(child, indent, (*path, "[]"))
        self._comments(entry.foot, indent)

    def _item(self, entry: Entry, indent: int, path: tuple[str, ...]) -> None:
        self._comments(entry.above, indent)
        node = entry.node
        dash = " " * indent + "-"
        rule = path == ("pipeline", "[]")
        first = entry.children[0] if entry.children else None
        if first is not None and _lone_key(entry, path):
            # `- say: Hello` reads better than `- {say: Hello}`.
            first.beside, entry.beside = first.beside or entry.beside, ""
            if not any(first.above):
                first.above.clear()
                self._pair(first, indent + 2, path, lead=dash + " ")
                return
        flat = None if rule and isinstance(node, MappingNode) and not node.alias else self._flat(entry, path)
        if flat is not None and len(dash) + 1 + len(flat) > WIDTH and not isinstance(node, ScalarNode):
            flat = None
        if flat is None and first is not None and entry.beside and path[0] == "tests":
            # What stood at the end of a line that is no longer one stands above what it was about.
            self._lines.append(" " * indent + entry.beside)
            entry.beside = ""
        joins = first is not None and first.pair is not None and not any(first.above) and not _property(node)
        if flat is None and joins and first is not None and not entry.beside:
            # `- key: value`, the other keys under the first.
            first.above.clear()
            self._pair(first, indent + 2, path, lead=dash + " ")
            for child in entry.children[1:]:
                self._pair(child, indent + 2, path)
            self._comments(entry.foot, indent + 2)
            return
        self._value(entry, dash, indent, path)

    def _flat(self, entry: Entry, path: tuple[str, ...]) -> str | None:
        """The value on one line; None when comments stand inside it or it holds lines of its own."""
        node = entry.node
        if node.alias:
            return f"*{node.alias}"
        if entry.commented or (entry.children and _spread(path)):
            return None
        prefix = _property(node).strip()
        body = self._flat_body(entry, path)
        if body is None:
            return None
        return f"{prefix} {body}".strip() if prefix else body

    def _flat_body(self, entry: Entry, path: tuple[str, ...]) -> str | None:
        node = entry.node
        match node:
            case ScalarNode():
                text = node.text
                if path == ("pipeline", "[]"):
                    return _scalar(_rule(text), node)
                return _scalar(text, node, flow=_in_flow(path))
            case SequenceNode():
                parts = [self._flat_part(c, (*path, "[]", "{}")) for c in entry.children]
                return None if None in parts else "[" + ", ".join(p for p in parts if p is not None) + "]"
            case MappingNode():
                parts = []
                for child in entry.children:
                    assert child.pair is not None
                    value = self._flat_part(child, (*path, child.pair.key.text, "{}"))
                    if value is None:
                        return None
                    key = _scalar(child.pair.key.text, child.pair.key, flow=True)
                    if len(key) > MAX_KEY:
                        return None
                    parts.append(f"{key}: {value}" if value else f"{key}: null")
                return "{" + ", ".join(p for p in parts if p is not None) + "}"
            case _:
                raise TypeError(node)

    def _flat_part(self, entry: Entry, path: tuple[str, ...]) -> str | None:
        if _block_scalar(entry.node) is not None:
            return None
        return self._flat(entry, path)


_SPREAD: Final = {3: ("caller", "connectors", "expect"), 4: ("steps",), 5: ("replies", "faults")}
"""The keys of a scenario under which each thing has a line of its own, by how deep they stand."""


def _spread(path: tuple[str, ...]) -> bool:
    """Whether a collection of a scenario is written line by line, however short it is."""
    path = tuple(step for step in path if step != "{}")
    if path[:1] != ("tests",):
        return False
    if len(path) <= 2:
        return True
    return path[-1] in _SPREAD.get(len(path), ()) and path[2] in _SPREAD[3]


def _lone_key(entry: Entry, path: tuple[str, ...]) -> bool:
    """Whether an item of a scenario's list is a mapping of one key that can stand behind its dash."""
    node = entry.node
    if path[:1] != ("tests",) or not isinstance(node, MappingNode) or node.alias or node.anchor:
        return False
    return len(entry.children) == 1 and not any(entry.foot) and not (entry.beside and entry.children[0].beside)


def _in_flow(path: tuple[str, ...]) -> bool:
    return path[-1:] == ("{}",)


def _no_blank_first(entry: Entry) -> None:
    while entry.above[:1] == [""]:
        del entry.above[0]


def _header(first: Entry) -> list[str]:
    """Take the comments at the top of the file, up to the first blank line: they stay at the top."""
    _no_blank_first(first)
    if "" not in first.above:
        return []
    end = first.above.index("")
    header = first.above[:end]
    del first.above[: end + 1]
    return header


def _anchored(node: Node) -> bool:
    if node.anchor or node.alias:
        return True
    match node:
        case SequenceNode():
            return any(_anchored(i) for i in node.items)
        case MappingNode():
            return any(_anchored(p.value) or _anchored(p.key) for p in node.pairs)
        case _:
            return False


def _property(node: Node) -> str:
    return f" &{node.anchor}" if node.anchor and not node.alias else ""


def _block_scalar(node: Node) -> tuple[str, list[str]] | None:
    """The head and the lines of a text of several lines, when a block can hold it as it is."""
    if not isinstance(node, ScalarNode) or node.alias or not isinstance(node.value, str):
        return None
    text = node.text
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    if "\n" not in text.strip("\n") and not (node.style in ("|", ">") and ends == 1 and body):
        return None
    lines = body.split("\n")
    plain = all(c.isprintable() or c == "\n" for c in text)
    if not plain or text[:1] in (" ", "\n") or any(line != line.rstrip() for line in lines) or ends > 1:
        return None
    return ("|" if ends == 1 else "|-"), lines


def _scalar(text: str, node: ScalarNode, *, flow: bool = False) -> str:
    """``text`` as a scalar with the meaning that ``node`` has."""
    if not isinstance(node.value, str):
        if node.value is None and flow:
            return "null"
        return text if node.style == "" else json.dumps(text, ensure_ascii=False)
    kept = node.style == "" and text == node.text  # unquoted words keep being unquoted, quoted ones are, if they must
    if _plain_safe(text, flow=flow) and (kept or text not in OLD_BOOLEANS):
        return text
    if '"' in text and _single_safe(text):
        return "'" + text.replace("'", "''") + "'"
    return _double(text)


def _plain_safe(text: str, *, flow: bool) -> bool:
    if not text or text != text.strip() or any(not c.isprintable() for c in text):
        return False
    start = text[0]
    if start in _UNSAFE_START and not (start in "-?:" and len(text) > 1 and text[1] not in " ,[]{}" and not flow):
        return False
    if (
        ": " in text
        or " #" in text
        or text.endswith(":")
        or text in ("---", "...")
        or text.startswith(("--- ", "... "))
    ):
        return False
    if flow and (any(c in text for c in ",[]{}") or (":" in text and re.search(r":(?=[,\[\]{}]|$)", text))):
        return False
    try:
        return isinstance(plain_value(text), str)
    except ValueError:
        return False


def _single_safe(text: str) -> bool:
    return all(c.isprintable() for c in text)


def _double(text: str) -> str:
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif char == "\t":
            out.append("\\t")
        elif char.isprintable():
            out.append(char)
        elif ord(char) <= 0xFF:
            out.append(f"\\x{ord(char):02x}")
        elif ord(char) <= 0xFFFF:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(f"\\U{ord(char):08x}")
    return '"' + "".join(out) + '"'
