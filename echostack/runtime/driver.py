"""The base of drivers: what runs a node that has a task, and how it is interrupted, ended and held to account."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.plan.model import PlanNode
from echostack.runtime.context import NodeContext
from echostack.runtime.core import Core
from echostack.runtime.effects import Effects
from echostack.runtime.failures import Failures
from echostack.runtime.outputs import outputs
from echostack.runtime.queues import Inbox
from echostack.runtime.routes import Handle
from echostack.runtime.tasks import Nursery
from echostack.runtime.timing import Timing

REAP_DEADLINE = 5.0
"""Seconds that cancelled work may take to end before it is reported late."""


class Driver(ABC):
    """One node with a task of its own: takes from its inbox, works, delivers.

    ``run`` ends when the inbox is closed and empty. ``interrupt`` is synchronous and never waits: work of the old
    epoch is cancelled and left to the nursery to reap, and the next event can be taken at once.
    """

    def __init__(
        self,
        core: Core,
        node: PlanNode,
        inbox: Inbox,
        handle: Handle,
        context: NodeContext,
        target: Any,
        shared: Shared,
    ) -> None:
        self.core, self.node, self.inbox, self.handle = core, node, inbox, handle
        self.context, self.target = context, target
        self.effects, self.failures, self.nursery = shared.effects, shared.failures, shared.nursery
        self.timing = shared.timing
        self.counters = core.counters.node(node.id)

    @property
    def id(self) -> str:
        return self.node.id

    @property
    def busy(self) -> bool:
        """Whether work is in progress or waiting."""
        return len(self.inbox) > 0

    @property
    def resting(self) -> bool:
        """Whether nothing more comes of it unless something more reaches it."""
        return not self.busy

    @abstractmethod
    async def run(self) -> None:
        """Work until the inbox is closed and empty. Cancelling it abandons what is queued."""

    def reap(self, task: asyncio.Task[Any]) -> None:
        """Cancel ``task`` and go on; the nursery awaits it, and its lateness is an event."""
        task.cancel()
        self.nursery.expect_end(
            task, REAP_DEADLINE, lambda name: self.failures.late(self.id, f"{name} is still running")
        )

    def interrupt(self) -> None:  # noqa: B027 - not all have work to give up
        """Give up the work of the old epoch, synchronously."""

    def answer(self, answer: Any, cause: Event) -> None:
        """Deliver whatever a connector answered, unless the epoch it was made for is over."""
        for payload, origin, port in outputs(answer, cause):
            if payload is None:
                if self.core.epochs.current(origin):
                    self.handle.forward(origin, port)
                else:
                    self.counters.stale += 1
            else:
                self.put_out(payload, origin, port)

    def put_out(self, payload: Payload, cause: Event, port: str = "") -> None:
        """Deliver one payload made for ``cause``; a stale one is counted and goes nowhere."""
        if self.core.epochs.live(cause) or payload.__kind__.keep:
            self.handle.deliver(payload, cause, port)
        else:
            self.counters.stale += 1


class Shared:
    """What all drivers of a session are given."""

    __slots__ = ("effects", "failures", "nursery", "timing")

    def __init__(self, effects: Effects, failures: Failures, nursery: Nursery, timing: Timing) -> None:
        self.effects, self.failures, self.nursery, self.timing = effects, failures, nursery, timing


async def released(task: asyncio.Task[Any], release: asyncio.Future[None]) -> None:
    """Wait until ``task`` is done or ``release`` is set, whichever comes first; neither is cancelled by it."""
    if not task.done():
        task.add_done_callback(lambda _: settle(release))
        await release


def settle(future: asyncio.Future[None]) -> None:
    """Set a future that may already be set."""
    if not future.done():
        future.set_result(None)
