"""What ``{env: NAME}`` leaves are in a simulated call: what the scenario gives, and placeholders for the rest.

Nothing comes from the real environment: a key that is set on this machine reaches no simulated connector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from echostack.core.errors import UsageError
from echostack.core.span import Span
from echostack.language.data import EnvRef, Mapping_, Sequence_, Value, env_names, plain
from echostack.registry import ConnectorSettings

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
    """The settings ``raw`` of ``node``, ``{env: NAME}`` leaves as they are in a simulated call.

    A default that stands in the file goes before a placeholder. UsageError, which names what the scenario must give,
    for a model that takes no placeholder.
    """
    leaves = env_names(raw)
    missing = [name for name, leaf in leaves.items() if name not in given and leaf.default is None]
    names = [*(n for n in leaves if n in given), *missing]
    place = dict.fromkeys(missing, 0)
    for _ in range(len(missing) * len(PLACEHOLDERS) + 1):
        try:
            return model.model_validate(plain(raw, simulated_environment(names, given, place)))
        except ValidationError as error:
            wrong = _named(raw, error, missing)
            said = _said(error, given.values())
        except Exception as error:  # noqa: BLE001 - a connector's own validator may raise anything
            wrong, said = missing, type(error).__name__
        onward = [name for name in wrong if place[name] + 1 < len(PLACEHOLDERS)]
        if not onward:
            break
        for name in onward:
            place[name] += 1
    if not missing:
        raise UsageError(f"{span}: {node} cannot be simulated with what the scenario gives: {said}")
    raise UsageError(f"{span}: the scenario must give env {', '.join(missing)} for {node}, which takes no placeholder")


def _named(raw: Value, error: ValidationError, missing: list[str]) -> list[str]:
    """The missing names that the problems are about; all of them when a problem is about the settings as a whole."""
    found: list[str] = []
    for problem in error.errors(include_url=False, include_input=False):
        leaf = _at(raw, problem["loc"])
        if not isinstance(leaf, EnvRef):
            return missing
        if leaf.name in missing:
            found.append(leaf.name)
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
