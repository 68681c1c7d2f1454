"""The latency path: from the end of the caller's words to the first sample of the reply, stage by stage."""

from __future__ import annotations

import networkx as nx

from echostack.check.model import CheckedGraph
from echostack.core.payloads import AudioFrame
from echostack.registry import Form


def latency_path(checked: CheckedGraph) -> tuple[tuple[str, float, float], ...]:
    """The slowest way from an ingress of the caller's audio to an audio egress, as (node, p50 ms, p95 ms).

    A choice counts as its slowest member. Empty when no such way exists. Cycles are cut at their first repetition.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    for edge in checked.edges:
        graph.add_edge(edge.source, edge.target)
    starts = [
        n.id for n in checked.nodes.values()
        if n.spec is not None and n.spec.form is Form.SOURCE and AudioFrame in n.spec.produces and n.id in graph
    ]  # fmt: skip
    ends = [n.id for n in checked.nodes.values() if n.spec is not None and n.spec.form is Form.SINK and n.id in graph]
    if not starts or not ends:
        return ()
    if not nx.is_directed_acyclic_graph(graph):
        graph = nx.DiGraph(nx.bfs_edges(graph, starts[0]))
    best: dict[str, tuple[float, tuple[str, ...]]] = {s: (_costs(checked, s)[0], (s,)) for s in starts if s in graph}
    for node in nx.topological_sort(graph):
        if node not in best:
            continue
        cost, path = best[node]
        for onward in graph.successors(node):
            there = cost + _costs(checked, onward)[0]
            if onward not in best or there > best[onward][0]:
                best[onward] = (there, (*path, onward))
    reached = [best[e] for e in ends if e in best]
    if not reached:
        return ()
    path = max(reached, key=lambda b: b[0])[1]
    return tuple((node, *_costs(checked, node)) for node in path)


def _costs(checked: CheckedGraph, node: str) -> tuple[float, float]:
    found = checked.nodes.get(node)
    if found is None:
        return 0.0, 0.0
    if found.spec is not None:
        return found.spec.latency.p50, found.spec.latency.p95
    members = [_costs(checked, m) for m in found.members]
    return max((m[0] for m in members), default=0.0), max((m[1] for m in members), default=0.0)
