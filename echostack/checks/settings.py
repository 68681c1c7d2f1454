"""A node's settings against its connector's model: every wrong key at its own place, no secret ever shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from echostack.checks.codes import MISSING_SETTING, UNKNOWN_SETTING, WRONG_SETTING
from echostack.checks.work import Resolved, Work
from echostack.core.span import Provenance, Span
from echostack.language.data import EnvRef, Mapping_, Sequence_, Value, env_names, plain
from echostack.registry import ConnectorSettings, ConnectorSpec, EnvField, filled, open_fields, unset
from echostack.registry.secret import WORTH_HIDING

_LONGEST = 40
"""How many characters of a wrong value a message shows."""
_EMPTY = Mapping_({}, {}, Span("", 0, 0, 0, 0))

PLACEHOLDERS = ("unknown", "https://unknown.invalid/", "1")
"""What a required value that only the environment has is taken for while a graph is checked without it."""


def validate(work: Work, resolved: Resolved) -> None:
    """Fill in ``settings``, ``missing_env``, ``ports`` and ``presumed``; report what does not fit the model.

    A field that takes its value from the environment (``Env``) gets it where the file gives none.
    """
    spec, raw = resolved.spec, resolved.node.settings or _EMPTY
    assert spec is not None
    wanted = env_names(raw)
    written = plain(raw, work.env)
    fields = tuple(open_fields(spec.settings, written))
    come = {f.path: work.env[f.variable] for f in fields if work.env.get(f.variable)}
    lacking = tuple(f for f in fields if f.required and f.path not in come)
    named = [n for n, r in wanted.items() if n not in work.env and r.default is None]
    resolved.missing_env = tuple(sorted({*named, *(f.variable for f in lacking)}))
    data = filled(written, come, spec.settings)
    known = (*_secret_values(spec.settings, data), *(work.env.get(n, "") for n in wanted), *come.values())
    found = _Found(raw, [s for s in known if s], {f.path: f for f in fields})
    settings: ConnectorSettings | None = None
    sound = True
    try:
        settings = spec.settings.model_validate(data)
        unset(settings, written, come)
    except ValidationError as error:
        problems = [p for p in error.errors(include_url=False) if not _missing(p, lacking)]
        sound = not problems
        for problem in problems:
            _problem(work, resolved, spec, found, problem)
    except Exception as error:  # noqa: BLE001 - a connector's own validator may raise anything
        sound = False
        said = _hide(str(error), found.hidden)
        work.report(WRONG_SETTING, f"{spec.name} cannot read its settings: {said}", resolved.node.place)
    if resolved.missing_env or settings is None:
        if sound and not named and lacking:
            resolved.presumed = _presumed(spec, data, lacking)
            if resolved.presumed is not None:
                _ports(work, resolved, spec, resolved.presumed, found.hidden)
        return
    resolved.settings = settings
    _ports(work, resolved, spec, settings, found.hidden)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the settings came from: as written, the values that no message may show, fields that take a variable."""

    raw: Mapping_
    hidden: list[str]
    fields: Mapping[tuple[int | str, ...], EnvField]


def _ports(work: Work, resolved: Resolved, spec: ConnectorSpec, settings: Any, hidden: list[str]) -> None:
    try:
        resolved.ports = tuple(spec.ports(settings))
    except Exception as error:  # noqa: BLE001 - a connector's own code runs here
        work.report(
            WRONG_SETTING, f"{spec.name} cannot tell its ports from its settings: {_hide(str(error), hidden)}",
            resolved.node.place,
        )  # fmt: skip


def _missing(problem: Mapping[str, Any], lacking: Iterable[EnvField]) -> bool:
    return problem["type"] == "missing" and any(_leads(f.path, problem["loc"]) for f in lacking)


def _leads(path: tuple[int | str, ...], loc: tuple[int | str, ...]) -> bool:
    """Whether ``loc`` is ``path``, steps for the members of unions passed over."""
    rest = iter(loc)
    return bool(loc) and loc[-1] == path[-1] and all(any(step == own for own in rest) for step in path)


def _presumed(spec: ConnectorSpec, data: Any, lacking: tuple[EnvField, ...]) -> ConnectorSettings | None:
    """The settings with something in the place of what only the environment has: what a file says of ports, formats
    and effects is checked without any key."""
    for placeholder in PLACEHOLDERS:
        try:
            return spec.settings.model_validate(filled(data, {f.path: placeholder for f in lacking}, spec.settings))
        except Exception:  # noqa: BLE001 - a connector's own validator may raise anything; the next may do
            continue
    return None


