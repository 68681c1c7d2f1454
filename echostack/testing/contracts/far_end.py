"""What a contract suite needs of a connector's far end: a local server that can be started, told what to do, and asked.

``echostack.providers.server.ProviderServer`` is one; a server of your own needs only what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from echostack.providers.faults import Fault, FaultKind

__all__ = ["AgentScript", "FarEnd", "Fault", "FaultKind", "FaultList", "RecogniserScript", "Sightings", "VoiceScript"]


class FaultList(Protocol):
    """What is still to go wrong; ``echostack.providers.faults.Faults`` is one."""

    def add(self, fault: Fault) -> None:
        """Have ``fault`` strike from the next exchange on."""

    def clear(self) -> None:
        """Let everything go well from the next exchange on."""


class Sightings(Protocol):
    """What the server saw; ``echostack.providers.seen.Seen`` is one."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each thing was seen: ``opened`` (exchanges begun) and ``cancelled`` (the client went before its
        answer was whole) are asked for."""


class FarEnd(Protocol):
    """A local server that speaks the protocol of the connector's provider, on the running event loop.

    It lets every key in that is not empty, does as the script says that it was made with, and plays the faults that
    are added. What it has no way to play (a fault of the menu that its protocol does not know) it may ignore; the
    suite then takes the undisturbed outcome.
    """

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that lead the connector here (see ``echostack.registry.Env``), once started."""

    @property
    def faults(self) -> FaultList:
        """What is to go wrong."""

    @property
    def seen(self) -> Sightings:
        """What it saw."""

    @property
    def open(self) -> int:
        """Exchanges that are under way at this instant."""

    async def start(self, port: int = 0) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Close every connection and stop listening; a second time does nothing."""


@dataclass(frozen=True, slots=True)
class AgentScript:
    """What a model's server is to answer: to a prompt whose last words of the user contain a key of ``answers``, the
    pieces behind it, else those of ``otherwise``; ``pause`` seconds before each piece."""

    answers: Mapping[str, tuple[str, ...]]
    otherwise: tuple[str, ...] = ("I am here. ", "How can I help you?")
    pause: float = 0.0

    def answer(self, said: str) -> tuple[str, ...]:
        """The pieces of the answer to a user who last said ``said``."""
        # An agent may tell what was not answered and what was said after it as one entry: the last is what is asked.
        asked = max(self.answers, key=said.rfind, default="")
        return self.answers[asked] if asked and asked in said else self.otherwise


@dataclass(frozen=True, slots=True)
class RecogniserScript:
    """What a recogniser's server is to hear: a turn of the caller for each text of ``turns``, in order."""

    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VoiceScript:
    """What a synthesiser's server is to give: audio for the words that it is sent, ``pause`` seconds before each piece
    of it."""

    pause: float = 0.0
