"""`build`: a document becomes a graph. Rules are expanded in order, the opened file's before those it imports.

Decisions that a reader of a `.echo` file can rely on:
- A name is an identity within its file; an import's nodes are `speak/piper.tts`. Transports belong to the call, so
  `ingress.file` is one node whichever file names it, and the outermost declaration of its settings holds.
- A pattern subscribes to the call's events by their names, whichever file it stands in.
- The events of a node go by its vendor, those of an alias by the alias (`sales` makes `processing.sales.…`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import networkx as nx

from echostack.core.diagnostic import Findings, at
from echostack.graph.codes import TOO_LARGE
from echostack.graph.ends import End, Ends
from echostack.graph.files import Library, project_root
from echostack.graph.frame import Frame, frames, open_frames
from echostack.graph.model import Edge, Graph
from echostack.language.ast import Arrow, Rule, RuleOptions
from echostack.language.document import Document

MAX_EDGES: Final = 100_000
"""How many edges one graph may expand to."""


def build(document: Document, findings: Findings, *, root: Path | None = None) -> Graph:
    """The graph of ``document``, imports expanded; whatever is wrong goes to ``findings`` and is left out.

    ``root`` is the folder that imports may not leave (see ``graph.files``); it is found from the document's own
    file name when it is None. Reads the imported files; never raises for what a file says.
    """
    file = document.source.file
    folder = (root if root is not None else project_root(file)).resolve()
    findings.sources.setdefault(file, document.source)
    opened = open_frames(document, str(Path(file).resolve()), Library(folder, findings), findings)
    everything = frames(opened)
    ends = Ends(findings, everything)
    edges = _Edges(findings, ends)
    for frame in everything:
        for rule in frame.document.pipeline:
            edges.expand(frame, rule)
    interfaces = [ends.interface(frame) for frame in everything]
    net: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for node in ends.finished():
        net.add_node(node.id, node=node)
    for edge in edges.found:
        net.add_edge(edge.source, edge.target, edge=edge)
    return Graph(
        net,
        document.name,
        document.description,
        tuple({id(f.document): f.document for f in everything}.values()),
        document.barge_in,
        document.turns,
        document.voice_to_voice,
        interfaces[0],
        ends.declared(),
        document.speculate,
        document.tests,
    )


class _Edges:
    """The rules, one after the other, as edges."""

    def __init__(self, findings: Findings, ends: Ends) -> None:
        self.findings = findings
        self.ends = ends
        self.found: list[Edge] = []
        self._rule = 0

    def expand(self, frame: Frame, rule: Rule) -> None:
        index, self._rule = self._rule, self._rule + 1
        # Options on a longer rule are an error that reading it has reported: they would not say which arrow they mean.
        options = rule.options if len(rule.arrows) == 1 else RuleOptions()
        last = len(rule.stages) - 1
        sources: list[End] = []
        for position, stage in enumerate(rule.stages):
            as_sources: list[End] = []
            as_targets: list[End] = []
            for choice in stage.choices:
                source, target = self.ends.resolve(frame, choice, head=position == 0, tail=position == last)
                if source is not None:
                    as_sources.append(source)
                if target is not None:
                    as_targets.append(target)
            if position > 0:
                self._connect(frame, index, rule.arrows[position - 1], sources, as_targets, options)
            sources = as_sources

    def _connect(
        self, frame: Frame, rule: int, arrow: Arrow, sources: list[End], targets: list[End], options: RuleOptions
    ) -> None:
        if len(self.found) + len(sources) * len(targets) > MAX_EDGES:
            self.findings.add(
                at(TOO_LARGE, f"the graph expands to more than {MAX_EDGES:,} edges", frame.at(arrow.span),
                   help="two large groups joined by one arrow multiply: put a node between them")
            )  # fmt: skip
            return
        for source in sources:
            for target in targets:
                self.found.append(
                    Edge(
                        source.node,
                        target.node,
                        rule,
                        source.place,
                        target.place,
                        source.port,
                        source.kind,
                        target.kind,
                        arrow.guard,
                        options.queue,
                        options.overflow,
                        options.cycle,
                    )
                )
