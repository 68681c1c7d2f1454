"""The base of audio egresses: the far end that plays what the engine hands it, frame by frame."""

from __future__ import annotations

from abc import ABC, abstractmethod

from echostack.core.audio import AudioFormat
from echostack.core.kinds import Payload


class AudioSink(ABC):
    """The far end of an audio egress.

    The engine paces it: it writes frames of 20 ms (the last of an utterance may be shorter, and see ``stride``) so
    that never more than ``lead`` seconds are written and not yet played. Suspending clears the far end and, on
    resume, writes again from the very sample that was not played. So a sink never pauses, queues, resamples or counts
    words.

    A far end that has a channel for more than audio says what it takes by ``consumes`` in its class, the kinds of audio
    among them (``consumes = (AudioChunkStream, AudioChunk, Data)``), and gets what is no audio by ``take``.
    """

    lead: float = 0.1
    """Seconds of audio that the far end needs ahead of its playout to play without gaps."""

    stride: float = 0.02
    """Seconds of audio that one write may hold, in whole frames, up to half of ``lead``. More than a frame is for a far
    end that is better off with few long writes (a file, a simulated one): no sample sounds earlier or later for it."""

    @property
    @abstractmethod
    def format(self) -> AudioFormat:
        """The format that ``write`` takes; the engine converts to it. Fixed while open."""

    async def open(self) -> None:  # noqa: B027 - optional
        """Connect; called once before the first write, with the session's opening deadline."""

    @abstractmethod
    def write(self, pcm: bytes) -> None:
        """Take one frame for playing, synchronously. Must not block; errors are the egress node's."""

    @abstractmethod
    def clear(self) -> None:
        """Forget what has been written and not yet played, synchronously."""

    def take(self, payload: Payload) -> None:  # noqa: B027 - optional
        """Take something that is no audio, synchronously, in the step in which it was made: it does not wait behind
        audio. What belongs to an interrupted turn never comes here. Must not block; errors are the egress node's."""

    def played(self) -> int | None:
        """Samples really played since ``open``, cleared ones excluded; None to let the engine go by its clock."""
        return None

    async def close(self) -> None:  # noqa: B027 - optional
        """Release everything; called once, under the session's closing deadline, also after a failure."""
