"""What is searched: a plan, a scenario, and the calls that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from echostack.language.scenario import Scenario
from echostack.plan import Plan
from echostack.simulation.expect.whole import always
from echostack.simulation.invariants.check import violations
from echostack.simulation.outcome import Failure, Outcome
from echostack.simulation.run import simulate
from echostack.simulation.world import Answers


@dataclass(frozen=True, slots=True)
class Subject:
    """A plan and the scenario that is varied. expect: whether its own expectations are judged, too."""

    plan: Plan
    scenario: Scenario
    answers: Mapping[str, Answers] = field(default_factory=dict)
    real: tuple[str, ...] = ()
    expect: bool = False

    def call(self, scenario: Scenario) -> Outcome:
        """One call. UsageError for a scenario that the graph cannot play."""
        played = scenario if self.expect else replace(scenario, expect=())
        return simulate(self.plan, played, answers=self.answers, real=self.real)

    def found(self, outcome: Outcome) -> tuple[Failure, ...]:
        """What is wrong with a call: what no call may do, and with ``expect`` what the scenario says.

        A step that a varied caller comes too late for, a fault that is never played: these are no expectations.
        """
        found = violations(outcome)
        if not self.expect:
            return found
        script = set(always(outcome))
        named = tuple(replace(f, invariant=EXPECTED) for f in outcome.failures if not f.invariant and f not in script)
        return (*found, *named)


EXPECTED = "the scenario's expectations"
"""What stands in the place of an invariant's name for everything that the scenario itself expects."""

Opener = Callable[[], Subject]
"""Makes the subject, in whichever process: a picklable function or object."""
