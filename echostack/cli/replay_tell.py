"""Telling a recording on standard output: at once, as fast as it happened, or as it is being written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from echostack.cli.output import console, encodes_all
from echostack.cli.replay_lines import Teller, head_lines, state_of, stats_of, talk_lines, timeline_head
from echostack.core.clock import LoopClock
from echostack.recording import Entry, EventEntry, Recording

if TYPE_CHECKING:
    from echostack.registry import Registry

_TICK = 0.25
"""Seconds between two looks at whether somebody wants to stop; a wait in real time is made of such."""


@dataclass(slots=True)
class Telling:
    """What is to be told. start, to: seconds of the call. wanted: which events, by name. at_once: nothing is held back
    to be folded with what follows."""

    recording: Recording
    registry: Registry | None
    start: float
    to: float | None
    wanted: Callable[[str], bool] | None
    json: bool
    at_once: bool

    def inside(self, time: float) -> bool:
        return time >= self.start and (self.to is None or time <= self.to)


async def tell(telling: Telling, *, follow: bool, speed: float | None) -> None:
    """Print the recording. follow: go on while it is written. speed: show what happened when it happened, so many times
    as fast; None for all at once. RecordingError for a line that cannot be read; Ctrl-C ends it between two lines."""
    recording, out = telling.recording, sys.stdout
    teller = Teller(recording, telling.registry, telling.wanted, folded=not telling.at_once)
    if not telling.json:
        for line in (*head_lines(recording), "", timeline_head()):
            print(line, file=out)
    clock = LoopClock()
    begun = clock.now()
    complete = recording.complete

    async def entry_of(entry: Entry) -> bool:
        """Tell one entry; whether there is more to be told."""
        if telling.to is not None and entry.time > telling.to:
            return False
        if speed is not None and entry.time > telling.start:
            out.flush()
            wait = (entry.time - telling.start) / speed - (clock.now() - begun)
            if wait > 0:
                await clock.sleep(wait)
        _print(telling, teller, entry)
        if follow:
            out.flush()
        return True

    if follow:
        async for entry in recording.follow(clock):
            if not await entry_of(entry):
                break
    else:
        for entry in recording.entries():
            if not await entry_of(entry):
                break
    if telling.json:
        return
    for line in teller.rest():
        print(line, file=out)
    _end(telling, teller, complete)


def _print(telling: Telling, teller: Teller, entry: Entry) -> None:
    if telling.json:
        wanted = isinstance(entry, EventEntry) and (telling.wanted is None or telling.wanted(entry.name))
        if wanted and telling.inside(entry.time):
            line = msgspec.json.encode(entry).decode()
            print(line if encodes_all(sys.stdout) else line.encode("ascii", "backslashreplace").decode())
    elif telling.inside(entry.time):
        for line in teller.lines(entry):
            print(line)
    else:
        teller.note(entry)
        teller.talk.clear()


def _end(telling: Telling, teller: Teller, complete: bool) -> None:
    """What came of the call: the conversation, and the figures."""
    if teller.talk:
        print()
        for line in talk_lines(teller.talk):
            print(line)
    recording = telling.recording
    stats = stats_of(recording)
    part = telling.start > 0 or telling.to is not None
    if stats is not None and not part and telling.wanted is None:
        from echostack.cli.call_screen import beside, figures, whole

        shown = console()
        shown.print()
        shown.print(figures(stats))
        shown.print(whole(stats))
        for more in beside(stats):
            shown.print(more)
    elif not recording.complete:
        print(f"\nthe recording is {state_of(recording)}")
