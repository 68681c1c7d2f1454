"""What every judge of an expectation works with: the call's events, and failures with the part that matters around."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.span import Span
from echostack.language.guard import All, Constant, Expression, Field, operands
from echostack.language.printing import guard_text
from echostack.language.scenario import EventMatch
from echostack.simulation.expect.phrases import field_text, instant, instants, names_of, quoted, shown
from echostack.simulation.expect.words import likeness
from echostack.simulation.matching import fulfils, matcher
from echostack.simulation.outcome import Failure, Outcome

MARGIN = 1.0
"""Seconds of the call that are shown before and after what a failure is about."""

Found = tuple[int, Event]
"""An event and its place in the order of the call."""


def named(match: EventMatch) -> str:
    """An event as the file says it."""
    if match.text:
        return f"`{match.text}`"
    return f"`{match.pattern}`" + (f" with `{guard_text(match.where)}`" if match.where is not None else "")


def matching(outcome: Outcome, match: EventMatch, start: int = 0) -> list[Found]:
    """The events that ``match`` means, from the ``start``-th of the call on."""
    fits = matcher(match)
    return [(i, e) for i, e in enumerate(outcome.events[start:], start) if fits(e)]


def first(outcome: Outcome, match: EventMatch, start: int = 0) -> Found | None:
    """The first of them."""
    fits = matcher(match)
    return next(((i, e) for i, e in enumerate(outcome.events[start:], start) if fits(e)), None)


def around(outcome: Outcome, times: Iterable[float]) -> tuple[float, float] | None:
    """The part of the call with all ``times`` in it; None of none."""
    held = list(times)
    if not held:
        return None
    end = max(outcome.seconds, outcome.events[-1].time if outcome.events else 0.0)
    return max(0.0, min(held) - MARGIN), min(max(held) + MARGIN, max(end, min(held)))


def failure(
    outcome: Outcome,
    what: str,
    span: Span | None,
    *,
    at: float | None = None,
    near: Iterable[float] = (),
    help: str = "",
    whole: bool = True,
) -> Failure:
    """A failure about ``at``, with ``near`` in what is shown around it. ``whole``: about no instant, the whole call is
    shown."""
    times = [*near, *(() if at is None else (at,))]
    if not times and whole:
        times = [0.0, outcome.seconds]
    return Failure(what, span, at, around(outcome, times), help)


def nearest(outcome: Outcome, match: EventMatch, start: int = 0) -> tuple[str, Event | None]:
    """In words, what came nearest to an event that there was not; and that event, when there was one.

    First those of the same name that do not fulfil the condition, then those of a like name.
    """
    events = outcome.events[start:]
    namesakes = [e for e in events if match.pattern.matches(e.name)]
    if namesakes and match.where is not None:
        best = _closest(match.where, namesakes)
        told = _about(match.where, best.payload)
        where = guard_text(match.where)
        if len(namesakes) == 1:
            return f"there was one such event, {instants([best.time])}, without `{where}`: {told}", best
        times = instants([e.time for e in namesakes])
        return (
            f"there were {len(namesakes)} such events, {times}, none with `{where}`; the nearest was {told}"
            f" at {instant(best.time)}"
        ), best
    other = _like(match, events)
    if other is not None:
        of_that = [e for e in events if e.name == other]
        seen = f"{len(of_that)} `{other}`" if len(of_that) > 1 else f"`{other}`"
        return f"no event of that name came; what came is {seen}, {instants([e.time for e in of_that])}", of_that[0]
    return ("no event of that name came" if not start else "no event of that name came after it"), None


def _closest(where: Expression, events: Sequence[Event]) -> Event:
    """The event that fulfils most of ``where``, and among those the one whose words are most like what is asked."""
    tests = [fulfils(part) for part in (where.items if isinstance(where, All) else (where,))]
    asked = " ".join(str(o.value) for o in operands(where) if isinstance(o, Constant) and isinstance(o.value, str))

    def score(event: Event) -> tuple[int, float]:
        text = getattr(event.payload, "text", "") or shown(event.payload)
        return sum(test(event.payload) for test in tests), likeness(asked, str(text)) if asked else 0.0

    return max(events, key=score)  # the first of equals


def _about(where: Expression, payload: Payload) -> str:
    """The fields of ``payload`` that ``where`` asks about."""
    fields = list(dict.fromkeys(o.name for o in operands(where) if isinstance(o, Field)))
    if fields == ["text"]:
        return quoted(str(getattr(payload, "text", "")))
    told = [f"{name}={field_text(payload, name)}" for name in fields if hasattr(payload, name)]
    return ", ".join(told) if told else (shown(payload) or "an event that says nothing")


def _like(match: EventMatch, events: Sequence[Event]) -> str | None:
    """The name among ``events`` that is most like the one asked for: of the same kind, or spelt like it."""
    names = names_of(events)
    kinds = {".".join(n.split(".")[2:]): n for n in reversed(names)}  # the first name of each kind
    asked = ".".join(match.pattern.parts[2:])
    if asked in kinds:
        return kinds[asked]
    spelt = difflib.get_close_matches(asked, kinds, n=1, cutoff=0.75)
    return kinds[spelt[0]] if spelt else None
