"""The shapes that values in a file can have. Each can read a node and can write its own JSON Schema.

Reading never stops at a mistake: what does not fit is reported and left out. ``None`` from ``read`` means exactly
that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from echostack.core.diagnostic import Code, Diagnostic, Findings, did_you_mean
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.durations import PATTERN, format_duration, parse_duration
from echostack.language.tree import Node, ScalarNode
from echostack.language.values import OLD_BOOLEANS
from echostack.language.yaml_tree import kind_of, shorten

NAME: Final = r"[A-Za-z_]\w*"
Schema = dict[str, Any]


class Shape(Protocol):
    """What a value may look like."""

    @property
    def words(self) -> str:
        """The shape in a message: ``a duration such as 250ms``."""

    def read(self, node: Node, what: str, findings: Findings) -> Any:
        """The value of ``node``, which ``what`` names in messages; None when it does not fit."""

    def schema(self) -> Schema:
        """The shape as JSON Schema (2020-12)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value that was read, where it stands and where its key stands."""

    value: Any
    span: Span
    key_span: Span


def wrong(shape: Shape, node: Node, what: str, findings: Findings, code: Code = codes.WRONG_TYPE) -> None:
    """Report that ``node`` has not this shape."""
    said = f"`{shorten(node.text)}`" if isinstance(node, ScalarNode) and node.text else f"a {kind_of(node)}"
    findings.add(Diagnostic(code, f"{what} takes {shape.words}, not {said}", node.span))


@dataclass(frozen=True)
class Text:
    """Text of up to ``most`` characters; on one line unless ``lines``."""

    lines: bool = False
    most: int = 200
    words: str = "text"

    def read(self, node: Node, what: str, findings: Findings) -> str | None:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            quote = ": quote it to mean text" if isinstance(node, ScalarNode) and node.text else ""
            findings.add(Diagnostic(codes.WRONG_TYPE, f"{what} takes text, not a {kind_of(node)}{quote}", node.span))
            return None
        if len(node.text) > self.most or (not self.lines and "\n" in node.text.strip("\n")):
            limit = f"at most {self.most:,} characters" + ("" if self.lines else " on one line")
            findings.add(Diagnostic(codes.OUT_OF_RANGE, f"{what} takes {limit}", node.span, help="shorten it"))
            return None
        return node.text if self.lines else node.text.strip("\n")

    def schema(self) -> Schema:
        return {"type": "string", "maxLength": self.most}


@dataclass(frozen=True)
class Name:
    """A name of ``parts`` (fewest, most) dotted parts."""

    parts: tuple[int, int]
    words: str

    @property
    def pattern(self) -> str:
        few, most = self.parts
        return rf"^{NAME}" + (rf"(\.{NAME}){{{few - 1},{most - 1}}}" if most > 1 else "") + "$"

    def fits(self, text: str) -> bool:
        return re.fullmatch(self.pattern[1:-1], text) is not None and len(text) <= 200

    def read(self, node: Node, what: str, findings: Findings) -> str | None:
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and self.fits(node.text):
            return node.text
        wrong(self, node, what, findings, codes.BAD_NAME if isinstance(node, ScalarNode) else codes.WRONG_TYPE)
        return None

    def schema(self) -> Schema:
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True)
class Count:
    """A whole number from ``least`` to ``most``."""

    least: int
    most: int

    @property
    def words(self) -> str:
        return f"a whole number from {self.least} to {self.most:,}"

    def read(self, node: Node, what: str, findings: Findings) -> int | None:
        if not isinstance(node, ScalarNode) or isinstance(node.value, bool) or not isinstance(node.value, int):
            wrong(self, node, what, findings)
            return None
        if not self.least <= node.value <= self.most:
            wrong(self, node, what, findings, codes.OUT_OF_RANGE)
            return None
        return node.value

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Version:
    """The version of the language."""

    known: int = 1
    words: str = "the version of the language, 1"

    def read(self, node: Node, what: str, findings: Findings) -> int | None:
        if isinstance(node, ScalarNode) and type(node.value) is int:
            if node.value == self.known:
                return node.value
            findings.add(
                Diagnostic(
                    codes.LANGUAGE_VERSION,
                    f"version {shorten(node.text)} of the language is not known here",
                    node.span,
                    notes=(f"This EchoStack reads version {self.known}.",),
                    help=f"write `echostack: {self.known}`, or install the EchoStack that the file was written for",
                )
            )
            return None
        wrong(self, node, what, findings)
        return None

    def schema(self) -> Schema:
        return {"const": self.known}


@dataclass(frozen=True)
class Duration:
    """A length of time from ``least`` to ``most`` seconds, read as seconds."""

    least: float
    most: float
    words: str = "a duration such as 250ms, 2s or 1.5s, or a number of seconds"

    def read(self, node: Node, what: str, findings: Findings) -> float | None:
        value = node.value if isinstance(node, ScalarNode) else None
        seconds = parse_duration(value)
        if seconds is None:
            code = codes.BAD_DURATION if isinstance(node, ScalarNode) else codes.WRONG_TYPE
            wrong(self, node, what, findings, code)
            return None
        if not self.least <= seconds <= self.most:
            ms = not isinstance(value, str) and seconds / 1000 <= self.most
            help_ = f"a bare number counts seconds: write `{value}ms` to mean milliseconds" if ms and seconds else ""
            limits = f"{format_duration(self.least)} to {format_duration(self.most)}"
            message = f"{what} takes a duration from {limits}, not `{shorten(node.text)}`"  # type: ignore[attr-defined]
            findings.add(Diagnostic(codes.OUT_OF_RANGE, message, node.span, help=help_))
            return None
        return seconds

    def schema(self) -> Schema:
        number: Schema = {"type": "number", "minimum": self.least, "maximum": self.most}
        return {"anyOf": [{"type": "string", "pattern": PATTERN}, number]}


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    choices: tuple[str, ...]

    @property
    def words(self) -> str:
        return "one of " + ", ".join(self.choices)

    def read(self, node: Node, what: str, findings: Findings) -> str | None:
        if isinstance(node, ScalarNode) and node.text in self.choices:
            return node.text
        if not isinstance(node, ScalarNode):
            wrong(self, node, what, findings)
            return None
        close = did_you_mean(node.text.replace("-", "_"), self.choices, most=1)
        findings.add(
            Diagnostic(
                codes.BAD_CHOICE,
                f"{what} takes {self.words}, not `{shorten(node.text)}`",
                node.span,
                help=f"did you mean `{close[0]}`?" if close else "",
            )
        )
        return None

    def schema(self) -> Schema:
        return {"enum": list(self.choices)}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    words: str = "true or false"

    def read(self, node: Node, what: str, findings: Findings) -> bool | None:
        if isinstance(node, ScalarNode) and isinstance(node.value, bool):
            return node.value
        if isinstance(node, ScalarNode) and node.text in OLD_BOOLEANS:
            meant = "true" if node.text.lower() in ("yes", "on") else "false"
            findings.add(
                Diagnostic(
                    codes.NOT_A_SWITCH,
                    f"`{node.text}` is the text {node.text!r}, not {meant}",
                    node.span,
                    notes=("Since YAML 1.2 only true and false are truth values.",),
                    help=f"write `{meant}`",
                )
            )
            return None
        wrong(self, node, what, findings, codes.NOT_A_SWITCH)
        return None

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Checked:
    """Text that a function accepts: it returns the value, or raises ValueError with the reason."""

    accept: Callable[[str], Any]
    words: str
    code: Code
    pattern: str = ""

    def read(self, node: Node, what: str, findings: Findings) -> Any:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            wrong(self, node, what, findings)
            return None
        try:
            return self.accept(node.text)
        except ValueError as error:
            findings.add(Diagnostic(self.code, str(error), node.span, help=f"write {self.words}"))
            return None

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1, **({"pattern": self.pattern} if self.pattern else {})}
