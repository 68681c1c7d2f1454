"""Arrows become typed routes: which kinds each carries, or why it can carry none."""

from __future__ import annotations

from collections.abc import Iterable

from echostack.checks.carry import Flow, alternatives, choose, makes, named_at_end, takes
from echostack.checks.codes import KINDS_DO_NOT_MEET, TRANSPORT_KIND, UNKNOWN_KIND, UNKNOWN_PORT
from echostack.checks.patterns import Events, match
from echostack.checks.work import Payloads, Route, Work, kinds, whole_arrow
from echostack.core.diagnostic import Label
from echostack.core.kinds import Payload
from echostack.graph import Edge, NodeRole
from echostack.registry import ConnectorSpec


def connect(work: Work) -> None:
    """Fill ``work.routes`` from the written arrows, in their order."""
    events = Events(work)
    matched = match(work, events)
    everything = {p: tuple(dict.fromkeys(k for ks in found.values() for k in ks)) for p, found in matched.items()}
    flow = Flow(work, everything)
    for edge in work.written:
        routes = _routes(work, edge, flow, matched)
        work.routes.extend(routes)
        if not routes:
            work.failed.add(id(edge))


def _routes(work: Work, edge: Edge, flow: Flow, matched: dict[str, dict[str, Payloads]]) -> list[Route]:
    target = work.end(edge.target)
    if work.nodes[target].node.role is NodeRole.PLAYBOOK or not _ports(work, edge):
        return []
    wanted = _wanted(work, edge, target)
    if wanted is None:
        return []
    groups = alternatives(work, target)
    role = work.nodes[edge.source].node.role
    if role is NodeRole.PATTERN:
        found = matched[edge.source]
        routes = [
            _route(edge, source, target, carried, str(work.nodes[edge.source].node.pattern))
            for source, payloads in found.items()
            if (carried := choose(payloads, wanted, groups))
        ]
        if found and not routes:
            _do_not_meet(work, edge, tuple(dict.fromkeys(p for ps in found.values() for p in ps)), wanted)
        return routes
    source = work.end(edge.source)
    if not work.known(source):
        return []
    if role is NodeRole.INGRESS and not _carried_by_ingress(work, edge):
        return []
    carried = _from(work, source, flow.of(edge), wanted, groups)
    if not carried:
        _do_not_meet(work, edge, flow.of(edge), wanted)
        return []
    return [_route(edge, source, target, carried)]


def _from(
    work: Work, source: str, available: Payloads, wanted: Payloads, groups: tuple[Payloads, ...]
) -> Payloads:  # fmt: skip
    """Of a choice, each member's own alternative counts: only one of them runs at a time."""
    specs = work.specs(source)
    if len(specs) < 2:
        return choose(available, wanted, groups)
    each = [choose([p for p in available if p in (*s.produces, *s.forwards)], wanted, groups) for s in specs]
    return tuple(p for p in wanted if any(p in one for one in each))


def _route(edge: Edge, source: str, target: str, carried: Payloads, pattern: str = "") -> Route:
    return Route(
        source, target, carried, edge, whole_arrow(edge), edge.port, edge.guard, edge.queue, edge.overflow, edge.cycle,
        pattern=pattern, rule=edge.rule,
    )  # fmt: skip


def _wanted(work: Work, edge: Edge, target: str) -> Payloads | None:
    """What the target takes at this end; None when that is not known or was reported."""
    if not work.known(target):
        return None
    wanted = takes(work, target)
    if not wanted and len(work.members(target)) > 1 and any(s.consumes for s in work.specs(target)):
        return None  # what is wrong is the choice itself, and is reported there
    if not edge.target_kind:
        return wanted
    named = named_at_end(wanted, edge.target_kind)
    if not named:
        _wrong_kind(work, edge.target, edge.target_kind, edge, "takes", wanted, outwards=True)
        return None
    return named


