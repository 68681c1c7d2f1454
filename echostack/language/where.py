"""The place in a rule at which the parser stopped, and what surrounds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lark import Token

from echostack.core.diagnostic import Code, Diagnostic
from echostack.core.span import Span
from echostack.language.yaml_tree import shorten

Place = Callable[[int, int], Span]
"""The span in the file of a range of the rule's text."""


@dataclass
class Where:
    """What surrounds the token at which the parser stopped."""

    tokens: list[Token]
    index: int
    text: str
    place: Place
    guard: Token | None  # the -[ that is open here
    group: Token | None  # the ( that is open here

    @property
    def token(self) -> Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    @property
    def kind(self) -> str:
        return self.token.type if self.token is not None else "END"

    @property
    def said(self) -> str:
        return shorten(str(self.token)) if self.token is not None else ""

    @property
    def before(self) -> Token | None:
        return self.tokens[self.index - 1] if self.index else None

    @property
    def previous(self) -> str:
        return self.before.type if self.before is not None else "START"

    def of(self, token: Token | None) -> Span:
        if token is None:
            end = len(self.text.rstrip())
            return self.place(end, end)
        return self.place(token.start_pos or 0, token.end_pos or 0)

    def here(self, code: Code, message: str, fix: str = "", **rest: Any) -> Diagnostic:
        return Diagnostic(code, message, self.of(self.token), help=fix, **rest)

    def back(self, code: Code, message: str, fix: str = "", **rest: Any) -> Diagnostic:
        return Diagnostic(code, message, self.of(self.before), help=fix, **rest)
