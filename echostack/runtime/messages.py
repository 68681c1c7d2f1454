"""The ids of an agent's messages: the pieces of one message, the whole of it and its audio share one, no two
messages do."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from echostack.core.events import Event
from echostack.core.payloads import AgentMessage, AgentMessagePartial

MESSAGES = (AgentMessage, AgentMessagePartial)


class MessageIds:
    """Gives ids to one node's messages that have none. A node answers one event at a time, so it has at most one
    message under way: pieces belong to it until its last piece or its whole is out, and then another begins."""

    __slots__ = ("_cause", "_id", "_node", "_number", "_spoken")

    def __init__(self, node: str, number: Callable[[], int]) -> None:
        self._node, self._number = node, number
        self._cause = -1
        self._id = ""
        self._spoken = False  # the last piece is out: only the whole may still follow

    def named(self, message: AgentMessage | AgentMessagePartial, cause: Event) -> AgentMessage | AgentMessagePartial:
        """``message`` with an id."""
        if message.id:
            return message
        whole = isinstance(message, AgentMessage)
        if not self._id or cause.seq != self._cause or (self._spoken and not whole):
            self._id, self._cause, self._spoken = f"{self._node}#{self._number()}", cause.seq, False
        named = msgspec.structs.replace(message, id=self._id)
        if whole:
            self._id = ""
        elif message.final:  # type: ignore[union-attr]
            self._spoken = True
        return named
