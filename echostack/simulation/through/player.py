"""Gives a call what a recording's caller gave, and what listeners made of it: each at its instant, in its order."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from echostack.connectors.alongside import Alongside
from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, CallStarted
from echostack.recording import EventEntry
from echostack.runtime.probe import CallView
from echostack.simulation.speech import SpeechCode, SpokenWord
from echostack.simulation.through.tape import Failed, Tape

_HAIR = 1e-9
_STEPS = 3  # of the event loop, from an ingress over a queue into a node
Emit = Callable[..., None]


class Player:
    """The recorded inputs of one call; a probe of the call that it plays them into, which tells it when to begin and
    what became of each. One timer at a time: what comes next is set up by what came before, as a line does it."""

    wants_audio = False

    def __init__(self, tape: Tape, clock: Clock, hang_up: Callable[[], None]) -> None:
        self.over = asyncio.Event()
        """Set when the lines have ended."""
        self.left = asyncio.Event()
        """Set when the recorded call was closed by its program."""
        self.unknown: dict[str, int] = {}
        """How many recorded events could not be given, because their kind is not known here, by kind."""
        self.shown: set[int] = set()
        """The numbers of the call's events that are not audio. A guess works on events that are none yet."""
        self._tape, self._clock, self._hang_up = tape, clock, hang_up
        self._emits: dict[str, Emit] = {}
        self._broken: dict[str, Callable[[Exception], None]] = {}
        self._made: dict[int, Event] = {}
        self._making: tuple[str, int] = "", 0
        self._words: tuple[list[float], list[tuple[float, int]]] = [], []
        breaks = [(failed.time, node, failed) for node, found in tape.breaks.items() for failed in found]
        self._items: list[tuple[float, str, EventEntry | Failed | None]] = [
            *((e.time, tape.lines.get(e.node, e.node), e) for e in tape.timed), *breaks,
            (tape.end, "", None),
        ]  # fmt: skip
        self._items.sort(key=lambda item: item[0])  # stable: what happened at one instant keeps its order
        self._left = Counter(node for _, node, _ in self._items)
        self._given: dict[str, asyncio.Event] = {}
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def carries(self, node: str, emit: Emit, broken: Callable[[Exception], None] | None = None) -> None:
        """What comes from ``node`` leaves by ``emit``; its recorded failures are told to ``broken``."""
        self._emits[node] = emit
        if broken is not None:
            self._broken[node] = broken

    async def all_given(self, node: str) -> None:
        """Wait until everything that was recorded of ``node`` has been given."""
        if self._left[node]:
            await self._given.setdefault(node, asyncio.Event()).wait()

    def understood(self, speech: SpeechCode) -> None:
        """Mark the caller's frames with the words that the recording's recogniser heard, for simulated listeners."""
        words = self._tape.words()
        starts, ends = self._words
        for index, (start, end, text) in enumerate(words):
            last = index + 1 == len(words) or words[index + 1][0] - end > 0.3
            starts.append(start)
            ends.append((end, speech.number(SpokenWord(text, "caller", "recorded", index, last), start)))

    # -- the probe ---------------------------------------------------------------------------------------------

    def wants(self, name: str) -> bool:
        return True

    def begin(self, view: CallView) -> None:
        """The call is put together; it begins with its first event."""

    def event(self, event: Event) -> None:
        if not event.payload.__kind__.audio:
            self.shown.add(event.seq)
        node, seq = self._making
        if seq and event.node == node:
            self._making = "", 0
            if seq in self._tape.causes:
                self._made[seq] = event
        elif isinstance(event.payload, CallStarted):
            self._arm()

    def dropped(self, edge: str, event: Event) -> None:
        """Not asked for."""

    def played(self, egress: str, event: Event, pcm: bytes, rate: int) -> None:
        """Not asked for."""

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- playing -----------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        if self._next < len(self._items):
            self._timer = self._clock.call_later(self._items[self._next][0] - self._clock.now(), self._fire)

    def _fire(self) -> None:
        self._timer = None
        now, items = self._clock.now(), self._items
        while self._next < len(items) and items[self._next][0] <= now + _HAIR:
            _, node, item = items[self._next]
            self._next += 1
            self._left[node] -= 1
            if item is None:
                self._end()
            elif isinstance(item, Failed):
                broken = self._broken.get(node)  # a listener that is called in place never fails by itself
                if broken is not None:
                    broken(failure_of(item))
            else:
                self._give(node, item)
            if not self._left[node] and node in self._given:
                self._given[node].set()
        self._arm()

    def _end(self) -> None:
        if self._tape.left:
            self.left.set()
        elif self._tape.hung_up:
            # What was given in this very step is on its way first, as it is when a person hangs up after it.
            self._after(_STEPS)
        else:
            self.over.set()

    def _after(self, steps: int) -> None:
        if steps:
            self._timer = self._clock.call_later(0.0, self._after, steps - 1)
            return
        self._hang_up()
        self.over.set()

    def _give(self, node: str, entry: EventEntry) -> None:
        emit, payload = self._emits.get(node), self._tape.payload(entry)
        if payload is None:
            self.unknown[entry.kind] = self.unknown.get(entry.kind, 0) + 1
        elif emit is not None:
            if self._words[0] and isinstance(payload, AudioFrame):
                payload = self._marked(payload, entry.time)
            self._making = node, entry.seq
            emit(payload, cause=self._made.get(entry.cause), port=entry.port)
            self._making = "", 0

    def _marked(self, frame: AudioFrame, time: float) -> AudioFrame:
        """``frame``, which ends at ``time``, with the number of the word in its middle; silence where there is none."""
        middle = time - frame.seconds / 2
        starts, ends = self._words
        place = bisect_right(starts, middle) - 1
        number = ends[place][1] if place >= 0 and middle < ends[place][0] else 0
        return msgspec.structs.replace(frame, track=f"#{number}")


