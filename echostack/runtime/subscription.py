"""A view of a session's events for the program that embeds it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from echostack.core.errors import QueueOverflow
from echostack.core.events import Event, EventPattern
from echostack.core.kinds import Overflow
from echostack.runtime.queues import Inbox, Lane, Pressure
from echostack.runtime.wiring import Wiring


class Subscription:
    """An async iterator over the events that match, from the moment it was made to the end of the call.

    It is bounded: a reader that falls behind loses the oldest events (counted in ``dropped`` and in the session's
    statistics), holds up the call under ``overflow=block``, or
    is ended with a QueueOverflow under ``overflow=error``. Cancelling a read loses no event.
    """

    def __init__(self, patterns: Sequence[EventPattern], bound: int, overflow: Overflow) -> None:
        name = f"events({', '.join(map(str, patterns))})"
        self._patterns = tuple(patterns)
        self.lane = Lane(name, bound, overflow, Pressure())
        self._inbox = Inbox(name, self.lane.pressure)
        self._inbox.add(self.lane)
        self._stop: Callable[[], None] = _nothing
        self._error: QueueOverflow | None = None
        self.on_close: Callable[[Subscription], None] = _nothing_of

    def attach(self, wiring: Wiring, pressure: Pressure) -> None:
        """Observe from here on; a full lane that blocks holds up whoever ``pressure`` holds up."""
        self.lane.pressure = pressure
        self._stop = wiring.observe(self._patterns, self._put)

    @property
    def dropped(self) -> int:
        """Events lost because the reader fell behind."""
        return self.lane.dropped + self.lane.refused

    def _put(self, event: Event) -> None:
        try:
            self._inbox.put_media(self.lane, event)
        except QueueOverflow as error:
            # The reader's failure, not that of the node whose event it is: the reader is told, after what it has.
            self._error = error
            self.end()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await self._inbox.take()
        if event is None:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            raise StopAsyncIteration
        return event

    def end(self) -> None:
        """No more events come; those already here can still be read."""
        self._stop()
        self._inbox.close()

    def close(self) -> None:
        """Stop observing and forget what was not read."""
        self._stop()
        self._inbox.abandon()
        self.on_close(self)


def _nothing() -> None:
    """Not observing yet."""


def _nothing_of(subscription: Subscription) -> None:
    """Nobody keeps it."""
