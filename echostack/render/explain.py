"""`echostack explain`: a plan becomes an Explanation. Nothing is computed here that the plan does not hold."""

from __future__ import annotations

from echostack.language.document import NodePolicy
from echostack.plan.model import Plan, PlanNode
from echostack.registry import Form
from echostack.render.explanation import (
    Budget,
    Explanation,
    FailureLine,
    InsertedLine,
    IslandLine,
    LatencyStep,
    NodeLine,
    QueueLine,
    ScopeLine,
)  # fmt: skip

_DEFAULT = NodePolicy()


def explain(plan: Plan) -> Explanation:
    """What of ``plan`` a person wants to know, in the plan's own order."""
    scopes = {s.id: s.name for s in plan.scopes}
    return Explanation(
        name=plan.name,
        hash=plan.hash,
        nodes=tuple(_node(n, scopes) for n in plan.nodes.values()),
        islands=tuple(IslandLine(i.id, i.nodes, i.entries) for i in plan.islands),
        queues=_queues(plan),
        scopes=_scopes(plan),
        inserted=_inserted(plan),
        latency=_latency(plan),
        budget=_budget(plan),
        turns=_turns(plan),
        speculation=_speculation(plan),
        failures=_failures(plan),
    )


def _node(node: PlanNode, scopes: dict[int, str]) -> NodeLine:
    if node.spec is not None:
        form = node.spec.form.value
    else:
        form = "fallback"
    if node.fused:
        runs = f"fused in island {node.island}"
    elif node.choice:
        runs = f"by the fallback {node.choice}"
    elif node.spec is not None and node.spec.form is Form.SINK:
        runs = "paced by the playout"
    else:
        runs = "a task of its own"
    connector = node.spec.name if node.spec else ""
    return NodeLine(node.id, connector, form, runs, scopes.get(node.scope, ""), node.inserted)


def _queues(plan: Plan) -> tuple[QueueLine, ...]:
    return tuple(
        QueueLine(
            e.source, e.target, tuple(p.__kind__.name for p in e.payloads), e.queue.bound, e.queue.overflow.value,
            "control" if e.queue.control else "media", e.queue.why,
        )
        for e in plan.edges
        if e.queue is not None
    )  # fmt: skip


def _scopes(plan: Plan) -> tuple[ScopeLine, ...]:
    barge_in = plan.barge_in
    return tuple(
        ScopeLine(
            s.name, s.nodes, s.egresses, plan.barge_in_on, barge_in.min_speech, barge_in.min_words,
            barge_in.resume_after,
        )
        for s in plan.scopes
    )  # fmt: skip


def _inserted(plan: Plan) -> tuple[InsertedLine, ...]:
    found = []
    for node in plan.nodes.values():
        if node.inserted:
            why = "the reply can be interrupted and no voice activity was declared; `barge_in: off` removes it"
            found.append(InsertedLine("voice-activity tap", node.id, why))
    for edge in plan.edges:
        if edge.resample is not None:
            found.append(InsertedLine("resampler", f"{edge.source} -> {edge.target}", f"to {edge.resample}"))
    return tuple(found)


def _latency(plan: Plan) -> tuple[LatencyStep, ...]:
    steps, p50_sum, p95_sum = [], 0.0, 0.0
    for node, p50, p95 in plan.latency:
        p50_sum, p95_sum = p50_sum + p50, p95_sum + p95
        steps.append(LatencyStep(node, p50, p95, p50_sum, p95_sum))
    return tuple(steps)


def _budget(plan: Plan) -> Budget | None:
    if plan.voice_to_voice is None:
        return None
    budget = plan.voice_to_voice * 1000
    p50, p95 = sum(p for _, p, _ in plan.latency), sum(p for _, _, p in plan.latency)
    return Budget(budget, budget - p50, budget - p95)


def _turns(plan: Plan) -> str:
    """Who ends the caller's turn, in words."""
    if plan.turns.end_by == "silence":
        return f"{plan.turns.silence:g} s of silence by the voice activity end the caller's turn"
    if plan.turns.end_by == "recogniser":
        return "the recogniser ends the caller's turn"
    return f"{plan.turns.end_by} ends the caller's turn"


def _speculation(plan: Plan) -> str:
    """Who begins before the caller's turn has ended, in words; empty for nobody."""
    guessing = plan.speculate
    if guessing is None:
        return ""
    asked = ", ".join(guessing.asked)
    ears, stable = " or ".join(guessing.ears), f"{guessing.stable_for * 1000:g} ms"
    begin = "begins" if len(guessing.asked) == 1 else "begin"
    return f"{asked} {begin} on a guess of the turn, when the words of {ears} have not changed for {stable}"


def _failures(plan: Plan) -> tuple[FailureLine, ...]:
    return tuple(
        FailureLine(
            n.id, n.policy.timeout, n.policy.attempts, n.policy.backoff, n.members,
            tuple(plan.nodes[member].policy.cooldown for member in n.members),
        )
        for n in plan.nodes.values()
        if n.members or (n.policy.timeout, n.policy.attempts) != (_DEFAULT.timeout, _DEFAULT.attempts)
    )  # fmt: skip
