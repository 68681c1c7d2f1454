"""One websocket to ElevenLabs' ``multi-stream-input``, with a channel for each context that is spoken over it.

The protocol: "Multi-Context WebSocket" of ElevenLabs' API reference, and the message types of its SDK, whose own client
for this is synchronous. What has to leave is posted without waiting, so that an interruption needs no await; one task
writes it and keeps the connection alive, another one reads.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from echostack.connectors.alongside import Alongside
from echostack.connectors.elevenlabs.channel import Channel, Piece
from echostack.connectors.elevenlabs.errors import (
    NAME,
    Asked,
    code_from_words,
    code_of,
    ends_only_the_connection,
    refused,
)
from echostack.connectors.unreachable import why_unreachable
from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure

CONTEXTS: Final = 5
"""Contexts that the service takes on one connection, closed ones included until it has told their end."""

_POLICY_VIOLATION: Final = 1008
_MESSAGE_BYTES: Final = 16 * 2**20
_MESSAGES: Final = 8  # that the library takes off the wire ahead of us
_LEFT_SECONDS: Final = 60.0  # after which a context that got no more text is taken to have been left
_LAST_SECONDS: Final = 1.0  # for the parting messages of a connection


class Broken(ConnectorFailure):
    """The connection ended, or said something that cannot be read: what was not heard may be asked for on another."""


@dataclass(frozen=True, slots=True)
class Line:
    """How to connect: the address, the headers, the sample rate in Hz, and the deadlines in seconds."""

    url: str
    headers: Mapping[str, str]
    rate: int
    connect_s: float
    keepalive_s: float
    asked: Asked


class Connection:
    """One websocket, its two tasks and its channels. ``open`` before use, ``close`` after."""

    def __init__(self, line: Line, clock: Clock, log: Callable[..., None]) -> None:
        self.clock, self.rate = clock, line.rate
        self.failure: ConnectorFailure | None = None
        """Why it is of no use any more."""
        self.dropped = 0
        """Messages for contexts that nobody hears any more."""
        self._line, self._log = line, log
        self._ws: Any = None
        self._channels: dict[str, Channel] = {}
        self._contexts: dict[str, None] = {}  # that the service has not told the end of
        self._outbox: deque[Mapping[str, Any]] = deque()
        self._to_send, self._room, self._fewer = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._held_back = False
        self._tasks: list[Alongside] = []
        self._heard_at = clock.now()
        self._pong: tuple[asyncio.Future[float], float] | None = None

    # -- its life ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect. ConnectorFailure that says what to do when the service cannot be reached, or refuses."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

        class Connect(connect):
            def process_redirect(self, exc: Exception) -> Exception:
                return exc  # another host would be given the key

        line, asked = self._line, self._line.asked
        try:
            async with self.clock.timeout(line.connect_s):
                self._ws = await Connect(
                    line.url, additional_headers=dict(line.headers), user_agent_header="echostack", compression=None,
                    max_size=_MESSAGE_BYTES, max_queue=_MESSAGES, ping_interval=None, close_timeout=_LAST_SECONDS,
                    open_timeout=None, proxy=None, logger=_silent(),
                )  # fmt: skip
        except TimeoutError:
            raise ConnectorFailure(
                f"{NAME}: {asked.place} did not take the connection within {line.connect_s:g} s"
            ) from None
        except InvalidStatus as error:
            raise _declined(asked, error.response) from None
        except (InvalidHandshake, InvalidURI, EOFError) as error:
            why = asked.redact(str(error)) or type(error).__name__
            raise ConnectorFailure(f"{NAME}: {asked.place} does not speak ElevenLabs' protocol: {why}") from None
        except OSError as error:
            why = asked.redact(why_unreachable(error))
            raise ConnectorFailure(f"{NAME}: cannot connect to {asked.place}: {why}") from None
        for work in (self._read(), self._write()):
            task = Alongside(work)
            self._tasks.append(task)
            await task.__aenter__()

    async def close(self) -> None:
        """End the tasks and the connection, within a second; what was posted still leaves if the connection stands."""
        ws, self._ws = self._ws, None
        self._fail(ConnectorFailure(f"{NAME}: the connection was closed"))
        tasks, self._tasks = self._tasks, []
        try:
            async with AsyncExitStack() as stack:  # ends each, also when the closing itself is cancelled
                for task in reversed(tasks):
                    stack.push_async_exit(task.__aexit__)
            if ws is not None:
                with suppress(Exception):  # parting words: what is wrong with them is of no use to anyone
                    async with self.clock.timeout(_LAST_SECONDS):
                        while self._outbox:
                            await ws.send(_encode(self._outbox.popleft()))
                        await ws.close()
        finally:
            if ws is not None:
                ws.transport.abort()

    # -- channels ----------------------------------------------------------------------------------------------

    @property
    def room(self) -> bool:
        """Whether the service would take another context."""
        return len(self._contexts) < CONTEXTS

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Those that were neither abandoned nor ended, oldest first."""
        return tuple(self._channels.values())

    async def fewer(self, seconds: float) -> bool:
        """Wait until there is ``room``, ``seconds`` at most; whether there is."""
        with suppress(TimeoutError):
            async with self.clock.timeout(seconds):
                while not self.room and self.failure is None:
                    self._fewer.clear()
                    await self._fewer.wait()
        return self.room

    def channel(self, name: str, first: Mapping[str, Any]) -> Channel:
        """A context under a new ``name``, begun with the message ``first``."""
        channel = Channel(self, name)
        self._channels[name] = channel
        self._contexts[name] = None
        self.post({**first, "context_id": name})
        return channel

    def post(self, message: Mapping[str, Any]) -> None:
        """Have ``message`` sent, in order. Never waits; nothing when the connection has failed."""
        if self.failure is None:
            self._outbox.append(message)
            self._to_send.set()

    def forget(self, channel: Channel) -> None:
        """Drop what still comes for a channel. For the channel."""
        if self._channels.get(channel.name) is channel:
            del self._channels[channel.name]
        self._room.set()

    def made_room(self) -> None:
        """A piece was taken. For a channel."""
        self._room.set()

    def give_up(self, why: str) -> None:
        """It is of no use any more: whoever waits for something from it is told ``why``."""
        self._fail(Broken(f"{NAME}: {why}"))
        if self._ws is not None:
            self._ws.transport.abort()

    # -- its tasks ---------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        from websockets.exceptions import ConnectionClosed

        ws = self._ws
        try:
            while True:
                await self._arrived(await ws.recv(decode=True))
        except ConnectionClosed as error:
            self._fail(self._ended(error))
        except (ConnectorFailure, ValueError, TypeError, msgspec.DecodeError) as error:
            # An unreadable message may have been audio: what it said is asked for again on another connection.
            unread = f"{NAME}: {self._line.asked.place} sent what cannot be read"
            self._fail(error if isinstance(error, ConnectorFailure) else Broken(unread))
            ws.transport.abort()

    async def _arrived(self, text: str) -> None:
        self._heard_at = self.clock.now()
        message = msgspec.json.decode(text)
        if not isinstance(message, dict):
            raise ValueError("no object")
        if message.get("error"):
            code, said = str(message["error"]), str(message.get("message") or "")
            failure = refused(self._line.asked, code, 0, said)
            raise Broken(str(failure)) if ends_only_the_connection(code) else failure
        name = str(message.get("contextId") or message.get("context_id") or "")
        channel = self._channels.get(name)
        end = bool(message.get("isFinal") or message.get("is_final"))
        if end and name in self._contexts:
            del self._contexts[name]
            self._fewer.set()
        if channel is None:
            self.dropped += 1
            return
        audio = message.get("audio")
        if audio or message.get("alignment"):
            pcm = base64.b64decode(audio, validate=True) if audio else b""
            characters, starts, ends = _times(message)
            while channel.full and channel.reading:
                self._held_back = True
                self._room.clear()
                await self._room.wait()
            self._held_back = False
            if self._channels.get(name) is not channel:
                self.dropped += 1
            elif channel.full:
                self.dropped += 1
                if not channel.closing:
                    self._log("elevenlabs.tts: audio that nobody takes is dropped", context=name)
                    channel.close()
            else:
                channel.arrived(Piece(pcm, characters, starts, ends, text))
        if end:
            channel.ended = True
            channel.arrived(Piece(end=True))
            self.forget(channel)

    async def _write(self) -> None:
        from websockets.exceptions import ConnectionClosed

        line, ws = self._line, self._ws
        try:
            while True:
                with suppress(TimeoutError):
                    async with self.clock.timeout(min(line.keepalive_s, line.connect_s if self._pong else math.inf)):
                        await self._to_send.wait()
                if not self._outbox:
                    self._look_for_pong()
                    async with self.clock.timeout(line.connect_s):
                        await self._keep_alive()
                self._to_send.clear()
                while self._outbox:
                    async with self.clock.timeout(line.connect_s):
                        await ws.send(_encode(self._outbox.popleft()))
        except TimeoutError:
            self.give_up(f"{line.asked.place} takes nothing any more")
        except ConnectionClosed:
            return  # whoever reads tells why

    async def _keep_alive(self) -> None:
        """An empty text for the connection and for each context, and a ping. A context that was left is closed."""
        ws, now = self._ws, self.clock.now()
        for channel in self.channels:
            if not channel.reading and now - channel.used > _LEFT_SECONDS:
                channel.abandon()
            elif not channel.closing:
                await ws.send(_encode({"text": "", "context_id": channel.name}))
        await ws.send(_encode({"text": ""}))
        if self._pong is None:
            self._pong = (await ws.ping(), now)

    def _look_for_pong(self) -> None:
        """Give the connection up when a ping was not answered in time."""
        if self._pong is None or self.failure is not None:
            return
        pong, asked_at = self._pong
        # Held back by a slow listener, the answer waits behind audio that is not read: that is no fault.
        if pong.done() or self._held_back or self._heard_at > asked_at:
            self._pong = None
        elif self.clock.now() - asked_at >= self._line.connect_s:
            self.give_up(f"{self._line.asked.place} does not answer any more")

    # -- its end -----------------------------------------------------------------------------------------------

    def _fail(self, failure: ConnectorFailure) -> None:
        if self.failure is None:
            self.failure = failure
            self._contexts.clear()
        for channel in self._channels.values():
            channel.failed(self.failure)
        self._channels.clear()
        self._fewer.set()
        self._room.set()

    def _ended(self, error: Any) -> ConnectorFailure:
        place, close = self._line.asked.place, error.rcvd
        if close is None:
            return Broken(f"{NAME}: the connection to {place} broke")
        code = code_from_words(close.reason) if close.code == _POLICY_VIOLATION else ""
        if code:
            return refused(self._line.asked, code, 0, close.reason)
        reason = " ".join(self._line.asked.redact(close.reason).split())
        said = f" ({reason})" if reason and reason.isprintable() else ""
        return Broken(f"{NAME}: {place} closed the connection with {close.code}{said}")


