"""A graph, checked or not, becomes a Picture: what runs where it is known, what is written where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from echostack.checks.model import ENGINE, CheckedEdge, CheckedGraph, CheckedNode
from echostack.core.diagnostic import Diagnostic
from echostack.core.events import EventPattern
from echostack.core.kinds import KindSpec
from echostack.graph.model import Edge, Graph, Node, NodeRole
from echostack.plan.model import Plan, PlanEdge
from echostack.registry import ConnectorSpec
from echostack.render.frames import Standing, nest
from echostack.render.labels import fold_kinds, guard_text, medium_of, policy_text
from echostack.render.marks import place_marks
from echostack.render.model import Box, Line, Medium, Member, Part, Picture
from echostack.render.roles import part_of

MOST_ROUTES = 3
"""A pattern that resolves to more routes than this into one node is drawn as itself, not as all of them."""


def picture(graph: CheckedGraph | Graph, *, findings: Iterable[Diagnostic] = (), plan: Plan | None = None) -> Picture:
    """The picture of a graph, in the graph's own order, so that equal inputs give equal pictures.

    A Graph is drawn as written (it may have errors); a CheckedGraph as it runs, with what the compiler put in;
    a ``plan`` adds islands and queues. ``findings`` are marked where they point.
    """
    if isinstance(graph, CheckedGraph):
        return _Checked(graph, tuple(findings), plan).draw()
    return _Written(graph, tuple(findings)).draw()


class _Drawing:
    """What drawing a written and a checked graph have in common: boxes, standings, marks, frames, the title."""

    def __init__(self, graph: Graph, findings: tuple[Diagnostic, ...]) -> None:
        self.graph = graph
        self.node_marks, self.edge_marks, self.rest = place_marks(graph, findings)
        self.boxes: dict[str, Box] = {}
        self.standing: dict[str, Standing] = {}
        self.lines: list[Line] = []

    def finish(self, scopes: Mapping[int, str], *, planned: bool = False) -> Picture:
        inner, frames = nest(self.standing, scopes, _import_files(self.graph))
        boxes = tuple(replace(box, frame=inner[box.id]) for box in self.boxes.values())
        file = PurePosixPath(self.graph.documents[0].source.file).name if self.graph.documents else ""
        title = self.graph.name or file or "pipeline"
        return Picture(title, self.graph.description, boxes, tuple(self.lines), frames, self.rest, planned)

    def choice_members(self, nodes: Mapping[str, Node], busy: set[str]) -> set[str]:
        """Members that need no box of their own: they are rows of their fallback and nothing else reaches them."""
        return {m for n in nodes.values() if n.role is NodeRole.CHOICE for m in n.members if m not in busy}

    def add_box(self, node: Node, part: Part, members: tuple[Member, ...], standing: Standing) -> None:
        title = node.id.rpartition("/")[2]
        if part in (Part.INGRESS, Part.EGRESS) and title.count("."):
            title = title.partition(".")[2]
        if part is Part.CHOICE:
            title = "first that works"
        aliased = node.role is NodeRole.CONNECTOR and node.use and node.use != node.id.rpartition("/")[2]
        marks = list(self.node_marks.get(node.id, ()))
        for member in node.members:
            marks.extend(self.node_marks.get(member, ()))
        note = node.use if aliased else ""
        self.boxes[node.id] = Box(node.id, title, part, note, members=members, marks=tuple(dict.fromkeys(marks)))
        self.standing[node.id] = standing

    def pattern_box(self, pattern: str, note: str, standing: Standing) -> str:
        if pattern not in self.boxes:
            self.boxes[pattern] = Box(pattern, pattern, Part.PATTERN, note)
            self.standing[pattern] = standing
        return pattern


class _Written(_Drawing):
    """A graph as its file says it, before anything is known of connectors."""

    def draw(self) -> Picture:
        nodes = dict(self.graph.nodes)
        busy = {e for edge in self.graph.edges for e in (edge.source, edge.target)}
        hidden = self.choice_members(nodes, busy)
        for name, node in nodes.items():
            if name not in hidden:
                members = tuple(
                    Member(m.rpartition("/")[2], part_of(nodes[m], None)) for m in node.members if m in nodes
                )
                self.add_box(node, part_of(node, None), members, Standing(node.group))
        for edge in self.graph.edges:
            kinds = tuple(dict.fromkeys(k for k in (edge.source_kind, edge.target_kind) if k))
            policy = ", ".join(p for p in (policy_text(edge.queue, edge.overflow), "cycle" if edge.cycle else "") if p)
            self.lines.append(
                Line(
                    edge.source, edge.target, _written_medium(edge), fold_kinds(kinds), edge.port,
                    guard_text(edge.guard), policy,
                    marks=self.edge_marks.get((edge.source, edge.target, edge.rule), ()),
                    quiet=nodes[edge.source].role is NodeRole.PATTERN,
                )
            )  # fmt: skip
        return self.finish({})


class _Checked(_Drawing):
    """A graph as it runs: kinds on the lines, taps and resamplers where the compiler put them."""

    def __init__(self, checked: CheckedGraph, findings: tuple[Diagnostic, ...], plan: Plan | None) -> None:
        super().__init__(checked.graph, findings)
        self.checked, self.plan = checked, plan
        self.scope_of = {n: s.id for s in checked.scopes for n in (*s.nodes, *s.egresses)}
        self.routes: dict[tuple[str, str], set[str]] = {}
        for edge in checked.edges:
            self.routes.setdefault((edge.pattern, edge.target), set()).add(edge.source)
        # A node alone in its island is what everybody takes a node to be: only company is worth a word.
        self.islands = {i.id for i in plan.islands if len(i.nodes) > 1} if plan else set()
        self.queues: dict[str, PlanEdge] = {e.id: e for e in plan.edges} if plan else {}

    def draw(self) -> Picture:
        checked = self.checked
        nodes = {c.id: c.node for c in checked.nodes.values()}
        busy = {e for edge in checked.edges for e in (edge.source, edge.target)}
        hidden = self.choice_members(nodes, busy)
        for name, node in checked.nodes.items():
            if name not in hidden:
                self._box(node)
        for edge in checked.edges:
            self._line(edge, self._start(edge))
        scopes = {s.id: f"{s.name}: silenced together by the caller's speech" for s in checked.scopes}
        self._interruptions()
        drawn = self.finish(scopes, planned=self.plan is not None)
        return replace(drawn, lines=_merge(drawn.lines))

    def _box(self, checked: CheckedNode) -> None:
        nodes = self.checked.nodes
        names = checked.members or checked.node.members
        members = tuple(_member(nodes[m].node, nodes[m].spec) for m in names if m in nodes)
        planned = self.plan.nodes.get(checked.id) if self.plan else None
        badges = (f"island {planned.island}",) if planned and planned.island in self.islands else ()
        standing = Standing(checked.node.group, self.scope_of.get(checked.id, 0), planned.island if planned else -1)
        part = part_of(checked.node, checked.spec)
        self.add_box(checked.node, part, members, standing)
        self.boxes[checked.id] = replace(self.boxes[checked.id], badges=badges, inserted=checked.inserted)

    def _start(self, edge: CheckedEdge) -> str:
        """Where the line of a route begins: its source, or the pattern when that says more than all its routes."""
        if edge.source != ENGINE:
            routes = len(self.routes[edge.pattern, edge.target])
            if not edge.pattern or routes <= MOST_ROUTES:
                return edge.source
            return self.pattern_box(edge.pattern, f"{routes} sources", Standing(self._group(edge.target)))
        return self.pattern_box(edge.pattern or "control.*.*", "from the engine", Standing(self._group(edge.target)))

    def _group(self, node: str) -> str:
        return self.checked.nodes[node].node.group if node in self.checked.nodes else ""

    def _line(self, edge: CheckedEdge, start: str) -> None:
        kinds = tuple(p.__kind__ for p in edge.payloads)
        planned = self.queues.get(edge.id)
        queue = planned.queue if planned else None
        policy = ", ".join(p for p in (policy_text(edge.queue, edge.overflow), "cycle" if edge.cycle else "") if p)
        detail = ""
        if queue:
            detail = policy_text(queue.bound, queue.overflow) + (", control lane" if queue.control else "")
        line = Line(
            start, edge.target, medium_of(kinds), fold_kinds(k.name for k in kinds), edge.port,
            guard_text(edge.guard), policy, detail, self.edge_marks.get((edge.source, edge.target, edge.rule), ()),
            quiet=bool(edge.pattern), queued=queue is not None,
        )  # fmt: skip
        if start != edge.source:
            line = replace(line, kinds=(), port="")
        if edge.resample is None:
            self.lines.append(line)
            return
        name = f"resample {edge.source} > {edge.target}"
        mine, theirs = self.standing.get(start, Standing()), self.standing.get(edge.target, Standing())
        self.boxes[name] = Box(name, str(edge.resample), Part.RESAMPLER, inserted=True)
        self.standing[name] = Standing(
            mine.group if mine.group == theirs.group else "", mine.scope if mine.scope == theirs.scope else 0
        )
        self.lines.append(replace(line, target=name, policy="", detail="", queued=False, arrow=False))
        self.lines.append(
            Line(name, edge.target, line.medium, policy=line.policy, detail=line.detail, queued=line.queued)
        )

    def _interruptions(self) -> None:
        """An arrow from whoever notices the caller's speech to the border of every scope."""
        try:
            pattern = EventPattern.parse(self.checked.barge_in_on)
        except ValueError:
            return
        for node in self.checked.nodes.values():
            if node.id in self.boxes and any(pattern.matches(name) for name in _events(node.node, node.spec)):
                for scope in self.checked.scopes:
                    inside = [n for n in scope.nodes if n in self.boxes and n != node.id]
                    if inside:
                        into = f"scope {scope.id}"
                        # The arrow ends at the border, near where the other arrows enter.
                        entered = {e.target for e in self.lines if self.scope_of.get(e.source) != scope.id}
                        inside.sort(key=lambda name, entered=entered: name not in entered)  # type: ignore[misc]
                        self.lines.append(
                            Line(node.id, inside[0], Medium.CONTROL, ("interrupts",), quiet=True, into=into)
                        )


