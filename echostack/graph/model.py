"""The expanded graph: one node an identity, one edge an arrow between two of them, each with its provenance.

Imports are expanded, aliases resolved, choices made nodes; nothing is known yet of connectors and kinds, and
patterns still stand for themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import networkx as nx

from echostack.core.events import EventPattern
from echostack.core.kinds import Overflow
from echostack.core.span import Provenance, Source
from echostack.language.data import Mapping_
from echostack.language.document import (
    BargeInDecl,
    Document,
    InterfaceDecl,
    NodePolicy,
    PlaybookDecl,
    SpeculateDecl,
    TurnsDecl,
)
from echostack.language.guard import Guard
from echostack.language.scenario import Scenario


class NodeRole(StrEnum):
    INGRESS = "ingress"
    EGRESS = "egress"
    CONNECTOR = "connector"
    CHOICE = "choice"
    PATTERN = "pattern"
    PLAYBOOK = "playbook"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the expanded graph.

    id: its identity: ``deepgram.stt``, ``sales``, ``ingress.file``, ``speak/piper.tts`` (inside import ``speak``),
      ``a.stt ?? b.stt`` (a choice), ``processing.*.text`` (a pattern), ``meeting_booker.playbook``.
    use: the registry name that serves it (``claude.agent``; for transports ``ingress.file``); empty for choices
      and patterns. source: the source part of its events. members: a choice's nodes, in order.
    group: the import (or chain of them, ``outer/inner``) that it came from, empty for the file itself.
    places: its declaration first, when there is one, then every rule that names it.
    """

    id: str
    role: NodeRole
    use: str = ""
    source: str = ""
    settings: Mapping_ | None = None
    policy: NodePolicy = NodePolicy()
    members: tuple[str, ...] = ()
    pattern: EventPattern | None = None
    playbook: PlaybookDecl | None = None
    group: str = ""
    places: tuple[Provenance, ...] = ()

    @property
    def place(self) -> Provenance | None:
        return self.places[0] if self.places else None


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow between two nodes, as written.

    port: the output port of the source that it starts at. source_kind, target_kind: the kind that a transport's
    endpoint names (``audio_frame`` of ``ingress.file.audio_frame``), empty elsewhere. rule: the index of the rule
    in the expanded order; siblings of an ``else`` share source and port.
    """

    source: str
    target: str
    rule: int
    source_place: Provenance
    target_place: Provenance
    port: str = ""
    source_kind: str = ""
    target_kind: str = ""
    guard: Guard | None = None
    queue: int | None = None
    overflow: Overflow | None = None
    cycle: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """The networkx multigraph and what the file says about the whole.

    ``net`` holds a Node under ``net.nodes[id]["node"]`` and an Edge under ``data["edge"]`` of each edge; treat it
    as frozen. ``documents`` are the files read, the opened one first.
    """

    net: nx.MultiDiGraph[str]
    name: str
    description: str
    documents: tuple[Document, ...]
    barge_in: BargeInDecl
    turns: TurnsDecl
    voice_to_voice: float | None = None
    interface: InterfaceDecl | None = None
    declared: Mapping[str, Provenance] = field(default_factory=dict)  # names under connectors:, used or not
    speculate: SpeculateDecl = SpeculateDecl()
    scenarios: tuple[Scenario, ...] = ()  # of the opened file; those of imported ones are their own

    @property
    def nodes(self) -> Mapping[str, Node]:
        return {name: data["node"] for name, data in self.net.nodes(data=True)}

    @property
    def edges(self) -> tuple[Edge, ...]:
        """In the order of the rules."""
        return tuple(sorted((d["edge"] for _, _, d in self.net.edges(data=True)), key=lambda e: e.rule))

    def into(self, node: str) -> Iterator[Edge]:
        return (d["edge"] for _, _, d in self.net.in_edges(node, data=True))

    def out_of(self, node: str) -> Iterator[Edge]:
        return (d["edge"] for _, _, d in self.net.out_edges(node, data=True))

    @property
    def sources(self) -> dict[str, Source]:
        return {d.source.file: d.source for d in self.documents}
