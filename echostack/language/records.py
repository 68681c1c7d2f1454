"""Shapes that hold others: lists, mappings by name, records with known keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from echostack.core.diagnostic import Code, Diagnostic, Findings, did_you_mean
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.data import Mapping_, Value
from echostack.language.shapes import Found, Name, Schema, Shape, wrong
from echostack.language.tree import MappingNode, Node, ScalarNode, SequenceNode
from echostack.language.values import mapping_of, to_value
from echostack.language.yaml_tree import kind_of, shorten


@dataclass(frozen=True)
class ListOf:
    """A list whose items have one shape; read as a tuple of those that fit. ``most``: how many, 0 for any number."""

    item: Shape
    words: str = "a list"
    most: int = 0

    def read(self, node: Node, what: str, findings: Findings) -> tuple[Any, ...] | None:
        if not isinstance(node, SequenceNode):
            wrong(self, node, what, findings)
            return None
        if self.most and len(node.items) > self.most:
            message = f"{what} takes at most {self.most:,} items, and has {len(node.items):,}"
            findings.add(Diagnostic(codes.OUT_OF_RANGE, message, node.items[self.most].span, help="divide the list"))
            return None
        read = (self.item.read(i, f"an item of {what}", findings) for i in node.items if not i.broken)
        return tuple(r for r in read if r is not None)

    def schema(self) -> Schema:
        return {"type": "array", "items": self.item.schema(), **({"maxItems": self.most} if self.most else {})}


@dataclass(frozen=True)
class AnyValue:
    """Any value at all, kept with its spans."""

    words: str = "a value"

    def read(self, node: Node, what: str, findings: Findings) -> Value | None:
        return to_value(node, findings)

    def schema(self) -> Schema:
        return {}


@dataclass(frozen=True)
class MapOf:
    """A mapping from names of one shape to values of one shape; read as ``{name: Found}``."""

    key: Name
    value: Shape
    words: str = "a mapping"
    key_what: str = "a name"

    def read(self, node: Node, what: str, findings: Findings) -> dict[str, Found] | None:
        if isinstance(node, ScalarNode) and node.value is None:
            return {}  # `connectors:` with nothing under it, or everything under it commented out
        if not isinstance(node, MappingNode):
            wrong(self, node, what, findings)
            return None
        found: dict[str, Found] = {}
        for pair in node.pairs:
            name = pair.key.text
            if not self.key.fits(name):
                fixed = re.sub(r"[-\s/]+", "_", name.strip())
                findings.add(
                    Diagnostic(
                        codes.BAD_NAME,
                        f"`{shorten(name)}` is not {self.key.words}",
                        pair.key.span,
                        help=f"write `{fixed}`" if fixed != name and self.key.fits(fixed) else "",
                    )
                )
                continue
            if pair.value.broken:
                continue
            value = self.value.read(pair.value, f"`{shorten(name)}`", findings)
            if value is not None:
                found[name] = Found(value, pair.value.span, pair.key.span)
        return found

    def schema(self) -> Schema:
        return {
            "type": ["object", "null"],
            "propertyNames": {"pattern": self.key.pattern},
            "additionalProperties": self.value.schema(),
        }


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a Record."""

    shape: Shape
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class RecordValue:
    """What a Record read: ``found`` by key, and under ``rest`` the entries that are not its own."""

    found: Mapping[str, Found]
    rest: Mapping_
    span: Span

    def get(self, key: str, default: Any = None) -> Any:
        return self.found[key].value if key in self.found else default

    def span_of(self, key: str) -> Span | None:
        return self.found[key].span if key in self.found else None


@dataclass(frozen=True)
class Record:
    """A mapping with known keys. ``rest``: other keys are kept as values instead of being unknown."""

    fields: Mapping[str, Field]
    words: str = "a mapping"
    rest: bool = False
    unknown: Code = field(default=codes.UNKNOWN_KEY)
    hint: str = ""
    nullable: bool = False

    def read(self, node: Node, what: str, findings: Findings) -> RecordValue | None:
        empty = Mapping_({}, {}, node.span)
        if self.nullable and isinstance(node, ScalarNode) and node.value is None:
            return RecordValue({}, empty, node.span)
        if not isinstance(node, MappingNode):
            said = f"`{shorten(node.text)}`" if isinstance(node, ScalarNode) and node.text else f"a {kind_of(node)}"
            message = f"{what} takes {self.words}, not {said}"
            findings.add(Diagnostic(codes.WRONG_TYPE, message, node.span, help=self.hint))
            return None
        found: dict[str, Found] = {}
        for pair in node.pairs:
            key = pair.key.text
            known = self.fields.get(key)
            if known is None:
                if not self.rest:
                    self._unknown(key, pair.key.span, what, findings)
                continue
            if pair.value.broken:
                continue
            value = known.shape.read(pair.value, f"`{key}`", findings)
            if value is not None:
                found[key] = Found(value, pair.value.span, pair.key.span)
        written = {p.key.text for p in node.pairs}
        for key, known in self.fields.items():
            if known.required and key not in written:
                findings.add(
                    Diagnostic(codes.MISSING_KEY, f"{what} needs `{key}`", node.span, help=f"`{key}`: {known.about}")
                )
        rest = mapping_of(node, findings, without=frozenset(self.fields)) if self.rest else empty
        return RecordValue(found, rest, node.span)

    def _unknown(self, key: str, span: Span, what: str, findings: Findings) -> None:
        close = did_you_mean(key, self.fields, most=1)
        known = ", ".join(self.fields)
        section = self.unknown is codes.UNKNOWN_SECTION
        has = "have" if what.endswith("options") else "has"
        findings.add(
            Diagnostic(
                self.unknown,
                f"there is no section `{shorten(key)}`" if section else f"{what} {has} no key `{shorten(key)}`",
                span,
                help=f"did you mean `{close[0]}`?" if close else f"there are: {known}",
            )
        )

    def schema(self) -> Schema:
        shape: Schema = {
            "type": ["object", "null"] if self.nullable else "object",
            "properties": {k: {**f.shape.schema(), "description": f.about} for k, f in self.fields.items()},
        }
        required = [k for k, f in self.fields.items() if f.required]
        if required:
            shape["required"] = required
        if not self.rest:
            shape["additionalProperties"] = False
        return shape


@dataclass(frozen=True)
class Either:
    """``first`` for scalars, ``second`` for mappings. ``wrap`` turns what ``first`` read into what ``second`` gives."""

    first: Shape
    second: Shape
    wrap: Callable[[Any, Span], Any]

    @property
    def words(self) -> str:
        return f"{self.first.words}, or {self.second.words}"

    def chosen(self, node: Node) -> Shape:
        return self.second if isinstance(node, MappingNode) else self.first

    def read(self, node: Node, what: str, findings: Findings) -> Any:
        if isinstance(node, MappingNode):
            return self.second.read(node, what, findings)
        if isinstance(node, ScalarNode):
            value = self.first.read(node, what, findings)
            return None if value is None else self.wrap(value, node.span)
        wrong(self, node, what, findings)
        return None

    def schema(self) -> Schema:
        return {"anyOf": [self.first.schema(), self.second.schema()]}
