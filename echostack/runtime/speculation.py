"""Speculative generation: when a guess of the caller's turn is made, whom it reaches, and what becomes of it.

States of a guess::

    words ──unchanged for stable_for, while nothing is thought or said──▶ open (asked ahead, nothing to be seen)
    open ──the turn has the same words──▶ right (what was made ahead answers the real events, in order)
    open ──other words, an interruption, another event for a node that was asked──▶ discarded

A guess goes along the plan's own edges, past guards and ports, through fused nodes that keep nothing, to the nodes
that wait for an answer. Those answer it in an ``Ahead`` of their own, beside the call: no event of it leaves a node,
so nothing can be observed, queued, recorded or acted on. The turn itself, when it comes, takes its ordinary way through
the graph, and finds the answers there. At most one guess is alive in a session.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from echostack.core.events import Event, event_name
from echostack.core.kinds import Payload
from echostack.core.payloads import GuessConfirmed, GuessDiscarded, GuessStarted, Text, TextPartial, TextSegment
from echostack.language.guard import Else, predicate
from echostack.plan.model import Plan, PlanEdge, SpeculatePlan
from echostack.runtime.ahead import Ahead
from echostack.runtime.calls import CallDriver
from echostack.runtime.conversation import SessionConversation
from echostack.runtime.core import Core, restamp
from echostack.runtime.driver import Driver
from echostack.runtime.guess import GuessedConversation, Prepared, memory_of, words_of
from echostack.runtime.messages import MESSAGES, MessageIds
from echostack.runtime.outputs import outputs
from echostack.runtime.routes import FusedNode

TAKEN_WITHIN = 0.1
"""Seconds after the end of the guessed turn within which somebody must have asked for what was made ahead."""

MOST_ASKED = 256
"""Events that one guess foresees; a cycle of the graph would foresee ever more of them."""

SYNTHESIS = "synthesis"
UNTAKEN = "nobody was given the turn"


@dataclass(slots=True)
class _Ear:
    """What one recogniser has heard of the present turn: pieces that stand, and the words that may still change."""

    pieces: list[str] = field(default_factory=list)
    partial: str = ""
    words: tuple[str, ...] = ()
    latest: Event | None = None
    timer: asyncio.TimerHandle | None = None

    @property
    def text(self) -> str:
        """The whole turn so far, whether the recogniser's partial words begin with the pieces or go on after them."""
        whole = " ".join(p.strip() for p in self.pieces if p.strip())
        partial, stands = self.partial.strip(), words_of(whole)
        if not partial or not stands:
            return partial or whole
        return partial if words_of(partial)[: len(stands)] == stands else f"{whole} {partial}"

    def over(self) -> None:
        """The turn has ended."""
        self.pieces, self.partial, self.words = [], "", ()
        self.disarm()

    def disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@dataclass(slots=True)
class _Guess:
    """One guess of one turn. ``right`` once the turn has ended with its words; ``taken`` once that was of use."""

    ear: _Ear
    text: Text
    words: tuple[str, ...]
    since: float
    ids: dict[str, MessageIds] = field(default_factory=dict)
    asked: int = 0
    right: bool = False
    taken: bool = False


