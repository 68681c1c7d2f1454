"""What a session counts. Counting is always on; distributions keep a bounded sample."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from echostack.core.payloads import Usage
from echostack.runtime.effects import EffectRecord

SAMPLE = 512


USED = ("input_tokens", "output_tokens", "cached_tokens", "cache_written_tokens", "characters", "audio_seconds")
"""The fields of ``usage`` that are summed up."""


@dataclass(frozen=True, slots=True)
class UsageStats:
    """What one node used of one model in the call so far, by the provider's own count; ``requests`` is how many
    reports that is the sum of. See ``Usage`` for the rest."""

    node: str
    model: str
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    characters: int = 0
    audio_seconds: float = 0.0


@dataclass(slots=True)
class NodeCounters:
    """One node: events in and out, outputs refused as stale, failures by kind, and time to first output in ms."""

    received: int = 0
    emitted: int = 0
    stale: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    first_output_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLE))

    def failed(self, kind: str) -> None:
        self.failures[kind] = self.failures.get(kind, 0) + 1


@dataclass(slots=True)
class TimeCounters:
    """What was timed so far: a bounded sample of every part, in ms, and how often the budget was exceeded by whom."""

    endpointing_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    stages_ms: dict[str, deque[float]] = field(default_factory=dict)
    exceeded: int = 0
    slowest: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Counters:
    """The session's counters by node, and what belongs to the call as a whole.

    voice_to_voice_ms: from the end of the caller's speech to the first sample of the reply, one a turn.
    """

    nodes: dict[str, NodeCounters] = field(default_factory=dict)
    interruptions: int = 0
    suspensions: int = 0
    aborted: int = 0
    ignored_turns: int = 0
    guesses: int = 0
    guesses_confirmed: int = 0
    guessed_dropped: int = 0
    voice_to_voice_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    turn_to_audio_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    times: TimeCounters = field(default_factory=TimeCounters)
    usage: dict[tuple[str, str], UsageStats] = field(default_factory=dict)
    _settlers: list[Callable[[], None]] = field(default_factory=list)

    def on_read(self, settle: Callable[[], None]) -> None:
        """Call ``settle`` before the counters are read: fused runs count once for all their nodes."""
        self._settlers.append(settle)

    def settle(self) -> None:
        """Bring every counter up to date."""
        for settle in self._settlers:
            settle()

    def forget_settlers(self) -> None:
        """Settle for the last time; the pushes that counted are replaced."""
        self.settle()
        self._settlers.clear()

    def used(self, node: str, usage: Usage) -> None:
        """Add what one request of ``node`` used to what it has used of the same model."""
        key = (node, usage.model)
        before = self.usage.get(key) or UsageStats(node, usage.model)
        more = {name: getattr(before, name) + getattr(usage, name) for name in USED}
        self.usage[key] = dataclasses.replace(before, requests=before.requests + 1, **more)

    def node(self, name: str) -> NodeCounters:
        found = self.nodes.get(name)
        if found is None:
            found = self.nodes[name] = NodeCounters()
        return found


@dataclass(frozen=True, slots=True)
class QueueStats:
    """One queue at an instant: events put, taken, dropped by its policy, cleared as stale, held now, most ever."""

    edge: str
    bound: int
    overflow: str
    put: int
    taken: int
    dropped: int
    stale: int
    refused: int
    held: int
    high: int


@dataclass(frozen=True, slots=True)
class Stats:
    """A session's figures at an instant, as plain frozen data.

    interruptions: of the agent, by whatever cause but the caller's hanging up.
    effects: what the call has begun to do to the outside world, and how far each came; one still ``begun`` after the
    end was under way when the call ended. effects_repeated: events that came with the key of an effect begun before.
    usage: by node and model, in the order of their first reports.
    timing: percentiles in ms of ``voice_to_voice``, of its part ``endpointing``, and of each stage's time to its first
    output for a turn (by node), in the order in which they first answered. budget_ms: the file's for voice to voice,
    budget_exceeded: how many replies came later, budget_slowest: which part took most of those, and how often.
    guesses: of the caller's turn, of which so many were confirmed; guessed_dropped: answers to the others, unseen.
    """

    session: str
    seconds: float
    epochs: tuple[int, ...]
    interruptions: int
    suspensions: int
    aborted: int
    ignored_turns: int
    nodes: Mapping[str, Mapping[str, Any]]
    queues: tuple[QueueStats, ...]
    voice_to_voice_ms: tuple[float, ...]
    turn_to_audio_ms: tuple[float, ...]
    late: tuple[str, ...] = ()
    effects: tuple[EffectRecord, ...] = ()
    effects_repeated: int = 0
    guesses: int = 0
    guesses_confirmed: int = 0
    guessed_dropped: int = 0
    usage: tuple[UsageStats, ...] = ()
    timing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    budget_ms: float | None = None
    budget_exceeded: int = 0
    budget_slowest: Mapping[str, int] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """Events lost to overflow in the whole session."""
        return sum(q.dropped + q.refused for q in self.queues)


def percentile(values: tuple[float, ...] | deque[float], share: float) -> float:
    """The nearest-rank percentile of ``values`` (share in 0..1); 0.0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    # Rounded first: 0.07 * 100 is a little more than 7, and its rank is 7.
    rank = math.ceil(round(share * len(ordered), 9))
    return ordered[min(len(ordered), max(1, rank)) - 1]


def node_stats(counters: NodeCounters) -> dict[str, Any]:
    """One node's counters as plain data, with its latency percentiles."""
    return {
        "received": counters.received,
        "emitted": counters.emitted,
        "stale": counters.stale,
        "failures": dict(counters.failures),
        "first_output_ms": percentiles(counters.first_output_ms),
    }


def percentiles(sample: deque[float]) -> dict[str, float]:
    """How many there are of ``sample``, its percentiles, and the most."""
    return {
        "count": len(sample), "p50": percentile(sample, 0.5), "p90": percentile(sample, 0.9),
        "p95": percentile(sample, 0.95), "p99": percentile(sample, 0.99), "max": max(sample, default=0.0),
    }  # fmt: skip


def timing_stats(counters: Counters) -> dict[str, dict[str, float]]:
    """Percentiles of everything that was timed; empty before the first reply to speech."""
    times = counters.times
    if not times.endpointing_ms:
        return {}
    named = {"voice_to_voice": counters.voice_to_voice_ms, "endpointing": times.endpointing_ms, **times.stages_ms}
    return {name: percentiles(sample) for name, sample in named.items()}
