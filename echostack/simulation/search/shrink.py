"""Makes a scenario that does what no call may do as small as it can be, while it still does it.

Delta debugging (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, 2002) over what stands in the
scenario: orders by chance, faults and delays, the caller's steps, words, and the digits of instants and of the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from echostack.core.clock import stopwatch
from echostack.core.errors import UsageError
from echostack.core.span import Span
from echostack.language.scenario import Await, Caller, Delay, HangUp, Interrupt, Say, Scenario, Script, Step
from echostack.simulation.outcome import Failure
from echostack.simulation.search.subject import EXPECTED, Subject
from echostack.simulation.search.variations import rising

RUNS = 600
"""Calls that making one scenario small may take."""

SECONDS = 60.0
"""Seconds of real time that it may take."""

_DIGITS = (0, 1, 2, 3, 4, 6)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest scenario that was found, what it does, and how many calls that took."""

    scenario: Scenario
    failure: Failure
    runs: int


def shrink(
    subject: Subject, scenario: Scenario, invariant: str, *, runs: int = RUNS, seconds: float = SECONDS,
    on_try: Callable[[int], None] = lambda _: None,
) -> Shrunk | None:  # fmt: skip
    """The smallest scenario that violates ``invariant``; None when ``scenario`` itself does not.

    Where the invariant is the scenario's own expectations, what the scenario says by itself stays: who is never asked
    never answers, and that would say nothing about what was varied.

    The same subject and scenario give the same result, unless ``seconds`` end it.
    """
    trial = _Trial(subject, invariant, runs, seconds, on_try, _Kept.of(subject.scenario, invariant))
    if not trial.fails(scenario):
        return None
    best, before = scenario, None
    while best != before and not trial.over:
        before = best
        for smaller in (_order, _seed, _scripts, _steps, _words, _instants):
            best = smaller(best, trial)
    assert trial.failure is not None
    return Shrunk(best, trial.failure, trial.runs)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is not made smaller: the places of steps, and scripts of nodes."""

    places: frozenset[Span] = frozenset()
    scripts: Mapping[str, Script] = field(default_factory=dict)

    @classmethod
    def of(cls, scenario: Scenario, invariant: str) -> _Kept:
        if invariant != EXPECTED:
            return cls()
        return cls(frozenset(step.span for step in scenario.caller.steps), scenario.connectors)

    def step(self, steps: Sequence[Step], place: int) -> bool:
        """Whether the step at ``place`` stays: one of the scenario's own that the caller comes to at all."""
        gone = any(isinstance(step, HangUp) for step in steps[:place])
        return steps[place].span in self.places and not gone

    def part(self, node: str, part: str) -> tuple[Any, ...]:
        """The scenario's own faults, or replies, of ``node``."""
        script = self.scripts.get(node)
        return tuple(getattr(script, part)) if script is not None else ()


class _Trial:
    """Plays candidates, and remembers what the smallest that still fails does."""

    def __init__(
        self, subject: Subject, invariant: str, most: int, seconds: float, on_try: Callable[[int], None], kept: _Kept
    ) -> None:
        self.kept = kept
        self._subject, self._invariant, self._most, self._on_try = subject, invariant, most, on_try
        self._took, self._seconds = stopwatch(), seconds
        self._noted = True
        self._known: list[Scenario] = []
        self.failure: Failure | None = None
        self.runs = 0

    @property
    def over(self) -> bool:
        """Whether no more is tried."""
        return self.runs >= self._most or self._took() > self._seconds

    def fails(self, scenario: Scenario) -> bool:
        """Whether ``scenario`` violates the invariant. One whose script cannot be played as it stands does not count,
        once there is one that can."""
        if self.over or scenario in self._known:
            return False
        self.runs += 1
        self._on_try(self.runs)
        try:
            outcome = self._subject.call(scenario)
        except UsageError:
            return False
        found = next((f for f in self._subject.found(outcome) if f.invariant == self._invariant), None)
        if found is None or (outcome.notes and not self._noted):
            self._known.append(scenario)
            return False
        self._noted, self.failure = bool(outcome.notes), found
        return True

    def first(self, now: Scenario, candidates: Iterator[Scenario]) -> Scenario:
        """The first candidate that still fails, or ``now``."""
        return next((c for c in candidates if c != now and self.fails(c)), now)


def _order(now: Scenario, trial: _Trial) -> Scenario:
    if now.shuffle:
        now = trial.first(now, iter([replace(now, shuffle=False, jitter=0.0), replace(now, jitter=0.0)]))
    return now


def _seed(now: Scenario, trial: _Trial) -> Scenario:
    return trial.first(now, (replace(now, seed=seed) for seed in range(min(3, now.seed))))


def _scripts(now: Scenario, trial: _Trial) -> Scenario:
    for node in list(now.connectors):
        without = {name: script for name, script in now.connectors.items() if name != node}
        if node not in trial.kept.scripts:
            now = trial.first(now, iter([replace(now, connectors=without)]))
        if node in now.connectors:
            now = _script(now, node, trial)
    return now


