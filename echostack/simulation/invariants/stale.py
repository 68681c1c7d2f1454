"""Nothing stale is made, heard, stored or done: what belongs to an epoch that is over stays where it is."""

from __future__ import annotations

from collections.abc import Iterator

from echostack.core.events import Event
from echostack.core.payloads import Retried, TimeoutFailure
from echostack.registry import StandIn, stand_in
from echostack.runtime.context import idempotency_key
from echostack.runtime.core import restamp
from echostack.simulation.invariants.evidence import HAIR, Evidence, seconds
from echostack.simulation.outcome import Failure
from echostack.simulation.world import NodeStore


def nothing_stale_is_made(evidence: Evidence) -> Iterator[Failure]:
    """No event is made for an epoch that was over when it was made, unless its kind survives interruptions."""
    if not evidence.commits:
        return
    present: dict[int, int] = {}
    commits = iter(evidence.commits)
    upcoming = next(commits, None)
    told: set[str] = set()
    for event in evidence.events:
        while upcoming is not None and upcoming.seq < event.seq:
            present[upcoming.scope] = upcoming.epoch
            upcoming = next(commits, None)
        if event.epoch < present.get(event.scope, 0) and not event.payload.__kind__.keep and event.node not in told:
            told.add(event.node)
            yield _made(evidence, event.node, event.kind, event.time, event.epoch, present[event.scope])
    for piece in evidence.witness.pieces:
        over = evidence.over(piece.scope, piece.epoch) if piece.scope else None
        if over is not None and piece.seq > over.seq and piece.node not in told:
            told.add(piece.node)
            yield _made(evidence, piece.node, piece.kind, piece.time, piece.epoch, over.epoch)


def _made(evidence: Evidence, node: str, kind: str, time: float, epoch: int, present: int) -> Failure:
    return evidence.finding(
        f"{node} gave `{kind}` at {seconds(time)} for epoch {epoch}, which was over: it was epoch {present}", time
    )


def nothing_stale_is_heard(evidence: Evidence) -> Iterator[Failure]:
    """No sample sounds that was made for an epoch that is over, from the very instant at which it is."""
    for speech in evidence.heard:
        made = evidence.epoch_of(speech.utterance)
        if made is None or evidence.protected(speech.utterance):
            continue
        over = evidence.over(*made)
        if over is not None and speech.end > over.time + HAIR:
            words = " ".join(w.text for w in speech.words if w.end > over.time + HAIR)
            yield evidence.finding(
                f"{words!r} of {speech.utterance} was heard until {seconds(speech.end)}, although it was interrupted at"
                f" {seconds(over.time)} ({over.cause})",
                over.time,
                speech.end,
            )


def nothing_stale_is_done(evidence: Evidence) -> Iterator[Failure]:
    """No effect is begun for an epoch that is over. A simulated service does what it is asked for when it is asked."""
    for node, store in evidence.outcome.stores.items():
        plan_node = evidence.plan.nodes.get(node)
        if plan_node is None or plan_node.spec is None or not plan_node.scope or not store.writes:
            continue
        if stand_in(plan_node.spec) is StandIn.OWN and not plan_node.spec.make.__module__.startswith("echostack."):
            continue  # its own simulation may write when its answer comes, and what has begun is not taken back
        keys = _keys(evidence, node)
        for write in store.writes:
            event, epoch = keys.get(write.key, (None, 0))
            over = evidence.over(plan_node.scope, epoch) if event is not None else None
            if event is None or over is None or event.payload.__kind__.keep:
                continue
            if write.time > over.time + HAIR:
                yield evidence.finding(
                    f"{node} acted at {seconds(write.time)} on `{event.name}` of {seconds(event.time)}, although that"
                    f" was interrupted at {seconds(over.time)} ({over.cause})",
                    write.time,
                    over.time,
                )


def nothing_is_done_twice(evidence: Evidence) -> Iterator[Failure]:
    """No effect is asked for again under a key that it had, but to try again what failed."""
    for node, store in evidence.outcome.stores.items():
        if not store.repeated or any(f.node == node for f in evidence.outcome.faults):
            continue
        again = [
            e for e in evidence.events
            if isinstance(e.payload, Retried | TimeoutFailure) and e.payload.node in _also(evidence, node)
        ]  # fmt: skip
        if store.repeated > len(again):
            times = "once" if store.repeated == 1 else f"{store.repeated} times"
            what = f"{node} was asked {times} more for what it had done already, and nothing had failed"
            yield evidence.finding(what)
        yield from _without_key(evidence, node, store)


def _without_key(evidence: Evidence, node: str, store: NodeStore) -> Iterator[Failure]:
    found = [w for w in store.writes if not w.key]
    if found:
        yield evidence.finding(f"{node} acted at {seconds(found[0].time)} without an idempotency key", found[0].time)


def _also(evidence: Evidence, node: str) -> tuple[str, ...]:
    choice = evidence.plan.nodes[node].choice
    return (node, choice) if choice else (node,)


def _keys(evidence: Evidence, node: str) -> dict[str, tuple[Event, int]]:
    """What each idempotency key of ``node`` stands for: the event, and the epoch in which it was taken up."""
    plan_node = evidence.plan.nodes[node]
    assert plan_node.spec is not None
    takes = plan_node.spec.consumes
    epochs = range(1 + max([c.epoch for c in evidence.commits if c.scope == plan_node.scope], default=0))
    found: dict[str, tuple[Event, int]] = {}
    for event in evidence.events:
        if isinstance(event.payload, takes):
            for epoch in (event.epoch,) if event.scope == plan_node.scope else epochs:
                for by in _also(evidence, node):
                    found[idempotency_key(by, restamp(event, plan_node.scope, epoch))] = (event, epoch)
    return found
