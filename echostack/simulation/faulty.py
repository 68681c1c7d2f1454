"""What goes wrong at a connector: plays a scenario's faults around its code, simulated or real.

The engine sees what it would see: a ConnectorFailure, an answer that does not come, outputs that are lost or doubled.
So retries, choices, breakers and deadlines are tried as they are.

A node that is called once an event: ``error`` is before its code is called, ``disconnect`` after what the code did and,
for a generator, after its first output; of an effect the answer alone is lost, which is a TimeoutError as connectors
raise it then. ``endless`` never comes to its end, ``slow`` comes later. A stream: ``error`` and ``disconnect`` break it
at their instant or with their event; ``endless`` has it take and give nothing more from then on, or, without an
instant, not end when its input does; the others are about its outputs. ``reorder`` of a single output holds it for the
next.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from echostack.connectors.alongside import Alongside
from echostack.core.audio import AudioFormat
from echostack.core.clock import Clock, Compute
from echostack.core.errors import ConnectorFailure, UsageError
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.language.scenario import Fault, FaultKind
from echostack.plan.model import PlanNode
from echostack.registry import AudioSink, ConnectorSpec, Context, Conversation, Form, Inbox, Out
from echostack.runtime.make import closed, opened
from echostack.simulation.faults import BREAKS, Answer, Played, Shaper, caused, flat
from echostack.simulation.world import World
from echostack.simulation.wrapped import restore_to, snapshot_of, tell_interrupted

S = TypeVar("S")

_WAITING = 256  # outputs that a slow stream holds before it is not read any further
_CALLED = (Form.SYNC, Form.ASYNC, Form.GENERATOR)


def check_faults(node: PlanNode, faults: Sequence[Fault]) -> None:
    """UsageError for a fault that cannot happen at ``node``."""
    form = node.spec.form if node.spec is not None else Form.SYNC
    for fault in faults:
        if form is Form.SINK and fault.kind not in (*BREAKS, FaultKind.OPEN):
            raise UsageError(
                f"{fault.span}: {node.id} is an egress, which can fail to open or break (open, error, disconnect), "
                f"and {fault.kind} is none of that"
            )
        if node.fused and fault.kind in (FaultKind.SLOW, FaultKind.ENDLESS):
            raise UsageError(
                f"{fault.span}: {node.id} answers in the step in which it is called, so it cannot be {fault.kind}"
            )


def with_faults(node: PlanNode, faults: Sequence[Fault], world: World) -> ConnectorSpec:
    """The spec of ``node`` with ``faults`` played around its code, each noted in ``world.faults`` when it is."""
    spec = node.spec
    assert spec is not None
    # A plain function that has a task may take its time, which it could not in its own form.
    form = Form.ASYNC if spec.form is Form.SYNC and not node.fused else spec.form
    acts = spec.acts(node.settings)

    def make(settings: Any, context: Context) -> Any:
        played = Played(node.id, faults, context, world)
        view = _FaultyContext(context, played, counts=form is Form.SOURCE)
        given: dict[str, Any] = {}
        if spec.wants_settings:
            given[spec.wants_settings] = settings
        if spec.wants_context:
            given[spec.wants_context] = view
        target: Any = spec.make(**given) if spec.is_class else functools.partial(spec.make, **given)
        if form is Form.SINK:
            return _FaultySink(target, played, context.clock)
        if form in (Form.STREAM, Form.SOURCE):
            return _FaultyStream(target, played, context.clock)
        return _SHAPE[form](target, spec, played, context, acts)

    return dataclasses.replace(
        spec,
        make=make,
        form=form,
        is_class=True,
        wants_settings="settings",
        wants_context="context",
        wants_event="event" if form in _CALLED else "",
        single_output=False,
    )


class _Faulty:
    """Something around a connector's code; what faults are not about goes to it as it is."""

    def __init__(self, target: Any, played: Played) -> None:
        self._target, self._played = target, played

    async def open(self) -> None:
        fault = self._played.due(FaultKind.OPEN)
        if fault is not None:
            raise self._played.failure(fault)
        await opened(self._target)

    async def close(self) -> None:
        for timer in self._played.timers:
            timer.cancel()
        await closed(self._target)

    def interrupted(self) -> None:
        tell_interrupted(self._target)

    def snapshot(self) -> Any:
        """What the code keeps, for a guess; faults that were played stay played."""
        return snapshot_of(self._target)

    def restore(self, snapshot: Any) -> None:
        restore_to(self._target, snapshot)


