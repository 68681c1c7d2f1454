"""Shapes of scenarios: a mapping whose key says what it is, conditions, counts such as ``2..``, nodes of a graph.

Like the shapes of ``shapes.py`` each reads a node and writes its own JSON Schema. Those that only choose or wrap
another shape have ``chosen``, which names the shape that reads a node, so that the formatter can put keys into order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from echostack.core.diagnostic import Diagnostic, Findings, did_you_mean
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.arrows import parse_condition
from echostack.language.guard import Expression
from echostack.language.records import ListOf, Record, RecordValue
from echostack.language.shapes import NAME, Name, Schema, Shape, wrong
from echostack.language.tree import MappingNode, Node, ScalarNode, SequenceNode
from echostack.language.yaml_tree import shorten

_TIMES: Final = re.compile(r"([0-9]{1,6})?(\.\.)?([0-9]{1,6})?")
_TIMES_TEXT: Final = r"^([0-9]{1,6}(\.\.[0-9]{0,6})?|\.\.[0-9]{1,6})$"
ALWAYS: Final = "always"
MOST_TIMES: Final = 999_999


def place(node: Node) -> Span:
    """Where to point for ``node``: all of it when it stands on one line, else its first key."""
    span = node.span
    if span.line != span.end_line and isinstance(node, MappingNode) and node.pairs and not node.alias:
        return node.pairs[0].key.span
    return span


@dataclass(frozen=True)
class Built:
    """What a record read, made into what it means. ``make`` is not asked when a required key is missing or wrong; it
    returns None when it has reported why there is nothing to be made."""

    shape: Record
    make: Callable[[RecordValue, Node, Findings], Any]

    @property
    def words(self) -> str:
        return self.shape.words

    def chosen(self, node: Node) -> Shape:
        return self.shape

    def read(self, node: Node, what: str, findings: Findings) -> Any:
        read = self.shape.read(node, what, findings)
        if read is None or any(f.required and key not in read.found for key, f in self.shape.fields.items()):
            return None
        return self.make(read, node, findings)

    def schema(self) -> Schema:
        return self.shape.schema()


@dataclass(frozen=True)
class Bare:
    """A scalar made into something, with its place."""

    shape: Shape
    make: Callable[[Any, Span], Any]

    @property
    def words(self) -> str:
        return self.shape.words

    def read(self, node: Node, what: str, findings: Findings) -> Any:
        read = self.shape.read(node, what, findings)
        return None if read is None else self.make(read, node.span)

    def schema(self) -> Schema:
        return self.shape.schema()


@dataclass(frozen=True)
class Keyed:
    """A mapping of which one key, however it is ordered, says what it is: ``{say: …}``, ``{pause: …}``.

    noun: what such a thing is called. forms: by that key. bare: what a scalar in its place may be.
    """

    noun: str
    forms: Mapping[str, Built]
    bare: Shape | None = None
    otherwise: str = ""

    @property
    def words(self) -> str:
        return f"a mapping with one of the keys {', '.join(self.forms)}"

    def chosen(self, node: Node) -> Shape | None:
        if isinstance(node, MappingNode):
            return next((self.forms[p.key.text] for p in node.pairs if p.key.text in self.forms), None)
        return None

    def read(self, node: Node, what: str, findings: Findings) -> Any:
        if isinstance(node, ScalarNode) and self.bare is not None and node.value is not None:
            return self.bare.read(node, what, findings)
        if not isinstance(node, MappingNode):
            wrong(self, node, what, findings)
            return None
        heads = [p for p in node.pairs if p.key.text in self.forms]
        if not heads:
            self._none(node, findings)
            return None
        head, form = heads[0].key, self.forms[heads[0].key.text]
        second = next((p.key for p in heads[1:] if p.key.text not in form.shape.fields), None)
        if second is not None:
            findings.add(
                Diagnostic(
                    codes.TWO_FORMS,
                    f"`{head.text}` and `{second.text}` stand in one item",
                    second.span,
                    notes=(f"Each of them says by itself what {self.noun} is.",),
                    help="write two items, each after a dash of its own",
                )
            )
            return None
        return form.read(node, f"`{head.text}`", findings)

    def _none(self, node: MappingNode, findings: Findings) -> None:
        key = node.pairs[0].key if node.pairs else None
        written = [p.key.text.replace(" ", "_") for p in node.pairs[:20]]
        close = next((c for text in written for c in did_you_mean(text, self.forms, most=1)), "")
        said = f"; `{shorten(key.text)}` is none of them" if key is not None else ""
        findings.add(
            Diagnostic(
                codes.NO_FORM,
                f"{self.noun} begins with one of {', '.join(self.forms)}{said}",
                key.span if key is not None else node.span,
                help=f"did you mean `{close}`?" if close else self.otherwise or "begin it with one of these keys",
            )
        )

    def schema(self) -> Schema:
        forms = [form.schema() for form in self.forms.values()]
        return {"anyOf": [*([self.bare.schema()] if self.bare is not None else []), *forms]}


@dataclass(frozen=True)
class Listed:
    """A list, or a mapping that holds the list among other things; nothing at all is the empty list."""

    items: ListOf
    record: Shape
    make: Callable[[tuple[Any, ...]], Any]

    @property
    def words(self) -> str:
        return f"{self.items.words}, or {self.record.words}"

    def chosen(self, node: Node) -> Shape:
        return self.record if isinstance(node, MappingNode) else self.items

    def read(self, node: Node, what: str, findings: Findings) -> Any:
        if isinstance(node, MappingNode):
            return self.record.read(node, what, findings)
        if isinstance(node, ScalarNode) and node.value is None:
            return self.make(())
        if isinstance(node, SequenceNode):
            read = self.items.read(node, what, findings)
            return None if read is None else self.make(read)
        wrong(self, node, what, findings)
        return None

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "null"}, self.items.schema(), self.record.schema()]}


@dataclass(frozen=True)
class Defined:
    """A shape that the JSON Schema writes once, under ``$defs``, and refers to everywhere else."""

    name: str
    shape: Shape

    @property
    def words(self) -> str:
        return self.shape.words

    def chosen(self, node: Node) -> Shape:
        return self.shape

    def read(self, node: Node, what: str, findings: Findings) -> Any:
        return self.shape.read(node, what, findings)

    def schema(self) -> Schema:
        return {"$ref": f"#/$defs/{self.name}"}


@dataclass(frozen=True)
class Number:
    """A number from ``least`` to ``most``."""

    least: float
    most: float

    @property
    def words(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"

    def read(self, node: Node, what: str, findings: Findings) -> float | None:
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong(self, node, what, findings)
            return None
        if not self.least <= value <= self.most:
            wrong(self, node, what, findings, codes.OUT_OF_RANGE)
            return None
        return float(value)

    def schema(self) -> Schema:
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Times:
    """How often: ``2``, ``2..`` (at least), ``..3`` (at most), ``1..3``; read as (least, most or None)."""

    words: str = "how often: 2, 2.. for at least, 0..3 for a range"

    def read(self, node: Node, what: str, findings: Findings) -> tuple[int, int | None] | None:
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TIMES:
            return value, value
        found = _TIMES.fullmatch(value) if isinstance(value, str) else None
        if found is None or not (found[1] or found[3]) or (found[2] is None and found[3] is not None):
            wrong(self, node, what, findings)
            return None
        least = int(found[1] or 0)
        most = least if found[2] is None else int(found[3]) if found[3] else None
        if most is not None and most < least:
            assert isinstance(node, ScalarNode)
            message = f"{what} takes its smaller number first, not `{shorten(node.text)}`"
            findings.add(Diagnostic(codes.OUT_OF_RANGE, message, node.span, help=f"write `{most}..{least}`"))
            return None
        return least, most

    def schema(self) -> Schema:
        number: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_TIMES}
        return {"anyOf": [number, {"type": "string", "pattern": _TIMES_TEXT}]}


@dataclass(frozen=True)
class Often:
    """A number of times from 1, or ``always``, which is read as 0."""

    words: str = "a whole number from 1, or always"

    def read(self, node: Node, what: str, findings: Findings) -> int | None:
        value = node.value if isinstance(node, ScalarNode) else None
        if value == ALWAYS:
            return 0
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_TIMES:
            return value
        wrong(self, node, what, findings)
        return None

    def schema(self) -> Schema:
        return {"anyOf": [{"const": ALWAYS}, {"type": "integer", "minimum": 1, "maximum": MOST_TIMES}]}


@dataclass(frozen=True)
class Mark:
    """``true``, or a text of up to ``most`` characters that says more; ``true`` is read as the empty text."""

    words: str = "true, or a text"
    text: bool = True
    most: int = 1_000

    def read(self, node: Node, what: str, findings: Findings) -> str | None:
        if isinstance(node, ScalarNode) and node.value is True:
            return ""
        if self.text and isinstance(node, ScalarNode) and isinstance(node.value, str) and node.text:
            if len(node.text) <= self.most:
                return node.text
            findings.add(Diagnostic(codes.OUT_OF_RANGE, f"{what} takes at most {self.most:,} characters", node.span,
                                    help="shorten it"))  # fmt: skip
            return None
        wrong(self, node, what, findings)
        return None

    def schema(self) -> Schema:
        said: Schema = {"type": "string", "minLength": 1, "maxLength": self.most}
        return {"anyOf": [{"const": True}, said]} if self.text else {"const": True}


@dataclass(frozen=True)
class NodeName(Name):
    """A node of the expanded graph: ``claude.agent``, ``sales``, ``speak/piper.tts`` inside the import ``speak``."""

    parts: tuple[int, int] = (1, 2)
    words: str = "the name of a node: `vendor.role`, a name of your own, or `import/vendor.role`"

    @property
    def pattern(self) -> str:
        return rf"^({NAME}/){{0,8}}{NAME}(\.{NAME})?$"


@dataclass(frozen=True)
class ConditionShape:
    """A condition over the fields of a payload, as it stands in a guard."""

    words: str = "a condition such as confidence < 0.5"

    def read(self, node: Node, what: str, findings: Findings) -> Expression | None:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            wrong(self, node, what, findings)
            return None
        return parse_condition(node.text, node.sub, findings)

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1, "maxLength": 4_000}
