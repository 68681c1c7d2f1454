"""``echostack connectors``: what exists, what it consumes and produces, and the page of one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from echostack.cli.options import Plugins, registry

if TYPE_CHECKING:
    from echostack.registry import ConnectorSpec, Registry


def connectors(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this one, in full.", show_default=False)] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the manifests, as JSON.")] = False,
    plugin: Plugins = None,
) -> None:
    """List the connectors, or show one of them: kinds, settings, latency, an example."""
    from echostack.cli.output import print_json

    known = registry(plugin)
    if name:
        spec = find(known, name)
        if json:
            print_json(spec.manifest())
        else:
            page(spec)
    elif json:
        print_json([spec.manifest() for spec in known])
    else:
        table(known)


def find(known: Registry, name: str) -> ConnectorSpec:
    """The connector ``name``; UsageError with the nearest names when there is none."""
    from echostack.core.diagnostic import did_you_mean
    from echostack.core.errors import UsageError

    spec = known.get(name)
    if spec is None:
        near = did_you_mean(name, known.names())
        hint = f": did you mean {' or '.join(near)}?" if near else ": 'echostack connectors' lists them"
        raise UsageError(f"there is no connector {name!r}{hint}")
    return spec


def table(known: Registry) -> None:
    """All connectors, a row each. One that cannot be loaded does not hide the others, but fails the command."""
    from rich.table import Table

    from echostack.cli.guard import FINDINGS
    from echostack.cli.output import console
    from echostack.core.errors import InvalidConnector

    rows = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("connector", "consumes", "produces", "needs", "what it does"):
        rows.add_column(heading, overflow="fold", no_wrap=heading == "connector")
    broken = False
    for name in known.names():
        try:
            spec = known.get(name)
        except InvalidConnector as error:
            broken = True
            rows.add_row(name, "", "", "", str(error))
            continue
        if spec is not None:
            rows.add_row(spec.name, kinds(spec.consumed_kinds), gives(spec), needs(spec), spec.about)
    console().print(rows)
    if broken:
        raise typer.Exit(FINDINGS)


def page(spec: ConnectorSpec) -> None:
    """Everything about one connector, in the order in which somebody who writes a file asks."""
    from rich.table import Table

    from echostack.cli.output import console

    out = console()
    manifest = spec.manifest()
    out.print(spec.name, style="bold")
    out.print(spec.about)
    out.print()
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_row("consumes", "\n".join(manifest["consumes"]) or "nothing: it is a source")
    facts.add_row("produces", "\n".join(manifest["produces"]) or "nothing: it is an end")
    if spec.forwards:
        facts.add_row("passes on", "\n".join(manifest["forwards"]))
    facts.add_row("runs as", FORMS[spec.form.value])
    facts.add_row("latency", f"p50 {spec.latency.p50:g} ms, p95 {spec.latency.p95:g} ms")
    if spec.attempts > 1 or spec.timeout:
        parts = [f"{spec.attempts} attempts" if spec.attempts > 1 else "one attempt"]
        parts += [f"{spec.timeout:g} s for an answer"] if spec.timeout else []
        facts.add_row("policy", f"{', '.join(parts)}; `attempts:` and `timeout:` in a file go before that")
    if spec.effect:
        facts.add_row("effect", "acts on the outside world: only for a turn that stands, once for each key")
    if spec.network:
        facts.add_row("network", "talks to other machines")
    facts.add_row("needs", needs(spec) or "nothing that is not installed with EchoStack")
    out.print(facts)
    out.print()
    settings = manifest["settings"].get("properties", {})
    if settings:
        required = set(manifest["settings"].get("required", ()))
        rows = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("setting", "type", "default", "what it sets"):
            rows.add_column(heading, overflow="fold")
        for key, schema in settings.items():
            default = "(required)" if key in required else plain(schema.get("default"))
            if "env" in schema:
                default = f"${schema['env']}" + (f", or else {default}" if schema.get("default") else "")
            rows.add_row(key, type_of(schema, manifest["settings"]), default, schema.get("description", ""))
        out.print(rows)
    else:
        out.print("It has no settings.")
    out.print()
    out.print("In a file:")
    for line in example(spec, manifest["settings"]):
        out.print(f"  {line}".rstrip())


MOST_KINDS = 5
"""More kinds than this are not all named in the table."""

FORMS = {
    "sync": "a plain function: fused with its neighbours, never waits",
    "async": "an async function: one task an event, cancelled by an interruption",
    "generator": "an async generator: one task an event, cancelled by an interruption",
    "stream": "a stream: one task as long as the call",
    "source": "a source: produces as long as the call",
    "sink": "an audio end: the engine paces what it plays",
}


def kinds(specs: Any) -> str:
    """Names of kinds, the first of them when they are many: the connector's own page has them all."""
    names = [k.name for k in specs]
    return ", ".join(names if len(names) <= MOST_KINDS else [*names[:3], f"and {len(names) - 3} more"])


def gives(spec: ConnectorSpec) -> str:
    passed = [f"{k.name} (passed on)" for k in spec.forwarded_kinds]
    return ", ".join([*(k.name for k in spec.produced_kinds), *passed])


def needs(spec: ConnectorSpec) -> str:
    """The extra to install, said so only while a package of it is missing."""
    missing = [package for package in spec.packages if not importable(package)]
    if not missing:
        return ""
    return f"pip install 'echostack[{spec.extra}]'" if spec.extra else f"the package {', '.join(missing)}"


def importable(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # a parent package is missing, or what stands there is half installed
        return False


def type_of(schema: dict[str, Any], whole: dict[str, Any]) -> str:
    """A setting's JSON Schema in a few words: ``integer``, ``low | high``, ``list of string``."""
    if "$ref" in schema:
        return type_of(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    for group in ("anyOf", "oneOf", "allOf"):
        if group in schema:
            return " | ".join(dict.fromkeys(type_of(s, whole) for s in schema[group] if s.get("type") != "null"))
    kind = schema.get("type", "any")
    if schema.get("format") == "password":
        return "secret"
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}), whole)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to {type_of(schema['additionalProperties'], whole)}"
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if least is not None and most is not None:
        return f"{kind} {least}..{most}"
    return str(kind)


def plain(value: Any) -> str:
    """A default as it would stand in a file."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)


def example(spec: ConnectorSpec, schema: dict[str, Any]) -> list[str]:
    """Lines of a .echo file that use the connector, with a place for every setting that has no default."""
    lines = []
    required = schema.get("required", [])
    if required:
        settings = ", ".join(
            f"{key}: {{env: {key.upper()}}}"
            if type_of(schema["properties"][key], schema) == "secret"
            else f"{key}: ..."
            for key in required
        )
        lines += ["connectors:", f"  {spec.name}: {{{settings}}}"]
    lines.append("pipeline:")
    if spec.role == "ingress":
        return [*lines, *(f"  - {spec.name}.{k.name} -> ..." for k in spec.produced_kinds[:1])]
    if spec.role == "egress":
        return [*lines, *(f"  - ... -> {spec.name}.{k.name}" for k in spec.consumed_kinds[:1])]
    return [*lines, *(f"  - processing.*.{k.name} -> {spec.name}" for k in spec.consumed_kinds[:1])]