class _FaultyCall(_Faulty):
    """What is called once an event."""

    def __init__(self, target: Any, spec: ConnectorSpec, played: Played, context: Context, acts: bool) -> None:
        super().__init__(target, played)
        self._spec, self._clock, self._compute, self._acts = spec, context.clock, context.compute, acts

    def _begin(self, payload: Payload, event: Event) -> tuple[Any, ...]:
        """Count the event, fail if it is to fail, and give the arguments for the code."""
        self._played.count(event)
        fault = self._played.due(FaultKind.ERROR)
        if fault is not None:
            raise self._played.failure(fault)
        return (payload, event) if self._spec.wants_event else (payload,)

    def _disconnected(self, fault: Fault) -> Exception:
        failure = self._played.failure(fault)
        # Whether an effect was done is open when its answer is lost, and that is what a timeout says.
        return TimeoutError(str(failure)) if self._acts else failure

    def _shaped(self, answer: Any, event: Event) -> list[Answer]:
        shaper = Shaper(self._played)
        shaped = [one for made in flat(answer) for one in shaper.feed(made, event)]
        shaper.end()
        return shaped


class _FaultyAtOnce(_FaultyCall):
    def __call__(self, payload: Payload, event: Event) -> Sequence[Answer]:
        answer = self._target(*self._begin(payload, event))
        fault = self._played.due(FaultKind.DISCONNECT)
        if fault is not None:
            raise self._disconnected(fault)
        return self._shaped(answer, event)


class _FaultyAsync(_FaultyCall):
    async def __call__(self, payload: Payload, event: Event) -> Sequence[Answer]:
        arguments = self._begin(payload, event)
        slow = self._played.due(FaultKind.SLOW)
        if self._spec.form is Form.SYNC:
            answer = await self._compute.run(self._target, *arguments)
        else:
            answer = await self._target(*arguments)
        if slow is not None:
            self._played.note(slow)
            await self._clock.sleep(slow.seconds)
        fault = self._played.due(FaultKind.DISCONNECT)
        if fault is not None:
            raise self._disconnected(fault)
        await _endless(self._played)
        return self._shaped(answer, event)


class _FaultyGenerator(_FaultyCall):
    async def __call__(self, payload: Payload, event: Event) -> AsyncIterator[Answer]:
        arguments = self._begin(payload, event)
        slow, shaper = self._played.due(FaultKind.SLOW), Shaper(self._played)
        async with aclosing(self._target(*arguments)) as answers:
            async for answer in answers:
                if slow is not None:
                    self._played.note(slow)
                    await self._clock.sleep(slow.seconds)
                    slow = None
                for one in shaper.feed(answer, event):
                    yield one
                fault = self._played.due(FaultKind.DISCONNECT)
                if fault is not None:
                    raise self._played.failure(fault)
        shaper.end()
        await _endless(self._played)


_SHAPE: dict[Form, type[_FaultyCall]] = {
    Form.SYNC: _FaultyAtOnce, Form.ASYNC: _FaultyAsync, Form.GENERATOR: _FaultyGenerator,
}  # fmt: skip


