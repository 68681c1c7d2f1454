"""The simulated world of one call: who speaks, what was said about every node, what was written, what was heard.

One World belongs to one simulated session. Connectors' simulations share it; expectations read it afterwards.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from echostack.core.audio import AudioFormat
from echostack.core.kinds import Payload
from echostack.core.span import Span
from echostack.language.data import Value
from echostack.language.scenario import FaultKind, Scenario, Script
from echostack.registry import Write
from echostack.simulation.speech import SpeechCode

Answers = Callable[..., Any]
"""A plugin's function that replies for a node: ``(payload, simulator) -> text | payload | sequence of them | None``."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word of the agent's that sounded at the far end: from when to when (session seconds), and how much of it.

    ``samples`` of ``whole`` sample frames were played; a word that was cut has fewer.
    """

    text: str
    utterance: str
    index: int
    start: float
    end: float
    samples: int
    whole: int


@dataclass(frozen=True, slots=True)
class HeardSpeech:
    """An utterance as it was heard, told by the samples that were played and by nothing that the engine says."""

    utterance: str
    egress: str
    words: tuple[HeardWord, ...]
    start: float
    end: float
    seconds: float
    """How much of it sounded; less than end - start when it was suspended in between."""

    @property
    def text(self) -> str:
        """The words of which at least half was played."""
        return " ".join(w.text for w in self.words if 2 * w.samples >= w.whole)


@dataclass(frozen=True, slots=True)
class Note:
    """Something in the script that could not be played as it stands, when (session seconds), and where it stands."""

    what: str
    time: float
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class AppliedFault:
    """A fault that the scenario asked for and that was played: at which node, which kind, when (session seconds), and
    where it stands in the scenario."""

    node: str
    kind: FaultKind
    time: float
    span: Span | None = None


class NodeStore:
    """A node's outside world (``registry.Store``)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._writes: list[Write] = []
        self._keys: set[str] = set()
        self.repeated = 0
        """Writes refused because their key had been written before."""
        self.records: dict[str, Any] = {}

    @property
    def writes(self) -> tuple[Write, ...]:
        return tuple(self._writes)

    def write(self, data: Mapping[str, Any], key: str = "") -> bool:
        if key and key in self._keys:
            self.repeated += 1
            return False
        self._keys.add(key)
        self._writes.append(Write(self._now(), key, dict(data)))
        return True


@dataclass(slots=True)
class World:
    """scenario: what is played. seed: of every draw. answers: functions of plugins by name. real: nodes that are not
    simulated. now: session seconds, set once the call has its clock."""

    scenario: Scenario
    seed: int
    answers: Mapping[str, Answers] = field(default_factory=dict)
    real: frozenset[str] = frozenset()
    now: Callable[[], float] = lambda: 0.0
    speech: SpeechCode = field(default_factory=SpeechCode)
    stores: dict[str, NodeStore] = field(default_factory=dict)
    heard: list[HeardSpeech] = field(default_factory=list)
    """What far ends have played, in order of the last sample of each; complete once the call is over."""
    sends: dict[str, Callable[[Payload], None]] = field(default_factory=dict)
    """By ingress node: puts an event on the caller's line now (set by the ingress's simulation while it is open)."""
    notes: list[Note] = field(default_factory=list)
    """What went wrong in the script itself (a wait that ended by its deadline), for the outcome to tell."""
    formats: Mapping[str, AudioFormat] = field(default_factory=dict)
    """By egress node: the one format of everything that speaks into it."""
    faults: list[AppliedFault] = field(default_factory=list)
    """The faults that were played, in order."""
    payloads: Callable[[str, Value, Span], Sequence[Payload]] = lambda kind, fields, span: ()
    """Builds what the caller's script sends: payloads of a kind from the fields that stand at a place."""
    ears: Any = None
    """The caller's perception of the call (simulation.ears.Ears), set before the call opens."""
    hang_up: Callable[[], None] = lambda: None
    """The caller is gone: ends the call now."""
    caller_line: str = ""
    """The ingress node that carries the caller's voice and plays the script."""
    lines: Mapping[str, tuple[type[Payload], ...]] = field(default_factory=dict)
    """Every simulated ingress node and what it can carry, in the order of the graph."""
    audible: bool = False
    """Whether the caller's frames carry samples that a real listener can make something of."""
    said: list[tuple[float, str]] = field(default_factory=list)
    """When (session seconds) the caller began to say what."""
    begun: list[tuple[int, float]] = field(default_factory=list)
    """Which step of the script the caller began when (session seconds); not those that happen beside the others."""
    spoken: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many words of an utterance that is still being made were said, by a synthesiser or by the members of a choice
    together: the second goes on where the first has failed."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """By node: the choice that it is a member of."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the caller's script is over, so that every other line ends with it."""

    def store(self, node: str) -> NodeStore:
        """The outside world of ``node``, made when it is first asked for."""
        found = self.stores.get(node)
        if found is None:
            found = self.stores[node] = NodeStore(lambda: self.now())
        return found

    def script(self, node: str) -> Script | None:
        """What the scenario says about ``node``."""
        return self.scenario.connectors.get(node)

    def lines_for(self, payload: type[Payload], source: str | None) -> list[str]:
        """The ingress nodes that carry ``payload``, of the transport (or node) ``source`` if one is named."""
        named = [n for n in self.lines if source is None or source in (n, n.partition(".")[2])]
        return [n for n in named if payload in self.lines[n]]

    def random_for(self, what: str) -> random.Random:
        """Randomness of its own for ``what``, the same for one seed whatever anything else draws."""
        return random.Random(f"{self.seed}:{what}")
