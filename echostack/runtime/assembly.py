"""Puts one session together from its plan: connectors, queues, drivers, playouts, pushes and interruptions."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Any

from echostack.core.errors import UsageError
from echostack.core.events import Event, EventPattern, event_name
from echostack.core.kinds import Overflow, Payload
from echostack.core.payloads import (
    AudioChunk,
    AudioFrame,
    CallEnded,
    PlayoutFinished,
    PlayoutStarted,
    SpeechStopped,
    Text,
    TextPartial,
    TextSegment,
)  # fmt: skip
from echostack.plan.model import ENGINE, Plan, PlanEdge, PlanNode, ScopePlan
from echostack.registry import AudioSink, Form
from echostack.runtime.bargein import BargeIn
from echostack.runtime.breaker import Breaker
from echostack.runtime.calls import CallDriver, PumpDriver
from echostack.runtime.choice import CallChoice, Member, StreamChoice
from echostack.runtime.context import NodeContext
from echostack.runtime.conversation import SessionConversation
from echostack.runtime.core import Core, restamp
from echostack.runtime.driver import Driver, Shared
from echostack.runtime.effects import Effects
from echostack.runtime.ending import Ending
from echostack.runtime.failures import Failures
from echostack.runtime.flows import SinkDriver, SourceDriver, StreamDriver
from echostack.runtime.make import EmbeddedSink, fed, make_target
from echostack.runtime.playout import Heard, Playout
from echostack.runtime.queues import Inbox, Lane
from echostack.runtime.tasks import Nursery
from echostack.runtime.wiring import FusedNode, Handle, Observer, Parts, Wiring

Hooks = dict[str, dict[type[Payload], list[Observer]]]


@dataclass(slots=True)
class Overrides:
    """What the embedding program puts in the place of transports, by transport name."""

    ingress: dict[str, AsyncIterable[Any]]
    egress: dict[str, AudioSink]

    def check(self, plan: Plan) -> None:
        """UsageError for a transport that the graph does not have."""
        for end, given in (("ingress", self.ingress), ("egress", self.egress)):
            known = {n.source for n in plan.nodes.values() if n.spec is not None and n.spec.role == end}
            for name in given:
                if name not in known:
                    has = f"it has {', '.join(sorted(known))}" if known else "it has none"
                    raise UsageError(f"the graph has no {end}.{name} to stand in for ({has})")


class Assembly:
    """The parts of one session. Made in one synchronous step; nothing runs yet."""

    def __init__(
        self,
        core: Core,
        plan: Plan,
        overrides: Overrides,
        nursery: Nursery,
        ask_end: Callable[[str], None],
        release: Callable[[list[deque[Event]]], None],
    ) -> None:
        self.core, self.plan, self._overrides = core, plan, overrides
        self._ask_end, self._release = ask_end, release
        self.failures = Failures(core, plan.nodes)
        self.effects = Effects()
        self.conversation = SessionConversation()
        self._shared = Shared(self.effects, self.failures, nursery)
        self.targets: dict[str, Any] = {}
        self._contexts: dict[str, NodeContext] = {}
        self._emits: dict[str, Handle] = {}
        self.inboxes: dict[str, Inbox] = {}
        self.lanes: dict[str, Lane] = {}
        self._by_scope: dict[int, BargeIn] = {}
        self._turn: Event | None = None
        self._make_targets()
        self._make_queues()
        hooks: Hooks = {}
        self._hook_up(hooks)
        fused = {n.id: self._fused(n) for n in plan.nodes.values() if n.fused}
        self.wiring = Wiring(core, plan, Parts(fused, self.inboxes, self.lanes, self._enter, self._fused_failed, hooks))
        self.drivers: dict[str, Driver] = {}
        self.playouts: dict[str, Playout] = {}
        for node in plan.nodes.values():
            self._emits[node.id] = self.wiring.handle(node.id)
            driver = self._driver(node)
            if driver is not None:
                self.drivers[node.id] = driver
        for scope in plan.scopes:
            self._by_scope[scope.id] = self._barge_in(scope)
        self.ending = Ending(plan, self.drivers)

    @property
    def barge_ins(self) -> tuple[BargeIn, ...]:
        return tuple(self._by_scope.values())

    def is_source(self, node: str) -> bool:
        return isinstance(self.drivers.get(node), SourceDriver)

    # -- ending ------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """The caller is gone: nothing of what is thought or said matters any more; effects that began go on."""
        for barge_in in self._by_scope.values():
            barge_in.commit("hang up")
        self.end_now()

    def end_now(self) -> None:
        """Stop timers and mouths, synchronously."""
        for barge_in in self._by_scope.values():
            barge_in.close()
        for playout in self.playouts.values():
            playout.close()

    # -- what comes in from the embedding program ---------------------------------------------------------------

    def put_to(self, node: str, event: Event) -> None:
        """Straight into a node; into its scope, when it has one."""
        known = self.plan.nodes.get(node)
        if known is None:
            raise UsageError(f"the graph has no node {node!r}; it has {', '.join(sorted(self.plan.nodes))}")
        takes = known.spec.consumes if known.spec is not None else self._members_take(known)
        if type(event.payload) not in takes:
            kinds = ", ".join(p.__kind__.name for p in takes) or "nothing"
            raise UsageError(f"{node} does not take {event.payload.__kind__.name}; it takes {kinds}")
        stamped = self._enter(event, known.scope) if known.scope else event
        if stamped is None:
            return
        if known.fused and node not in self.inboxes:
            self.wiring.entry(node)(stamped.payload, stamped)
        else:
            self.inboxes[node].put(self.lanes[f"emit {node}"], stamped)

    def put_from(self, source: str, payload: Payload) -> None:
        """As if a node had made it."""
        makers = [n for n in self.plan.nodes.values() if source in (n.id, n.source) and n.spec is not None]
        fitting = [n for n in makers if n.spec is not None and type(payload) in n.spec.produces]
        if not fitting:
            known = sorted({n.source for n in self.plan.nodes.values()})
            what = payload.__kind__.name
            why = (
                f"{source} does not make {what}"
                if makers
                else f"nothing here is called {source!r} ({', '.join(known)})"
            )
            raise UsageError(f"cannot emit {what} from {source!r}: {why}")
        self._emits[fitting[0].id].deliver(payload, self.core.root)

    def _members_take(self, choice: PlanNode) -> tuple[type[Payload], ...]:
        first = self.plan.nodes[choice.members[0]].spec if choice.members else None
        return first.consumes if first is not None else ()

    # -- making ------------------------------------------------------------------------------------------------

    def _make_targets(self) -> None:
        missing = {
            name: node.id
            for node in self.plan.nodes.values()
            if node.spec is not None and node.settings is None and not self._replaced(node) and not self._stand_in(node)
            for name in self.plan.checked.nodes[node.id].missing_env
        }
        if missing:
            wanted = ", ".join(f"{name} (for {node})" for name, node in missing.items())
            raise UsageError(f"the environment lacks {wanted}: set it, or give it a default in the file")
        for node in self.plan.nodes.values():
            if node.spec is None:
                continue
            context = NodeContext(self.core, node.id, self.conversation, self._emitter(node.id))
            self._contexts[node.id] = context
            stand_in = self._stand_in(node)
            if stand_in is not None:
                self.targets[node.id] = stand_in
            elif not self._replaced(node):
                self.targets[node.id] = make_target(node, context)

    def _replaced(self, node: PlanNode) -> bool:
        return node.spec is not None and node.spec.role == "ingress" and node.source in self._overrides.ingress

    def _stand_in(self, node: PlanNode) -> AudioSink | None:
        if node.spec is None or node.spec.form is not Form.SINK:
            return None
        given = self._overrides.egress.get(node.source)
        if given is None and node.source in self._overrides.ingress:
            wanted = node.spec.output_format(node.settings) if node.settings is not None else None
            return EmbeddedSink(wanted) if wanted is not None else EmbeddedSink()
        return given

    def _emitter(self, node: str) -> Callable[[Payload, Event | None, str], None]:
        def emit(payload: Payload, cause: Event | None, port: str) -> None:
            # A callback cannot wait, so the pressure it makes is not the next driver's to relieve.
            pressure = self.core.pressure
            before, pressure.lanes = pressure.lanes, []
            origin = cause or self._contexts[node].current or self.core.root
            if self.core.epochs.live(origin) or payload.__kind__.keep:
                self._emits[node].deliver(payload, origin, port)
            else:
                self.core.counters.node(node).stale += 1
            pressure.lanes = before

        return emit

    def _make_queues(self) -> None:
        pressure = self.core.pressure
        for node in self.plan.nodes.values():
            if not node.fused and not node.choice:
                self.inboxes[node.id] = Inbox(node.id, pressure)
        for edge in self.plan.edges:
            if edge.queue is not None:
                inbox = self.inboxes.setdefault(edge.target, Inbox(edge.target, pressure))
                lane = Lane(_edge_name(edge), edge.queue.bound, edge.queue.overflow, pressure)
                self.lanes[edge.id] = lane
                inbox.add(lane)
        for name, inbox in self.inboxes.items():
            node = self.plan.nodes[name]
            if node.spec is None or node.spec.consumes:
                lane = Lane(f"emit -> {name}", 64, Overflow.BLOCK, pressure)
                self.lanes[f"emit {name}"] = lane
                inbox.add(lane)

    def _fused(self, node: PlanNode) -> FusedNode:
        spec = node.spec
        return FusedNode(self.targets[node.id], wants_event=bool(spec is not None and spec.wants_event))

    def _driver(self, node: PlanNode) -> Any:
        if node.choice:
            return None
        inbox = self.inboxes.get(node.id)
        if node.fused:
            return self._make(PumpDriver, node, inbox) if inbox is not None else None
        if inbox is None:
            raise AssertionError(f"{node.id} has a task and no inbox")
        if node.members:
            return self._choice(node, inbox)
        form = node.spec.form if node.spec is not None else None
        match form:
            case Form.SOURCE:
                source = self._make(SourceDriver, node, inbox)
                if self._replaced(node):
                    source.feed = fed(self._overrides.ingress[node.source], node)
                return source
            case Form.SINK:
                sink = self._make(SinkDriver, node, inbox)
                sink.playout = self.playouts[node.id] = self._playout(node)
                return sink
            case Form.STREAM:
                return self._make(StreamDriver, node, inbox)
            case _:
                return self._make(CallDriver, node, inbox)

    def _make(self, cls: type[Any], node: PlanNode, inbox: Inbox | None) -> Any:
        handle = self._emits[node.id]
        context = self._contexts.get(node.id)
        return cls(self.core, node, inbox, handle, context, self.targets.get(node.id), self._shared)

    def _choice(self, node: PlanNode, inbox: Inbox) -> Driver:
        members = []
        for name in node.members:
            member = self.plan.nodes[name]
            breaker = Breaker(self.core.clock, member.policy.cooldown)
            handle = self.wiring.handle(name)
            members.append(Member(member, self.targets[name], self._contexts[name], handle, breaker))
        first = members[0].node.spec
        streams = first is not None and first.form is Form.STREAM
        handle, context = members[0].handle, members[0].context
        cls: type[Any] = StreamChoice if streams else CallChoice
        driver: Driver = cls(self.core, node, inbox, handle, context, members[0].target, self._shared)
        driver.members = members  # type: ignore[attr-defined]
        return driver

    # -- mouths ------------------------------------------------------------------------------------------------

    def _playout(self, node: PlanNode) -> Playout:
        sink: AudioSink = self.targets[node.id]
        emit, source, name = self.core.engine_emit, node.source, node.id

        def started(utterance: str, event: Event) -> None:
            emit("control", source, PlayoutStarted(utterance, self._time_turn()), event, name)
            for barge_in in self._by_scope.values():
                barge_in.on_playout_started()

        def finished(heard: Heard) -> None:
            if heard.text:
                self.conversation.agent_was_heard(
                    heard.text, heard.start, heard.end, cut=heard.cut, utterance=heard.utterance
                )
                if heard.cut:
                    for barge_in in self._by_scope.values():
                        barge_in.heard(heard.text)
            over = PlayoutFinished(heard.utterance, heard.text, heard.cut, heard.seconds)
            emit("control", source, over, heard.event, name)

        def written(event: Event, pcm: bytes, rate: int) -> None:
            played = event.payload
            chunk = AudioChunk(pcm, rate, sink.format.channels, getattr(played, "utterance", ""))
            emit("egress", source, chunk, event, name)

        return Playout(
            sink, self.core.clock, on_started=started, on_finished=finished, on_written=written,
            is_current=self.core.epochs.current,
        )  # fmt: skip

    def _time_turn(self) -> float:
        """Milliseconds since the end of the turn that is being answered; counted once a turn."""
        turn, self._turn = self._turn, None
        if turn is None:
            return 0.0
        now = self.core.clock.now()
        to_audio = (now - turn.time) * 1000
        self.core.counters.turn_to_audio_ms.append(to_audio)
        spoken_until = getattr(turn.payload, "end", 0.0)
        if spoken_until:
            self.core.counters.voice_to_voice_ms.append((now - spoken_until) * 1000)
        return to_audio

    # -- ears --------------------------------------------------------------------------------------------------

    def _barge_in(self, scope: ScopePlan) -> BargeIn:
        drivers = [self.drivers[n] for n in scope.nodes if n in self.drivers]
        playouts = [self.playouts[n] for n in scope.egresses if n in self.playouts]
        return BargeIn(self.core, scope, self.plan.barge_in, drivers, playouts, self._release, self._hear)

    def _hook_up(self, hooks: Hooks) -> None:
        """The engine's own ears: voice activity, words, turns, and the wish to end the call."""
        on = EventPattern.parse(self.plan.barge_in_on) if self.plan.barge_in_on else None
        for node in self.plan.nodes.values():
            spec = node.spec
            if spec is None:
                continue
            mine = hooks.setdefault(node.id, {})
            for payload in spec.produces:
                name = event_name("processing", node.source, payload.__kind__.name)
                if on is not None and on.matches(name):
                    mine.setdefault(payload, []).append(self._each("on_speech_started"))
                elif on is not None and payload is SpeechStopped and self._is_tap(node, on):
                    mine.setdefault(payload, []).append(self._each("on_speech_stopped"))
                if payload in (Text, TextPartial, TextSegment) and AudioFrame in spec.consumes:
                    mine.setdefault(payload, []).append(self._each("on_words"))
                if payload is Text and not self.plan.scopes:
                    mine.setdefault(payload, []).append(self._hear)
                if payload is CallEnded:
                    mine.setdefault(payload, []).append(self._end_asked)
            if not mine:
                del hooks[node.id]

    def _is_tap(self, node: PlanNode, on: EventPattern) -> bool:
        return node.spec is not None and any(
            on.matches(event_name("processing", node.source, p.__kind__.name)) for p in node.spec.produces
        )

    def _each(self, method: str) -> Observer:
        def observe(event: Event) -> None:
            for barge_in in self._by_scope.values():
                getattr(barge_in, method)(event)

        return observe

    def _end_asked(self, event: Event) -> None:
        self._ask_end(getattr(event.payload, "reason", "") or f"{event.node} ended the call")

    def _enter(self, event: Event, scope: int) -> Event | None:
        barge_in = self._by_scope.get(scope)
        if barge_in is None:
            return restamp(event, scope, self.core.epochs.numbers[scope])
        return barge_in.enter(event, scope)

    def _hear(self, event: Event) -> None:
        """The caller has said something: it belongs to the conversation from here on."""
        payload = event.payload
        if isinstance(payload, Text) and payload.text.strip():
            self._turn = event
            self.conversation.caller_said(payload)

    def _fused_failed(self, node: str, error: BaseException, cause: Event) -> None:
        self.failures.given_up(node, error, cause)


def _edge_name(edge: PlanEdge) -> str:
    return f"{edge.source} -> {edge.target}" if edge.source != ENGINE else f"{edge.pattern} -> {edge.target}"
