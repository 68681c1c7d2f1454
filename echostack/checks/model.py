"""A graph that has passed every check: connectors resolved, kinds on the edges, patterns replaced by routes.

Only ``check`` makes one, so that what has not been checked cannot be planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from echostack.core.audio import AudioFormat
from echostack.core.diagnostic import Diagnostic
from echostack.core.kinds import Overflow, Payload
from echostack.core.span import Provenance
from echostack.graph.model import Graph, Node
from echostack.language.guard import Guard
from echostack.registry import ConnectorSpec

ENGINE = "@engine"
"""The source of routes that start at the engine's own control and error events."""

SLOW_MS = 1.0
"""A sync connector that says it takes longer gets a thread and a queue, so that it holds up nothing else."""


@dataclass(frozen=True, slots=True)
class CheckedNode:
    """A node with its connector. ``settings`` is the validated model, or None while ``missing_env`` names values
    that the environment has yet to give; ``presumed`` then holds what they are but for those, where that can be said.
    For a choice ``spec`` is None and ``members`` are its nodes."""

    id: str
    node: Node
    spec: ConnectorSpec | None
    settings: Any
    missing_env: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    inserted: bool = False  # put there by the compiler (the voice-activity tap)
    presumed: Any = None

    @property
    def known(self) -> Any:
        """The settings, or else what can be said of them without the environment; None for nothing."""
        return self.settings if self.settings is not None else self.presumed


@dataclass(frozen=True, slots=True)
class CheckedEdge:
    """A typed route. ``payloads`` are the classes it carries; ``resample`` the format its audio is converted to
    where the ends differ, or where the source's is known only at run time; ``pattern`` the pattern it was resolved
    from, empty for a written arrow. An edge without a port, a pattern's too, takes what leaves by any port. Siblings
    of an ``else`` have the same source, port and pattern. ``cycle`` marks a cycle on purpose, which a topological
    order leaves out.

    The ends are never members of a choice: what is written to or from a member goes to or from its choice.
    """

    id: str
    source: str
    target: str
    payloads: tuple[type[Payload], ...]
    place: Provenance | None
    port: str = ""
    guard: Guard | None = None
    queue: int | None = None  # only when the rule asks for one
    overflow: Overflow | None = None  # likewise
    resample: AudioFormat | None = None
    pattern: str = ""
    rule: int = -1
    cycle: bool = False


@dataclass(frozen=True, slots=True)
class CheckedScope:
    """Nodes that one interruption silences together; ``id`` counts from 1 (0 is "outside any")."""

    id: int
    name: str
    nodes: tuple[str, ...]
    egresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedSpeculation:
    """Who begins on a guess of the caller's turn: the recognisers that give the words, the nodes that are asked about
    them, the synthesisers behind those, and the plain functions that the guess passes. Of a choice, the choice."""

    on: str
    stable_for: float
    ears: tuple[str, ...]
    models: tuple[str, ...]
    synthesisers: tuple[str, ...]
    passed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedGraph:
    """The whole, checked. ``nodes`` and ``edges`` hold what runs: no patterns, the voice-activity tap included.

    A route from the engine itself (``control.*`` and ``error.*`` patterns) has the source ``@engine``.
    """

    graph: Graph
    nodes: Mapping[str, CheckedNode]
    edges: tuple[CheckedEdge, ...]
    scopes: tuple[CheckedScope, ...] = ()
    barge_in_on: str = ""  # the pattern that suspends, empty when nothing can interrupt
    warnings: tuple[Diagnostic, ...] = ()
    playbooks: Mapping[str, Any] = field(default_factory=dict)
    speculation: CheckedSpeculation | None = None
