"""Composes one session's plan into synchronous pushes: nothing is interpreted while a call runs.

Inside an island an output is a Python call away from its consumer. A straight run of functions that each have
one output kind and one plain edge becomes a single loop over the bare functions (``_chain``): no envelope is made
between them, because nobody could see it. Whatever is observed (a recording, a subscription, an engine hook, an
edge with a guard, port, queue or resampler) gets its envelope. Observing something new recomposes the pushes,
which costs microseconds and happens between two events; the nodes' own state lives outside and is not touched.

Atomicity: a push runs to its end in one synchronous step, so an interruption falls before or after it, never
inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from echostack.core.errors import QueueOverflow
from echostack.core.events import Event, EventPattern, Matcher, event_name
from echostack.core.kinds import Payload
from echostack.language.guard import Else, predicate
from echostack.plan.model import ENGINE, Plan, PlanEdge
from echostack.runtime.core import Core, Deliver, Push, with_payload
from echostack.runtime.errorloops import ErrorLoops
from echostack.runtime.messages import MESSAGES, MessageIds
from echostack.runtime.outputs import outputs
from echostack.runtime.resample import Resampler
from echostack.runtime.routes import Handle, Observer, Parts, Route, dispatch
from echostack.runtime.stats import NodeCounters

_NOTHING: tuple[()] = ()
"""The one empty tuple that there is: what a function that may answer several times answers mostly."""

_Outlet = tuple[str, bool, tuple[Observer, ...], tuple[Push, ...], tuple[Route, ...]]
"""How a kind leaves a node: its event's name, whether it is a message, who sees it, and either the pushes that it
always takes or the routes that choose."""


class Wiring:
    """The pushes of one session. ``deliver`` and ``entry`` hand out indirections that survive a recomposition."""

    def __init__(self, core: Core, plan: Plan, parts: Parts) -> None:
        self._core = core
        self._plan = plan
        self._parts = parts
        self._observers: list[tuple[tuple[Matcher, ...] | None, Observer]] = []
        self._watching: dict[str, tuple[Observer, ...]] = {}
        self._out: dict[str, list[PlanEdge]] = {}
        for edge in plan.edges:
            self._out.setdefault(edge.source, []).append(edge)
        self._resamplers: dict[str, Resampler] = {}
        self._tests = {e.id: predicate(e.guard) for e in plan.edges if e.guard and not isinstance(e.guard, Else)}
        self._entries: dict[str, Push] = {}
        self._ids: dict[str, MessageIds] = {}
        self._delivers: dict[str, Deliver] = {}
        self._handles: list[Handle] = []
        self._engine_edges = [(EventPattern.parse(e.pattern), e) for e in self._out.get(ENGINE, ()) if e.pattern]
        self._engine_routes: list[tuple[EventPattern, Route]] = []
        self._loops = ErrorLoops(plan)
        core.engine_emit = self.engine_emit
        self.compose()

    # -- observers ---------------------------------------------------------------------------------------------

    def observe(self, patterns: Sequence[Matcher] | None, observer: Observer) -> Callable[[], None]:
        """Call ``observer`` synchronously with every event that matches a pattern (None: with every event), before
        it is routed. Returns the function that ends it."""
        entry = (None if patterns is None else tuple(patterns), observer)
        self._observers.append(entry)
        self.compose()

        def stop() -> None:
            if entry in self._observers:
                self._observers.remove(entry)
                self.compose()

        return stop

    def _watchers(self, name: str) -> tuple[Observer, ...]:
        found = self._watching.get(name)
        if found is None:
            found = tuple(o for ps, o in self._observers if ps is None or any(p.matches(name) for p in ps))
            self._watching[name] = found
        return found

    # -- what drivers hold -------------------------------------------------------------------------------------

    def handle(self, node: str) -> Handle:
        """A driver's way out of ``node``, kept up to date by the wiring."""
        handle = Handle(node)
        self._handles.append(handle)
        self._point(handle)
        return handle

    def entry(self, node: str) -> Push:
        """The push into a fused node, as composed now."""
        return self._entry(node)

    def deliver(self, node: str, payload: Payload, cause: Event) -> None:
        """Bring ``payload`` out of ``node`` past its keeper of turns, which has made it."""
        self._deliver(node)(payload, cause)

    def compose(self) -> None:
        """Build every push anew for the present observers."""
        self._core.counters.forget_settlers()
        self._entries.clear()
        self._watching.clear()
        self._delivers.clear()
        self._engine_routes = [(p, self._route(e)) for p, e in self._engine_edges]
        for handle in self._handles:
            self._point(handle)

    def _point(self, handle: Handle) -> None:
        handle.deliver = self._kept(handle.node, self._deliver(handle.node))
        handle.forward = self._forward(handle.node)
        handle.entry = self._entry(handle.node) if handle.node in self._parts.fused else None

    def _kept(self, node: str, deliver: Deliver) -> Deliver:
        """``deliver`` behind the keeper of turns of a recogniser, where the file says who ends a turn."""
        keeper, core = self._parts.turns.get(node), self._core
        if keeper is None:
            return deliver
        source = self._plan.nodes[node].source

        def keep(payload: Payload, cause: Event, port: str = "") -> None:
            name = event_name("processing", source, payload.__kind__.name)
            now = core.clock.now()
            said = Event(name, payload, core.session, cause.seq, now, cause.scope, cause.epoch, cause.cause, port, node)
            for kept in keeper.on_event(said):
                deliver(kept, cause, port)

        return keep

    # -- engine events -----------------------------------------------------------------------------------------

    def engine_emit(
        self, stage: str, source: str, payload: Payload, cause: Event | None = None, node: str = ""
    ) -> Event:
        """Make one of the engine's own events and bring it to observers and to the graph's control/error routes."""
        core = self._core
        cause = cause or core.root
        name = event_name(stage, source, payload.__kind__.name)
        event = Event(name, payload, core.session, core.next_seq(), core.clock.now(), 0, 0, cause.seq, "", node)
        for watch in self._watchers(name):
            watch(event)
        loops = self._loops if stage == "error" else None
        if loops is not None:
            loops.made(event, node, cause)
        for pattern, route in self._engine_routes:
            if not pattern.matches(name) or not isinstance(payload, route.edge.payloads):
                continue
            if loops is not None and not loops.admits(route.edge, node, cause):
                continue
            if route.test is None or route.test(payload):
                route.push(payload, event)
        return event

    # -- composing ---------------------------------------------------------------------------------------------

    def _edges(self, node: str) -> list[PlanEdge]:
        choice = self._plan.nodes[node].choice
        return [*self._out.get(node, ()), *(self._out.get(choice, ()) if choice else ())]

    def _deliver(self, node: str) -> Deliver:
        """Name, stamp, show and route an output of ``node``."""
        known = self._delivers.get(node)
        if known is not None:
            return known
        core, plan_node = self._core, self._plan.nodes[node]
        edges = self._edges(node)
        known_kinds: dict[type[Payload], _Outlet] = {}
        hooks = self._parts.hooks.get(node, {})
        routes = [self._route(e) for e in edges]
        ids = self._ids.setdefault(node, MessageIds(node, core.next_seq))
        session, next_seq, now, counters = core.session, core.next_seq, core.clock.now, core.counters.node(node)

        def learn(cls: type[Payload]) -> _Outlet:
            name = event_name("processing", plan_node.source, cls.__kind__.name)
            # Observers first: an engine hook may emit events of its own, which come after their cause.
            watch = (*self._watchers(name), *hooks.get(cls, ()))
            found = tuple(r for r in routes if cls in r.edge.payloads)
            plain = all(r.test is None and not r.edge.port for r in found)
            pushes = tuple(r.push for r in found) if plain else ()
            known_kinds[cls] = outlet = (name, cls in MESSAGES, watch, pushes, () if plain else found)
            return outlet

        def deliver(payload: Any, cause: Event, port: str = "") -> None:
            cls = type(payload)
            name, is_message, watch, pushes, choosing = known_kinds.get(cls) or learn(cls)
            counters.emitted += 1
            if is_message:
                payload = ids.named(payload, cause)
            event = Event(name, payload, session, next_seq(), now(), cause.scope, cause.epoch, cause.seq, port, node)
            for seen in watch:
                seen(event)
            for push in pushes:
                push(payload, event)
            if choosing:
                dispatch(choosing, payload, event, port)

        lean = self._lean(node, deliver)
        self._delivers[node] = lean or deliver
        return lean or deliver

    def _lean(self, node: str, deliver: Deliver) -> Deliver | None:
        """A way out without an envelope, where nobody could see one: straight into the only consumer's code."""
        onward = self._plain_successor(node, whole_chain=False)
        if onward is None or self._messages_ahead(onward):
            return None
        entry, carried = self._entry(onward), self._edges(node)[0].payloads
        counters = self._core.counters.node(node)

        def pass_on(payload: Payload, cause: Event, port: str = "") -> None:
            if type(payload) in carried:
                counters.emitted += 1
                entry(payload, cause)
            else:
                deliver(payload, cause, port)

        return pass_on

    def _messages_ahead(self, node: str) -> bool:
        """Whether a message would be made from here on before the next envelope: its id comes from its cause's
        number, so two outputs of one node must then be two events."""
        seen: set[str] = set()
        at: str | None = node
        while at is not None and at not in seen:
            seen.add(at)
            spec = self._plan.nodes[at].spec
            if spec is not None and set(spec.produces) & set(MESSAGES):
                return True
            at = self._plain_successor(at, whole_chain=False)
        return False

    def _forward(self, node: str) -> Callable[[Event, str], None]:
        """Pass an event through ``node`` unchanged, along the edges of ``port``."""
        routes = [self._route(e) for e in self._edges(node)]
        counters = self._core.counters.node(node)

        def forward(event: Event, port: str) -> None:
            counters.emitted += 1
            cls = type(event.payload)
            dispatch([r for r in routes if cls in r.edge.payloads], event.payload, event, port)

        return forward

    def _route(self, edge: PlanEdge) -> Route:
        """The push along one edge: stamp, convert, then queue or call."""
        parts = self._parts
        push: Push
        if edge.queue is not None or edge.target not in parts.fused:
            inbox, lane = parts.inboxes[edge.target], parts.lanes[edge.id]
            put = inbox.put

            def push(payload: Payload, event: Event) -> None:
                try:
                    put(lane, event)
                except QueueOverflow as error:
                    parts.fail(edge.source, error, event)
                    if parts.refused is not None:
                        parts.refused(edge.target, error, event)
        else:
            entry_of, entries = self._entry, self._entries
            target = edge.target

            def push(payload: Payload, event: Event) -> None:
                # Looked up late, so that cycles through islands compose and order does not matter.
                (entries.get(target) or entry_of(target))(payload, event)

        if edge.target in parts.beside and any(not p.__kind__.audio for p in edge.payloads):
            push = self._beside(parts.beside[edge.target], push)
        if edge.resample is not None:
            push = self._resampling(edge, push)
        if edge.enters:
            push = self._entering(edge.enters, push)
        test = None if edge.guard is None or isinstance(edge.guard, Else) else self._tests[edge.id]
        if edge.siblings:
            by_id = {e.id: e for e in self._out[edge.source]}
            # A sibling's guard is about the kinds that the sibling carries, and may name fields that others lack.
            tests = [(by_id[s].payloads, self._tests[s]) for s in edge.siblings]
            test = lambda payload: not any(isinstance(payload, ps) and t(payload) for ps, t in tests)  # noqa: E731
        return Route(edge, push, test)

    def _beside(self, take: Observer, play: Push) -> Push:
        """What an audio egress takes besides audio does not wait behind audio."""

        def push(payload: Payload, event: Event) -> None:
            if payload.__kind__.audio:
                play(payload, event)
            else:
                take(event)

        return push

    def _resampling(self, edge: PlanEdge, onward: Push) -> Push:
        wanted = edge.resample
        if wanted is None:
            raise AssertionError(f"{edge.id} has no format to convert to")
        fail = self._parts.fail

        def convert(payload: Any) -> bytes:
            resampler = self._resamplers.get(edge.id)
            if resampler is None or resampler.source != payload.format:
                resampler = self._resamplers[edge.id] = Resampler(payload.format, wanted)
            pcm = resampler.push(payload.pcm)
            if getattr(payload, "final", False):
                pcm += resampler.flush()
                del self._resamplers[edge.id]
            return pcm

        def push(payload: Any, event: Event) -> None:
            if payload.format != wanted:
                try:
                    pcm = convert(payload)
                except Exception as error:
                    # Contained on this edge: the node's other edges have their own use for the audio.
                    fail(edge.target, error, event)
                    return
                event = with_payload(event, _converted(payload, pcm, wanted.rate, wanted.channels))
            onward(event.payload, event)

        return push

    def _entering(self, scope: int, onward: Push) -> Push:
        enter = self._parts.enter

        def push(payload: Payload, event: Event) -> None:
            stamped = enter(event, scope)
            if stamped is not None:
                onward(stamped.payload, stamped)

        return push

    def _entry(self, node: str) -> Push:
        known = self._entries.get(node)
        if known is None:
            chain = self._chain(node)
            known = self._entries[node] = self._run_chain(chain) if len(chain) > 1 else self._step(node)
        return known

    def _step(self, node: str) -> Push:
        """Call one fused node and deliver whatever it answers."""
        fused, fail = self._parts.fused[node], self._parts.fail
        call, wants_event, context = fused.call, fused.wants_event, fused.context
        deliver, forward = self._deliver(node), self._forward(node)
        counters = self._core.counters.node(node)
        held = self._living(deliver, counters)  # for what a node has held, of an event before
        if self._outlives(node):
            deliver = held

        def step(payload: Payload, cause: Event) -> None:
            counters.received += 1
            if context is not None:
                context.latest = cause
            try:
                answer = call(payload, cause) if wants_event else call(payload)
                if answer is None or answer is _NOTHING:
                    return
                if isinstance(answer, Payload):
                    deliver(answer, cause)
                    return
                for out, origin, port in outputs(answer, cause):
                    if out is None:
                        forward(cause, port)
                    else:
                        (deliver if origin is cause else held)(out, origin, port)
            except Exception as error:
                fail(node, error, cause)

        return step

    def _outlives(self, node: str) -> bool:
        """Whether something may reach ``node`` whose epoch is over: what survives an interruption of its scope."""
        plan_node = self._plan.nodes[node]
        takes = plan_node.spec.consumes if plan_node.spec is not None else ()
        return plan_node.scope != 0 and any(p.__kind__.keep for p in takes)

    def _living(self, deliver: Deliver, counters: NodeCounters) -> Deliver:
        """``deliver`` for what may still be heard: what is made of a result that outlived its turn is of that turn."""
        live = self._core.epochs.live

        def living(payload: Payload, cause: Event, port: str = "") -> None:
            if live(cause) or payload.__kind__.keep:
                deliver(payload, cause, port)
            else:
                counters.stale += 1

        return living

    def _chain(self, start: str) -> list[str]:
        """The straight run of plain functions that begins at ``start``."""
        run = [start]
        while not self._outlives(run[-1]):
            onward = self._plain_successor(run[-1])
            if onward is None or onward in run or self._outlives(onward):
                return run
            run.append(onward)
        return run

    def _plain_successor(self, node: str, *, whole_chain: bool = True) -> str | None:
        """The one fused node that all output of ``node`` goes to, unseen and unchanged; None when there is more to
        it. ``whole_chain``: both must also be bare functions of one output, to be called in a loop."""
        plan_node = self._plan.nodes[node]
        spec = plan_node.spec
        edges = self._edges(node)
        if spec is None or len(edges) != 1 or self._parts.hooks.get(node):
            return None
        if any(self._watchers(event_name("processing", plan_node.source, p.__kind__.name)) for p in spec.produces):
            return None
        edge = edges[0]
        target, target_spec = self._parts.fused.get(edge.target), self._plan.nodes[edge.target].spec
        if edge.guard or edge.port or edge.queue or edge.resample or edge.enters or edge.target == node:
            return None
        if target is None or target_spec is None or target.wants_event or target.context or target_spec.forwards:
            return None
        if not whole_chain:
            return edge.target if not set(spec.produces) & set(MESSAGES) else None
        if self._parts.fused[node].context is not None:
            return None
        one = spec.single_output and len(spec.produces) == 1 and spec.produces[0] in edge.payloads
        bare = one and not self._parts.fused[node].wants_event and spec.produces[0] not in MESSAGES
        return edge.target if bare and target_spec.single_output else None

    def _run_chain(self, chain: list[str]) -> Push:
        fail, deliver = self._parts.fail, self._deliver(chain[-1])
        calls = tuple(self._parts.fused[n].call for n in chain)
        counters = [self._core.counters.node(n) for n in chain]
        # One count an event, by the node where it ended; the nodes' own counters are brought up to date from
        # these when somebody reads them.
        ended, failed, whole = [0] * len(chain), [0] * len(chain), len(chain) - 1

        def settle() -> None:
            reached = passed_on = 0
            for at in range(whole, -1, -1):
                reached += ended[at] + failed[at]
                counters[at].received += reached
                if at < whole:
                    counters[at].emitted += passed_on
                passed_on = reached
                ended[at] = failed[at] = 0

        def push(payload: Payload, cause: Event) -> None:
            at = 0
            item: Any = payload
            try:
                for call in calls:
                    item = call(item)
                    if item is None:
                        ended[at] += 1
                        return
                    at += 1
                ended[whole] += 1
                deliver(item, cause)
            except Exception as error:
                at = min(at, whole)
                failed[at] += 1
                fail(chain[at], error, cause)

        self._core.counters.on_read(settle)
        return push


def _converted(payload: Any, pcm: bytes, rate: int, channels: int) -> Payload:
    converted: Payload = msgspec.structs.replace(payload, pcm=pcm, rate=rate, channels=channels)
    return converted
