"""A session's counters as one frozen value."""

from __future__ import annotations

from collections.abc import Iterable

from echostack.runtime.assembly import Assembly
from echostack.runtime.core import Core
from echostack.runtime.queues import Lane
from echostack.runtime.stats import QueueStats, Stats, node_stats, timing_stats
from echostack.runtime.subscription import Subscription


def stats_of(core: Core, parts: Assembly, subscriptions: Iterable[Subscription], late: tuple[str, ...]) -> Stats:
    """Everything counted so far. Costs a walk over nodes and queues; changes nothing."""
    counters = core.counters
    counters.settle()
    controls = [d.inbox.control for d in parts.drivers.values() if d.inbox.control.put_count]
    lanes = [*parts.lanes.values(), *controls, *(s.lane for s in subscriptions)]
    return Stats(
        session=core.session,
        seconds=core.clock.now(),
        epochs=tuple(core.epochs.snapshot()),
        interruptions=counters.interruptions,
        suspensions=counters.suspensions,
        aborted=counters.aborted,
        ignored_turns=counters.ignored_turns,
        nodes={name: node_stats(node) for name, node in counters.nodes.items()},
        queues=tuple(map(_queue, lanes)),
        voice_to_voice_ms=tuple(counters.voice_to_voice_ms),
        turn_to_audio_ms=tuple(counters.turn_to_audio_ms),
        late=late,
        effects=parts.effects.record(),
        effects_repeated=parts.effects.repeated,
        guesses=counters.guesses,
        guesses_confirmed=counters.guesses_confirmed,
        guessed_dropped=counters.guessed_dropped,
        usage=tuple(counters.usage.values()),
        timing=timing_stats(counters),
        budget_ms=None if parts.plan.voice_to_voice is None else round(parts.plan.voice_to_voice * 1000, 3),
        budget_exceeded=counters.times.exceeded,
        budget_slowest=dict(counters.times.slowest),
    )


def _queue(lane: Lane) -> QueueStats:
    return QueueStats(
        edge=lane.edge,
        bound=lane.bound,
        overflow=lane.overflow.value,
        put=lane.put_count,
        taken=lane.taken,
        dropped=lane.dropped,
        stale=lane.stale,
        refused=lane.refused,
        held=len(lane),
        high=lane.high,
    )
