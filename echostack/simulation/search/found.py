"""What a search comes to, as plain data: it crosses processes, and every report is made from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from echostack.language.scenario import Scenario
from echostack.simulation.outcome import Failure

KEPT = 3
"""Runs that are kept of each invariant that is violated; of the others it is known that there were."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A run that did what no call may do: its number, its scenario, and what it did."""

    number: int
    scenario: Scenario
    failures: tuple[Failure, ...]

    @property
    def invariants(self) -> tuple[str, ...]:
        """The names of the invariants, each once."""
        return tuple(dict.fromkeys(f.invariant for f in self.failures))


@dataclass(slots=True)
class Batch:
    """What some runs came to. seconds: of calls, on their own clocks. unplayed: runs whose scenario this graph could
    not play, and why the first of them was not."""

    runs: int = 0
    seconds: float = 0.0
    instants: set[float] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    hits: list[Hit] = field(default_factory=list)
    violated: Counter[str] = field(default_factory=Counter)
    unplayed: int = 0
    why: str = ""

    def add(self, other: Batch) -> None:
        """Take in what other runs came to; of the hits, the first few of each invariant."""
        self.runs += other.runs
        self.seconds += other.seconds
        self.instants |= other.instants
        self.kinds += other.kinds
        self.unplayed += other.unplayed
        self.why = self.why or other.why
        for hit in other.hits:
            if any(self.of(name) < KEPT for name in hit.invariants):
                self.hits.append(hit)
        self.violated += other.violated

    def of(self, invariant: str) -> int:
        """How many runs are kept that violate ``invariant``."""
        return sum(invariant in hit.invariants for hit in self.hits)

    def smallest(self, invariant: str) -> Hit | None:
        """Of the runs that violate ``invariant`` the one with the least about it."""
        hits = [hit for hit in self.hits if invariant in hit.invariants]
        return min(hits, key=lambda hit: (_size(hit.scenario), hit.number), default=None)


def _size(scenario: Scenario) -> int:
    faults = sum(len(s.faults) + (s.delay is not None) for s in scenario.connectors.values())
    return len(scenario.caller.steps) + faults + 2 * scenario.shuffle
