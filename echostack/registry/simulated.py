"""How a connector is simulated: what a simulation is given, and how one is declared.

A connector that declares no simulation is simulated from its manifest: a recogniser hears the scripted words, an agent
answers with text in tokens, a synthesiser gives audio of the right length, whatever writes to the outside world writes
to a store that a scenario can look into. A simulation of one's own is a class or function of the same form as the
connector (what is called once an event is called once an event), declared beside it:

    def shout_simulated(text: Text, simulator: Simulator) -> AgentMessage: ...

    @connector("shout.agent", simulation=shout_simulated)
    def shout(text: Text) -> AgentMessage: ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from echostack.core.kinds import Payload
from echostack.registry.context import Context


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
