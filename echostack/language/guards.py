"""From the parsed tree of a guard to the nodes of ``echostack.language.guard``."""

from __future__ import annotations

from collections.abc import Callable

from lark import Token, Tree

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.guard import (
    All,
    Any_,
    Compare,
    Constant,
    Else,
    Expression,
    Field,
    Guard,
    Literal,
    Member,
    Not,
    Operand,
    Truth,
)

ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t"}
"""What may stand after a backslash in a guard's string, and what it means."""


def build_guard(tree: Tree[Token], place: Callable[[int, int], Span], findings: Findings) -> Guard | None:
    """The guard that ``tree`` says; None, with findings, when it means nothing."""
    builder = _GuardBuilder(place, findings)
    guard = builder.guard(tree)
    return guard if builder.sound else None


class _GuardBuilder:
    def __init__(self, place: Callable[[int, int], Span], findings: Findings) -> None:
        self._place, self._findings, self.sound = place, findings, True

    def guard(self, tree: Tree[Token]) -> Guard:
        if tree.data == "otherwise":
            return Else(self._span(tree))
        inner = tree.children[0]
        assert isinstance(inner, Tree)
        return self._expression(inner)

    def _expression(self, tree: Tree[Token]) -> Expression:
        trees = [c for c in tree.children if isinstance(c, Tree)]
        match str(tree.data):
            case "either" | "both":
                items = tuple(self._expression(t) for t in trees)
                if len(items) == 1:
                    return items[0]
                span = self._span(tree)
                return Any_(items, span) if tree.data == "either" else All(items, span)
            case "enclosed":
                return self._expression(trees[0])
            case "negation":
                return Not(self._expression(trees[0]), self._span(tree))
            case "compare":
                op = next(c for c in tree.children if isinstance(c, Token))
                return Compare(self._operand(trees[0]), str(op), self._operand(trees[1]), self._span(tree))
            case "among" | "not_among":
                choices = tuple(self._operand(t) for t in trees[1:])
                return Member(self._operand(trees[0]), choices, tree.data == "not_among", self._span(tree))
            case "contained" | "not_contained":
                bag = self._operand(trees[1])
                assert isinstance(bag, Field)
                return Member(self._operand(trees[0]), bag, tree.data == "not_contained", self._span(tree))
            case _:
                return self._truth(self._operand(trees[0]), self._span(tree))

    def _truth(self, value: Operand, span: Span) -> Truth:
        if isinstance(value, Constant) and not isinstance(value.value, bool):
            self.sound = False
            self._findings.add(
                Diagnostic(
                    codes.NOT_A_TEST,
                    "a text, a number or null by itself is no condition",
                    span,
                    help='compare it with a field: `text == "yes"`, `confidence < 0.4`',
                )
            )
        return Truth(value, span)

    def _operand(self, tree: Tree[Token]) -> Operand:
        token = tree.children[0]
        assert isinstance(token, Token)
        span = self._place(token.start_pos or 0, token.end_pos or 0)
        if tree.data == "field":
            return Field(str(token), span)
        return Constant(self._literal(token, span), span)

    def _literal(self, token: Token, span: Span) -> Literal:
        match token.type:
            case "TRUE":
                return True
            case "FALSE":
                return False
            case "NULL":
                return None
            case "NUMBER":
                return self._number(str(token), span)
            case _:
                return self._string(token)

    def _number(self, text: str, span: Span) -> int | float:
        number = float(text) if len(text) <= 300 else float("inf")
        if number in (float("inf"), float("-inf")):
            self.sound = False
            self._findings.add(Diagnostic(codes.BAD_NUMBER, "a number too large", span, help="write a smaller one"))
            return 0
        return number if any(c in text for c in ".eE") else int(text)

    def _string(self, token: Token) -> str:
        inner = str(token)[1:-1]
        if "\\" not in inner:
            return inner
        parts: list[str] = []
        at = 0
        while at < len(inner):
            char = inner[at]
            if char != "\\":
                parts.append(char)
                at += 1
                continue
            after = inner[at + 1]
            if after not in ESCAPES:
                start = (token.start_pos or 0) + 1 + at
                self.sound = False
                self._findings.add(
                    Diagnostic(
                        codes.BAD_ESCAPE,
                        f"`\\{after}` is no escape" if after.isprintable() else "a backslash escapes nothing here",
                        self._place(start, start + 2),
                        notes=("A string has the escapes \\\\ \\\" \\' \\n and \\t.",),
                        help="double the backslash to mean one",
                    )
                )
            parts.append(ESCAPES.get(after, after))
            at += 2
        return "".join(parts)

    def _span(self, tree: Tree[Token]) -> Span:
        first, last = _edge(tree, 0), _edge(tree, -1)
        return self._place(first.start_pos or 0, last.end_pos or 0)


def _edge(tree: Tree[Token], side: int) -> Token:
    child = tree.children[side]
    while isinstance(child, Tree):
        child = child.children[side]
    return child
