"""What the simulated caller perceives of the call, and what is kept of it for the outcome: a probe of the simulator.

A caller waits for what happens: an event, so much of the agent's speech, the agent's silence. All of it is told by the
engine's own events, in the step in which they happen, so a caller's reaction is exact to the instant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from echostack.core.events import Event
from echostack.core.payloads import Aborted, Committed, PlayoutFinished, PlayoutStarted, Suspended
from echostack.language.scenario import EventMatch
from echostack.plan import Plan
from echostack.runtime.probe import CallView
from echostack.simulation.matching import matcher

EVENTS_KEPT = 1_000_000
"""Events of one call that an outcome keeps; a call with more is a call without end."""


class Ears:
    """The caller's perception of one call, and the memory of its events that are not audio.

    Times are session seconds. ``events`` is complete when the call is over, unless ``lost`` is above 0.
    """

    wants_audio = False

    def __init__(self, plan: Plan, now: Callable[[], float]) -> None:
        self.now = now
        self.events: list[Event] = []
        self.lost = 0
        self.speaking = False
        """Whether an utterance of the agent is under way, a suspended one included."""
        self.silent_since = 0.0
        """When the agent was last heard; meaningless while ``speaking``."""
        self._audio = {k.name for n in plan.nodes.values() if n.spec for k in n.spec.produced_kinds if k.audio}
        self._audio |= {"audio_frame", "audio_chunk", "audio_chunk.stream"}
        self._heard = 0.0
        self._sounding: float | None = None  # since when, None while suspended or silent
        self._mouths: set[str] = set()
        self._waiting: list[tuple[EventMatch, Callable[[Event], bool], asyncio.Future[Event]]] = []
        self._changes: list[asyncio.Future[None]] = []

    # -- what the caller asks ----------------------------------------------------------------------------------

    @property
    def heard(self) -> float:
        """Seconds of the present utterance that have sounded."""
        return self._heard + (self.now() - self._sounding if self._sounding is not None else 0.0)

    @property
    def sounding(self) -> bool:
        """Whether the agent is heard at this instant."""
        return self._sounding is not None

    def next(self, match: EventMatch) -> asyncio.Future[Event]:
        """A future of the next event that matches. Cancel it when it is not awaited any more."""
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._waiting.append((match, matcher(match), future))
        return future

    def change(self) -> asyncio.Future[None]:
        """A future of the next instant at which the agent begins, pauses, goes on or ends."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changes.append(future)
        return future

    # -- Probe -------------------------------------------------------------------------------------------------

    def wants(self, name: str) -> bool:
        """Everything but audio."""
        return name.split(".", 2)[2] not in self._audio

    def begin(self, view: CallView) -> None:
        """Nothing to prepare."""

    def event(self, event: Event) -> None:
        """Keep it, follow the agent's speech, and wake who waits for it."""
        if len(self.events) < EVENTS_KEPT:
            self.events.append(event)
        else:
            self.lost += 1
        follow = _FOLLOWED.get(type(event.payload))
        if follow is not None:
            follow(self, event)
        if self._waiting:
            self._wake(event)

    def dropped(self, edge: str, event: Event) -> None:
        """The statistics count it."""

    def played(self, egress: str, event: Event, pcm: bytes, rate: int) -> None:
        """The simulated far end knows better."""

    def end(self) -> None:
        """Nobody waits any more."""
        for _, _, future in self._waiting:
            future.cancel()
        for change in self._changes:
            change.cancel()
        self._waiting, self._changes = [], []

    # -- inside ------------------------------------------------------------------------------------------------

    def _wake(self, event: Event) -> None:
        still = []
        for entry in self._waiting:
            _, matches, future = entry
            if future.done():
                continue
            if matches(event):
                future.set_result(event)
            else:
                still.append(entry)
        self._waiting = still

    def _began(self, event: Event) -> None:
        self._mouths.add(event.node)
        self.speaking, self._heard, self._sounding = True, 0.0, event.time
        self._changed()

    def _ended(self, event: Event) -> None:
        self._mouths.discard(event.node)
        if not self._mouths:
            self._pause(event)
            self.speaking, self.silent_since = False, event.time
        self._changed()

    def _suspended(self, event: Event) -> None:
        self._pause(event)
        self._changed()

    def _resumed(self, event: Event) -> None:
        if self.speaking and self._sounding is None:
            self._sounding = event.time
        self._changed()

    def _cut(self, event: Event) -> None:
        # An utterance that was cut says so itself; one that was cut before its first sample never began.
        self._changed()

    def _pause(self, event: Event) -> None:
        if self._sounding is not None:
            self._heard += event.time - self._sounding
            self._sounding = None

    def _changed(self) -> None:
        changes, self._changes = self._changes, []
        for future in changes:
            if not future.done():
                future.set_result(None)


_FOLLOWED: dict[type, Callable[[Ears, Event], None]] = {
    PlayoutStarted: Ears._began,
    PlayoutFinished: Ears._ended,
    Suspended: Ears._suspended,
    Aborted: Ears._resumed,
    Committed: Ears._cut,
}
