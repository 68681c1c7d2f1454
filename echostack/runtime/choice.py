"""Drivers of ``a ?? b``: the first member that works, held to one answer an event.

A member that fails *before* it has answered hands the very same event to the next one. One that fails in the
middle of an answer does not: what was said cannot be unsaid, so the event is given up there, and the next event
goes to the next member. A failed member rests for its ``cooldown`` and is then probed with a live event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.plan.model import PlanNode
from echostack.runtime.breaker import Breaker
from echostack.runtime.calls import Attempt, CallDriver, acts
from echostack.runtime.context import NodeContext
from echostack.runtime.flows import HELD, StreamDriver
from echostack.runtime.wiring import Handle


@dataclass(slots=True)
class Member:
    """One member of a choice as it runs in a session."""

    node: PlanNode
    target: Any
    context: NodeContext
    handle: Handle
    breaker: Breaker


def ranked(members: Sequence[Member]) -> list[Member]:
    """The members to try, best first: usable ones in the file's order, then, rather than nobody, the resting."""
    return [*(m for m in members if m.breaker.usable), *(m for m in members if not m.breaker.usable)]


class CallChoice(CallDriver):
    """A choice among connectors that are called once an event.

    With a member that acts on the outside world the whole choice is one effect: begun once, under the key of the
    choice, and not interrupted. A member that acts is retried as its policy says (same far end, same key), but the
    next member, another far end, gets the event only if every try failed in a way that says that nothing was done:
    ConnectorFailure or ConnectionError before any answer. After anything else (a TimeoutError before all) the effect
    may have been done, so the event is given up rather than done twice.
    """

    members: Sequence[Member] = ()
    _doubtful = False

    @property
    def acts(self) -> bool:
        return any(acts(m.node) for m in self.members)

    @property
    def may_begin_again(self) -> bool:
        return not self._doubtful

    async def attempt_all(self, event: Event) -> tuple[Any, ...]:
        order = ranked(self.members)
        self._doubtful = False
        for number, member in enumerate(order):
            self.handle = member.handle
            attempt = Attempt(self, member.node, member.target, member.context)
            try:
                kept = await attempt.with_retries(event)
            except Exception as error:
                member.breaker.failed()
                onward = order[number + 1] if number + 1 < len(order) else None
                self._doubtful = attempt.doubtful or (attempt.answered > 0 and acts(member.node))
                if onward is None or attempt.answered or attempt.doubtful:
                    raise
                self.failures.report(member.node.id, error, event)
                self.failures.failed_over(member.node.id, error, event, onward.node.id)
                continue
            if member.breaker.worked():
                self.failures.recovered(member.node.id, event)
            return kept
        raise AssertionError("a choice has at least one member")


class StreamChoice(StreamDriver):
    """A choice among connectors that run as long as the call (recognisers).

    What the failed member had taken since its last answer, up to ``HELD`` events, goes to the next one first, so
    that no word in progress is lost.
    """

    members: Sequence[Member] = ()
    _held: list[Event]

    async def _attempts(self) -> None:
        self._held = []
        while True:
            order = ranked(self.members)
            for number, member in enumerate(order):
                self.handle, self.target, self.context = member.handle, member.target, member.context
                try:
                    await self._member(member)
                    return
                except Exception as error:
                    member.breaker.failed()
                    onward = order[number + 1] if number + 1 < len(order) else None
                    self.failures.report(member.node.id, error, self._last)
                    if onward is not None:
                        self.failures.failed_over(member.node.id, error, self._last, onward.node.id)
            rest = min(m.node.policy.cooldown for m in self.members)
            if all(m.node.policy.attempts <= 1 for m in self.members):
                error_all = ConnectorFailure(f"every member of {self.id} has failed", retryable=False)
                self.failures.given_up(self.id, error_all, self._last)
                return
            await self.core.clock.sleep(rest)

    async def _member(self, member: Member) -> None:
        replay, self._held = self._held, []
        await self.stream(member.target, member.context, replay)

    def _taken(self, event: Event) -> None:
        self._held.append(event)
        del self._held[:-HELD]
        super()._taken(event)

    def _answering(self, answer: Any) -> None:
        if answer is not None:
            self._held.clear()
            for member in self.members:
                if member.target is self.target and member.breaker.worked():
                    self.failures.recovered(member.node.id, self._last)
        super()._answering(answer)
