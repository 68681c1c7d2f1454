"""The simulation of a speech recogniser: the caller's words, out of the frames that reached it, in the recogniser's
own time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from echostack.connectors.alongside import Alongside
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import SpeechStarted, SpeechStopped, Text, TextPartial, TextSegment
from echostack.registry import ConnectorSpec, Inbox, Out, Simulator
from echostack.simulation.mock import knobs
from echostack.simulation.mock.detector import HANGOVER, START, speech_edge
from echostack.simulation.mock.hearing import Edge
from echostack.simulation.mock.listening import Habits, Listener, Turn
from echostack.simulation.world import World

ENDPOINT, LONGEST = 0.4, 15.0
"""Seconds of silence that end a turn, and of speech that make a segment, where the settings do not say."""

_WAITING = 256  # outputs that may wait to be taken before the inbox is left alone


def habits(settings: Any) -> Habits:
    """How a connector with these settings listens."""
    return Habits(
        endpoint=knobs.seconds(settings, knobs.ENDPOINT, ENDPOINT),
        words_end=knobs.seconds(settings, knobs.WORDS_END, float("inf")),
        partials=knobs.seconds(settings, knobs.PARTIALS, 0.0),
        longest=knobs.seconds(settings, knobs.LONGEST, LONGEST),
        language=knobs.text(settings, "language", "en"),
    )


def voice_gate(settings: Any) -> tuple[float, float]:
    """Seconds of voice that open its voice activity, and of silence that close it."""
    return knobs.seconds(settings, knobs.START, START), knobs.seconds(settings, knobs.HANGOVER, HANGOVER)


class SimulatedRecogniser:
    """Reads the caller's words from the frames that really arrived, and gives them as the connector would.

    A ``text.partial`` after every word, or every ``partial_ms`` of speech where the settings have that. The turn ends
    after the endpoint's silence, heard or, where no frames come, by the clock. Its ``text`` follows after what the
    latency has beyond the endpoint, which profiles include; a delay that the scenario names counts from the endpoint.
    Turns longer than 15 s give segments on the way. Noise gives nothing. What the scenario scripts for a text takes
    its place.

    Nothing is lost by an interruption of the agent. Cancelled, it loses the turn that was going on and nothing else.
    """

    def __init__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> None:
        self._produces, self._simulator, self._world = spec.produces, simulator, world
        self._habits = habits(settings)
        silent = knobs.off(settings, "interim_results") or knobs.none(settings, knobs.PARTIALS)
        self._shows = TextPartial in spec.produces and not silent
        self._gate = voice_gate(settings)
        self._ready: deque[Out] = deque()
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._due: deque[tuple[list[Payload], Event]] = deque()  # turns that are over, and their timers
        self._timers: list[asyncio.TimerHandle] = []
        self._last_due = 0.0
        self._ended = False
        self._called: Listener | None = None
        self._asked = False  # whether somebody takes what is ready, in this very step

    def interrupted(self) -> None:
        """The caller's words outlive an interruption of the agent: there is nothing to forget."""

    async def run(self, inbox: Inbox[Any]) -> AsyncIterator[Out]:
        """Listen to the end of ``inbox``; the last turn is given when no more comes."""
        listener = self._listener()
        self._ready.clear()
        self._ended, self._last_due = False, 0.0
        try:
            async with Alongside(self._listen(inbox, listener)):
                while True:
                    if self._ready:
                        output = self._ready.popleft()
                        self._room.set()
                        yield output
                    elif self._ended and not self._timers:
                        return
                    else:
                        self._wake.clear()
                        await self._wake.wait()
        finally:
            listener.forget()
            self._drop_timers()

    def at_once(self, event: Event) -> Sequence[Out]:
        """The same for a recogniser that is called with every frame; what comes by the clock is emitted."""
        if self._called is None:
            self._called = self._listener()
        self._asked = True
        self._called.hear(event)
        self._asked = False
        ready = tuple(self._ready)
        self._ready.clear()
        return ready

    async def answer(self, event: Event) -> AsyncIterator[Out]:
        """``at_once``, one after the other."""
        for output in self.at_once(event):
            yield output

    async def close(self) -> None:
        """The call is over."""
        if self._called is not None:
            self._called.forget()
        self._drop_timers()

    # -- inside ------------------------------------------------------------------------------------------------

    def _listener(self) -> Listener:
        voice = SpeechStarted in self._produces or SpeechStopped in self._produces
        return Listener(
            self._world.speech,
            self._simulator.clock,
            self._habits,
            on_partial=self._put if self._shows else None,
            on_segment=self._put if TextSegment in self._produces else None,
            on_turn=self._turn,
            on_voice=self._voice if voice else None,
            gate=self._gate,
        )

    async def _listen(self, inbox: Inbox[Any], listener: Listener) -> None:
        try:
            hear, ready = listener.hear, self._ready
            async for event in inbox:
                hear(event)
                while len(ready) >= _WAITING:
                    self._room.clear()
                    await self._room.wait()
            listener.close()
        finally:
            self._ended = True
            self._wake.set()

    def _put(self, payload: Payload, event: Event) -> None:
        if self._called is not None and not self._asked:
            self._simulator.emit(payload, cause=event)
            return
        self._ready.append(Out(payload, cause=event))
        self._wake.set()

    def _voice(self, edge: Edge, event: Event) -> None:
        payload = speech_edge(edge)
        if type(payload) in self._produces:
            self._put(payload, event)

    def _turn(self, turn: Turn) -> None:
        """A turn is over: its text, or what the scenario says in its place, is due after the latency."""
        scripted = self._simulator.scripted(turn.text)
        now = self._simulator.clock.now()
        due = max(now + self._beyond_endpoint(scripted), self._last_due)  # turns never overtake each other
        self._last_due = due
        text = msgspec.structs.replace(turn.text, waited_ms=round((due - turn.text.end) * 1000, 3))
        answers = [_heard(payload, text) for payload in ((text,) if scripted is None else scripted)]
        if due <= now:
            self._give(answers, turn.event)
            return
        self._due.append((answers, turn.event))
        self._timers.append(self._simulator.clock.call_later(due - now, self._give_next))

    def _give_next(self) -> None:
        # The oldest, whichever of two timers of one instant fires first.
        del self._timers[0]
        self._give(*self._due.popleft())
        self._wake.set()

    def _give(self, answers: list[Payload], event: Event) -> None:
        for payload in answers:
            if not isinstance(payload, Text) or Text in self._produces:
                self._put(payload, event)
            elif TextSegment in self._produces:
                self._put(_as_segment(payload), event)

    def _beyond_endpoint(self, scripted: tuple[Payload, ...] | None) -> float:
        drawn = self._simulator.latency()
        script = self._world.script(self._simulator.node)
        if script is not None:
            said = [payload.text for payload in scripted or () if isinstance(payload, Text)]
            if script.delay is not None or any(r.delay is not None and r.say in said for r in script.replies):
                return drawn
        return max(0.0, drawn - self._habits.endpoint)

    def _drop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._due.clear()


def _heard(payload: Payload, text: Text) -> Payload:
    """A scripted text that says nothing of its time stands where the words did that were really spoken."""
    if isinstance(payload, Text) and not payload.end:
        return msgspec.structs.replace(
            payload, language=payload.language or text.language, start=text.start, end=text.end,
            ended_by=payload.ended_by or text.ended_by, waited_ms=text.waited_ms,
        )  # fmt: skip
    return payload


def _as_segment(text: Text) -> TextSegment:
    """The turn of a recogniser that finds no ends of turns: one more piece that will not change."""
    return TextSegment(text.text, text.confidence, text.language, text.start, text.end, text.words)
