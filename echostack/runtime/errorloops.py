"""Keeps error routes from feeding themselves: ``error.*.* -> alert -> speak`` must not report ``speak``'s failure to
``alert``, which would speak again, and fail again, without end.

Two rules, of which the first is decided once a plan. An error of a node that a consumer of errors leads to (along
edges, or along the errors of what it leads to) is not brought to that consumer. A consumer that itself fails on an
error is reported to the others, but never to one that has already failed on the same error.
"""

from __future__ import annotations

from collections import OrderedDict

import networkx as nx

from echostack.core.events import Event, EventPattern
from echostack.plan.model import ENGINE, Plan, PlanEdge

REMEMBERED = 1024
"""Errors whose chain of failed consumers is known at a time."""


class ErrorLoops:
    """What one plan's error routes may carry, and which errors of this session came from which."""

    def __init__(self, plan: Plan) -> None:
        self._chains: OrderedDict[int, frozenset[str]] = OrderedDict()
        routes = [
            (EventPattern.parse(e.pattern), e)
            for e in plan.edges
            if e.source == ENGINE and e.pattern.split(".")[0] in ("error", "*")
        ]
        self._consumers = {e.target for _, e in routes}
        graph: nx.DiGraph[str] = nx.DiGraph()
        choice = {member: n.id for n in plan.nodes.values() for member in n.members}
        graph.add_nodes_from(plan.nodes)
        graph.add_edges_from((e.source, e.target) for e in plan.edges if e.source != ENGINE)
        graph.add_edges_from((c, m) for m, c in choice.items())
        for node in plan.nodes.values():
            if node.id in self._consumers:
                continue  # a consumer's own failures are told apart one by one, by their chain
            for pattern, edge in routes:
                if pattern.parts[1] in ("*", node.source):
                    graph.add_edge(node.id, edge.target)
        self._beyond = {c: frozenset(nx.descendants(graph, c)) for c in self._consumers}

    def admits(self, edge: PlanEdge, node: str, cause: Event) -> bool:
        """Whether the error of ``node``, which came of ``cause``, may be brought to the consumer at ``edge``."""
        target = edge.target
        if target not in self._consumers:
            return True
        return target != node and node not in self._beyond[target] and target not in self._chains.get(cause.seq, ())

    def made(self, error: Event, node: str, cause: Event) -> None:
        """Remember that ``error`` of ``node`` came of ``cause``."""
        if not self._consumers:
            return
        self._chains[error.seq] = self._chains.get(cause.seq, frozenset()) | {node}
        while len(self._chains) > REMEMBERED:
            self._chains.popitem(last=False)
