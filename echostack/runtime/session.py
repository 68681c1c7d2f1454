"""One call: a plan, running. Everything a session starts is owned here and gone when it has closed."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from echostack.core.clock import Clock, Compute, LoopClock, ThreadCompute
from echostack.core.errors import EchoStackError, SessionClosed, UsageError
from echostack.core.events import Event, EventPattern, event_name
from echostack.core.kinds import Overflow, Payload
from echostack.core.payloads import CallEnded, CallStarted
from echostack.plan.model import Plan
from echostack.registry import AudioSink, Turn
from echostack.runtime.assembly import Assembly, Overrides
from echostack.runtime.core import Core
from echostack.runtime.failures import describe
from echostack.runtime.make import closed, opened, to_close, to_open
from echostack.runtime.probe import CallView, Probe
from echostack.runtime.report import stats_of
from echostack.runtime.stats import Stats
from echostack.runtime.subscription import Subscription
from echostack.runtime.tasks import Nursery, to_its_end, within

OPEN_TIMEOUT = 15.0
CLOSE_TIMEOUT = 5.0
DRAIN_TIMEOUT = 300.0
HANG_UP_TIMEOUT = 60.0
"""Seconds that what a hang-up does not abandon (an effect that has begun) may go on, if the drain allows so many."""
_IDLE_POLL = 0.02
_SLICE = 512


class Session:
    """A call. ``async with pipeline.session(...) as call:`` opens every connector, runs, and closes everything.

    ingress: transport name → an async iterable of payloads (or PCM bytes) that stands in for the transport.
    egress: transport name → an AudioSink that stands in for it; a transport whose ingress is replaced and whose
    egress is not becomes one that is only read as events (``egress.<transport>.audio_chunk``).
    clock, compute: the running loop's and a pool of threads, unless a simulator gives others. seed: of all
    randomness. probes: who watches the whole call from inside (see ``Probe``). Deadlines in seconds:
    ``open_timeout`` for connecting, ``drain_timeout`` from the end of the sources to the end of the call,
    ``close_timeout`` for what must stop at once.

    Leaving the block ends the call within ``close_timeout``, whatever connectors do; who was late is in
    ``stats().late``. Cancelling the program inside the block does the same.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        session: str | None = None,
        ingress: Mapping[str, AsyncIterable[Any]] | None = None,
        egress: Mapping[str, AudioSink] | None = None,
        clock: Clock | None = None,
        compute: Compute | None = None,
        seed: int = 0,
        probes: Sequence[Probe] = (),
        open_timeout: float = OPEN_TIMEOUT,
        drain_timeout: float = DRAIN_TIMEOUT,
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        self.plan = plan
        self.id = session or uuid.uuid4().hex[:12]
        self._overrides = Overrides(dict(ingress or {}), dict(egress or {}))
        self._overrides.check(plan)
        self._clock, self._compute, self._seed = clock, compute, seed
        self._probes = tuple(probes)
        self._probing: tuple[Probe, ...] = ()
        self._timeouts = open_timeout, drain_timeout, close_timeout
        self._patience = drain_timeout
        self._draining: asyncio.Timeout | None = None
        self._subscriptions: list[Subscription] = []
        self._late: list[str] = []
        self._reason = ""
        self._husks: list[deque[Event]] = []
        self._state = "new"

    # -- life --------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Session:
        if self._state != "new":
            raise UsageError("a session is entered once; make another with pipeline.session()")
        self._state = "opening"
        clock = self._clock or LoopClock()
        compute = self._compute or ThreadCompute()
        core = Core(self.id, clock, compute, len(self.plan.scopes), self._seed)
        self._core = core
        self._nursery = Nursery(clock, self._task_failed)
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop_sources = asyncio.Event()
        try:
            self._parts = Assembly(core, self.plan, self._overrides, self._nursery, self._ask_end, self._release)
            for subscription in self._subscriptions:
                subscription.attach(self._parts.wiring, core.pressure)
            self._probe()
            await self._open()
        except BaseException:
            self._state = "closed"
            for subscription in self._subscriptions:
                subscription.end()
            await to_its_end(self._close_targets())
            self._close_compute()
            self._end_probes()
            raise
        self._state = "open"
        if isinstance(clock, LoopClock) and self._clock is None:
            clock.restart()  # loading a model is not part of the call: its time counts from here
        core.engine_emit("control", "call", CallStarted(self.plan.name))
        self._supervisor = self._nursery.start(self._supervise(), "call")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close("left" if kind is None else "failed")

    async def close(self, reason: str = "closed") -> None:
        """End the call now: cancel, await for ``close_timeout``, close every connector. Idempotent."""
        if self._state == "closing":
            await asyncio.shield(self._gone)
        if self._state != "open":
            return
        self._state = "closing"
        self._reason = self._reason or reason
        # A cancelled program must still find its call closed: the cleanup is bounded, so it may be shielded.
        await to_its_end(self._close())

    async def _close(self) -> None:
        self._parts.dialogue.close()
        deadline = self._timeouts[2]
        late = await self._nursery.close(deadline)
        self._late += late
        for name in late:
            self._parts.failures.late(name, f"did not stop within {deadline:g} s")
        await self._close_targets()
        self._announce_end()
        self._close_compute()
        self._end_probes()
        self._state = "closed"
        self._gone.set_result(None)

    def _close_compute(self) -> None:
        """Close the threads that the session made; those it was given are their giver's, for the next call."""
        if self._compute is not None:
            return
        running = getattr(self._core.compute, "running", 0)
        if running:
            self._late.append(f"{running} piece{'s' if running > 1 else ''} of work in a thread")
        self._core.compute.close()

    async def finished(self) -> None:
        """Wait until the call has ended by itself: its sources are over, all is answered, the last word played.

        Ends by ``drain_timeout`` after the sources at the latest. A call without sources ends by ``hang_up``.
        """
        await asyncio.shield(self._ended)

    def hang_up(self, reason: str = "hung up") -> None:
        """The caller is gone: nothing more comes in, what is in progress is abandoned, the call ends. Idempotent."""
        self._entered()
        if self._state != "open" or self._ended.done():
            return
        self._reason = self._reason or reason
        self._parts.abandon()
        self._patience = min(self._timeouts[1], HANG_UP_TIMEOUT)
        if self._draining is not None:
            until = asyncio.get_running_loop().time() + self._patience
            self._draining.reschedule(min(until, self._draining.when() or until))
        self._stop_sources.set()

    def _ask_end(self, reason: str) -> None:
        """A connector asks for the end: what is being said is finished first."""
        self._reason = self._reason or reason
        self._stop_sources.set()

    # -- what the embedding program does -----------------------------------------------------------------------

    def events(
        self, *patterns: str, queue: int = 4096, overflow: Overflow | str = Overflow.DROP_OLDEST
    ) -> Subscription:
        """The events that match any of ``patterns``, from now to the end of the call; every event for none.

        Asked for before the call is entered, it has the very first ones too (``control.call.call_started``).
        UsageError for something that is not a pattern.
        """
        try:
            parsed = [EventPattern.parse(p) for p in patterns or ("*.*.*", "*.*.*.*")]
        except ValueError as error:
            raise UsageError(str(error)) from None
        found = Subscription(parsed, queue, Overflow(overflow))
        self._subscriptions.append(found)
        found.on_close = self._forget
        if self._state == "open":
            found.attach(self._parts.wiring, self._core.pressure)
        elif self._state in ("closing", "closed"):
            found.end()
        return found

    def _forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    async def emit(self, payload: Payload, *, to: str = "", source: str = "") -> None:
        """Put an event into the running graph, and wait while a queue that blocks is full.

        to: straight into that node. source: as if that node (or a node of that vendor) had made it, so that it
        goes wherever that node's output goes. UsageError for a node that does not exist or does not take it,
        SessionClosed after the end.
        """
        self._alive()
        if bool(to) == bool(source):
            raise UsageError("emit takes either to= (a node that gets it) or source= (a node that seems to send it)")
        if to:
            self._parts.put_to(to, self._made(payload))
        else:
            self._parts.put_from(source, payload)
        await self._core.pressure.relieve()

    def barge_in(self) -> int:
        """Interrupt whatever is being thought or said, at once. How many queued events that dropped.

        Synchronous: when it returns nothing of the old turn can be heard, stored or done any more.
        """
        self._alive()
        return sum(b.commit("api") for b in self._parts.dialogue.barge_ins)

    def stats(self) -> Stats:
        """The session's figures now; also after its end."""
        self._entered()
        return stats_of(self._core, self._parts, self._subscriptions, tuple(self._late))

    @property
    def conversation(self) -> tuple[Turn, ...]:
        """Who said what so far. Of the agent, only what was heard."""
        self._entered()
        return self._parts.dialogue.conversation.turns

    @property
    def now(self) -> float:
        """Seconds since the call opened."""
        self._entered()
        return self._core.clock.now()

    # -- inside ------------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        """Show the call to its probes, before anything has happened in it."""
        if not self._probes:
            return
        core, parts = self._core, self._parts
        view = CallView(
            self.id, self._seed, self.plan, core.clock, parts.all_lanes(), core.epochs.snapshot, self.stats
        )  # fmt: skip
        parts.watch(self._probes)
        self._probing = self._probes
        for probe in self._probes:
            probe.begin(view)

    def _end_probes(self) -> None:
        probing, self._probing = self._probing, ()
        for probe in probing:
            probe.end()

    def _entered(self) -> None:
        if self._state == "new":
            raise UsageError("the call has not begun: enter it with `async with session:`")

    def _alive(self) -> None:
        self._entered()
        if self._state != "open":
            raise SessionClosed(f"the call is {self._state}")
        if self._ended.done():
            raise SessionClosed("the call has ended")

    def _made(self, payload: Payload) -> Event:
        name = event_name("processing", "api", payload.__kind__.name)
        return Event(name, payload, self.id, self._core.next_seq(), self._core.clock.now())

    async def _open(self) -> None:
        """Open every connector, in the order of the graph, within its node's own time and the call's.

        A member of a ``??`` that cannot open rests like one that has failed, as long as another one can.
        """
        clock, deadline = self._core.clock, self._core.clock.now() + self._timeouts[0]
        failed: dict[str, EchoStackError] = {}
        for node, target in self._parts.targets.items():
            if not to_open(target):
                continue
            seconds = self.plan.nodes[node].policy.timeout
            left = deadline - clock.now()
            patience = left if seconds is None else min(left, seconds)
            late, failure = await within(clock, opened(target), patience)
            if not late and failure is None:
                continue
            if late and seconds is not None and seconds < left:
                error = EchoStackError(f"{node} did not open within {seconds:g} s")
            elif late:
                error = EchoStackError(f"the call could not open within {self._timeouts[0]:g} s: {node} was opening")
            else:
                error = _told(node, failure)
            if not self.plan.nodes[node].choice:
                raise error
            failed[node] = error
        for choice in (n for n in self.plan.nodes.values() if n.members):
            if all(m in failed for m in choice.members):
                raise failed[choice.members[0]]
            for member in (m for m in choice.members if m in failed):
                self._parts.member_failed(choice.id, member, failed[member])

    async def _close_targets(self) -> None:
        """Close every connector at once, under one deadline."""
        parts = getattr(self, "_parts", None)
        if parts is None:
            return
        doorway = Nursery(self._core.clock, lambda name, error: parts.failures.report(name, error))
        for node, target in reversed(list(parts.targets.items())):
            if to_close(target):
                doorway.start(closed(target), node)
        for node in await doorway.finish(self._timeouts[2]):
            self._late.append(f"{node} (closing)")
            parts.failures.late(node, f"did not close within {self._timeouts[2]:g} s")

    async def _supervise(self) -> None:
        """Run the drivers; when the sources have ended, or are told to, let the end run through the graph."""
        parts, clock, nursery = self._parts, self._core.clock, self._nursery
        running = {n: nursery.start(self._drive(n), n) for n in parts.drivers}
        sources = [t for n, t in running.items() if parts.is_source(n)]
        stop = nursery.start(_wait(self._stop_sources), "the request to end")
        waiting = [stop, *sources]
        while not stop.done() and (not sources or any(not s.done() for s in sources)):
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            waiting = [stop, *(s for s in sources if not s.done())]
        stop.cancel()
        for source in sources:
            source.cancel()
        if any(getattr(parts.targets.get(n), "hung_up", False) for n in running if parts.is_source(n)):
            self.hang_up("the caller is gone")  # nobody hears the rest, and a far end that is gone plays none of it
        self._reason = self._reason or "the sources ended"
        parts.dialogue.caller_left()
        try:
            async with clock.timeout(self._patience) as self._draining:
                for name in parts.drivers:
                    if parts.is_source(name):
                        parts.ending.ended(name)
                poll = _IDLE_POLL if parts.ending.must_ask(parts.is_source) else None
                while any(not t.done() for t in running.values()):
                    if poll is not None:
                        parts.ending.close_idle(parts.is_source)
                    pending = [t for t in running.values() if not t.done()]
                    if pending:
                        await asyncio.wait(pending, timeout=poll, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            for name, task in running.items():
                if not task.done():
                    self._late.append(name)
                    parts.failures.late(name, f"was still busy {self._patience:g} s after the call's end")
        self._announce_end()

    def _announce_end(self) -> None:
        """Tell everyone, once, that the call is over; what was queued for a subscription can still be read."""
        if not self._ended.done():
            self._core.engine_emit("control", "call", CallEnded(self._reason))
            for subscription in self._subscriptions:
                subscription.end()
            self._ended.set_result(None)

    async def _drive(self, name: str) -> None:
        try:
            await self._parts.drivers[name].run()
        finally:
            self._parts.dialogue.ended(name)
            self._parts.ending.ended(name)

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._parts.failures.report(name, error)

    def _release(self, husks: list[deque[Event]]) -> None:
        """Free what an interruption dropped a slice at a time, so that freeing it delays nothing.

        By a callback: to start a task would be a third of what an interruption costs.
        """
        if not self._husks and not self._nursery.closing:
            asyncio.get_running_loop().call_soon(self._free)
        self._husks += husks

    def _free(self) -> None:
        husk = self._husks[-1] if self._husks else deque()
        for _ in range(min(_SLICE, len(husk))):
            husk.popleft()
        if self._husks and not husk:
            self._husks.pop()
        if self._husks and not self._nursery.closing:
            asyncio.get_running_loop().call_soon(self._free)
        elif self._nursery.closing:
            self._husks.clear()


def _told(node: str, error: BaseException | None) -> EchoStackError:
    """What a connector's ``open`` raised, as one clear error; our own are clear already."""
    if isinstance(error, EchoStackError):
        return error
    why = "" if error is None else (isinstance(error, OSError) and str(error)) or describe(error)
    told = EchoStackError(f"{node} cannot open: {why}")
    told.__cause__ = error
    return told


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
