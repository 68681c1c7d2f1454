"""The simulation of a voice model, which takes speech and gives speech: it hears as a recogniser does, answers as an
agent does, and speaks as a synthesiser does, all in one node."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import msgspec

from echostack.connectors.alongside import Alongside
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial, AudioFrame, TextPartial, TextSegment
from echostack.registry import ConnectorSpec, Inbox, Out, Simulator
from echostack.simulation.mock.agent import SimulatedAgent
from echostack.simulation.mock.detector import speech_edge
from echostack.simulation.mock.hearing import Edge
from echostack.simulation.mock.listening import Listener, Turn
from echostack.simulation.mock.recogniser import habits, voice_gate
from echostack.simulation.mock.synthesiser import SimulatedSynthesiser
from echostack.simulation.world import World

_WAITING = 64  # events that wait for their answer before the inbox is left alone


class SimulatedVoiceModel:
    """Hears the caller's words in the frames that arrive, and answers each turn in coded speech.

    The latency counts from the silence that ends the turn. Of what is heard and said it gives in text what the
    connector makes (``text``, ``text.partial``, ``agent_message``, …). What the scenario has it reply is to the words
    of a turn; other events that say something are answered like turns.

    Interrupted, it says nothing more of the reply that is under way, and listens on. Cancelled, it loses the turn that
    was going on and nothing else.
    """

    asks_script = True

    def __init__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> None:
        self._produces, self._simulator, self._world = spec.produces, simulator, world
        self._habits, self._gate = habits(settings), voice_gate(settings)
        self._says: type[Payload] = AgentMessagePartial if AgentMessagePartial in spec.produces else AgentMessage
        speaks_only = not {AgentMessage, AgentMessagePartial} & set(spec.produces)
        mind = dataclasses.replace(spec, produces=(*spec.produces, AgentMessage)) if speaks_only else spec
        self._agent = SimulatedAgent(mind, settings, simulator, world)
        self._mouth = SimulatedSynthesiser(spec, settings, cast(Simulator, _Mouth(simulator)), world)
        self._waiting: deque[Event] = deque()
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._ended = False
        self._listener: Listener | None = None

    def interrupted(self) -> None:
        """Say nothing more of the reply that is under way; what the caller is saying goes on being heard."""
        self._agent.interrupted()
        self._mouth.interrupted()

    async def run(self, inbox: Inbox[Any]) -> AsyncIterator[Out]:
        """Listen and answer to the end of ``inbox``."""
        listener = self._listener = self._new_listener()
        self._waiting.clear()
        self._ended = False
        try:
            async with Alongside(self._listen(inbox, listener)):
                while True:
                    if self._waiting:
                        event = self._waiting.popleft()
                        self._room.set()
                        async for output in self._reply(event):
                            yield output
                    elif self._ended:
                        return
                    else:
                        self._wake.clear()
                        await self._wake.wait()
        finally:
            listener.forget()

    async def answer(self, event: Event) -> AsyncIterator[Out]:
        """The same for one that is called with every event: the replies to the turns that are over with it."""
        self._take(event)
        while self._waiting:
            async for output in self._reply(self._waiting.popleft()):
                yield output

    def at_once(self, event: Event) -> Sequence[Out]:
        """The same without waiting."""
        self._take(event)
        found: list[Out] = []
        while self._waiting:
            asked = self._waiting.popleft()
            for said in self._agent.at_once(asked):
                found += self._told(said, asked)
                if isinstance(said, self._says):
                    spoken = self._mouth.at_once(msgspec.structs.replace(asked, payload=said))
                    found += [Out(chunk, asked) for chunk in spoken]
        return found

    async def close(self) -> None:
        """The call is over."""
        if self._listener is not None:
            self._listener.forget()

    # -- hearing -----------------------------------------------------------------------------------------------

    def _new_listener(self) -> Listener:
        return Listener(
            self._world.speech,
            self._simulator.clock,
            self._habits,
            on_partial=self._give if TextPartial in self._produces else None,
            on_segment=self._give if TextSegment in self._produces else None,
            on_turn=self._turn,
            on_voice=self._voice,
            gate=self._gate,
        )

    async def _listen(self, inbox: Inbox[Any], listener: Listener) -> None:
        try:
            async for event in inbox:
                self._take(event)
                while len(self._waiting) >= _WAITING:
                    self._room.clear()
                    await self._room.wait()
            listener.close()
        finally:
            self._ended = True
            self._wake.set()

    def _take(self, event: Event) -> None:
        if not isinstance(event.payload, AudioFrame):
            self._asked(event)
            return
        if self._listener is None:
            self._listener = self._new_listener()
        self._listener.hear(event)

    def _turn(self, turn: Turn) -> None:
        waited = (self._simulator.clock.now() - turn.text.end) * 1000
        text = msgspec.structs.replace(turn.text, waited_ms=round(waited, 3))
        self._give(text, turn.event)
        self._asked(msgspec.structs.replace(turn.event, payload=text))

    def _voice(self, edge: Edge, event: Event) -> None:
        self._give(speech_edge(edge), event)

    def _give(self, payload: Payload, event: Event) -> None:
        """What is heard is told at once, whatever is being said."""
        if type(payload) in self._produces:
            self._simulator.emit(payload, cause=event)

    def _asked(self, event: Event) -> None:
        self._waiting.append(event)
        self._wake.set()

    # -- answering ---------------------------------------------------------------------------------------------

    async def _reply(self, event: Event) -> AsyncIterator[Out]:
        async for said in self._agent.answer(event):
            for told in self._told(said, event):
                yield told
            if isinstance(said, self._says):
                async for chunk in self._mouth.answer(msgspec.structs.replace(event, payload=said)):
                    yield Out(chunk, event)

    def _told(self, said: Payload, event: Event) -> list[Out]:
        return [Out(said, event)] if type(said) in self._produces else []


class _Mouth:
    """The model's simulator as its speech sees it: what is said was decided before, and its time has passed."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._simulator, name)

    def scripted(self, payload: Payload) -> None:
        """The scenario's say was heard already."""

    def latency(self) -> float:
        """Nothing on top of the model's own."""
        return 0.0
