"""Drivers of connectors that run as long as the call: streams (a recogniser's socket), sources and sinks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Any

from echostack.core.errors import ConnectorFailure, UsageError
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.plan.model import PlanNode
from echostack.registry import Out
from echostack.runtime import streams
from echostack.runtime.context import NodeContext, StreamInbox
from echostack.runtime.core import Core, restamp
from echostack.runtime.driver import Driver, Shared, released, settle
from echostack.runtime.failures import in_patience, retrying
from echostack.runtime.outputs import says
from echostack.runtime.playout import Playout
from echostack.runtime.queues import Inbox
from echostack.runtime.routes import Handle

HELD = 1024
"""Events that a stream's driver keeps until an answer comes: about 20 s of 20 ms frames, 10 s of 10 ms frames."""


class StreamDriver(Driver):
    """Runs ``run(inbox)`` for the whole session; restarts it after an interruption or a retryable failure.

    An output without a cause belongs to the event last taken. A connector with ``interrupted()`` is told of an
    interruption and goes on; any other is cancelled and started anew for the next event.

    A run that fails, or that ends while its input goes on, is started again up to ``attempts`` times in a row; a run
    that has answered begins the count anew. The events that it had taken since its last answer and that may not be
    lost become dead letters: they are not given to the next run, which one of them might break again.
    """

    def __init__(
        self,
        core: Core,
        node: PlanNode,
        inbox: Inbox,
        handle: Handle,
        context: NodeContext,
        target: Any,
        shared: Shared,
    ) -> None:
        super().__init__(core, node, inbox, handle, context, target, shared)
        self.view: StreamInbox | None = None
        self._last = self._asked = core.root
        self._answered_since = True
        self._task: asyncio.Task[None] | None = None
        self._release: asyncio.Future[None] | None = None
        self._restart = False
        self._taken_at: float | None = None
        self._in_hand: list[Event] = []
        self._fruitful = False
        self._leave_by: float | None = None

    @property
    def busy(self) -> bool:
        return len(self.inbox) > 0 or not self._answered_since

    @property
    def resting(self) -> bool:
        """A stream need not answer what it takes; one that waits for more has nothing else to do that shows."""
        return self.inbox.awaited

    def _taken(self, event: Event) -> None:
        self._last = event
        self.counters.received += 1
        if not event.payload.__kind__.lossy:
            if self._answered_since:
                self._asked = event
            self._answered_since = False
            self._taken_at = self.core.clock.now()
            self._hold(event)

    def _hold(self, event: Event) -> None:
        """Keep an event that may not be lost until an answer comes, the last ``HELD`` of them."""
        spec = self.node.spec
        if spec is not None and not spec.produces:
            # It never answers: that it asks for the next event is all that says it is through with this one.
            self._in_hand.clear()
        self._in_hand.append(event)
        if len(self._in_hand) > HELD:
            self._in_hand.pop(0)
            self.counters.failed("unheld")

    async def run(self) -> None:
        try:
            while True:
                self._restart = False
                self._release = asyncio.get_running_loop().create_future()
                task = self._task = self.nursery.start(self._attempts(), f"{self.id} stream")
                await released(task, self._release)
                if not self._restart:
                    break
        finally:
            if self._task is not None and not self._task.done():
                self._task.cancel()
            self.inbox.abandon()

    async def _attempts(self) -> None:
        def before_retry(error: BaseException, attempt: int) -> None:
            self.failures.retried(self.id, error, self._last, attempt)
            self._lose_in_hand(error)

        policy = self.node.policy
        try:
            async for attempt in retrying(policy, self.core.clock, self.context.random, before_retry):
                with attempt:
                    self._fruitful = False
                    try:
                        await self.stream(self.target, self.context)
                    except Exception as error:
                        if self.superseded:
                            self.failures.report(self.id, error, self._last)
                            return
                        if self._fruitful:
                            attempt.retry_state.attempt_number = 1
                        patient = in_patience(error, policy)
                        if patient is error:
                            raise
                        raise patient from error
        except Exception as error:
            self.failures.report(self.id, error, self._last)
            self._lose_in_hand(error)

    @property
    def superseded(self) -> bool:
        """Whether the running task was given up by an interruption: nothing more is its to start or to keep."""
        return self._task is not asyncio.current_task()

    def _lose_in_hand(self, error: BaseException) -> None:
        lost, self._in_hand = self._in_hand, []
        self._answered_since = True
        for event in lost:
            self.failures.dead_letter(self.id, error, event)

    async def stream(self, target: Any, context: NodeContext, replay: Sequence[Event] = ()) -> None:
        """One run of the connector to its end; outputs are delivered as they come.

        What it makes belongs to the event that *this run* took last: what a cancelled run still says in its cleanup
        is never taken for an answer to the event that its successor works on.
        """
        scope = self.node.scope
        work = context.begin(restamp(self.core.root, scope, self.core.epochs.numbers[scope]))

        def taken(event: Event) -> None:
            work.event = context.latest = event
            self._taken(event)

        view = self.view = StreamInbox(self.core, self.inbox, taken)
        view.replay(list(replay))
        # Closed here, in this task: a generator that is cancelled at its yield would be left to the event loop.
        async with streams.reading(target.run(view)) as answers:
            self._leave_by = None
            reading = aiter(answers)
            while True:
                try:
                    # Without a deadline until the run is told to leave: this is on the path of every piece of audio.
                    answer = await (anext(reading) if self._leave_by is None else self._last_of(reading))
                except StopAsyncIteration:
                    break
                if self.view is view:
                    self._answering(answer)
                if answer is not None:
                    self.answer(answer, work.event)
                if self.core.pressure.lanes:
                    await self.core.pressure.relieve()
        if self.view is view:
            if not self.inbox.closed and self._leave_by is None:
                raise ConnectorFailure(f"{context.node} ended before its input did")
            self._answered_since = True

    def leave(self, seconds: float) -> None:
        """Hand the run in use no more: it sees the end of its input and has ``seconds`` for its last answers."""
        if self.view is not None:
            self.view.retire()
            self._leave_by = self.core.clock.now() + seconds

    async def _last_of(self, answers: AsyncIterator[Any]) -> Any:
        clock = self.core.clock
        try:
            async with clock.timeout(max(0.0, (self._leave_by or 0.0) - clock.now())):
                return await anext(answers)
        except TimeoutError:
            raise StopAsyncIteration from None

    def _answering(self, answer: Any) -> None:
        """Take note that the run that is in use answers."""
        if not says(answer):
            return
        self._fruitful = True
        self._in_hand.clear()
        if not self._answered_since and self._taken_at is not None:
            self.counters.first_output_ms.append((self.core.clock.now() - self._taken_at) * 1000)
            self.timing.first_output(self.context.node, self._asked)
        self._answered_since = True

    def interrupt(self) -> None:
        if self.node.scope == 0:
            return
        self._answered_since = True
        self._in_hand.clear()
        if self.node.spec is not None and self.node.spec.keeps_running:
            self.target.interrupted()
            return
        task, release = self._task, self._release
        if task is not None and not task.done():
            self._restart = True
            self._task = None
            if self.view is not None:
                self.view.retire()
                self.view = None
            self.reap(task)
            if release is not None:
                settle(release)


