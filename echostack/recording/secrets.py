"""Finding what is secret in settings: where a connector's model wants a secret, and what is called like one.

What is found is masked wherever a recording would show it. Whether something is a secret is asked of the model first;
where no model is known (a connector that is declared and not used), and of free keys (the headers of a request), the
name decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from echostack.language.data import EnvRef, Mapping_, Scalar, Sequence_, Value
from echostack.registry.secret import WORTH_HIDING as WORTH_HIDING
from echostack.registry.secret import secrets_in as secrets_in

_NAMED = re.compile(
    r"(api|access|auth|private|secret|signing)[_-]?(key|token)|secret|passw(or)?d|passphrase|token$|authorization"
    r"|credential|cookie|^key$",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"#.*$", re.MULTILINE)
_IN_COMMENT = re.compile(
    r"(\w*(?:key|token|secret|passw(?:or)?d|passphrase|authorization|credential|cookie)\w*[\"']?\s*[:=]\s*)(\S.*)$",
    re.IGNORECASE,
)
_KEY = re.compile(r"""(["']?)([\w.-]+)(["']?[ \t]*:[ \t]+)([^\s{\[,}][^,}\r\n]*|\{env:)""")
Models = tuple[type[BaseModel], ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value at the end of a path of keys (``a.b``, items of a list left out). named: its text is a name, one of a
    few that the model knows, and so no text of anyone's."""

    value: Scalar | EnvRef
    path: str
    secret: bool
    named: bool


def leaves(value: Value, model: type[BaseModel] | None) -> Iterator[Leaf]:
    """Every scalar of a connector's settings as they stand in a file. model: its settings, None when not known."""
    yield from _leaves(value, (model,) if model is not None else (), "", False, False)


def is_secret_name(name: str) -> bool:
    """Whether something of this name is likely to be a secret."""
    return _NAMED.search(name) is not None


def without_secrets_in_comments(text: str) -> str:
    """``text`` with what a comment gives to something called like a secret taken out, length kept."""

    def masked(comment: re.Match[str]) -> str:
        return _IN_COMMENT.sub(lambda m: m[1] + "*" * len(m[2]), comment[0])

    return _COMMENT.sub(masked, text)


def without_named_secrets(text: str) -> str:
    """``text``, of which nobody could make a graph, with what it gives to keys called like a secret taken out, length
    kept."""

    def masked(found: re.Match[str]) -> str:
        key, value = found[2], found[4]
        kept = not is_secret_name(key) or value.startswith("{env:")
        return found[0] if kept else f"{found[1]}{key}{found[3]}{'*' * len(value)}"

    return without_secrets_in_comments(_KEY.sub(masked, text))


def _leaves(value: Value, models: Models, path: str, secret: bool, named: bool) -> Iterator[Leaf]:
    match value:
        case Scalar() | EnvRef():
            yield Leaf(value, path, secret, named)
        case Sequence_(items):
            for item in items:
                yield from _leaves(item, models, path, secret, named)
        case Mapping_(items):
            for key, item in items.items():
                types = list(_types_of(models, key))
                hidden = secret or any(t in (SecretStr, SecretBytes) for t in types)
                if not types:  # nobody knows this key, so its name must tell
                    hidden = hidden or is_secret_name(key)
                # Under a mapping of models the key is anyone's, and what is below is a model still.
                inner = _models(types) or (models if not types else ())
                yield from _leaves(
                    item, inner, f"{path}.{key}" if path else key, hidden, bool(types) and _is_name(types)
                )


def _types_of(models: Models, key: str) -> Iterator[Any]:
    for model in models:
        for name, field in model.model_fields.items():
            if key in (name, field.alias, field.validation_alias):
                yield from _flat(field.annotation)


def _models(types: Iterable[Any]) -> Models:
    return tuple(t for t in types if isinstance(t, type) and issubclass(t, BaseModel))


def _is_name(types: Iterable[Any]) -> bool:
    """Whether the text that such a field takes is one of a few: no text in it is anyone's own."""
    texts = [t for t in types if t is str or get_origin(t) is Literal or (isinstance(t, type) and issubclass(t, Enum))]
    return bool(texts) and str not in texts


def _flat(annotation: Any) -> Iterator[Any]:
    """An annotation and everything inside it: ``list[Model] | None`` gives Model too."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            yield from _flat(inner)
