"""What one guess is made of: the words that it holds for the whole turn, the answers that were made for it, and the
conversation as those who answer see it. All of it is used on one event loop only."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioChunk, AudioChunkStream, Text, Usage
from echostack.registry import Forward, Out, Turn
from echostack.runtime.context import NodeContext, Work
from echostack.runtime.conversation import CALLER, SessionConversation
from echostack.runtime.stats import Counters

HELD_ANSWERS = 256
"""Answers made ahead by one node that may wait; it waits for room before the next one."""

HELD_SECONDS = 10.0
"""Seconds of audio that may wait in the same way."""

_MARKS = ".,;:!?…¿¡\"'“”„‘’«»()[]。，、！？：；"
_DASHES = "-–—"

Entry = tuple[Payload | None, Event, str]
"""One answer: its payload (None for what is passed through), the event that it belongs to, its port."""


def words_of(text: str) -> tuple[str, ...]:
    """What two texts must have in common to be the same turn: words without case, blanks and the marks of sentences.

    Marks count inside a word (``3.5``), and so do signs that say something (``C++``, ``$5``).
    """
    bare = (w.strip(_MARKS).casefold() for w in text.split())
    return tuple(w for w in bare if w.strip(_DASHES))


class GuessedConversation:
    """Implements ``registry.context.Conversation``: the session's, with the guessed turn as its last one, and a copy of
    the slots. Once the guess is right (``settle``) it is the session's own, and what was changed in the copy counts."""

    def __init__(self, real: SessionConversation, text: Text) -> None:
        self._real = real
        self._turn = Turn(CALLER, text.text.strip(), text.start, text.end)
        self._seen: tuple[Turn, ...] | None = None
        self._before: dict[str, Any] | None = None
        self._slots: dict[str, Any] = {}
        self._same = True
        self._settled = False

    @property
    def turns(self) -> tuple[Turn, ...]:
        if self._settled:
            return self._real.turns
        if self._seen is None:
            self._seen = self._real.turns
        self._same = self._same and self._seen == self._real.turns
        return (*self._real.turns, self._turn)

    @property
    def slots(self) -> dict[str, Any]:
        if self._before is None:
            if self._settled:
                return self._real.slots
            self._before = copy.deepcopy(self._real.slots)
            self._slots = copy.deepcopy(self._before)
        return self._slots

    @property
    def holds(self) -> bool:
        """Whether what was read of it is what is there now that the caller's turn is heard."""
        turns = self._seen is None or self._real.turns[:-1] == self._seen
        return self._same and turns and (self._before is None or self._real.slots == self._before)

    def settle(self) -> None:
        """The guess is right: bring what was changed in the slots since the last time into the session's."""
        self._settled = True
        if self._before is None or self._slots == self._before:
            return
        for name in [n for n in self._before if n not in self._slots]:
            self._real.slots.pop(name, None)
        for name, value in self._slots.items():
            if name not in self._before or self._before[name] != value:
                self._real.slots[name] = copy.deepcopy(value)
        self._before = copy.deepcopy(self._slots)


