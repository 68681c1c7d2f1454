"""Nodes that answer as they did in a recording, in the forms in which the runtime calls them.

An input is known again by what it says. What was answered to it leaves as long after it as it did; what the recording
does not know is asked of the node's simulation, or of the node itself where it runs as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Container, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial
from echostack.recording import EventEntry
from echostack.registry import Context, Forward, Out
from echostack.runtime.make import closed, opened
from echostack.simulation.faults import caused, flat
from echostack.simulation.mock.pauses import Pauses
from echostack.simulation.through.content import content_of, key_of
from echostack.simulation.through.player import failure_of
from echostack.simulation.through.tape import Answer, Failed, Tape
from echostack.simulation.wrapped import restore_to, snapshot_of, tell_interrupted

_HAIR = 1e-9
_AFTER = 1e-6
"""Seconds after an interruption at which what it cut goes on, when it does not happen this time."""

Given = Payload | Out | Forward


@dataclass(slots=True)
class Count:
    """How often a node was asked what the recording knows, what it does not, and what it knows only in part."""

    known: int = 0
    unknown: int = 0
    cut: int = 0


class Memory:
    """What one node answered. ``ask`` finds it; repeated inputs get their answers in turn, and then the last again."""

    def __init__(self, node: str, tape: Tape, clock: Clock, count: Count, shown: Container[int]) -> None:
        self.node, self.count, self._shown = node, count, shown
        self._tape, self._clock = tape, clock
        self._redacted = tape.recording.header.redacted
        self._answers = tape.answers(node)
        self._used: dict[bytes, int] = {}
        self._under_way: tuple[int, Answer, int] | None = None

    def ask(self, payload: Payload, event: Event) -> tuple[Answer, int] | None:
        """The answer to ``payload``, and how many of its steps were taken in an earlier try."""
        if self._under_way is not None and self._under_way[0] == event.seq:
            return self._under_way[1:]
        key = key_of(payload.__kind__.name, content_of(payload, redacted=self._redacted))
        answers = self._answers.get(key)
        if answers is None:
            self.count.unknown += 1
            return None
        self.count.known += 1
        used = self._used.get(key, 0)
        self._used[key] = used + 1
        return answers[min(used, len(answers) - 1)], 0

    def failed(self, event: Event, answer: Answer, steps: int) -> None:
        """A recorded failure is played; the next try goes on after it."""
        self._under_way = event.seq, answer, steps

    def wait(self, time: float, answer: Answer, payload: Payload, event: Event) -> float:
        """Seconds from now until what happened at ``time`` of the recording is due. A guess is answered when the real
        input was; it must not come out before."""
        guessed = event.seq not in self._shown and not payload.__kind__.audio
        if guessed or abs(event.time - answer.asked) < _HAIR:
            return time - self._clock.now()
        return event.time + (time - answer.asked) - self._clock.now()

    def output(self, entry: EventEntry, answer: Answer, payload: Payload, event: Event) -> Out | None:
        """A recorded output for the present input, with the ids of this call."""
        made = self._tape.payload(entry)
        if made is None:
            self.count.cut += 1
            return None
        own = f"{self.node}#"
        if isinstance(made, AgentMessage | AgentMessagePartial):
            if made.id.startswith(own):
                made = msgspec.structs.replace(made, id="")
        else:
            utterance = getattr(made, "utterance", "")
            if utterance and utterance == answer.asked_id:
                made = msgspec.structs.replace(made, utterance=getattr(payload, "id", "") or utterance)
            elif utterance.startswith(own):
                made = msgspec.structs.replace(made, utterance=f"{own}{event.seq}")
        return Out(made, cause=event, port=entry.port)

    def snapshot(self) -> Any:
        return dict(self._used), self.count.known, self.count.unknown, self.count.cut

    def restore(self, snapshot: Any) -> None:
        used, self.count.known, self.count.unknown, self.count.cut = snapshot
        self._used = dict(used)


class _Answering:
    """What all forms have in common. fallback: the node's simulation (or itself), which answers what is not known."""

    def __init__(self, memory: Memory, fallback: Any, wants_event: bool, context: Context) -> None:
        self._memory, self._fallback, self._wants_event, self._context = memory, fallback, wants_event, context
        self._clock = context.clock

    async def open(self) -> None:
        await opened(self._fallback)

    async def close(self) -> None:
        await closed(self._fallback)

    def snapshot(self) -> Any:
        return self._memory.snapshot(), snapshot_of(self._fallback)

    def restore(self, snapshot: Any) -> None:
        self._memory.restore(snapshot[0])
        restore_to(self._fallback, snapshot[1])

    def _asked(self, payload: Payload, event: Event) -> Any:
        return self._fallback(payload, event) if self._wants_event else self._fallback(payload)


