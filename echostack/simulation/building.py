"""Payloads from what a scenario says: a kind and its fields become a payload of that kind, or a clear error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from echostack.core.diagnostic import did_you_mean
from echostack.core.errors import UsageError
from echostack.core.kinds import Payload
from echostack.core.span import Span
from echostack.language.data import Mapping_, Value, env_names, plain


def kind_of(name: str, classes: Iterable[type[Payload]], span: Span, who: str) -> type[Payload]:
    """The class of the kind ``name`` among ``classes``, which ``who`` makes. UsageError when it is not among them."""
    known = {cls.__kind__.name: cls for cls in classes}
    found = known.get(name)
    if found is None:
        near = did_you_mean(name, list(known))
        hint = f"did you mean {near[0]}?" if near else f"it makes {', '.join(known) or 'nothing'}"
        raise UsageError(f"{span}: {who} makes no {name}; {hint}")
    return found


def built(cls: type[Payload], fields: Value, span: Span, env: Mapping[str, str] | None = None) -> Payload:
    """A payload of ``cls`` with ``fields``, ``{env: NAME}`` leaves among them taken from ``env`` alone.

    UsageError, with the place, for a field that the kind does not have, one that it needs, and a value of another type.
    """
    kind = cls.__kind__.name
    given = {} if env is None else env
    for name, leaf in env_names(fields).items():
        if name not in given and leaf.default is None:
            raise UsageError(f"{leaf.span}: the scenario must give env {name}")
    data = plain(fields, given)
    if not isinstance(data, dict):
        raise UsageError(f"{span}: {kind} takes a mapping of fields")
    places = fields.keys if isinstance(fields, Mapping_) else {}
    return made(cls, data, span, places)


def made(cls: type[Payload], data: Mapping[str, Any], span: Span, places: Mapping[str, Span] | None = None) -> Payload:
    """The same from plain data."""
    kind, names, places = cls.__kind__.name, list(cls.__struct_fields__), places or {}
    for name in data:
        if name not in names:
            near = did_you_mean(name, names)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names) or 'none'}"
            raise UsageError(f"{places.get(name, span)}: {kind} has no field {name!r}; {hint}")
    try:
        return msgspec.convert(dict(data), type=cls)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at ")
        path = path.strip("`").removeprefix("$").removeprefix(".")
        place = places.get(path.partition(".")[0].partition("[")[0], span)
        about = f"the field {path} of {kind} is wrong" if path else f"{kind} is not complete"
        raise UsageError(f"{place}: {about}: {said[:1].lower()}{said[1:].replace('`', '')}") from None


def text_of(payload: Payload) -> str | None:
    """What ``payload`` says in words: its text, or whatever of its fields comes nearest; None for one without words."""
    for name in _TEXTS:
        value = getattr(payload, name, None)
        if isinstance(value, str) and value:
            return value
    if payload.__kind__.audio:
        return None
    return next((v for f in payload.__struct_fields__ if isinstance(v := getattr(payload, f), str) and v), None)


def text_field(cls: type[Payload]) -> str | None:
    """The field of a kind that holds what it says; None for a kind without words."""
    if cls.__kind__.audio:
        return None
    names = cls.__struct_fields__
    for name in _TEXTS:
        if name in names:
            return name
    fields = msgspec.structs.fields(cls)
    return next((f.name for f in fields if f.type is str), None)


_TEXTS = ("text", "body", "message", "heard", "query", "name", "digit", "reason", "label")
