"""How a local ElevenLabs sends: the messages of one exchange in order, with whatever fault the exchange was given."""

from __future__ import annotations

import asyncio
import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from echostack.core.clock import Clock
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.seen import Seen

_REPEAT_SECONDS: Final = 0.002  # between two repetitions of an endless answer
_LOOK_SECONDS: Final = 0.01  # between two looks whether a client that is not served has gone
_BROKEN_JSON: Final = '{"audio": "AAAA'
_BROKEN_BASE64: Final = "*this is not base64*"


class Cut(Exception):
    """The connection was broken on purpose."""


class Wire(ABC):
    """Sends messages and counts them; a fault strikes on its way.

    One message at a time leaves, in the order in which ``send`` was called.
    """

    def __init__(
        self, request: web.Request, exchange: int, fault: Fault | None, clock: Clock, seen: Seen
    ) -> None:  # fmt: skip
        self._request = request
        self.exchange = exchange
        self.sent = 0
        self._fault, self._clock, self._seen = fault, clock, seen
        self._turn = asyncio.Lock()
        self._told = False
        self._last: dict[str, Any] | None = None

    def plays(self, kind: FaultKind) -> bool:
        """Whether this exchange was given that fault."""
        return self._fault is not None and self._fault.kind is kind

    @property
    def dead(self) -> bool:
        """Whether nothing is read and nothing sent any more, although the connection stands."""
        return self.plays(FaultKind.HALF_OPEN) and self._fault is not None and self.sent >= self._fault.after

    def strikes(self) -> None:
        """The fault shows: noted once."""
        if not self._told and self._fault is not None:
            self._told = True
            self._seen.note(self.exchange, "fault", kind=self._fault.kind.value)

    async def send(self, message: Mapping[str, Any]) -> None:
        """One message. ``Cut`` when the connection breaks instead; for ever when it is half open."""
        async with self._turn:
            await self._send(dict(message))

    async def hang(self) -> None:
        """Do nothing until the client has gone; then ``Cut``."""
        self.strikes()
        while self._request.transport is not None:
            await self._clock.sleep(_LOOK_SECONDS)
        raise Cut

    async def endless(self) -> None:
        """Send the last message again and again until whoever awaits this is cancelled; ``Cut`` when nobody listens."""
        self.strikes()
        while self._last is not None and self._request.transport is not None:
            await self._text(json.dumps(self._last))
            await self._clock.sleep(_REPEAT_SECONDS)
        raise Cut

    async def _send(self, message: dict[str, Any]) -> None:
        fault = self._fault
        if self.dead:
            await self.hang()
        if fault is not None and fault.kind is FaultKind.SLOW:
            self.strikes()
            await self._clock.sleep(fault.seconds)
        text = json.dumps(message)
        if fault is not None and fault.kind is FaultKind.CUT and self.sent >= fault.after:
            self.strikes()
            await self._cut(text)
            raise Cut
        if fault is not None and fault.kind is FaultKind.MALFORMED and self.sent == fault.after:
            self.strikes()
            await self._text(_BROKEN_JSON)
            name = next((k for k in message if k.startswith("audio")), "audio")
            await self._text(json.dumps({**message, name: _BROKEN_BASE64}))
        await self._text(text)
        if self.plays(FaultKind.DUPLICATE):
            self.strikes()
            await self._text(text)
        self.sent += 1
        self._last = message

    @abstractmethod
    async def _text(self, text: str) -> None:
        """One message, as it is."""

    @abstractmethod
    async def _cut(self, text: str) -> None:
        """The beginning of one message, and the end of the connection."""


class SocketWire(Wire):
    """Messages of a websocket."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request, *parts: Any) -> None:
        super().__init__(request, *parts)
        self._ws = ws

    async def _text(self, text: str) -> None:
        if not self._ws.closed:
            await self._ws.send_str(text)

    async def _cut(self, text: str) -> None:
        transport = self._request.transport
        if transport is not None:
            data = text.encode()
            # A final text frame that says how long it is, and half of what it says (RFC 6455, section 5.2).
            transport.write(b"\x81\x7f" + len(data).to_bytes(8, "big") + data[: len(data) // 2])
            transport.close()


class LineWire(Wire):
    """Lines of JSON in the body of a chunked answer."""

    def __init__(self, response: web.StreamResponse, request: web.Request, *parts: Any) -> None:
        super().__init__(request, *parts)
        self._response = response

    async def _text(self, text: str) -> None:
        await self._response.write(text.encode() + b"\n")

    async def _cut(self, text: str) -> None:
        await self._response.write(text.encode()[: len(text) // 2])
        if self._request.transport is not None:
            self._request.transport.close()


class AudioWire(LineWire):
    """Audio as it is in the body of a chunked answer."""

    async def _text(self, text: str) -> None:
        try:
            data = base64.b64decode(json.loads(text)["audio"], validate=True)
        except (ValueError, KeyError):
            data = text.encode()  # what cannot be read is sent all the same
        await self._response.write(data)