class RecordedLine:
    """An ingress on which the recorded inputs come. Ends when they do."""

    def __init__(self, node: str, player: Player, emit: Emit) -> None:
        self._player = player
        player.carries(node, emit)

    async def run(self) -> AsyncIterator[Payload]:
        """Wait for the end of the recording's line; what comes on it leaves by the player."""
        await self._player.over.wait()
        nothing: tuple[Payload, ...] = ()
        for payload in nothing:
            yield payload


class HeardStream:
    """A listener that runs as long as the call, and gives what it gave; what it is handed now changes nothing."""

    def __init__(self, node: str, player: Player, emit: Emit) -> None:
        self._node, self._player = node, player
        self._over: asyncio.Future[None] | None = None
        player.carries(node, emit, self._break)

    def interrupted(self) -> None:
        """The caller's words outlive an interruption."""

    async def run(self, inbox: Any) -> AsyncIterator[Payload]:
        """Take everything to the end of ``inbox``, and stay for what was said after it; fail when it did then."""
        over = self._over = asyncio.get_running_loop().create_future()
        async with Alongside(_taken(inbox, over)):
            await over
        await self._player.all_given(self._node)
        nothing: tuple[Payload, ...] = ()
        for payload in nothing:
            yield payload

    def _break(self, error: Exception) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)


async def _taken(inbox: Any, over: asyncio.Future[None]) -> None:
    try:
        async for _ in inbox:
            pass
    finally:
        if not over.done():
            over.set_result(None)


def failure_of(failed: Failed) -> Exception:
    """The error that the engine tells in the recorded words."""
    if failed.kind == "timeout":
        return TimeoutError(failed.message)
    return ConnectorFailure(failed.message, retryable=failed.again)


def heard(_: Payload) -> Sequence[Payload]:
    """A listener that is called in place: what it gave comes by itself."""
    return ()


async def heard_in_time(_: Payload) -> Sequence[Payload]:
    """The same of an async function."""
    return ()


async def heard_in_pieces(_: Payload) -> AsyncIterator[Payload]:
    """The same of an async generator."""
    nothing: tuple[Payload, ...] = ()
    for payload in nothing:
        yield payload


LISTENERS: Mapping[str, Callable[..., Any]] = {"sync": heard, "async": heard_in_time, "generator": heard_in_pieces}
