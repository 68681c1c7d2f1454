"""What the checks share while they run: the graph, what its nodes turned out to be, and the routes so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from echostack.core.audio import AudioFormat
from echostack.core.diagnostic import Code, Diagnostic, Findings, Label, at, did_you_mean
from echostack.core.errors import EchoStackError
from echostack.core.kinds import KindSpec, Overflow, Payload
from echostack.core.payloads import BUILTIN
from echostack.core.span import Provenance, Span
from echostack.graph import Edge, Graph, Node, NodeRole
from echostack.language.guard import Guard
from echostack.registry import ConnectorSpec, Registry

Payloads = tuple[type[Payload], ...]
_SUGGESTIONS = 50


@dataclass(slots=True)
class Resolved:
    """A node with its connector. ``settings`` is None when they did not validate or the environment lacks some;
    ``presumed`` then holds what can be said without them, where only fields of the environment lack (see ``known``).
    ``ports`` is None where nothing tells them. ``spec`` is None for choices, patterns, playbooks and connectors that
    are not known."""

    node: Node
    spec: ConnectorSpec | None = None
    settings: Any = None
    missing_env: tuple[str, ...] = ()
    ports: tuple[str, ...] | None = None
    inserted: bool = False
    presumed: Any = None

    @property
    def known(self) -> Any:
        """The settings, or else what they are but for values that only the environment has; None where that fails."""
        return self.settings if self.settings is not None else self.presumed


@dataclass(slots=True)
class Route:
    """A CheckedEdge in the making. ``edge`` is the arrow it comes from, None for one that the compiler put in."""

    source: str
    target: str
    payloads: Payloads
    edge: Edge | None
    place: Provenance | None
    port: str = ""
    guard: Guard | None = None
    queue: int | None = None
    overflow: Overflow | None = None
    cycle: bool = False
    resample: AudioFormat | None = None
    pattern: str = ""
    rule: int = -1


@dataclass(slots=True)
class Work:
    """One run of the check. ``nodes`` keeps the graph's order; ``whole`` is False when parts of the file are missing
    from the graph, so that what it lacks says nothing."""

    graph: Graph
    registry: Registry
    findings: Findings
    env: Mapping[str, str]
    whole: bool = True
    nodes: dict[str, Resolved] = field(default_factory=dict)
    written: tuple[Edge, ...] = ()
    routes: list[Route] = field(default_factory=list)
    choice_of: dict[str, str] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)  # id() of written edges that made no route, and were reported
    _suggested: int = 0
    _specs: tuple[ConnectorSpec, ...] | None = None

    @classmethod
    def of(cls, graph: Graph, registry: Registry, findings: Findings, env: Mapping[str, str]) -> Work:
        work = cls(graph, registry, findings, env, whole=not findings.errors)
        work.nodes = {name: Resolved(node) for name, node in graph.nodes.items()}
        work.written = graph.edges
        for resolved in work.nodes.values():
            for member in resolved.node.members:
                work.choice_of[member] = resolved.node.id
        return work

    # -- reporting

    def report(
        self, code: Code, message: str, place: Provenance | Span | None, *, help: str = "", label: str = "",
        related: Iterable[Label] = (), notes: Iterable[str] = (),
    ) -> None:  # fmt: skip
        related, notes = tuple(related), tuple(notes)
        self.findings.add(at(code, message, place, help=help, label=label, related=related, notes=notes))

    def nearest(self, word: str, known: Iterable[str]) -> str:
        """ "did you mean 'x' or 'y'?", or nothing. Only so often: it would make a broken large file slow."""
        self._suggested += 1
        near = did_you_mean(word, known) if self._suggested <= _SUGGESTIONS else ()
        return f"did you mean {' or '.join(repr(n) for n in near)}?" if near else ""

    # -- nodes

    def end(self, node: str) -> str:
        """The node that an arrow to or from ``node`` really goes to: its choice, when it is a member of one."""
        return self.choice_of.get(node, node)

    def members(self, node: str) -> tuple[str, ...]:
        """A choice's members, or the node itself."""
        return self.nodes[node].node.members or (node,)

    def specs(self, node: str) -> tuple[ConnectorSpec, ...]:
        """The connectors behind ``node``, several for a choice; empty when one of them is not known."""
        found = [self.nodes[m].spec for m in self.members(node)]
        return tuple(s for s in found if s is not None) if all(found) else ()

    def known(self, node: str) -> bool:
        return bool(self.specs(node))

    def of_role(self, role: NodeRole) -> list[Resolved]:
        return [r for r in self.nodes.values() if r.node.role is role]

    def interface(self) -> tuple[frozenset[str], frozenset[str]]:
        """The nodes that the opened file's own interface leads to and from."""
        decl = self.graph.interface
        if decl is None:
            return frozenset(), frozenset()
        ends = [[self.end(text.split(":", 1)[0]) for text, _ in p.values()] for p in (decl.inputs, decl.outputs)]
        return frozenset(ends[0]), frozenset(ends[1])

    # -- the registry as a whole, only when something is wrong: it loads every connector

    def every_spec(self) -> tuple[ConnectorSpec, ...]:
        """Every connector that loads, by name."""
        if self._specs is None:
            found = []
            for name in self.registry.names():
                try:
                    spec = self.registry.get(name)
                except EchoStackError:  # one that does not load is no suggestion; using it is reported where it is used
                    continue
                if spec is not None:
                    found.append(spec)
            self._specs = tuple(found)
        return self._specs

    def every_kind(self) -> dict[str, KindSpec]:
        found = {p.__kind__.name: p.__kind__ for p in BUILTIN}
        for spec in self.every_spec():
            for payload in (*spec.consumes, *spec.produces):
                found.setdefault(payload.__kind__.name, payload.__kind__)
        return found


def kinds(payloads: Iterable[type[Payload]]) -> str:
    """``text, text.partial``; ``nothing`` for none."""
    return ", ".join(p.__kind__.name for p in payloads) or "nothing"


def both_ends(edge: Edge, source: str, target: str) -> tuple[Label, ...]:
    """A label on the source of an arrow whose target is under the caret."""
    return (Label(edge.source_place.span, source),) if source else ()


def whole_arrow(edge: Edge) -> Provenance:
    """The place of an arrow with both its ends, where they stand one after the other in one file."""
    first, second = edge.source_place, edge.target_place
    if first.via == second.via and first.span.file == second.span.file and first.span <= second.span:
        return Provenance(first.span.to(second.span), first.via)
    return second


__all__ = ["Diagnostic", "Payloads", "Resolved", "Route", "Work", "both_ends", "kinds", "whole_arrow"]


def reached(starts: Iterable[str], onward: Mapping[str, Iterable[str]], before: set[str] | None = None) -> set[str]:
    """``starts`` and everything that ``onward`` leads to from them. What was reached ``before`` is not walked again: it
    is added to, and given back."""
    found = set() if before is None else before
    todo = list(starts)
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo.extend(onward.get(node, ()))
    return found
