"""What became of a recorded call in another graph, against what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from echostack.simulation.through.parts import Part


@dataclass(frozen=True, slots=True)
class Link:
    """One event of a chain of causes: when (session seconds), its name, the node that made it, and what it says."""

    time: float
    name: str
    node: str
    says: str


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a difference: the event, its number, and what led to it, the nearest cause first."""

    event: Link
    seq: int
    causes: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class First:
    """The first thing that is not as it was recorded. before, after: None where nothing stands against the other.
    why: what in the graph led to it, as far as that can be said."""

    time: float
    what: str
    before: Side | None
    after: Side | None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """The whole comparison. ``first`` is None when the call is what it was.

    nodes: what each node was, and how often an input of one that is replayed was known, was not, and was known only in
    part. changed: why a node does not answer as recorded. graph: what differs between the graphs. counts: events by
    name, before and after, where they differ. talk: lines of the conversation, ``-`` before, ``+`` after, else both.
    voice: milliseconds from the end of the turns to the replies. writes: effects by node. until: up to when (session
    seconds) the two were compared. crash: the error that ended the new call from inside. notes: what is to be known of
    the comparison itself.
    """

    graph: tuple[str, ...]
    nodes: Mapping[str, Part]
    known: Mapping[str, tuple[int, int, int]]
    changed: Mapping[str, str]
    first: First | None
    exact: bool
    until: float
    events: tuple[int, int] = (0, 0)
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    talk: Sequence[tuple[str, str, str]] = ()
    voice: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    writes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    drops: tuple[int, int] = (0, 0)
    crash: str = ""
    notes: tuple[str, ...] = ()

    @property
    def none(self) -> bool:
        """Whether nothing differs."""
        return self.first is None and not self.crash

    def data(self) -> dict[str, Any]:
        """The same as JSON-ready data."""
        first = self.first
        return {
            "different": not self.none,
            "exact": self.exact,
            "until": round(self.until, 6),
            "graph": list(self.graph),
            "nodes": {
                name: {"part": str(part), **dict(zip(("known", "unknown", "cut"), self.known[name], strict=True))}
                if name in self.known
                else {"part": str(part)}
                for name, part in self.nodes.items()
            },
            "changed": dict(self.changed),
            "first": None
            if first is None
            else {
                "time": round(first.time, 6), "what": first.what, "before": _side(first.before),
                "after": _side(first.after), "why": list(first.why),
            },
            "events": list(self.events),
            "counts": {name: list(pair) for name, pair in self.counts.items()},
            "conversation": [list(line) for line in self.talk],
            "voice_to_voice_ms": [list(side) for side in self.voice],
            "writes": {name: list(pair) for name, pair in self.writes.items()},
            "dropped": list(self.drops),
            "crash": self.crash,
            "notes": list(self.notes),
        }  # fmt: skip


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {"seq": side.seq, **_link(side.event), "causes": [_link(link) for link in side.causes]}


def _link(link: Link) -> dict[str, Any]:
    return {"time": round(link.time, 6), "name": link.name, "node": link.node, "says": link.says}
