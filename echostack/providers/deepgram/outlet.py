"""What leaves a websocket of the local Deepgram, with the fault that the exchange has to play."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from echostack.core.clock import LoopClock
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.gone import gone

_WAITING: Final = 1_000
_AGAIN_SECONDS: Final = 0.01
_PART_OF_A_FRAME: Final = b'\x81\x7e\x04\x00{"type":"Results","channel_index":[0,1],"dur'
_UNREADABLE: Final = '{"type":"Results","channel":{"alternatives":[{"transcript":"'


class Outlet:
    """Sends messages in order, each as late, as often and as badly as the fault says. ``deliver`` must run beside.

    note: is told ``sent`` and ``fault``.
    """

    def __init__(
        self, request: web.Request, socket: web.WebSocketResponse, clock: LoopClock, fault: Fault | None,
        note: Callable[..., None],
    ) -> None:  # fmt: skip
        self._request, self._socket, self._clock, self._note = request, socket, clock, note
        self._fault = fault
        self._waiting: deque[tuple[float, dict[str, Any]]] = deque()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._count = 0
        self._last = ""
        self.cut = asyncio.Event()
        """Set when the connection was cut."""
        if self._is(FaultKind.SLOW) or self._is(FaultKind.DUPLICATE) or self._is(FaultKind.ENDLESS) or self.mute:
            assert fault is not None
            note("fault", kind=fault.kind.value)

    @property
    def mute(self) -> bool:
        """Whether nothing is answered any more, pings included."""
        return self._is(FaultKind.HALF_OPEN) and self._due

    async def put(self, message: dict[str, Any]) -> None:
        """Have ``message`` sent; waits while a thousand others do."""
        late = self._fault.seconds if self._fault is not None and self._is(FaultKind.SLOW) else 0.0
        while len(self._waiting) >= _WAITING:
            self._room.clear()
            await self._room.wait()
        self._waiting.append((self._clock.now() + late, message))
        self._idle.clear()
        self._news.set()

    async def flushed(self) -> None:
        """Wait until all that was put is sent."""
        await self._idle.wait()

    async def deliver(self) -> None:
        """Send what is put, for ever."""
        try:
            while True:
                while self._waiting:
                    due, message = self._waiting.popleft()
                    self._room.set()
                    await self._clock.sleep(due - self._clock.now())
                    await self._send(message)
                self._idle.set()
                self._news.clear()
                await self._news.wait()
        except ConnectionError:  # the client has gone: whoever reads from it finds out
            self.cut.set()
        finally:
            self._idle.set()

    async def again(self) -> None:
        """Send the last message over and over, until the client goes, if that is the fault."""
        while self._is(FaultKind.ENDLESS) and not gone(self._request) and not self._socket.closed:
            await self._socket.send_str(self._last)
            await self._clock.sleep(_AGAIN_SECONDS)

    async def _send(self, message: dict[str, Any]) -> None:
        if self.mute or self.cut.is_set():
            return
        if self._is(FaultKind.CUT) and self._due:
            self._note("fault", kind="cut")
            transport = self._request.transport
            if transport is not None:
                transport.write(_PART_OF_A_FRAME)
                transport.close()
            self.cut.set()
            return
        if self._is(FaultKind.MALFORMED) and self._count == (self._fault.after if self._fault else 0):
            self._note("fault", kind="malformed")
            await self._socket.send_str(_UNREADABLE)
        self._last = json.dumps(message, ensure_ascii=False)
        for _ in range(2 if self._is(FaultKind.DUPLICATE) else 1):
            await self._socket.send_str(self._last)
        self._count += 1
        self._note("sent", **_told(message))
        if self.mute:
            self._note("fault", kind="half_open")

    def _is(self, kind: FaultKind) -> bool:
        return self._fault is not None and self._fault.kind is kind

    @property
    def _due(self) -> bool:
        return self._fault is not None and self._count >= self._fault.after


def _told(message: dict[str, Any]) -> dict[str, Any]:
    kind = message.get("type")
    if kind != "Results":
        return {"type": kind}
    flags = {name: message[name] for name in ("is_final", "speech_final", "from_finalize")}
    return {"type": kind, "text": message["channel"]["alternatives"][0]["transcript"], **flags}
