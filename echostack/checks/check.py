"""`check`: the graph against the registry. Every check runs, so that every finding is there at once."""

from __future__ import annotations

from collections.abc import Mapping

from echostack.checks import (
    audio,
    barge_in,
    choices,
    connectors,
    cycles,
    guards,
    latency,
    queues,
    reach,
    routes,
    speculation,
)  # fmt: skip
from echostack.checks.codes import UNKNOWN_TURN_END
from echostack.checks.model import CheckedEdge, CheckedGraph, CheckedNode
from echostack.checks.scenarios import check_scenarios
from echostack.checks.work import Work
from echostack.core.diagnostic import Findings
from echostack.graph import Graph, NodeRole
from echostack.registry import Registry

_ENDED_BY = ("recogniser", "silence")


def check(graph: Graph, registry: Registry, findings: Findings, *, env: Mapping[str, str]) -> CheckedGraph | None:
    """``graph`` with its connectors, kinds and scopes; None when ``findings`` holds an error, earlier stages' too.

    ``env`` gives the values of `{env: NAME}` settings; a name that it lacks is no error here (see ``environment``).
    Reads nothing but the registry, and needs no network and no vendor's SDK.
    """
    work = Work.of(graph, registry, findings, env)
    connectors.resolve(work)
    connectors.playbooks(work)
    routes.connect(work)
    guards.check(work)
    choices.check(work)
    queues.unique(work)
    suspends = barge_in.arrange(work)
    barge_in.long_enough(work, suspends)
    audio.convert(work)
    cycles.check(work)
    reach.check(work)
    queues.check(work)
    _turns(work)
    connectors.unused(work, graph.barge_in.vad if graph.barge_in.vad in work.nodes else "")
    latency.check(work)
    guessing = speculation.check(work)
    if findings.errors:
        return None
    scopes = (barge_in.scope(work),) if suspends else ()
    checked = CheckedGraph(
        graph, _nodes(work), _edges(work), scopes, suspends, tuple(findings.warnings), speculation=guessing
    )  # fmt: skip
    check_scenarios(checked, graph.scenarios, findings, registry)
    return None if findings.errors else checked


def _turns(work: Work) -> None:
    turns = work.graph.turns
    if turns.end_by not in _ENDED_BY and turns.end_by not in work.nodes and work.whole:
        nodes = [n for n, r in work.nodes.items() if r.node.role is NodeRole.CONNECTOR]
        work.report(
            UNKNOWN_TURN_END, f"`turns.end_by` names {turns.end_by!r}, which is no node of this graph", turns.span,
            help=work.nearest(turns.end_by, [*nodes, *_ENDED_BY])
            or "it takes `recogniser`, `silence`, or the name of a node",
        )  # fmt: skip


def _nodes(work: Work) -> dict[str, CheckedNode]:
    return {
        name: CheckedNode(name, r.node, r.spec, r.settings, r.missing_env, r.node.members, r.inserted, r.presumed)
        for name, r in work.nodes.items()
        if r.node.role not in (NodeRole.PATTERN, NodeRole.PLAYBOOK)
    }


def _edges(work: Work) -> tuple[CheckedEdge, ...]:
    edges = []
    count: dict[str, int] = {}
    for r in work.routes:
        start = f"{r.source}:{r.port}" if r.port else r.source
        name = f"{start} -> {r.target}"
        count[name] = count.get(name, 0) + 1
        identity = name if count[name] == 1 else f"{name} #{count[name]}"
        edges.append(
            CheckedEdge(
                identity,
                r.source,
                r.target,
                r.payloads,
                r.place,
                r.port,
                r.guard,
                r.queue,
                r.overflow,
                r.resample,
                r.pattern,
                r.rule,
                r.cycle,
            )
        )
    return tuple(edges)
