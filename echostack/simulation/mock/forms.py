"""Gives simulations the form that the plan expects, and plays what a scenario says they answer.

A simulation answers events in time, at once, or is a stream by nature (``mock.model``); the runtime calls functions,
generators, streams. What a scenario gives outright leaves from here, so that a simulation need not know of it. Replies
are to what has words: a frame of audio is answered by nobody but the simulation that listens.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.registry import Form, Forward, Inbox, Out, Simulator
from echostack.runtime.make import closed, opened
from echostack.simulation.faults import caused, flat
from echostack.simulation.mock.generic import act
from echostack.simulation.mock.simulator import NodeSimulator, Replies
from echostack.simulation.scripts import Given, Placed
from echostack.simulation.wrapped import restore_to, snapshot_of, tell_interrupted

Answer = Payload | Out | Forward


class Called:
    """A simulation out of a connector's code, or of a simulation of its own, that is called once an event.

    timed: it takes no time by itself, so that the node's latency goes before its answer. threaded: its code is a plain
    function that may take long, and runs where blocking work belongs.
    """

    def __init__(
        self,
        target: Callable[..., Any],
        form: Form,
        simulator: Simulator,
        *,
        wants_event: bool = False,
        timed: bool = False,
        threaded: bool = False,
        asks_script: bool = False,
    ) -> None:
        self._target, self._form, self._simulator = target, form, simulator
        self._wants_event, self._timed, self._threaded = wants_event, timed, threaded
        self.asks_script = asks_script

    def at_once(self, event: Event) -> Sequence[Answer]:
        """What the code answers to ``event``."""
        return flat(self._call(event))

    async def answer(self, event: Event) -> AsyncIterator[Answer]:
        """The same, each output when it is made."""
        if self._timed:
            await self._simulator.clock.sleep(self._simulator.latency())
        if self._form is Form.GENERATOR:
            async with aclosing(self._call(event)) as answers:
                async for answer in answers:
                    for one in flat(answer):
                        yield one
            return
        if self._threaded:
            answer = await self._simulator.compute.run(self._call, event)
        else:
            answer = self._call(event)
        if inspect.isawaitable(answer):
            answer = await answer
        for one in flat(answer):
            yield one

    def _call(self, event: Event) -> Any:
        return self._target(event.payload, event) if self._wants_event else self._target(event.payload)


class _Target:
    """What all forms have in common: the life of the simulation, and the scenario's replies.

    acts: the node acts on the outside world, and the simulation leaves it to this to write that down.
    """

    def __init__(
        self, mock: Any, life: Any, simulator: NodeSimulator, replies: Replies | None, *, acts: bool = False
    ) -> None:
        self._mock, self._life, self._simulator, self._replies, self._acts = mock, life, simulator, replies, acts
        self._asks = bool(getattr(mock, "asks_script", False))

    async def open(self) -> None:
        await opened(self._life)

    async def close(self) -> None:
        await closed(self._life)

    def snapshot(self) -> Any:
        """What a guess must leave as it was: what is drawn, how far the replies are used, what the simulation keeps."""
        return self._simulator.snapshot(), snapshot_of(self._life)

    def restore(self, snapshot: Any) -> None:
        drawn, own = snapshot
        self._simulator.restore(drawn)
        restore_to(self._life, own)

    def _leaves_to_mock(self, given: Given | None) -> bool:
        """Whether the simulation gives what the scenario says: text as it gives text, or all of it when it asks."""
        return given is None or self._asks or (given.said and not isinstance(self._mock, Called))

    def _offered(self, event: Event, given: Given | None) -> None:
        if self._acts:
            act(event.payload, self._simulator)
        if self._leaves_to_mock(given):
            self._simulator.offer(event.payload, given)
        else:
            self._simulator.using(given)

    def _out(self, placed: Placed) -> Answer:
        return Out(placed.payload, port=placed.port) if placed.port else placed.payload


class AtOnce(_Target):
    """A synchronous connector: called in place, answers in the same step."""

    def __call__(self, payload: Payload, event: Event) -> Sequence[Answer]:
        if self._replies is None and not self._acts:
            answers: Sequence[Answer] = self._mock.at_once(event)
            return answers
        given = self._replies.take_now(event) if self._replies is not None and not payload.__kind__.audio else None
        self._offered(event, given)
        if given is not None and not self._leaves_to_mock(given):
            return [self._out(p) for p in given.in_kinds or given.outputs]
        placed = self._simulator.placed
        answers = [self._out(found) if (found := placed(a)) else a for a in self._mock.at_once(event)]
        self._simulator.told()
        return answers


@dataclass(frozen=True, slots=True)
class _Pause:
    """Between two outputs: so many seconds, as the scenario says."""

    seconds: float


class _InTime(_Target):
    """What takes its time."""

    async def answers(self, event: Event) -> AsyncGenerator[Answer, None]:
        """Everything that is answered to ``event``, each when it is due."""
        async with aclosing(self.steps(event)) as steps:
            async for step in steps:
                if isinstance(step, _Pause):
                    await self._simulator.clock.sleep(step.seconds)
                else:
                    yield step

    async def steps(self, event: Event) -> AsyncGenerator[Answer | _Pause, None]:
        """The same, with the scenario's pauses between outputs still to be made."""
        scripted = self._replies is not None and not event.payload.__kind__.audio
        given = self._replies.take(event) if scripted and self._replies is not None else None
        if inspect.isawaitable(given):
            given = await given
        self._offered(event, given)
        clock, placed = self._simulator.clock, self._simulator.placed
        if given is not None and not self._leaves_to_mock(given):
            await clock.sleep(self._simulator.latency())
            for one in given.in_kinds or given.outputs:
                if one.after:
                    yield _Pause(one.after)
                yield self._out(one)
            return
        async with aclosing(self._mock.answer(event)) as answers:
            async for answer in answers:
                found = placed(answer)
                if found is None:
                    yield answer
                else:
                    if found.after:
                        yield _Pause(found.after)
                    yield self._out(found)
        self._simulator.told()

    @property
    def _plain(self) -> bool:
        return self._replies is None and not self._acts


