"""The conversation of one session: what was said by whom, as it was heard, and the facts that connectors noted."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from echostack.core.payloads import Text
from echostack.registry.context import Turn

CALLER, AGENT = "caller", "agent"


@dataclass(frozen=True, slots=True)
class ConversationSnapshot:
    """The conversation at one instant; nothing that happens later changes it."""

    turns: tuple[Turn, ...]
    slots: Mapping[str, Any]
    dropped: int


class SessionConversation:
    """Implements ``registry.context.Conversation``.

    Turns stand in the order in which they ended. At most ``limit`` of them are kept; the oldest goes for a new one,
    and ``dropped`` counts those gone. Used on the session's loop only.
    """

    __slots__ = ("_slots", "_snapshot", "_turns", "dropped")

    def __init__(self, limit: int = 1000) -> None:
        if limit < 1:
            raise ValueError("a conversation keeps at least one turn")
        self._turns: deque[Turn] = deque(maxlen=limit)
        self._snapshot: tuple[Turn, ...] | None = ()
        self._slots: dict[str, Any] = {}
        self.dropped = 0

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Oldest first; a tuple that never changes, the same one until a turn is added."""
        if self._snapshot is None:
            self._snapshot = tuple(self._turns)
        return self._snapshot

    @property
    def slots(self) -> dict[str, Any]:
        """Shared facts of the call, writable; JSON data only."""
        return self._slots

    def caller_said(self, text: Text) -> Turn | None:
        """Record a whole turn of the caller; None, and nothing recorded, when it has no words."""
        return self._add(Turn(CALLER, text.text.strip(), text.start, text.end))

    def agent_was_heard(
        self, text: str, start: float, end: float, *, cut: bool = False, utterance: str = ""
    ) -> Turn | None:
        """Record what was played of an utterance; None, and nothing recorded, when no word of it was heard."""
        return self._add(Turn(AGENT, text.strip(), start, end, cut, utterance))

    def snapshot(self) -> ConversationSnapshot:
        """Everything as it stands now, slots copied to their depth."""
        return ConversationSnapshot(self.turns, MappingProxyType(copy.deepcopy(self._slots)), self.dropped)

    def _add(self, turn: Turn) -> Turn | None:
        if not turn.text:
            return None
        if len(self._turns) == self._turns.maxlen:
            self.dropped += 1
        self._turns.append(turn)
        self._snapshot = None
        return turn
