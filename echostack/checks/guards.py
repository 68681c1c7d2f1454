"""Guards against the fields of what their edges carry.

A guard speaks about the payloads that have its fields: of the kinds on its edge only those pass, and a field that
none of them has is an error. `else` takes what no guarded sibling took, the kinds without the fields included.
"""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any, Final, get_args, get_origin

import msgspec

from echostack.checks.codes import GUARD_TYPES, STRAY_ELSE, UNKNOWN_FIELD
from echostack.checks.work import Route, Work, kinds
from echostack.core.kinds import Payload
from echostack.core.span import Provenance, Span
from echostack.graph import Edge
from echostack.language.guard import (
    All,
    Any_,
    Compare,
    Constant,
    Else,
    Expression,
    Field,
    Guard,
    Member,
    Not,
    Operand,
    Truth,
    operands,
)  # fmt: skip

TEXT: Final = "a text"
NUMBER: Final = "a number"
TRUTH: Final = "true or false"
LIST: Final = "a list"
MAPPING: Final = "a mapping"
NOTHING: Final = "null"
Types = frozenset[str]
"""What a value may be; empty when nothing is known of it."""


def check(work: Work) -> None:
    """Narrow guarded routes to the kinds that have the fields; report wrong fields, wrong types and stray `else`."""
    by_edge: dict[int, list[Route]] = {}
    for route in work.routes:
        if route.edge is not None and route.guard is not None and not isinstance(route.guard, Else):
            by_edge.setdefault(id(route.edge), []).append(route)
    for routes in by_edge.values():
        _check_edge(work, routes)
    work.routes = [route for route in work.routes if route.payloads]
    _else(work)


def shape(guard: Guard | None) -> Any:
    """``guard`` without its places: equal for two guards that say the same."""
    match guard:
        case None | Else():
            return type(guard).__name__
        case Field(name):
            return ("field", name)
        case Constant(value):
            return ("constant", type(value).__name__, value)
        case Compare(left, op, right):
            return (op, shape_of(left), shape_of(right))
        case Member(value, choices, negated):
            bag = shape_of(choices) if isinstance(choices, Field) else tuple(map(shape_of, choices))
            return ("in", shape_of(value), bag, negated)
        case Truth(value):
            return ("truth", shape_of(value))
        case Not(item):
            return ("not", shape(item))
        case All(items) | Any_(items):
            return (type(guard).__name__, tuple(map(shape, items)))


def shape_of(operand: Operand) -> tuple[Any, ...]:
    if isinstance(operand, Field):
        return ("field", operand.name)
    return ("constant", type(operand.value).__name__, operand.value)


def _check_edge(work: Work, routes: list[Route]) -> None:
    guard, edge = routes[0].guard, routes[0].edge
    assert guard is not None
    assert edge is not None
    assert not isinstance(guard, Else)
    carried = tuple(dict.fromkeys(p for r in routes for p in r.payloads))
    wanted = dict.fromkeys(o.name for o in operands(guard) if isinstance(o, Field))
    fitting = [p for p in carried if all(name in fields(p) for name in wanted)]
    if not fitting:
        _unknown_field(work, edge, guard, carried)
        for route in routes:
            route.payloads = ()
        return
    for payload in fitting:
        found = problem(guard, payload)
        if found is not None:
            span, message = found
            work.report(
                GUARD_TYPES, message, Provenance(span, edge.source_place.via),
                help="`echostack connectors` shows the fields of what a connector makes",
            )  # fmt: skip
            break
    for route in routes:
        route.payloads = tuple(p for p in route.payloads if p in fitting)


def _unknown_field(work: Work, edge: Edge, guard: Expression, carried: tuple[type[Payload], ...]) -> None:
    via = edge.source_place.via
    told: set[str] = set()
    for operand in operands(guard):
        if not isinstance(operand, Field) or operand.name in told or any(operand.name in fields(p) for p in carried):
            continue
        told.add(operand.name)
        known = tuple(dict.fromkeys(f for p in carried for f in fields(p)))
        work.report(
            UNKNOWN_FIELD, f"{kinds(carried)} has no field {operand.name!r}", Provenance(operand.span, via),
            help=work.nearest(operand.name, known) or (f"its fields are {', '.join(known)}" if known else ""),
            label=f"this arrow carries {kinds(carried)}",
        )  # fmt: skip
    if not told:
        work.report(
            UNKNOWN_FIELD, f"no kind on this arrow has all the fields of its guard: it carries {kinds(carried)}",
            Provenance(guard.span, via), help="write one rule for each kind",
        )  # fmt: skip


