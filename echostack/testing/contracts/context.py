"""What a connector is given in a suite: a view of a session, and an inbox, both in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from echostack.core.clock import Clock, Compute
from echostack.core.events import Event, event_name
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame
from echostack.registry import Turn

S = TypeVar("S")


class MemoryConversation:
    """The conversation of one suite's session: what the suite puts in."""

    def __init__(self) -> None:
        self.said: list[Turn] = []
        self.slots: dict[str, Any] = {}

    @property
    def turns(self) -> tuple[Turn, ...]:
        return tuple(self.said)


class MemoryContext:
    """A node's view of a session that is only there for it. ``emitted`` and ``logged`` keep what the connector said."""

    def __init__(self, node: str, clock: Clock, compute: Compute, shared: dict[str, Any] | None = None) -> None:
        self.node, self.session, self.choice = node, "contract", ""
        self.clock, self.compute = clock, compute
        self.random = random.Random(1)
        self.conversation = MemoryConversation()
        self.emitted: list[Payload] = []
        self.logged: list[str] = []
        self._shared: dict[str, Any] = {} if shared is None else shared
        self.live = True

    @property
    def idempotency_key(self) -> str:
        return f"{self.session}/0/{len(self.conversation.said)}"

    def emit(self, payload: Payload, *, cause: Event | None = None, port: str = "") -> None:
        self.emitted.append(payload)

    def share(self, key: str, make: Callable[[], S]) -> S:
        if key not in self._shared:
            self._shared[key] = make()
        found: S = self._shared[key]
        return found

    def log(self, message: str, **fields: Any) -> None:
        self.logged.append(f"{message} {fields}")


class MemoryInbox:
    """An inbox over payloads. Audio comes ``pace`` times as fast as it was spoken; 0 for at once.

    hold: the call goes on after the last payload. ``taken`` counts what was taken.
    """

    def __init__(
        self, payloads: Iterable[Payload], clock: Clock, *, pace: float = 1.0, hold: bool = False, first: int = 1
    ) -> None:
        self._payloads = iter(payloads)
        self._clock, self._pace, self._hold, self._first = clock, pace, hold, first
        self._begun = clock.now()
        self._audio = 0.0  # seconds of it so far
        self._next: Payload | None = None
        self._over = asyncio.Event()
        self.taken = 0

    def end(self) -> None:
        """The call is over: who waits for more is told so."""
        self._over.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events()

    async def _events(self) -> AsyncIterator[Event]:
        while True:
            try:
                event = await self.take()
            except StopAsyncIteration:
                return
            if event is not None:
                yield event

    async def take(self, timeout: float | None = None) -> Event | None:
        """The next event; None after ``timeout`` seconds without one. Cancelled, it loses none."""
        try:
            async with self._clock.timeout(timeout):
                payload = await self._arrived()
        except TimeoutError:
            return None
        self._next = None
        if isinstance(payload, AudioFrame):
            self._audio += payload.seconds
        self.taken += 1
        at = self._begun + self._audio
        name = event_name("processing", "contract", payload.__kind__.name)
        return Event(name, payload, "contract", self._first + self.taken, at)

    async def _arrived(self) -> Payload:
        if self._next is None:
            self._next = next(self._payloads, None)
        if self._next is None:
            if self._hold:
                await self._over.wait()
            raise StopAsyncIteration
        due = self._audio + (self._next.seconds if isinstance(self._next, AudioFrame) else 0.0)
        wait = self._begun + due / self._pace - self._clock.now() if self._pace else 0.0
        await self._clock.sleep(max(0.0, wait))
        return self._next
