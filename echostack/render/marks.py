"""Which findings belong to which node and which arrow, by the places that both carry."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from echostack.core.diagnostic import Diagnostic
from echostack.core.span import Provenance, Span
from echostack.graph.model import Edge, Graph, Node
from echostack.render.model import Mark

Marks = dict[str, tuple[Mark, ...]]


def mark_of(finding: Diagnostic) -> Mark:
    """The finding as a picture shows it; its file by name alone, since a picture leaves the machine it was made on."""
    span = finding.span
    place = f"{PurePath(span.file).name}:{span.line}:{span.column}" if span else ""
    return Mark(finding.code.id, finding.severity, finding.message, place)


def place_marks(
    graph: Graph, findings: Iterable[Diagnostic]
) -> tuple[Marks, dict[tuple[str, str, int], tuple[Mark, ...]], tuple[Mark, ...]]:
    """Marks by node id, marks by (source, target, rule) of an edge, and the findings that have no place here.

    An arrow is to blame when a finding points at its guard, at both its ends, or at the whole rule; otherwise
    the nodes that it points at are.
    """
    nodes: dict[str, list[Mark]] = {}
    edges: dict[tuple[str, str, int], list[Mark]] = {}
    rest: list[Mark] = []
    all_edges, all_nodes = graph.edges, tuple(graph.nodes.values())
    for finding in findings:
        mark, found = mark_of(finding), False
        for edge in all_edges:
            if _blames_edge(finding, edge):
                edges.setdefault((edge.source, edge.target, edge.rule), []).append(mark)
                found = True
        if not found:
            hit = [n for n in all_nodes if _blames_node(finding, n)]
            # The same rule seen through two imports: keep to the import that the finding came through.
            through = [n for n in hit if any(p.via == finding.via for p in n.places)]
            for node in through or hit:
                nodes.setdefault(node.id, []).append(mark)
                found = True
        if not found:
            rest.append(mark)
    return (
        {k: tuple(dict.fromkeys(v)) for k, v in nodes.items()},
        {k: tuple(dict.fromkeys(v)) for k, v in edges.items()},
        tuple(dict.fromkeys(rest)),
    )


def _blames_edge(finding: Diagnostic, edge: Edge) -> bool:
    spans = [s for s in (finding.span, *(label.span for label in finding.related)) if s is not None]
    if not spans or edge.source_place.via != finding.via:
        return False
    if edge.guard is not None and finding.span is not None and _inside(finding.span, edge.guard.span):
        return True
    source, target = edge.source_place.span, edge.target_place.span
    if any(_inside(source, s) and _inside(target, s) and s != source for s in spans):
        return True
    return any(_same(s, source) for s in spans) and any(_same(s, target) for s in spans)


def _blames_node(finding: Diagnostic, node: Node) -> bool:
    if finding.span is None:
        return False
    if node.settings is not None and _inside(finding.span, node.settings.span):
        return True
    return any(_same(finding.span, place.span) for place in _real(node.places))


def _real(places: Iterable[Provenance]) -> Iterable[Provenance]:
    return (p for p in places if p.span.line > 0)


def _same(one: Span, other: Span) -> bool:
    return one.file == other.file and (_inside(one, other) or _inside(other, one))


def _inside(inner: Span, outer: Span) -> bool:
    return (
        inner.file == outer.file
        and (outer.line, outer.column) <= (inner.line, inner.column)
        and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
    )
