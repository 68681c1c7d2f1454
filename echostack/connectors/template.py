"""Texts with fields in them: ``Hello {name|there}, a table for {slots.people}``.

A field is a path of names and list positions into plain data (``plain.plain`` of a payload), nothing else: no
attributes, no calls, no format specifications, so that neither a file nor a caller's words can reach into the program.
``{field|words}`` gives the words to use where the field is missing or empty; ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

MISSING: Final = object()
"""What ``look_up`` gives for a path that leads nowhere."""

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")


@dataclass(frozen=True, slots=True)
class Field:
    """One ``{path|default}``; ``default`` is None when none is written."""

    path: tuple[str, ...]
    default: str | None = None

    @property
    def name(self) -> str:
        return ".".join(self.path)


class MissingField(LookupError):
    """A template needs a field that the data does not have and names no words to use instead."""

    def __init__(self, field: Field, data: Mapping[str, Any]) -> None:
        self.field = field
        has = ", ".join(sorted(k for k in data if not k.startswith("_"))) or "nothing"
        super().__init__(f"there is no {{{field.name}}}: there are {has}")


class Template:
    """A compiled text. ValueError, with a message for people, when the text is not a template."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts = _parse(text)
        self.fields = tuple(p for p in self.parts if isinstance(p, Field))

    @property
    def only(self) -> Field | None:
        """The field, when the template is one field and nothing else."""
        return self.fields[0] if len(self.parts) == 1 and self.fields else None

    def render(self, data: Mapping[str, Any], escape: Callable[[str], str] = str) -> str:
        """The text with its fields taken from ``data``, each through ``escape``; MissingField when one is not there.

        What a field holds is never read as a template again.
        """
        return "".join(escape(self._value(p, data)) if isinstance(p, Field) else p for p in self.parts)

    def fill(self, data: Mapping[str, Any]) -> tuple[str, bool]:
        """The text with missing fields left out and the gaps tidied, and whether every field was there."""
        whole, pieces = True, []
        for part in self.parts:
            if isinstance(part, str):
                pieces.append(part)
                continue
            try:
                pieces.append(self._value(part, data))
            except MissingField:
                whole = False
        text = "".join(pieces)
        return (text if whole else tidy(text)), whole

    def _value(self, field: Field, data: Mapping[str, Any]) -> str:
        value = look_up(data, field.path)
        if value is MISSING or value is None or value == "":
            if field.default is None:
                raise MissingField(field, data)
            return field.default
        return as_text(value)


def look_up(data: Any, path: tuple[str, ...]) -> Any:
    """What stands in ``data`` under ``path``: keys of mappings and positions of lists; MISSING when nothing does."""
    for part in path:
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, list | tuple) and part.isascii() and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return MISSING
    return data


def as_text(value: Any) -> str:
    """A value as it is written into a text: numbers plainly, booleans as in JSON, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return str(value)
    return msgspec.json.encode(value).decode()


def tidy(text: str) -> str:
    """``text`` without the doubled spaces and the stray punctuation that a left-out field leaves."""
    text = " ".join(text.split())
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    text = re.sub(r",+([,.;:!?])", r"\1", text)
    return text.strip(" ,;:")


class Tree:
    """A template over JSON data: every string in it is a template, and a string that is one field alone becomes the
    field's own value, number and list and all."""

    def __init__(self, value: Any) -> None:
        self._value = _compile(value)

    def fields(self) -> tuple[Field, ...]:
        return tuple(_fields(self._value))

    def render(self, data: Mapping[str, Any]) -> Any:
        """The data with every field replaced; MissingField when one is not there."""
        return _render(self._value, data)


def _compile(value: Any) -> Any:
    if isinstance(value, str):
        return Template(value)
    if isinstance(value, Mapping):
        return {str(k): _compile(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_compile(v) for v in value]
    return value


def _fields(value: Any) -> list[Field]:
    if isinstance(value, Template):
        return list(value.fields)
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [f for item in inside for f in _fields(item)]


def _render(value: Any, data: Mapping[str, Any]) -> Any:
    if isinstance(value, Template):
        field = value.only
        found = look_up(data, field.path) if field is not None else MISSING
        if found is not MISSING and found is not None:
            return found
        return value.render(data)
    if isinstance(value, dict):
        return {k: _render(v, data) for k, v in value.items()}
    if isinstance(value, list):
        return [_render(v, data) for v in value]
    return value


def _parse(text: str) -> tuple[str | Field, ...]:
    parts: list[str | Field] = []
    place = 0
    words = ""
    for match in _PART.finditer(text):
        words += text[place : match.start()]
        place = match.end()
        mark = match.group()
        if mark in ("{{", "}}"):
            words += mark[0]
            continue
        if mark in ("{", "}"):
            raise ValueError(f"{text!r} has a single {mark!r}: write {mark * 2} for a brace, {{name}} for a field")
        path, bar, default = match.group(1).partition("|")
        if not _PATH.fullmatch(path.strip()):
            raise ValueError(
                f"{text!r} has the field {mark}, which is not a name: it takes {{name}} or {{name.part|words}}"
            )
        if words:
            parts.append(words)
            words = ""
        parts.append(Field(tuple(path.strip().split(".")), default.strip() if bar else None))
    words += text[place:]
    if words:
        parts.append(words)
    return tuple(parts)
