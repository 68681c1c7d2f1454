"""What a running connector is given, and the few shapes in which it may answer.

The runtime implements these protocols; connectors import them and nothing above.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from echostack.core.clock import Clock, Compute
from echostack.core.events import Event
from echostack.core.kinds import Payload

T_co = TypeVar("T_co", bound=Payload, covariant=True)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Out:
    """An output with more to say than its payload: which event caused it, and by which port it leaves.

    Without ``cause`` an output belongs to the event being worked on (for a STREAM, the one last taken).
    """

    payload: Payload
    cause: Event | None = None
    port: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """Pass the event being worked on through unchanged, name and all, by ``port``."""

    port: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One entry of the conversation: who (``caller`` or ``agent``) said what, when (session seconds).

    For the agent, ``text`` is only what was played; ``cut`` says that it was interrupted.
    """

    role: str
    text: str
    start: float
    end: float
    cut: bool = False
    utterance: str = ""


class Conversation(Protocol):
    """What was said so far in this call, and the slots that connectors filled. One for all nodes of a session."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Oldest first; an immutable snapshot."""

    @property
    def slots(self) -> dict[str, Any]:
        """Shared facts of the call (a name, a date); writable by any connector, JSON data only."""


class Inbox(Protocol, Generic[T_co]):
    """The events that reach a STREAM connector, as an async iterator of ``Event``; it ends when the call does.

    Every event taken is of the current epoch. Cancelling a ``take`` loses no event.
    """

    def __aiter__(self) -> AsyncIterator[Event]: ...

    async def take(self, timeout: float | None = None) -> Event | None:
        """The next event; None when ``timeout`` seconds pass without one. StopAsyncIteration at the end."""


class Context(Protocol):
    """A connector's view of the session that it works for."""

    node: str
    session: str
    choice: str
    """The ``a ?? b`` that the node is a member of; empty for a node that stands alone."""
    clock: Clock
    compute: Compute
    random: random.Random

    @property
    def conversation(self) -> Conversation:
        """The session's; while the node works on a guess, as it will be if the guess is right."""

    @property
    def idempotency_key(self) -> str:
        """Identifies the effect of the event being worked on; the same for every retry of it."""

    @property
    def live(self) -> bool:
        """Whether the turn that the event being worked on belongs to still counts. False for what outlived an
        interruption (a tool's result): it may be kept, and what is said for it would go nowhere."""

    def emit(self, payload: Payload, *, cause: Event | None = None, port: str = "") -> None:
        """Send an output from a callback, synchronously. One of an abandoned epoch is dropped and counted.

        Must be called on the session's event loop.
        """

    def share(self, key: str, make: Callable[[], S]) -> S:
        """The session's one object under ``key``, made by the first node that asks: the room that the two ends of a
        transport are in. Begin ``key`` with the vendor. Who uses it opens and closes it; the engine keeps it, no more.
        """

    def log(self, message: str, **fields: Any) -> None:
        """A structured log line that carries session and node; never pass a secret."""


@runtime_checkable
class Resettable(Protocol):
    """A STREAM connector that outlives an interruption: told of it synchronously instead of being cancelled."""

    def interrupted(self) -> None: ...
