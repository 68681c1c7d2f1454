"""How a whole call is watched from inside: by a recording, by the simulator's expectations and invariants.

A probe is told of everything in the same synchronous step in which it happens, before it goes on; it can neither change
nor delay it. What no probe and no subscription wants to see costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.plan.model import Plan
from echostack.runtime.queues import Lane
from echostack.runtime.stats import Stats


@dataclass(frozen=True, slots=True)
class CallView:
    """What can be read of a running call at any instant, without changing it. Times are session seconds."""

    session: str
    seed: int
    plan: Plan
    clock: Clock
    lanes: Sequence[Lane]
    """Every queue: one a queued edge, one control lane an inbox; ``len(lane)`` is what it holds now."""
    epochs: Callable[[], Sequence[int]]
    """The epoch of every scope, by scope number; 0 is outside any."""
    stats: Callable[[], Stats]


class Probe(Protocol):
    """A watcher of one call. No method may raise, wait, or touch the call.

    ``begin`` is called before the connectors are opened, ``end`` once, when everything has closed, also after a call
    that could not open.
    """

    def wants(self, name: str) -> bool:
        """Whether events of this name are to be shown. Asked once a name; must not change its mind."""

    @property
    def wants_audio(self) -> bool:
        """Whether ``played`` is to be called. Fixed from the start."""

    def begin(self, view: CallView) -> None:
        """The call is put together; nothing has happened yet."""

    def event(self, event: Event) -> None:
        """An event was made, and is about to be routed."""

    def dropped(self, edge: str, event: Event) -> None:
        """A queue lost ``event`` by its policy. What an interruption clears is not told one by one."""

    def played(self, egress: str, event: Event, pcm: bytes, rate: int) -> None:
        """Audio that the far end of ``egress`` has played: every sample once, in order, made for ``event``."""

    def end(self) -> None:
        """The call is over and everything is closed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A probe's wish in the shape of a pattern over event names."""

    wants: Callable[[str], bool]

    def matches(self, name: str) -> bool:
        return self.wants(name)