class SourceDriver(Driver):
    """An ingress: pushes what the transport yields through its island, one aiostream operator.

    ``feed`` replaces the transport by the embedding program's own async iterable of payloads (or of raw PCM
    bytes, in the ingress's declared format).
    """

    feed: AsyncIterable[Any] | None = None

    async def run(self) -> None:
        items = self.feed if self.feed is not None else self.target.run()
        try:
            await streams.drive(streams.fused(items, self._pusher(), self.core.pressure))
        except Exception as error:
            self.failures.report(self.id, error)

    def _pusher(self) -> Callable[[Any], None]:
        # A closure, because this runs once a frame of every call: what it needs is looked up once.
        handle, root = self.handle, self.core.root

        def push(item: Any) -> None:
            if isinstance(item, Payload):
                handle.deliver(item, root)
            elif isinstance(item, Out):
                handle.deliver(item.payload, item.cause or root, item.port)
            elif item is not None:
                raise ConnectorFailure(f"{self.id} yields payloads, not {type(item).__name__}", retryable=False)

        return push


class SinkDriver(Driver):
    """An audio egress: hands speech to the playout, which paces it; takes no more while enough is buffered."""

    playout: Playout

    @property
    def busy(self) -> bool:
        return len(self.inbox) > 0 or self.playout.speaking

    async def run(self) -> None:
        pacer = self.nursery.start(self._pace(), f"{self.id} pacer")
        stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pacer.add_done_callback(lambda _: settle(stop))
        try:
            while not stop.done():
                await self.playout.wait_room()
                event = await self.inbox.take()
                if event is None:
                    await self.playout.drained()
                    return
                if not event.payload.__kind__.audio:
                    self.take(event)
                elif self.core.epochs.current(event):
                    self.counters.received += 1
                    self._push(event)
                else:
                    self.counters.stale += 1
        except Exception as error:
            self.failures.report(self.id, error)
        finally:
            self.playout.close()
            self.inbox.abandon()

    def take(self, event: Event) -> None:
        """Hand the far end something that is no audio, at once, unless its turn is over."""
        if not self.core.epochs.current(event):
            self.counters.stale += 1
            return
        try:
            self.target.take(event.payload)
        except Exception as error:
            self.failures.given_up(self.id, error, event)
            return
        self.counters.received += 1
        self.core.engine_emit("egress", self.node.source, event.payload, event, self.id)

    async def _pace(self) -> None:
        try:
            await self.playout.run()
        except Exception as error:
            self.failures.report(self.id, error)

    def _push(self, event: Event) -> None:
        try:
            self.playout.push(event)
        except UsageError as error:
            # One piece that cannot be played silences nothing but itself.
            self.failures.given_up(self.id, error, event)
