"""The runtime's side of what connectors see: their Context, and a STREAM's Inbox."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Protocol, TypeVar

import structlog

from echostack.core.clock import Clock, Compute
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.registry import Conversation
from echostack.runtime.core import Core
from echostack.runtime.queues import Inbox

S = TypeVar("S")
Emit = Callable[[Payload, Event | None, str], None]


class Guessing(Protocol):
    """What a node sees, and where what it emits goes, while it works on a guess."""

    @property
    def conversation(self) -> Conversation:
        """The conversation as it will be if the guess is right."""

    def emitted(self, payload: Payload, cause: Event | None, port: str) -> None:
        """Take what the node emits meanwhile."""


class Work:
    """The event that one task of a node works on, shared with the tasks which that task starts.

    So what a cancelled task says in its cleanup is said for its own event, whatever the node works on by then.
    """

    __slots__ = ("context", "event", "guessing")

    def __init__(self, context: NodeContext, event: Event, guessing: Guessing | None = None) -> None:
        self.context, self.event, self.guessing = context, event, guessing


_WORK: ContextVar[Work | None] = ContextVar("echostack_work", default=None)


class NodeContext:
    """One node's Context. ``current`` is the event being worked on, which the idempotency key is made from."""

    def __init__(self, core: Core, node: str, conversation: Conversation, emit: Emit, choice: str = "") -> None:
        self.node, self.choice = node, choice
        self.session = core.session
        self.clock: Clock = core.clock
        self.compute: Compute = core.compute
        self._core = core
        self._conversation = conversation
        self.latest: Event | None = None
        self._emit = emit

    # Made when first asked for: most nodes draw nothing and log nothing, and a search opens a great many calls.

    @cached_property
    def random(self) -> random.Random:
        """The node's own generator."""
        return self._core.random_for(self.node)

    @cached_property
    def _logger(self) -> Any:
        return structlog.get_logger("echostack").bind(session=self.session, node=self.node)

    def begin(self, event: Event) -> Work:
        """Say what the running task works on from here on; the answer's ``event`` may be moved on by its owner."""
        work = Work(self, event)
        _WORK.set(work)
        self.latest = event
        return work

    def begin_guess(self, event: Event, guessing: Guessing) -> Work:
        """Say that the running task works on a guess; whatever belongs to no task is no part of that."""
        work = Work(self, event, guessing)
        _WORK.set(work)
        return work

    @property
    def _guessing(self) -> Guessing | None:
        work = _WORK.get()
        return work.guessing if work is not None and work.context is self else None

    @property
    def conversation(self) -> Conversation:
        guessing = self._guessing
        return self._conversation if guessing is None else guessing.conversation

    @property
    def current(self) -> Event | None:
        """The event of the running task; in a callback that belongs to no task of the node, the latest one."""
        work = _WORK.get()
        return work.event if work is not None and work.context is self else self.latest

    @property
    def idempotency_key(self) -> str:
        """Of the event being worked on; outside of any, of the node itself."""
        current = self.current
        return idempotency_key(self.node, current) if current else f"{self.session}-{self.node}"

    @property
    def live(self) -> bool:
        current = self.current
        return current is None or self._core.epochs.live(current)

    def emit(self, payload: Payload, *, cause: Event | None = None, port: str = "") -> None:
        # As ``current`` and ``_guessing`` have it, in one look: every frame of a simulated call leaves here.
        work = _WORK.get()
        if work is None or work.context is not self:
            self._emit(payload, cause or self.latest, port)
        elif work.guessing is None:
            self._emit(payload, cause or work.event, port)
        else:
            work.guessing.emitted(payload, cause, port)

    def share(self, key: str, make: Callable[[], S]) -> S:
        shared = self._core.shared
        if key not in shared:
            shared[key] = make()
        found: S = shared[key]
        return found

    def log(self, message: str, **fields: Any) -> None:
        self._logger.info(message, **fields)


def idempotency_key(node: str, event: Event) -> str:
    """(session, epoch, call): the call is the payload's own id when it has one, else the event's number.

    The same for every retry of one event, different for any two events, and safe in an HTTP header.
    """
    call = getattr(event.payload, "id", "") or str(event.seq)
    whole = f"{event.session}|{event.scope}.{event.epoch}|{node}|{call}"
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


class StreamInbox:
    """What a STREAM's ``run(inbox)`` iterates. Stale events never get through; the last one taken is remembered.

    Cancelling a take loses no event.
    """

    __slots__ = ("_again", "_core", "_current", "_inbox", "_on_taken", "_retired")

    def __init__(self, core: Core, inbox: Inbox, on_taken: Callable[[Event], None]) -> None:
        self._core, self._inbox, self._on_taken = core, inbox, on_taken
        self._current = core.epochs.current
        self._again: list[Event] = []
        self._retired = False

    def replay(self, events: list[Event]) -> None:
        """Hand these out first: what a failed predecessor had taken and not answered."""
        self._again = list(events)

    @property
    def unreplayed(self) -> list[Event]:
        """What was to be handed out first and has not been yet."""
        return list(self._again)

    def retire(self) -> None:
        """This run is over: it is handed nothing any more, whatever its cleanup asks for."""
        self._retired = True

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        return self._next()

    async def take(self, timeout: float | None = None) -> Event | None:
        """The next event; None when ``timeout`` seconds pass. StopAsyncIteration once the call has ended."""
        try:
            async with self._core.clock.timeout(timeout):
                return await self._next()
        except TimeoutError:
            return None

    async def _next(self) -> Event:
        inbox = self._inbox
        while not self._retired:
            event = self._again.pop(0) if self._again else inbox.take_nowait()
            if event is None:
                if inbox.closed:
                    break
                await inbox.more()
                continue
            if self._current(event):
                self._on_taken(event)
                return event
            self._core.counters.node(inbox.name).stale += 1
        raise StopAsyncIteration
