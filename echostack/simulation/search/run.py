"""Runs a search, in this process or in several; what comes does not depend on how many."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from echostack.core.clock import stopwatch
from echostack.core.errors import UsageError
from echostack.simulation.search.cases import Cases
from echostack.simulation.search.found import Batch, Hit
from echostack.simulation.search.subject import Opener, Subject
from echostack.simulation.workers import spread

CHUNK = 25
"""Runs that a process is given at once."""

_AHEAD = 3  # chunks that each process is given before the first of them is asked for


@dataclass(frozen=True, slots=True)
class Search:
    """How much is searched. runs: how many calls. seed: of what is varied by chance. only: kinds of variation, all when
    empty. limit: seconds of real time after which it ends with what it has. processes: how many work at it.
    first: it ends with the first run that did what no call may do."""

    runs: int = 1000
    seed: int = 0
    only: tuple[str, ...] = ()
    limit: float | None = None
    processes: int = 1
    first: bool = False


@dataclass(slots=True)
class Searched:
    """What a search came to. took: seconds of real time. instants: how many the unvaried call has. interrupted: it was
    stopped from outside. ended_early: it ended before its last run, as it was told to."""

    search: Search
    batch: Batch = field(default_factory=Batch)
    took: float = 0.0
    instants: int = 0
    interrupted: bool = False
    ended_early: bool = False

    @property
    def speed(self) -> float:
        """How many times faster than real time."""
        return self.batch.seconds / self.took if self.took else 0.0


def search(opener: Opener, search: Search, on_progress: Callable[[Searched], None] = lambda _: None) -> Searched:
    """Run ``search`` on what ``opener`` opens. Ctrl-C ends it with what was found so far.

    Errors are those of the opener, UsageError for a scenario that the graph cannot play as it stands, and WorkerDied.
    """
    took = stopwatch()
    subject = opener()
    cases = Cases(subject, search.runs, search.seed, search.only)
    found = Searched(search, instants=cases.instants)
    processes = max(1, min(search.processes, -(-search.runs // CHUNK)))
    batches = (
        _here(subject, cases, search)
        if processes == 1
        else spread(
            _chunks(search), _work, processes, ahead=_AHEAD, begin=_begin, given=(opener, search),
            died=lambda chunk: f"one of the {processes} processes of the search ended by itself",
        )
    )  # fmt: skip
    try:
        for batch in batches:
            found.batch.add(batch)
            found.took = took()
            on_progress(found)
            done = found.batch.runs + found.batch.unplayed >= search.runs
            if (search.first and found.batch.hits) or (search.limit is not None and found.took >= search.limit):
                found.ended_early = not done
                break
    except KeyboardInterrupt:
        found.interrupted = True
    finally:
        batches.close()
    found.took = took()
    return found


def _chunks(search: Search) -> Iterator[tuple[int, int]]:
    """The first run of each chunk, and the one after its last."""
    for first in range(0, search.runs, CHUNK):
        yield first, min(search.runs, first + CHUNK)


def _here(subject: Subject, cases: Cases, search: Search) -> Generator[Batch, None, None]:
    for first, last in _chunks(search):
        yield batch_of(subject, cases, first, last)


def batch_of(subject: Subject, cases: Cases, first: int, last: int) -> Batch:
    """The runs from ``first`` to before ``last``."""
    batch = Batch()
    for number in range(first, last):
        case = cases.case(number)
        scenario = cases.scenario(case)
        try:
            outcome = subject.call(scenario)
        except UsageError as error:
            batch.unplayed += 1
            batch.why = batch.why or str(error)
            continue
        batch.runs += 1
        batch.seconds += outcome.seconds
        batch.kinds.update(case.kinds)
        batch.instants.update(v.at for v in case.variations if v.at)
        failures = subject.found(outcome)
        if failures:
            hit = Hit(number, scenario, failures)
            batch.violated.update(hit.invariants)
            if any(batch.of(name) < 1 for name in hit.invariants):
                batch.hits.append(hit)
    return batch


_worker: tuple[Subject, Cases] | None = None
"""What this process works with, when it is one of several."""


def _begin(opener: Opener, search: Search) -> None:
    """Prepare a process."""
    global _worker
    subject = opener()
    _worker = (subject, Cases(subject, search.runs, search.seed, search.only))


def _work(chunk: tuple[int, int]) -> Batch:
    assert _worker is not None
    return batch_of(*_worker, *chunk)
