"""Settings that come from the environment where a file gives none: fields that are marked with ``Env``.

Looking them up is one walk over a model and the data for it, so that the check, a simulated call and the reference
agree on what a variable gives. Nothing here reads the process's environment by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Env:
    """``Annotated[SecretStr, Env("ACME_API_KEY")]``: where the file gives no value for this field, it comes from that
    environment variable, when that is set and not empty.

    A required field whose variable is not set either is one that the environment has yet to give, like an ``{env: …}``
    leaf: ``check`` passes, ``check --environment`` and a call say what to set. A value that came in this way is not in
    the model's ``model_fields_set``, so that what was written can be told from what was merely there.
    """

    name: str

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """The field's JSON Schema with the variable under ``env``, for whoever reads a manifest."""
        return {**handler(schema), "env": self.name}


@dataclass(frozen=True, slots=True)
class EnvField:
    """A place in settings for which there may be a value in the environment: the path of keys to it, the variable,
    whether something must be there, and whether it is a secret."""

    path: Path
    variable: str
    required: bool
    secret: bool

    @property
    def key(self) -> str:
        """The path as a person writes it: ``auth.api_key``."""
        return ".".join(map(str, self.path))


def variable_of(field: FieldInfo) -> str:
    """The environment variable of a settings field; empty when it has none."""
    for mark in field.metadata:
        if isinstance(mark, Env):
            return mark.name
    return next((m.name for m in _flat(field.annotation) if isinstance(m, Env)), "")


def open_fields(model: type[BaseModel], data: Any) -> Iterator[EnvField]:
    """The fields with a variable for which ``data`` gives nothing, those of nested models included.

    A nested model that ``data`` leaves out is looked into, unless it may be left out as a whole (its default is
    None): then nothing in it is wanted.
    """
    if _marked(model):
        yield from _open(model, data if isinstance(data, Mapping) else {}, (), True)


def filled(data: Any, values: Mapping[Path, str], model: type[BaseModel]) -> Any:
    """``data`` with ``values`` put at their paths; ``data`` itself is not changed."""
    if not values:
        return data
    whole = _copy(data)
    for path, value in values.items():
        here, kind = whole, model
        for step in path[:-1]:
            inner = _inner(kind, step)
            if isinstance(here, dict) and step not in here:
                here[step] = _default(kind, str(step))
            here, kind = here[step], inner or kind
        here[path[-1]] = value
    return whole


def unset(settings: BaseModel, data: Any, paths: Iterable[Path]) -> None:
    """Take ``paths``, which ``data`` did not give, out of what ``settings`` say to have been set."""
    for path in paths:
        here: Any = settings
        written = data
        for step in path:
            written = _at(written, step)
            if isinstance(here, BaseModel):
                name = _field_name(type(here), step)
                if written is None:
                    here.model_fields_set.discard(name)
                here = getattr(here, name)
            else:
                here = here[step]


def settings_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of settings as a file may give them: what the environment can give is not required there."""
    schema = model.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        required = [k for k in part.get("required", ()) if "env" not in part["properties"].get(k, {})]
        if required:
            part["required"] = required
        else:
            part.pop("required", None)
    return schema


@cache
def _marked(model: type[BaseModel]) -> bool:
    """Whether a field of ``model``, or of a model in it, has a variable: asked for every simulated node."""
    inner = [_model_in(field.annotation) for field in model.model_fields.values()]
    return any(map(variable_of, model.model_fields.values())) or any(
        _marked(found) for found in inner if found is not None and found is not model
    )


def _open(model: type[BaseModel], data: Mapping[str, Any], path: Path, wanted: bool) -> Iterator[EnvField]:
    for name, field in model.model_fields.items():
        key = next((k for k in (field.alias, name) if k is not None and k in data), field.alias or name)
        here = (*path, key)
        given = data.get(key)
        variable = variable_of(field)
        if variable and key not in data:
            secret = any(t in (SecretStr, SecretBytes) for t in _flat(field.annotation))
            yield EnvField(here, variable, wanted and field.is_required(), secret)
        inner = _model_in(field.annotation)
        if inner is None:
            continue
        if isinstance(given, Mapping):
            if _is_model(field.annotation):
                yield from _open(inner, given, here, wanted)
            else:
                for own, item in given.items():
                    if isinstance(item, Mapping):
                        yield from _open(inner, item, (*here, own), wanted)
        elif isinstance(given, list):
            for number, item in enumerate(given):
                if isinstance(item, Mapping):
                    yield from _open(inner, item, (*here, number), wanted)
        elif key not in data and _is_model(field.annotation):
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            if field.is_required():
                yield from _open(inner, {}, here, wanted)
            elif isinstance(default, BaseModel):
                yield from _open(inner, default.model_dump(exclude_unset=True, by_alias=True), here, False)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _at(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def _default(model: type[BaseModel], key: str) -> dict[str, Any]:
    field = model.model_fields[_field_name(model, key)]
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return default.model_dump(exclude_unset=True, by_alias=True) if isinstance(default, BaseModel) else {}


def _inner(model: type[BaseModel], step: str | int) -> type[BaseModel] | None:
    name = _field_name(model, step)
    return _model_in(model.model_fields[name].annotation) if name in model.model_fields else None


def _field_name(model: type[BaseModel], key: str | int) -> str:
    return next((n for n, f in model.model_fields.items() if key in (f.alias, n)), str(key))


def _is_model(annotation: Any) -> bool:
    """Whether the field holds one model (or nothing), and not a list or a mapping of them."""
    kinds = [annotation, *get_args(annotation)] if annotation is not None else []
    plain = [t for t in kinds if isinstance(t, type) and issubclass(t, BaseModel)]
    return bool(plain) and getattr(annotation, "__origin__", None) not in (list, dict, tuple)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    return next((t for t in _flat(annotation) if isinstance(t, type) and issubclass(t, BaseModel)), None)


def _flat(annotation: Any) -> Iterator[Any]:
    """An annotation, what it is annotated with, and everything inside it."""
    yield annotation
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _flat(inner)
