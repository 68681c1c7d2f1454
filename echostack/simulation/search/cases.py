"""Which variation is run as which: every instant in turn first, then by chance, all of it by the seed alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from echostack.language.scenario import Fault, FaultKind, Interrupt, Say, Scenario
from echostack.simulation.search.baseline import Baseline, baseline
from echostack.simulation.search.subject import Subject
from echostack.simulation.search.variations import Kind, Variation, at_instant, failing, taking, varied

SEEDS = 8
"""Calls that are varied: the scenario with so many seeds, so with other latencies."""

SYSTEMATIC = 0.6
"""The share of the runs that goes through the instants one after the other; the rest is by chance."""

_OFFSETS = (0.0, 1e-6, -1e-6, 0.0005, -0.0005, 0.02, -0.02)
_BACKCHANNEL = "mhm"
_ORDERS = 0.3  # of the runs by chance are run in an order by chance
_NTH = 3


@dataclass(frozen=True, slots=True)
class Case:
    """One run: its number, the seed of its call, and what is varied."""

    number: int
    seed: int
    variations: tuple[Variation, ...]
    shuffle: bool = False
    jitter: float = 0.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is varied, each once."""
        order = (Kind.ORDER.value,) if self.shuffle else ()
        return (*dict.fromkeys(v.kind.value for v in self.variations), *order)


