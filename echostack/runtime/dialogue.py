"""Who speaks and who is heard in one session: the engine's ears (voice activity, words, turns), its mouths (a playout
for every audio egress), the conversation between them, and the interruptions of one by the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from echostack.core.events import Event, EventPattern, event_name
from echostack.core.kinds import Payload
from echostack.core.payloads import (
    AgentMessage,
    AudioChunk,
    AudioFrame,
    CallEnded,
    Data,
    PlayoutFinished,
    PlayoutStarted,
    SpeechStarted,
    SpeechStopped,
    Text,
    TextPartial,
    TextSegment,
    Usage,
)  # fmt: skip
from echostack.plan.model import Plan, PlanNode, ScopePlan
from echostack.registry import AudioSink, ConnectorSpec, Form
from echostack.runtime.bargein import HANG_UP, BargeIn
from echostack.runtime.conversation import SessionConversation
from echostack.runtime.core import Core, restamp
from echostack.runtime.driver import Driver
from echostack.runtime.farend import OnAudio
from echostack.runtime.playout import Heard, Playout
from echostack.runtime.routes import Observer
from echostack.runtime.speculation import Speculation
from echostack.runtime.timing import Timing
from echostack.runtime.turns import RECOGNISER, TurnKeeper

OnPlayed = Callable[[str, Event, bytes, int], None]
Hooks = dict[str, dict[type[Payload], list[Observer]]]


class Dialogue:
    """One session's ears and mouths. Synchronous throughout; the playouts' pacers belong to their sinks' drivers."""

    def __init__(self, core: Core, plan: Plan, ask_end: Callable[[str], None]) -> None:
        self._core, self._plan, self._ask_end = core, plan, ask_end
        self._spoken = any(n.spec is not None and n.spec.form is Form.SINK for n in plan.nodes.values())
        self.conversation = SessionConversation()
        self.timing = Timing(plan, core.clock, core.counters.times)
        self.playouts: dict[str, Playout] = {}
        self._scopes: dict[int, BargeIn] = {}
        self._turn: Event | None = None
        self._deliver: Callable[[str, Payload, Event], None] | None = None
        self.speculation: Speculation | None = None
        self.keepers = {} if plan.turns.end_by == RECOGNISER else self._make_keepers()

    @property
    def barge_ins(self) -> tuple[BargeIn, ...]:
        return tuple(self._scopes.values())

    # -- making ------------------------------------------------------------------------------------------------

    def add_scope(
        self, scope: ScopePlan, drivers: Mapping[str, Driver], release: Callable[[list[deque[Event]]], None]
    ) -> None:
        """Make a scope interruptible: its drivers and playouts are there by now."""
        inside = [drivers[n] for n in scope.nodes if n in drivers]
        playouts = [self.playouts[n] for n in scope.egresses if n in self.playouts]
        self._scopes[scope.id] = BargeIn(self._core, scope, self._plan.barge_in, inside, playouts, release, self._hear)

    def add_mouth(self, node: PlanNode, sink: AudioSink) -> Playout:
        """The playout of an audio egress, its events named after the transport."""
        emit, source, name = self._core.engine_emit, node.source, node.id

        def started(utterance: str, event: Event) -> None:
            began, spoken_until = self._answered(event)
            emit("control", source, PlayoutStarted(utterance, began), event, name)
            timed = self.timing.sounds(utterance, spoken_until) if spoken_until is not None else None
            if timed is not None:
                emit("control", "call", timed[0], event, name)
                if timed[1] is not None:
                    emit("control", "budget", timed[1], event, name)
            for barge_in in self._scopes.values():
                barge_in.on_playout_started()

        def finished(heard: Heard) -> None:
            if heard.text:
                self.conversation.agent_was_heard(
                    heard.text, heard.start, heard.end, cut=heard.cut, utterance=heard.utterance
                )
                if heard.cut:
                    for barge_in in self._scopes.values():
                        barge_in.heard(heard.text)
            over = PlayoutFinished(heard.utterance, heard.text, heard.cut, heard.seconds)
            emit("control", source, over, heard.event, name)

        def written(event: Event, pcm: bytes, rate: int) -> None:
            chunk = AudioChunk(pcm, rate, sink.format.channels, getattr(event.payload, "utterance", ""))
            emit("egress", source, chunk, event, name)

        current = self._core.epochs.current
        playout = Playout(
            sink, self._core.clock, on_started=started, on_finished=finished, on_written=written, is_current=current
        )
        self.playouts[name] = playout
        return playout

    def show_played(self, tell: list[OnPlayed]) -> None:
        """Tell these of all audio that was heard: its egress, the event it was made for, the samples, their rate."""

        def of(egress: str) -> OnAudio:
            def played(event: Event, pcm: bytes, rate: int) -> None:
                for one in tell:
                    one(egress, event, pcm, rate)

            return played

        for name, playout in self.playouts.items():
            playout.show_played(of(name) if tell else None)

    def connect(self, deliver: Callable[[str, Payload, Event], None]) -> None:
        """``deliver`` brings a turn that a keeper ends out of its recogniser."""
        self._deliver = deliver

    def _make_keepers(self) -> dict[str, TurnKeeper]:
        ears = [n for n in self._plan.nodes.values() if n.spec is not None and _recognises(n.spec)]
        return {n.id: TurnKeeper(self._plan.turns, self._core.clock, partial(self._turn_ended, n.id)) for n in ears}

    def _turn_ended(self, recogniser: str, text: Text, cause: Event) -> None:
        if self._deliver is not None:
            self._deliver(recogniser, text, cause)

    def ended(self, node: str) -> None:
        """A recogniser has given its last words: the turn that they belong to ends with them."""
        keeper = self.keepers.get(node)
        if keeper is not None:
            for payload in keeper.finish():
                if isinstance(payload, Text):
                    self._turn_ended(node, payload, self._core.root)

    def hooks(self) -> Hooks:
        """What the engine itself listens to, by node and kind."""
        on = EventPattern.parse(self._plan.barge_in_on) if self._plan.barge_in_on else None
        found: Hooks = {}
        for node in self._plan.nodes.values():
            if node.spec is None:
                continue
            for payload in node.spec.produces:
                observers = self._observers(node, node.spec, payload, on)
                if observers:
                    found.setdefault(node.id, {})[payload] = observers
            if self._guesses_by(node) and node.id in self.keepers:
                # The keeper makes pieces of what a recogniser takes for turns, whether it makes such itself or not.
                found.setdefault(node.id, {}).setdefault(TextSegment, [self._guess])
        return found

    def _observers(
        self, node: PlanNode, spec: ConnectorSpec, payload: type[Payload], on: EventPattern | None
    ) -> list[Observer]:
        named = partial(event_name, "processing", node.source)
        observers: list[Observer] = []
        if on is not None and on.matches(named(payload.__kind__.name)):
            observers.append(self._speech_started)
        elif (
            on is not None
            and payload is SpeechStopped
            and any(on.matches(named(p.__kind__.name)) for p in spec.produces)
        ):
            observers.append(self._speech_stopped)
        if self.keepers and payload in (SpeechStarted, SpeechStopped, Data):
            observers.append(self._mark)
        if payload in (Text, TextPartial, TextSegment) and AudioFrame in spec.consumes:
            observers.append(self._words)
            if self._guesses_by(node):
                observers.append(self._guess)
        if payload is Text and not self._plan.scopes:
            observers.append(self._hear)
        if payload is AgentMessage and not self._spoken:
            observers.append(self._read)
        if payload is CallEnded:
            observers.append(self._end_asked)
        if payload is Usage:
            observers.append(self._used)
        return observers

    def _guesses_by(self, node: PlanNode) -> bool:
        """Whether the turn is guessed from the words of ``node``."""
        return self._plan.speculate is not None and (node.choice or node.id) in self._plan.speculate.ears

    # -- ears --------------------------------------------------------------------------------------------------

    def enter(self, event: Event, scope: int) -> Event | None:
        """Stamp an event that enters ``scope``; None for a turn that is refused as no interruption."""
        barge_in = self._scopes.get(scope)
        if barge_in is None:
            return restamp(event, scope, self._core.epochs.numbers[scope])
        return barge_in.enter(event, scope)

    def _speech_started(self, event: Event) -> None:
        for barge_in in self._scopes.values():
            barge_in.on_speech_started(event)

    def _speech_stopped(self, event: Event) -> None:
        for barge_in in self._scopes.values():
            barge_in.on_speech_stopped(event)

    def _mark(self, event: Event) -> None:
        """Voice activity or a turn detector's word, which may end a turn."""
        for recogniser, keeper in self.keepers.items():
            for payload in keeper.on_event(event):
                if isinstance(payload, Text) and payload is not event.payload:
                    self._turn_ended(recogniser, payload, event)

    def _words(self, event: Event) -> None:
        for barge_in in self._scopes.values():
            barge_in.on_words(event)

    def _guess(self, event: Event) -> None:
        if self.speculation is not None:
            self.speculation.heard(event)

    @property
    def replying(self) -> bool:
        """Whether a reply is being thought or said, or has been paused."""
        mouths = any(p.speaking for p in self.playouts.values())
        return mouths or any(b.active or b.suspended for b in self._scopes.values())

    def _hear(self, event: Event) -> None:
        """The caller has said something: it belongs to the conversation from here on."""
        payload = event.payload
        if isinstance(payload, Text) and payload.text.strip():
            self._turn = event
            self.timing.turn(event)
            self.conversation.caller_said(payload)

    def _used(self, event: Event) -> None:
        if isinstance(event.payload, Usage):
            self._core.counters.used(event.node, event.payload)

    def _read(self, event: Event) -> None:
        """Nothing here speaks, so the program that reads the events gives every answer to whoever reads it."""
        payload = event.payload
        if isinstance(payload, AgentMessage):
            self.conversation.agent_was_heard(payload.text, event.time, event.time, utterance=payload.id)

    def _end_asked(self, event: Event) -> None:
        self._ask_end(getattr(event.payload, "reason", "") or f"{event.node} ended the call")

    # -- mouths ------------------------------------------------------------------------------------------------

    def _answered(self, event: Event) -> tuple[float, float | None]:
        """The first sample of ``event`` sounds: milliseconds since the end of the turn that it answers, and until when
        the caller had spoken (0.0 where that is not known). (0.0, None) when it answers none; a turn is counted once.
        """
        turn = self._turn
        if turn is None or event.time < turn.time:  # made before the turn, so it is no answer to it
            return 0.0, None
        self._turn = None
        now = self._core.clock.now()
        to_audio = (now - turn.time) * 1000
        self._core.counters.turn_to_audio_ms.append(to_audio)
        spoken_until = getattr(turn.payload, "end", 0.0)
        if spoken_until:
            self._core.counters.voice_to_voice_ms.append((now - spoken_until) * 1000)
        return to_audio, spoken_until

    def caller_left(self) -> None:
        """Nothing more comes from the caller: a reply that waits to see whether it is interrupted goes on."""
        for barge_in in self._scopes.values():
            barge_in.abort("the caller is gone")

    # -- ending ------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """The caller is gone: nothing of what is thought or said matters any more; effects that began go on."""
        for barge_in in self._scopes.values():
            barge_in.commit(HANG_UP)
        self.close()

    def close(self) -> None:
        """Stop timers and mouths, synchronously."""
        for barge_in in self._scopes.values():
            barge_in.close()
        if self.speculation is not None:
            self.speculation.close()
        for keeper in self.keepers.values():
            keeper.close()
        for playout in self.playouts.values():
            playout.close()


def _recognises(spec: ConnectorSpec) -> bool:
    return AudioFrame in spec.consumes and Text in spec.produces
