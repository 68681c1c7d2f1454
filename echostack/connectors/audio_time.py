"""The session time of a place in an audio stream, told from when its pieces arrived."""

from __future__ import annotations

from collections import deque

_PARTS, _PART_SECONDS = 4, 0.5


class AudioTime:
    """Maps positions in a stream of audio (seconds from its first sample) to seconds on the session's clock.

    The stream's first sample lies at ``offset``: the least delay seen between a position and its arrival over
    the last two seconds of audio, since a late piece tells how late it was and nothing about where the stream
    stands. So a stream that starts late, or loses pieces on the way, is followed; one that comes faster than
    real time (a file fed at once) keeps its own positions as its times.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        self._least: deque[float] = deque(maxlen=_PARTS)
        self._until = float("-inf")

    def arrived(self, position: float, now: float) -> None:
        """The audio up to ``position`` was here at ``now``."""
        delay = max(0.0, now - position)
        if position >= self._until or not self._least:
            self._least.append(delay)
            self._until = position + _PART_SECONDS
        elif delay < self._least[-1]:
            self._least[-1] = delay
        self.offset = min(self._least)

    def at(self, position: float) -> float:
        """The session time of ``position``, to the microsecond."""
        return round(position + self.offset, 6)
