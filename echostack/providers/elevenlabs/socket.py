"""The two websockets of a local ElevenLabs: ``stream-input`` with one context, ``multi-stream-input`` with several.

The protocol is that of the pages "WebSocket" and "Multi-Context WebSocket" of ElevenLabs' API reference, its messages
those of the types of the same names in the SDK. What the pages leave open (the words of errors, that a flush opens an
unknown context) is as users of the real service report it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from aiohttp import WSMsgType, web

from echostack.core.clock import Clock
from echostack.providers.elevenlabs import errors
from echostack.providers.elevenlabs.context import SCHEDULE, Manner, SpeakingContext
from echostack.providers.elevenlabs.errors import Refusal
from echostack.providers.elevenlabs.wire import Cut, SocketWire
from echostack.providers.seen import Seen

CONTEXTS: Final = 5
"""Contexts that one connection may have at a time, those included that are closed and still speaking."""

_DEFAULT: Final = "default"
_ABANDONED: Final = 1006


class SpeakingSocket:
    """One websocket from its opening to its end. ``keyed``: the key came with the request."""

    def __init__(
        self, ws: web.WebSocketResponse, wire: SocketWire, manner: Manner, *, multi: bool, keyed: bool,
        quiet: float, admit: Any, clock: Clock, seen: Seen,
    ) -> None:  # fmt: skip
        self._ws, self._wire, self._manner, self._multi, self._keyed = ws, wire, manner, multi, keyed
        self._quiet, self._admit, self._clock, self._seen = quiet, admit, clock, seen
        self._contexts: dict[str, SpeakingContext] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    async def run(self) -> None:
        """Serve the connection until it ends."""
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    await self._read(group)
                finally:
                    for task in self._tasks.values():
                        task.cancel()
        except* Cut:
            pass
        except* Refusal as group_of:
            refusal = next(_leaves(group_of))
            assert isinstance(refusal, Refusal)
            self._seen.note(self._wire.exchange, "refused", code=refusal.code)
            with suppress(ConnectionError):
                await self._ws.send_json(refusal.frame())
                await self._ws.close(code=errors.POLICY_VIOLATION, message=refusal.message.encode()[:120])
        except* ConnectionError:
            pass
        code = self._ws.close_code or _ABANDONED
        if any(c.busy for c in self._contexts.values()):
            self._seen.note(self._wire.exchange, "cancelled")
        self._seen.note(self._wire.exchange, "closed", code=code)

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while not self._ws.closed:
            if self._wire.dead:
                await self._wire.hang()
            message = await self._next()
            if message is None:
                return
            if message.get("close_socket"):
                self._seen.note(self._wire.exchange, "close socket")
                await self._end()
                return
            await self._take(message, group)
            if self._closing:
                await self._end()
                return

    async def _next(self) -> Mapping[str, Any] | None:
        """The client's next message; None when the connection has ended. Contexts that hear nothing are closed."""
        while True:
            open_ones = [c for c in self._contexts.values() if not c.closing]
            since = max((c.heard_at for c in open_ones), default=None)
            try:
                async with self._clock.timeout(self._quiet):
                    frame = await self._ws.receive()
            except TimeoutError:
                if since is not None and any(c.busy for c in open_ones):
                    continue
                raise errors.too_quiet(self._quiet) from None
            break
        if frame.type is not WSMsgType.TEXT:
            if frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return None
            raise errors.invalid("Could not parse input message, make sure it is a json.")
        try:
            message = json.loads(frame.data)
        except ValueError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("text", ""), str | None):
            raise errors.invalid("Could not parse input message, make sure it is a json and follows the schema.")
        return message

    async def _take(self, message: Mapping[str, Any], group: asyncio.TaskGroup) -> None:
        if not self._keyed:
            self._keyed = any(message.get(k) for k in ("xi_api_key", "xi-api-key", "authorization"))
            if not self._keyed:
                raise errors.no_key()
        name = str(message.get("context_id") or message.get("contextId") or _DEFAULT) if self._multi else _DEFAULT
        for idle in [c for c in self._contexts.values() if c.name is not None and not c.closing and not c.busy]:
            if self._clock.now() - idle.heard_at > self._quiet and idle.name != name:
                await idle.close()
        context = self._contexts.get(name)
        if message.get("close_context"):
            if context is not None:
                await context.close()
            return
        text = message.get("text") or ""
        self._admit(text)
        if context is None or context.closing:
            # An empty text keeps the connection alive; a flush of a context that is not there opens it.
            if not text and not message.get("flush"):
                self._seen.note(self._wire.exchange, "keep alive")
                return
            context = self._opened(name, message, group)
        if not self._multi and message.get("text") == "":
            await context.close(spoken=True)
            self._closing = True
            return
        await context.take(message)

    def _opened(self, name: str, message: Mapping[str, Any], group: asyncio.TaskGroup) -> SpeakingContext:
        if sum(1 for t in self._tasks.values() if not t.done()) >= CONTEXTS:
            raise errors.too_many_contexts(CONTEXTS)
        schedule = _schedule(message)
        context = SpeakingContext(
            name if self._multi else None, self._manner, schedule, self._wire, clock=self._clock, seen=self._seen
        )
        settings = message.get("voice_settings") or {}
        self._seen.note(self._wire.exchange, "context opened", context=name, voice_settings=settings)
        self._contexts[name] = context
        # A context of the same name that still speaks keeps its task under a name of its own.
        before = self._tasks.pop(name, None)
        if before is not None and not before.done():
            self._tasks[f"{name} #{len(self._tasks)} before"] = before
        self._tasks[name] = group.create_task(self._run(name, context))
        return context

    async def _run(self, name: str, context: SpeakingContext) -> None:
        await context.run()
        if self._contexts.get(name) is context:
            del self._contexts[name]
            self._tasks.pop(name, None)

    async def _end(self) -> None:
        """Finish what is being spoken, then close."""
        for context in list(self._contexts.values()):
            await context.close()
        running = [t for t in self._tasks.values() if not t.done()]
        if running:
            await asyncio.wait(running)
        await self._ws.close()


def _schedule(message: Mapping[str, Any]) -> tuple[float, ...]:
    config = message.get("generation_config") or message.get("generator_config") or {}
    given = config.get("chunk_length_schedule") or SCHEDULE
    if not all(isinstance(n, int | float) and 50 <= n <= 500 for n in given):
        raise errors.invalid("Each item of chunk_length_schedule should be in the range 50-500.")
    return tuple(given)


def _leaves(group: BaseExceptionGroup[Any]) -> Any:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
