"""Lowers a checked graph: which nodes fuse, where queues stand, what each carries, and who is in which scope.

A queue stands only before a node that does I/O or is slow, or where a rule asks for one. Everything else is a
synchronous call, because a boundary costs ten to a hundred times a call (FACTS).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import networkx as nx

from echostack.checks import latency_path
from echostack.checks.model import SLOW_MS, CheckedEdge, CheckedGraph, CheckedNode
from echostack.core.kinds import Overflow
from echostack.language.document import NodePolicy
from echostack.language.guard import Else
from echostack.plan.model import ENGINE, Island, Plan, PlanEdge, PlanNode, QueuePlan, ScopePlan, SpeculatePlan
from echostack.registry import Form


def lower(checked: CheckedGraph) -> Plan:
    """The plan of a checked graph. Deterministic: the same graph gives the same plan, to the order of its parts."""
    choices = {member: n.id for n in checked.nodes.values() for member in n.members}
    scopes = {node: scope.id for scope in checked.scopes for node in scope.nodes}
    for member, choice in choices.items():
        scopes.setdefault(member, scopes.get(choice, 0))
    edges = tuple(_edge(e, checked, choices, scopes) for e in _with_siblings(checked.edges))
    islands = _islands(checked, choices, edges)
    island_of = {node: island.id for island in islands for node in island.nodes}
    nodes = {n.id: _node(n, checked, choices, scopes, island_of) for n in checked.nodes.values()}
    graph = checked.graph
    return Plan(
        name=graph.name,
        hash=_hash(checked),
        nodes=nodes,
        edges=edges,
        islands=islands,
        scopes=tuple(ScopePlan(s.id, s.name, s.nodes, s.egresses) for s in checked.scopes),
        barge_in=graph.barge_in,
        barge_in_on=checked.barge_in_on,
        turns=graph.turns,
        voice_to_voice=graph.voice_to_voice,
        latency=latency_path(checked),
        checked=checked,
        speculate=_speculate(checked),
    )


def fuses(node: CheckedNode, choices: Mapping[str, str]) -> bool:
    """Whether a node's code is called in place instead of by a task of its own."""
    spec = node.spec
    if spec is None or spec.form is not Form.SYNC or node.id in choices:
        return False
    # An effect is begun once for its key and then left alone, which takes a driver.
    return spec.blocking_ms < SLOW_MS and not spec.acts(node.known)


def _node(
    node: CheckedNode,
    checked: CheckedGraph,
    choices: Mapping[str, str],
    scopes: Mapping[str, int],
    islands: Mapping[str, int],
) -> PlanNode:
    # A choice speaks through its members; what it has to say itself (all of them failed) comes from its first.
    named = checked.nodes[node.members[0]] if node.members else node
    return PlanNode(
        id=node.id,
        source=named.node.source or (named.spec.vendor if named.spec else named.id),
        spec=node.spec,
        settings=node.settings,
        policy=_policy(node),
        scope=scopes.get(node.id, 0),
        island=islands.get(node.id, -1),
        members=node.members,
        choice=choices.get(node.id, ""),
        inserted=node.inserted,
    )


def _policy(node: CheckedNode) -> NodePolicy:
    """What the file says of the node; of what it says nothing, what its connector declares."""
    policy, spec = node.node.policy, node.spec
    if spec is None:
        return policy
    attempts = policy.attempts if "attempts" in policy.given else spec.attempts
    timeout = policy.timeout if "timeout" in policy.given else spec.timeout or None
    return replace(policy, attempts=attempts, timeout=timeout)


def _edge(
    item: tuple[CheckedEdge, tuple[str, ...]],
    checked: CheckedGraph,
    choices: Mapping[str, str],
    scopes: Mapping[str, int],
) -> PlanEdge:
    edge, siblings = item
    target = checked.nodes[edge.target]
    inside, outside = scopes.get(edge.target, 0), scopes.get(edge.source, 0)
    return PlanEdge(
        id=edge.id,
        source=edge.source,
        target=edge.target,
        payloads=edge.payloads,
        port=edge.port,
        guard=edge.guard,
        queue=_queue(edge, target, choices),
        resample=edge.resample,
        siblings=siblings,
        pattern=edge.pattern if edge.source == ENGINE else "",
        enters=inside if inside and inside != outside else 0,
        place=str(edge.place.span) if edge.place else "",
    )


