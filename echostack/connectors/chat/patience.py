"""How long a model's answer is waited for: a connection that stands and brings nothing must not hold up a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure

T = TypeVar("T")


class Patience:
    """The deadlines of one answer, counted from when this is made.

    first: seconds until it begins, and the longest that it may go without getting on. between: seconds from one piece
    to the next; what only shows that the far end lives (``alive`` gives a number that has changed) counts against
    ``first`` and not against ``between``. name: of whoever waits, for the message.
    """

    def __init__(self, name: str, clock: Clock, *, first: float, between: float) -> None:
        self._name, self._clock = name, clock
        self._first, self._between = first, between
        self._since = clock.now()
        self._begun = False
        self.alive: Callable[[], int] = int

    def got_on(self) -> None:
        """A piece of the answer came."""
        self._since, self._begun = self._clock.now(), True

    async def begin(self, request: Awaitable[T]) -> T:
        """The request's response. ConnectorFailure, retryable, when it does not come in time."""
        try:
            async with self._clock.timeout(max(0.0, self._since + self._first - self._clock.now())):
                return await request
        except TimeoutError:
            raise self._failure() from None

    async def next(self, source: AsyncIterator[T]) -> T:
        """The next of what the far end sends. StopAsyncIteration at its end; ConnectorFailure, retryable, when nothing
        comes in time."""
        clock, last = self._clock, self._since + self._first
        beats = self.alive()
        try:
            async with clock.timeout(max(0.0, last - clock.now())) as limit:
                when = limit.when()
                timer: asyncio.TimerHandle | None = None

                def look() -> None:
                    nonlocal beats, timer
                    if self.alive() == beats:
                        # Already due, in whatever time the loop counts: the deadline less all that it had.
                        limit.reschedule((when or 0.0) - self._first - 1.0)
                        return
                    beats = self.alive()
                    timer = clock.call_later(self._between, look)

                if self._begun:
                    timer = clock.call_later(self._between, look)
                try:
                    return await anext(source)
                finally:
                    if timer is not None:
                        timer.cancel()
        except TimeoutError:
            raise self._failure() from None

    def _failure(self) -> ConnectorFailure:
        if self._begun:
            return ConnectorFailure(f"{self._name}: the model stopped in its answer and sent nothing more in time")
        return ConnectorFailure(f"{self._name}: the model did not begin its answer within {self._first:g} s")
