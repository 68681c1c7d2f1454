"""The words on a line: kinds folded together, guards written back, policies only where they say something."""

from __future__ import annotations

import json
from collections.abc import Iterable

from echostack.core.kinds import KindSpec, Overflow
from echostack.language.guard import All, Any_, Compare, Constant, Else, Field, Guard, Member, Not, Operand, Truth
from echostack.render.model import Medium

MOST_KINDS = 3
MOST_GUARD = 48


def fold_kinds(names: Iterable[str], *, most: int = MOST_KINDS) -> tuple[str, ...]:
    """One line a base kind: ``text``, ``text.partial`` → ``text +partial``; what is too much becomes ``+2 more``."""
    bases: dict[str, list[str]] = {}
    for name in names:
        base, _, modifier = name.partition(".")
        bases.setdefault(base, []).append(modifier)
    lines = []
    for base, modifiers in bases.items():
        pieces = [m for m in modifiers if m]
        if "" in modifiers:
            lines.append(base + "".join(f" +{m}" for m in pieces))
        else:
            lines.append(f"{base}.{pieces[0]}" + "".join(f" +{m}" for m in pieces[1:]))
    if len(lines) <= most:
        return tuple(lines)
    return (*lines[: most - 1], f"+{len(lines) - most + 1} more")


def medium_of(kinds: Iterable[KindSpec]) -> Medium:
    """Audio when any kind is, control when all are, else words."""
    kinds = tuple(kinds)
    if any(k.audio for k in kinds):
        return Medium.AUDIO
    return Medium.CONTROL if kinds and all(k.control for k in kinds) else Medium.WORDS


def policy_text(queue: int | None, overflow: Overflow | None) -> str:
    """What a rule asks of its queue, empty when it asks for nothing."""
    parts = [f"queue {queue}"] if queue is not None else []
    if overflow is not None:
        parts.append(overflow.value.replace("_", " "))
    return ", ".join(parts)


def guard_text(guard: Guard | None, *, most: int | None = MOST_GUARD) -> str:
    """A guard in the language's own words; cut with an ellipsis after ``most`` characters."""
    if guard is None:
        return ""
    text = _write(guard, 0)
    return text if most is None or len(text) <= most else text[: most - 1].rstrip() + "…"


def _write(guard: Guard, strength: int) -> str:
    """``strength``: how tightly the surroundings bind (0 nothing, 1 ``or``, 2 ``and``, 3 ``not``)."""
    match guard:
        case Else():
            return "else"
        case Compare(left, op, right):
            return f"{_operand(left)} {op} {_operand(right)}"
        case Member(value, choices, negated):
            bag = _operand(choices) if isinstance(choices, Field) else f"({', '.join(map(_operand, choices))})"
            return f"{_operand(value)} {'not in' if negated else 'in'} {bag}"
        case Truth(value):
            return _operand(value)
        case Not(item):
            return f"not {_write(item, 3)}"
        case All(items):
            text = " and ".join(_write(i, 2) for i in items)
            return f"({text})" if strength > 2 else text
        case Any_(items):
            text = " or ".join(_write(i, 1) for i in items)
            return f"({text})" if strength > 1 else text


def _operand(operand: Operand) -> str:
    match operand:
        case Field(name):
            return name
        case Constant(value):
            return json.dumps(value, ensure_ascii=False)
