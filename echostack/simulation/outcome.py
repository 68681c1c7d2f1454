"""What one simulated call came to: all that expectations are judged by, and what they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from echostack.core.events import Event
from echostack.core.span import Span
from echostack.language.scenario import Scenario
from echostack.plan import Plan
from echostack.registry import Turn
from echostack.runtime.stats import Stats
from echostack.simulation.invariants.witness import Witness
from echostack.simulation.world import AppliedFault, HeardSpeech, NodeStore, Note


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is not as the scenario says, or that no call may do.

    what: one sentence. span: the expectation's place in its file, None for what holds always. at: the instant that it
    is about, in session seconds. around: the part of the call that matters, from and to. help: what to look at.
    invariant: the name of what no call may do, empty for what the scenario expects.
    """

    what: str
    span: Span | None = None
    at: float | None = None
    around: tuple[float, float] | None = None
    help: str = ""
    invariant: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One simulated call. ``events`` are all that are not audio, in the order in which they happened.

    heard: what the caller heard, by the samples played. stores: what each node wrote to its simulated outside world.
    seconds: how long the call was, on its own clock. left: tasks that the call left behind. crash: the error that
    ended the call from inside (a deadlock, an error that nobody took), empty for none. notes: what went wrong in the
    script itself (a wait that ended by its deadline). timers: what was still to happen when the call was over. steps:
    which step the caller began when, those apart that happen beside the others. witness: what invariants are judged by.
    """

    scenario: Scenario
    seed: int
    plan: Plan
    events: tuple[Event, ...] = ()
    heard: tuple[HeardSpeech, ...] = ()
    conversation: tuple[Turn, ...] = ()
    stores: Mapping[str, NodeStore] = field(default_factory=dict)
    stats: Stats | None = None
    seconds: float = 0.0
    ended: str = ""
    late: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    crash: str = ""
    notes: tuple[Note, ...] = ()
    faults: tuple[AppliedFault, ...] = ()
    timers: tuple[str, ...] = ()
    steps: tuple[tuple[int, float], ...] = ()
    witness: Witness | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is as the scenario says."""
        return not self.failures
