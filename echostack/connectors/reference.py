"""The reference of the shipped connectors in docs/connectors.md, made from their manifests.

``python -m echostack.connectors.reference docs/connectors.md`` writes it between its marks; a test holds it current.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo

from echostack.connectors import BUILTIN
from echostack.registry import ConnectorSettings, ConnectorSpec, Registry, StandIn, stand_in, variable_of

BEGIN: Final = "<!-- reference: begin (written by python -m echostack.connectors.reference) -->"
END: Final = "<!-- reference: end -->"


def reference(registry: Registry) -> str:
    """The table of all connectors of ``registry``, then each one's settings, as Markdown."""
    specs = list(registry)
    lines = ["| connector | form | consumes | produces | |", "|---|---|---|---|---|"]
    for spec in specs:
        notes = [word for word, holds in (("effect", spec.effect), ("network", spec.network)) if holds]
        notes += [f"extra `{spec.extra}`"] if spec.extra else []
        produced = _kinds(spec.produced_kinds) + (" and what it took, by a port" if spec.forwards else "")
        lines.append(
            f"| [`{spec.name}`](#{spec.name.replace('.', '')}) | {spec.form.value} | {_kinds(spec.consumed_kinds)} "
            f"| {produced} | {', '.join(notes)} |"
        )
    for spec in specs:
        lines += ["", *_one(spec)]
    return "\n".join(lines) + "\n"


def write(text: str, part: str) -> str:
    """``text`` with what stands between the marks replaced by ``part``. ValueError when a mark is missing."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the text has no {BEGIN} … {END}")
    return f"{head}{BEGIN}\n\n{part}\n{END}{tail}"


def _one(spec: ConnectorSpec) -> list[str]:
    lines = [f"### {spec.name}", "", spec.about]
    if spec.latency.p50 or spec.latency.p95:
        lines += [
            "",
            f"Usually {spec.latency.p50:g} ms to its first output, {spec.latency.p95:g} ms at the 95th percentile.",
        ]
    lines += ["", f"Simulated: {_simulated(spec)}"]
    fields = spec.settings.model_fields
    if not fields:
        return [*lines, "", "No settings."]
    lines += ["", "| setting | type | default | |", "|---|---|---|---|"]
    lines += _rows(fields, "")
    for name, field in fields.items():
        inner = _inner(field.annotation)
        if inner is not None:
            lines += _rows(inner.model_fields, f"{field.alias or name}.*.")
    return lines


def _simulated(spec: ConnectorSpec) -> str:
    found = stand_in(spec)
    if found is StandIn.ITSELF:
        return "it runs as it is."
    if found is StandIn.OWN:
        about = inspect.cleandoc(spec.simulation.__doc__ or "its own simulation.").split("\n\n", 1)[0]
        return f"{about[:1].lower()}{about[1:]}".replace("\n", " ")
    return f"{found.value}."


def _rows(fields: dict[str, FieldInfo], prefix: str) -> list[str]:
    rows = []
    for name, field in fields.items():
        default = "required" if field.is_required() else _value(field.get_default(call_default_factory=True))
        variable = variable_of(field)
        if variable:
            default = f"`${variable}`" + ("" if default in ("required", "–") else f", or else {default}")
        about = " ".join((field.description or "").replace("``", "`").split())
        rows.append(f"| `{prefix}{field.alias or name}` | {_type(field.annotation)} | {default} | {_cell(about)} |")
    return rows


def _inner(annotation: Any) -> type[ConnectorSettings] | None:
    """The settings model inside a list or a mapping of them."""
    for argument in getattr(annotation, "__args__", ()):
        if isinstance(argument, type) and issubclass(argument, ConnectorSettings):
            return argument
    return None


def _type(annotation: Any) -> str:
    if annotation is Any:
        return "anything"
    if isinstance(annotation, type) and not getattr(annotation, "__args__", ()):
        return {
            "str": "text", "int": "whole number", "float": "number", "bool": "true or false", "SecretStr": "secret",
            "Path": "path", "NoneType": "nothing",
        }.get(annotation.__name__, _model(annotation))  # fmt: skip
    origin = getattr(annotation, "__origin__", None)
    arguments: list[Any] = list(getattr(annotation, "__args__", ()))
    if origin is tuple or origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping to {_type(arguments[1])}"
    if str(annotation).startswith("typing.Literal"):
        return _cell(" or ".join("false" if a is False else str(a) for a in arguments))
    if arguments:
        return " or ".join(t for a in arguments if (t := _type(a)) != "nothing")
    return "any"


def _model(annotation: type) -> str:
    return "mapping" if issubclass(annotation, ConnectorSettings) else annotation.__name__


def _value(value: Any) -> str:
    if value is None or value in ((), {}, ""):
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return _cell("; ".join(map(str, value)))
    return _cell(f"{value:g}" if isinstance(value, float) else str(value))


def _kinds(kinds: tuple[Any, ...]) -> str:
    return " ".join(f"`{k.name}`" for k in kinds) or "–"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main(path: str) -> None:
    """Rewrite the reference in the file ``path``."""
    page = Path(path)
    page.write_text(write(page.read_text("utf-8"), reference(Registry(BUILTIN))), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
