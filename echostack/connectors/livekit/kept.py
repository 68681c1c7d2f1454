"""Audio sources that the SDK does not let go of, kept for the next call.

When the server ends a room in which a track is published, the SDK's native side closes the connection before it takes
the track back, and then cannot: the track keeps its source, and the source its thread, whatever becomes of their
handles. Such a source is whole, so the next call speaks through it, and there are never more of these threads than
there were calls at once.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from livekit import rtc

_MOST: Final = 256  # of one format; one more is released, and its thread left to the SDK


class KeptSources:
    """A process's free list. A source is one format's: ``rate`` in Hz and the size of its queue in milliseconds."""

    def __init__(self) -> None:
        self._free: dict[tuple[int, int], list[rtc.AudioSource]] = {}
        self._lock = threading.Lock()  # a process may have an event loop in each of several threads

    def __len__(self) -> int:
        """How many are kept and not in use."""
        with self._lock:
            return sum(len(sources) for sources in self._free.values())

    def take(self, rate: int, queue_ms: int) -> tuple[rtc.AudioSource, bool]:
        """A kept one, emptied, or a new one, for the running event loop; and whether it was kept, for the SDK still
        holds such a one however this call ends."""
        from livekit import rtc

        with self._lock:
            free = self._free.get((rate, queue_ms))
            source = free.pop() if free else None
        if source is None:
            return rtc.AudioSource(rate, 1, queue_size_ms=queue_ms), False
        source.clear_queue()
        source._loop = asyncio.get_running_loop()  # what it waits with; the loop that it was made in may be closed
        return source, True

    async def put(self, rate: int, queue_ms: int, source: rtc.AudioSource) -> None:
        """Keep ``source``, which nobody uses any more and nothing is on its way to."""
        source.clear_queue()
        with self._lock:
            free = self._free.setdefault((rate, queue_ms), [])
            if len(free) < _MOST:
                free.append(source)
                return
        await source.aclose()


KEPT: Final = KeptSources()
