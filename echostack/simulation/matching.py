"""Which events a scenario means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from echostack.core.events import Event
from echostack.language.guard import Expression, predicate
from echostack.language.scenario import EventMatch


def matcher(match: EventMatch) -> Callable[[Event], bool]:
    """``match`` as a function of an event."""
    named = match.pattern.matches
    if match.where is None:
        return lambda event: named(event.name)
    where = fulfils(match.where)
    return lambda event: named(event.name) and where(event.payload)


def fulfils(where: Expression) -> Callable[[Any], bool]:
    """``where`` as a function of a payload; a payload without the field, which a pattern may let in, does not."""
    test = predicate(where)

    def fulfilled(payload: Any) -> bool:
        try:
            return test(payload)
        except AttributeError:
            return False

    return fulfilled
