"""Judges of what happens: an event and when, its absence, an order."""

from __future__ import annotations

from collections.abc import Iterator

from echostack.core.events import Event
from echostack.language.scenario import EventMatch, InOrder, Never, Sees
from echostack.simulation.expect.finding import failure, first, matching, named, nearest
from echostack.simulation.expect.phrases import by_how_much, exact, how_often, instant, instants, micros, often_enough
from echostack.simulation.outcome import Failure, Outcome


def sees(expected: Sees, outcome: Outcome) -> Iterator[Failure]:
    """So many such events as ``times`` says, of those that come when they are expected.

    ``after`` is the first such event of the call; what came before it does not count, and without it the expectation
    fails. ``before`` is the first such event that follows ``after``.
    """
    start, since = 0, 0.0
    if expected.after is not None:
        anchor = first(outcome, expected.after)
        if anchor is None:
            yield _no_anchor(outcome, expected.after, expected.event)
            return
        start, since = anchor[0] + 1, anchor[1].time
    limit = first(outcome, expected.before, start) if expected.before is not None else None
    window = _Window(expected, since, limit[1].time if limit is not None else None)
    found = [event for _, event in matching(outcome, expected.event, start)]
    good = [event for event in found if window.holds(event.time)]
    if often_enough(len(good), expected.times):
        return
    said = f"expected {_wanted(expected)}{named(expected.event)}{window.words(expected, since)}"
    near = [since] if expected.after is not None else []
    if limit is not None:
        near.append(limit[1].time)
    if good:
        times = [e.time for e in good]
        only = "only " if len(good) < expected.times[0] else ""
        there = f"there {'was' if len(good) == 1 else 'were'} {only}{len(good)}, {instants(times)}"
        about = good[-1] if only else good[min(len(good) - 1, expected.times[1] or 0)]
        yield failure(outcome, f"{said}, and {there}", expected.event.span, at=about.time, near=near)
    elif found:
        about = min(found, key=lambda e: window.off(e.time))
        at = window.instant_of(about.time)
        nearest_of = "" if len(found) == 1 else "the nearest "
        told = instants([e.time for e in found], exact if expected.at is not None else instant)
        miss = f"it came {told}, {nearest_of}{window.miss(about.time)}"
        yield failure(outcome, f"{said}; {miss}", expected.event.span, at=at, near=[*near, about.time])
    else:
        miss, event = nearest(outcome, expected.event, start)
        near += [event.time] if event is not None else []
        yield failure(outcome, f"{said}; {miss}", expected.event.span, at=window.last, near=near)


def never(expected: Never, outcome: Outcome) -> Iterator[Failure]:
    """No such event at all, or none from the first ``after`` on, for ``within`` seconds.

    An ``after`` that does not happen fails: an absence after nothing would hold whatever the graph does.
    """
    start, since, told = 0, 0.0, ""
    if expected.after is not None:
        anchor = first(outcome, expected.after)
        if anchor is None:
            yield _no_anchor(outcome, expected.after, expected.event)
            return
        start, since = anchor[0] + 1, anchor[1].time
        told = f" after {named(expected.after)} (at {instant(since)})"
    until = None if expected.within is None else micros(since + expected.within)
    if expected.within is not None:
        told = f" within {instant(expected.within)}{told or ' of the call'}"
    found = [e for _, e in matching(outcome, expected.event, start) if until is None or micros(e.time) <= until]
    if found:
        times = [e.time for e in found]
        there = f"there {'was one' if len(found) == 1 else f'were {len(found)}'}, {instants(times)}"
        near = [since] if expected.after is not None and found[0].time - since < 5 else []
        what = f"expected no {named(expected.event)}{told}, and {there}"
        yield failure(outcome, what, expected.event.span, at=found[0].time, near=near)


