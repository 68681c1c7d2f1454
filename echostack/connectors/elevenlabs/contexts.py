"""The contexts that messages are spoken in, on one connection to ElevenLabs that is made anew when it broke."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from echostack.connectors.elevenlabs.channel import Channel
from echostack.connectors.elevenlabs.errors import NAME, Asked
from echostack.connectors.elevenlabs.settings import ElevenLabsTtsSettings
from echostack.connectors.elevenlabs.socket import Connection, Line
from echostack.core.errors import ConnectorFailure
from echostack.registry import Context

_INACTIVITY: Final = 180  # seconds, the most that the service allows
_ROOM_SECONDS: Final = 0.5  # for the service to tell the end of a context that was closed
_AGAIN_SECONDS: Final = 0.2  # before the second try to open, where the service names no time
_AGAIN_MOST: Final = 2.0  # seconds that the second try may be put off for


class Contexts:
    """Owns the connection. ``close`` ends it, and one that is just being made as well."""

    def __init__(self, settings: ElevenLabsTtsSettings, asked: Asked, context: Context) -> None:
        self._settings, self._asked, self._context, self._clock = settings, asked, context, context.clock
        self._connecting = asyncio.Lock()
        self._closed = False
        self._names = 0
        self.connection: Connection | None = None

    async def open(self) -> None:
        """Connect, so that a wrong key is known before the call begins. A service that is overloaded at this moment is
        asked once more: that must end no call."""
        self._closed = False
        try:
            await self._connected()
        except ConnectorFailure as error:
            pause = _AGAIN_SECONDS if error.retry_after is None else error.retry_after
            if not error.retryable or pause > _AGAIN_MOST:
                raise
            self._context.log(f"{error}; asked once more", wait_seconds=pause)
            await self._clock.sleep(pause)
            await self._connected()

    async def close(self) -> None:
        """Close the connection; what was posted still leaves."""
        self._closed = True
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close()

    async def channel(self, make_room: Callable[[Sequence[Channel]], None]) -> Channel:
        """A new context, on the connection or on a new one. When there are too many, ``make_room`` is asked to leave
        one of those there are, and the service waited for."""
        connection = await self._connected()
        if not connection.room:
            make_room(connection.channels)
            if not await connection.fewer(_ROOM_SECONDS):
                if any(c.reading for c in connection.channels):
                    raise ConnectorFailure(f"{NAME}: too many messages are spoken at once on one connection")
                connection.give_up(f"{self._asked.place} has no room for another context")
            connection = await self._connected()
        self._names += 1
        first: dict[str, Any] = {"text": " "}
        manner = self._manner()
        if manner:
            first["voice_settings"] = manner
        return connection.channel(f"echostack-{self._names}", first)

    async def _connected(self) -> Connection:
        async with self._connecting:
            connection = self.connection
            if connection is not None and connection.failure is None:
                return connection
            self.connection = None
            if connection is not None:
                await connection.close()
            connection = Connection(self._line(), self._clock, self._context.log)
            await connection.open()
            if self._closed:  # meanwhile, when there was no connection yet that could be closed
                await connection.close()
                raise ConnectorFailure(f"{NAME}: the call has ended", retryable=False)
            self.connection = connection
            return connection

    def _manner(self) -> Mapping[str, float]:
        s = self._settings
        given = {"stability": s.stability, "similarity_boost": s.similarity_boost, "style": s.style}
        manner = {k: v for k, v in given.items() if v is not None}
        return {**manner, "speed": s.speed} if s.speed != 1.0 else manner

    def _line(self) -> Line:
        s = self._settings
        query = {
            "model_id": s.model_id, "output_format": f"pcm_{s.rate}", "inactivity_timeout": _INACTIVITY,
            "sync_alignment": "true", "auto_mode": "true", "apply_text_normalization": s.normalization,
        }  # fmt: skip
        if s.language:
            query["language_code"] = s.language
        base = "ws" + s.base_url.removeprefix("http")
        url = f"{base}/v1/text-to-speech/{s.voice_id}/multi-stream-input?{urlencode(query)}"
        headers = {"xi-api-key": s.key}
        return Line(url, headers, s.rate, s.connect_s, s.keepalive_s, self._asked)