def _carried_by_ingress(work: Work, edge: Edge) -> bool:
    made = makes(work, edge.source)
    if any(p.__kind__.name == edge.source_kind for p in made):
        return True
    _wrong_kind(work, edge.source, edge.source_kind, edge, "makes", made, outwards=False)
    return False


def _wrong_kind(
    work: Work, node: str, kind: str, edge: Edge, verb: str, real: Payloads, *, outwards: bool
) -> None:  # fmt: skip
    place = edge.target_place if outwards else edge.source_place
    known = [p.__kind__.name for p in real]
    everything = work.every_kind()
    if kind not in everything and kind not in {k.base for k in everything.values()}:
        work.report(
            UNKNOWN_KIND, f"there is no kind {kind!r}", place,
            help=work.nearest(kind, [*known, *everything]) or f"{node} {verb} {kinds(real)}",
        )  # fmt: skip
        return
    work.report(
        TRANSPORT_KIND, f"{node} {verb} no {kind}", place,
        help=f"it {verb} {kinds(real)}: write {node}.{known[0]}" if known else f"it {verb} nothing",
    )  # fmt: skip


def _ports(work: Work, edge: Edge) -> bool:
    """Whether the port that an arrow starts at is there; on every member of a choice."""
    if not edge.port:
        return True
    for member in work.members(work.end(edge.source)):
        ports = work.nodes[member].ports
        if ports is None or edge.port in ports:
            continue
        known = f"its ports are {', '.join(f'{member}:{p}' for p in ports)}" if ports else "it has no ports"
        work.report(
            UNKNOWN_PORT, f"{member} has no port {edge.port!r}", edge.source_place,
            help=work.nearest(edge.port, ports) or known,
            notes=("a connector's ports may follow from its settings",) if ports else (),
        )  # fmt: skip
        return False
    return True


def _do_not_meet(work: Work, edge: Edge, available: Payloads, wanted: Payloads) -> None:
    source, target = edge.source, edge.target
    between = _between(work, available, wanted)
    if edge.source_kind:
        source = f"{edge.source}.{edge.source_kind}"
    gives = f"{source} {'carries' if edge.source_kind else 'makes'} {kinds(available)}"
    if work.nodes[edge.source].node.role is NodeRole.PATTERN:
        gives = f"{source} matches {kinds(available)}"
    if between:
        way = "; or ".join(
            f"{' -> '.join(s.name for s in specs)} (takes {kinds(choose(available, specs[0].consumes, ()))}, "
            f"makes {kinds(choose(specs[-1].produces, wanted, ()))})"
            for specs in between
        )
        help_ = f"what could stand between them: {way}"
    elif not wanted:
        help_ = f"{target} can only stand at the head of a rule"
    elif not available:
        help_ = f"{source} can only stand at the tail of a rule"
    else:
        help_ = "no connector known here turns the one into the other"
    work.report(
        KINDS_DO_NOT_MEET, f"nothing that {source} {'carries' if edge.source_kind else 'makes'} is taken by {target}",
        edge.target_place, label=f"{target} takes {kinds(wanted)}", related=(Label(edge.source_place.span, gives),),
        help=help_,
    )  # fmt: skip


def _between(work: Work, available: Payloads, wanted: Payloads) -> list[tuple[ConnectorSpec, ...]]:
    """Up to three connectors, or failing that pairs of them, that turn what is available into what is wanted."""
    if not available or not wanted:
        return []
    inner = [s for s in work.every_spec() if s.role not in ("ingress", "egress") and not s.effect]
    firsts = [s for s in inner if _meet(s.consumes, available)]
    lasts = [s for s in inner if _meet(s.produces, wanted)]
    single: list[tuple[ConnectorSpec, ...]] = [(s,) for s in firsts if s in lasts]
    if single:
        return single[:3]
    pairs: list[tuple[ConnectorSpec, ...]] = [
        (a, b) for a in firsts for b in lasts if a is not b and _meet(a.produces, b.consumes)
    ]
    return pairs[:3]


def _meet(some: Iterable[type[Payload]], others: Payloads) -> bool:
    return any(p in others for p in some)