def _problem(work: Work, resolved: Resolved, spec: ConnectorSpec, found: _Found, problem: Mapping[str, Any]) -> None:
    raw, hidden = found.raw, found.hidden
    loc: tuple[int | str, ...] = problem["loc"]
    span, value, depth = _place(raw, loc)
    if isinstance(value, EnvRef) and value.default is None and value.name not in work.env:
        return  # its value is not known here; `check --environment` says that it is missing
    name = ".".join(map(str, loc)) or "the settings"
    place: Provenance | Span | None = resolved.node.place
    if span is not None:
        # A key may have been overridden in another file than the one that the node stands in.
        same = resolved.node.place is not None and resolved.node.place.span.file == span.file
        place = Provenance(span, resolved.node.place.via if same and resolved.node.place else ())
    node = resolved.node.id if resolved.node.id == spec.name else f"{resolved.node.id} ({spec.name})"
    kind = problem["type"]
    if kind == "extra_forbidden":
        known = list(_model_at(spec.settings, loc[:-1]).model_fields)
        work.report(
            UNKNOWN_SETTING, f"{node} has no setting {name!r}", place,
            help=work.nearest(str(loc[-1]), known) or (f"it has {', '.join(known)}" if known else "it has none"),
        )  # fmt: skip
    elif kind == "missing":
        field = _model_at(spec.settings, loc[:-1]).model_fields.get(str(loc[-1]))
        about = f" ({field.description})" if field is not None and field.description else ""
        work.report(
            MISSING_SETTING, f"{node} needs the setting {name!r}", place,
            help=f"add it under `connectors:`: {resolved.node.id.rsplit('/', 1)[-1]}: {{{name}: ...}}{about}",
        )  # fmt: skip
    else:
        said = _hide(str(problem["msg"]), hidden)
        said = said.removeprefix("Value error, ")
        said = said[:1].lower() + said[1:]
        came = next((f for path, f in found.fields.items() if _leads(path, loc)), None)
        secret = _is_secret(spec.settings, loc) or isinstance(value, EnvRef) or depth < len(loc) or not loc
        shown = "" if secret else _shown(problem.get("input"), hidden)
        got = f", not {shown}" if shown and not said.endswith(shown) else ""
        whole = f"the settings of {node} do not fit together" if not loc else f"the setting {name!r} of {node} is wrong"
        if came is not None and problem["type"] != "missing":
            whole = f"the setting {came.key!r} of {node}, which comes from {came.variable}, is wrong"
            mend = f"correct {came.variable}, or write the setting in the file"
            work.report(WRONG_SETTING, f"{whole}: {said}", place, help=mend)
            return
        work.report(WRONG_SETTING, f"{whole}: {said}{got}", place)


def _place(raw: Mapping_, loc: tuple[int | str, ...]) -> tuple[Span | None, Value | None, int]:
    """The span of the key (or item) that ``loc`` leads to, its value, and how many steps of ``loc`` led there.

    pydantic adds steps of its own for members of unions; they are passed over.
    """
    span: Span | None = None
    value: Value = raw
    depth = 0
    for step in loc:
        if isinstance(value, Mapping_) and str(step) in value.items:
            span, value = value.keys.get(str(step), span), value.items[str(step)]
        elif isinstance(value, Sequence_) and isinstance(step, int) and step < len(value.items):
            value = value.items[step]
            span = value.span
        else:
            continue
        depth += 1
    return span, value, depth


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that the field at ``loc`` holds, or the nearest above it."""
    for step in loc:
        field = model.model_fields.get(str(step))
        if field is not None:
            inner = next((t for t in _flat(field.annotation) if isinstance(t, type) and issubclass(t, BaseModel)), None)
            model = inner or model
    return model


def _is_secret(model: type[ConnectorSettings], loc: tuple[int | str, ...]) -> bool:
    current: type[BaseModel] = model
    for step in loc:
        field = current.model_fields.get(str(step))
        if field is None:
            continue
        if any(t in (SecretStr, SecretBytes) for t in _flat(field.annotation)):
            return True
        current = _model_at(current, (step,))
    return False


def _flat(annotation: Any) -> Iterator[Any]:
    """An annotation and everything inside it: ``list[Model] | None`` gives Model too."""
    yield annotation
    for inner in get_args(annotation):
        yield from _flat(inner)


def _secret_values(model: type[BaseModel], data: Any) -> Iterator[str]:
    """Every string that stands, as written, where the model wants a secret."""
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        field = model.model_fields.get(str(key))
        if field is None:
            continue
        types = list(_flat(field.annotation))
        if any(t in (SecretStr, SecretBytes) for t in types):
            yield from _strings(value)
        for inner in types:
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                for item in value if isinstance(value, list) else (value,):
                    yield from _secret_values(inner, item)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, (str, int, float)):
        yield str(value)


def _hide(text: str, hidden: list[str]) -> str:
    for secret in filter(str.strip, hidden):
        if len(secret) >= WORTH_HIDING:
            text = text.replace(secret, "**********")
        else:  # within words it would be found everywhere, and the message could not be read
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "**********", text)
    return text


def _shown(value: Any, hidden: list[str]) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if not isinstance(value, (str, int, float)):
        return ""
    # Hidden before it is cut, or the head of a long secret would show.
    text = _hide(repr(value), hidden)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
