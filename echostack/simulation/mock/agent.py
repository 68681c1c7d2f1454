"""The simulation of an agent: a scripted reply or a plausible one, said in pieces as a model's tokens come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial, CallStarted, Text
from echostack.registry import ConnectorSpec, Simulator
from echostack.simulation.mock import knobs
from echostack.simulation.mock.pauses import Pauses
from echostack.simulation.mock.replies import in_pieces, reply_to, words_in
from echostack.simulation.world import World

TOKENS_PER_SECOND = 30.0
CHARACTERS_PER_TOKEN = 4.0
"""English text in the usual tokenisers."""


class SimulatedAgent:
    """Replies to what reaches it with ``agent_message.partial`` a sentence, ``agent_message`` whole, or both, as the
    connector does.

    The first piece comes after the latency, each further one after the time that its tokens take, at 30 a second or
    the setting ``tokens_per_second``; the last is ``final``, and a whole message follows it at once. What the scenario
    scripts goes before: a text is said as the agent says text, anything else (a tool call) is given as it is. Without
    a script it answers events that say something in words, and the beginning of the call with a greeting; control
    events and texts that may still change are answered with nothing.

    It keeps nothing of one event for the next, so that an interruption at any await, or an event that was only guessed,
    leaves no trace.
    """

    def __init__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> None:
        self._pieces = AgentMessagePartial in spec.produces
        self._whole = AgentMessage in spec.produces
        self._simulator, self._world = simulator, world
        self._interruptible = knobs.flag(settings, "interruptible", True)
        self._language = knobs.text(settings, "language", "")
        tokens = knobs.number(settings, "tokens_per_second", TOKENS_PER_SECOND)
        self._characters_per_second = tokens * CHARACTERS_PER_TOKEN
        self._pauses = Pauses(simulator.clock, told=spec.keeps_running)

    async def answer(self, event: Event) -> AsyncIterator[Payload]:
        """The reply to one event, in the time that a model takes."""
        payloads = self._payloads(event)
        latency = self._simulator.latency()
        pauses, turn = self._pauses, self._pauses.turn
        begun = False
        for payload in payloads:
            for output in self._outputs(payload, event):
                pause = (
                    len(output.text) / self._characters_per_second if isinstance(output, AgentMessagePartial) else 0.0
                )
                if (pause or not begun) and await pauses.over(pause if begun else latency, turn):
                    return
                begun = True
                yield output

    def interrupted(self) -> None:
        """Say nothing more of the reply that is under way; the next event is answered at once."""
        self._pauses.give_up()

    def at_once(self, event: Event) -> Sequence[Payload]:
        """The reply of an agent that never waits."""
        return [output for payload in self._payloads(event) for output in self._outputs(payload, event)]

    def _payloads(self, event: Event) -> tuple[Payload, ...]:
        scripted = self._simulator.scripted(event.payload)
        if scripted is not None:
            return scripted
        kind = event.payload.__kind__
        silent = kind.modifier or (kind.control and not isinstance(event.payload, CallStarted))
        if silent or not (self._pieces or self._whole):
            return ()
        # By the words alone, not by how many came before: the same reply to a guess and to the turn that it guessed.
        draw = self._world.random_for(f"{self._simulator.node} replies to {words_in(event.payload)}")
        return (AgentMessage(reply_to(event.payload, draw)),)

    def _outputs(self, payload: Payload, event: Event) -> Iterator[Payload]:
        """``payload`` as this agent says it."""
        if isinstance(payload, Text):
            payload = AgentMessage(payload.text)
        elif isinstance(payload, AgentMessagePartial) and payload.final and not payload.id:
            # A whole message, said by an agent that has no other kind to say it in.
            payload = AgentMessage(payload.text, "", payload.interruptible, payload.language)
        if not isinstance(payload, AgentMessage):
            yield payload
            return
        message = AgentMessage(
            payload.text,
            payload.id,
            interruptible=payload.interruptible and self._interruptible,
            language=payload.language or self._language,
        )
        if self._pieces:
            yield from in_pieces(message, whole=self._whole)
        elif self._whole:
            yield message