class Speculation:
    """The guesses of one session. Synchronous throughout, but for what the nodes do in their own tasks.

    ``busy`` says whether a reply is being thought or said: then the caller's words are an interruption, not a guess.
    ``fail`` reports a connector that cannot put its memory back.
    """

    def __init__(
        self,
        core: Core,
        plan: Plan,
        how: SpeculatePlan,
        conversation: SessionConversation,
        fused: Mapping[str, FusedNode],
        drivers: Mapping[str, Driver],
        busy: Callable[[], bool],
        fail: Callable[[str, BaseException, Event], object],
    ) -> None:
        self._core, self._plan, self._how = core, plan, how
        self._conversation, self._fused, self._busy, self._fail = conversation, fused, busy, fail
        self._ears = {name: _Ear() for name in how.ears}
        self._edges: dict[str, list[PlanEdge]] = {}
        for edge in plan.edges:
            self._edges.setdefault(edge.source, []).append(edge)
        self._by_id = {e.id: e for e in plan.edges}
        self._tests = {e.id: predicate(e.guard) for e in plan.edges if e.guard and not isinstance(e.guard, Else)}
        self._drivers = [d for n in how.asked if isinstance(d := drivers.get(n), CallDriver)]
        self._aheads: dict[str, Ahead] = {}
        for driver in self._drivers:
            self._aheads[driver.id] = driver.ahead = Ahead(driver, self)
        self._guess: _Guess | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._closed = False

    # -- what is heard -----------------------------------------------------------------------------------------

    def heard(self, event: Event) -> None:
        """Words of the caller, before anybody else is given them."""
        node = self._plan.nodes[event.node]
        ear = self._ears.get(node.choice or node.id)
        if ear is None or self._closed:
            return
        match event.payload:
            case TextPartial(text=text):
                ear.partial = text
            case TextSegment(text=text):
                ear.pieces.append(text)
                ear.partial = ""
            case Text() as turn:
                ear.over()
                self._turn_ended(ear, turn)
                return
        ear.latest = event
        words = words_of(ear.text)
        if words == ear.words:
            return
        ear.words = words
        if self._open is not None and self._open.ear is ear:
            self.discard("the caller said more")
        ear.disarm()
        if words:
            ear.timer = self._core.clock.call_later(self._how.stable_for, lambda: self._begin(ear))

    @property
    def _open(self) -> _Guess | None:
        return self._guess if self._guess is not None and not self._guess.right else None

    def _turn_ended(self, ear: _Ear, turn: Text) -> None:
        guess = self._open
        if guess is None or guess.ear is not ear:
            return
        if words_of(turn.text) != guess.words:
            self.discard("the turn was another")
            return
        guess.right = True
        for ahead in self._aheads.values():
            ahead.begin_no_more()
        self._expiry = self._core.clock.call_later(TAKEN_WITHIN, lambda: self._expire(guess))

    # -- a guess begins ----------------------------------------------------------------------------------------

    def _begin(self, ear: _Ear) -> None:
        ear.timer = None
        latest = ear.latest
        if latest is None or self._closed or self._open is not None:
            return
        if self._busy() or any(d.busy for d in self._drivers):
            return
        self.discard(UNTAKEN)
        self._drop_all()
        of: Any = latest.payload
        text = Text(ear.text, of.confidence, of.language, of.start, of.end)
        guess = self._guess = _Guess(ear, text, ear.words, self._core.clock.now())
        self._follow(latest.node, text, self._event(latest, text, latest.node), "", guess)
        if not guess.asked:
            self._guess = None
            return
        self._core.counters.guesses += 1
        self._core.engine_emit("control", "speculation", GuessStarted(text.text), latest)

    def onward(self, node: str, payload: Payload, port: str, prepared: Prepared) -> None:
        """An answer was made ahead by ``node``: who is behind it may begin on it, while the turn is not over."""
        guess = self._open
        if guess is not None and self._how.on == SYNTHESIS and guess.asked < MOST_ASKED:
            self._follow(node, payload, prepared.event, port, guess, made=True)

    def _follow(
        self, node: str, payload: Payload, event: Event, port: str, guess: _Guess, *, made: bool = False,
        passed: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Bring a payload that ``node`` made (or passed through) to those behind it who may begin on it."""
        if made:
            if isinstance(payload, MESSAGES):
                ids = guess.ids.setdefault(node, MessageIds(node, self._core.next_seq))
                payload = ids.named(payload, event)
            event = self._event(event, payload, node, port)
        for edge in self._edges.get(self._plan.nodes[node].choice or node, ()):
            if type(payload) not in edge.payloads or (edge.port and edge.port != port) or not self._lets(edge, payload):
                continue
            ahead = self._aheads.get(edge.target)
            if ahead is not None:
                guess.asked += 1
                scope = self._plan.nodes[edge.target].scope
                stamped = restamp(event, scope, self._core.epochs.numbers[scope])
                ahead.begin(payload, stamped, GuessedConversation(self._conversation, guess.text))
            elif edge.target in self._how.passed and edge.target not in passed:
                for out, by in self._through(edge.target, payload, event, guess):
                    further = payload if out is None else out
                    self._follow(
                        edge.target, further, event, by, guess, made=out is not None, passed=(*passed, edge.target)
                    )  # fmt: skip

    def _lets(self, edge: PlanEdge, payload: Payload) -> bool:
        if isinstance(edge.guard, Else):
            siblings = (self._by_id[s] for s in edge.siblings)
            return not any(isinstance(payload, s.payloads) and self._tests[s.id](payload) for s in siblings)
        return edge.guard is None or self._tests[edge.id](payload)

    def _through(self, node: str, payload: Payload, event: Event, guess: _Guess) -> list[tuple[Payload | None, str]]:
        """What a fused node answers to a guess. It remembers nothing of it, and is asked again about the turn."""
        fused = self._fused[node]
        undo: Callable[[], None] | None = None
        aside = _Aside(GuessedConversation(self._conversation, guess.text))

        def ask() -> list[tuple[Payload | None, str]]:
            if fused.context is not None:
                fused.context.begin_guess(event, aside)
            answer = fused.call(payload, event) if fused.wants_event else fused.call(payload)
            return [(out, port) for out, _, port in outputs(answer, event)]

        try:
            undo = memory_of(fused.call, fused.context)
            return contextvars.copy_context().run(ask)
        except Exception:
            # It fails again on the turn itself, if that has these words, and is reported there.
            self._core.counters.node(node).failed("guess")
            return []
        finally:
            if undo is not None:
                self._put_back(node, undo, event)

    def _put_back(self, node: str, undo: Callable[[], None], event: Event) -> None:
        try:
            undo()
        except Exception as error:
            self._fail(node, error, event)

    def _event(self, cause: Event, payload: Payload, node: str, port: str = "") -> Event:
        """An event as it would be if the guess were right. Nobody is shown it but the connector that is asked."""
        core = self._core
        name = event_name("processing", self._plan.nodes[node].source, payload.__kind__.name)
        seq, now = core.next_seq(), core.clock.now()
        return Event(name, payload, core.session, seq, now, cause.scope, cause.epoch, cause.seq, port, node)

    # -- a guess ends ------------------------------------------------------------------------------------------

    @property
    def right(self) -> bool:
        """Whether the turn is over and has the guessed words."""
        return self._guess is not None and self._guess.right

    def claimed(self, prepared: Prepared, event: Event) -> None:
        """What was made ahead is given out; the first time, the guess is confirmed."""
        guess = self._guess
        if guess is None or guess.taken:
            return
        guess.taken = True
        self._core.counters.guesses_confirmed += 1
        ahead_ms = round((self._core.clock.now() - guess.since) * 1000, 6)
        self._core.engine_emit("control", "speculation", GuessConfirmed(guess.text.text, ahead_ms), event)

    def discard(self, why: str) -> None:
        """The guess that is alive is of no use: it is dropped, and that is said. Nothing, when there is none."""
        guess = self._guess
        if guess is None or guess.taken:
            return
        self._guess = None
        dropped = self._drop_all()
        self._core.engine_emit(
            "control", "speculation", GuessDiscarded(guess.text.text, why, dropped), guess.ear.latest
        )

    def dropped(self, count: int) -> None:
        """Count answers that nobody will see."""
        self._core.counters.guessed_dropped += count

    def _expire(self, guess: _Guess) -> None:
        """The turn has gone another way than its guess: a router chose otherwise, or it was refused."""
        self._expiry = None
        if self._guess is not guess:
            return
        if not guess.taken:
            self.discard(UNTAKEN)
            return
        for name in self._how.models:
            ahead = self._aheads.get(name)
            if ahead is not None and not ahead.claims:
                self.dropped(ahead.drop())

    def _drop_all(self) -> int:
        """Give up what is left of every guess; how many answers that was."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        count = sum(ahead.drop() for ahead in self._aheads.values())
        for ahead in self._aheads.values():
            ahead.claims = 0
        self.dropped(count)
        return count

    def close(self) -> None:
        """The call ends: nothing is guessed any more."""
        if self._closed:
            return
        self._closed = True
        for ear in self._ears.values():
            ear.disarm()
        self.discard("the call ended")
        self._drop_all()


@dataclass(slots=True)
class _Aside:
    """What a fused node sees while a guess passes it; what it emits is emitted again for the turn."""

    conversation: GuessedConversation

    def emitted(self, payload: Payload, cause: Event | None, port: str) -> None: ...