def problem(guard: Expression, payload: type[Payload]) -> tuple[Span, str] | None:
    """Where a guard over the fields of ``payload`` compares what cannot be compared, and why; None if it never does."""
    match guard:
        case Compare(left, op, right, span):
            one, other = _types(left, payload), _types(right, payload)
            if not one or not other:
                return None
            ordered = {NUMBER, TEXT}
            if op in ("==", "!=") and not (one & other or NOTHING in one | other):
                return span, f"{_told(left, one)}, and never equal to {_told(right, other, short=True)}"
            if op not in ("==", "!=") and not one & other & ordered:
                return span, f"{_told(left, one)}: `{op}` cannot compare it with {_told(right, other, short=True)}"
        case Member(value, Field() as bag, _, span):
            one, other = _types(value, payload), _types(bag, payload)
            if other and not other & {TEXT, LIST, MAPPING}:
                return span, f"{_told(bag, other)}: nothing can be `in` it"
            if one and other and not other & {LIST} and TEXT not in one:
                return span, f"only a text can be `in` {bag.name!r}, not {_told(value, one, short=True)}"
        case Member(value, tuple() as choices, _, _):
            one = _types(value, payload)
            for choice in choices:
                other = _types(choice, payload)
                if one and other and not (one & other or NOTHING in one | other):
                    return choice.span, f"{_told(value, one)}, and never equal to {_told(choice, other, short=True)}"
        case Truth(value, span):
            one = _types(value, payload)
            if one and TRUTH not in one:
                return span, f"{_told(value, one)}, which says neither yes nor no: compare it with something"
        case Not(item):
            return problem(item, payload)
        case All(items) | Any_(items):
            return next((p for i in items if (p := problem(i, payload)) is not None), None)
    return None


def _told(operand: Operand, types_: Types, *, short: bool = False) -> str:
    what = " or ".join(sorted(types_))
    if isinstance(operand, Field):
        return f"{operand.name!r}, {what}" if short else f"{operand.name!r} is {what}"
    value = operand.value
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value!r}, {what}" if short else f"{value!r} is {what}"


def _types(operand: Operand, payload: type[Payload]) -> Types:
    return fields(payload)[operand.name] if isinstance(operand, Field) else _of(type(operand.value))


@cache
def fields(payload: type[Payload]) -> dict[str, Types]:
    """The declared fields of a payload class, each with what its value may be."""
    try:
        return {f.name: _of(f.type) for f in msgspec.structs.fields(payload)}
    except (NameError, TypeError):  # a plugin's annotations that do not resolve: the names are known, their types not
        return dict.fromkeys(payload.__struct_fields__, frozenset())


def _of(hint: Any) -> Types:
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [_of(a) for a in get_args(hint)]
        return frozenset().union(*parts) if all(parts) else frozenset()
    real = origin or hint
    if real is bool:
        return frozenset({TRUTH})
    if real in (int, float):
        return frozenset({NUMBER})
    if real is str:
        return frozenset({TEXT})
    if real in (list, tuple, set, frozenset):
        return frozenset({LIST})
    if real is dict:
        return frozenset({MAPPING})
    if real in (None, type(None)):
        return frozenset({NOTHING})
    return frozenset()


def _else(work: Work) -> None:
    guarded = {
        (work.end(e.source), e.port, e.source_kind)
        for e in work.written
        if e.guard is not None and not isinstance(e.guard, Else)
    }
    for edge in work.written:
        if isinstance(edge.guard, Else) and (work.end(edge.source), edge.port, edge.source_kind) not in guarded:
            start = f"{edge.source}:{edge.port}" if edge.port else edge.source
            work.report(
                STRAY_ELSE, f"`else` has nothing to be the other case of: no other rule from {start} has a guard",
                Provenance(edge.guard.span, edge.source_place.via),
                help=f"guard another rule that starts at {start}, or write a plain arrow",
            )  # fmt: skip
