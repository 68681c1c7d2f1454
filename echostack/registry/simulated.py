"""How a connector is simulated: what a simulation is given, and how one is declared.

A connector that declares no simulation is simulated from its manifest: a recogniser hears the scripted words, an agent
answers with text in tokens, a synthesiser gives audio of the right length, whatever writes to the outside world writes
to a store that a scenario can look into. A simulation of one's own is a class or function of the same form as the
connector (what is called once an event is called once an event), declared beside it:

    @connector("shout.agent", network=True)
    async def shout(text: Text, settings: ShoutSettings) -> AgentMessage: ...

    @simulates(shout)
    async def shout_simulated(text: Text, settings: ShoutSettings, simulator: Simulator) -> AgentMessage: ...

What stands before the connector can be named in its declaration instead, as ITSELF can:
``@connector(..., simulation=shout_simulated)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame
from echostack.registry.context import Context
from echostack.registry.spec import ConnectorSpec, Form


class _Itself:
    """The connector runs as it is: it is quick, local, writes nothing, and depends on nothing but its input."""

    def __repr__(self) -> str:
        return "ITSELF"


ITSELF: Final = _Itself()


@dataclass(frozen=True, slots=True)
class Write:
    """One thing that a simulated connector did to its outside world: when (session seconds), under which key, what."""

    time: float
    key: str
    data: Mapping[str, Any]


class Store(Protocol):
    """The outside world of one simulated node: what was written, and what it keeps."""

    @property
    def writes(self) -> tuple[Write, ...]:
        """Oldest first."""

    @property
    def records(self) -> dict[str, Any]:
        """What the simulated service holds, by id; JSON data, kept to the end of the call."""

    def write(self, data: Mapping[str, Any], key: str = "") -> bool:
        """Note a write. False, and nothing noted, for a ``key`` that was written before: it happens once."""


class Simulator(Context, Protocol):
    """What a simulation is given instead of a Context: the same, the scenario's say, and the simulated world."""

    settings: Any

    @property
    def store(self) -> Store:
        """The node's own outside world."""

    def latency(self) -> float:
        """Seconds to a first output: the scenario's delay, or one drawn by seed from the connector's profile."""

    def scripted(self, payload: Payload) -> tuple[Payload, ...] | None:
        """What the scenario says that this node answers to ``payload``; None when it says nothing."""

    def spoken(self, text: str) -> float:
        """Seconds that ``text`` takes to be spoken."""


class StandIn(StrEnum):
    """What a connector is in a simulated call."""

    ITSELF = "itself"
    OWN = "its own simulation"
    CALLER = "the scenario's caller"
    FAR_END = "a far end that knows what was heard"
    RECOGNISER = "a recogniser that hears the scripted words"
    DETECTOR = "a detector of the scripted voice"
    SYNTHESISER = "a synthesiser of audio of the right length"
    VOICE = "a voice model that hears, answers and speaks"
    AGENT = "an agent that answers in text"
    SERVICE = "a service with records of its own"


def stand_in(spec: ConnectorSpec) -> StandIn:
    """What ``spec`` is in a simulated call, by what it declares, or else by its manifest.

    A synchronous connector that declares nothing runs as it is when it is quick and local, acts on nothing outside,
    needs no package, and has nothing to do with audio, which in a simulated call is coded.
    """
    if spec.simulation is ITSELF:
        return StandIn.ITSELF
    if spec.simulation is not None:
        return StandIn.OWN
    if spec.form is Form.SOURCE:
        return StandIn.CALLER
    if spec.form is Form.SINK:
        return StandIn.FAR_END
    made = {p.__kind__.base for p in spec.produces}
    if AudioFrame in spec.consumes and "audio_chunk" in made:
        return StandIn.VOICE
    if AudioFrame in spec.consumes and "text" in made:
        return StandIn.RECOGNISER
    if AudioFrame in spec.consumes and made & {"speech_started", "speech_stopped"}:
        return StandIn.DETECTOR
    if "audio_chunk" in made and not any(p.__kind__.audio for p in spec.consumes):
        return StandIn.SYNTHESISER
    audio = any(p.__kind__.audio for p in (*spec.consumes, *spec.produces))
    outside = spec.effect or spec.network or bool(spec.packages) or spec.blocking_ms >= 1.0
    if spec.form is Form.SYNC and not audio and not outside:
        return StandIn.ITSELF
    return StandIn.AGENT if "agent_message" in made else StandIn.SERVICE