class Held:
    """How much one node has made ahead that waits."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._answers, self._seconds = 0, 0.0
        self._less = asyncio.Event()

    def count(self, payload: Payload | None, by: int) -> None:
        """One answer more (1) or less (-1)."""
        self._answers += by
        if isinstance(payload, AudioChunk | AudioChunkStream):
            self._seconds += by * payload.seconds
        if by < 0:
            self._less.set()

    def spent(self, node: str, payload: Payload | None) -> None:
        """Count what ``node`` used for nothing: a provider counts what it was asked on a wrong guess all the same."""
        if isinstance(payload, Usage):
            self._counters.used(node, payload)

    async def room(self) -> None:
        """Wait until one answer more may be made."""
        while self._answers >= HELD_ANSWERS or self._seconds >= HELD_SECONDS:
            self._less.clear()
            await self._less.wait()


class Prepared:
    """The answers to one guessed event, as they come, for the event that it may turn out to be."""

    def __init__(self, payload: Payload, event: Event, conversation: GuessedConversation, held: Held) -> None:
        self.payload, self.event, self.view, self._held = payload, event, conversation, held
        self.since = event.time
        self.member = ""
        self.started = self.over = False
        self.error: Exception | None = None
        self.entries: deque[Entry] = deque()
        self._work: Work | None = None
        self._undo: Callable[[], None] | None = None
        self._given_up = False
        self._stirred = asyncio.Event()

    # -- while it is made --------------------------------------------------------------------------------------

    @property
    def conversation(self) -> GuessedConversation:
        return self.view

    def begin(self, member: str, target: Any, context: NodeContext) -> None:
        """``member`` is asked from here on, in the running task."""
        self.member, self.started = member, True
        self._undo = memory_of(target, context)
        self._work = context.begin_guess(self.event, self)

    def emitted(self, payload: Payload, cause: Event | None, port: str) -> None:
        """What the node emits waits in its place among what it answers."""
        self.put((payload, cause or self.event, port))

    def put(self, entry: Entry) -> None:
        """One answer more; of a guess that was given up only what it cost counts."""
        if self._given_up:
            self._held.spent(self.member, entry[0])
        else:
            self.entries.append(entry)
            self._held.count(entry[0], 1)
            self._stirred.set()

    def end(self, error: Exception | None = None) -> None:
        """No more answers come."""
        self.error, self.over = error, True
        self._stirred.set()

    # -- when the guess was right ------------------------------------------------------------------------------

    def claim(self, event: Event) -> None:
        """It is for ``event``: whatever its maker does from here on belongs to that."""
        self.view.settle()
        if self._work is not None:
            self._work.event = self._work.context.latest = event

    def take(self, event: Event) -> Out | Forward:
        """The oldest answer, made for ``event``."""
        payload, cause, port = self.entries.popleft()
        self._held.count(payload, -1)
        self.view.settle()
        if payload is None:
            return Forward(port)
        payload = _renamed(payload, getattr(self.payload, "id", ""), getattr(event.payload, "id", ""))
        return Out(payload, event if cause is self.event else cause, port)

    def release(self) -> None:
        """All is given out: what tasks of the node's own still emit goes its ordinary way."""
        if self._work is not None:
            self._work.guessing = None

    async def more(self) -> None:
        """Wait for an answer, or for the end of them."""
        while not self.entries and not self.over:
            self._stirred.clear()
            await self._stirred.wait()

    # -- when it was not ---------------------------------------------------------------------------------------

    def give_up(self) -> int:
        """Drop everything there is and will be; how many answers that was."""
        self._given_up = True
        dropped = len(self.entries)
        while self.entries:
            payload = self.entries.popleft()[0]
            self._held.count(payload, -1)
            self._held.spent(self.member, payload)
        return dropped

    def put_back(self) -> None:
        """Put the node's memory back to where it was before. Raises what the connector's ``restore`` does."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()


def memory_of(target: Any, context: NodeContext | None) -> Callable[[], None]:
    """What puts a connector's memory, and its randomness, back to where they are now."""
    restore = getattr(target, "restore", None)
    kept = target.snapshot() if callable(restore) and callable(getattr(target, "snapshot", None)) else None
    drawn = context.random.getstate() if context is not None else None

    def undo() -> None:
        if context is not None and drawn is not None:
            context.random.setstate(drawn)
        if callable(restore):
            restore(kept)

    return undo


def same(guessed: Payload, real: Payload) -> bool:
    """Whether an answer to ``guessed`` is one to ``real``: a turn of the same words, else all the same but its id."""
    if isinstance(guessed, Text) and isinstance(real, Text):
        return words_of(guessed.text) == words_of(real.text)
    if type(guessed) is not type(real):
        return False
    if "id" in guessed.__struct_fields__:
        return msgspec.structs.replace(guessed, id="") == msgspec.structs.replace(real, id="")
    return guessed == real


def _renamed(payload: Payload, old: str, new: str) -> Payload:
    """``payload`` with the real id of the message that it is about."""
    if not old or old == new:
        return payload
    fields = [f for f in ("id", "utterance") if getattr(payload, f, None) == old]
    return msgspec.structs.replace(payload, **dict.fromkeys(fields, new)) if fields else payload
