"""Drivers of ``a ?? b``: the first member that works, held to one answer an event.

A member that fails *before* it has answered hands the very same event to the next one. One that fails in the
middle of an answer does not: what was said cannot be unsaid, so the event is given up there, and the next event
goes to the next member. A failed member rests for its ``cooldown`` and is then probed with a live event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import Usage
from echostack.plan.model import PlanNode
from echostack.registry import Out
from echostack.runtime.breaker import Breaker
from echostack.runtime.calls import Attempt, CallDriver, acts
from echostack.runtime.context import NodeContext
from echostack.runtime.flows import HELD, StreamDriver
from echostack.runtime.outputs import says
from echostack.runtime.routes import Handle

HANDOVER_DEADLINE = 1.0
"""Seconds that a member in use may take to end when an earlier one is to be probed."""


@dataclass(slots=True, eq=False)
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

    @property
    def acts(self) -> bool:
        return any(acts(m.node) for m in self.members)

    @property
    def may_begin_again(self) -> bool:
        return not self.doubtful

    async def attempt_all(self, event: Event) -> tuple[Any, ...]:
        order = ranked(self.members)
        self.doubtful = False
        for number, member in enumerate(order):
            self.handle = member.handle
            attempt = Attempt(self, member.node, member.target, member.context)
            try:
                kept = await attempt.with_retries(event)
            except Exception as error:
                member.breaker.failed()
                onward = order[number + 1] if number + 1 < len(order) else None
                self.doubtful = attempt.doubtful or (attempt.answered > 0 and acts(member.node))
                if onward is None or attempt.answered or attempt.doubtful:
                    raise
                self.failures.report(member.node.id, error, event)
                self.failures.failed_over(member.node.id, error, event, onward.node.id)
                continue
            if member.breaker.worked():
                self.failures.recovered(member.node.id, event)
            return kept
        raise AssertionError("a choice has at least one member")

    def first_asked(self) -> tuple[PlanNode, Callable[..., Any], NodeContext]:
        member = ranked(self.members)[0]
        return member.node, member.target, member.context

    def answers_by(self, node: str) -> None:
        self.handle = self._member(node).handle

    def came_out(self, node: str, event: Event, *, well: bool) -> None:
        breaker = self._member(node).breaker
        if not well:
            breaker.failed()
        elif breaker.worked():
            self.failures.recovered(node, event)

    def _member(self, node: str) -> Member:
        return next(m for m in self.members if m.node.id == node)


class StreamChoice(StreamDriver):
    """A choice among connectors that run as long as the call (recognisers).

    What the failed member had taken since the event that its last answer names as its cause, up to ``HELD`` events,
    goes to the next one first, so that no word in progress is lost; what it had not yet been handed of its own
    predecessor's goes after that. A partial is no such answer: the final one is still to come. Nor is what it used. The
    oldest of more than ``HELD`` are given up and counted (``unheld``), as dead letters when they may not be lost.

    An earlier member that has rested for its ``cooldown`` is probed between two turns: when the present one has just
    answered for good with nothing else in hand, it is handed no more, may end what it says for
    ``HANDOVER_DEADLINE`` seconds, and the earlier one takes the events from there. Its first answer is its recovery;
    its failure sends what it took back to the others, like any failure. Nothing is probed once the input has ended.
    """

    members: Sequence[Member] = ()
    _held: deque[Event]
    _using: Member | None = None
    _leaving = False
    _open_turns = 0

    async def _attempts(self) -> None:
        self._held = deque()
        failed: list[Member] = []
        while True:
            member = next(m for m in ranked(self.members) if m not in failed)
            self._using, self._leaving, self._fruitful, self._open_turns = member, False, False, 0
            self.handle, self.target, self.context = member.handle, member.target, member.context
            try:
                await self._member(member)
                if self.superseded or not self._leaving:
                    return
                self._carry_over()
                failed = []
                continue
            except Exception as error:
                if self.superseded:
                    raise
                self._carry_over()
                member.breaker.failed()
                failed = [member] if self._fruitful else [*failed, member]
                onward = next((m for m in ranked(self.members) if m not in failed), None)
                self.failures.report(member.node.id, error, self._last)
                if onward is not None:
                    # What it cost is how old the first event is that the next member has to begin with.
                    oldest = self._held[0] if self._held else self._last
                    self.failures.failed_over(member.node.id, error, oldest, onward.node.id)
                    continue
            if all(m.node.policy.attempts <= 1 for m in self.members):
                error_all = ConnectorFailure(f"every member of {self.id} has failed", retryable=False)
                self.failures.report(self.id, error_all, self._last)
                self._in_hand = [e for e in self._held if not e.payload.__kind__.lossy]
                self._lose_in_hand(error_all)
                return
            failed = []
            await self.core.clock.sleep(min(m.node.policy.cooldown for m in self.members))

    async def _member(self, member: Member) -> None:
        replay = list(self._held)
        self._held.clear()
        await self.stream(member.target, member.context, replay)

    def _carry_over(self) -> None:
        """Keep what the run that is over was not handed of its replay: after what it took, as it came in the call."""
        if self.view is not None:
            self._held.extend(self.view.unreplayed)
            self._bound()

    def _taken(self, event: Event) -> None:
        self._held.append(event)
        self._bound()
        if not event.payload.__kind__.lossy:
            self._open_turns += 1
        super()._taken(event)

    def _bound(self) -> None:
        while len(self._held) > HELD:
            lost = self._held.popleft()
            self.counters.failed("unheld")
            if not lost.payload.__kind__.lossy:
                full = ConnectorFailure(f"{self.id} keeps {HELD} events for the next member, and no more")
                self.failures.dead_letter(self.id, full, lost)

    def _hold(self, event: Event) -> None:
        """Held already, for the next member."""

    def _answering(self, answer: Any) -> None:
        super()._answering(answer)
        member = self._using
        if member is None or not says(answer):
            return
        if member.breaker.worked():
            self.failures.recovered(member.node.id, self._last)
        payload = answer.payload if isinstance(answer, Out) else answer
        if isinstance(payload, Usage) or (isinstance(payload, Payload) and payload.__kind__.name.endswith(".partial")):
            return
        self._let_go(answer.cause if isinstance(answer, Out) else None)
        if getattr(payload, "final", True):
            self._open_turns = max(0, self._open_turns - 1)
            if self._open_turns == 0 and not self.inbox.closed and self._rested(member) and self.view is not None:
                self._leaving = True
                self.leave(HANDOVER_DEADLINE)

    def _let_go(self, cause: Event | None) -> None:
        """Forget what has been answered: everything up to ``cause``, or everything when the answer names none. What
        came after it has only begun to be heard."""
        while self._held and (cause is None or self._held[0].seq <= cause.seq):
            self._held.popleft()

    def _rested(self, member: Member) -> bool:
        """Whether a member before ``member`` can be probed."""
        for earlier in self.members:
            if earlier is member:
                return False
            if earlier.breaker.usable:
                return True
        return False