def _member(node: Node, spec: ConnectorSpec | None) -> Member:
    return Member(node.id.rpartition("/")[2], part_of(node, spec))


def _events(node: Node, spec: ConnectorSpec | None) -> list[str]:
    stage = "control" if spec is None else "processing"
    kinds: tuple[KindSpec, ...] = spec.produced_kinds if spec else ()
    return [f"{stage}.{node.source}.{k.name}" for k in kinds]


def _written_medium(edge: Edge) -> Medium:
    return Medium.AUDIO if {edge.source_kind, edge.target_kind} & {"audio_frame", "audio_chunk"} else Medium.WORDS


def _merge(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """A pattern's several routes into one node are one line; anything else stays as it is."""
    return tuple(dict.fromkeys(lines))


def _import_files(graph: Graph) -> dict[str, str]:
    """The file behind every chain of imports, as the importing file writes it."""
    found: dict[str, str] = {}
    if not graph.documents:
        return found
    todo = [("", graph.documents[0])]
    while todo:
        chain, document = todo.pop(0)
        for name, declared in document.imports.items():
            inner = f"{chain}/{name}" if chain else name
            found[inner] = declared.path
            end = PurePosixPath(declared.path).name
            nested = [d for d in graph.documents[1:] if PurePosixPath(d.source.file).name == end]
            if nested and inner.count("/") < len(graph.documents):
                todo.append((inner, nested[0]))
    return found
