"""The beginning of a recording: its header, and the copies of the files that the call ran, without their secrets."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import structs

from echostack.core.span import Source
from echostack.language.data import EnvRef, Mapping_, Scalar, Sequence_, Value
from echostack.plan.model import Plan, PlanNode
from echostack.recording.copies import Copier
from echostack.recording.format import (
    GRAPH,
    MASK,
    VERSION,
    EdgeHead,
    FileHead,
    Header,
    NodeHead,
    QueueHead,
    ScopeHead,
)
from echostack.recording.redact import redact_settings, redact_text
from echostack.recording.secrets import WORTH_HIDING, leaves, secrets_in
from echostack.runtime.probe import CallView

_PACKAGES = ("echostack", "aiostream", "msgspec", "numpy", "pydantic", "soxr")
_SHIPPED = "<shipped>/"


def header_of(view: CallView, files: tuple[FileHead, ...], *, simulated: bool, redact: bool = False) -> Header:
    """Everything that is known before the first event."""
    plan = view.plan
    header = Header(
        echostack="recording",
        version=VERSION,
        session=view.session,
        seed=view.seed,
        simulated=simulated,
        redacted=redact,
        started=view.clock.wall(),
        graph=plan.name,
        hash=plan.hash,
        versions=dict(_versions()),
        files=files,
        nodes=tuple(node_head(node, plan) for node in plan.nodes.values()),
        edges=tuple(
            EdgeHead(
                e.id, e.source, e.target, tuple(p.__kind__.name for p in e.payloads), e.port, e.pattern,
                e.queue is not None, os.path.basename(e.place),
            )
            for e in plan.edges
        ),
        scopes=tuple(ScopeHead(s.id, s.name, s.nodes, s.egresses) for s in plan.scopes),
        queues=tuple(QueueHead(lane.edge, lane.bound, lane.overflow.value) for lane in view.lanes),
    )  # fmt: skip
    return redacted_header(header) if redact else header


def redacted_header(header: Header) -> Header:
    """The same header without the texts that people gave."""
    return structs.replace(
        header,
        redacted=True,
        session=redact_text(header.session),
        files=tuple(structs.replace(f, masked=True) for f in header.files),
        nodes=tuple(structs.replace(n, settings=redact_settings(n.settings, frozenset(n.kept))) for n in header.nodes),
    )


def copier_of(plan: Plan, secrets: Sequence[str], *, redact: bool = False) -> Copier:
    """What copies the plan's files."""
    models = {n.spec.name: n.spec.settings for n in plan.nodes.values() if n.spec is not None}
    return Copier(plan.checked.graph, models, secrets, redact=redact)


def write_graph(plan: Plan, folder: Path, copier: Copier) -> tuple[FileHead, ...]:
    """Copy the files of the graph into ``folder`` (the recording's), the opened one first. OSError."""
    documents = plan.checked.graph.documents
    files = []
    for document, place in zip(documents, _places([d.source for d in documents]), strict=True):
        copy = copier.copy(document)
        path = folder / GRAPH / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(copy.encode("utf-8", "surrogatepass"))
        text = document.source.text
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        files.append(FileHead(f"{GRAPH}/{place}", digest, copy != text))
    return tuple(files)


def secrets_of(plan: Plan) -> tuple[str, ...]:
    """Every secret of the call that is long enough to be looked for, longest first."""
    found = {s: None for n in plan.nodes.values() for s in secrets_in(n.settings)}
    for node in plan.nodes.values():
        written = plan.checked.nodes[node.id].node.settings
        for leaf in leaves(written, node.spec.settings) if written is not None and node.spec is not None else ():
            value = leaf.value.value if isinstance(leaf.value, Scalar) else leaf.value.default
            if leaf.secret and isinstance(value, (str, int, float)) and not isinstance(value, bool):
                found[str(value)] = None
    return tuple(sorted((s for s in found if len(s) >= WORTH_HIDING), key=lambda s: (-len(s), s)))


def node_head(node: PlanNode, plan: Plan) -> NodeHead:
    """What the header tells of one node."""
    spec, written = node.spec, plan.checked.nodes[node.id].node.settings
    settings: dict[str, Any] = {}
    kept: tuple[str, ...] = ()
    if written is not None:
        found = list(leaves(written, spec.settings if spec is not None else None))
        hidden = {id(leaf.value) for leaf in found if leaf.secret}
        settings = {key: _data(value, hidden) for key, value in written.items.items()}
        kept = tuple(dict.fromkeys(leaf.path for leaf in found if leaf.named))
    return NodeHead(
        node.id, spec.name if spec else "", spec.role if spec else "choice", spec.form.value if spec else "",
        node.source, node.scope, node.island, node.members, node.inserted, settings, kept,
    )  # fmt: skip


def _data(value: Value, hidden: set[int]) -> Any:
    """Settings as data: secrets masked, ``{env: NAME}`` as it stands."""
    match value:
        case Scalar(item):
            return MASK if id(value) in hidden else item
        case EnvRef(name, _, default):
            if default is None:
                return {"env": name}
            return {"env": name, "default": MASK if id(value) in hidden else default}
        case Sequence_(items):
            return [_data(item, hidden) for item in items]
        case Mapping_(items):
            return {key: _data(item, hidden) for key, item in items.items()}


def _places(sources: Sequence[Source]) -> list[str]:
    """Where each file lies in the recording, so that imports find one another as they did."""
    own = {s.file: Path(os.path.abspath(s.file)) for s in sources if not s.file.startswith("<")}
    base = Path(os.path.commonpath([p.parent for p in own.values()])) if own else Path()
    taken: list[str] = []
    for number, source in enumerate(sources):
        if source.file in own:
            place = own[source.file].relative_to(base).as_posix()
        elif source.file.startswith(_SHIPPED):
            place = str(PurePosixPath(source.file.removeprefix(_SHIPPED)))
        else:
            place = "graph.echo"
        taken.append(place if place not in taken else f"{number}/{place}")
    return taken


@lru_cache(maxsize=1)
def _versions() -> Mapping[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that is not installed
            continue
    return found
