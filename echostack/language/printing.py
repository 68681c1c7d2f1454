"""Rules and guards back to text, in the one canonical style."""

from __future__ import annotations

from echostack.language.ast import Arrow, Choice, Rule, Stage
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

_OR, _AND, _TEST = 1, 2, 3


def rule_text(rule: Rule) -> str:
    """``rule`` without its options: one blank around every arrow and inside a guard's brackets, ``->`` for ``→``."""
    parts = [_stage(rule.stages[0])]
    for arrow, stage in zip(rule.arrows, rule.stages[1:], strict=True):
        parts += [_arrow(arrow), _stage(stage)]
    return " ".join(parts)


def guard_text(guard: Guard) -> str:
    """A guard without its brackets, with no more parentheses than it needs."""
    if isinstance(guard, Else):
        return "else"
    return _expression(guard, _OR)


def _stage(stage: Stage) -> str:
    text = ", ".join(_choice(c) for c in stage.choices)
    return f"({text})" if stage.grouped else text


def _choice(choice: Choice) -> str:
    return " ?? ".join(str(m) for m in choice.members)


def _arrow(arrow: Arrow) -> str:
    return "->" if arrow.guard is None else f"-[ {guard_text(arrow.guard)} ]->"


def _expression(guard: Expression, level: int) -> str:
    match guard:
        case Any_(items):
            # Nested ors keep their parentheses: without them they would be another tree.
            text, own = " or ".join(_expression(i, _AND) for i in items), _OR
        case All(items):
            text, own = " and ".join(_expression(i, _TEST) for i in items), _AND
        case Not(item):
            text, own = f"not {_expression(item, _TEST)}", _TEST
        case Compare(left, op, right):
            text, own = f"{_operand(left)} {op} {_operand(right)}", _TEST
        case Member(value, Field(name), negated):
            text, own = f"{_operand(value)} {'not in' if negated else 'in'} {name}", _TEST
        case Member(value, choices, negated):
            assert isinstance(choices, tuple)
            listed = ", ".join(_operand(c) for c in choices)
            text, own = f"{_operand(value)} {'not in' if negated else 'in'} ({listed})", _TEST
        case Truth(value):
            text, own = _operand(value), _TEST
    return text if own >= level else f"({text})"


def _operand(operand: Operand) -> str:
    return operand.name if isinstance(operand, Field) else constant_text(operand)


def constant_text(constant: Constant) -> str:
    """A constant as a guard writes it."""
    return _literal(constant.value)


def _literal(value: Literal) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
            return f'"{escaped}"'
        case _:
            return repr(value)
