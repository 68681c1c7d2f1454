"""Where one is in a recording while going through it event by event, and what there is to see there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from echostack.cli.replay_lines import Speaking, says
from echostack.core.errors import UsageError
from echostack.core.events import EventPattern
from echostack.recording import Recording
from echostack.recording.format import EventEntry
from echostack.recording.index import Index

if TYPE_CHECKING:
    from echostack.registry import Registry

HELP = (
    "n, space   the next event; b the one before (. and , count audio as well)",
    "g N        the event with the number N; t SECONDS the first from that instant on",
    "k KIND     the next event of a kind or pattern, as text or control.*.committed; K KIND the one before",
    "u          up to what led to it; d, d 2 down to the first or second thing that it led to",
    "/TEXT      the next event with this text; / alone looks for the same again",
    "f          the next failure; i the next interruption",
    "s          the whole payload; ? this help; q the end",
)
_SPEECH = (
    "speech_started", "speech_stopped", "playout_started", "playout_finished", "suspended", "aborted", "committed",
)  # fmt: skip
_MOST_CAUSES, _MOST_EFFECTS, _MOST_FIELDS = 8, 9, 12
_WIDEST = 100


class Stepper:
    """One place in a recording. ``do`` takes a command and answers with what is to be said of it, empty for nothing."""

    def __init__(self, recording: Recording, index: Index, registry: Registry | None = None) -> None:
        self._recording, self._index, self._registry = recording, index, registry
        self.place = 0
        self._searched = ""
        self._whole = False
        self._marks: list[int] = []
        self._bars: list[str] = []
        self._watch()

    # -- moving --------------------------------------------------------------------------------------------------

    def do(self, command: str) -> str:
        """Go where ``command`` says. One that cannot be gone leaves the place as it is, and is told of."""
        command = command.strip(" \t\r\n") or "n"
        self._whole = False
        if command.startswith("/"):
            return self._search(command[1:].strip())
        word, _, rest = command.partition(" ")
        if len(word) > 1 and word[0] in "gtkKd" and not rest:
            word, rest = word[0], word[1:]
        moves: dict[str, Callable[[str], str]] = {
            "n": lambda _: self._step(1), "b": lambda _: self._step(-1), ".": lambda _: self._step(1, audio=True),
            ",": lambda _: self._step(-1, audio=True), "g": self._to_seq, "t": self._to_time,
            "k": lambda kind: self._to_kind(kind, 1), "K": lambda kind: self._to_kind(kind, -1),
            "u": lambda _: self._up(), "d": self._down, "s": lambda _: self._show(),
            "f": lambda _: self._next(lambda name: name.startswith("error."), "failure"),
            "i": lambda _: self._next(lambda name: name.endswith(".committed"), "interruption"),
        }  # fmt: skip
        move = moves.get(word)
        return move(rest.strip()) if move is not None else f"{word!r} is no command; ? tells which there are"

    def _step(self, step: int, *, audio: bool = False) -> str:
        place = self.place + step
        while 0 <= place < len(self._index):
            if audio or "audio_" not in self._index.name(place):
                self.place = place
                return ""
            place += step
        return "this is the last event" if step > 0 else "this is the first event"

    def _to_seq(self, number: str) -> str:
        if not number.isdecimal():
            return "g takes the number of an event, as g 12"
        place = self._index.of_seq(int(number))
        if place is None:
            return f"the recording has no event {number}"
        self.place = place
        return ""

    def _to_time(self, seconds: str) -> str:
        try:
            self.place = self._index.at_time(float(seconds.removesuffix("s")))
        except ValueError:
            return "t takes seconds, as t 3.5"
        return ""

    def _to_kind(self, kind: str, step: int) -> str:
        if not kind:
            return "k takes a kind of event, as k text, or a pattern, as k control.*.committed"
        try:
            wanted = EventPattern.parse(kind).matches
        except ValueError:

            def wanted(name: str) -> bool:
                return name.split(".", 2)[2] == kind

        return self._next(wanted, f"{kind} {'after' if step > 0 else 'before'} this one", step)

    def _next(self, wanted: Callable[[str], bool], what: str, step: int = 1) -> str:
        place = self.place + step
        while 0 <= place < len(self._index):
            if wanted(self._index.name(place)):
                self.place = place
                return ""
            place += step
        return f"there is no {what}" if "this one" in what else f"there is no {what} after this one"

    def _up(self) -> str:
        cause = self._index.cause(self.place)
        if cause is None:
            return "nothing led to this event"
        self.place = cause
        return ""

    def _down(self, which: str) -> str:
        effects = self._index.effects(self.place)
        if which and not which.isdecimal():
            return "d takes which of the effects, as d 2"
        number = int(which or 1)
        if not effects:
            return "this event led to nothing"
        if not 1 <= number <= len(effects):
            return f"this event led to {len(effects)}"
        self.place = effects[number - 1]
        return ""

    def _search(self, text: str) -> str:
        self._searched = text or self._searched
        if not self._searched:
            return "/ takes the text to look for, as /lunch"
        place = self._index.text(self._searched, self.place + 1, 1)
        if place is None:
            return f"{self._searched!r} does not come after this event"
        self.place = place
        return ""

    def _show(self) -> str:
        self._whole = True
        return ""

    # -- what there is to see --------------------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        """The present event: what it says, what led to it, what it led to, and the call at that instant."""
        index, place = self._index, self.place
        if not len(index):
            yield "the recording has no event"
            return
        entry = index.entry(place)
        yield f"event {entry.seq} ({place + 1} of {len(index)}) at {entry.time:.6f} s"
        port = f":{entry.port}" if entry.port else ""
        yield f"{entry.name}{port}  {says(self._recording, entry, self._registry)}".rstrip()
        of = f"by {entry.node}" if entry.node else "by the engine"
        scope = f", scope {self._scope(entry.scope)} epoch {entry.epoch}" if entry.scope else ""
        yield f"{of}{scope}"
        yield from self._fields(entry)
        yield from self._causes(place)
        yield from self._effects(place)
        yield from self._state(place)

    def _fields(self, entry: EventEntry) -> Iterator[str]:
        fields = [(k, v) for k, v in entry.data.items() if self._whole or v not in ("", None, [], {})]
        shown = fields if self._whole else fields[:_MOST_FIELDS]
        for name, value in shown:
            yield f"    {name}: {_cut(_value(value), 100_000 if self._whole else _WIDEST)}"
        if len(fields) > len(shown):
            yield f"    … {len(fields) - len(shown)} more fields"

    def _causes(self, place: int) -> Iterator[str]:
        chain: list[int] = []
        cause = self._index.cause(place)
        while cause is not None and len(chain) < _MOST_CAUSES:
            chain.append(cause)
            cause = self._index.cause(cause)
        if chain:
            yield "because of"
            yield from (f"    {self._short(one)}" for one in chain)
            if cause is not None:
                yield "    …"

    def _effects(self, place: int) -> Iterator[str]:
        effects = self._index.effects(place)
        if effects:
            yield f"led to {len(effects)}"
            yield from (f"  {number} {self._short(one)}" for number, one in enumerate(effects[:_MOST_EFFECTS], 1))
            if len(effects) > _MOST_EFFECTS:
                yield f"    … {len(effects) - _MOST_EFFECTS} more"

    def _state(self, place: int) -> Iterator[str]:
        header = self._recording.header
        queues, epochs = self._index.state(place)
        bars = self._bars_at(place)
        who = [name for name, bar in (("the caller", bars[:1]), ("the agent", bars[2:])) if bar == "|"]
        yield f"speaking: {' and '.join(who) or 'nobody'}"
        told = [f"{self._scope(n)} {epoch}" for n, epoch in enumerate(epochs) if n]
        yield f"epochs: {', '.join(told) or 'all 0'}"
        busy = [(header.queues[n], q) for n, q in sorted(queues.items()) if n < len(header.queues)]
        busy = [(head, q) for head, q in busy if q.held or q.dropped or q.stale or q.refused]
        yield "queues:" + (" all empty, nothing lost" if not busy else "")
        for head, q in busy:
            lost = "".join(
                f", {number} {what}"
                for number, what in ((q.dropped, "dropped"), (q.stale, "stale"), (q.refused, "refused")) if number
            )  # fmt: skip
            yield f"    {head.edge}: {q.held} of {head.bound} held{lost}"

    def _short(self, place: int) -> str:
        entry = self._index.entry(place)
        told = says(self._recording, entry, self._registry)
        return _cut(f"{entry.seq:>6}  {entry.time:8.3f}  {entry.name}  {told}".rstrip(), _WIDEST)

    def _scope(self, number: int) -> str:
        return next((s.name for s in self._recording.header.scopes if s.id == number), str(number))

    def _watch(self) -> None:
        """Who speaks from which event on."""
        speaking, index = Speaking(), self._index
        for place in range(len(index)):
            if index.name(place).rsplit(".", 1)[-1] in _SPEECH:
                event = self._recording.event(index.entry(place), self._registry)
                if event is not None:
                    speaking.take(event)
                    self._marks.append(place)
                    self._bars.append(speaking.bars)

    def _bars_at(self, place: int) -> str:
        before = bisect_right(self._marks, place)
        return self._bars[before - 1] if before else "   "


def start_at(stepper: Stepper, seconds: float) -> None:
    """Go to the first event from ``seconds`` on. UsageError for what is no time."""
    said = stepper.do(f"t {seconds}")
    if said:
        raise UsageError(said)


def _value(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"track", "at", "samples"}:
        return f"{value['samples']} samples of the track {value['track']}, from {value['at']}"
    return value if isinstance(value, str) else repr(value)


def _cut(text: str, most: int) -> str:
    flat = " ".join(text.split("\n"))
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