class _FaultyStream(_Faulty):
    """A stream, or a source, which has no inbox: its events are its outputs."""

    def __init__(self, target: Any, played: Played, clock: Clock) -> None:
        super().__init__(target, played)
        self._clock = clock

    async def run(self, *inbox: Inbox[Any]) -> AsyncIterator[Answer]:
        """Everything that the code gives, until a fault breaks it."""
        seen = _SeenInbox(inbox[0], self._played) if inbox else None
        answers = self._target.run(*([seen] if seen is not None else []))
        if any(f.kind is FaultKind.SLOW for f in self._played.faults):
            answers = self._slowed(answers, seen)
        shaper, played = Shaper(self._played, since=True), self._played
        async with aclosing(answers):
            while True:
                try:
                    answer = await self._next(answers)
                except StopAsyncIteration:
                    break
                if seen is None:
                    played.count(None)
                    fault = played.due(FaultKind.ERROR, FaultKind.DISCONNECT)
                    if fault is not None:
                        raise played.failure(fault)
                for one in shaper.feed(caused(answer, seen.last) if seen is not None else answer, None):
                    yield one
                fault = played.due(FaultKind.DISCONNECT) if seen is not None else None
                if fault is not None and fault.nth is None and fault.at is None:
                    raise played.failure(fault)
        shaper.end()
        await _endless(played)

    async def _next(self, answers: AsyncIterator[Any]) -> Any:
        """The next output, unless a fault comes first."""
        played = self._played
        coming = played.next_break()
        if coming is None and not played.emits:
            return await anext(answers)
        left = None if coming is None else max(0.0, coming[1] - self._clock.now())
        timeout = played.waiting = self._clock.timeout(left)
        try:
            async with timeout:
                return await anext(answers)
        except TimeoutError:
            if not timeout.expired():
                raise
        finally:
            played.waiting = None
        fault = played.broken or (coming[0] if coming is not None else None)
        assert fault is not None
        played.broken = None
        if fault.kind is FaultKind.ENDLESS:
            self._played.note(fault)
            await asyncio.get_running_loop().create_future()
        raise self._played.failure(fault)

    async def _slowed(self, answers: AsyncIterator[Any], seen: _SeenInbox | None) -> AsyncIterator[Answer]:
        """``answers``, each later by what the faults say; what the code does meanwhile is not held up."""
        waiting: deque[tuple[float, Any]] = deque()
        wake, room = asyncio.Event(), asyncio.Event()
        ended = False

        async def read() -> None:
            nonlocal ended
            try:
                async with aclosing(answers):  # type: ignore[type-var]
                    async for answer in answers:
                        fault = self._played.due(FaultKind.SLOW, since=True)
                        if fault is not None:
                            self._played.note(fault)
                        due = self._clock.now() + (fault.seconds if fault is not None else 0.0)
                        due = max(due, waiting[-1][0]) if waiting else due
                        waiting.append((due, caused(answer, seen.last) if seen is not None else answer))
                        wake.set()
                        while len(waiting) >= _WAITING:
                            room.clear()
                            await room.wait()
            finally:
                ended = True
                wake.set()

        async with Alongside(read()):
            while waiting or not ended:
                if waiting:
                    left = waiting[0][0] - self._clock.now()
                    if left > 0:
                        await self._clock.sleep(left)
                    yield waiting.popleft()[1]
                    room.set()
                else:
                    wake.clear()
                    await wake.wait()


class _SeenInbox:
    """An inbox whose events are counted, and break the stream with the one that a fault names."""

    def __init__(self, inbox: Inbox[Any], played: Played) -> None:
        self._inbox, self._played = inbox, played
        self.last: Event | None = None

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._seen(await anext(aiter(self._inbox)))

    async def take(self, timeout: float | None = None) -> Event | None:
        """As ``Inbox.take``."""
        event = await self._inbox.take(timeout)
        return None if event is None else await self._seen(event)

    async def _seen(self, event: Event) -> Event:
        self.last = event
        played = self._played
        played.count(event)
        fault = played.due(FaultKind.ERROR, FaultKind.DISCONNECT, FaultKind.ENDLESS)
        if fault is None or fault.at is not None or (fault.nth is None and fault.kind is not FaultKind.ERROR):
            return event
        if fault.kind is FaultKind.ENDLESS:
            played.note(fault)
            await asyncio.get_running_loop().create_future()
        raise played.failure(fault)


