"""The mistakes that people make in rules, each with its own words.

``mend`` goes over the lexed rule once: it reports every slip whose meaning is beyond doubt and puts the right token
in its place. ``diagnose`` names the place at which the parser stopped, by what stands before it and around it.
"""

from __future__ import annotations

from typing import Final

from lark import Token

from echostack.core.diagnostic import Code, Diagnostic, Findings, Label
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.mistakes_guard import in_guard
from echostack.language.where import Place, Where
from echostack.language.yaml_tree import shorten

MAX_GUARD_DEPTH: Final = 32
"""How many parentheses and nots of a guard may stand inside one another."""

KEYWORDS: Final = frozenset({"AND", "OR", "NOT", "IN", "ELSE", "TRUE", "FALSE", "NULL"})
_NAMES: Final = frozenset({"NAME", "PATH", *KEYWORDS})
_ARROWS: Final = frozenset({"ARROW", "GUARD_END"})

_ARROW_SLIPS: Final[dict[str, tuple[Code, str]]] = {
    "FAT_ARROW": (codes.FAT_ARROW, "`{}` is no arrow"),
    "LONG_ARROW": (codes.LONG_ARROW, "`{}` is no arrow"),
    "PIPE": (codes.PIPE, "`{}` does not join two nodes"),
    "ODD_ARROW": (codes.ODD_ARROW, "`{}` looks like an arrow and is none"),
    "HYPHEN": (codes.ODD_ARROW, "`{}` alone is no arrow"),
    "OP": (codes.ODD_ARROW, "`{}` is no arrow"),
    "EQUALS": (codes.ODD_ARROW, "`{}` does not join two nodes"),
    "OR_SIGN": (codes.PIPE, "`{}` does not join two nodes"),
}
_GUARD_SLIPS: Final[dict[str, tuple[Code, str, str]]] = {
    "EQUALS": (codes.EQUALS, "OP", "=="),
    "AND_SIGN": (codes.AND_SIGN, "AND", "and"),
    "OR_SIGN": (codes.OR_SIGN, "OR", "or"),
    "PIPE": (codes.OR_SIGN, "OR", "or"),
    "NOT_SIGN": (codes.NOT_SIGN, "NOT", "not"),
}
_OPERATORS: Final = {"===": "==", "!==": "!=", "<>": "!=", "=<": "<=", "=>": ">=", "=!": "!=", "==>": ">="}


