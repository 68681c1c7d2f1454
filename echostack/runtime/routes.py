"""What the wiring of a session is given and what it hands out: nodes, routes, and the ways out of a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.plan.model import PlanEdge
from echostack.runtime.context import NodeContext
from echostack.runtime.core import Deliver, Push
from echostack.runtime.queues import Inbox, Lane
from echostack.runtime.turns import TurnKeeper

Observer = Callable[[Event], None]
Fail = Callable[[str, BaseException, Event], object]
Enter = Callable[[Event, int], Event | None]


@dataclass(slots=True)
class FusedNode:
    """A sync node's bare function for this session; with ``wants_event`` it takes the Event as a second argument."""

    call: Callable[..., Any]
    wants_event: bool = False
    context: NodeContext | None = None  # of a node that asked for it: told what each call is about


@dataclass(slots=True)
class Route:
    """One edge that leaves a node: where it leads, and the condition of its guard."""

    edge: PlanEdge
    push: Push
    test: Callable[[Any], bool] | None = None


@dataclass(slots=True)
class Parts:
    """What the wiring connects. ``enter`` stamps an event for a scope, or refuses it (None). ``turns``: the keepers
    that decide, for a recogniser's output, what of it is a whole turn. ``beside``: by audio egress that takes more than
    audio, what takes the rest, without a queue. ``refused`` is told of a node whose full queue lost it an event."""

    fused: Mapping[str, FusedNode]
    inboxes: Mapping[str, Inbox]
    lanes: Mapping[str, Lane]
    enter: Enter
    fail: Fail
    hooks: Mapping[str, Mapping[type[Payload], Sequence[Observer]]] = field(default_factory=dict)
    turns: Mapping[str, TurnKeeper] = field(default_factory=dict)
    beside: Mapping[str, Observer] = field(default_factory=dict)
    refused: Fail | None = None


@dataclass(slots=True)
class Handle:
    """What a driver holds of the wiring: the ways out of its node, and into it when it is fused."""

    node: str
    deliver: Deliver = field(init=False)
    forward: Callable[[Event, str], None] = field(init=False)
    entry: Push | None = None


def dispatch(routes: Sequence[Route], payload: Payload, event: Event, port: str) -> None:
    """Bring an event on its way by every route whose port and guard let it pass."""
    for route in routes:
        if route.edge.port and route.edge.port != port:
            continue
        if route.test is None or route.test(payload):
            route.push(payload, event)