def in_order(expected: InOrder, outcome: Outcome) -> Iterator[Failure]:
    """The first event of each, one after the other; an event that is named again means its next occurrence."""
    before: tuple[int, Event, EventMatch] | None = None
    for number, match in enumerate(expected.events):
        again = sum(_same(match, other) for other in expected.events[:number])
        found = matching(outcome, match)
        if len(found) <= again:
            if found:
                what = f"expected {named(match)} {again + 1} times in this order, and there were {len(found)}"
                yield failure(outcome, what, match.span, at=found[-1][1].time)
            else:
                miss, event = nearest(outcome, match)
                near = [e.time for e in (event, before[1] if before else None) if e is not None]
                what = f"expected {named(match)}{_place(before)}; {miss}"
                yield failure(outcome, what, match.span, near=near)
            return
        index, event = found[again]
        if before is not None and index < before[0]:
            what = (
                f"expected {named(match)}{_place(before)}, and it came before it, at {instant(event.time)}"
                if event.time < before[1].time
                else f"expected {named(match)}{_place(before)}, and it came before it, in the same instant"
            )
            yield failure(outcome, what, match.span, at=event.time, near=[before[1].time])
            return
        before = (index, event, match)


def _place(before: tuple[int, Event, EventMatch] | None) -> str:
    return f" after {named(before[2])} (at {instant(before[1].time)})" if before is not None else ""


def _same(one: EventMatch, other: EventMatch) -> bool:
    return one.pattern == other.pattern and named(one) == named(other)


def _no_anchor(outcome: Outcome, after: EventMatch, event: EventMatch) -> Failure:
    miss, near = nearest(outcome, after)
    what = (
        f"{named(event)} cannot be judged, because {named(after)}, which it is to be counted from, did not come; {miss}"
    )
    return failure(outcome, what, after.span, near=[near.time] if near is not None else [])


def _wanted(expected: Sees) -> str:
    return "" if expected.times == (1, None) else f"{how_often(expected.times)} "


class _Window:
    """When an expected event may come, in seconds of the call; compared to the microsecond."""

    def __init__(self, expected: Sees, since: float, before: float | None) -> None:
        self.at = expected.at
        self.first = since + expected.later if expected.later is not None else None
        self._within = since + expected.within if expected.within is not None else None
        self._before = before
        ends = [e for e in (self._within, before) if e is not None]
        self.last = self.at if self.at is not None else min(ends) if ends else None

    def holds(self, time: float) -> bool:
        return self.off(time) == 0

    def off(self, time: float) -> int:
        """Microseconds by which ``time`` lies outside."""
        here = micros(time)
        if self.at is not None:
            return abs(here - micros(self.at))
        early = micros(self.first) - here if self.first is not None else 0
        late = here - micros(self.last) if self.last is not None else 0
        return max(0, early, late)

    def instant_of(self, time: float) -> float:
        """The instant at which an event that came at ``time`` failed to be as expected."""
        if self.at is not None:
            return self.at
        late = self.last is not None and micros(time) > micros(self.last)
        return self.last if late and self.last is not None else time

    def miss(self, time: float) -> str:
        """By how much ``time`` is too early or too late."""
        off = self.off(time) / 1_000_000
        limit = self.at if self.at is not None else self.first
        early = limit is not None and micros(time) < micros(limit)
        return f"{by_how_much(off)} too {'early' if early else 'late'}"

    def words(self, expected: Sees, since: float) -> str:
        """When, in words."""
        told = ""
        if self.at is not None:
            told += f" at {exact(self.at)}"
        if expected.later is not None and expected.within is not None:
            told += f" between {instant(expected.later)} and {instant(expected.within)}"
        elif expected.within is not None:
            told += f" within {instant(expected.within)}"
        elif expected.later is not None:
            told += f" not before {instant(expected.later)}"
        if expected.after is not None:
            told += f" after {named(expected.after)} (at {instant(since)})"
        elif expected.later is not None or expected.within is not None:
            told += " of the call"
        if expected.before is not None:
            when = f"at {instant(self._before)}" if self._before is not None else "which never came"
            told += f" no later than {named(expected.before)} ({when})"
        return told
