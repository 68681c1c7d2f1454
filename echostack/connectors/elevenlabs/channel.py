"""One context of a websocket to ElevenLabs: what leaves for it, and what arrived for it and was not taken yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure

BUFFER_MS: Final = 60_000.0
"""Audio of one channel that waits to be taken; then the connection is read no further."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of audio: whole samples of 16-bit PCM, and the times of characters in ms from its beginning.

    ``source`` is the message itself, to know it again. ``end``: the context's last message; it holds no audio.
    """

    pcm: bytes = b""
    characters: tuple[str, ...] = ()
    starts: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    source: str = ""
    end: bool = False


class Host(Protocol):
    """The connection that a channel is one of."""

    clock: Clock
    rate: int
    """The sample rate of its audio in Hz."""

    def post(self, message: Mapping[str, Any]) -> None:
        """Have ``message`` sent, in order. Never waits; nothing when the connection has failed."""

    def forget(self, channel: Channel) -> None:
        """Drop what still comes for a channel."""

    def made_room(self) -> None:
        """A piece was taken, or nobody takes any more."""

    def give_up(self, why: str) -> None:
        """It is of no use any more: whoever waits for something from it is told ``why``."""


class Channel:
    """One context: what arrived for it and was not taken yet. Made by ``Connection.channel``."""

    def __init__(self, connection: Host, name: str) -> None:
        self.connection, self.name = connection, name
        self.reading = False
        """Whether a call takes from it: then a full channel holds the connection back, else what comes is dropped."""
        self.closing = False
        self.ended = False
        """Whether the service has told its end."""
        self.used = connection.clock.now()
        self.failure: ConnectorFailure | None = None
        self._pieces: deque[Piece] = deque()
        self._waiting_ms = 0.0
        self._news = asyncio.Event()
        self._torn = b""

    @property
    def full(self) -> bool:
        return self._waiting_ms >= BUFFER_MS

    def send(self, text: str, **more: Any) -> None:
        """Post ``text``, to be spoken after what was sent before."""
        self.used = self.connection.clock.now()
        self.connection.post({"text": text, "context_id": self.name, **more})

    def close(self) -> None:
        """Post the end of the context: what was flushed is still spoken, then its last message comes. Idempotent."""
        if not self.closing and not self.ended:
            self.closing = True
            self.connection.post({"context_id": self.name, "close_context": True})

    def abandon(self) -> None:
        """Close it, and drop what it has and what still comes for it. Never waits. Idempotent."""
        self.close()
        self.connection.forget(self)
        self._pieces.clear()
        self._waiting_ms = 0.0
        self.reading = False
        self._news.set()

    def rests(self) -> None:
        """Nobody takes for now."""
        self.reading = False
        self.connection.made_room()

    async def take(self, seconds: float) -> Piece | None:
        """The next piece; None when none comes within ``seconds``. Raises the failure of the connection, after the
        pieces that came before it. Cancelled, it loses none."""
        if not self._pieces and self.failure is None:
            with suppress(TimeoutError):
                async with self.connection.clock.timeout(max(0.0, seconds)):
                    while not self._pieces and self.failure is None:
                        self._news.clear()
                        await self._news.wait()
        if self._pieces:
            piece = self._pieces.popleft()
            self.used = self.connection.clock.now()
            self._waiting_ms -= self._ms(piece)
            self.connection.made_room()
            return piece
        if self.failure is not None:
            raise self.failure
        return None

    def arrived(self, piece: Piece) -> None:
        """Keep a piece for whoever takes. For the connection."""
        if piece.pcm or self._torn:
            pcm = self._torn + piece.pcm
            whole = len(pcm) // 2 * 2
            self._torn = pcm[whole:]  # a sample may be torn between two messages
            piece = Piece(pcm[:whole], piece.characters, piece.starts, piece.ends, piece.source, piece.end)
        self._pieces.append(piece)
        self._waiting_ms += self._ms(piece)
        self._news.set()

    def failed(self, failure: ConnectorFailure) -> None:
        """Nothing more comes. For the connection."""
        self.failure = self.failure or failure
        self._news.set()

    def _ms(self, piece: Piece) -> float:
        return len(piece.pcm) / 2 / self.connection.rate * 1000
