"""One arrow rule: from its text to a Rule, by the LALR grammar in grammar/arrows.lark.

A rule is lexed whole, its unmistakable slips (``=>`` for ``->``, ``=`` for ``==`` in a guard, …) are reported and
mended in the row of tokens, and what the parser then refuses is named from where it stood
(``echostack.language.mistakes``). A mended rule is still returned, so that later checks see the graph that was
meant; its finding keeps the file from running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput
from lark.parsers.lalr_interactive_parser import InteractiveParser

from echostack.core.diagnostic import Code, Diagnostic, Findings
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.ast import Arrow, Choice, Ref, Rule, RuleOptions, Stage
from echostack.language.guard import Else, Expression
from echostack.language.guards import build_guard
from echostack.language.mistakes import diagnose, mend
from echostack.resources import folder

Place = Callable[[int, int], Span]
"""The span in the file of a range of the rule's text."""

MAX_RULE: Final = 4_000
"""The most characters that a rule may have; longer ones are a mistake, not a rule."""


class _Mistakes:
    """Keeps the terminals that no production uses."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.always_accept = names

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return stream


@cache
def parser() -> Lark:
    """The parser of the shipped grammar, made once. The terminals of mistakes are part of it."""
    text = (folder("grammar") / "arrows.lark").read_text(encoding="utf-8")
    names = tuple(
        line.split(":", 1)[0].split(".")[0].strip()
        for line in text.splitlines()
        if line[:1].isupper() and ":" in line and not line.startswith("WS")
    )
    return Lark(
        text,
        start="rule",
        parser="lalr",
        lexer="basic",
        postlex=_Mistakes(names),
        maybe_placeholders=True,
        strict=False,
    )


def parse_rule(text: str, place: Place, findings: Findings, options: RuleOptions = RuleOptions()) -> Rule | None:
    """The rule that ``text`` says, its parts placed by ``place``; None when it cannot be told what was meant."""
    if not text.strip():
        findings.add(
            Diagnostic(
                codes.EMPTY_RULE, "an empty rule", place(0, len(text)), help="write a rule, such as `a.b -> c.d`"
            )
        )
        return None
    if len(text) > MAX_RULE:
        findings.add(
            Diagnostic(
                codes.RULE_TOO_LONG,
                f"a rule of {len(text):,} characters: {MAX_RULE:,} are the most",
                place(0, 1),
                help="split it: a name that stands in two rules is the same node in both",
            )
        )
        return None
    interactive, found = _lex(text)
    tokens = mend(found, text, place, findings)
    if tokens is None:
        return None
    for index, token in enumerate(tokens):
        try:
            interactive.feed_token(token)
        except UnexpectedInput:
            findings.add(diagnose(tokens, index, text, place))
            return None
    try:
        tree = interactive.feed_eof(tokens[-1] if tokens else None)  # type: ignore[no-untyped-call]
    except UnexpectedInput:
        findings.add(diagnose(tokens, len(tokens), text, place))
        return None
    return _Builder(text, place, findings).rule(tree, options)


def parse_ref(text: str, place: Place, findings: Findings) -> Ref | None:
    """One endpoint by itself, as ``interface:`` names it. None, with a finding, when it is none."""
    _, tokens = _lex(text)
    kinds = [t.type for t in tokens]
    names = {"PATH", "NAME", "AND", "OR", "NOT", "IN", "ELSE", "TRUE", "FALSE", "NULL"}
    if kinds and kinds[0] in names and (len(kinds) == 1 or kinds[1:] == ["PORT"]):
        port = str(tokens[1])[1:] if len(tokens) > 1 else ""
        return Ref(tuple(str(tokens[0]).split(".")), port, place(0, len(text)))
    findings.add(
        Diagnostic(
            codes.BAD_NAME,
            f"`{text[:60]}` is not the name of a node",
            place(0, len(text)),
            help="write a node of the pipeline, such as `piper.tts`, with `:port` behind it where it has ports",
        )
    )
    return None


_NOT_IN_A_CONDITION: Final = frozenset(
    {"GUARD_OPEN", "GUARD_END", "GUARD_SPLIT", "GUARD_SPLIT_OPEN", "ARROW", "LONG_ARROW", "ODD_ARROW"}
)


def parse_condition(text: str, place: Place, findings: Findings) -> Expression | None:
    """A guard without its arrow: ``confidence < 0.4 and "lunch" in text``. None, with findings, when it is none."""
    if not text.strip():
        findings.add(
            Diagnostic(
                codes.GUARD_EMPTY, "an empty condition", place(0, len(text)),
                help="write a condition, such as `confidence < 0.4`, or leave it out",
            )
        )  # fmt: skip
        return None
    if len(text) > MAX_RULE:
        message = f"a condition of {len(text):,} characters: {MAX_RULE:,} are the most"
        findings.add(Diagnostic(codes.RULE_TOO_LONG, message, place(0, 1), help="say it more simply"))
        return None
    interactive, found = _lex(text)
    for token in found:
        span = place(token.start_pos or 0, token.end_pos or 0)
        if token.type in _NOT_IN_A_CONDITION:
            message, help_ = f"`{token}` has no place in a condition", "write the condition alone: `confidence < 0.4`"
            findings.add(Diagnostic(codes.ODD_CHARACTER, message, span, help=help_))
            return None
        if token.type == "ELSE" or str(token) in ("Else", "ELSE"):
            message, help_ = "`else` is no condition by itself", "write the condition that is meant"
            findings.add(Diagnostic(codes.ELSE_COMBINED, message, span, help=help_))
            return None
    # The grammar knows guards on arrows only, so the condition is put on one.
    head = [_made("NAME", "a", 0), _made("GUARD_OPEN", "-[", 0)]
    tail = [_made("GUARD_END", "]->", len(text)), _made("NAME", "b", len(text))]
    tokens = mend([*head, *found, *tail], text, place, findings)
    if tokens is None:
        return None
    for index, token in enumerate(tokens):
        try:
            interactive.feed_token(token)
        except UnexpectedInput:
            told = diagnose(tokens, index, text, place)
            unclosed = told.code is codes.GUARD_PARENTHESIS and "]->" in told.help
            findings.add(replace(told, help="write `)` at its end") if unclosed else told)
            return None
    tree = interactive.feed_eof(tokens[-1])  # type: ignore[no-untyped-call]
    arrow = tree.children[1]
    guard = build_guard(arrow.children[1], place, findings)
    return None if isinstance(guard, Else) else guard


def _made(kind: str, text: str, at: int) -> Token:
    return Token(kind, text, start_pos=at, end_pos=at)


def _lex(text: str) -> tuple[InteractiveParser, list[Token]]:
    # Lark.lex() would build its lexer anew for every rule; the parser's own has been built already.
    interactive = parser().parse_interactive(text)
    tokens: list[Token] = list(interactive.lexer_thread.lex(interactive.parser_state))  # type: ignore[no-untyped-call]
    return interactive, tokens


class _Builder:
    """From lark's tree to our own."""

    def __init__(self, text: str, place: Place, findings: Findings) -> None:
        self._text, self._place, self._findings = text, place, findings
        self._sound = True

    def rule(self, tree: Tree[Token], options: RuleOptions) -> Rule | None:
        children: list[Any] = tree.children
        stages = [self._stage(c) for c in children[0::2]]
        arrows = [self._arrow(c) for c in children[1::2]]
        for before, arrow, after in zip(stages, arrows, stages[1:], strict=False):
            if before.grouped and after.grouped:
                self._report(
                    codes.GROUPS_ADJACENT,
                    "two groups stand beside each other",
                    arrow.span,
                    notes=("Which of the first feeds which of the second is not said.",),
                    help="write one rule for each pair, or put one node between the two groups",
                )
        if not self._sound:
            return None
        return Rule(tuple(stages), tuple(arrows), options, self._text, self._place(0, len(self._text)))

    def _stage(self, tree: Tree[Token]) -> Stage:
        choices = tuple(self._choice(c) for c in tree.children if isinstance(c, Tree))
        if tree.data == "group":
            first, last = tree.children[0], tree.children[-1]
            assert isinstance(first, Token)
            assert isinstance(last, Token)
            return Stage(choices, True, self._tokens(first, last))
        return Stage(choices, False, choices[0].span)

    def _choice(self, tree: Tree[Token]) -> Choice:
        members = tuple(self._ref(c) for c in tree.children if isinstance(c, Tree))
        for member in members:
            if len(members) > 1 and "*" in member.path:
                self._report(
                    codes.PATTERN_CHOICE,
                    f"`{member}` is an event pattern: it cannot be a member of a `??`",
                    member.span,
                    notes=("`??` chooses between nodes that do the same work.",),
                    help="name nodes on both sides",
                )
        return Choice(members, members[0].span.to(members[-1].span))

    def _ref(self, tree: Tree[Token]) -> Ref:
        path, port = tree.children
        assert isinstance(path, Tree)
        word = path.children[0]
        assert isinstance(word, Token)
        parts = tuple(str(word).split("."))
        if port is None:
            return Ref(parts, "", self._tokens(word, word))
        assert isinstance(port, Token)
        span = self._tokens(word, port)
        if word.end_pos != port.start_pos:
            self._report(
                codes.PORT_BLANK,
                f"a blank stands between `{word}` and its port",
                span,
                help=f"write `{word}{port}`",
            )
        if "*" in parts:
            self._report(
                codes.PORT_ON_PATTERN,
                f"`{word}` is an event pattern: it has no ports",
                self._tokens(port, port),
                notes=("A port belongs to one node; a pattern takes events by their names, whoever made them.",),
                help=f"name the node, as in `intent.router{port}`, or leave the port out",
            )
        return Ref(parts, str(port)[1:], span)

    def _arrow(self, tree: Tree[Token]) -> Arrow:
        first, last = tree.children[0], tree.children[-1]
        assert isinstance(first, Token)
        assert isinstance(last, Token)
        span = self._tokens(first, last)
        if tree.data == "arrow":
            return Arrow(None, span)
        inner = tree.children[1]
        assert isinstance(inner, Tree)
        guard = build_guard(inner, self._place, self._findings)
        if guard is None:
            self._sound = False
        return Arrow(guard, span)

    def _tokens(self, first: Token, last: Token) -> Span:
        return self._place(first.start_pos or 0, last.end_pos or 0)

    def _report(self, code: Code, message: str, span: Span, **rest: Any) -> None:
        self._sound = False
        self._findings.add(Diagnostic(code, message, span, **rest))