class _FaultySink(AudioSink):
    """The far end of an egress that breaks: a write fails. After a disconnection every later one fails as well, and
    what was written and not yet played is not heard any more."""

    def __init__(self, target: AudioSink, played: Played, clock: Clock) -> None:
        self._target, self._played, self._clock = target, played, clock
        self.lead, self.stride = target.lead, target.stride
        self._gone: ConnectorFailure | None = None

    @property
    def format(self) -> AudioFormat:
        return self._target.format

    async def open(self) -> None:
        fault = self._played.due(FaultKind.OPEN)
        if fault is not None:
            raise self._played.failure(fault)
        await self._target.open()
        for fault in self._played.faults:
            if fault.kind is FaultKind.DISCONNECT and fault.at is not None:
                left = max(0.0, fault.at - self._clock.now())
                self._played.timers.append(self._clock.call_later(left, self._broken))

    def _broken(self) -> None:
        fault = self._played.due(FaultKind.DISCONNECT)
        if fault is not None and self._gone is None:
            self._gone = self._played.failure(fault)
            self._target.clear()

    def write(self, pcm: bytes) -> None:
        if self._gone is not None:
            raise self._gone
        self._played.count(None)
        self._broken()
        if self._gone is not None:
            raise self._gone
        fault = self._played.due(FaultKind.ERROR)
        if fault is not None:
            raise self._played.failure(fault)
        self._target.write(pcm)

    def clear(self) -> None:
        self._target.clear()

    def played(self) -> int | None:
        return self._target.played()

    async def close(self) -> None:
        for timer in self._played.timers:
            timer.cancel()
        await self._target.close()


class _FaultyContext:
    """A node's context whose ``emit`` loses and doubles what a callback sends, and sends it late.

    counts: what is emitted are the events of the node, as of a source, which has no others: faults count them.
    """

    def __init__(self, context: Context, played: Played, *, counts: bool) -> None:
        played.emits = counts
        self.node, self.session, self.choice = context.node, context.session, context.choice
        self.clock: Clock = context.clock
        self.compute: Compute = context.compute
        self.random: random.Random = context.random
        self._context, self._played = context, played

    @property
    def conversation(self) -> Conversation:
        return self._context.conversation

    @property
    def idempotency_key(self) -> str:
        return self._context.idempotency_key

    @property
    def live(self) -> bool:
        return self._context.live

    def log(self, message: str, **fields: Any) -> None:
        self._context.log(message, **fields)

    def share(self, key: str, make: Callable[[], S]) -> S:
        return self._context.share(key, make)

    def emit(self, payload: Payload, *, cause: Event | None = None, port: str = "") -> None:
        played, emit = self._played, self._context.emit
        if played.broken is not None:
            return  # it is about to fail, and gives nothing more
        if played.emits:
            played.count(None)
            fault = played.due(FaultKind.ERROR, FaultKind.DISCONNECT)
            if fault is not None and fault.at is None:
                played.break_source(fault)
                return
        slow = played.due(FaultKind.SLOW, since=True)
        shaper = Shaper(played, since=True)
        shaped = shaper.feed(Out(payload, cause, port), cause)
        shaper.end()
        if slow is not None and shaped:
            played.note(slow)
        for one in shaped:
            if not isinstance(one, Out):
                continue
            send = functools.partial(emit, one.payload, cause=one.cause, port=one.port)
            if slow is None:
                send()
            else:
                self._later(slow.seconds, send)

    def _later(self, seconds: float, send: Callable[[], None]) -> None:
        timers = self._played.timers

        def due() -> None:
            timers.remove(timer)
            send()

        timer = self.clock.call_later(seconds, due)
        timers.append(timer)


async def _endless(played: Played) -> None:
    fault = played.due(FaultKind.ENDLESS)
    if fault is not None:
        played.note(fault)
        await asyncio.get_running_loop().create_future()
