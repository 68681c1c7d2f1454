"""The ways in which a call is varied, each as ordinary data of a scenario: what is found can be saved and run again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from echostack.core.span import Span
from echostack.language.scenario import (
    Await,
    Dead,
    Delay,
    Fault,
    HangUp,
    Interrupt,
    Keys,
    Listen,
    Noise,
    NoiseLevel,
    Pause,
    Say,
    Scenario,
    Script,
    Send,
    Step,
)
from echostack.simulation.search.baseline import Baseline
from echostack.simulation.speech import spoken_seconds


class Kind(StrEnum):
    """What is varied; the words that ``--only`` takes."""

    INTERRUPT = "interrupt"  # the caller speaks at an instant
    HANG_UP = "hang-up"  # the caller is gone
    SILENCE = "silence"  # the line is dead for a while
    NOISE = "noise"
    KEYS = "keys"
    WAIT = "wait"  # a wait of the caller is cut short
    FAULT = "fault"  # a node fails, dies, loses, doubles, …
    DELAY = "delay"  # a node takes longer, or no time
    ORDER = "order"  # what is ready at one instant runs in any order


@dataclass(frozen=True, slots=True)
class Variation:
    """One variation: of which kind, at which instant of the call (session seconds), and how: the words that are said,
    the seconds that it lasts, the node and its fault."""

    kind: Kind
    at: float = 0.0
    text: str = ""
    seconds: float = 0.0
    node: str = ""
    fault: Fault | None = None


def varied(base: Baseline, variations: Sequence[Variation], *, shuffle: bool = False, jitter: float = 0.0) -> Scenario:
    """The scenario of ``base`` with all ``variations``."""
    scenario = base.scenario
    scripts = dict(scenario.connectors)
    for one in variations:
        script = scripts.get(one.node) or Script(one.node, scenario.span)
        if one.kind is Kind.FAULT and one.fault is not None:
            scripts[one.node] = replace(script, faults=(*script.faults, one.fault))
        elif one.kind is Kind.DELAY:
            scripts[one.node] = replace(script, delay=Delay(one.seconds, one.seconds))
    said = sorted((v for v in variations if v.kind not in (Kind.FAULT, Kind.DELAY, Kind.ORDER)), key=lambda v: v.at)
    caller = replace(scenario.caller, steps=tuple(_steps(base, said)))
    return replace(scenario, caller=caller, connectors=scripts, shuffle=shuffle, jitter=jitter if shuffle else 0.0)


def _steps(base: Baseline, said: Iterable[Variation]) -> list[Step]:
    """The caller's script with what is done at instants of its own put where the script is then.

    Up to the first of them everything happens as without; a wait that is under way at its instant ends with it.
    """
    steps: list[list[Step]] = [[step] for step in base.scenario.caller.steps]
    before: list[Step] = []
    span, pace = base.scenario.span, base.scenario.caller.pace
    free = 0.0  # when the caller has said what was put in before
    for one in said:
        place, began = base.step_at(one.at)
        group = steps[place] if place >= 0 else before
        step = base.scenario.caller.steps[place] if place >= 0 else None
        waits = isinstance(step, Listen | Await | Pause)
        waits = waits or (isinstance(step, Interrupt) and not _said(base, place, one))
        fits = one.at >= free
        if waits and one.kind in (Kind.INTERRUPT, Kind.SILENCE, Kind.WAIT):
            group[:] = [s for s in group if s is not step]
        match one.kind:
            case Kind.INTERRUPT:
                lasts = one.seconds or None
                at = one.at if fits and (waits or step is None) else None
                group.append(Say(one.text, span, at=at, lasts=lasts))
                free = max(free, one.at) + (one.seconds or spoken_seconds(one.text, pace)) + 0.001
            case Kind.SILENCE:
                if waits and fits:
                    group.append(Pause(max(0.0, one.at - max(began, free)), span))
                group.append(Dead(one.seconds, span))
                free = max(free, one.at) + one.seconds
            case Kind.WAIT:
                group.append(Pause(max(0.0, one.at - max(began, free)), span))
            case Kind.NOISE:
                level = NoiseLevel.QUIET if one.text == "quiet" else NoiseLevel.LOUD
                group.append(Noise(one.seconds, level, span, at=one.at, background=True))
            case Kind.KEYS:
                group.append(Keys(one.text, span, at=one.at))
            case Kind.HANG_UP:
                group.append(HangUp(span, at=one.at))
    return rising([*before, *(step for group in steps for step in group)])


def _said(base: Baseline, place: int, one: Variation) -> bool:
    """Whether an ``interrupt`` of the script is by then under way: it is waited for at first."""
    step = base.scenario.caller.steps[place]
    later = [time for at, time in base.begun if at > place]
    lasts = spoken_seconds(step.text, base.scenario.caller.pace) if isinstance(step, Interrupt) else 0.0
    return bool(later) and one.at >= later[0] - lasts


def rising(steps: Sequence[Step]) -> list[Step]:
    """``steps`` without the instants that would lie before that of a step that stands before them."""
    found: list[Step] = []
    last = 0.0
    for step in steps:
        at = getattr(step, "at", None)
        if at is not None and at < last:
            if isinstance(step, Say):
                step = replace(step, at=None)
            elif isinstance(step, Noise | Keys | Send | HangUp):
                step = replace(step, at=last)
        elif at is not None:
            last = at
        found.append(step)
    return found


def at_instant(kind: Kind, at: float, *, text: str = "", seconds: float = 0.0) -> Variation:
    """A variation of what the caller does."""
    return Variation(kind, max(0.0, at), text, seconds)


def failing(node: str, fault: Fault) -> Variation:
    """A node that fails."""
    return Variation(Kind.FAULT, fault.at or 0.0, node=node, fault=fault)


def taking(node: str, seconds: float) -> Variation:
    """A node that takes so long."""
    return Variation(Kind.DELAY, node=node, seconds=seconds)


NOWHERE = Span("", 0, 0, 0, 0)
"""The place of what stands in no file yet."""
