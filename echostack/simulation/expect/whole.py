"""What holds for every call, asked for or not, and how the call is to end.

Nothing crashes, the call ends in time, nobody is late unless the scenario says who, no task stays behind, the script
could be played as it stands, and no connector fails that the scenario neither makes fail nor expects to.
"""

from __future__ import annotations

from collections.abc import Iterator

from echostack.core.events import Event
from echostack.core.payloads import DeadLetter, ExceptionFailure, TimeoutFailure
from echostack.language.scenario import Await, Ends, EventMatch, InOrder, Never, Sees
from echostack.simulation.expect.finding import failure
from echostack.simulation.expect.phrases import count, instant, micros, quoted
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
    """Failures of connectors that nothing made good, in a scenario that makes nothing fail and asks about none."""
    if any(script.faults for script in outcome.scenario.connectors.values()):
        return
    asked = _asked(outcome)
    told: set[str] = set()
    for event in outcome.events:
        if not isinstance(event.payload, ExceptionFailure | TimeoutFailure | DeadLetter):
            continue
        if any(match.pattern.matches(event.name) for match in asked):
            continue
        node = event.payload.node
        if node not in told:  # one that fails again and again is told once, and so is what it leaves unhandled
            told.add(node)
            yield failure(
                outcome, _error(event), None, at=event.time, help="an expectation that names the event allows it"
            )


def _error(event: Event) -> str:
    payload = event.payload
    assert isinstance(payload, ExceptionFailure | TimeoutFailure | DeadLetter)
    about = f" on `{payload.event}`" if payload.event else ""
    return f"`{payload.node}` failed{about} at {instant(event.time)}, and no fault was scripted: {payload.message}"


def _asked(outcome: Outcome) -> list[EventMatch]:
    """Every event that the scenario names."""
    found: list[EventMatch | None] = [s.event for s in outcome.scenario.caller.steps if isinstance(s, Await)]
    for expected in outcome.scenario.expect:
        match expected:
            case Sees(event=event, after=after, before=before):
                found += [event, after, before]
            case Never(event=event, after=after):
                found += [event, after]
            case InOrder(events=events):
                found += events
    return [match for match in found if match is not None]
