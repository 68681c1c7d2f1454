"""What one node makes ahead, on a guess of the events that it will be given, and how it gives that out when they come.

The node's connector is asked in a task beside its driver, so that the node counts as idle and nothing of the guess
can be interrupted, recorded or seen. When the driver takes an event that the guess foresaw, what was made ahead becomes
the answer to it, in the driver's own work: from there on it is the answer to a real event in every respect. Any other
event ends the guess first, since a connector is not called while it is being called.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import Usage
from echostack.registry import Form
from echostack.runtime.calls import DEFAULT_TIMEOUT, CallDriver
from echostack.runtime.guess import GuessedConversation, Held, Prepared, same
from echostack.runtime.outputs import outputs


class Judge(Protocol):
    """Who knows whether the guess of the turn is right."""

    @property
    def right(self) -> bool:
        """Whether the turn is over and has the guessed words."""

    def claimed(self, prepared: Prepared, event: Event) -> None:
        """What was made ahead is given out."""

    def discard(self, why: str) -> None:
        """The guess is of no use any more: everybody drops what was made for it. Nothing, when there is none."""

    def dropped(self, count: int) -> None:
        """Count answers that nobody will see."""

    def onward(self, node: str, payload: Payload, port: str, prepared: Prepared) -> None:
        """An answer was made ahead by ``node``: who is behind it may begin on it."""


class Ahead:
    """One driver's work on guesses: events foreseen, in order, each with what was answered to it so far."""

    def __init__(self, driver: CallDriver, judge: Judge) -> None:
        self._driver, self._judge = driver, judge
        self._foreseen: deque[Prepared] = deque()
        self._task: asyncio.Task[None] | None = None
        self._held = Held(driver.core.counters)
        self.claims = 0
        """How many events of the present guess were foreseen."""

    # -- making ------------------------------------------------------------------------------------------------

    def begin(self, payload: Payload, event: Event, view: GuessedConversation) -> None:
        """Foresee an event, and ask the connector about it as soon as it has answered the ones before."""
        self._foreseen.append(Prepared(payload, event, view, self._held))
        if self._task is None:
            self._task = self._driver.nursery.start(self._make(), f"{self._driver.id} on a guess")

    def begin_no_more(self) -> None:
        """What has not been begun by now is left to the real events."""
        self._foreseen = deque(p for p in self._foreseen if p.started)

    async def _make(self) -> None:
        try:
            while True:
                await self._held.room()
                prepared = next((p for p in self._foreseen if not p.started), None)
                if prepared is None:
                    return
                await self._ask(prepared)
                if prepared.error is not None:
                    # Told when the real event fails, if it does: here nobody has asked for anything yet.
                    self._driver.counters.failed("guess")
                    self.begin_no_more()
        finally:
            if self._task is asyncio.current_task():
                self._task = None

    async def _ask(self, prepared: Prepared) -> None:
        driver = self._driver
        node, target, context = driver.first_asked()
        spec, event = node.spec, prepared.event
        if spec is None:
            raise AssertionError(f"{node.id} has no connector")
        seconds, clock = node.policy.timeout or DEFAULT_TIMEOUT, driver.core.clock
        arguments = (prepared.payload, event) if spec.wants_event else (prepared.payload,)
        try:
            prepared.begin(node.id, target, context)
            if spec.form is Form.GENERATOR:
                await self._generate(prepared, target, arguments, seconds)
            else:
                if spec.form is Form.SYNC:
                    await driver.thread_free(node.id, seconds)
                async with clock.timeout(seconds):
                    if spec.form is Form.SYNC:
                        answer = await driver.in_thread(node.id, target, *arguments)
                    else:
                        answer = await target(*arguments)
                self._keep(prepared, answer)
        except Exception as error:
            prepared.end(error)
        else:
            prepared.end()

    async def _generate(
        self, prepared: Prepared, target: Callable[..., Any], arguments: tuple[Any, ...], seconds: float
    ) -> None:
        answers = target(*arguments)
        try:
            while True:
                async with self._driver.core.clock.timeout(seconds):
                    try:
                        answer = await anext(answers)
                    except StopAsyncIteration:
                        return
                self._keep(prepared, answer)
                await self._held.room()
        finally:
            if inspect.isasyncgen(answers):
                await answers.aclose()

    def _keep(self, prepared: Prepared, answer: Any) -> None:
        for payload, cause, port in outputs(answer, prepared.event):
            prepared.put((payload, cause, port))
            self._judge.onward(self._driver.id, prepared.payload if payload is None else payload, port, prepared)

    # -- giving out --------------------------------------------------------------------------------------------

    async def answered(self, event: Event) -> bool:
        """Answer ``event`` by what was made ahead for it, in the driver's work; False when it has yet to be answered.

        ConnectorFailure when the connector fails after some of its answers are out. Cancelled, it ends the guess.
        """
        prepared = self._claim(event)
        if prepared is None:
            return False
        driver, pressure, given = self._driver, self._driver.core.pressure, 0
        driver.answers_by(prepared.member)
        began = driver.core.clock.now()
        try:
            while True:
                while prepared.entries:
                    told = not isinstance(prepared.entries[0][0], Usage)  # what was counted is no answer
                    if told and not given:
                        sample = driver.core.counters.node(prepared.member).first_output_ms
                        sample.append((driver.core.clock.now() - began) * 1000)
                        driver.timing.first_output(prepared.member, event)
                    given += told
                    driver.answer(prepared.take(event), event)
                    if pressure.lanes:
                        await pressure.relieve()
                if prepared.over:
                    break
                await prepared.more()
        finally:
            driver.counters.stale += prepared.give_up()
            if not prepared.over:
                self._judge.dropped(self.drop())
        prepared.release()
        error = prepared.error
        if error is None:
            prepared.view.settle()
            driver.came_out(prepared.member, event, well=True)
            return True
        if not given:
            self._put_back(prepared)
            return False
        driver.came_out(prepared.member, event, well=False)
        raise ConnectorFailure(f"failed after its answer had begun: {error}", retryable=False) from error

    def _claim(self, event: Event) -> Prepared | None:
        """What was made ahead for ``event``; nothing is left of the guess here when it is for another."""
        if not self._judge.right:
            self._judge.discard(f"{self._driver.id} was needed")
        first = self._foreseen[0] if self._foreseen else None
        if first is None:
            return None
        usable = first.started and first.error is None and first.view.holds
        if not usable or not same(first.payload, event.payload):
            self._judge.dropped(self.drop())
            return None
        self._foreseen.popleft()
        first.claim(event)
        self.claims += 1
        self._judge.claimed(first, event)
        return first

    # -- giving up ---------------------------------------------------------------------------------------------

    def interrupted(self, why: str) -> None:
        """The node's work is given up: a guess that nobody has confirmed with it, else what is left here."""
        if not self._judge.right:
            self._judge.discard(why)
        self._judge.dropped(self.drop())

    def drop(self) -> int:
        """Give up what is being made and what was made, synchronously; how many answers that was."""
        foreseen, self._foreseen = self._foreseen, deque()
        task, self._task = self._task, None
        if task is not None and not task.done():
            self._driver.reap(task)
        dropped = sum(prepared.give_up() for prepared in foreseen)
        for prepared in reversed(foreseen):
            self._put_back(prepared)
        return dropped

    def _put_back(self, prepared: Prepared) -> None:
        try:
            prepared.put_back()
        except Exception as error:
            # A memory that cannot be put back is the connector's failure, and must not stop an interruption.
            self._driver.failures.report(prepared.member, error, prepared.event)
