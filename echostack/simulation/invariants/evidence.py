"""What invariants work with: the events of a call by kind, its epochs as they were announced, and findings in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from echostack.core.payloads import (
    Aborted,
    CallEnded,
    Committed,
    DeadLetter,
    ExceptionFailure,
    FailedOver,
    Retried,
    Suspended,
    TimeoutFailure,
)
from echostack.language.scenario import FaultKind
from echostack.runtime.bargein import HANG_UP
from echostack.simulation.invariants.witness import Piece, Witness
from echostack.simulation.outcome import Failure, Outcome
from echostack.simulation.world import HeardSpeech

HAIR = 1e-4
"""Seconds: more than a sample, and less than any frame."""

MARGIN = 1.0

_FAILURES = (ExceptionFailure, TimeoutFailure, Retried, FailedOver, DeadLetter)


@dataclass(frozen=True, slots=True)
class Commit:
    """A scope's epoch went up: to which, when, in which place among all events, and why."""

    scope: int
    epoch: int
    time: float
    seq: int
    cause: str


class Evidence:
    """One call as invariants look at it. Nothing here comes from what the engine counts or believes, but the events
    that it made and showed."""

    def __init__(self, outcome: Outcome, witness: Witness) -> None:
        self.outcome, self.witness, self.plan = outcome, witness, outcome.plan
        self.events = outcome.events
        self.scopes = {scope.name: scope.id for scope in outcome.plan.scopes}

    @cached_property
    def end(self) -> float:
        """The last instant of the call that anything is known of."""
        return max([self.outcome.seconds, *(e.time for e in self.events[-1:])])

    @cached_property
    def commits(self) -> tuple[Commit, ...]:
        """Every interruption that held, in order."""
        return tuple(
            Commit(self.scopes.get(e.payload.scope, 0), e.payload.epoch, e.time, e.seq, e.payload.cause)
            for e in self.events
            if isinstance(e.payload, Committed)
        )

    def over(self, scope: int, epoch: int) -> Commit | None:
        """The interruption that ended this epoch of ``scope``; None while it goes on."""
        return next((c for c in self.commits if c.scope == scope and c.epoch > epoch), None)

    @cached_property
    def hung_up(self) -> float | None:
        """When the caller was gone at once; None when the call came to its own end."""
        gone = [c.time for c in self.commits if c.cause == HANG_UP]
        if gone:
            return gone[0]
        ends = [e for e in self.events if isinstance(e.payload, CallEnded) and e.name == "control.call.call_ended"]
        return ends[0].time if ends and "hung up" in self.outcome.ended else None

    @cached_property
    def disturbed(self) -> bool:
        """Whether anything failed, by script or of itself: then less may come out than went in."""
        return bool(self.outcome.faults or self.outcome.crash) or any(
            isinstance(e.payload, _FAILURES) for e in self.events
        )

    @cached_property
    def suspensions(self) -> tuple[tuple[int, float, float], ...]:
        """From when to when the reply of which scope was paused."""
        found: list[tuple[int, float, float]] = []
        since: dict[str, float] = {}
        for event in self.events:
            payload = event.payload
            if isinstance(payload, Suspended):
                since.setdefault(payload.scope, event.time)
            elif isinstance(payload, Aborted | Committed) and payload.scope in since:
                found.append((self.scopes.get(payload.scope, 0), since.pop(payload.scope), event.time))
        found += [(self.scopes.get(scope, 0), start, self.end) for scope, start in since.items()]
        return tuple(found)

    @cached_property
    def pieces(self) -> dict[str, list[Piece]]:
        """What synthesisers gave of each utterance, in order."""
        found: dict[str, list[Piece]] = {}
        for piece in self.witness.pieces:
            found.setdefault(piece.utterance, []).append(piece)
        return found

    @cached_property
    def heard(self) -> tuple[HeardSpeech, ...]:
        """The utterances whose words are known; what a real synthesiser says cannot be read from its samples, and what
        a far end that failed went on with nobody can know."""
        broken = {f.node for f in self.outcome.faults}
        return tuple(h for h in self.outcome.heard if h.words and h.egress not in broken)

    @cached_property
    def scrambled(self) -> bool:
        """Whether a fault doubles or reorders what nodes give: then words are heard as they were given."""
        return any(f.kind in (FaultKind.DUPLICATE, FaultKind.REORDER) for f in self.outcome.faults)

    def epoch_of(self, utterance: str) -> tuple[int, int] | None:
        """The scope and the earliest epoch that an utterance was made for; None for one outside any, or not known."""
        made = [p for p in self.pieces.get(utterance, ()) if p.scope]
        return (made[0].scope, min(p.epoch for p in made)) if made else None

    def protected(self, utterance: str) -> bool:
        """Whether any of it may not be interrupted, and so none of it is cut."""
        return any(not p.interruptible for p in self.pieces.get(utterance, ()))

    def finding(self, what: str, at: float | None = None, *near: float, help: str = "") -> Failure:
        """A failure about an instant, with a second around it."""
        times = [*near, *(() if at is None else (at,))]
        around = (max(0.0, min(times) - MARGIN), min(max(times) + MARGIN, self.end)) if times else None
        return Failure(what, None, at, around, help)


def seconds(instant: float) -> str:
    """An instant or a length in words, to the millisecond."""
    return f"{round(instant, 3):g} s"


def spoken_words(texts: Iterable[str]) -> list[str]:
    """The words of texts as they are said, those without a letter or digit left out."""
    return [w for text in texts for w in text.split() if any(c.isalnum() for c in w)]


def nodes_named(nodes: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``"""
    return nodes[0] if len(nodes) == 1 else f"{', '.join(nodes[:-1])} and {nodes[-1]}"
