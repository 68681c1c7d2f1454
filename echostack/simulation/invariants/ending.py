"""Every call ends: in time, by itself or when it is told to, and nothing of it goes on afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from echostack.core.payloads import CallEnded, CallStarted, Late
from echostack.language.scenario import FaultKind
from echostack.simulation.invariants.evidence import Evidence, nodes_named, seconds
from echostack.simulation.outcome import Failure

_HOLD_UP = (FaultKind.ENDLESS, FaultKind.SLOW)
_LONG = 0.5  # seconds a node may be told to take before who waits behind it is called late


def every_call_ends(evidence: Evidence) -> Iterator[Failure]:
    """The call does not crash, and is over within the time that the scenario gives it."""
    outcome = evidence.outcome
    opens = any(isinstance(e.payload, CallStarted) for e in evidence.events)
    if outcome.crash and not (not opens and any(f.kind is FaultKind.OPEN for f in outcome.faults)):
        yield evidence.finding(f"the call does not end well: {outcome.crash}", outcome.seconds)
    ends = sum(isinstance(e.payload, CallEnded) and e.name == "control.call.call_ended" for e in evidence.events)
    if opens and ends != 1 and not outcome.crash:
        yield evidence.finding(f"the end of the call is told {ends} times, and not once", outcome.seconds)


def nobody_is_late(evidence: Evidence) -> Iterator[Failure]:
    """Everybody stops by the deadline, but a node that is made not to."""
    outcome = evidence.outcome
    held = {f.node for f in outcome.faults if f.kind in _HOLD_UP}
    held |= {s.node for s in outcome.scenario.connectors.values() if s.delay is not None and s.delay.p95 > _LONG}
    if not held:
        late = list(outcome.late)
    else:
        # Whoever waits for such a node waits with it; what does not stop although it is told to is nobody's fault.
        late = [name for name in outcome.late if "(closing)" in name and name.partition(" ")[0] not in held]
    if late:
        yield evidence.finding(f"{nodes_named(late)} did not end in time", outcome.seconds)
    for event in evidence.events:
        payload = event.payload
        if isinstance(payload, Late) and payload.node not in held and payload.node not in outcome.late and not late:
            yield evidence.finding(f"{payload.node} was late at {seconds(event.time)}: {payload.message}", event.time)
            return


def nothing_is_left(evidence: Evidence) -> Iterator[Failure]:
    """No task and no timer of the call is there when the call is over."""
    outcome = evidence.outcome
    if outcome.crash:
        return
    if outcome.left:
        what = "a task" if len(outcome.left) == 1 else f"{len(outcome.left)} tasks"
        yield evidence.finding(f"{what} of the call went on after its end: {', '.join(outcome.left)}", outcome.seconds)
    if outcome.timers:
        what = "a timer" if len(outcome.timers) == 1 else f"{len(outcome.timers)} timers"
        yield evidence.finding(f"{what} of the call remained after its end: {', '.join(outcome.timers)}")


def nothing_after_the_end(evidence: Evidence) -> Iterator[Failure]:
    """Nothing is heard once the call has ended, or the caller is gone."""
    outcome = evidence.outcome
    gone = evidence.hung_up
    end = outcome.seconds if gone is None else gone
    for speech in evidence.heard:
        if speech.end > end + 1e-4 and outcome.ended:
            yield evidence.finding(
                f"{speech.utterance} sounded until {seconds(speech.end)}, and the call was over at {seconds(end)}", end
            )
