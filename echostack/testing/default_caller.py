"""A caller for a graph without scenarios: says something, interrupts the answer, and hangs up."""

from __future__ import annotations

from pathlib import Path

from echostack.core.events import EventPattern, event_name
from echostack.core.payloads import AgentMessage, AgentMessagePartial, CallStarted
from echostack.core.span import Span
from echostack.language.scenario import Caller, HangUp, Interrupt, Listen, Pause, Say, Scenario, Step
from echostack.plan import Plan
from echostack.plan.model import ENGINE

NAME = "a caller of no scenario"
FIRST, INTO = "Hello, I have a question.", "Sorry, one more thing."
LATEST = 10.0
"""Seconds after which a caller goes on who is not answered."""


def default_scenario(path: Path, plan: Plan | None = None) -> Scenario:
    """Two turns, the second of them into the answer to the first, and a hang-up; nothing is expected.

    A graph that greets is heard out first, one that cannot speak is only spoken to.
    """
    place = Span(str(path), 1, 1, 1, 1)
    speaks = plan is None or any(n.spec is not None and n.spec.role == "egress" for n in plan.nodes.values())
    answered: tuple[Step, ...] = (
        Interrupt(INTO, 1.0, place, within=LATEST),
        Listen(1.0, place, within=LATEST),
    )
    unanswered: tuple[Step, ...] = (Pause(2.0, place), Say(INTO, place), Pause(2.0, place))
    greeted: tuple[Step, ...] = (Listen(0.5, place, within=LATEST),) if speaks and _greets(plan) else ()
    steps = (*greeted, Say(FIRST, place), *(answered if speaks else unanswered), HangUp(place))
    return Scenario(NAME, place, caller=Caller(steps))


def _greets(plan: Plan | None) -> bool:
    """Whether an agent is told of the call's begin, and so may have the first word."""
    if plan is None:
        return False
    begun = event_name("control", "call", CallStarted.__kind__.name)
    told = (e.target for e in plan.edges if e.source == ENGINE and EventPattern.parse(e.pattern).matches(begun))
    specs = (plan.nodes[target].spec for target in told)
    return any(s is not None and (AgentMessage in s.produces or AgentMessagePartial in s.produces) for s in specs)
