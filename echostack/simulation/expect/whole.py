"""What holds for every call, asked for or not, and how the call is to end.

Nothing crashes, the call ends in time, nobody is late unless the scenario says who, no task stays behind, the script
could be played as it stands, its faults included, and no connector fails that the scenario neither makes fail nor
expects to.
"""

from __future__ import annotations

from collections.abc import Iterator

from echostack.core.events import Event
from echostack.core.payloads import DeadLetter, ExceptionFailure, TimeoutFailure
from echostack.language.scenario import Await, Ends, EventMatch, InOrder, Never, Sees
from echostack.simulation.expect.finding import failure
from echostack.simulation.expect.phrases import count, instant, micros, quoted
from echostack.simulation.matching import matcher
from echostack.simulation.outcome import Failure, Outcome


def always(outcome: Outcome) -> Iterator[Failure]:
    """What no call may do."""
    if outcome.crash:
        # Some say it of the call themselves ("the call still went on at 600 s").
        what = outcome.crash if outcome.crash.startswith("the call ") else f"the call crashed: {outcome.crash}"
        yield failure(outcome, what, None, at=outcome.seconds)
    elif micros(outcome.seconds) > micros(outcome.scenario.lasts):
        what = f"the call still went on at {instant(outcome.scenario.lasts)}, when it was to be over"
        yield failure(outcome, what, None, at=outcome.scenario.lasts)
    for note in outcome.notes:
        yield failure(outcome, note.what, note.span, at=note.time)
    yield from _late(outcome)
    if outcome.left:
        tasks = ", ".join(outcome.left)
        what = f"{count(len(outcome.left), 'task')} of the call went on after its end: {tasks}"
        yield failure(outcome, what, None, at=outcome.seconds)
    yield from _faults_that_never_came(outcome)
    yield from _unexpected_errors(outcome)


def ends(expected: Ends, outcome: Outcome) -> Iterator[Failure]:
    """Why and when the call ends. Who is late is judged once for the whole scenario."""
    end = outcome.seconds
    if expected.reason is not None and expected.reason.casefold() not in outcome.ended.casefold():
        told = quoted(outcome.ended) if outcome.ended else "nothing said why it ended"
        what = f"expected the call to end because of {quoted(expected.reason)}, and it was {told}"
        if not outcome.ended:
            what = f"expected the call to end because of {quoted(expected.reason)}, and {told}"
        yield failure(outcome, what, expected.span, at=end)
    if expected.by is not None and micros(end) > micros(expected.by):
        what = f"expected the call to end by {instant(expected.by)}; it ended at {instant(end)}"
        yield failure(
            outcome, f"{what}, {instant(end - expected.by)} too late", expected.span, at=expected.by, near=[end]
        )


def _late(outcome: Outcome) -> Iterator[Failure]:
    """Who was late, against what the scenario's ``ends`` says: nobody, unless it names them."""
    said = [e for e in outcome.scenario.expect if isinstance(e, Ends) and e.late is not None]
    expected = [name for e in said for name in e.late or ()]
    span = said[0].span if said else None
    # The engine says of some what they were late with: `acme.crm (closing)`.
    names = [late.partition(" (")[0] for late in outcome.late]
    unforeseen = [late for late, name in zip(outcome.late, names, strict=True) if not {late, name} & set(expected)]
    missing = [name for name in expected if name not in names and name not in outcome.late]
    if unforeseen:
        what = f"{' and '.join(unforeseen)} did not end in time"
        yield failure(
            outcome, what, span, at=outcome.seconds, help="" if said else "`ends: {late: [...]}` says who may"
        )
    if missing:
        was = "it was" if len(missing) == 1 else "they were"
        what = f"expected {' and '.join(missing)} to be late at the end, and {was} not"
        yield failure(outcome, what, span, at=outcome.seconds)


def _unexpected_errors(outcome: Outcome) -> Iterator[Failure]:
    """Failures of connectors that nothing made good, that the scenario does not ask about, and that no fault is to
    blame for: those of a node with faults are its own, and what fails after a fault may be what came of it."""
    made = {script.node for script in outcome.scenario.connectors.values() if script.faults}
    made |= {node.choice for node in outcome.plan.nodes.values() if node.choice and node.id in made}
    since = min((fault.time for fault in outcome.faults), default=float("inf"))
    asked = [matcher(match) for match in _asked(outcome)]
    told: set[str] = set()
    for event in outcome.events:
        if not isinstance(event.payload, ExceptionFailure | TimeoutFailure | DeadLetter):
            continue
        if event.time >= since or event.payload.node in made or any(fits(event) for fits in asked):
            continue
        node = event.payload.node
        if node not in told:  # one that fails again and again is told once, and so is what it leaves unhandled
            told.add(node)
            yield failure(
                outcome, _error(event), None, at=event.time, help="an expectation that names the event allows it"
            )


def _faults_that_never_came(outcome: Outcome) -> Iterator[Failure]:
    """What the scenario wants to go wrong, and did not: its expectations would be met without it. A fault that stands
    nowhere in a file (a search tries it) may come too late."""
    if outcome.crash:
        return
    played = {(f.node, f.kind, f.span) for f in outcome.faults}
    for script in outcome.scenario.connectors.values():
        for fault in script.faults:
            if fault.span != outcome.scenario.span and (script.node, fault.kind, fault.span) not in played:
                when = f" with event {fault.nth}" if fault.nth is not None else ""
                when = f" from {instant(fault.at)} on" if fault.at is not None else when
                yield failure(
                    outcome, f"`{script.node}` was to go wrong ({fault.kind.value}){when}, and it never came to that",
                    fault.span, help="give it what it is to fail at, or take the fault away",
                )  # fmt: skip


def _error(event: Event) -> str:
    payload = event.payload
    assert isinstance(payload, ExceptionFailure | TimeoutFailure | DeadLetter)
    about = f" on `{payload.event}`" if payload.event else ""
    return f"`{payload.node}` failed{about} at {instant(event.time)}, and no fault was scripted: {payload.message}"


def _asked(outcome: Outcome) -> list[EventMatch]:
    """Every event that the scenario names; of what it says never happens, what it says of the whole call."""
    found: list[EventMatch | None] = [s.event for s in outcome.scenario.caller.steps if isinstance(s, Await)]
    for expected in outcome.scenario.expect:
        match expected:
            case Sees(event=event, after=after, before=before):
                found += [event, after, before]
            case Never(event=event, after=after, within=within):
                found += [event] if after is None and within is None else [after]
            case InOrder(events=events):
                found += events
    return [match for match in found if match is not None]
