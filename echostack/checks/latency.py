"""How long the caller waits for a reply: the slowest way from the caller's audio to speech, by declared latencies.

An estimate: the sum of the medians that the connectors' authors declare, the wait for the turn's end included where
the graph itself makes it (`turns: {end_by: silence}`). Queues and networks between the stages are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from echostack.checks.codes import OVER_BUDGET
from echostack.checks.model import CheckedGraph
from echostack.checks.work import Route, Work
from echostack.core.payloads import AudioFrame
from echostack.graph import NodeRole
from echostack.language.document import TurnsDecl
from echostack.registry import ConnectorSpec, Form

Stage = tuple[str, float, float]
"""A node's id and its latency, median and 95th percentile, in milliseconds."""
TURN_END = "end of turn"


class _Edge(Protocol):
    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def payloads(self) -> tuple[type, ...]: ...
    @property
    def cycle(self) -> bool: ...


def slowest_path(
    specs: Mapping[str, Sequence[ConnectorSpec]], edges: Iterable[_Edge], turns: TurnsDecl
) -> tuple[Stage, ...]:
    """The slowest way from an ingress's audio to a speaking egress, stage by stage; empty when there is none.

    ``specs`` holds the connector of every node, several for a choice (the slowest counts). ``edges`` must have no
    cycle but marked ones, which are left out. Linear in both.
    """
    leaving: dict[str, list[str]] = {}
    waiting = dict.fromkeys(specs, 0)
    starts: dict[str, None] = {}
    for edge in edges:
        if edge.cycle or edge.source not in specs or edge.target not in specs:
            continue
        if any(s.role == "ingress" for s in specs[edge.source]):
            if AudioFrame in edge.payloads:
                starts[edge.target] = None
            continue
        leaving.setdefault(edge.source, []).append(edge.target)
        waiting[edge.target] += 1
    best: dict[str, tuple[float, str]] = dict.fromkeys(starts, (0.0, ""))
    ready = [n for n, count in waiting.items() if count == 0]
    for node in ready:
        for after in leaving.get(node, ()):
            if node in best:
                sum_ = best[node][0] + _median(specs[node])
                if after not in best or sum_ > best[after][0]:
                    best[after] = (sum_, node)
            waiting[after] -= 1
            if waiting[after] == 0:
                ready.append(after)
    ends = [n for n in best if any(s.form is Form.SINK for s in specs[n])]
    if not ends:
        return ()
    node = max(ends, key=lambda n: best[n][0] + _median(specs[n]))
    path: list[Stage] = []
    while node:
        p50, p95 = max(((s.latency.p50, s.latency.p95) for s in specs[node]), default=(0.0, 0.0))
        path.append((node, p50, p95))
        node = best[node][1]
    if turns.end_by == "silence":
        path.append((TURN_END, turns.silence * 1000, turns.silence * 1000))
    return tuple(path[::-1])


def latency_path(checked: CheckedGraph) -> tuple[Stage, ...]:
    """The slowest way of a checked graph, for plans and pictures; empty when the caller's audio leads to no speech."""
    specs = {
        name: [s for m in (node.members or (name,)) if (s := checked.nodes[m].spec) is not None]
        for name, node in checked.nodes.items()
    }
    return slowest_path(specs, checked.edges, checked.graph.turns)


def _median(specs: Sequence[ConnectorSpec]) -> float:
    return max((s.latency.p50 for s in specs), default=0.0)


def check(work: Work) -> None:
    """A warning, stage by stage, when the estimate is over `budget: {voice_to_voice: ...}`."""
    budget = work.graph.voice_to_voice
    if budget is None or work.findings.errors:
        return
    specs = {
        n: work.specs(n)
        for n, r in work.nodes.items()
        if r.node.role is not NodeRole.PATTERN and n not in work.choice_of
    }
    routes: list[Route] = work.routes
    path = slowest_path(specs, routes, work.graph.turns)
    total = sum(p50 for _, p50, _ in path)
    if total <= budget * 1000:
        return
    stages = " + ".join(f"{name} {p50:g}" for name, p50, _ in path if p50 > 0)
    worst = sum(p95 for _, _, p95 in path)
    work.report(
        OVER_BUDGET, f"a reply is expected after {total:g} ms, and the budget is {budget * 1000:g} ms",
        work.graph.documents[0].voice_to_voice_span,
        notes=(f"{stages} = {total:g} ms, as the connectors declare it", f"one call in twenty: {worst:g} ms or more"),
        help="choose faster connectors for the largest of these, or raise the budget",
    )  # fmt: skip
