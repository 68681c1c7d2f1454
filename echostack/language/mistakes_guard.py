"""The mistakes that people make in guards, named from where the parser stopped."""

from __future__ import annotations

from typing import Final

from echostack.core.diagnostic import Diagnostic, Label
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.where import Where
from echostack.language.yaml_tree import shorten

OPERANDS: Final = frozenset({"NAME", "STRING", "NUMBER", "TRUE", "FALSE", "NULL"})


def in_guard(at: Where) -> Diagnostic:
    """The finding for the token inside a guard at which the parser stopped."""
    kind, previous = at.kind, at.previous
    operand = previous in OPERANDS or previous == "RPAR"
    opening = at.of(at.guard)
    if kind in ("END", "ARROW", "GUARD_OPEN", "LEFT_ARROW", "LONG_ARROW", "FAT_ARROW", "ODD_ARROW"):
        return Diagnostic(
            codes.GUARD_OPEN,
            "the guard is not closed",
            opening,
            related=(Label(at.of(at.token), "it was to end before this"),) if at.token is not None else (),
            help="close it with `]->`",
        )
    if kind in ("RBRACKET", "GUARD_SPLIT"):
        return at.here(codes.GUARD_END, "a guard ends in `]->`", "write `]->`, with nothing between")
    if previous == "ELSE" or kind == "ELSE":
        return at.here(
            codes.ELSE_COMBINED,
            "`else` stands alone in a guard",
            "write `-[ else ]->`: it holds when no other guard of the same node did",
        )
    if kind == "GUARD_END":
        return _guard_cut(at, opening, operand)
    odd = _odd_in_guard(at)
    if odd is not None:
        return odd
    if previous == "IN":
        return at.here(codes.IN_WHAT, f"`in` cannot look into `{at.said}`", 'write a list, `in ("a", "b")`, or a field')
    if kind in ("AND", "OR", "OP", "IN", "RPAR", "COMMA", "NOT") and not operand:
        if kind == "RPAR" and at.group is None:
            return at.here(codes.GUARD_PARENTHESIS, "this `)` closes nothing", "remove it, or write the `(`")
        return at.here(codes.OPERAND_MISSING, f"a value is missing before `{at.said}`", "write a field or a value")
    match kind:
        case "OP" | "IN":
            return at.here(
                codes.CHAINED,
                "comparisons do not chain",
                "compare twice: `0.2 < confidence and confidence < 0.4`",
            )
        case "RPAR":
            return at.here(codes.GUARD_PARENTHESIS, "this `)` closes nothing", "remove it, or write the `(`")
        case "LPAR":
            if previous == "NAME":
                whole = at.of(at.before).to(at.of(at.token))
                return Diagnostic(
                    codes.CALL,
                    f"`{at.before}(…)`: a guard calls no functions",
                    whole,
                    notes=("A guard compares the fields of the event that passes, and nothing else.",),
                    help="compare a field, or let a connector work it out and route on what it produces",
                )
            return at.here(codes.OPERATOR_MISSING, "nothing joins the two sides", "write `and` or `or` between them")
        case "COMMA":
            return at.here(
                codes.OPERATOR_MISSING, "a comma joins nothing here", "write `and` or `or`; a list needs `in (…)`"
            )
        case _:
            return _two_values(at)


def _guard_cut(at: Where, opening: Span, operand: bool) -> Diagnostic:
    if at.previous == "GUARD_OPEN":
        return Diagnostic(
            codes.GUARD_EMPTY,
            "an empty guard",
            opening.to(at.of(at.token)),
            help="write a condition, such as `-[ confidence < 0.4 ]->`, or a plain `->`",
        )
    if at.previous == "IN":
        return at.back(codes.IN_WHAT, "nothing stands after `in`", 'write a list, `in ("a", "b")`, or a field')
    if not operand:
        return at.back(
            codes.OPERAND_MISSING, f"a value is missing after `{at.before}`", "write a field or a value after it"
        )
    if at.group is not None:
        return Diagnostic(
            codes.GUARD_PARENTHESIS, "the parenthesis is not closed", at.of(at.group), help="write `)` before `]->`"
        )
    return at.here(codes.OPERATOR_MISSING, "the condition is not finished", "compare the field with something")


def _two_values(at: Where) -> Diagnostic:
    word = str(at.before)
    if at.kind == "NAME" and str(at.token) in ("is", "equals", "contains", "like", "matches", "has", "eq", "ne"):
        fix = {"contains": 'write `"word" in text`', "has": 'write `"word" in text`', "ne": "write `!=`"}
        return at.here(
            codes.ODD_OPERATOR, f"`{at.said}` is no operator of a guard", fix.get(str(at.token), "write `==` or `in`")
        )
    if at.previous == "NOT":
        return at.here(codes.OPERATOR_MISSING, "`not` joins nothing here", "write `!=`, or `not in`")
    return at.here(
        codes.OPERATOR_MISSING,
        f"nothing joins `{shorten(word)}` and `{at.said}`",
        "write an operator between them: == != < <= > >= in and or",
    )


def _odd_in_guard(at: Where) -> Diagnostic | None:
    said = at.said
    match at.kind:
        case "STRING_OPEN":
            return Diagnostic(
                codes.STRING_OPEN,
                "the string is not closed",
                at.place(at.token.start_pos or 0, (at.token.start_pos or 0) + 1) if at.token else None,
                help="write the closing quote",
            )
        case "ODD_QUOTES":
            return at.here(codes.ODD_QUOTES, f"`{said}` is not a quote that a guard knows", "write \" or '")
        case "PATH" | "DIGIT_PART":
            return at.here(
                codes.DOTTED_FIELD,
                f"`{said}`: a guard sees the fields of the event that passes, and no deeper",
                f"write the field alone, such as `{said.rsplit('.', 1)[-1]}`",
            )
        case "ARITHMETIC" | "SLASH" | "HYPHEN" | "HYPHEN_NAME" | "STAR_PART":
            return at.here(
                codes.ARITHMETIC, f"`{said}`: a guard does not calculate", "compare a field with a finished value"
            )
        case "EMPTY_PART" | "DIGIT_FIRST":
            return at.here(
                codes.OPERAND_MISSING,
                f"`{said}` is neither a number nor a field",
                "write a number such as `0.4` or `2`",
            )
        case "ONE_QUESTION" | "COALESCE":
            return at.here(codes.ODD_OPERATOR, f"`{said}` is no operator of a guard", "write two rules with two guards")
        case "LBRACKET" | "LBRACE" | "RBRACE":
            return at.here(codes.IN_WHAT, f"`{said}` opens no list", 'a list stands in parentheses: `in ("a", "b")`')
        case "ODD_OPERATOR":
            return at.here(codes.ODD_OPERATOR, f"`{said}` is no operator of a guard", "write == != < <= > >= or in")
        case "COLON" | "PORT" | "ODD" | "ODD_NAME":
            return at.here(codes.ODD_CHARACTER, f"`{said}` has no meaning in a guard", "remove it")
        case _:
            return None
