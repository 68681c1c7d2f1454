"""Several speakers made one: their frames added sample by sample, each sample once, and silence where nothing comes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

_HELD = 10  # frames of one speaker that may wait for the others; the oldest goes, counted
_LATE = 2.5  # frames of time after which nobody is waited for


@dataclass(slots=True)
class _Voice:
    frames: deque[bytes] = field(default_factory=deque)
    late: bool = False  # it owes frames, and is not waited for until one comes


class Mixer:
    """Takes frames of ``samples`` samples (16-bit mono) from any number of speakers and gives one line of frames.

    With one speaker a frame is passed on as it is, at once. With more, a frame is the sum of the next frame of each,
    held to the range of 16 bits, and is given as soon as all have theirs, or two and a half frames after the first
    had: a speaker who is late counts as silent and is not waited for again before his next frame. No sample is used
    twice; what is left out is counted in ``dropped`` frames.
    """

    def __init__(self, samples: int, seconds: float) -> None:
        self._samples, self._patience = samples, _LATE * seconds
        self._voices: dict[str, _Voice] = {}
        self._since: float | None = None
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._voices)

    def add(self, voice: str) -> None:
        """A speaker; silent, and not waited for, until his first frame."""
        self._voices.setdefault(voice, _Voice(late=True))

    def remove(self, voice: str) -> None:
        """A speaker has gone, and with him what waited of his."""
        gone = self._voices.pop(voice, None)
        if gone is not None and gone.frames:
            self.dropped += len(gone.frames)
        if not self._waiting:
            self._since = None

    def push(self, voice: str, pcm: bytes, now: float) -> None:
        """A frame of ``voice``; of someone unknown it is dropped and counted."""
        known = self._voices.get(voice)
        if known is None:
            self.dropped += 1
            return
        known.late = False
        known.frames.append(pcm)
        if len(known.frames) > _HELD:
            known.frames.popleft()
            self.dropped += 1
        if self._since is None:
            self._since = now

    def take(self, now: float) -> bytes | None:
        """The next frame, or None while someone may still give his part of it."""
        if not self._waiting:
            return None
        missing = [v for v in self._voices.values() if not v.frames and not v.late]
        if missing:
            assert self._since is not None
            if now - self._since < self._patience:
                return None
            for voice in missing:
                voice.late = True
        parts = [v.frames.popleft() for v in self._voices.values() if v.frames]
        self._since = now if self._waiting else None
        return parts[0] if len(parts) == 1 else _sum(parts, self._samples)

    def due(self) -> float | None:
        """When ``take`` stops waiting; None while nothing waits."""
        return None if self._since is None else self._since + self._patience

    @property
    def _waiting(self) -> bool:
        return any(v.frames for v in self._voices.values())


def _sum(parts: list[bytes], samples: int) -> bytes:
    total = np.zeros(samples, np.int32)
    for pcm in parts:
        piece = np.frombuffer(pcm, "<i2")[:samples]
        total[: len(piece)] += piece
    return bytes(np.clip(total, -32_768, 32_767).astype("<i2").tobytes())