def _queue(edge: CheckedEdge, target: CheckedNode, choices: Mapping[str, str]) -> QueuePlan | None:
    asked = edge.queue is not None or edge.overflow is not None
    if fuses(target, choices) and not asked:
        return None
    kinds = [p.__kind__ for p in edge.payloads]
    # An edge of several kinds keeps the strictest: what may not be lost decides for what may.
    strict = [k for k in kinds if k.overflow is Overflow.BLOCK] or kinds
    bound = edge.queue or min((k.queue for k in strict), default=64)
    overflow = edge.overflow or (strict[0].overflow if strict else Overflow.BLOCK)
    control = bool(kinds) and all(k.control for k in kinds)
    return QueuePlan(bound, overflow, control, _why(edge, target, asked))


def _why(edge: CheckedEdge, target: CheckedNode, asked: bool) -> str:
    if asked:
        return "the rule asks for it"
    spec = target.spec
    if spec is None:
        return f"{edge.target} waits for the member that answers"
    reasons = {
        Form.SYNC: f"takes {spec.blocking_ms:g} ms a call" if spec.blocking_ms >= SLOW_MS else "acts, once for its key",
        Form.ASYNC: "waits for its answer",
        Form.GENERATOR: "answers piece by piece",
        Form.STREAM: "runs as long as the call",
        Form.SINK: "plays at the pace of speech",
        Form.SOURCE: "is an ingress",
    }
    return f"{edge.target} {reasons[spec.form]}"


def _with_siblings(edges: Iterable[CheckedEdge]) -> list[tuple[CheckedEdge, tuple[str, ...]]]:
    """Each edge with the guarded siblings of its ``else``: same source, port and pattern, a guard of their own."""
    edges = list(edges)
    guarded: dict[tuple[str, str, str], list[CheckedEdge]] = {}
    for edge in edges:
        if edge.guard is not None and not isinstance(edge.guard, Else):
            guarded.setdefault(_family(edge), []).append(edge)
    return [(e, tuple(g.id for g in guarded.get(_family(e), ())) if isinstance(e.guard, Else) else ()) for e in edges]


def _family(edge: CheckedEdge) -> tuple[str, str, str]:
    return edge.source, edge.port, edge.pattern


def _islands(checked: CheckedGraph, choices: Mapping[str, str], edges: tuple[PlanEdge, ...]) -> tuple[Island, ...]:
    fused = [n.id for n in checked.nodes.values() if fuses(n, choices)]
    inside = set(fused)
    together: nx.DiGraph[str] = nx.DiGraph()
    together.add_nodes_from(fused)
    for edge in edges:
        if edge.source in inside and edge.target in inside and edge.queue is None:
            together.add_edge(edge.source, edge.target)
    rank = {node: at for at, node in enumerate(fused)}
    found = sorted(nx.weakly_connected_components(together), key=lambda c: min(rank[n] for n in c))
    fed = {e.target for e in edges if e.target in inside and (e.queue is not None or e.source not in inside)}
    islands = []
    for number, component in enumerate(found):
        order = _topological(together.subgraph(component), rank)
        islands.append(Island(number, order, tuple(n for n in order if n in fed)))
    return tuple(islands)


def _topological(part: nx.DiGraph[str], rank: Mapping[str, int]) -> tuple[str, ...]:
    """Topological order, the file's order among equals; a cycle on purpose keeps the file's order."""
    if nx.is_directed_acyclic_graph(part):
        return tuple(nx.lexicographical_topological_sort(part, key=lambda n: rank[n]))
    return tuple(sorted(part, key=lambda n: rank[n]))


def _speculate(checked: CheckedGraph) -> SpeculatePlan | None:
    found = checked.speculation
    if found is None:
        return None
    return SpeculatePlan(found.on, found.stable_for, found.ears, found.models, found.synthesisers, found.passed)


def _hash(checked: CheckedGraph) -> str:
    digest = hashlib.sha256()
    for document in checked.graph.documents:
        digest.update(document.source.text.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()
