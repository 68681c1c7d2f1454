"""Other ends for a graph: a recording calls and a file listens, or this machine's microphone and loudspeaker do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import networkx as nx

from echostack.core.errors import UsageError
from echostack.core.span import Span
from echostack.graph.model import Graph, Node, NodeRole
from echostack.language.data import Mapping_, Scalar, Value

PLACE = Span("<command line>", 1, 1, 1, 1)


def with_files(graph: Graph, caller: Path | None, reply: Path | None) -> Graph:
    """``graph`` with the recording ``caller`` at its ingress and the file ``reply`` at its egress, None for its own.

    UsageError when there is no such end, or more than one that it could be, or the recording is not there.
    """
    if caller is not None:
        if not caller.is_file():
            what = "this is not a file" if caller.exists() else "there is no such file"
            raise UsageError(f"--in {caller}: {what}")
        graph = _with_end(graph, NodeRole.INGRESS, "ingress.file", {"path": str(caller)}, "--in")
    if reply is not None:
        graph = _with_end(graph, NodeRole.EGRESS, "egress.file", {"path": str(reply)}, "--out")
    return graph


def refuse_overwriting(written: Mapping[str, Path | None], read: Mapping[str, Path | None]) -> None:
    """UsageError when a call would write one file twice, or write one that it reads, under whatever name.

    written: the option and its path; read: what the file is and its path; None for an option that was not given.
    """
    taken = {what: path for what, path in read.items() if path is not None}
    for option, path in written.items():
        if path is None:
            continue
        for what, other in taken.items():
            if _same(path, other):
                raise UsageError(f"{option} {path} would overwrite {what}: name another file")
        taken[f"what {option} writes"] = path


def _same(one: Path, other: Path) -> bool:
    try:
        # A device such as /dev/null keeps nothing that could be lost.
        return one.samefile(other) and one.is_file()
    except OSError:  # one of them is not there yet
        return one.resolve() == other.resolve()


def with_this_machine(graph: Graph) -> Graph:
    """``graph`` with the microphone at its ingress and the loudspeaker at its egress. UsageError as ``with_files``."""
    graph = _with_end(graph, NodeRole.INGRESS, "ingress.mic", {}, "talk")
    return _with_end(graph, NodeRole.EGRESS, "egress.speaker", {}, "talk")


def with_program(graph: Graph, transport: str) -> Graph:
    """``graph`` with its ingress under the name of a transport that the program itself feeds, and no egress shares."""
    (end,) = (node for node in graph.nodes.values() if node.role is NodeRole.INGRESS)
    return _replaced(graph, replace(end, source=transport))


def _with_end(graph: Graph, role: NodeRole, use: str, settings: Mapping[str, str], asked: str) -> Graph:
    ends = [node for node in graph.nodes.values() if node.role is role]
    if len(ends) != 1:
        has = f"{len(ends)} of them: {', '.join(n.id for n in ends)}" if ends else "none"
        name = graph.name or "this one"
        raise UsageError(f"{asked} needs a file with exactly one {role.value}, and {name} has {has}")
    # The node keeps its name, so events keep theirs; its own settings stay when they are this connector's.
    kept = ends[0].settings if ends[0].use == use else None
    return _replaced(graph, replace(ends[0], use=use, settings=_laid_over(kept, settings)))


def _laid_over(kept: Mapping_ | None, settings: Mapping[str, str]) -> Mapping_:
    items: dict[str, Value] = dict(kept.items) if kept else {}
    items.update({key: Scalar(value, PLACE) for key, value in settings.items()})
    keys = {**dict.fromkeys(items, PLACE), **(kept.keys if kept else {})}
    return Mapping_(items, keys, kept.span if kept else PLACE)


def _replaced(graph: Graph, node: Node) -> Graph:
    net: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for name, old in graph.nodes.items():
        net.add_node(name, node=node if name == node.id else old)
    for edge in graph.edges:
        net.add_edge(edge.source, edge.target, edge=edge)
    return replace(graph, net=net)