def mend(tokens: list[Token], text: str, place: Place, findings: Findings) -> list[Token] | None:
    """The tokens with unmistakable slips reported and put right; None when reading on would make no sense."""
    mended: list[Token] = []
    guarded = bracketed = False
    for token in tokens:
        kind, said = token.type, str(token)
        span = place(token.start_pos or 0, token.end_pos or 0)
        new: str | None = None
        if kind == "INVISIBLE":
            findings.add(
                Diagnostic(
                    codes.INVISIBLE,
                    f"the character U+{ord(said):04X} stands here and cannot be seen",
                    span,
                    help="replace it by an ordinary blank, or remove it",
                )
            )
            continue
        if kind == "GUARD_SPLIT_OPEN":
            _slip(findings, codes.GUARD_BESIDE, f"`{shorten(said)}` opens no guard", span, "write `-[`")
            kind, new = "GUARD_OPEN", "-["
        if kind == "GUARD_OPEN":
            guarded = True
        elif kind in ("LBRACKET", "RBRACKET"):
            bracketed = kind == "LBRACKET"
        elif kind == "GUARD_SPLIT" and guarded:
            _slip(findings, codes.GUARD_END, f"`{shorten(said)}` does not end a guard", span, "write `]->`")
            kind, new = "GUARD_END", "]->"
        elif guarded and kind in _GUARD_SLIPS:
            code, kind, new = _GUARD_SLIPS[kind]
            _slip(findings, code, f"`{said}` is no operator of a guard", span, f"write `{new}`")
        elif guarded and kind in ("ODD_OPERATOR", "FAT_ARROW") and said in _OPERATORS:
            kind, new = "OP", _OPERATORS[said]
            _slip(findings, codes.ODD_OPERATOR, f"`{said}` is no operator of a guard", span, f"write `{new}`")
        elif guarded and kind == "NAME" and said in ("AND", "OR", "NOT", "IN", "ELSE", "And", "Or", "Not", "Else"):
            kind, new = said.upper(), said.lower()
            _slip(findings, codes.UPPER_CASE, f"`{said}` is written small in a guard", span, f"write `{new}`")
        elif guarded and kind == "LEFT_ARROW":
            _slip(findings, codes.ODD_OPERATOR, f"`{said}` is no operator of a guard", span, "write `<`")
            kind, new = "OP", "<"
        elif not guarded and not bracketed and kind in _ARROW_SLIPS:
            code, words = _ARROW_SLIPS[kind]
            _slip(findings, code, words.format(said), span, "write `->`")
            kind, new = "ARROW", "->"
        elif not guarded and kind == "LEFT_ARROW":
            findings.add(
                Diagnostic(
                    codes.LEFT_ARROW,
                    f"`{said}` points to the left",
                    span,
                    notes=("Events flow from left to right.",),
                    help="write the source first: `a.b -> c.d`",
                )
            )
            return None
        elif not guarded and kind == "ONE_QUESTION":
            _slip(findings, codes.ONE_QUESTION, "one `?` is no fallback", span, "write `??`")
            kind, new = "COALESCE", "??"
        if kind == "GUARD_END":
            guarded = False
        mended.append(token if new is None else Token.new_borrow_pos(kind, new, token))
    return None if _too_deep(mended, place, findings) else mended


def _slip(findings: Findings, code: Code, message: str, span: Span, fix: str) -> None:
    findings.add(Diagnostic(code, message, span, help=fix))


def _too_deep(tokens: list[Token], place: Place, findings: Findings) -> bool:
    depth = run = 0
    for token in tokens:
        if token.type == "GUARD_OPEN":
            depth = run = 0
        depth += {"LPAR": 1, "RPAR": -1}.get(token.type, 0)
        run = run + 1 if token.type == "NOT" else run if token.type == "LPAR" else 0
        if depth > MAX_GUARD_DEPTH or run > MAX_GUARD_DEPTH:
            start = token.start_pos or 0
            message = f"more than {MAX_GUARD_DEPTH} parentheses or nots inside one another"
            findings.add(Diagnostic(codes.GUARD_TOO_DEEP, message, place(start, start + 1), help="say it more simply"))
            return True
    return False


def diagnose(tokens: list[Token], index: int, text: str, place: Place) -> Diagnostic:
    """The finding for the token at which the parser stopped (one past the last: the end of the rule)."""
    guard: Token | None = None
    groups: list[Token] = []
    for token in tokens[:index]:
        match token.type:
            case "GUARD_OPEN":
                guard, groups = token, []
            case "GUARD_END":
                guard, groups = None, []
            case "LPAR":
                groups.append(token)
            case "RPAR":
                if groups:
                    groups.pop()
            case _:
                pass
    where = Where(tokens, index, text, place, guard, groups[-1] if groups else None)
    return in_guard(where) if guard is not None else _in_rule(where)


