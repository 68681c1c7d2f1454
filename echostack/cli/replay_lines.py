"""A recording as lines that a person reads: what it is, what happened when, who was speaking, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from echostack.core.events import Event
from echostack.core.payloads import (
    Aborted,
    Committed,
    PlayoutFinished,
    PlayoutStarted,
    SpeechStarted,
    SpeechStopped,
    Suspended,
    Text,
)
from echostack.recording import DropEntry, EndEntry, Entry, EventEntry, Recording
from echostack.recording.format import MASK
from echostack.simulation.expect.phrases import count, shown
from echostack.simulation.expect.timeline import HEAD

if TYPE_CHECKING:
    from echostack.registry import Registry
    from echostack.runtime.stats import Stats

NAME = 44
_MOST = 72


def head_lines(recording: Recording) -> list[str]:
    """What a recording is: graph, seed, when, by which versions, and whether it is whole."""
    header = recording.header
    when = datetime.fromtimestamp(header.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    kind = "a simulated call" if header.simulated else f"a call of {when}"
    redacted = ", redacted" if header.redacted else ""
    versions = ", ".join(f"{name} {number}" for name, number in header.versions.items() if name in _TOLD)
    return [
        f"{header.graph or '(no name)'}: {kind}{redacted}, seed {header.seed}, session {header.session}",
        f"graph {header.hash[:12]}, {count(len(header.nodes), 'node')}; {versions}; {state_of(recording)}",
    ]


_TOLD = ("echostack", "python")


def state_of(recording: Recording) -> str:
    """Whether the recording is whole."""
    if recording.complete:
        return "complete"
    return "still being written" if recording.live else "broken off: its call did not end, or its program was killed"


class Speaking:
    """Who speaks, as the events tell so far."""

    def __init__(self) -> None:
        self.caller = self.agent = False
        self._under_way = False

    def take(self, event: Event) -> None:
        match event.payload:
            case SpeechStarted():
                self.caller = True
            case SpeechStopped():
                self.caller = False
            case PlayoutStarted():
                self.agent = self._under_way = True
            case Suspended():
                self.agent = False
            case Aborted():
                self.agent = self._under_way
            case PlayoutFinished() | Committed():
                self.agent = self._under_way = False

    @property
    def bars(self) -> str:
        return f"{'|' if self.caller else ' '} {'|' if self.agent else ' '}"


class Teller:
    """Entries of a recording as lines, one after the other. Pieces of one thing that follow one another are folded
    into one line, which is given when something else follows; ``rest`` gives what is still held.

    wanted: which events, by name; for None every one that is not audio. folded: False gives each piece at once.
    """

    def __init__(
        self, recording: Recording, registry: Registry | None = None, wanted: Callable[[str], bool] | None = None, *,
        folded: bool = True,
    ) -> None:  # fmt: skip
        self._recording, self._registry, self._wanted, self._folded = recording, registry, wanted, folded
        self._run: list[tuple[float, str, str]] = []
        self._times = 0
        self._bars = ""
        self.speaking = Speaking()
        self.talk: list[tuple[str, str]] = []
        """Who said what, the agent's as it was heard."""
        self.drops = 0
        self.failures = 0
        self.interruptions = 0

    def note(self, entry: Entry) -> Event | None:
        """Take note of an entry without telling it; the event that it is, if it is one that is known and no audio."""
        if isinstance(entry, DropEntry):
            self.drops += 1
        if not isinstance(entry, EventEntry) or _audio(entry):
            return None
        event = self._recording.event(entry, self._registry)
        if event is None:
            return None
        self.speaking.take(event)
        if entry.name.startswith("error."):
            self.failures += 1
        match event.payload:
            case Text(text=text):
                self.talk.append(("caller", text))
            case PlayoutFinished(heard=heard, cut=cut) if heard:
                self.talk.append(("agent", f"{heard} --" if cut else heard))
            case Committed():
                self.interruptions += 1
        return event

    def lines(self, entry: Entry) -> Iterator[str]:
        """Take note of an entry, and give the lines that are ready."""
        event = self.note(entry)
        if isinstance(entry, DropEntry) and self._wanted is None:
            yield from self.rest()
            yield self._line(entry.time, "(dropped)", f"event {entry.seq}, by the queue {entry.edge}")
        if not isinstance(entry, EventEntry) or (self._wanted is not None and not self._wanted(entry.name)):
            return
        told = shown(event.payload, most=_MOST) if event is not None else _unknown(entry)
        name = f"{entry.name}:{entry.port}" if entry.port else entry.name
        if _audio(entry) and self._wanted is None:
            return
        if not self._folded:
            yield self._line(entry.time, name, told)
        elif _audio(entry) or entry.kind.partition(".")[2] in ("partial", "stream"):
            if self._run and self._run[0][1] != name:
                yield from self.rest()
            if not self._run:
                self._bars = self.speaking.bars
            self._run[1:] = [(entry.time, name, told)]
            self._times += 1
        else:
            yield from self.rest()
            yield self._line(entry.time, name, told)

    def rest(self) -> Iterator[str]:
        """The line that is held, if any."""
        if not self._run:
            return
        (first, name, _), (last, _, told) = self._run[0], self._run[-1]
        if self._times > 1:
            many = f"{self._times} until {last:.3f}"
            told = f"{told}  (the last of {many})" if told else many
        self._run, self._times, bars = [], 0, self._bars
        yield self._line(first, name, told, bars)

    def _line(self, time: float, name: str, says: str, bars: str = "") -> str:
        return f" {time:8.3f}  {bars or self.speaking.bars}  {name:<{NAME}}  {says}".rstrip()


def timeline_head() -> str:
    """What stands above the lines."""
    return HEAD


def talk_lines(talk: Sequence[tuple[str, str]]) -> list[str]:
    """The conversation, a line a turn."""
    return [f"{who:<6}  {what}" for who, what in talk]


def stats_of(recording: Recording) -> Stats | None:
    """The figures at the end of a complete recording; None of any other, and of one whose figures are others."""
    import msgspec

    from echostack.runtime.stats import Stats

    end: EndEntry | None = recording.end
    if end is None:
        return None
    try:
        return msgspec.convert(end.stats, type=Stats)
    except msgspec.ValidationError:
        return None


def says(recording: Recording, entry: EventEntry, registry: Registry | None = None) -> str:
    """What an event says, on one line; empty for audio."""
    event = None if _audio(entry) else recording.event(entry, registry)
    return shown(event.payload, most=_MOST) if event is not None else _unknown(entry)


def _audio(entry: EventEntry) -> bool:
    return entry.kind.startswith("audio_")


def _unknown(entry: EventEntry) -> str:
    """An event of a kind that nobody here knows, or audio, which says nothing in words."""
    if _audio(entry):
        return ""
    return "  ".join(f"{k}={v!r}" for k, v in entry.data.items() if v not in ("", None, MASK))[: 2 * _MOST]
