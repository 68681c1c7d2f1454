"""What the simulation of a connector looks like to what adapts it to the connector's form.

A simulation is made as ``make(spec, settings, simulator, world)``, once a node and session, from the connector's
manifest and the node's settings, which may be any connector's: what a simulation wants to know of them it looks up by
name, with a default. It answers in one of three ways; ``mock.forms`` gives it the form that the plan expects.

A simulation asks ``simulator.scripted(payload)`` before ``simulator.latency()``, in one synchronous step, so that the
delay which a scenario puts on one reply is the latency of that reply. Any of them may have ``open``, ``close`` (async)
as a connector has them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.registry import ConnectorSpec, Inbox, Out, Simulator
from echostack.simulation.world import World

Answer = Payload | Out


class AnswersInTime(Protocol):
    """Called once an event, and takes its time: for async functions, generators, and streams that answer one event
    after the other. Cancelling the iteration at any await gives the event up and leaves the simulation usable."""

    def answer(self, event: Event) -> AsyncIterator[Answer]:
        """What is answered to ``event``, each when it is due."""


class AnswersAtOnce(Protocol):
    """Called once an event, and never waits: for synchronous connectors."""

    def at_once(self, event: Event) -> Sequence[Answer]:
        """What is answered to ``event``."""


class Streams(Protocol):
    """A stream by nature: what it gives does not follow from one event alone (a recogniser).

    It may have ``interrupted()``, synchronous, and is then kept through interruptions if its connector is.
    """

    def run(self, inbox: Inbox[Any]) -> AsyncIterator[Answer]:
        """Everything that it gives, to the end of ``inbox``."""


Mock = AnswersInTime | AnswersAtOnce | Streams


class MakeMock(Protocol):
    """A simulation's class or factory."""

    def __call__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> Mock:
        """The simulation of one node in one call."""
