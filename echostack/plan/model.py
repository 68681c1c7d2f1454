"""The plan: what a checked graph is lowered to. Pure frozen data, shared by every session that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from echostack.checks.model import ENGINE, CheckedGraph
from echostack.core.audio import AudioFormat
from echostack.core.kinds import Overflow, Payload
from echostack.language.document import BargeInDecl, NodePolicy, TurnsDecl
from echostack.language.guard import Guard
from echostack.registry import ConnectorSpec, Form

__all__ = ["ENGINE", "Island", "Plan", "PlanEdge", "PlanNode", "QueuePlan", "ScopePlan", "SpeculatePlan"]


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node as it runs. ``island`` is the region it is fused into, -1 for a node with a task of its own.

    ``scope`` is 0 outside any scope. ``source`` is the source part of its events' names. A choice has
    ``members`` and no spec; a member has ``choice`` set and no inbox of its own.
    """

    id: str
    source: str
    spec: ConnectorSpec | None
    settings: Any
    policy: NodePolicy
    scope: int = 0
    island: int = -1
    members: tuple[str, ...] = ()
    choice: str = ""
    inserted: bool = False

    @property
    def fused(self) -> bool:
        return self.island >= 0


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """A boundary: bound in events, policy, and whether it is the lane that media never blocks."""

    bound: int
    overflow: Overflow
    control: bool = False
    why: str = ""  # shown by `explain`: "piper.tts does I/O", "the rule asks for it", …


@dataclass(frozen=True, slots=True)
class PlanEdge:
    """A route. Without a queue it is a synchronous call. ``siblings``: for an ``else``, the ids of the edges whose
    guards must all have failed. ``pattern``: what an engine's event must match. ``enters``: the scope that it leads
    into from outside (its events are stamped there), 0 for none."""

    id: str
    source: str
    target: str
    payloads: tuple[type[Payload], ...]
    port: str = ""
    guard: Guard | None = None
    queue: QueuePlan | None = None
    resample: AudioFormat | None = None
    siblings: tuple[str, ...] = ()
    pattern: str = ""
    enters: int = 0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Island:
    """Sync nodes fused into one operator, in topological order; ``entries`` are those fed from outside it."""

    id: int
    nodes: tuple[str, ...]
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScopePlan:
    id: int
    name: str
    nodes: tuple[str, ...]
    egresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpeculatePlan:
    """Who begins on a guess of the caller's turn. ``on``: ``model`` or ``synthesis``. ``stable_for``: seconds for which
    the words of ``ears`` must not change. ``models`` and ``synthesisers`` are asked, ``passed`` are the fused nodes on
    the way to them. A choice stands for its members."""

    on: str
    stable_for: float
    ears: tuple[str, ...]
    models: tuple[str, ...]
    synthesisers: tuple[str, ...]
    passed: tuple[str, ...]

    @property
    def asked(self) -> tuple[str, ...]:
        return (*self.models, *self.synthesisers)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a session needs. ``hash`` is over the files' text; ``latency`` the path from the caller's ear to
    the agent's mouth as (node, p50 ms, p95 ms), empty when there is none."""

    name: str
    hash: str
    nodes: Mapping[str, PlanNode]
    edges: tuple[PlanEdge, ...]
    islands: tuple[Island, ...]
    scopes: tuple[ScopePlan, ...]
    barge_in: BargeInDecl
    barge_in_on: str
    turns: TurnsDecl
    voice_to_voice: float | None
    latency: tuple[tuple[str, float, float], ...]
    checked: CheckedGraph
    speculate: SpeculatePlan | None = None

    @property
    def ingresses(self) -> tuple[PlanNode, ...]:
        return tuple(n for n in self.nodes.values() if n.spec is not None and n.spec.form is Form.SOURCE)

    @property
    def egresses(self) -> tuple[PlanNode, ...]:
        return tuple(n for n in self.nodes.values() if n.spec is not None and n.spec.role == "egress")
