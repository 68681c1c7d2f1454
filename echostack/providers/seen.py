"""What a local provider saw of its clients: the evidence that a connector did what it should have."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from echostack.core.clock import LoopClock

_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing seen: when (seconds since the server began), in which exchange, what, and its data without secrets.

    ``what`` is one of ``opened``, ``received``, ``sent``, ``cancelled`` (the client went before the answer was whole),
    ``closed``, ``fault``, or a word of the protocol's own (``flush``, ``finalize``, ``context closed``).
    """

    time: float
    exchange: int
    what: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Seen:
    """The last ten thousand sightings of one server, oldest first; the counts go on for ever."""

    def __init__(self, tell: Callable[[Sighting], None] | None = None) -> None:
        self._clock = LoopClock()
        self._tell = tell
        self._news = asyncio.Event()
        self.sightings: deque[Sighting] = deque(maxlen=_KEPT)
        self.counts: dict[str, int] = {}

    def note(self, exchange: int, what: str, **data: Any) -> None:
        """Add a sighting."""
        sighting = Sighting(self._clock.now(), exchange, what, data)
        self.sightings.append(sighting)
        self.counts[what] = self.counts.get(what, 0) + 1
        self._news.set()
        if self._tell is not None:
            self._tell(sighting)

    def of(self, what: str, exchange: int | None = None) -> list[Sighting]:
        """The sightings of ``what``, of one exchange or of all."""
        return [s for s in self.sightings if s.what == what and exchange in (None, s.exchange)]

    async def until(self, what: str, count: int = 1, *, seconds: float = 5.0) -> Sighting:
        """Wait until ``what`` was seen ``count`` times in all; the last of them. TimeoutError after ``seconds``."""
        async with self._clock.timeout(seconds):
            while self.counts.get(what, 0) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(what)[-1]
