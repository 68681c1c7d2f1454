"""One file in its place within the expanded graph: its namespace, its imports, and what overrides its settings.

A file imported twice has two frames and, in the graph, two sets of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from echostack.core.diagnostic import Findings, at, did_you_mean
from echostack.core.span import Provenance, Span
from echostack.graph.codes import (
    BAD_NAME,
    BAD_OVERRIDE,
    BAD_USE,
    IMPORT_CYCLE,
    IMPORT_DEPTH,
    NAME_TAKEN,
    TOO_LARGE,
)  # fmt: skip
from echostack.graph.endpoints import PATTERN_STAGES, PLAYBOOK, TRANSPORT_STAGES
from echostack.graph.files import Library
from echostack.language.data import Mapping_
from echostack.language.document import ConnectorDecl, Document, ImportDecl

MAX_DEPTH = 8
"""How deeply imports may be nested."""
MAX_FRAMES = 256
"""How many imports one graph may expand to, nested ones counted each time."""


@dataclass(slots=True)
class Frame:
    """``prefix`` stands before the names of its nodes (``speak/``, empty for the opened file); ``via`` is the chain
    of import sites, innermost first; ``overrides`` are settings by the name of a node of this file."""

    document: Document
    prefix: str = ""
    via: tuple[Span, ...] = ()
    overrides: Mapping[str, Mapping_] = field(default_factory=dict)
    chain: tuple[tuple[str, str], ...] = ()  # (identity, name of the file), the opened one first
    imports: dict[str, Frame | None] = field(default_factory=dict)  # None: could not be expanded, and was reported
    names: frozenset[str] = frozenset()

    @property
    def group(self) -> str:
        return self.prefix.removesuffix("/")

    def at(self, span: Span) -> Provenance:
        return Provenance(span, self.via)

    def declaration(self, name: str) -> ConnectorDecl | None:
        return self.document.connectors.get(name)


def open_frames(document: Document, identity: str, library: Library, findings: Findings) -> Frame:
    """The opened file's frame, with those of everything that it imports under it."""
    count = [0]
    root = Frame(document, chain=((identity, document.source.file),), names=_names(document))
    _open_imports(root, library, findings, count)
    return root


def frames(root: Frame) -> list[Frame]:
    """``root`` and every frame below it, importers before the imported."""
    found, todo = [], [root]
    while todo:
        frame = todo.pop(0)
        found.append(frame)
        todo[:0] = [child for child in frame.imports.values() if child is not None]
    return found


def _open_imports(frame: Frame, library: Library, findings: Findings, count: list[int]) -> None:
    _check_names(frame, findings)
    # All of them stand as "not opened" first, so that whoever asks for one that never came finds that out.
    frame.imports.update(dict.fromkeys(frame.document.imports))
    for name, decl in frame.document.imports.items():
        place = frame.at(decl.path_span)
        if name in frame.document.connectors:
            findings.add(
                at(NAME_TAKEN, f"{name!r} stands for an import and for a connector", frame.at(decl.span),
                   help="give one of the two another name")
            )  # fmt: skip
            continue
        located = library.locate(decl.path, frame.document.source.file, place)
        if not isinstance(located, tuple):
            findings.add(located)
            continue
        identity, source = located
        before = [i for i, _ in frame.chain]
        if identity in before:
            files = [f for _, f in frame.chain[before.index(identity) :]]
            findings.add(
                at(IMPORT_CYCLE, f"files import each other: {' -> '.join([*files, files[0]])}", place,
                   help="move what both need into a third file")
            )  # fmt: skip
            continue
        if len(frame.chain) > MAX_DEPTH:
            findings.add(
                at(IMPORT_DEPTH, f"imports are nested more than {MAX_DEPTH} deep", place,
                   help="import the file that is needed from the opened file itself")
            )  # fmt: skip
            continue
        count[0] += 1
        if count[0] > MAX_FRAMES:
            findings.add(
                at(TOO_LARGE, f"the graph expands to more than {MAX_FRAMES} imports", place,
                   help="import a file once and connect it several times")
            )  # fmt: skip
            return
        document = library.read(identity, source, place)
        if document is None:
            continue
        child = Frame(
            document,
            prefix=f"{frame.prefix}{name}/",
            via=(decl.span, *frame.via),
            chain=(*frame.chain, (identity, document.source.file)),
            names=_names(document),
        )
        child.overrides = _overrides(child, decl, findings)
        frame.imports[name] = child
        _open_imports(child, library, findings, count)