class Asynchronous(_InTime):
    """An async function: answers once, with everything. What a scenario has it give before a pause is sent ahead."""

    async def __call__(self, payload: Payload, event: Event) -> Sequence[Answer]:
        found: list[Answer] = []
        async with aclosing(self.steps(event)) as steps:
            async for step in steps:
                if not isinstance(step, _Pause):
                    found.append(step)
                    continue
                for out in (caused(answer, event) for answer in found if not isinstance(answer, Forward)):
                    self._simulator.emit(out.payload, cause=out.cause, port=out.port)
                found = [answer for answer in found if isinstance(answer, Forward)]
                await self._simulator.clock.sleep(step.seconds)
        return found


class Generating(_InTime):
    """An async generator: gives each output when it is made."""

    def __call__(self, payload: Payload, event: Event) -> AsyncIterator[Answer]:
        if self._plain:
            made: AsyncIterator[Answer] = self._mock.answer(event)
            return made
        return self.answers(event)


class Streaming(_InTime):
    """A stream: a simulation that is one by nature, or one that answers event after event.

    ``interrupted`` goes to the simulation: one that answers gives up the answer under way at that instant, if it can;
    what it still makes for a turn that is over the engine drops.
    """

    async def run(self, inbox: Inbox[Any]) -> AsyncIterator[Answer]:
        """Everything, to the end of ``inbox``."""
        if hasattr(self._mock, "run"):
            async with aclosing(self._mock.run(inbox)) as answers:
                async for answer in answers:
                    yield answer
            return
        async for event in inbox:
            async with aclosing(self.answers(event)) as answers:
                async for answer in answers:
                    if isinstance(answer, Out):
                        yield answer if answer.cause is not None else Out(answer.payload, event, answer.port)
                    else:
                        yield answer if isinstance(answer, Forward) else Out(answer, event)

    def interrupted(self) -> None:
        tell_interrupted(self._mock)