def _silent() -> logging.Logger:
    """The library's own log of a connection would hold its headers, and so the key."""
    logger = logging.Logger("echostack.elevenlabs")
    logger.disabled = True
    return logger


def _times(message: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    """The characters of a message with their starts and ends in ms; nothing where they cannot be read."""
    told = message.get("alignment") or message.get("normalizedAlignment")
    if not isinstance(told, dict):
        return (), (), ()
    try:
        characters = tuple(str(c) for c in told["chars"])
        starts = tuple(float(s) for s in told["charStartTimesMs"])
        durations = tuple(float(d) for d in told["charDurationsMs"])
    except (KeyError, TypeError, ValueError):
        return (), (), ()
    return characters, starts, tuple(s + d for s, d in zip(starts, durations, strict=False))


def _encode(message: Mapping[str, Any]) -> str:
    return msgspec.json.encode(message).decode()


def _declined(asked: Asked, response: Any) -> ConnectorFailure:
    """The failure for an HTTP answer in place of a websocket."""
    try:
        code, said = code_of(msgspec.json.decode(response.body or b"null"))
    except (msgspec.DecodeError, UnicodeError):
        code, said = "", ""
    after = str(response.headers.get("Retry-After", ""))
    return refused(asked, code, response.status_code, said, float(after) if after.isdigit() else None)