def _names(document: Document) -> frozenset[str]:
    """Every name that a file declares or uses for a node or a transport."""
    used = {
        ".".join(member.path[:2])
        for rule in document.pipeline
        for stage in rule.stages
        for choice in stage.choices
        for member in choice.members
        if len(member.path) <= 2 or member.path[0] in TRANSPORT_STAGES
    }
    return frozenset(used - set(document.imports)) | frozenset(document.connectors)


def _overrides(child: Frame, decl: ImportDecl, findings: Findings) -> dict[str, Mapping_]:
    """The settings that ``decl`` overrides in the file that it imports, by the name of a node of that file."""
    found: dict[str, Mapping_] = {}
    if decl.settings is None:
        return found
    for name, value in decl.settings.items.items():
        # The place is in the importing file, so its chain is one shorter than the imported file's.
        place = Provenance(decl.settings.keys.get(name, decl.span), child.via[1:])
        if not isinstance(value, Mapping_):
            findings.add(
                at(BAD_OVERRIDE, f"the override of {name!r} is not a mapping of settings", place,
                   help=f"write it as {name}: {{setting: value}}")
            )  # fmt: skip
        elif name not in child.names:
            near = did_you_mean(name, child.names)
            findings.add(
                at(BAD_OVERRIDE, f"{child.document.source.file} has no node {name!r} to override", place,
                   help=f"did you mean {' or '.join(repr(n) for n in near)}?" if near
                   else "an override names a node as the imported file does")
            )  # fmt: skip
        else:
            found[name] = value
    return found


def _check_names(frame: Frame, findings: Findings) -> None:
    """The names under `connectors:`, and what their `use:` says."""
    declared = frame.document.connectors
    for name, decl in declared.items():
        parts, use = name.split("."), decl.use.split(".")
        stage = parts[0] if parts[0] in TRANSPORT_STAGES else ""
        bad = len(parts) > 2 or not all(p.isidentifier() for p in parts) or parts[0] in PATTERN_STAGES
        if bad or name in TRANSPORT_STAGES or parts[1:] == [PLAYBOOK]:
            findings.add(
                at(BAD_NAME, f"{name!r} cannot be the name of a connector", frame.at(decl.span),
                   help="a name is vendor.role, ingress.<transport>, egress.<transport>, or one word with `use:`")
            )  # fmt: skip
        elif decl.use != name and decl.use in declared and declared[decl.use].use != decl.use:
            real = declared[decl.use].use
            findings.add(
                at(BAD_USE, f"{name!r} uses {decl.use!r}, which is an alias itself", frame.at(decl.use_span),
                   notes=("an alias names a connector, so that its settings stand in one place",),
                   help=f"write use: {real}")
            )  # fmt: skip
        elif (use[0] if use[0] in TRANSPORT_STAGES else "") != stage:
            wanted = f"{use[0]}.{parts[-1]}" if use[0] in TRANSPORT_STAGES else f"a name without {stage}."
            findings.add(
                at(BAD_USE, f"{name!r} cannot stand for {decl.use!r}", frame.at(decl.use_span),
                   help=f"a transport's alias is named like a transport: declare {wanted}")
            )  # fmt: skip


def merge(base: Mapping_ | None, over: Mapping_ | None) -> Mapping_:
    """``over`` on top of ``base``, key by key; every key keeps the place that it was written at."""
    if base is None or over is None:
        return base or over or Mapping_({}, {}, Span("", 0, 0, 0, 0))
    return replace(base, items={**base.items, **over.items}, keys={**base.keys, **over.keys})
