"""One request at a local model server, from its first byte to its last, with the fault that it meets on the way.

The protocol is the vendor's own: what is admitted, which events an answer has and what their headers are. How an answer
leaves, whole or as a stream of events, and what goes wrong with it, is the same for every vendor and stands here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Protocol

from aiohttp import web

from echostack.providers.faults import FaultKind
from echostack.providers.gone import while_connected
from echostack.providers.server import ProviderServer

_WRITTEN: Final = 0.005  # seconds for what was written to be on its way before the connection is broken


class Cut(Exception):
    """The server broke the connection on purpose: there is nothing more to say."""


class Counted(Protocol):
    """The events of an answer: ``tokens`` is how many of them are text so far."""

    tokens: int


class Exchange(ABC):
    """One exchange of a model server. ``serve`` is all that the server asks of it."""

    unreadable: ClassVar[bytes]
    """An event that cannot be read, in the form of the vendor's events."""

    def __init__(self, server: ProviderServer, request: web.Request) -> None:
        self.seen, self.clock, self.request = server.seen, server.clock, request
        self._server = server
        self.number = server.next_exchange()
        self.fault = server.faults.next()
        self.response: web.StreamResponse | None = None
        self.events: Counted | None = None
        """Those of the answer, once it is admitted."""
        self.tokens = 0
        """How many the client was sent."""
        self.sent = 0
        """Events of the stream that have left."""
        self.silent = False
        """Whether nothing leaves any more, although the connection stands."""

    @abstractmethod
    async def run(self) -> None:
        """Answer, or refuse."""

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """What the vendor's answers have in their heads."""

    async def serve(self) -> web.StreamResponse:
        """What the client gets. Ends when it has gone, and tells what came of it as ``closed`` or ``cancelled``."""
        self._server.open += 1
        try:
            whole = await while_connected(self.request, self.clock, self.run())
            self.seen.note(self.number, "closed" if whole else "cancelled", tokens=self.tokens)
        finally:
            self._server.open -= 1
        return self.response or web.Response()

    def _told(self, event: Any) -> None:
        """Note that ``event`` has left."""
        self.tokens = self.events.tokens if self.events is not None else 0
        self.seen.note(self.number, "sent", event=event)

    # -- how an answer leaves ------------------------------------------------------------------------------------

    async def send(self, data: bytes, event: Any) -> None:
        """One event of the stream, told as ``event``, or what goes wrong in its place."""
        due = self.fault is not None and self.sent >= self.fault.after
        await self._late()
        if due:
            await self._dead()
        response = self.response
        if response is None:
            kind = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
            response = self.response = web.StreamResponse(headers={**self.headers(), **kind})
            await response.prepare(self.request)
        if due and self.meets(FaultKind.CUT):
            await response.write(data[: len(data) // 2])
            await self._cut()
        if due and self.meets(FaultKind.MALFORMED):
            self.fault = None
            await response.write(self.unreadable)
        await response.write(data)
        if self.meets(FaultKind.DUPLICATE):
            await response.write(data)
        self.sent += 1
        self._told(event)

    async def again(self, data: bytes, event: Any) -> None:
        """The last event of an answer that has no end, as long as the fault says so."""
        while self.meets(FaultKind.ENDLESS):
            await self.send(data, event)
            await self.clock.sleep(_WRITTEN)

    async def finish(self) -> None:
        """The end of the stream."""
        assert self.response is not None
        await self.response.write_eof()

    async def send_whole(self, body: bytes, event: Any) -> None:
        """The answer in one piece, told as ``event``, or what goes wrong in its place."""
        await self._late()
        await self._dead()
        response = self.response = web.StreamResponse(headers={**self.headers(), "Content-Type": "application/json"})
        await response.prepare(self.request)
        while self.meets(FaultKind.ENDLESS):
            await response.write(b" ")
            await self.clock.sleep(_WRITTEN)
        if self.meets(FaultKind.CUT):
            await response.write(body[: len(body) // 2])
            await self._cut()
        await response.write(body[:-1] if self.meets(FaultKind.MALFORMED) else body)
        self._told(event)
        await response.write_eof()

    def hint(self) -> dict[str, str]:
        """When to come again, where the fault is that there were too many requests; else nothing."""
        if self.fault is None or self.fault.kind is not FaultKind.RATE_LIMITED:
            return {}
        seconds = self.fault.seconds
        return {"retry-after": str(math.ceil(seconds)), "retry-after-ms": f"{seconds * 1000:.0f}"}

    # -- what goes wrong -----------------------------------------------------------------------------------------

    def meets(self, kind: FaultKind) -> bool:
        """Whether this exchange was given that fault."""
        return self.fault is not None and self.fault.kind is kind

    async def _late(self) -> None:
        if self.fault is not None and self.fault.kind is FaultKind.SLOW:
            await self.clock.sleep(self.fault.seconds)

    async def _dead(self) -> None:
        """Nothing more, for ever, when that is the fault."""
        while self.meets(FaultKind.HALF_OPEN):
            self.silent = True
            await self.clock.sleep(3600.0)

    async def _cut(self) -> None:
        """Break the connection, as a network does: no end of the answer, no farewell."""
        await self.clock.sleep(_WRITTEN)
        if self.request.transport is not None:
            self.request.transport.abort()
        raise Cut
