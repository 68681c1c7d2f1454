"""Puts one session together from its plan: connectors, queues, drivers, playouts, pushes and interruptions."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from echostack.core.errors import UsageError
from echostack.core.events import Event
from echostack.core.kinds import Overflow, Payload
from echostack.core.payloads import AudioFrame
from echostack.plan.model import ENGINE, Plan, PlanEdge, PlanNode
from echostack.registry import AudioSink, Form
from echostack.runtime.breaker import Breaker
from echostack.runtime.calls import CallDriver, PumpDriver
from echostack.runtime.choice import CallChoice, Member, StreamChoice
from echostack.runtime.context import NodeContext
from echostack.runtime.core import Core, restamp
from echostack.runtime.dialogue import Dialogue
from echostack.runtime.driver import Driver, Shared
from echostack.runtime.effects import Effects
from echostack.runtime.ending import Ending
from echostack.runtime.failures import Failures
from echostack.runtime.flows import SinkDriver, SourceDriver, StreamDriver
from echostack.runtime.make import EmbeddedSink, fed, make_target
from echostack.runtime.probe import Probe, Wanted
from echostack.runtime.queues import Inbox, Lane
from echostack.runtime.routes import FusedNode, Handle, Parts
from echostack.runtime.speculation import Speculation
from echostack.runtime.tasks import Nursery
from echostack.runtime.wiring import Wiring


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
        self.failures = Failures(core, plan.nodes)
        self.effects = Effects()
        self.dialogue = Dialogue(core, plan, ask_end)
        self._shared = Shared(self.effects, self.failures, nursery, self.dialogue.timing)
        self.targets: dict[str, Any] = {}
        self._contexts: dict[str, NodeContext] = {}
        self._emits: dict[str, Handle] = {}
        self.inboxes: dict[str, Inbox] = {}
        self.lanes: dict[str, Lane] = {}
        self._make_targets()
        self._make_queues()
        fused = {n.id: self._fused(n) for n in plan.nodes.values() if n.fused}
        enter, hooks = self.dialogue.enter, self.dialogue.hooks()
        parts = Parts(
            fused, self.inboxes, self.lanes, enter, self.failures.given_up, hooks, self.dialogue.keepers,
            self._beside(), self.failures.answer_call,
        )  # fmt: skip
        self.wiring = Wiring(core, plan, parts)
        self.dialogue.connect(self.wiring.deliver)
        self.failures.deliver = self._answer_for
        self.drivers: dict[str, Driver] = {}
        for node in plan.nodes.values():
            self._emits[node.id] = self.wiring.handle(node.id)
            driver = self._driver(node)
            if driver is not None:
                self.drivers[node.id] = driver
        for scope in plan.scopes:
            self.dialogue.add_scope(scope, self.drivers, release)
        if plan.speculate is not None:
            self.dialogue.speculation = Speculation(
                core, plan, plan.speculate, self.dialogue.conversation, fused, self.drivers,
                lambda: self.dialogue.replying, self.failures.report,
            )  # fmt: skip
        self.ending = Ending(plan, self.drivers)

    def all_lanes(self) -> tuple[Lane, ...]:
        """Every queue of the call: one a queued edge, and every inbox's control lane."""
        return (*self.lanes.values(), *(inbox.control for inbox in self.inboxes.values()))

    def watch(self, probes: Sequence[Probe]) -> None:
        """Show ``probes`` what happens from here on."""
        for probe in probes:
            self.wiring.observe((Wanted(probe.wants),), probe.event)
        lost = [probe.dropped for probe in probes]

        def dropped(lane: Lane, event: Event) -> None:
            for tell in lost:
                tell(lane.edge, event)

        for lane in self.all_lanes():
            lane.on_drop = dropped
        self.dialogue.show_played([probe.played for probe in probes if probe.wants_audio])

    def is_source(self, node: str) -> bool:
        return isinstance(self.drivers.get(node), SourceDriver)

    # -- what comes in from the embedding program ---------------------------------------------------------------

    def put_to(self, node: str, event: Event) -> None:
        """Straight into a node; into its scope, when it has one."""
        known = self.plan.nodes.get(node)
        if known is None:
            raise UsageError(f"the graph has no node {node!r}; it has {', '.join(sorted(self.plan.nodes))}")
        if known.choice:
            raise UsageError(
                f"{node} is a member of a choice: emit to {known.choice!r}, which takes the one that works"
            )
        takes = known.spec.consumes if known.spec is not None else self._members_take(known)
        if type(event.payload) not in takes:
            kinds = ", ".join(p.__kind__.name for p in takes) or "nothing"
            raise UsageError(f"{node} does not take {event.payload.__kind__.name}; it takes {kinds}")
        stamped = self.dialogue.enter(event, known.scope) if known.scope else event
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
        self._emits[fitting[0].id].deliver(payload, self._origin(fitting[0].id))

    def member_failed(self, choice: str, member: str, error: BaseException) -> None:
        """A member of a choice could not open: it rests, and that is said."""
        driver = self.drivers[choice]
        for known in getattr(driver, "members", ()):
            if known.node.id == member:
                known.breaker.failed()
        self.failures.report(member, error)

    def _answer_for(self, node: str, payload: Payload, cause: Event) -> None:
        self._emits[node].deliver(payload, cause)

    def _origin(self, node: str) -> Event:
        """The cause of what a node says of itself: none, in the present epoch of the scope that the node is in."""
        scope = self.plan.nodes[node].scope
        return restamp(self.core.root, scope, self.core.epochs.numbers[scope]) if scope else self.core.root

    def abandon(self) -> None:
        """The caller is gone: nothing of what is thought or said matters any more; effects that began go on."""
        if not self.plan.scopes:
            # Nothing can be interrupted here, so there is no epoch to end: what would be spoken is given up by hand.
            for node in self._speaking_side():
                driver = self.drivers[node]
                driver.inbox.clear()
                driver.interrupt()
        self.dialogue.abandon()

    def _speaking_side(self) -> list[str]:
        """Drivers from which an audio egress is reached, the caller's side left out."""
        feeds: dict[str, list[str]] = {}
        for edge in self.plan.edges:
            feeds.setdefault(edge.target, []).append(edge.source)
        found = list(self.dialogue.playouts)
        for node in found:
            for source in feeds.get(node, ()):
                known = self.plan.nodes.get(source)
                hears = known is None or (known.spec is not None and AudioFrame in known.spec.consumes)
                if not hears and not self.is_source(source) and source not in found:
                    found.append(source)
        return [n for n in found if n in self.drivers]

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
            export = " ".join(f"{name}=..." for name in missing)
            raise UsageError(f"the environment lacks {wanted}: export {export}, or give it a value in the file")
        for node in self.plan.nodes.values():
            if node.spec is None:
                continue
            context = NodeContext(
                self.core, node.id, self.dialogue.conversation, self._emitter(node.id), node.choice
            )  # fmt: skip
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
        pressure, handles, root = self.core.pressure, self._emits, self.core.root
        outside = self.plan.nodes[node].scope == 0

        def emit(payload: Payload, cause: Event | None, port: str) -> None:
            # A callback cannot wait, so the pressure it makes is not the next driver's to relieve.
            before, pressure.lanes = pressure.lanes, []
            try:
                if cause is None and outside:
                    handles[node].deliver(payload, root, port)  # of no epoch, so it cannot be stale
                    return
                origin = cause or self._origin(node)
                if self.core.epochs.live(origin) or payload.__kind__.keep:
                    handles[node].deliver(payload, origin, port)
                else:
                    self.core.counters.node(node).stale += 1
            finally:
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
        context = self._contexts[node.id] if spec is not None and spec.wants_context else None
        return FusedNode(self.targets[node.id], bool(spec is not None and spec.wants_event), context)

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
                sink.playout = self.dialogue.add_mouth(node, self.targets[node.id])
                return sink
            case Form.STREAM:
                return self._make(StreamDriver, node, inbox)
            case _:
                return self._make(CallDriver, node, inbox)

    def _beside(self) -> dict[str, Callable[[Event], None]]:
        """For every audio egress that takes more than audio, what takes the rest."""

        def of(node: str) -> Callable[[Event], None]:
            def take(event: Event) -> None:
                driver = self.drivers[node]
                if isinstance(driver, SinkDriver):
                    driver.take(event)

            return take

        sinks = [n for n in self.plan.nodes.values() if n.spec is not None and n.spec.form is Form.SINK]
        return {n.id: of(n.id) for n in sinks if n.spec and any(not p.__kind__.audio for p in n.spec.consumes)}

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


def _edge_name(edge: PlanEdge) -> str:
    return f"{edge.source} -> {edge.target}" if edge.source != ENGINE else f"{edge.pattern} -> {edge.target}"