class _AnsweringInTime(_Answering, ABC):
    """What takes its time."""

    async def _sleep(self, seconds: float) -> bool:
        """Wait; False when the node was told of an interruption meanwhile."""
        if seconds > 0:
            await self._clock.sleep(seconds)
        return True

    @abstractmethod
    def _otherwise(self, payload: Payload, event: Event) -> AsyncGenerator[Given, None]:
        """What the fallback answers."""

    async def _steps(self, payload: Payload, event: Event) -> AsyncGenerator[Given, None]:
        """Everything that is answered, each when it is due."""
        memory = self._memory
        found = memory.ask(payload, event)
        if found is None:
            async with aclosing(self._otherwise(payload, event)) as answers:
                async for one in answers:
                    yield one
            return
        answer, taken = found
        steps = answer.steps
        for number, step in enumerate(steps[taken:], taken + 1):
            if not await self._sleep(memory.wait(step.time, answer, payload, event)):
                return
            if isinstance(step, Failed):
                memory.failed(event, answer, number)
                raise failure_of(step)
            output = memory.output(step, answer, payload, event)
            if output is not None:
                yield output
        if answer.cut is not None:
            if not await self._sleep(memory.wait(answer.cut, answer, payload, event) + _AFTER):
                return
            memory.count.cut += 1  # this time nobody cuts it here, and what came after is not known
        if not steps:
            async with aclosing(self._otherwise(payload, event)) as answers:
                async for one in answers:
                    if answer.cut is not None:
                        yield one


class AnsweringAtOnce(_Answering):
    """A node that is called in place. One that runs as it is is called in any case, so that what it keeps is right."""

    def __init__(self, *parts: Any, itself: bool) -> None:
        super().__init__(*parts)
        self._itself = itself

    def __call__(self, payload: Payload, event: Event) -> Sequence[Given]:
        own: list[Given] | None = flat(self._asked(payload, event)) if self._itself else None
        found = self._memory.ask(payload, event)
        if found is None or (own is not None and (not found[0].steps or any(isinstance(o, Forward) for o in own))):
            return own if own is not None else flat(self._asked(payload, event))
        answer = found[0]
        outputs: list[Given] = []
        for step in answer.steps:
            wait = self._memory.wait(step.time, answer, payload, event)
            if isinstance(step, Failed):
                if wait <= _AFTER:
                    raise failure_of(step)
                continue
            output = self._memory.output(step, answer, payload, event)
            if output is None:
                continue
            if wait <= _AFTER:
                outputs.append(output)
            elif own is None:
                self._clock.call_later(wait, self._emit, output)
        return outputs

    def _emit(self, output: Out) -> None:
        self._context.emit(output.payload, cause=output.cause, port=output.port)


class AnsweringInTime(_AnsweringInTime):
    """An async function: answers once, with everything; what came out before that is sent ahead."""

    async def __call__(self, payload: Payload, event: Event) -> Sequence[Given]:
        made: list[tuple[float, Given]] = []
        async with aclosing(self._steps(payload, event)) as steps:
            async for one in steps:
                made.append((self._clock.now(), one))
                while made[0][0] < made[-1][0] - _AFTER:
                    early = made.pop(0)[1]
                    if not isinstance(early, Forward):
                        out = caused(early, event)
                        self._context.emit(out.payload, cause=out.cause, port=out.port)
        return [one for _, one in made]

    async def _otherwise(self, payload: Payload, event: Event) -> AsyncGenerator[Given, None]:
        for one in flat(await self._asked(payload, event)):
            yield one


class AnsweringInThread(AnsweringInTime):
    """The same where the fallback is a plain function that may take long."""

    async def _otherwise(self, payload: Payload, event: Event) -> AsyncGenerator[Given, None]:
        for one in flat(await self._context.compute.run(self._asked, payload, event)):
            yield one


class AnsweringInPieces(_AnsweringInTime):
    """An async generator: gives each output when it is made."""

    def __call__(self, payload: Payload, event: Event) -> AsyncIterator[Given]:
        return self._steps(payload, event)

    async def _otherwise(self, payload: Payload, event: Event) -> AsyncGenerator[Given, None]:
        async with aclosing(self._asked(payload, event)) as answers:
            async for answer in answers:
                for one in flat(answer):
                    yield one


class AnsweringStream(_AnsweringInTime):
    """A stream: answers one input after the other. An interruption ends the answer under way, as of a connector that is
    told of it."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._pauses = Pauses(self._clock, told=True)
        self._turn = 0

    async def run(self, inbox: Any) -> AsyncIterator[Given]:
        async for event in inbox:
            self._turn = self._pauses.turn
            async with aclosing(self._steps(event.payload, event)) as steps:
                async for one in steps:
                    yield caused(one, event)

    def interrupted(self) -> None:
        self._pauses.give_up()
        tell_interrupted(self._fallback)

    async def _sleep(self, seconds: float) -> bool:
        if seconds <= 0:
            return self._turn == self._pauses.turn
        return not await self._pauses.over(seconds, self._turn)

    async def _otherwise(self, payload: Payload, event: Event) -> AsyncGenerator[Given, None]:
        async with aclosing(self._fallback.run(_OneInput(event))) as answers:
            async for one in answers:
                yield caused(one, event)


class _OneInput:
    """An inbox of one event, for a simulation that is asked about that alone."""

    def __init__(self, event: Event) -> None:
        self._events = [event]

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if not self._events:
            raise StopAsyncIteration
        return self._events.pop()

    async def take(self, timeout: float | None = None) -> Event | None:
        """As ``Inbox.take``."""
        return await anext(self)
