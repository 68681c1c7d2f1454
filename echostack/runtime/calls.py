"""Drivers of connectors that are called once an event: async functions, async generators, slow sync functions.

One event at a time, in order, each in a task of its own that an interruption can cancel. The driver never waits
for a cancelled task: it goes to the reaper, and the next event starts at once. So a turn that follows an
interruption is not delayed by the cleanup of the one before it (aiostream's switchmap delays it by all of it).

A slow sync function is the exception: its thread cannot be stopped and goes on after an interruption or a timeout,
and a connector is never called while it is still being called. The next event waits for that thread.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.plan.model import PlanNode
from echostack.registry import Form
from echostack.runtime import streams
from echostack.runtime.context import NodeContext, idempotency_key
from echostack.runtime.core import Core
from echostack.runtime.driver import REAP_DEADLINE, Driver, released, settle
from echostack.runtime.failures import PATIENCE, in_patience, retrying
from echostack.runtime.outputs import says

DEFAULT_TIMEOUT = PATIENCE
"""Seconds for one answer (of a generator: for each) when the file names no ``timeout``."""


class MadeAhead(Protocol):
    """What was answered ahead on a guess of events that have yet to come (``runtime.ahead``)."""

    async def answered(self, event: Event) -> bool:
        """Answer ``event`` with what was made ahead for it; False when nothing was."""

    def interrupted(self, why: str) -> None:
        """Give up what is made ahead."""


class PumpDriver(Driver):
    """Feeds an island from a queue that a rule asked for: one aiostream operator, synchronous inside."""

    async def run(self) -> None:
        await streams.drive(streams.taken(self.inbox) | streams.fused.pipe(self._push, self.core.pressure))

    def _push(self, event: Event) -> None:
        if self.core.epochs.current(event) and self.handle.entry is not None:
            self.handle.entry(event.payload, event)
        else:
            self.counters.stale += 1


class CallDriver(Driver):
    """One cancellable task an event."""

    _task: asyncio.Task[None] | None = None
    _release: asyncio.Future[None] | None = None
    _begun = False
    tries = 0
    """Attempts made at the event in work."""
    doubtful = False
    """Whether the event in work is an effect of which a try failed and may yet have done it."""
    ahead: MadeAhead | None = None
    """What was made ahead on a guess of an event that has yet to come; None where nothing is guessed."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._threads: dict[str, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        return self._task is not None or len(self.inbox) > 0

    @property
    def acts(self) -> bool:
        """Whether an event worked on here is an effect on the outside world."""
        return acts(self.node)

    async def run(self) -> None:
        try:
            await self._take_all()
        finally:
            if self.ahead is not None:
                self.ahead.interrupted("the call ended")

    async def _take_all(self) -> None:
        try:
            async with streams.taken(self.inbox).stream() as events:
                async for event in events:
                    if not self.core.epochs.current(event):
                        self.counters.stale += 1
                        continue
                    self.counters.received += 1
                    await self._one(event)
        except asyncio.CancelledError:
            # The session is closing: work in progress is the nursery's to cancel and await, like every task.
            self.inbox.abandon()
            raise

    async def _one(self, event: Event) -> None:
        self._release = asyncio.get_running_loop().create_future()
        self._begun = self.doubtful = False
        self.tries = 0
        task = self._task = self.nursery.start(self._work(event), f"{self.id} on {event.name}")
        try:
            await released(task, self._release)
        finally:
            self._task, self._release = None, None

    def interrupt(self) -> None:
        """Cancel the work in progress, unless it is an effect that has begun, and let the driver go on."""
        if self.ahead is not None:
            self.ahead.interrupted("interrupted")
        task, release = self._task, self._release
        if task is None or task.done() or self._begun:
            return
        # Given up in this very step: not busy any more, and a second interruption does not cancel its cleanup.
        self._task = None
        self.reap(task)
        if release is not None:
            settle(release)

    async def _work(self, event: Event) -> None:
        key = idempotency_key(self.id, event) if self.acts else ""
        if key:
            # Same synchronous step as the driver's epoch check: nothing was awaited since the event was taken.
            if not self.core.epochs.live(event) and not event.payload.__kind__.keep:
                self.counters.stale += 1
                return
            if not self.effects.begin(key, self.id):
                for kept in self.effects.answers(key):
                    self.answer(kept, event)
                return
            self._begun = True
        try:
            if self.ahead is not None and await self.ahead.answered(event):
                return
            answers = await self.attempt_all(event)
            if key:
                self.effects.finish(key, answers)
        except Exception as error:
            if key:
                self.effects.fail(key, again=self.may_begin_again)
            self.failures.given_up(self.id, error, event, attempt=max(1, self.tries), doubtful=self.doubtful)

    @property
    def may_begin_again(self) -> bool:
        """Whether the effect that just failed may be begun again: it goes to the same far end with the same key."""
        return True

    async def attempt_all(self, event: Event) -> tuple[Any, ...]:
        """Work on ``event`` with retries. What was answered, for effects; raises the last error."""
        call = Attempt(self, self.node, self.target, self.context)
        try:
            return await call.with_retries(event)
        finally:
            self.doubtful = call.doubtful

    # -- guesses -----------------------------------------------------------------------------------------------

    def first_asked(self) -> tuple[PlanNode, Callable[..., Any], NodeContext]:
        """The connector that an event would be given to now."""
        return self.node, self.target, self.context

    def answers_by(self, node: str) -> None:
        """What is delivered from here on comes from ``node``."""

    def came_out(self, node: str, event: Event, *, well: bool) -> None:
        """``node`` has given the answers to ``event`` that it made ahead, or failed in the middle of them."""

    # -- slow sync connectors ------------------------------------------------------------------------------------

    async def thread_free(self, node: str, seconds: float) -> None:
        """Wait until the thread of an earlier event, given up meanwhile, has really ended; ``seconds`` at most.

        The wait is part of the event's time to first output. TimeoutError when the thread does not end.
        """
        before = self._threads.get(node)
        if before is None or before.done():
            return
        try:
            async with self.core.clock.timeout(seconds):
                await asyncio.wait({before})
        except TimeoutError:
            raise TimeoutError(f"its thread still works on an earlier event after {seconds:g} s") from None

    async def in_thread(self, node: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """``work(*arguments)`` in a thread. Cancelled, it returns at once; the thread goes on, owned and awaited."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        task = self._threads[node] = self.nursery.start(self._thread(answer, work, arguments), f"{node} in its thread")
        try:
            return await answer
        except asyncio.CancelledError:
            self.nursery.expect_end(task, REAP_DEADLINE, lambda name: self.failures.late(node, f"{name} goes on"))
            raise

    async def _thread(self, answer: asyncio.Future[Any], work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            result = await self.core.compute.run(work, *arguments)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        except Exception as error:
            if answer.done():
                raise  # nobody waits for it any more: the nursery records it
            answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)


def acts(node: PlanNode) -> bool:
    """Whether ``node`` has a connector that, with its settings, acts on the outside world."""
    return node.spec is not None and node.spec.acts(node.settings)


class Attempt:
    """Calls one connector for one event: timeout, retries, first-output time. Shared by plain nodes and choices."""

    def __init__(self, driver: CallDriver, node: PlanNode, target: Callable[..., Any], context: NodeContext) -> None:
        self._driver, self._node, self._target, self._context = driver, node, target, context
        self._core: Core = driver.core
        self.answered = 0
        self.doubtful = False
        """Whether a try of an effect failed in a way that leaves open whether it reached the far end."""
        self._kept: list[Any] = []

    async def with_retries(self, event: Event) -> tuple[Any, ...]:
        node, driver = self._node, self._driver

        def before_retry(error: BaseException, attempt: int) -> None:
            driver.failures.retried(node.id, error, event, attempt)

        if node.policy.attempts <= 1:
            return await self._once(event)
        async for attempt in retrying(node.policy, self._core.clock, self._context.random, before_retry):
            with attempt:
                try:
                    if attempt.retry_state.attempt_number > 1:
                        self._still_wanted(event)
                    return await self._once(event)
                except Exception as error:
                    if self.answered:
                        # What was said cannot be unsaid: a second try would say it twice.
                        raise ConnectorFailure(
                            f"failed after its answer had begun: {error}", retryable=False
                        ) from error
                    patient = in_patience(error, node.policy)
                    if patient is error:
                        raise
                    raise patient from error
        raise AssertionError("a retry loop ends by return or raise")

    def _still_wanted(self, event: Event) -> None:
        """Raise when an effect would be tried again for a turn that is over: what failed has not been done, and what is
        in doubt is not done for nobody. An interruption does not cancel an effect, so it is asked here."""
        if acts(self._node) and not self._core.epochs.current(event):
            raise ConnectorFailure("its turn was over before it could be tried again", retryable=False)

    async def _once(self, event: Event) -> tuple[Any, ...]:
        try:
            return await self.once(event)
        except Exception as error:
            # Only these say that nothing was done: refused, or no connection. A timeout says nothing at all.
            if acts(self._node) and not isinstance(error, ConnectorFailure | ConnectionError):
                self.doubtful = True
            raise

    async def once(self, event: Event) -> tuple[Any, ...]:
        """One try; outputs are delivered as they come."""
        clock, spec = self._core.clock, self._node.spec
        if spec is None:
            raise AssertionError(f"{self._node.id} has no connector")
        self._context.begin(event)
        self._driver.tries += 1
        seconds = self._node.policy.timeout or DEFAULT_TIMEOUT
        started = clock.now()
        arguments = (event.payload, event) if spec.wants_event else (event.payload,)
        if spec.form is Form.GENERATOR:
            await self._generate(self._target(*arguments), event, seconds, started)
        else:
            if spec.form is Form.SYNC:
                await self._driver.thread_free(self._node.id, seconds)
            async with clock.timeout(seconds):
                if spec.form is Form.SYNC:
                    answer = await self._driver.in_thread(self._node.id, self._target, *arguments)
                else:
                    answer = await self._target(*arguments)
            self._take(answer, event, started)
            await self._core.pressure.relieve()
        return tuple(self._kept)

    async def _generate(self, answers: AsyncIterator[Any], event: Event, seconds: float, started: float) -> None:
        clock = self._core.clock
        try:
            while True:
                async with clock.timeout(seconds):
                    try:
                        answer = await anext(answers)
                    except StopAsyncIteration:
                        return
                self._take(answer, event, started)
                if self._core.pressure.lanes:
                    await self._core.pressure.relieve()
        finally:
            if inspect.isasyncgen(answers):
                await answers.aclose()

    def _take(self, answer: Any, event: Event, started: float) -> None:
        if not says(answer):
            self._driver.answer(answer, event)
            return
        if not self.answered:
            counters = self._core.counters.node(self._node.id)
            counters.first_output_ms.append((self._core.clock.now() - started) * 1000)
            self._driver.timing.first_output(self._node.id, event)
        self.answered += 1
        if self._driver.acts:
            self._kept.append(answer)
        self._driver.answer(answer, event)
