"""The call that is varied, as it is without a variation: its instants, the caller's steps, who took how much."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

from echostack.core.errors import UsageError
from echostack.core.payloads import Dtmf
from echostack.language.scenario import Await, Caller, Fault, FaultKind, Interrupt, Listen, Scenario, Step
from echostack.registry import Form
from echostack.simulation.faulty import check_faults
from echostack.simulation.search.subject import Subject

PATIENCE = 8.0
"""Seconds that a varied caller waits at most for what may never come now."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """scenario: with its seed. instants: every one at which something happened, in order. begun: which step began when.
    reached: how many events each node that can fail was given. keys: whether the caller can press any."""

    scenario: Scenario
    seconds: float
    instants: tuple[float, ...]
    begun: tuple[tuple[int, float], ...]
    reached: dict[str, int]
    faults: dict[str, tuple[FaultKind, ...]]
    slow: tuple[str, ...]
    keys: bool

    def step_at(self, instant: float) -> tuple[int, float]:
        """The step that is under way at ``instant``, and when it began; -1 before the first."""
        at = bisect_right([time for _, time in self.begun], instant) - 1
        return self.begun[at] if at >= 0 else (-1, 0.0)


def baseline(subject: Subject, seed: int) -> Baseline:
    """Play the scenario with ``seed`` and take note of what can be varied about it."""
    scenario = patient(replace(subject.scenario, seed=seed))
    outcome = subject.call(scenario)
    heard = [t for h in outcome.heard for w in h.words for t in (w.start, w.end)]
    witness = outcome.witness
    pieces = [p.time for p in witness.pieces] if witness is not None else []
    instants = sorted({*(e.time for e in outcome.events), *heard, *pieces, *(t for _, t in outcome.steps)})
    stats = outcome.stats.nodes if outcome.stats is not None else {}
    faults = {n.id: kinds for n in subject.plan.nodes.values() if (kinds := _can_fail(subject, n.id))}
    reached = {node: int(stats[node]["received"]) if node in stats else 0 for node in faults}
    slow = tuple(
        n.id for n in subject.plan.nodes.values()
        if n.spec is not None and not n.fused and n.spec.form not in (Form.SOURCE, Form.SINK)
        and n.id not in subject.real and not _is_real(scenario, n.id)
    )  # fmt: skip
    return Baseline(
        scenario, outcome.seconds, tuple(t for t in instants if t <= outcome.seconds), outcome.steps, reached, faults,
        slow, any(Dtmf in n.spec.produces for n in subject.plan.ingresses if n.spec is not None),
    )  # fmt: skip


def patient(scenario: Scenario) -> Scenario:
    """``scenario`` with a caller who does not wait for long."""
    steps = tuple(
        replace(step, within=min(step.within, PATIENCE)) if isinstance(step, Listen | Await | Interrupt) else step
        for step in scenario.caller.steps
    )
    return replace(scenario, caller=replace(scenario.caller, steps=steps))


def _can_fail(subject: Subject, name: str) -> tuple[FaultKind, ...]:
    """The faults that ``name`` can have. A line that never ends would be no call that can end."""
    node = subject.plan.nodes[name]
    if node.spec is None or name in subject.real or _is_real(subject.scenario, name):
        return ()
    kinds = []
    for kind in FaultKind:
        if node.spec.form is Form.SOURCE and kind not in (FaultKind.ERROR, FaultKind.DISCONNECT):
            continue
        try:
            check_faults(node, [Fault(kind, subject.scenario.span, seconds=1.0)])
        except UsageError:
            continue
        kinds.append(kind)
    return tuple(kinds)


def _is_real(scenario: Scenario, node: str) -> bool:
    script = scenario.connectors.get(node)
    return script is not None and script.real


def step_of(caller: Caller, place: int) -> Step | None:
    """A step of the script by its place."""
    return caller.steps[place] if 0 <= place < len(caller.steps) else None
