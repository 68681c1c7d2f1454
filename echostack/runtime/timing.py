"""Where the time of a reply went: from the end of the caller's speech to the first sample that answers it.

A stage is a node on the way to an audio egress that has a task of its own; what is fused takes no time between two
events. Its time counts from when the event was made that reached it, so that its wait in queues, failed attempts and
members of a choice that gave up are part of it (BEHAVIOURS 22). With tools a turn comes by the model and by them more
than once, and each time counts; what ran at the same time counts once.
"""

from __future__ import annotations

from collections import deque

from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.core.payloads import AudioFrame, BudgetExceeded, StageTime, ToolCall, ToolResult, TurnTimed
from echostack.plan.model import ENGINE, Plan
from echostack.registry import Form
from echostack.runtime.stats import SAMPLE, TimeCounters

ENDPOINTING = "endpointing"
"""What takes the part of the time that goes by until the turn is known to be over."""


class Timing:
    """Times the replies of one session. ``turn`` begins a turn, ``first_output`` is told of every node's first answer
    to an event, ``sounds`` ends it. Synchronous; costs a look into a dictionary an answer."""

    def __init__(self, plan: Plan, clock: Clock, counters: TimeCounters) -> None:
        self._clock, self._counters = clock, counters
        self._stages = speaking_stages(plan)
        self._budget_ms = None if plan.voice_to_voice is None else plan.voice_to_voice * 1000
        self._turn: Event | None = None
        self._given: dict[str, float] = {}
        self._until: dict[str, float] = {}

    def turn(self, event: Event) -> None:
        """A turn of the caller, which the next reply answers."""
        self._turn = event
        self._given, self._until = {}, {}

    def first_output(self, node: str, event: Event) -> None:
        """``node`` gives its first answer to ``event``, which may be one of the turn's."""
        turn = self._turn
        if turn is None or node not in self._stages or event.time < turn.time:
            return
        since = event.time
        if node in self._given:
            if not isinstance(event.payload, ToolCall | ToolResult):
                return
            since = max(since, self._until[node])
        now = self._until[node] = self._clock.now()
        self._given[node] = self._given.get(node, 0.0) + (now - since) * 1000

    def sounds(self, utterance: str, spoken_until: float) -> tuple[TurnTimed, BudgetExceeded | None] | None:
        """The reply's first sample sounds; None when no speech of the caller is known to have ended before it."""
        turn, given = self._turn, self._given
        self._turn, self._given = None, {}
        if turn is None or not spoken_until:
            return None
        counters = self._counters
        whole = _ms(self._clock.now() - spoken_until)
        endpointing = _ms(max(0.0, turn.time - spoken_until))
        stages = tuple(StageTime(node, round(ms, 3)) for node, ms in given.items())
        counters.endpointing_ms.append(endpointing)
        for stage in stages:
            sample = counters.stages_ms.get(stage.node)
            if sample is None:
                sample = counters.stages_ms[stage.node] = deque(maxlen=SAMPLE)
            sample.append(stage.first_output_ms)
        timed = TurnTimed(utterance, whole, endpointing, stages)
        if self._budget_ms is None or whole <= self._budget_ms:
            return timed, None
        parts = [(ENDPOINTING, endpointing), *((s.node, s.first_output_ms) for s in stages)]
        slowest = max(parts, key=lambda part: part[1])[0]
        counters.exceeded += 1
        counters.slowest[slowest] = counters.slowest.get(slowest, 0) + 1
        return timed, BudgetExceeded(utterance, whole, round(self._budget_ms, 3), slowest)


def speaking_stages(plan: Plan) -> frozenset[str]:
    """The nodes with a task of their own from which an audio egress hears, members of choices included; what hears the
    caller is before the turn, and no stage of the reply."""
    feeds: dict[str, list[str]] = {}
    for edge in plan.edges:
        if edge.source != ENGINE:
            feeds.setdefault(edge.target, []).append(edge.source)
    found = dict.fromkeys(
        e.source
        for e in plan.edges
        if e.source != ENGINE and _is_sink(plan, e.target) and any(p.__kind__.audio for p in e.payloads)
    )
    todo = list(found)
    while todo:
        for source in feeds.get(todo.pop(), ()):
            if source not in found:
                found[source] = None
                todo.append(source)
    whole = {m for n in found for m in (plan.nodes[n].members or (n,))}
    return frozenset(n for n in whole if _answers(plan, n))


def _is_sink(plan: Plan, node: str) -> bool:
    spec = plan.nodes[node].spec
    return spec is not None and spec.form is Form.SINK


def _answers(plan: Plan, node: str) -> bool:
    known = plan.nodes[node]
    spec = known.spec
    return spec is not None and not known.fused and spec.form is not Form.SOURCE and AudioFrame not in spec.consumes


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