class Cases:
    """All runs of one search: ``case(i)`` for i in 0..runs-1, each a function of (subject, seed, i) alone."""

    def __init__(self, subject: Subject, runs: int, seed: int, only: Sequence[str] = ()) -> None:
        self._subject, self._seed, self._runs = subject, seed, runs
        self._only = frozenset(Kind(kind) for kind in only) or frozenset(Kind)
        self.base: Callable[[int], Baseline] = lru_cache(maxsize=SEEDS)(self._base)
        every = self._everywhere(self.base(0))
        room = int(runs * SYSTEMATIC)
        # Of more than there is room for, every so manyth: evenly over the call.
        self._systematic = every if len(every) <= room else [every[i * len(every) // room] for i in range(room)]
        self.instants = len(self.base(0).instants)

    def _base(self, number: int) -> Baseline:
        return baseline(self._subject, self._subject.scenario.seed + number)

    def case(self, number: int) -> Case:
        """The run ``number``."""
        if number < len(self._systematic):
            return Case(number, self.base(0).scenario.seed, (self._systematic[number],))
        return self._by_chance(number)

    def scenario(self, case: Case) -> Scenario:
        """What the run plays."""
        base = self.base(case.seed - self._subject.scenario.seed)
        return varied(base, case.variations, shuffle=case.shuffle, jitter=case.jitter)

    # -- every instant -------------------------------------------------------------------------------------------

    def _everywhere(self, base: Baseline) -> list[Variation]:
        """One variation at a time: what the caller can do at each instant and a hair beside it, what a node can fail
        with at each of its first events and at each instant."""
        texts = self._texts(base.scenario)
        found: list[Variation] = []
        for place, instant in enumerate(base.instants):
            found.append(at_instant(Kind.INTERRUPT, instant, text=texts[place % len(texts)]))
            found.append(at_instant(Kind.HANG_UP, instant))
            found.append(at_instant(Kind.INTERRUPT, instant, text=_BACKCHANNEL, seconds=0.25))
            found.append(at_instant(Kind.NOISE, instant, text="loud", seconds=(0.1, 0.4, 1.5)[place % 3]))
            found.append(at_instant(Kind.SILENCE, instant, seconds=(0.5, 3.0)[place % 2]))
            found.append(at_instant(Kind.WAIT, instant))
            for offset in _OFFSETS[1:]:
                beside = (Kind.HANG_UP, Kind.INTERRUPT)[place % 2]
                found.append(at_instant(beside, instant + offset, text=texts[place % len(texts)]))
            if base.keys:
                found.append(at_instant(Kind.KEYS, instant, text="1"))
        for node, kinds in base.faults.items():
            for which in kinds:
                for nth in range(1, min(_NTH, base.reached[node]) + 1):
                    found.append(failing(node, self._fault(which, nth=nth)))
        for place, instant in enumerate(base.instants):
            nodes = list(base.faults)
            for node in nodes[place % 3 :: 3]:
                which = base.faults[node][(place // 3) % len(base.faults[node])]
                found.append(failing(node, self._fault(which, at=instant)))
        for node in base.slow:
            found += [taking(node, seconds) for seconds in (0.0, 0.05, 1.0, 4.0)]
        return [v for v in found if v.kind in self._only]

    def _texts(self, scenario: Scenario) -> list[str]:
        said = [s.text for s in scenario.caller.steps if isinstance(s, Say | Interrupt) and s.text.strip()]
        return [*dict.fromkeys(said), "Wait, please.", "No"]

    def _fault(self, kind: FaultKind, *, nth: int | None = None, at: float | None = None) -> Fault:
        at = None if kind is FaultKind.OPEN else at
        nth = None if kind is FaultKind.OPEN else nth
        return Fault(kind, self._subject.scenario.span, nth, at, seconds=1.5 if kind is FaultKind.SLOW else 0.0)

    # -- by chance -----------------------------------------------------------------------------------------------

    def _by_chance(self, number: int) -> Case:
        dice = random.Random(f"{self._seed}:{number}")
        which = dice.randrange(SEEDS)
        base = self.base(which)
        kinds = [k for k in Kind if k in self._only and k is not Kind.ORDER and (k is not Kind.KEYS or base.keys)]
        weights = [{Kind.INTERRUPT: 6, Kind.FAULT: 4, Kind.HANG_UP: 2, Kind.DELAY: 2}.get(k, 1) for k in kinds]
        count = dice.choice((1, 1, 2, 2, 3, 4)) if kinds else 0
        chosen = [self._one(dice, base, dice.choices(kinds, weights)[0]) for _ in range(count)]
        found = tuple(v for v in chosen if v is not None)
        shuffle = Kind.ORDER in self._only and (not kinds or dice.random() < _ORDERS)
        jitter = dice.choice((0.0, 0.0, 0.0005, 0.002)) if shuffle else 0.0
        return Case(number, base.scenario.seed, found, shuffle, jitter)

    def _one(self, dice: random.Random, base: Baseline, kind: Kind) -> Variation | None:
        at = self._instant(dice, base)
        match kind:
            case Kind.INTERRUPT if dice.random() < 0.25:
                return at_instant(kind, at, text=_BACKCHANNEL, seconds=0.25)
            case Kind.INTERRUPT:
                return at_instant(kind, at, text=dice.choice(self._texts(base.scenario)))
            case Kind.SILENCE:
                return at_instant(kind, at, seconds=round(dice.uniform(0.05, 5.0), 3))
            case Kind.NOISE:
                level = dice.choice(("loud", "loud", "quiet"))
                return at_instant(kind, at, text=level, seconds=round(dice.uniform(0.02, 2.5), 3))
            case Kind.KEYS:
                return at_instant(kind, at, text=dice.choice(("1", "0", "12#")))
            case Kind.DELAY:
                if not base.slow:
                    return None
                seconds = dice.choice((0.0, dice.uniform(0, 0.5), dice.uniform(0, 6)))
                return taking(dice.choice(base.slow), round(seconds, 3))
            case Kind.FAULT:
                if not base.faults:
                    return None
                node = dice.choice(list(base.faults))
                which = dice.choice(base.faults[node])
                if dice.random() < 0.5:
                    return failing(node, self._fault(which, at=at))
                return failing(node, self._fault(which, nth=dice.randint(1, max(1, base.reached[node]))))
            case _:
                return at_instant(kind, at)

    def _instant(self, dice: random.Random, base: Baseline) -> float:
        if not base.instants or dice.random() < 0.3:
            return round(dice.uniform(0.0, base.seconds), 6)
        return dice.choice(base.instants) + dice.choice(_OFFSETS)
