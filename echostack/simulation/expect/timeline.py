"""A part of a call as lines that a person reads: when, who was speaking, which event, what it said.

       time  c a
      2.100  |    processing.webrtc.speech_started  since 2.040 s
      3.400  |    processing.moonshine.text         "how much is lunch"  (turn ended by recogniser, 400 ms)
    > 3.520    |  control.speaker.playout_started   120 ms after the end of the turn

Whoever speaks at an instant has a bar beside it: the caller under ``c``, the agent under ``a``. ``>`` marks the instant
that it is about. Pieces of one thing that follow one another, and audio, are folded into one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

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
from echostack.simulation.expect.phrases import micros, shown
from echostack.simulation.outcome import Failure, Outcome

MOST_LINES = 25
HEAD = "     time  c a"
WIDEST_NAME = 48
PAUSE = 0.3
"""Seconds without a word after which heard speech counts as two stretches: a suspension, not a breath."""

Stretch = tuple[float, float]
"""From and to, in session seconds."""


@dataclass(frozen=True, slots=True)
class _Entry:
    time: float
    name: str
    text: str
    marked: bool = False


def timeline(
    events: Iterable[Event],
    start: float,
    end: float,
    *,
    mark: float | None = None,
    caller: Sequence[Stretch] | None = None,
    agent: Sequence[Stretch] | None = None,
    most: int = MOST_LINES,
) -> tuple[str, ...]:
    """The events of the call from ``start`` to ``end`` (session seconds, both included), at most ``most`` lines.

    mark: the instant that it is about; it has a line of its own when nothing happened at it. caller, agent: when each
    speaks; told by the events when they are None. What does not fit is left out, farthest from the mark first, and
    counted. Empty when there is nothing to show.
    """
    events = list(events)
    theirs = caller_speech(events) if caller is None else caller
    ours = agent_speech(events) if agent is None else agent
    first, last = micros(start), micros(end)
    part = [e for e in events if first <= micros(e.time) <= last]
    entries = list(_entries(part, mark))
    if mark is not None and not any(entry.marked for entry in entries):
        at = next((i for i, entry in enumerate(entries) if entry.time > mark), len(entries))
        entries.insert(at, _Entry(mark, "", "(nothing happens at this instant)", True))
    if not entries:
        return ()
    width = min(WIDEST_NAME, max(len(entry.name) for entry in entries))
    kept = _kept([entry.marked for entry in entries], most - 1)
    lines = [HEAD]
    before = -1
    for index in kept:
        if index > before + 1:
            lines.append(f"           … {index - before - 1} more")
        before = index
        lines.append(_line(entries[index], width, theirs, ours))
    if len(entries) > before + 1:
        lines.append(f"           … {len(entries) - before - 1} more")
    return tuple(lines)


def failure_timeline(outcome: Outcome, failure: Failure, *, most: int = MOST_LINES) -> tuple[str, ...]:
    """The part of a simulated call that a failure is about; the agent's speech is what was really heard."""
    if failure.around is None:
        return ()
    heard = heard_speech(outcome)
    return timeline(outcome.events, *failure.around, mark=failure.at, agent=heard, most=most)


def caller_speech(events: Sequence[Event]) -> tuple[Stretch, ...]:
    """When the caller spoke, as voice activity tells; without any, as the times of the turns do."""
    found: list[Stretch] = []
    since: float | None = None
    for event in events:
        match event.payload:
            case SpeechStarted(at=at):
                since = at if since is None else since
            case SpeechStopped(at=at):
                if since is not None:
                    found.append((since, at))
                since = None
    if since is not None:
        found.append((since, float("inf")))
    if found:
        return tuple(found)
    return tuple((e.payload.start, e.payload.end) for e in events if isinstance(e.payload, Text))


def agent_speech(events: Sequence[Event]) -> tuple[Stretch, ...]:
    """When the agent was heard, as the engine tells: from the start of a playout, without its suspensions."""
    found: list[Stretch] = []
    since: float | None = None
    under_way = False
    for event in events:
        match event.payload:
            case PlayoutStarted():
                since, under_way = event.time, True
            case Aborted():
                since = event.time if under_way and since is None else since
            case Suspended() | PlayoutFinished() | Committed():
                if since is not None:
                    found.append((since, event.time))
                since = None
                under_way = under_way and isinstance(event.payload, Suspended)
    if since is not None:
        found.append((since, float("inf")))
    return tuple(found)


def heard_speech(outcome: Outcome) -> tuple[Stretch, ...]:
    """When the agent was heard, by the samples that were played."""
    found: list[Stretch] = []
    for speech in outcome.heard:
        since = before = speech.start
        for word in speech.words:
            if word.start - before > PAUSE:
                found.append((since, before))
                since = word.start
            before = word.end
        found.append((since, speech.end))
    return tuple(found)


def _entries(events: Sequence[Event], mark: float | None) -> Iterator[_Entry]:
    marked = None if mark is None else micros(mark)
    at = 0
    while at < len(events):
        event = events[at]
        run = 1
        if _folds(event) and micros(event.time) != marked:
            while (
                at + run < len(events)
                and events[at + run].name == event.name
                and events[at + run].node == event.node
                and micros(events[at + run].time) != marked
            ):
                run += 1
        last = events[at + run - 1]
        text = "" if event.payload.__kind__.audio else shown(last.payload)
        if run > 1:
            text = f"{text}  (the last of {run}, until {last.time:.3f})" if text else f"{run} until {last.time:.3f}"
        port = f":{event.port}" if event.port else ""
        yield _Entry(event.time, f"{event.name}{port}", text, micros(event.time) == marked)
        at += run


def _folds(event: Event) -> bool:
    kind = event.payload.__kind__
    return kind.audio or kind.modifier in ("partial", "stream")


def _kept(marked: Sequence[bool], most: int) -> list[int]:
    """Which entries are shown: those around the marked ones, else the first and the last."""
    count = len(marked)
    if count <= most:
        return list(range(count))
    room = most - 2  # two lines may tell what was left out
    if any(marked):
        middle = marked.index(True)
        first = min(max(0, middle - room * 3 // 5), count - room)
        return list(range(first, first + room))
    return [*range((room + 1) // 2), *range(count - room // 2, count)]


def _line(entry: _Entry, width: int, caller: Sequence[Stretch], agent: Sequence[Stretch]) -> str:
    bars = f"{_bar(entry.time, caller)} {_bar(entry.time, agent)}"
    told = f"{entry.name:<{width}}  {entry.text}" if entry.name else entry.text
    return f"{'>' if entry.marked else ' '}{entry.time:8.3f}  {bars}  {told}".rstrip()


def _bar(time: float, stretches: Sequence[Stretch]) -> str:
    at = micros(time)
    return "|" if any(a * 1e6 - 0.5 <= at < b * 1e6 for a, b in stretches) else " "