def _in_rule(at: Where) -> Diagnostic:
    kind, previous = at.kind, at.previous
    if previous == "COALESCE" and kind in ("END", "ARROW", "GUARD_OPEN", "RPAR", "COMMA", "COALESCE"):
        return at.back(
            codes.CHOICE_DANGLING, "nothing stands after `??`", "name the node to fall back to, or remove `??`"
        )
    match kind:
        case "END":
            return _at_end(at)
        case "ARROW" | "GUARD_OPEN":
            return _at_arrow(at)
        case "LPAR" | "RPAR" | "COMMA":
            return _at_group(at)
        case "COALESCE":
            if previous == "RPAR":
                return at.here(codes.CHOICE_OF_GROUP, "`??` cannot choose a group", "write the `??` inside the group")
            return at.here(codes.CHOICE_DANGLING, "nothing stands before `??`", "name the node to try first")
        case "PORT":
            if previous == "PORT":
                return at.here(codes.PORT_TWICE, f"`{at.said}` is a second port", "keep one of the two")
            return at.here(codes.PORT_MISSING, f"`{at.said}` has no node before it", f"write `intent.router{at.said}`")
        case "COLON":
            return at.here(
                codes.PORT_MISSING, "no port stands after the colon", "name the port, as in `intent.router:other`"
            )
        case "LBRACKET" | "RBRACKET" | "LBRACE" | "RBRACE" | "GUARD_END" | "GUARD_SPLIT":
            return _at_bracket(at)
        case _ if kind in _NAMES:
            return _at_name(at)
        case _:
            return _odd_word(at)


def _at_end(at: Where) -> Diagnostic:
    if at.group is not None:
        return Diagnostic(
            codes.GROUP_OPEN, "the group is not closed", at.of(at.group), help="write `)` after its last member"
        )
    if at.previous in _ARROWS:
        return at.back(codes.ARROW_AT_END, "the arrow leads nowhere", "name the node that it leads to, or remove it")
    return Diagnostic(
        codes.NO_ARROW,
        "a rule needs an arrow",
        at.place(0, len(at.text)),
        notes=("A rule says which node feeds which.",),
        help=f"write `{shorten(at.text)} -> …`",
    )


def _at_arrow(at: Where) -> Diagnostic:
    if at.group is not None:
        closes = any(t.type == "RPAR" for t in at.tokens[at.index :])
        if not closes:
            return Diagnostic(
                codes.GROUP_OPEN,
                "the group is not closed before the arrow",
                at.of(at.group),
                related=(Label(at.of(at.token), "the arrow"),),
                help="write `)` after its last member",
            )
        return at.here(
            codes.ARROW_IN_GROUP,
            "an arrow stands inside a group",
            "give the arrow a rule of its own: the same name in two rules is the same node",
        )
    if at.previous == "START":
        return at.here(codes.ARROW_AT_START, "the arrow comes from nowhere", "name the node that it starts at")
    if at.previous in _ARROWS:
        return at.here(codes.ARROW_TWICE, "two arrows in a row", "name the node between them, or remove one")
    return at.here(codes.ARROW_TWICE, f"an arrow cannot follow `{at.before}`", "write a node before it")


def _at_group(at: Where) -> Diagnostic:
    kind, previous = at.kind, at.previous
    if kind == "LPAR":
        if at.group is not None:
            return at.here(codes.GROUP_NESTED, "a group stands inside a group", "write all members in one group")
        if previous == "COALESCE":
            return at.here(codes.CHOICE_OF_GROUP, "`??` cannot choose a group", "write the `??` inside the group")
        if previous == "RPAR":
            return at.here(
                codes.GROUPS_ADJACENT,
                "two groups stand beside each other",
                "write one rule for each pair, or put one node between the two groups",
            )
        return at.here(codes.TWO_NAMES, f"nothing joins `{at.before}` and the group", "write `->` between them")
    if kind == "RPAR":
        if at.group is None:
            return at.here(codes.GROUP_CLOSE, "this `)` closes nothing", "remove it, or write the `(`")
        whole = at.of(at.group).to(at.of(at.token))
        if previous == "LPAR":
            return Diagnostic(
                codes.GROUP_EMPTY, "an empty group", whole, help="name at least two nodes in it, or remove it"
            )
        if previous == "COMMA":
            return at.back(codes.GROUP_COMMA, "a comma before the end of the group", "remove it")
        return Diagnostic(codes.GROUP_OF_ONE, "a group of one", whole, help="leave the parentheses out")
    if at.group is None:
        return at.here(
            codes.COMMA_OUTSIDE, "a comma stands outside a group", "put several nodes into parentheses: `(a.b, c.d)`"
        )
    return at.here(codes.GROUP_COMMA, "nothing stands before this comma", "name a node, or remove the comma")


