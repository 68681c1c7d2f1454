"""The guards of edges, as an immutable tree over the payload's own declared fields.

A guard is data. ``evaluate`` walks it; nothing of it ever reaches Python's own interpreter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from echostack.core.span import Span

Literal = str | int | float | bool | None
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the payload: ``confidence``."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Constant:
    value: Literal
    span: Span


Operand = Field | Constant


@dataclass(frozen=True, slots=True)
class Compare:
    """``left op right`` with one of ``== != < <= > >=``."""

    left: Operand
    op: str
    right: Operand
    span: Span


@dataclass(frozen=True, slots=True)
class Member:
    """``value in (a, b, …)``; over a field on the right, containment (``"refund" in text``)."""

    value: Operand
    choices: tuple[Operand, ...] | Field
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Truth:
    """A boolean field or constant standing alone: ``final``."""

    value: Operand
    span: Span


@dataclass(frozen=True, slots=True)
class Not:
    item: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class All:
    """``a and b and …``"""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Any_:
    """``a or b or …``"""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Else:
    """No guarded sibling matched."""

    span: Span


Expression = Compare | Member | Truth | Not | All | Any_
Guard = Expression | Else


def operands(guard: Guard) -> Iterator[Operand]:
    """Every field and constant of a guard, left to right."""
    match guard:
        case Compare(left, _, right):
            yield left
            yield right
        case Member(value, choices):
            yield value
            yield from (choices,) if isinstance(choices, Field) else choices
        case Truth(value):
            yield value
        case Not(item):
            yield from operands(item)
        case All(items) | Any_(items):
            for item in items:
                yield from operands(item)
        case Else():
            return


def predicate(guard: Expression) -> Callable[[Any], bool]:
    """The guard as a function of a payload, composed of closures once per edge.

    Total over payloads that have the fields (``check`` makes sure of that): values of types that cannot be
    ordered compare as False instead of raising, because a payload's field may be None.
    """
    match guard:
        case Compare(left, op, right):
            first, test, second = _getter(left), COMPARE[op], _getter(right)

            def compare(payload: Any) -> bool:
                try:
                    return bool(test(first(payload), second(payload)))
                except TypeError:
                    return False

            return compare
        case Member(value, choices, negated):
            get = _getter(value)
            if isinstance(choices, Field):
                bag = _getter(choices)
            else:
                parts = [_getter(c) for c in choices]

                def bag(payload: Any) -> Any:
                    return [part(payload) for part in parts]

            def member(payload: Any) -> bool:
                try:
                    return (get(payload) in bag(payload)) is not negated
                except TypeError:
                    return negated

            return member
        case Truth(value):
            get = _getter(value)
            return lambda payload: bool(get(payload))
        case Not(item):
            test_one = predicate(item)
            return lambda payload: not test_one(payload)
        case All(items):
            tests = [predicate(i) for i in items]
            return lambda payload: all(t(payload) for t in tests)
        case Any_(items):
            tests = [predicate(i) for i in items]
            return lambda payload: any(t(payload) for t in tests)


def _getter(operand: Operand) -> Callable[[Any], Any]:
    if isinstance(operand, Field):
        return operator.attrgetter(operand.name)
    value = operand.value
    return lambda payload: value
