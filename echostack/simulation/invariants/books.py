"""The books balance: what went in came out, was dropped and counted, or waits; and no queue grows beyond its bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from echostack.core.events import Event
from echostack.core.kinds import Overflow
from echostack.language.guard import Else, predicate
from echostack.plan.model import ENGINE, PlanEdge
from echostack.registry import Form
from echostack.runtime.queues import OVERSHOOT
from echostack.simulation.ears import EVENTS_KEPT
from echostack.simulation.invariants.evidence import Evidence
from echostack.simulation.outcome import Failure

_CALLED = (Form.SYNC, Form.ASYNC, Form.GENERATOR)


def queues_balance(evidence: Evidence) -> Iterator[Failure]:
    """Of every queue: put = taken + dropped + stale + refused + held; and every loss that it told of is counted."""
    counted: Counter[str] = Counter()
    for lane in evidence.witness.lanes:
        out = lane.taken + lane.dropped + lane.stale + lane.refused + len(lane)
        counted[lane.edge] += lane.dropped + lane.refused
        if lane.put_count != out:
            yield evidence.finding(
                f"the queue of {lane.edge} was given {lane.put_count} events and accounts for {out}: {lane.taken}"
                f" taken, {lane.dropped} dropped, {lane.stale} cleared, {lane.refused} refused, {len(lane)} held"
            )
    for edge, lost in evidence.witness.lost.items():
        if lost > counted[edge]:
            yield evidence.finding(f"the queue of {edge} lost {lost} events and counts {counted[edge]}")


def queues_stay_bounded(evidence: Evidence) -> Iterator[Failure]:
    """No queue ever holds more than its bound and what one event fans out to; a callback's, its overshoot besides."""
    most = _fan_out(evidence)
    for lane in evidence.witness.lanes:
        over = 0
        if lane.overflow is Overflow.BLOCK:
            over = most.get(lane.edge, OVERSHOOT)
        if lane.high > lane.bound + over:
            yield evidence.finding(
                f"the queue of {lane.edge} held {lane.high} events at once, and its bound is {lane.bound}"
                + (f" and {over} more of one event" if over else "")
            )
    if len(evidence.events) >= EVENTS_KEPT:
        yield evidence.finding(f"the call made more than {EVENTS_KEPT:,} events")


def _fan_out(evidence: Evidence) -> dict[str, int]:
    """The most events that a node which waits for room has put into a queue at one instant, by edge."""
    found: dict[str, int] = {}
    for edge in evidence.plan.edges:
        node = evidence.plan.nodes.get(edge.source)
        if edge.queue is None or node is None or node.spec is None or node.fused or node.choice:
            continue
        if node.spec.form not in _CALLED or node.spec.wants_context or node.spec.forwards:
            continue
        at: Counter[tuple[float, int]] = Counter()
        for event in evidence.events:
            if event.node == edge.source and isinstance(event.payload, edge.payloads):
                at[(event.time, event.cause)] += 1
        for piece in evidence.witness.pieces:
            if piece.node == edge.source:
                at[(piece.time, 0)] += 1
        name = f"{edge.source} -> {edge.target}"
        # A generator gives one thing at a time and waits before the next; a function gives all it answers at once.
        one = 1 if node.spec.form is Form.GENERATOR else max(at.values(), default=1)
        found[name] = max(one, found.get(name, 0))
    return found


def nothing_vanishes_on_the_way(evidence: Evidence) -> Iterator[Failure]:
    """Every event that a node made, and that a rule sends into a queue, was put there; and nothing else was."""
    if evidence.outcome.crash or not evidence.outcome.ended:
        return
    forwarding = {n.id for n in evidence.plan.nodes.values() if n.spec is not None and n.spec.forwards}
    by_node: dict[str, list[Event]] = {}
    for event in evidence.events:
        by_node.setdefault(event.node, []).append(event)
    expected: Counter[str] = Counter()
    judged: set[str] = set()
    left_out: set[str] = set()
    for edge in evidence.plan.edges:
        if edge.queue is None:
            continue
        name = f"{edge.source} -> {edge.target}"
        if not _judged(edge, evidence, forwarding):
            left_out.add(name)
            continue
        judged.add(name)
        members = evidence.plan.nodes[edge.source].members
        for node in (edge.source, *members):
            expected[name] += sum(_takes(edge, e, evidence) for e in by_node.get(node, ()))
    put: Counter[str] = Counter()
    for lane in evidence.witness.lanes:
        put[lane.edge] += lane.put_count
    for name in sorted(judged - left_out):
        if put[name] != expected[name]:
            yield evidence.finding(
                f"{expected[name]} events were to go from {name.replace(' -> ', ' to ')}, and {put[name]} were put"
                " into its queue"
            )


def _judged(edge: PlanEdge, evidence: Evidence, forwarding: set[str]) -> bool:
    if edge.source == ENGINE or edge.source in forwarding or isinstance(edge.guard, Else) or edge.resample:
        return False
    if edge.enters or evidence.plan.nodes[edge.source].choice:
        return False  # what enters a scope may be refused there
    spec = evidence.plan.nodes[edge.target].spec
    if spec is not None and spec.form is Form.SINK:
        return False  # what is no audio passes its queue
    return not any(p.__kind__.audio for p in edge.payloads)


def _takes(edge: PlanEdge, event: Event, evidence: Evidence) -> bool:
    payload = event.payload
    if not isinstance(payload, edge.payloads) or payload.__kind__.control or not event.name.startswith("processing."):
        return False
    if edge.port and edge.port != event.port:
        return False
    return edge.guard is None or isinstance(edge.guard, Else) or bool(predicate(edge.guard)(payload))


def nodes_take_what_they_were_given(evidence: Evidence) -> Iterator[Failure]:
    """No node has worked on more events than its queues handed out."""
    stats = evidence.outcome.stats
    if stats is None:
        return
    taken: Counter[str] = Counter()
    targets = {f"{_source(e)} -> {e.target}": e.target for e in evidence.plan.edges if e.queue is not None}
    for lane in evidence.witness.lanes:
        target = targets.get(lane.edge) or lane.edge.removeprefix("emit -> ").removesuffix(" (control)")
        taken[target] += lane.taken
    for event in evidence.outcome.events:
        if event.name.startswith("egress.") and not event.payload.__kind__.audio:
            taken[event.node] += 1  # what a far end takes besides audio does not wait in its queue
    for name, node in evidence.plan.nodes.items():
        counts = stats.nodes.get(name)
        if counts is None or node.fused or node.choice or node.members or node.spec is None:
            continue
        if node.spec.form is Form.SOURCE:
            continue
        if counts["received"] > taken[name]:
            worked = counts["received"]
            yield evidence.finding(f"{name} worked on {worked} events, and took {taken[name]} from its queues")


def _source(edge: PlanEdge) -> str:
    return edge.pattern if edge.source == ENGINE else edge.source
