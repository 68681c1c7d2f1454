"""The caller's audio since the last final result, kept so that it can be sent again by another connection."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from echostack.core.audio import BYTES_PER_SAMPLE
from echostack.core.events import Event


@dataclass(frozen=True, slots=True)
class _Part:
    first: int  # its first sample, counted from the beginning of the run
    pcm: bytes
    event: Event

    @property
    def end(self) -> int:
        return self.first + len(self.pcm) // BYTES_PER_SAMPLE


class HeldAudio:
    """Mono 16-bit audio with the event that each part came by. Positions are seconds from the beginning of the run.

    At most ``most_seconds`` are kept. The oldest beyond that are forgotten; what of it nobody has recognised by the
    time that a new connection needs it is counted in ``lost``.
    """

    def __init__(self, rate: int, most_seconds: float) -> None:
        self._rate, self._most = rate, int(rate * most_seconds)
        self._parts: deque[_Part] = deque()
        self._samples = 0  # heard in all
        self._settled = 0
        self._sent = 0
        self._next = 0  # the part that the next sample to send is in
        self.lost = 0.0
        """Seconds of audio that were forgotten before they were recognised."""
        self.latest: Event | None = None
        """The event of the audio sent last."""
        self.settled_by: Event | None = None
        """The event up to which all that was said is recognised for good."""

    @property
    def position(self) -> float:
        """Audio heard so far."""
        return self._samples / self._rate

    @property
    def unsettled(self) -> float:
        """Audio for which there is no final result yet."""
        return (self._samples - self._settled) / self._rate

    @property
    def behind(self) -> bool:
        """Whether audio that is still to be sent has been forgotten: this connection can get no more."""
        return self._sent < self._oldest

    @property
    def _oldest(self) -> int:
        return self._parts[0].first if self._parts else self._samples

    def add(self, pcm: bytes, event: Event) -> None:
        """More audio, as it came."""
        if pcm:
            part = _Part(self._samples, pcm, event)
            self._parts.append(part)
            self._samples = part.end
        while self._samples - self._oldest > self._most and len(self._parts) > 1:
            self._forget()

    def take(self, most: int) -> bytes:
        """The next audio to send, at most ``most`` bytes; empty when all is sent."""
        found: list[bytes] = []
        room = most
        while room > 0 and self._next < len(self._parts):
            part = self._parts[self._next]
            begin = (self._sent - part.first) * BYTES_PER_SAMPLE
            piece = part.pcm[begin : begin + room]
            found.append(piece)
            room -= len(piece)
            self._sent += len(piece) // BYTES_PER_SAMPLE
            self.latest = part.event
            if self._sent < part.end:
                break
            self._next += 1
        return b"".join(found)

    def settle(self, position: float) -> None:
        """All that was said up to ``position`` is recognised for good."""
        settled = min(round(position * self._rate), self._sent)
        if settled <= self._settled:
            return
        self._settled, self.settled_by = settled, self.event_at(position)
        while self._parts and self._parts[0].end <= self._settled and self._next > 0:
            self._forget()

    def again(self) -> float:
        """A new connection: everything since the last final result is to be sent again. Where that begins."""
        if self._oldest > self._settled:
            self.lost += (self._oldest - self._settled) / self._rate
            self._settled = self._oldest
        self._sent, self._next = self._settled, 0
        return self._settled / self._rate

    def event_at(self, position: float) -> Event | None:
        """The event whose audio ``position`` ends in, or the latest one sent when that is no longer known."""
        sample = round(position * self._rate)
        for part in reversed(self._parts):
            if part.first < sample <= part.end and part.first <= self._sent:
                return part.event
        return self.latest

    def _forget(self) -> None:
        self._parts.popleft()
        self._next = max(0, self._next - 1)
