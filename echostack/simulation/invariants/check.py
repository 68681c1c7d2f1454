"""The list of what no call may do, and the call held against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from echostack.simulation.invariants import books, ending, order, speech, stale, talk
from echostack.simulation.invariants.evidence import Evidence
from echostack.simulation.outcome import Failure, Outcome


@dataclass(frozen=True, slots=True)
class Invariant:
    """What no call may do: its name, as reports and found scenarios give it, and the function that looks for it."""

    name: str
    find: Callable[[Evidence], Iterator[Failure]]


INVARIANTS: tuple[Invariant, ...] = (
    Invariant("every call ends", ending.every_call_ends),
    Invariant("nobody is late", ending.nobody_is_late),
    Invariant("nothing is left", ending.nothing_is_left),
    Invariant("nothing after the end", ending.nothing_after_the_end),
    Invariant("nothing stale is made", stale.nothing_stale_is_made),
    Invariant("nothing stale is heard", stale.nothing_stale_is_heard),
    Invariant("nothing stale is done", stale.nothing_stale_is_done),
    Invariant("nothing is done twice", stale.nothing_is_done_twice),
    Invariant("one after the other", speech.one_after_the_other),
    Invariant("no word is torn", speech.no_word_is_torn),
    Invariant("paused means silent", speech.paused_means_silent),
    Invariant("cut only by interruption", speech.cut_only_by_interruption),
    Invariant("playout tells the truth", speech.playout_tells_the_truth),
    Invariant("the agent as heard", talk.agent_as_heard),
    Invariant("the caller as recognised", talk.caller_as_recognised),
    Invariant("queues balance", books.queues_balance),
    Invariant("queues stay bounded", books.queues_stay_bounded),
    Invariant("nothing vanishes on the way", books.nothing_vanishes_on_the_way),
    Invariant("nodes take what they were given", books.nodes_take_what_they_were_given),
    Invariant("events in order", order.events_in_order),
    Invariant("epochs rise by one", order.epochs_rise_by_one),
    Invariant("served in turn", order.served_in_turn),
    Invariant("control goes first", order.control_goes_first),
)
"""In the order in which they are told."""


def violations(outcome: Outcome) -> tuple[Failure, ...]:
    """What ``outcome`` does that no call may do, each with its invariant's name. Pure."""
    if outcome.witness is None:
        return ()
    evidence = Evidence(outcome, outcome.witness)
    return tuple(replace(f, invariant=one.name) for one in INVARIANTS for f in one.find(evidence))
