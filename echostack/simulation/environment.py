"""What the environment is in a simulated call: what the scenario gives, and placeholders for the rest.

Nothing comes from the real environment: a key that is set on this machine reaches no simulated connector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from echostack.core.errors import UsageError
from echostack.core.span import Span
from echostack.language.data import EnvRef, Mapping_, Sequence_, Value, env_names, plain
from echostack.registry import ConnectorSettings, EnvField, filled, open_fields, unset

PLACEHOLDERS = ("simulated", "https://simulated.invalid/", "1")
"""What stands for a value that is not given: a text, or else an address (of a domain that never exists, RFC 2606), or
else a number."""


def simulated_environment(
    names: Iterable[str], given: Mapping[str, str], place: Mapping[str, int] | None = None
) -> dict[str, str]:
    """``names`` with what the scenario gives for them, else the placeholder at ``place`` (the first)."""
    at = place or {}
    return {name: given.get(name, PLACEHOLDERS[at.get(name, 0)]) for name in names}


def simulated_settings(
    model: type[ConnectorSettings], raw: Value, given: Mapping[str, str], node: str, span: Span
) -> ConnectorSettings:
    """The settings ``raw`` of ``node``, with ``{env: NAME}`` leaves and fields that the environment fills (``Env``) as
    they are in a simulated call.

    A default goes before a placeholder; but where settings do not fit together without a value that may be left out
    (one of two keys must be there), it gets one. UsageError, which names what the scenario must give, for a model that
    takes no placeholder.
    """
    fields = tuple(open_fields(model, plain(raw)))
    needed = [f for f in fields if f.required or f.variable in given]
    first = _tried(model, raw, given, needed)
    if isinstance(first, ConnectorSettings):
        return first
    second = _tried(model, raw, given, fields) if len(needed) < len(fields) else first
    if isinstance(second, ConnectorSettings):
        return second
    missing, said = first
    if not missing:
        raise UsageError(f"{span}: {node} cannot be simulated with what the scenario gives: {said}")
    raise UsageError(f"{span}: the scenario must give env {', '.join(missing)} for {node}, which takes no placeholder")


def wants_environment(model: type[ConnectorSettings], raw: Value | None) -> bool:
    """Whether anything in the settings ``raw`` may come from the environment."""
    if raw is None:
        return any(True for _ in open_fields(model, {}))
    return bool(env_names(raw)) or any(True for _ in open_fields(model, plain(raw)))


def _tried(
    model: type[ConnectorSettings], raw: Value, given: Mapping[str, str], fields: Sequence[EnvField]
) -> ConnectorSettings | tuple[list[str], str]:
    """The settings, or else the names that are not given and what is wrong."""
    leaves = env_names(raw)
    missing = [name for name, leaf in leaves.items() if name not in given and leaf.default is None]
    missing = list(dict.fromkeys([*missing, *(f.variable for f in fields if f.variable not in given)]))
    names = [*(n for n in leaves if n in given), *(f.variable for f in fields if f.variable in given), *missing]
    place = dict.fromkeys(missing, 0)
    said = ""
    for _ in range(len(missing) * len(PLACEHOLDERS) + 1):
        values = simulated_environment(names, given, place)
        # A leaf of the same name has its own default where the scenario gives nothing for it.
        written = plain(raw, {n: v for n, v in values.items() if n in given or _bare(leaves, n)})
        try:
            settings = model.model_validate(filled(written, {f.path: values[f.variable] for f in fields}, model))
            unset(settings, written, [f.path for f in fields])
            return settings
        except ValidationError as error:
            wrong = _named(raw, fields, error, missing)
            said = _said(error, given.values())
        except Exception as error:  # noqa: BLE001 - a connector's own validator may raise anything
            wrong, said = missing, type(error).__name__
        onward = [name for name in wrong if place[name] + 1 < len(PLACEHOLDERS)]
        if not onward:
            break
        for name in onward:
            place[name] += 1
    return missing, said


def _bare(leaves: Mapping[str, EnvRef], name: str) -> bool:
    return name in leaves and leaves[name].default is None


def _named(raw: Value, fields: Sequence[EnvField], error: ValidationError, missing: list[str]) -> list[str]:
    """The missing names that the problems are about; all of them when a problem is about the settings as a whole."""
    found: list[str] = []
    for problem in error.errors(include_url=False, include_input=False):
        leaf = _at(raw, problem["loc"])
        field = next((f for f in fields if f.path == problem["loc"][: len(f.path)]), None)
        name = field.variable if field is not None else leaf.name if isinstance(leaf, EnvRef) else None
        if name is None:
            return missing
        if name in missing:
            found.append(name)
    return list(dict.fromkeys(found))


def _at(value: Value, loc: tuple[Any, ...]) -> Value:
    for step in loc:
        if isinstance(value, Mapping_) and str(step) in value.items:
            value = value.items[str(step)]
        elif isinstance(value, Sequence_) and isinstance(step, int) and step < len(value.items):
            value = value.items[step]
    return value


def _said(error: ValidationError, hidden: Iterable[str]) -> str:
    """The first problem in words, without the values that were given: any of them may be a key."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(map(str, first["loc"]))
    said = str(first["msg"])
    for value in hidden:
        said = said.replace(value, "**********") if value else said
    return f"{name}: {said}" if name else said
