"""Tracks that should be heard and of which nothing has come yet: a call that hears nothing is not well."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

FIRST_AUDIO: Final = 5.0
"""Seconds within which the first audio of a track comes. The SDK gives frames from the moment that it has a track,
silence included, and so at once."""


class Awaited:
    """Until when the first audio of each track is waited for, by the track's id. Times are the clock's seconds."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._came: set[str] = set()

    def update(self, audible: Collection[str], now: float) -> None:
        """These tracks, and no others, should be heard now."""
        for sid in [sid for sid in self._until if sid not in audible]:
            del self._until[sid]
        for sid in audible:
            if sid not in self._came:
                self._until.setdefault(sid, now + FIRST_AUDIO)

    def came(self, sid: str) -> None:
        """There is audio of the track."""
        if sid not in self._came:
            self._came.add(sid)
            self._until.pop(sid, None)

    def gone(self, sid: str) -> None:
        """The track is not listened to any more; under its id another may come."""
        self._came.discard(sid)
        self._until.pop(sid, None)

    def due(self) -> float | None:
        """When the patience with one of them ends; None while none is waited for."""
        return min(self._until.values(), default=None)

    def overdue(self, now: float) -> str:
        """A track of which nothing came in time; empty while there is none."""
        return next((sid for sid, until in self._until.items() if now >= until), "")
