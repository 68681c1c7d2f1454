"""From a Source to a Document: every section read, every finding of the file collected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.span import Source, Span
from echostack.language import codes
from echostack.language.data import Mapping_
from echostack.language.document import (
    BargeInDecl,
    ConnectorDecl,
    Document,
    ImportDecl,
    InterfaceDecl,
    NodePolicy,
    PlaybookDecl,
    SpeculateDecl,
    TurnsDecl,
)
from echostack.language.json_tree import looks_like_json, read_json
from echostack.language.records import RecordValue
from echostack.language.sections import SECTIONS
from echostack.language.shapes import Found
from echostack.language.source import MAX_BYTES, Places
from echostack.language.tree import MappingNode, Node, ScalarNode
from echostack.language.yaml_read import read_yaml
from echostack.language.yaml_tree import kind_of, shorten


class _Bag(Findings):
    """Findings of one file, told apart in constant time: a hostile file can hold a hundred thousand."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[Diagnostic] = set()

    def add(self, diagnostic: Diagnostic) -> None:
        if diagnostic not in self._seen:
            self._seen.add(diagnostic)
            self.items.append(diagnostic)


def is_json(source: Source) -> bool:
    """Whether the file's name says that it is JSON."""
    return source.file.lower().endswith(".json")


def read_tree(source: Source, findings: Findings) -> Node | None:
    """The document's tree: JSON for a file called .json and for text that is JSON, YAML for everything else."""
    places = Places(source)
    if is_json(source):
        return read_json(places, findings)
    if looks_like_json(source.text):
        trial = _Bag()
        root = read_json(places, trial)
        if not trial.errors:
            for diagnostic in trial.items:
                findings.add(diagnostic)
            return root
    return read_yaml(places, findings)


def read_document(source: Source, findings: Findings) -> Document:
    """The document that ``source`` says. Never raises for what a file may hold.

    Everything that is wrong is added to ``findings`` and left out of the document; only a rule whose meaning is
    beyond doubt (``=>`` for ``->``) is mended and kept, so that the checks after this one see the graph that was
    meant. ``findings.sources`` gets the source.
    """
    findings.sources[source.file] = source
    bag = _Bag()
    document = _read(source, bag)
    known = set(findings.items)
    findings.items.extend(d for d in bag.items if d not in known)
    return document


def _read(source: Source, findings: Findings) -> Document:
    return document_of(source, read_root(source, findings), findings)


def read_root(source: Source, findings: Findings) -> Node | None:
    """The tree of ``source``; None, with findings, when there is nothing to be read in it."""
    start = Span(source.file, 1, 1, 1, 1)
    if len(source.text) > MAX_BYTES:
        findings.add(Diagnostic(codes.TOO_LARGE, f"the text is longer than {MAX_BYTES:,} characters", start))
        return None
    root = read_tree(source, findings)
    if root is None or (isinstance(root, ScalarNode) and root.value is None):
        if not findings.errors:
            help_ = "write a pipeline: `pipeline:`, and under it rules such as `- a.b -> c.d`"
            findings.add(Diagnostic(codes.EMPTY_FILE, "the file is empty", start, help=help_))
        return None
    return root


def document_of(source: Source, root: Node | None, findings: Findings) -> Document:
    """The document that the tree of ``source`` says; an empty one for None."""
    if root is None:
        return Document(source)
    if not isinstance(root, MappingNode):
        message = f"the file is a {kind_of(root)}, not a mapping of sections"
        help_ = "put the rules under `pipeline:`"
        findings.add(Diagnostic(codes.NOT_A_MAPPING, message, root.span, help=help_))
        return Document(source, span=root.span)
    if is_scenarios(root):
        findings.add(_scenarios_here(root))
        return Document(source, span=root.span)
    broken = bool(findings.errors)
    read = SECTIONS.read(root, "the file", findings)
    if read is None:
        return Document(source, span=root.span)
    _need_pipeline(root, read, findings, unreadable=broken)
    return _document(source, root, read, findings)


def is_scenarios(root: Node | None) -> bool:
    """Whether a file is one of scenarios: it names a graph, and has no rules of its own."""
    return (
        isinstance(root, MappingNode)
        and isinstance(root.get("graph"), ScalarNode)
        and root.get("pipeline") is None
        and root.get("interface") is None
    )


def _scenarios_here(root: MappingNode) -> Diagnostic:
    graph = root.get("graph")
    assert isinstance(graph, ScalarNode)
    return Diagnostic(
        codes.SCENARIO_FILE,
        f"this is a file of scenarios for `{shorten(graph.text)}`, not a graph",
        graph.span,
        help=f"name `{shorten(graph.text)}` to use the graph; `echostack test` runs the scenarios",
    )


def _need_pipeline(root: MappingNode, read: RecordValue, findings: Findings, *, unreadable: bool) -> None:
    node = root.get("pipeline")
    if node is None:
        if root.get("interface") is not None:
            return  # made to be imported: the rules are the importer's
        if unreadable or root.get("pipelines") is not None or root.get("rules") is not None:
            return  # what is wrong has been said, and would be said twice
        first = root.pairs[0].key.span if root.pairs else root.span
        message, help_ = "the file has no pipeline", "write `pipeline:`, and under it rules such as `- a.b -> c.d`"
        findings.add(Diagnostic(codes.NO_PIPELINE, message, first, help=help_))
    elif not node.broken and "pipeline" in read.found and not getattr(node, "items", True):
        findings.add(
            Diagnostic(codes.EMPTY_PIPELINE, "the pipeline has no rules", node.span, help="write at least one rule")
        )


