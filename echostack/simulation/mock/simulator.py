"""What a simulation is given: the node's context, and the scenario's say over it (``registry.Simulator``)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from echostack.core.clock import Clock, Compute
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.language.scenario import Caller, Delay
from echostack.registry import ConnectorSpec, Context, Conversation, Simulator
from echostack.simulation.latency import drawn, profile
from echostack.simulation.scripts import Given, Placed
from echostack.simulation.speech import spoken_seconds
from echostack.simulation.world import NodeStore, Note, World

S = TypeVar("S")


class Replies(Protocol):
    """Who knows what a node answers: a scenario's replies, or a plugin's function."""

    def take(self, event: Event) -> Given | Awaitable[Given | None] | None:
        """What is answered to an event."""

    def take_now(self, event: Event) -> Given | None:
        """The same for a node that answers in place."""

    def reply(self, payload: Payload) -> Given | None:
        """What is answered to a payload, at once."""

    def snapshot(self) -> Any: ...

    def restore(self, snapshot: Any) -> None: ...


class NodeSimulator(Simulator):
    """One node's Simulator. Its randomness and its latencies are its own: the same for one seed, whatever other nodes
    draw and however often the engine retries. ``instant``: it answers in the step in which it is called, as a fused
    connector does, so that it takes no time."""

    def __init__(
        self,
        spec: ConnectorSpec,
        settings: Any,
        context: Context,
        world: World,
        replies: Replies | None = None,
        *,
        instant: bool = False,
    ) -> None:
        self.settings = settings
        self.node, self.session, self.choice = context.node, context.session, context.choice
        self.clock: Clock = context.clock
        self.compute: Compute = context.compute
        self.random: random.Random = world.random_for(f"{context.node} simulated")
        self._latencies = world.random_for(f"{context.node} latency")
        script = world.script(context.node)
        own = script.delay if script is not None else None
        self._profile = Delay(0.0, 0.0) if instant else own or profile(spec)
        self._context, self._world, self._replies = context, world, replies
        self._delay: Delay | None = None
        self._offered: tuple[Payload, Given | None] | None = None
        self._placed: dict[int, Placed] = {}
        self.asked = False
        """Whether the simulation has asked what the scenario says about the event that was offered last."""

    @property
    def conversation(self) -> Conversation:
        return self._context.conversation

    @property
    def idempotency_key(self) -> str:
        return self._context.idempotency_key

    @property
    def live(self) -> bool:
        return self._context.live

    def emit(self, payload: Payload, *, cause: Event | None = None, port: str = "") -> None:
        self._context.emit(payload, cause=cause, port=port)

    def log(self, message: str, **fields: Any) -> None:
        self._context.log(message, **fields)

    def share(self, key: str, make: Callable[[], S]) -> S:
        return self._context.share(key, make)

    @property
    def store(self) -> NodeStore:
        return self._world.store(self.node)

    def latency(self) -> float:
        delay, self._delay = self._delay or self._profile, None
        return drawn(delay, self._latencies)

    def scripted(self, payload: Payload) -> tuple[Payload, ...] | None:
        if self._offered is not None and self._offered[0] is payload:
            given, self.asked = self._offered[1], True
        else:
            given = self._replies.reply(payload) if self._replies is not None else None
        self.using(given)
        return None if given is None else given.payloads

    def spoken(self, text: str) -> float:
        return spoken_seconds(text, Caller().pace)

    # -- for what adapts simulations -----------------------------------------------------------------------------

    def offer(self, payload: Payload, given: Given | None) -> None:
        """Have ``scripted(payload)`` answer with ``given``, which was chosen for the event as a whole."""
        self._offered, self.asked = (payload, given), False

    def snapshot(self) -> Any:
        """What it has drawn and used so far; ``restore`` goes back to it."""
        replies = self._replies.snapshot() if self._replies is not None else None
        return self.random.getstate(), self._latencies.getstate(), replies

    def restore(self, snapshot: Any) -> None:
        drawn_own, drawn_latencies, replies = snapshot
        self.random.setstate(drawn_own)
        self._latencies.setstate(drawn_latencies)
        if self._replies is not None:
            self._replies.restore(replies)

    def told(self) -> None:
        """The simulation is through with what was offered. One that never asked has not answered as the scenario says,
        and the outcome tells."""
        given = self._offered[1] if self._offered is not None else None
        if given is not None and not self.asked:
            script = self._world.script(self.node)
            what = f"the simulation of {self.node} does not ask what the scenario has it answer"
            self._world.notes.append(Note(what, self.clock.now(), script.span if script is not None else None))

    def using(self, given: Given | None) -> None:
        """What follows is ``given``: its delay is the next latency, its ports and pauses those of its payloads."""
        self._delay = given.delay if given is not None else None
        self._placed = {id(p.payload): p for p in given.outputs if p.port or p.after} if given is not None else {}

    def placed(self, payload: Payload) -> Placed | None:
        """By which port and after what pause the scenario has ``payload`` leave, when it says."""
        return self._placed.get(id(payload)) if self._placed else None
