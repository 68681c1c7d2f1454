"""Which member of a ``??`` choice is used: the first that is not resting after a failure.

The circuit breaker of each member, after Nygard, "Release It!": closed (in use), open (resting for ``cooldown``
seconds after a failure), half-open (the next event is its probe: success closes it, failure opens it again).
"""

from __future__ import annotations

from echostack.core.clock import Clock


class Breaker:
    """One member's health. Time is the session's clock, so no probe can come after the session has ended."""

    __slots__ = ("_clock", "_cooldown", "_opened")

    def __init__(self, clock: Clock, cooldown: float) -> None:
        self._clock, self._cooldown = clock, cooldown
        self._opened: float | None = None

    @property
    def closed(self) -> bool:
        return self._opened is None

    @property
    def usable(self) -> bool:
        """Closed, or rested long enough for a probe."""
        return self._opened is None or self._clock.now() - self._opened >= self._cooldown

    def failed(self) -> None:
        self._opened = self._clock.now()

    def worked(self) -> bool:
        """The member answered; True when that closed an open breaker (it has recovered)."""
        was_open, self._opened = self._opened is not None, None
        return was_open
