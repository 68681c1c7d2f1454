"""Events stand in an order: numbers and times rise, a cause comes before what it causes, epochs rise by one; queues
are served in turn, and control before media."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from echostack.simulation.invariants.evidence import Evidence, seconds
from echostack.simulation.outcome import Failure


def events_in_order(evidence: Evidence) -> Iterator[Failure]:
    """Numbers rise, times do not fall, and an event's cause was made before it."""
    for first, second in pairwise(evidence.events):
        if second.seq <= first.seq:
            yield evidence.finding(
                f"`{second.name}` has the number {second.seq}, after `{first.name}` with {first.seq}", second.time
            )
            return
        if second.time < first.time:
            yield evidence.finding(
                f"`{second.name}` is of {seconds(second.time)}, after `{first.name}` of {seconds(first.time)}",
                second.time,
            )
            return
    for event in evidence.events:
        if event.cause >= event.seq:
            yield evidence.finding(f"`{event.name}` number {event.seq} has the cause {event.cause}", event.time)
            return


def epochs_rise_by_one(evidence: Evidence) -> Iterator[Failure]:
    """Every interruption begins the next epoch of its scope, and no event is of an epoch that has not begun."""
    now: dict[int, int] = {}
    for commit in evidence.commits:
        if commit.epoch != now.get(commit.scope, 0) + 1:
            yield evidence.finding(
                f"epoch {commit.epoch} began after epoch {now.get(commit.scope, 0)} of the same scope", commit.time
            )
        now[commit.scope] = commit.epoch
    begun = {commit.seq: commit for commit in evidence.commits}
    reached: dict[int, int] = {}
    for event in evidence.events:
        if event.seq in begun:
            reached[begun[event.seq].scope] = begun[event.seq].epoch
        elif event.scope and event.epoch > reached.get(event.scope, 0):
            yield evidence.finding(f"`{event.name}` is of epoch {event.epoch}, which had not begun", event.time)
            return


def served_in_turn(evidence: Evidence) -> Iterator[Failure]:
    """With N queues before a node, no event waits for more than N - 1 events of other queues."""
    for unfair in evidence.witness.unfair:
        if not unfair.control:
            yield evidence.finding(
                f"{unfair.node} took {unfair.passed} events of other queues, while one waited in the queue of"
                f" {unfair.edge}",
                unfair.until,
                unfair.since,
            )
            return


def control_goes_first(evidence: Evidence) -> Iterator[Failure]:
    """No event is taken from a queue while a control event waits."""
    for unfair in evidence.witness.unfair:
        if unfair.control:
            yield evidence.finding(
                f"{unfair.node} took {unfair.passed} other events, while a control event waited", unfair.until,
                unfair.since,
            )  # fmt: skip
            return
