"""A caller for a graph without scenarios: says something, interrupts the answer, and hangs up."""

from __future__ import annotations

from pathlib import Path

from echostack.core.span import Span
from echostack.language.scenario import Caller, HangUp, Interrupt, Listen, Pause, Say, Scenario, Step
from echostack.plan import Plan

NAME = "a caller of no scenario"
FIRST, INTO = "Hello, I have a question.", "Sorry, one more thing."
LATEST = 10.0
"""Seconds after which a caller goes on who is not answered."""


def default_scenario(path: Path, plan: Plan | None = None) -> Scenario:
    """Two turns, the second of them into the answer to the first, and a hang-up; nothing is expected.

    A graph that cannot speak is only spoken to.
    """
    place = Span(str(path), 1, 1, 1, 1)
    speaks = plan is None or any(n.spec is not None and n.spec.role == "egress" for n in plan.nodes.values())
    answered: tuple[Step, ...] = (
        Interrupt(INTO, 1.0, place, within=LATEST),
        Listen(1.0, place, within=LATEST),
    )
    unanswered: tuple[Step, ...] = (Pause(2.0, place), Say(INTO, place), Pause(2.0, place))
    steps = (Say(FIRST, place), *(answered if speaks else unanswered), HangUp(place))
    return Scenario(NAME, place, caller=Caller(steps))
