"""The course of a call, in a form in which two can be compared: what each node gave by each port, one after the other.

Nodes that work at one instant have no order among them that means anything, so each has a course of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import BUILTIN
from echostack.recording import EndEntry, EventEntry, Recording
from echostack.registry import Registry
from echostack.runtime.probe import CallView
from echostack.simulation.through.content import LOOSE, content_of, recorded_content, same

_AUDIO = frozenset(p.__kind__.name for p in BUILTIN if p.__kind__.audio)
_EVERY_CALL_OWN = frozenset({"call_started"})

Path = tuple[str, str, str]
"""Node, event name, port."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a course: when, its number in its call, what led to it, and what it says."""

    time: float
    seq: int
    cause: int
    content: Mapping[str, Any]


class Course:
    """One call. writes: effects by node. voice: milliseconds from the end of each turn to the reply. drops: events that
    queues lost. talk: who said what, the agent's as it was heard."""

    def __init__(self) -> None:
        self.moments: dict[Path, list[Moment]] = {}
        self.causes: dict[int, tuple[float, str, str, int]] = {}
        """By number: when, which event, which node, and what led to it; of what is not audio."""
        self.writes: dict[str, int] = {}
        self.voice: list[float] = []
        self.drops = 0
        self.talk: list[tuple[str, str]] = []
        self.until = 0.0

    def add(self, path: Path, kind: str, moment: Moment) -> None:
        self.moments.setdefault(path, []).append(moment)
        self.until = max(self.until, moment.time)
        if kind not in _AUDIO:
            self.causes[moment.seq] = moment.time, path[1], path[0], moment.cause
        content = moment.content
        if kind == "text":
            self.talk.append(("caller", str(content.get("text", ""))))
        elif kind == "playout_finished" and content.get("heard"):
            self.talk.append(("agent", f"{content['heard']}{' --' if content.get('cut') else ''}"))
        elif kind == "playout_started" and content.get("latency_ms"):
            self.voice.append(float(content["latency_ms"]))

    def chain(self, seq: int) -> list[int]:
        """What led to an event, from it back to where it began; audio is where it is lost."""
        found: list[int] = []
        while seq in self.causes and len(found) < 64:
            found.append(seq)
            seq = self.causes[seq][3]
        return found

    def counts(self) -> dict[str, int]:
        """How many events of each name there were."""
        found: dict[str, int] = {}
        for (_, name, _), moments in self.moments.items():
            found[name] = found.get(name, 0) + len(moments)
        return found


class CourseProbe:
    """Keeps the course of the call that it watches, and its events that are not audio, by number."""

    wants_audio = True  # as a recorder does: an egress that is watched writes in smaller pieces

    def __init__(self, *, redacted: bool, until: float) -> None:
        self.course, self._until = Course(), until
        self.events: dict[int, Event] = {}
        self._redacted = redacted

    def wants(self, name: str) -> bool:
        return True

    def begin(self, view: CallView) -> None:
        """Nothing to prepare."""

    def event(self, event: Event) -> None:
        if event.time > self._until:
            return  # the recording does not tell of it
        payload: Payload = event.payload
        spec = payload.__kind__
        if not spec.audio:
            self.events[event.seq] = event
        content = content_of(payload, redacted=self._redacted)
        moment = Moment(event.time, event.seq, event.cause, content)
        self.course.add((event.node, event.name, event.port), spec.name, moment)

    def dropped(self, edge: str, event: Event) -> None:
        self.course.drops += 1

    def played(self, egress: str, event: Event, pcm: bytes, rate: int) -> None:
        """What was heard is told by the engine's events."""

    def end(self) -> None:
        """Nothing is open."""


def recorded_course(recording: Recording, lines: Mapping[str, str], registry: Registry | None = None) -> Course:
    """The course of a recorded call. lines: ingresses that go by another name now. RecordingError."""
    course = Course()
    stats: Mapping[str, Any] = {}
    for entry in recording.entries():
        course.until = max(course.until, entry.time)
        if isinstance(entry, EventEntry):
            moment = Moment(entry.time, entry.seq, entry.cause, recorded_content(entry))
            course.add((lines.get(entry.node, entry.node), entry.name, entry.port), entry.kind, moment)
        elif isinstance(entry, EndEntry):
            stats = entry.stats
        elif hasattr(entry, "edge"):
            course.drops += 1
    if "voice_to_voice_ms" in stats:
        course.voice = [float(ms) for ms in stats["voice_to_voice_ms"]]
    for effect in stats.get("effects", ()):
        node = str(effect.get("node", ""))
        course.writes[node] = course.writes.get(node, 0) + 1
    return course


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two courses part: on which path, and the moment on either side, None where there is nothing."""

    path: Path
    before: Moment | None
    after: Moment | None

    @property
    def time(self) -> float:
        return min(m.time for m in (self.before, self.after) if m is not None)


def partings(before: Course, after: Course, within: float, until: float) -> Iterator[Parting]:
    """The first parting of each path, in no order. within: seconds by which times may differ. until: what comes later
    is not compared, because one side does not tell it."""
    for path in [*before.moments, *(p for p in after.moments if p not in before.moments)]:
        kind = path[1].split(".", 2)[2]
        if kind in _EVERY_CALL_OWN or (within == LOOSE and kind in _AUDIO):
            continue
        one = [m for m in before.moments.get(path, ()) if m.time <= until + within]
        other = [m for m in after.moments.get(path, ()) if m.time <= until + within]
        for number in range(max(len(one), len(other))):
            mine = one[number] if number < len(one) else None
            theirs = other[number] if number < len(other) else None
            parting = _parting(path, mine, theirs, within)
            if parting is None:
                continue
            if parting.time <= until:
                yield parting
            break


def _parting(path: Path, mine: Moment | None, theirs: Moment | None, within: float) -> Parting | None:
    if mine is None or theirs is None:
        return Parting(path, mine, theirs)
    alike = same(mine.content, theirs.content, within)
    near = abs(mine.time - theirs.time) <= within
    if alike and near:
        return None
    if alike or near:
        return Parting(path, mine, theirs)
    return Parting(path, mine, None) if mine.time < theirs.time else Parting(path, None, theirs)