def _script(now: Scenario, node: str, trial: _Trial) -> Scenario:
    def put(script: Script) -> Scenario:
        return replace(now, connectors={**now.connectors, node: script})

    script = now.connectors[node]
    for part in ("faults", "replies"):

        def fails(items: Sequence[Any], part: str = part, script: Script = script) -> bool:
            return trial.fails(put(_with(script, part, items)))

        own = trial.kept.part(node, part)
        kept = _fewer(getattr(script, part), fails, lambda items, at, own=own: items[at] in own)  # type: ignore[misc]
        script = _with(script, part, kept)
        now = put(script)
    own_script = trial.kept.scripts.get(node)
    own_delay = own_script.delay if own_script is not None else None
    if script.delay is not None and script.delay != own_delay and trial.fails(put(replace(script, delay=None))):
        script = replace(script, delay=None)
    return put(script)


def _with(script: Script, part: str, items: Sequence[Any]) -> Script:
    changed: dict[str, Any] = {part: tuple(items)}
    return replace(script, **changed)


def _steps(now: Scenario, trial: _Trial) -> Scenario:
    def put(steps: Sequence[Step]) -> Scenario:
        return replace(now, caller=replace(now.caller, steps=tuple(rising(steps))))

    return put(_fewer(now.caller.steps, lambda steps: trial.fails(put(steps)), trial.kept.step))


def _fewer(
    items: Sequence[T], fails: Callable[[Sequence[T]], bool], stays: Callable[[Sequence[T], int], bool]
) -> tuple[T, ...]:
    """As few of ``items`` as still fail: pieces are left out, each half as long as before, but none with what stays."""
    kept = tuple(items)
    size = len(kept)
    while size >= 1:
        at = 0
        while at < len(kept):
            without = kept[:at] + kept[at + size :]
            if not any(stays(kept, place) for place in range(at, min(at + size, len(kept)))) and fails(without):
                kept = without
            else:
                at += size
        size //= 2
    return kept


def _words(now: Scenario, trial: _Trial) -> Scenario:
    for place, step in enumerate(now.caller.steps):
        if not isinstance(step, Say | Interrupt) or (isinstance(step, Say) and step.audio is not None):
            continue
        if trial.kept.step(now.caller.steps, place):
            continue
        words = step.text.split()
        texts = [" ".join(words[:count]) for count in sorted({1, 2, len(words) // 2} - {0}) if count < len(words)]
        now = trial.first(now, (_put_step(now, place, replace(step, text=text)) for text in texts))
        if isinstance(step, Say) and step.heard_as is not None:
            now = trial.first(now, iter([_put_step(now, place, replace(step, heard_as=None))]))
    return now


def _put_step(now: Scenario, place: int, step: Step) -> Scenario:
    steps = list(now.caller.steps)
    steps[place] = step
    return replace(now, caller=replace(now.caller, steps=tuple(steps)))


def _instants(now: Scenario, trial: _Trial) -> Scenario:
    """Instants and lengths with as few digits as will do."""
    for place, step in enumerate(now.caller.steps):
        for name in ("at", "after", "seconds", "lasts"):
            value = getattr(now.caller.steps[place], name, None)
            if not isinstance(value, float) or isinstance(step, Await) or trial.kept.step(now.caller.steps, place):
                continue
            now = trial.first(
                now,
                (
                    _risen(_put_step(now, place, _set(now.caller.steps[place], name, v)))
                    for v in _rounder(value)
                    if v > 0 or name != "lasts"  # words that take no time can be written in no file
                ),
            )
    for node, script in now.connectors.items():
        if script.delay is not None and node not in trial.kept.scripts:
            now = trial.first(
                now, (_put_script(now, node, replace(script, delay=Delay(v, v))) for v in _rounder(script.delay.p50))
            )
        for place, fault in enumerate(script.faults):
            if fault.at is not None and fault not in trial.kept.part(node, "faults"):
                faults = now.connectors[node].faults
                now = trial.first(now, (
                    _put_script(now, node, replace(now.connectors[node], faults=(
                        *faults[:place], replace(fault, at=v), *faults[place + 1 :]
                    )))
                    for v in _rounder(fault.at)
                ))  # fmt: skip
    return now


def _put_script(now: Scenario, node: str, script: Script) -> Scenario:
    return replace(now, connectors={**now.connectors, node: script})


def _set(step: Step, name: str, value: float) -> Step:
    changed: dict[str, Any] = {name: value}
    return replace(step, **changed)


def _risen(scenario: Scenario) -> Scenario:
    caller: Caller = scenario.caller
    return replace(scenario, caller=replace(caller, steps=tuple(rising(caller.steps))))


def _rounder(value: float) -> Iterator[float]:
    """Values near ``value`` with fewer digits than it has, the fewest first."""
    for digits in _DIGITS:
        if round(value, digits) == value:
            return
        near = round(value, digits)
        for step in (0, 1, -1):
            candidate = round(near + step * 10**-digits, digits)
            if candidate >= 0 and abs(candidate - value) <= 10**-digits:
                yield candidate
