"""Values as a file holds them: plain data that still knows where it stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from echostack.core.span import Span


@dataclass(frozen=True, slots=True)
class Scalar:
    value: str | int | float | bool | None
    span: Span


@dataclass(frozen=True, slots=True)
class EnvRef:
    """``{env: NAME}``, or ``{env: NAME, default: value}``: a value taken from the environment after parsing."""

    name: str
    span: Span
    default: str | int | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Sequence_:
    items: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Mapping_:
    """Keys are unique strings; ``keys`` holds their own spans."""

    items: Mapping[str, Value]
    keys: Mapping[str, Span]
    span: Span


Value = Scalar | EnvRef | Sequence_ | Mapping_


def plain(value: Value, env: Mapping[str, str] | None = None) -> Any:
    """``value`` as ordinary Python data, ``{env: NAME}`` leaves replaced from ``env`` (default first).

    A name that is absent and has no default stays an EnvRef, for the caller to report.
    """
    match value:
        case Scalar(item):
            return item
        case EnvRef(name, _, default):
            if env is not None and name in env:
                return env[name]
            return default if default is not None else value
        case Sequence_(items):
            return [plain(i, env) for i in items]
        case Mapping_(items):
            return {k: plain(v, env) for k, v in items.items()}


def env_names(value: Value) -> dict[str, EnvRef]:
    """Every environment name that ``value`` takes something from, with the place of its first use."""
    found: dict[str, EnvRef] = {}
    match value:
        case EnvRef(name):
            found[name] = value
        case Sequence_(items):
            for item in items:
                found = {**env_names(item), **found}
        case Mapping_(items):
            for item in items.values():
                found = {**env_names(item), **found}
        case Scalar():
            pass
    return found
