"""What every part of one running session shares: identity, clock, epochs, sequence numbers and counters."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from echostack.core.clock import Clock, Compute
from echostack.core.events import Event
from echostack.core.kinds import Payload, kind
from echostack.runtime.epochs import Epochs
from echostack.runtime.queues import Pressure
from echostack.runtime.stats import Counters

Push = Callable[[Payload, Event], None]
"""A synchronous call into a node or a queue: a payload and the event that it belongs to or comes from."""


class Deliver(Protocol):
    """How a node's output leaves it: named, stamped, shown to observers and routed along the node's edges."""

    def __call__(self, payload: Payload, cause: Event, port: str = "") -> None: ...


class EngineEmit(Protocol):
    """How the engine's own events leave it: ``control.<source>.<kind>`` and ``error.<source>.<kind>``."""

    def __call__(
        self, stage: str, source: str, payload: Payload, cause: Event | None = None, node: str = ""
    ) -> Event: ...


class Core:
    """One session's shared state. All of it is used on one event loop only."""

    __slots__ = (
        "clock", "compute", "counters", "engine_emit", "epochs", "next_seq", "pressure", "root", "seed", "session",
        "shared",
    )  # fmt: skip

    def __init__(self, session: str, clock: Clock, compute: Compute, scopes: int, seed: int) -> None:
        self.session = session
        self.clock = clock
        self.compute = compute
        self.epochs = Epochs(scopes)
        self.pressure = Pressure()
        self.next_seq = itertools.count(1).__next__
        self.counters = Counters()
        self.seed = seed
        self.root = Event("control.call.root", _Root(), session, 0, 0.0)
        self.engine_emit: EngineEmit = _unwired
        self.shared: dict[str, Any] = {}

    def random_for(self, node: str) -> random.Random:
        """A node's own generator, the same in every run of the same seed whatever the other nodes draw."""
        return random.Random(f"{self.seed}:{node}")


@kind("root", keep=True)
class _Root(Payload, frozen=True, gc=False):
    """The cause of what has no cause."""


def _unwired(stage: str, source: str, payload: Payload, cause: Event | None = None, node: str = "") -> Event:
    raise AssertionError("the session is not wired yet")


def restamp(event: Event, scope: int, epoch: int) -> Event:
    """The same event as an event of ``scope`` in ``epoch``."""
    return Event(
        event.name,
        event.payload,
        event.session,
        event.seq,
        event.time,
        scope,
        epoch,
        event.cause,
        event.port,
        event.node,
    )


def with_payload(event: Event, payload: Payload) -> Event:
    """The same event with its payload converted (resampled), not made anew."""
    return msgspec.structs.replace(event, payload=payload)
