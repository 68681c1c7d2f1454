"""Cycles: by accident, and on purpose but without a queue that can drop."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from echostack.checks.codes import ACCIDENTAL_CYCLE, DEADLOCK, NO_CYCLE, PATTERN_CYCLE
from echostack.checks.work import Route, Work
from echostack.core.diagnostic import Label
from echostack.core.kinds import Overflow

_HOW = "if it is meant, mark the rule that closes it: {cycle: true, queue: 8, overflow: drop_oldest}"


def check(work: Work) -> None:
    """Every cycle must be marked, and pass a queue that can drop; every mark must be on a cycle."""
    order = {name: i for i, name in enumerate(work.nodes)}
    routes = [r for r in work.routes if r.source in order]
    accidental = _cycles([r for r in routes if not r.cycle], order)
    for path in accidental:
        _accidental(work, path)
    if not accidental:
        for path in _cycles([r for r in routes if not _can_drop(r)], order):
            _deadlock(work, path)
    marked = [r for r in routes if r.cycle]
    if marked and not accidental:
        together = {n: i for i, part in enumerate(_components(routes)) for n in part}
        for route in marked:
            if route.source != route.target and together[route.source] != together[route.target]:
                work.report(
                    NO_CYCLE, f"{route.source} -> {route.target} is marked as a cycle, and is on none", route.place,
                    help="remove `cycle: true`",
                )  # fmt: skip


def _can_drop(route: Route) -> bool:
    """Whether the route asks for a queue, and no producer ever waits for room in it."""
    if route.overflow is not None:
        return route.overflow is not Overflow.BLOCK
    return route.queue is not None and all(p.__kind__.overflow is not Overflow.BLOCK for p in route.payloads)


def _components(routes: Iterable[Route]) -> list[set[str]]:
    net: nx.DiGraph[str] = nx.DiGraph()
    net.add_edges_from((r.source, r.target) for r in routes)
    return list(nx.strongly_connected_components(net))


def _cycles(routes: list[Route], order: dict[str, int]) -> list[list[Route]]:
    """A shortest cycle through the first node of each strongly connected part, in graph order."""
    leaving: dict[str, list[Route]] = {}
    for route in routes:
        leaving.setdefault(route.source, []).append(route)
    found = []
    for part in _components(routes):
        start = min(part, key=lambda n: order[n])
        if len(part) > 1 or any(r.target == start for r in leaving.get(start, ())):
            found.append(_shortest(start, part, leaving))
    return sorted(found, key=lambda path: order[path[0].source])


def _shortest(start: str, part: set[str], leaving: dict[str, list[Route]]) -> list[Route]:
    came: dict[str, Route] = {}
    todo = [start]
    for node in todo:
        for route in leaving.get(node, ()):
            if route.target == start:
                path = [route]
                while path[-1].source != start:
                    path.append(came[path[-1].source])
                return path[::-1]
            if route.target in part and route.target not in came:
                came[route.target] = route
                todo.append(route.target)
    raise AssertionError("a strongly connected part has a cycle through each of its nodes")


def _accidental(work: Work, path: list[Route]) -> None:
    last = path[-1]
    via = next((r for r in path if r.pattern), None)
    if len(path) == 1 and via is not None:
        work.report(
            PATTERN_CYCLE, f"{via.pattern} feeds {via.target}, whose own events it matches", via.place,
            notes=(f"{via.target} would work on what it made itself, without end",),
            help="name the source instead of `*`, or subscribe to another kind",
        )  # fmt: skip
        return
    notes = [
        f"{r.source} -> {r.target} comes from the pattern {r.pattern}, which matches what {r.source} makes"
        for r in path
        if r.pattern
    ]
    work.report(
        ACCIDENTAL_CYCLE, f"events go round in a circle: {_told(path)}", last.place, related=_labels(path[:-1]),
        notes=notes, help=_HOW,
    )  # fmt: skip


def _deadlock(work: Work, path: list[Route]) -> None:
    last = next((r for r in path if r.cycle), path[-1])
    work.report(
        DEADLOCK, f"the cycle {_told(path)} can deadlock: every queue on it blocks when it is full", last.place,
        related=_labels(r for r in path if r is not last),
        notes=("each node of it can come to wait for the next, and then none goes on",),
        help="let one queue drop: {cycle: true, queue: 8, overflow: drop_oldest}",
    )  # fmt: skip


def _told(path: list[Route]) -> str:
    return " -> ".join([*(r.source for r in path), path[-1].target])


def _labels(path: Iterable[Route]) -> tuple[Label, ...]:
    return tuple(Label(r.place.span, f"{r.source} -> {r.target}") for r in path if r.place is not None)
