"""One call against its scenario: everything that is not as it says, and everything that no call may do."""

from __future__ import annotations

from collections.abc import Iterator

from echostack.language.scenario import (
    Drops,
    Ends,
    Expectation,
    Hears,
    Holds,
    InOrder,
    Never,
    Sees,
    Takes,
    Written,
)
from echostack.simulation.expect.events import in_order, never, sees
from echostack.simulation.expect.figures import drops, takes, written
from echostack.simulation.expect.speech import hears, holds
from echostack.simulation.expect.whole import always, ends
from echostack.simulation.invariants.check import violations
from echostack.simulation.outcome import Failure, Outcome

TOLD_BY_ALWAYS = ("every call ends", "nobody is late", "nothing is left")
"""Invariants that a scenario may say something else about, or that are told with what it says."""


def judge(outcome: Outcome) -> tuple[Failure, ...]:
    """What is not as it should be: first what holds for every call, then the expectations in the file's order.

    Pure: the same outcome gives the same failures, in the same words.
    """
    found = list(always(outcome))
    found += [v for v in violations(outcome) if v.invariant not in TOLD_BY_ALWAYS]
    for expected in outcome.scenario.expect:
        found += _judged(expected, outcome)
    return tuple(found)


def _judged(expected: Expectation, outcome: Outcome) -> Iterator[Failure]:
    match expected:
        case Sees():
            return sees(expected, outcome)
        case Never():
            return never(expected, outcome)
        case InOrder():
            return in_order(expected, outcome)
        case Hears():
            return hears(expected, outcome)
        case Holds():
            return holds(expected, outcome)
        case Written():
            return written(expected, outcome)
        case Takes():
            return takes(expected, outcome)
        case Drops():
            return drops(expected, outcome)
        case Ends():
            return ends(expected, outcome)