def _document(source: Source, root: MappingNode, read: RecordValue, findings: Findings) -> Document:
    budget = read.get("budget")
    return Document(
        source=source,
        version=read.get("echostack", 1),
        name=read.get("name", ""),
        description=read.get("description", ""),
        connectors=_connectors(read.get("connectors", {}), findings),
        playbooks={
            name: PlaybookDecl(name, f.value.get("mode", "exclusive"), f.value.rest, f.key_span)
            for name, f in read.get("playbooks", {}).items()
        },
        imports={name: i for name, f in read.get("imports", {}).items() if (i := _import(name, f)) is not None},
        interface=_interface(read.found.get("interface")),
        pipeline=read.get("pipeline", ()),
        barge_in=_barge_in(read.found.get("barge_in")),
        turns=_turns(read.found.get("turns")),
        speculate=_speculate(read.found.get("speculate")),
        voice_to_voice=budget.get("voice_to_voice") if budget else None,
        voice_to_voice_span=budget.span_of("voice_to_voice") if budget else None,
        tests=read.get("tests", ()),
        span=root.span,
    )


def _connectors(found: Mapping[str, Found], findings: Findings) -> dict[str, ConnectorDecl]:
    declared: dict[str, ConnectorDecl] = {}
    for name, entry in found.items():
        value: RecordValue = entry.value
        use = value.get("use")
        if use is None and "." not in name:
            if "use" not in value.rest.items and not _mentions_use(value, findings):
                findings.add(
                    Diagnostic(
                        codes.NEEDS_USE,
                        f"`{name}` does not say which connector it is",
                        entry.key_span,
                        notes=("A name of your own needs `use:`; only a name like `vendor.role` speaks for itself.",),
                        help=f"write `{name}: {{use: vendor.role}}`",
                    )
                )
            continue
        defaults = NodePolicy()
        policy = NodePolicy(
            timeout=value.get("timeout"),
            attempts=value.get("attempts", defaults.attempts),
            backoff=value.get("backoff", defaults.backoff),
            cooldown=value.get("cooldown", defaults.cooldown),
            given=tuple(k for k in ("timeout", "attempts", "backoff", "cooldown") if value.get(k) is not None),
        )
        use_span = value.span_of("use") or entry.key_span
        declared[name] = ConnectorDecl(name, use or name, value.rest, policy, entry.key_span, use_span)
    return declared


def _mentions_use(value: RecordValue, findings: Findings) -> bool:
    """Whether a wrong ``use:`` of this entry has been reported already."""
    here = value.span
    inside = (d.span for d in findings.items if d.span is not None and "`use`" in d.message)
    return any((here.line, here.column) <= (s.line, s.column) <= (here.end_line, here.end_column) for s in inside)


def _import(name: str, found: Found) -> ImportDecl | None:
    value: RecordValue = found.value
    path = value.get("path")
    if path is None:
        return None
    settings = value.found.get("settings")
    overrides: Mapping_ | None = None
    if settings is not None:
        entries: dict[str, Found] = settings.value
        overrides = Mapping_(
            {k: f.value.rest for k, f in entries.items()}, {k: f.key_span for k, f in entries.items()}, settings.span
        )
    return ImportDecl(name, path, overrides, found.key_span, value.span_of("path") or found.span)


def _interface(found: Found | None) -> InterfaceDecl | None:
    if found is None:
        return None
    sides: dict[str, dict[str, tuple[str, Span]]] = {}
    for side in ("in", "out"):
        entries: dict[str, Found] = found.value.get(side, {})
        # One node alone is the port that is called like its side: `speak:in`.
        sides[side] = {name or side: (f.value, f.span) for name, f in entries.items()}
    return InterfaceDecl(sides["in"], sides["out"], found.span)


def _barge_in(found: Found | None) -> BargeInDecl:
    if found is None:
        return BargeInDecl()
    if isinstance(found.value, bool):
        return BargeInDecl(enabled=found.value, span=found.span)
    value: RecordValue = found.value
    keys = ("on", "min_speech", "min_words", "resume_after", "backchannels", "vad")
    given: dict[str, Any] = {k: value.get(k) for k in keys if k in value.found}
    return BargeInDecl(**given, span=found.span, on_span=value.span_of("on"))


def _turns(found: Found | None) -> TurnsDecl:
    if found is None:
        return TurnsDecl()
    given: dict[str, Any] = {k: found.value.get(k) for k in ("end_by", "silence") if k in found.value.found}
    return TurnsDecl(**given, span=found.span)


def _speculate(found: Found | None) -> SpeculateDecl:
    if found is None:
        return SpeculateDecl()
    if isinstance(found.value, str):
        return SpeculateDecl("" if found.value == "off" else found.value, span=found.span)
    given: dict[str, Any] = {k: found.value.get(k) for k in ("on", "stable_for") if k in found.value.found}
    return SpeculateDecl(**given, span=found.span)
