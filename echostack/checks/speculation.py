"""What may begin on a guess of the caller's turn, where the file says `speculate:`, and why the rest may not.

From a recogniser that gives its words before the turn is over the guess goes along the rules: through plain functions,
which answer at once, to the nodes that wait for an answer. Those begin on it if nothing would remain of a wrong one.
With `on: model` it ends there; with `on: synthesis` what they answer goes on in the same way, to the egress.
"""

from __future__ import annotations

from collections.abc import Iterable

from echostack.checks.barge_in import speaking
from echostack.checks.codes import NOTHING_TO_GUESS
from echostack.checks.model import SLOW_MS, CheckedSpeculation
from echostack.checks.work import Work, reached
from echostack.core.payloads import AudioChunk, AudioChunkStream, AudioFrame, Text, TextPartial, TextSegment
from echostack.registry import ConnectorSpec, Form

SYNTHESIS = "synthesis"
SPEAKS = "write `speculate: {on: synthesis}`"


def check(work: Work) -> CheckedSpeculation | None:
    """Who begins on a guess; None when nobody does. Reports a section that changes nothing."""
    decl = work.graph.speculate
    if not decl.on:
        return None
    ears = _ears(work)
    search = _Search(work, beyond=decl.on == SYNTHESIS)
    for ear in ears:
        search.go(ear, Text)
    why = "no node makes text.partial or text.segment of the caller's audio, and then text"
    if ears:
        why = "; ".join(search.reasons.values()) or f"nothing that speaks waits for an answer behind {', '.join(ears)}"
    if decl.on == SYNTHESIS and search.models and not search.synthesisers:
        _report(work, f"`speculate:` has no effect on a synthesiser here: {why}")
    elif not search.models and not search.synthesisers:
        further = _Search(work, beyond=True)
        for ear in ears:
            further.go(ear, Text)
        speakers = ", ".join(further.synthesisers)
        _report(work, f"`speculate:` has no effect here: {why}", f"{SPEAKS}: {speakers} can begin" if speakers else "")
        return None
    return CheckedSpeculation(
        decl.on, decl.stable_for, tuple(ears), tuple(search.models), tuple(search.synthesisers), tuple(search.passed)
    )  # fmt: skip


def _report(work: Work, message: str, better: str = "") -> None:
    if work.whole:
        help_ = better or "remove it, or let a node that keeps nothing from one event for the next answer"
        work.report(NOTHING_TO_GUESS, message, work.graph.speculate.span, help=help_)


class _Search:
    """Goes along the routes that a guess may take, in the order of the rules."""

    def __init__(self, work: Work, *, beyond: bool) -> None:
        self._work, self._beyond = work, beyond
        self._audible = _audible(work)
        self.models: dict[str, None] = {}
        self.synthesisers: dict[str, None] = {}
        self.passed: dict[str, None] = {}
        self.reasons: dict[str, str] = {}

    def go(self, node: str, *kinds: type) -> None:
        """Follow what ``node`` makes; of these kinds only, when there are any."""
        for route in self._work.routes:
            if self._work.end(route.source) != node or route.target not in self._audible:
                continue
            if not kinds or any(k in route.payloads for k in kinds):
                self._into(route.target)

    def _into(self, node: str) -> None:
        specs = self._work.specs(node)
        if node in self.models or node in self.synthesisers or node in self.passed or not specs:
            return
        if any(s.form is Form.SINK for s in specs):
            return
        reason = _reason(node, [(s, self._work.nodes[m].known) for s, m in self._pairs(node)])
        if reason:
            self.reasons.setdefault(node, reason)
        elif all(s.form is Form.SYNC and s.blocking_ms < SLOW_MS for s in specs) and specs == self._one(node):
            self.passed[node] = None
            self.go(node)
        elif not any(p in s.produces for s in specs for p in (AudioChunk, AudioChunkStream)):
            self.models[node] = None
            if self._beyond:
                self.go(node)
        elif self._beyond:
            self.synthesisers[node] = None

    def _one(self, node: str) -> tuple[ConnectorSpec, ...]:
        """The connector of a node that is no choice: a choice always waits for the member that answers."""
        return () if self._work.nodes[node].node.members else self._work.specs(node)

    def _pairs(self, node: str) -> Iterable[tuple[ConnectorSpec, str]]:
        return zip(self._work.specs(node), self._work.members(node), strict=True)


def _reason(node: str, behind: Iterable[tuple[ConnectorSpec, object]]) -> str:
    """Why ``node`` may not begin on a guess; empty when it may."""
    for spec, settings in behind:
        if spec.form is Form.STREAM:
            return f"{node} runs as long as the call"
        if spec.acts(settings):
            return f"{node} acts on the outside world"
        if not spec.may_guess(settings):
            return f"{node} does not say that it keeps nothing from one event for the next"
    return ""


def _ears(work: Work) -> list[str]:
    """Recognisers, a choice of them once, that say what they hear before the turn is over."""
    found: dict[str, None] = {}
    in_pieces = work.graph.turns.end_by != "recogniser"  # then a recogniser's turns are pieces of the caller's
    for name in work.nodes:
        specs = work.specs(name)
        early = in_pieces or any(p in s.produces for s in specs for p in (TextPartial, TextSegment))
        if specs and early and all(AudioFrame in s.consumes and Text in s.produces for s in specs):
            found[work.end(name)] = None
    return list(found)


def _audible(work: Work) -> set[str]:
    """Nodes from which an egress that speaks is reached."""
    arriving: dict[str, list[str]] = {}
    for route in work.routes:
        arriving.setdefault(route.target, []).append(work.end(route.source))
    return reached(speaking(work), arriving)
