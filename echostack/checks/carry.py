"""What a node takes and makes, what reaches it, and what an arrow between two nodes therefore carries.

For a choice: it takes what all its members take, and makes what any of them makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from echostack.checks.work import Payloads, Work
from echostack.core.kinds import Payload
from echostack.graph import Edge, NodeRole


def takes(work: Work, node: str) -> Payloads:
    """The kinds that ``node`` consumes, in the order of its annotations."""
    specs = work.specs(node)
    if not specs:
        return ()
    return tuple(p for p in specs[0].consumes if all(p in s.consumes for s in specs[1:]))


def alternatives(work: Work, node: str) -> tuple[Payloads, ...]:
    """The groups of which an arrow to ``node`` carries only the first that its source makes."""
    return tuple(dict.fromkeys(group for spec in work.specs(node) for group in spec.alternatives))


def makes(work: Work, node: str) -> Payloads:
    """The kinds that ``node`` produces itself, forwarded ones not among them."""
    return tuple(dict.fromkeys(p for spec in work.specs(node) for p in spec.produces))


def named_at_end(payloads: Iterable[type[Payload]], kind: str) -> Payloads:
    """The kinds that an egress's end names: ``audio_chunk`` means its pieces (``audio_chunk.stream``) too."""
    return tuple(p for p in payloads if kind in (p.__kind__.name, p.__kind__.base))


def choose(available: Iterable[type[Payload]], wanted: Payloads, groups: tuple[Payloads, ...]) -> Payloads:
    """What is both available and wanted, of each group of alternatives only the first."""
    have = set(available)
    carried = [p for p in wanted if p in have]
    for group in groups:
        first = next((p for p in group if p in carried), None)
        carried = [p for p in carried if p is first or p not in group]
    return tuple(carried)


class Flow:
    """What leaves every node: what it makes, and what reaches it that it forwards.

    Found as the least fixed point along the written arrows; a node's set only grows, so it takes at most (nodes
    that forward) x (kinds) steps. Where what reaches a node is not known (nothing feeds it, or something broken
    does), everything that it forwards counts as reaching it, so that one mistake is not reported twice.
    """

    def __init__(self, work: Work, matched: Mapping[str, Payloads]) -> None:
        self._work = work
        self._matched = matched  # pattern node -> the kinds that it matches
        self._leaves: dict[str, dict[type[Payload], None]] = {}
        incoming: dict[str, list[Edge]] = {}
        followers: dict[str, list[str]] = {}
        for edge in work.written:
            source, target = work.end(edge.source), work.end(edge.target)
            incoming.setdefault(target, []).append(edge)
            followers.setdefault(source, []).append(target)
        forwards: dict[str, Payloads] = {}
        for node in work.nodes:
            self._leaves[node] = dict.fromkeys(makes(work, node))
            passed = tuple(dict.fromkeys(p for spec in work.specs(node) for p in spec.forwards))
            if passed:
                forwards[node] = passed
        entered = work.interface()[0]
        todo = dict.fromkeys(forwards)
        while todo:
            node = next(iter(todo))
            del todo[node]
            edges = incoming.get(node, ())
            unknown = not edges or node in entered or any(self._unknown(e) for e in edges)
            reaches = set(forwards[node]) if unknown else {p for e in edges for p in self.of(e)}
            leaves = self._leaves[node]
            before = len(leaves)
            leaves.update(dict.fromkeys(p for p in forwards[node] if p in reaches))
            if len(leaves) > before:
                todo.update(dict.fromkeys(f for f in followers.get(node, ()) if f in forwards))

    def leaving(self, node: str) -> Payloads:
        return tuple(self._leaves[node])

    def of(self, edge: Edge) -> Payloads:
        """What the source of ``edge`` can send along it."""
        node = self._work.nodes[edge.source].node
        if node.role is NodeRole.PATTERN:
            return self._matched.get(node.id, ())
        leaving = self.leaving(self._work.end(edge.source))
        if node.role is NodeRole.INGRESS:
            return tuple(p for p in leaving if p.__kind__.name == edge.source_kind)
        return leaving

    def _unknown(self, edge: Edge) -> bool:
        role = self._work.nodes[edge.source].node.role
        return role is not NodeRole.PATTERN and not self._work.known(self._work.end(edge.source))
