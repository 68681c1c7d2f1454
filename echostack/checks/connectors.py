"""Every node finds its connector in the registry; declared ones that nobody uses are named."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Final

from echostack.checks.codes import (
    BROKEN_CONNECTOR,
    NO_PLAYBOOKS_YET,
    UNKNOWN_CONNECTOR,
    UNKNOWN_PLAYBOOK,
    UNUSED_CONNECTOR,
)
from echostack.checks.settings import validate
from echostack.checks.work import Resolved, Work
from echostack.core.errors import EchoStackError
from echostack.core.span import Provenance
from echostack.graph import NodeRole
from echostack.registry import ConnectorSpec

_BRANDS: Final = {"claude": "anthropic", "mic": "microphone", "speaker": "microphone", "moonshine": "embedded",
                  "piper": "embedded"}  # fmt: skip
"""Vendors of connector names whose extra goes by another name."""


def resolve(work: Work) -> None:
    """Give every node its spec and its validated settings, as far as they can be had."""
    for resolved in work.nodes.values():
        if resolved.node.use:
            equip(work, resolved)


def equip(work: Work, resolved: Resolved) -> None:
    """One node's spec, settings and ports."""
    node = resolved.node
    resolved.spec = find(work, node.use, node.place)
    if resolved.spec is not None:
        validate(work, resolved)


def find(work: Work, name: str, place: Provenance | None) -> ConnectorSpec | None:
    """The spec of ``name``; None when there is none or it does not load, which has then been reported."""
    try:
        spec = work.registry.get(name)
    except EchoStackError as error:
        work.report(
            BROKEN_CONNECTOR, str(error), place,
            help="mend or reinstall the package that provides it",
        )  # fmt: skip
        return None
    if spec is None:
        role, _, transport = name.partition(".")
        if role in ("ingress", "egress"):
            message = f"there is no transport {transport!r} with an {role}"
            known = [n.removeprefix(f"{role}.") for n in work.registry.names() if n.startswith(f"{role}.")]
            near = work.nearest(transport, known)
        else:
            message, known = f"there is no connector {name!r}", []
            near = work.nearest(name, work.registry.names())
        work.report(UNKNOWN_CONNECTOR, message, place, help=near or _where_from(name, known))
    return spec


def unused(work: Work, taken: str) -> None:
    """A warning for every declared connector that no rule names. ``taken`` is one that the compiler uses."""
    if not work.whole:
        return
    for name, place in work.graph.declared.items():
        if name not in work.nodes and name != taken:
            work.report(
                UNUSED_CONNECTOR, f"{name!r} is declared, and no rule uses it", place,
                help="name it in a rule, or remove it",
            )  # fmt: skip


def playbooks(work: Work) -> None:
    """Playbooks must be declared; and that they cannot run yet is said for each, so that none is left out silently."""
    for resolved in work.of_role(NodeRole.PLAYBOOK):
        if resolved.node.playbook is None:
            declared = [f"{p}.playbook" for d in work.graph.documents for p in d.playbooks]
            name = resolved.node.id
            work.report(
                UNKNOWN_PLAYBOOK, f"{name!r} names no entry of `playbooks:`", resolved.node.place,
                help=work.nearest(name, declared) or f"declare it: playbooks: {{{resolved.node.source}: {{}}}}",
            )  # fmt: skip
    for document in work.graph.documents:
        for playbook in document.playbooks.values():
            work.report(
                NO_PLAYBOOKS_YET, f"the playbook {playbook.name!r} cannot run yet", playbook.span,
                notes=("this version of EchoStack reads playbooks and checks their names, but does not run them",),
                help="leave it out, with the rules that end in it",
            )  # fmt: skip


def _where_from(name: str, known: list[str]) -> str:
    vendor, _, second = name.partition(".")
    if vendor in ("ingress", "egress"):
        vendor = second
    extra = _BRANDS.get(vendor, vendor)
    if extra in _extras():
        return (
            f"the extra {extra!r} holds what {vendor} needs: pip install 'echostack[{extra}]'; or name the module that "
            f"declares {name} with --plugin"
        )
    if known:
        return f"there are {', '.join(known)}; --plugin names a module that declares more"
    return "`echostack connectors` lists what there is; --plugin names a module that declares more"


@cache
def _extras() -> frozenset[str]:
    """The extras that can be installed; read once, because reading them takes a millisecond."""
    try:
        return frozenset(metadata.metadata("echostack").get_all("Provides-Extra") or ())
    except metadata.PackageNotFoundError:
        return frozenset()