def _at_bracket(at: Where) -> Diagnostic:
    opener = at.index
    inside: list[Token] = []
    for token in at.tokens[at.index + 1 :]:
        if token.type in ("RBRACKET", "RBRACE", "GUARD_END", "GUARD_SPLIT", "ARROW"):
            break
        inside.append(token)
    plain = bool(inside) and all(t.type in _NAMES | {"COMMA", "PORT"} for t in inside)
    if at.kind in ("LBRACKET", "LBRACE") and plain and any(t.type == "COMMA" for t in inside):
        names = " ".join(str(t) for t in inside).replace(" ,", ",").replace(" :", ":")
        return at.here(
            codes.BRACKET_GROUP, f"`{at.said}` opens no group", f"a group stands in parentheses: `({shorten(names)})`"
        )
    if at.kind in ("GUARD_END", "GUARD_SPLIT", "LBRACKET") or (at.kind == "RBRACKET" and opener):
        return at.here(
            codes.GUARD_BESIDE,
            "a guard stands inside its arrow",
            "write `a.b -[ confidence < 0.4 ]-> c.d`",
        )
    return at.here(codes.BRACKET_GROUP, f"`{at.said}` has no meaning here", "a group stands in parentheses")


def _at_name(at: Where) -> Diagnostic:
    both = f"`{at.before}` and `{at.said}`"
    if at.group is not None:
        return at.here(codes.TWO_NAMES, f"a comma is missing between {both}", "separate the members by commas")
    return at.here(
        codes.TWO_NAMES,
        f"nothing joins {both}",
        "write `->` between two nodes; a name itself has no blanks, write `_` instead",
    )


def _odd_word(at: Where) -> Diagnostic:
    said = at.said
    match at.kind:
        case "STRING" | "STRING_OPEN" | "ODD_QUOTES":
            return at.here(codes.QUOTE_IN_NAME, "a name has no quotes", "remove the quotes")
        case "HYPHEN_NAME":
            return at.here(codes.HYPHEN_IN_NAME, f"`{said}` has a hyphen", f"write `{said.replace('-', '_')}`")
        case "DIGIT_FIRST" | "NUMBER" | "DIGIT_PART":
            return at.here(
                codes.DIGIT_FIRST, f"`{said}`: no part of a name begins with a digit", "begin it with a letter or `_`"
            )
        case "EMPTY_PART":
            return at.here(codes.EMPTY_PART, f"`{said}` has an empty part", "remove the dot, or write the missing part")
        case "STAR_PART":
            return at.here(
                codes.STAR_PART,
                f"`{said}`: a star stands for one whole part after the first",
                "write a pattern such as `processing.*.text`",
            )
        case "SLASH":
            return at.here(
                codes.SLASH_IN_NAME, "a slash has no meaning in a rule", "parts of a name are joined by dots"
            )
        case "AND_SIGN":
            return at.here(codes.ODD_CHARACTER, f"`{said}` does not join nodes", "put them into a group: `(a.b, c.d)`")
        case "ODD_NAME":
            return at.here(
                codes.ODD_CHARACTER,
                f"`{said}` begins with a letter that no name begins with",
                "begin it with a letter from A to Z, or `_`",
            )
        case "GUARD_SPLIT_OPEN" | "NOT_SIGN" | "ODD_OPERATOR" | "ARITHMETIC":
            return at.here(codes.ODD_CHARACTER, f"`{said}` has no meaning outside a guard", "remove it")
        case _:
            return at.here(
                codes.ODD_CHARACTER, f"`{said}` (U+{ord(said[0]):04X}) has no meaning in a rule", "remove it"
            )
