"""Which queues and epochs have changed since a recording last told of them, at a bounded cost."""

from __future__ import annotations

from echostack.recording.format import StateEntry
from echostack.runtime.probe import CallView

MANY = 64
"""Queues up to which every event that is not audio finds all of them looked at."""
SELDOM = 0.1
"""Seconds between two looks at more queues than that; control events always find them looked at."""


class QueueWatch:
    """Looks at a call's queues. What it costs grows with the number of queues, not with what is in them."""

    def __init__(self, view: CallView) -> None:
        self._lanes = tuple(view.lanes)
        self._epochs = view.epochs
        self._puts = [0] * len(self._lanes)
        self._gone = [0] * len(self._lanes)
        self._told_epochs = tuple(view.epochs())
        self._looked = 0.0
        self._wait = SELDOM if len(self._lanes) > MANY else 0.0

    def changed(self, now: float, urgent: bool = True) -> StateEntry | None:
        """What has changed since the last time; None for nothing, and for a look that comes too soon."""
        if self._wait and not urgent and now - self._looked < self._wait:
            return None
        self._looked = now
        changes: list[tuple[int, int, int, int, int, int]] = []
        puts, gone = self._puts, self._gone
        for number, lane in enumerate(self._lanes):
            put, left = lane.put_count, lane.taken + lane.dropped + lane.stale + lane.refused
            # All of them only go up, so two sums tell whether any has changed.
            if put != puts[number] or left != gone[number]:
                puts[number], gone[number] = put, left
                changes.append((number, len(lane), put, lane.dropped, lane.stale, lane.refused))
        epochs = tuple(self._epochs())
        if epochs == self._told_epochs:
            return StateEntry(now, tuple(changes)) if changes else None
        self._told_epochs = epochs
        return StateEntry(now, tuple(changes), epochs)
