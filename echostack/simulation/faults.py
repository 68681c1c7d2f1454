"""When a scenario's faults are due at a node, how often they were played, and what they do to its outputs."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.language.scenario import Fault, FaultKind
from echostack.registry import Context, Forward, Out
from echostack.simulation.world import AppliedFault, World

Answer = Payload | Out | Forward
BREAKS = (FaultKind.ERROR, FaultKind.DISCONNECT)
"""The faults that come as a failure of the code."""
_NOT_ASKED: Any = object()


class Played:
    """The faults of one node in one call: which of them are due, and how often each has been played."""

    def __init__(self, node: str, faults: Sequence[Fault], context: Context, world: World) -> None:
        # Copies, so that two that say the same are still two.
        self.node, self.faults = node, tuple(dataclasses.replace(f) for f in faults)
        self._context, self._world = context, world
        self._used = [0] * len(self.faults)
        self.reached = 0
        """Events that have reached the node; another try of the same one is not another."""
        self._last_seq = -1
        self.carried: Out | None = None
        """An output that waits for the next one to go before it."""
        self.timers: list[asyncio.TimerHandle] = []
        """Of what is sent late; revoked when the node closes."""
        self.emits = False
        """Whether what is emitted counts as the events that reach the node: of a source, which has no others."""
        self.broken: Fault | None = None
        """What has broken a source with an output that it emitted, until its stream has failed of it."""
        self.waiting: asyncio.Timeout | None = None
        """Of a source: what its stream waits in, to be ended when it is broken."""

    @property
    def now(self) -> float:
        """Session seconds."""
        return self._context.clock.now()

    def count(self, event: Event | None) -> None:
        """Another event has reached the node (None: it has made another output of its own)."""
        if event is None or event.seq != self._last_seq:
            self.reached += 1
            self._last_seq = event.seq if event is not None else -1

    def due(self, *kinds: FaultKind, since: bool = False) -> Fault | None:
        """The first fault of these kinds that is due now. since: one of the nth event is due from that event on."""
        for at, fault in enumerate(self.faults):
            if fault.kind in kinds and self._is_due(at, fault, since):
                return fault
        return None

    def next_break(self) -> tuple[Fault, float] | None:
        """The next fault that breaks a stream by the clock, and when."""
        found = [
            (fault, fault.at)
            for at, fault in enumerate(self.faults)
            if fault.kind in (*BREAKS, FaultKind.ENDLESS) and fault.at is not None and self._left(at, fault)
        ]
        return min(found, key=lambda item: item[1]) if found else None

    def break_source(self, fault: Fault) -> None:
        """The stream of a source fails in this step of the loop, whatever it waits for."""
        self.broken = fault
        if self.waiting is not None and not self.waiting.expired():
            self.waiting.reschedule(asyncio.get_running_loop().time())

    def note(self, fault: Fault) -> None:
        """``fault`` is played now."""
        self._used[next(at for at, known in enumerate(self.faults) if known is fault)] += 1
        self._world.faults.append(AppliedFault(self.node, fault.kind, self.now, fault.span))

    def failure(self, fault: Fault) -> ConnectorFailure:
        """What a fault comes as; it is noted."""
        self.note(fault)
        words = {FaultKind.ERROR: "fails", FaultKind.DISCONNECT: "is disconnected", FaultKind.OPEN: "cannot open"}
        message = fault.message or f"{self.node} {words[fault.kind]}, as the scenario says"
        return ConnectorFailure(message, retryable=fault.retryable, retry_after=fault.retry_after)

    def _left(self, at: int, fault: Fault) -> bool:
        return (not fault.times or self._used[at] < fault.times) and (fault.until is None or self.now < fault.until)

    def _is_due(self, at: int, fault: Fault, since: bool) -> bool:
        if not self._left(at, fault):
            return False
        if fault.nth is not None:
            return self.reached >= fault.nth if since else self.reached == fault.nth
        return fault.at is None or self.now >= fault.at - 1e-9


class Shaper:
    """Loses, doubles and reorders the outputs that belong to one event; for a stream (``since``), all that it makes."""

    def __init__(self, played: Played, *, since: bool = False) -> None:
        self._played, self._since = played, since
        self._held: Out | None = None
        self._doubled = False
        self._drop = self._duplicate = self._reorder = None if since else _NOT_ASKED

    def feed(self, answer: Answer, event: Event | None) -> Sequence[Answer]:
        """What leaves in the place of ``answer``, which was made for ``event``."""
        played = self._played
        drop = self._asked("_drop", FaultKind.DROP)
        if drop is not None:
            self._drop = None
            played.note(drop)
            return ()
        answers: list[Answer] = [answer]
        if self._held is not None:
            answers.append(self._held)
            self._held = None
        elif played.carried is not None:
            answers.append(played.carried)
            played.carried = None
        elif not isinstance(answer, Forward):
            reorder = self._asked("_reorder", FaultKind.REORDER)
            if reorder is not None:
                self._reorder = None
                played.note(reorder)
                self._held = caused(answer, event)
                return ()
        duplicate = self._asked("_duplicate", FaultKind.DUPLICATE)
        if duplicate is not None:
            if self._since or not self._doubled:
                played.note(duplicate)  # once for all the outputs of one event
            self._doubled = True
            answers = [one for answer in answers for one in (answer, answer)]
        return answers

    def end(self) -> None:
        """There is no further output of this event: what is held waits for the next event's."""
        if self._held is not None:
            self._played.carried, self._held = self._held, None

    def _asked(self, place: str, kind: FaultKind) -> Fault | None:
        if self._since:
            return self._played.due(kind, since=True)
        if getattr(self, place) is _NOT_ASKED:
            setattr(self, place, self._played.due(kind))
        found: Fault | None = getattr(self, place)
        return found


def caused(answer: Answer, event: Event | None) -> Any:
    """``answer`` as an output that says which event it belongs to."""
    if isinstance(answer, Forward) or (isinstance(answer, Out) and answer.cause is not None):
        return answer
    return Out(answer.payload, event, answer.port) if isinstance(answer, Out) else Out(answer, event)


def flat(answer: Any) -> list[Answer]:
    """Whatever a connector may answer with, as a list of its outputs."""
    if answer is None:
        return []
    if isinstance(answer, Payload | Out | Forward):
        return [answer]
    return [one for item in answer for one in flat(item)]
