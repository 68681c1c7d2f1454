"""Event patterns against the events that the graph's nodes, and the engine itself, really make.

A pattern matches what a node produces, under its own source, never what it forwards. `control.*` and `error.*`
events come from the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from echostack.checks.codes import NO_PRODUCER, UNKNOWN_KIND
from echostack.checks.model import ENGINE
from echostack.checks.work import Payloads, Work
from echostack.core.events import EventPattern, event_name
from echostack.core.kinds import Payload
from echostack.core.payloads import (
    ENGINE_CONTROL,
    FAILURES,
    Aborted,
    BudgetExceeded,
    CallEnded,
    CallStarted,
    Committed,
    GuessConfirmed,
    GuessDiscarded,
    GuessStarted,
    PlayoutFinished,
    PlayoutStarted,
    Suspended,
    TurnTimed,
)  # fmt: skip
from echostack.graph import Node, NodeRole
from echostack.registry import Form


@dataclass(frozen=True, slots=True)
class Producer:
    """One event that can happen: its name, its payload, and the node that makes it (``@engine`` for our own)."""

    name: str
    payload: type[Payload]
    node: str


class Events:
    """Every event that can happen in a call of this graph, found by kind."""

    def __init__(self, work: Work) -> None:
        self._by_kind: dict[tuple[str, str], list[Producer]] = {}
        self.names: dict[str, None] = {}
        self._failing: dict[str, None] = {}  # sources whose failures are not among the events yet
        speakers: dict[str, None] = {}
        for resolved in work.nodes.values():
            node, spec = resolved.node, resolved.spec
            if spec is None:
                continue
            self._failing[node.source] = None
            if spec.form is Form.SINK:
                speakers[node.source] = None
            for payload in spec.produces:
                self._add("processing", node.source, payload, work.end(node.id))
        for payload in (CallStarted, CallEnded):
            self._add("control", "call", payload, ENGINE)
        for payload in (Suspended, Committed, Aborted) if work.graph.barge_in.enabled else ():
            self._add("control", "barge_in", payload, ENGINE)
        for payload in (GuessStarted, GuessConfirmed, GuessDiscarded) if work.graph.speculate.on else ():
            self._add("control", "speculation", payload, ENGINE)
        for speaker in speakers:
            for payload in (PlayoutStarted, PlayoutFinished):
                self._add("control", speaker, payload, ENGINE)
        if speakers:
            self._add("control", "call", TurnTimed, ENGINE)
        if speakers and work.graph.voice_to_voice is not None:
            self._add("control", "budget", BudgetExceeded, ENGINE)

    def _add(self, stage: str, source: str, payload: type[Payload], node: str) -> None:
        name = event_name(stage, source, payload.__kind__.name)
        self._by_kind.setdefault((stage, payload.__kind__.name), []).append(Producer(name, payload, node))
        self.names[name] = None

    def _add_failures(self) -> None:
        """Every node can fail in every way: many events, which few graphs ask for."""
        for source in self._failing:
            for payload in FAILURES:
                self._add("error", source, payload, ENGINE)
        self._failing = {}

    def matching(self, pattern: EventPattern) -> dict[str, Payloads]:
        """The nodes whose events ``pattern`` matches, each with the kinds matched, in graph order."""
        stage, kind = pattern.parts[0], ".".join(pattern.parts[2:])
        if stage == "error":
            self._add_failures()
        if "*" in kind:
            candidates = [p for (s, _), found in self._by_kind.items() if s == stage for p in found]
        else:
            candidates = self._by_kind.get((stage, kind), [])
        found: dict[str, dict[type[Payload], None]] = {}
        for producer in candidates:
            if pattern.matches(producer.name):
                found.setdefault(producer.node, {})[producer.payload] = None
        return {node: tuple(payloads) for node, payloads in found.items()}


def match(work: Work, events: Events) -> dict[str, dict[str, Payloads]]:
    """For every pattern node: the nodes that it matches, with the kinds. One that matches nothing is reported."""
    found = {}
    for resolved in work.of_role(NodeRole.PATTERN):
        node = resolved.node
        assert node.pattern is not None
        found[node.id] = events.matching(node.pattern)
        if not found[node.id]:
            _nothing(work, node, node.pattern, events)
    return found


def _nothing(work: Work, node: Node, pattern: EventPattern, events: Events) -> None:
    stage, source = pattern.parts[:2]
    kind = ".".join(pattern.parts[2:])
    known = work.every_kind()
    if "*" not in kind and kind not in known:
        work.report(
            UNKNOWN_KIND, f"there is no kind {kind!r}", node.place,
            help=work.nearest(kind, known) or "`echostack connectors` shows what each connector makes",
        )  # fmt: skip
        return
    if any(not work.known(n) and work.nodes[n].node.role in (NodeRole.CONNECTOR, NodeRole.INGRESS) for n in work.nodes):
        return  # a node whose connector is not known may well make it; that has been reported
    here = [n for n in events.names if n.startswith(f"{stage}.") and n.split(".", 2)[2] == kind]
    made = [n.split(".", 2)[2] for n in events.names if n.startswith(f"{stage}.{source}.")]
    notes = [f"{source} makes {', '.join(made)}"] if made and stage == "processing" else []
    if here:
        shown = f"{', '.join(here[:5])}{', …' if len(here) > 5 else ''}"
        help_ = (
            work.nearest(source, [n.split(".", 2)[1] for n in here]) or "name a source of this graph, or `*` for any"
        )
        notes.append(f"the events of this kind are {shown}")
    else:
        makers = [s.name for s in work.every_spec() if any(p.__kind__.name == kind for p in s.produces)]
        help_ = f"what makes {kind} is {', '.join(makers[:5])}" if makers else "remove the rule"
        if stage != "processing":
            help_ = f"{stage} events are {', '.join(_engine_kinds(stage))}"
    work.report(NO_PRODUCER, f"no event matches {pattern}", node.place, notes=notes, help=help_)


def _engine_kinds(stage: str) -> list[str]:
    return [p.__kind__.name for p in (FAILURES if stage == "error" else ENGINE_CONTROL)]
