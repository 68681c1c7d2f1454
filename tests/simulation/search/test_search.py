"""A search varies every instant, depends on nothing but its seed, and makes what it finds small."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from echostack.language.scenario import Fault, FaultKind, HangUp, Say, Scenario, Script
from echostack.simulation.outcome import Failure, Outcome
from echostack.simulation.search.baseline import baseline
from echostack.simulation.search.cases import SYSTEMATIC, Cases
from echostack.simulation.search.run import Search, search
from echostack.simulation.search.shrink import shrink
from echostack.simulation.search.subject import Subject
from echostack.simulation.search.variations import Kind, Variation, failing, varied
from tests.simulation.search.hunt import subject


@pytest.fixture(scope="module")
def desk() -> Subject:
    found = subject()
    assert isinstance(found, Subject)
    return found


class Planted(Subject):
    """A subject of which something is said that no call may do, whenever ``wrong`` says so of its outcome."""

    def __init__(self, of: Subject, wrong: Any) -> None:
        super().__init__(of.plan, of.scenario)
        object.__setattr__(self, "_wrong", wrong)
        object.__setattr__(self, "calls", 0)

    def call(self, scenario: Scenario) -> Outcome:
        object.__setattr__(self, "calls", self.calls + 1)
        return Subject.call(self, scenario)

    def found(self, outcome: Outcome) -> tuple[Failure, ...]:
        return (Failure("It is planted.", invariant="planted"),) if self._wrong(outcome) else ()

    calls: int
    _wrong: Any


def test_an_interruption_is_put_where_the_call_is_then_and_ends_the_wait_that_is_under_way(desk: Subject) -> None:
    base = baseline(desk, 0)
    place, began = base.begun[3]  # the caller listens
    steps = varied(base, [Variation(Kind.INTERRUPT, began + 0.1, "No")]).caller.steps
    assert steps[:place] == base.scenario.caller.steps[:place]
    said = steps[place]
    assert isinstance(said, Say)
    assert (said.text, said.at) == ("No", began + 0.1)
    outcome = desk.call(varied(base, [Variation(Kind.INTERRUPT, began + 0.1, "No")]))
    assert outcome.steps[: place + 1] == base.begun[: place + 1]  # until then the caller does the same
    assert not outcome.notes


def test_up_to_its_instant_a_varied_call_is_the_call_as_it_stands(desk: Subject) -> None:
    base = baseline(desk, 0)
    plain = desk.call(base.scenario)
    at = base.instants[len(base.instants) // 2]
    other = desk.call(varied(base, [Variation(Kind.HANG_UP, at)]))
    before = [(e.seq, e.time, e.name) for e in plain.events if e.time < at]
    assert [(e.seq, e.time, e.name) for e in other.events if e.time < at] == before
    assert other.ended == "the caller hung up"
    assert other.seconds == pytest.approx(at, abs=0.6)


def test_every_kind_of_variation_and_every_fault_is_tried(desk: Subject) -> None:
    cases = Cases(desk, 10_000, 0)
    made = [cases.case(number) for number in range(10_000)]
    assert {kind for case in made for kind in case.kinds} == {k.value for k in Kind} - {"keys"}  # nobody takes keys
    faults = {v.fault.kind for case in made for v in case.variations if v.fault is not None}
    assert faults == set(FaultKind)
    instants = set(cases.base(0).instants)
    for kind in (Kind.INTERRUPT, Kind.HANG_UP):
        tried = {v.at for case in made[: int(10_000 * SYSTEMATIC)] for v in case.variations if v.kind is kind}
        assert instants <= tried, kind


def test_only_what_is_asked_for_is_varied(desk: Subject) -> None:
    cases = Cases(desk, 100, 0, ("hang-up",))
    assert {kind for number in range(100) for kind in cases.case(number).kinds} == {"hang-up"}
    orders = Cases(desk, 20, 0, ("order",))
    assert {orders.case(number).kinds for number in range(20)} == {("order",)}


def test_a_run_depends_on_the_seed_and_its_number_alone(desk: Subject) -> None:
    one, other = Cases(desk, 300, 5), Cases(desk, 300, 5)
    numbers = (0, 7, 181, 299)
    assert [one.case(n) for n in numbers] == [other.case(n) for n in reversed(numbers)][::-1]
    assert Cases(desk, 300, 6).case(299) != one.case(299)


def test_several_processes_find_what_one_finds(desk: Subject) -> None:
    alone = search(subject, Search(30, seed=2))  # type: ignore[arg-type]
    both = search(subject, Search(30, seed=2, processes=2))  # type: ignore[arg-type]
    for found in (alone, both):
        assert (found.batch.runs, found.interrupted, found.ended_early) == (30, False, False)
    assert alone.batch.seconds == both.batch.seconds
    assert (alone.batch.kinds, alone.batch.instants) == (both.batch.kinds, both.batch.instants)


def test_a_search_ends_with_its_time(desk: Subject) -> None:
    found = search(lambda: desk, Search(10_000, limit=0.01))
    assert found.ended_early
    assert 0 < found.batch.runs <= 25


def test_an_interrupted_search_keeps_what_it_has(desk: Subject) -> None:
    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    found = search(lambda: desk, Search(1000), stop)
    assert found.interrupted
    assert found.batch.runs == 25


def test_what_is_found_is_kept_by_invariant(desk: Subject) -> None:
    planted = Planted(
        desk, lambda outcome: any(isinstance(s, HangUp) and s.at is not None for s in outcome.scenario.caller.steps)
    )
    found = search(lambda: planted, Search(30, only=("hang-up", "noise")))
    assert found.batch.violated["planted"] == found.batch.kinds["hang-up"] > 3
    hit = found.batch.smallest("planted")
    assert hit is not None
    assert hit.invariants == ("planted",)


def test_a_scenario_is_made_as_small_as_it_can_be(desk: Subject) -> None:
    """What matters is one fault at one node, and that the caller says anything at all."""

    def wrong(outcome: Outcome) -> bool:
        return any(f.kind is FaultKind.DROP for f in outcome.faults)

    base = baseline(desk, 0)
    drop = failing("stubborn.agent", Fault(FaultKind.DROP, desk.scenario.span, nth=1))
    noise = Variation(Kind.NOISE, 2.345678, "loud", 0.4)
    late = Variation(Kind.INTERRUPT, 9.876543, "and another thing")
    big = varied(base, [noise, late, drop, Variation(Kind.DELAY, node="slow.log", seconds=0.1)], shuffle=True)
    planted = Planted(desk, wrong)
    small = shrink(planted, replace(big, seed=5), "planted")
    assert small is not None
    assert (small.scenario.shuffle, small.scenario.seed) == (False, 0)
    assert [type(s).__name__ for s in small.scenario.caller.steps] == ["Say"]
    assert [len(s.text.split()) for s in small.scenario.caller.steps if isinstance(s, Say)] == [1]
    assert {node: len(s.faults) for node, s in small.scenario.connectors.items()} == {"stubborn.agent": 1}
    assert small.runs == planted.calls < 120
    assert wrong(desk.call(small.scenario))


def test_what_does_not_fail_is_not_made_smaller(desk: Subject) -> None:
    assert shrink(Planted(desk, lambda _: False), desk.scenario, "planted") is None


def test_shrinking_ends_after_so_many_calls(desk: Subject) -> None:
    planted = Planted(desk, lambda _: True)
    small = shrink(planted, desk.scenario, "planted", runs=2)
    assert small is not None
    assert small.runs == planted.calls == 2


def test_what_a_node_does_by_script_is_kept_beside_its_fault(desk: Subject) -> None:
    base = baseline(desk, 0)
    cases = Cases(desk, 400, 0, ("fault",))
    fault = next(v for n in range(400) for v in cases.case(n).variations if v.node == "book.table")
    script: Script = varied(base, [fault]).connectors["book.table"]
    assert (script.delay, len(script.faults)) == (desk.scenario.connectors["book.table"].delay, 1)


def test_words_that_take_no_time_are_no_smaller_than_short_ones(desk: Subject) -> None:
    short = Say("mhm", desk.scenario.span, lasts=0.25)
    scenario = replace(desk.scenario, caller=replace(desk.scenario.caller, steps=(short,)))
    failing_call = Failure("wrong", invariant="nothing is left")

    class Always(Subject):
        def found(self, outcome: Outcome) -> tuple[Failure, ...]:
            said = [s for s in outcome.scenario.caller.steps if isinstance(s, Say)]
            return (failing_call,) if said else ()

    small = shrink(Always(desk.plan, desk.scenario), scenario, "nothing is left")
    assert small is not None
    (step,) = small.scenario.caller.steps
    assert isinstance(step, Say)
    assert step.lasts == 1.0
