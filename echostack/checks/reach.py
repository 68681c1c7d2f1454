"""What nothing feeds, and what goes nowhere. Warnings: such a graph runs, but parts of it do nothing."""

from __future__ import annotations

from collections.abc import Iterable

from echostack.checks.carry import makes
from echostack.checks.codes import GOES_NOWHERE, NOTHING_FEEDS, PORT_GOES_NOWHERE
from echostack.checks.work import Work, kinds, reached
from echostack.core.payloads import ToolCall
from echostack.graph import NodeRole
from echostack.registry import Form

_MEANT_TO_BE_HEARD = ("agent_message", "tool_call")
"""Kinds besides audio that only make sense when somebody takes them; a record or a score may be read from outside."""


def check(work: Work) -> None:
    """Nodes without input, nodes of which nothing is taken, ports without a rule."""
    if not work.whole:
        return
    entered, left = work.interface()
    leaving: dict[str, list[str]] = {}
    fed: set[str] = set()
    for source, target in _arrows(work):
        leaving.setdefault(source, []).append(target)
        fed.add(target)
    _unfed(work, leaving, fed, entered)
    for node, resolved in work.nodes.items():
        if node in work.choice_of or node in left or node in leaving or not work.known(node):
            continue
        role = resolved.node.role
        lost = [p for p in makes(work, node) if p.__kind__.audio or p.__kind__.base in _MEANT_TO_BE_HEARD]
        if lost and role is not NodeRole.EGRESS:
            work.report(
                GOES_NOWHERE, f"{node} makes {kinds(lost)}, and no rule takes it further", resolved.node.place,
                help=f"write a rule that begins with {node}, or remove it",
            )  # fmt: skip
    _ports(work)


def _arrows(work: Work) -> Iterable[tuple[str, str]]:
    """Every arrow, those that failed included: what is wrong with one has been said, and is not said again here."""
    for edge in work.written:
        yield work.end(edge.source), work.end(edge.target)
    for route in work.routes:
        yield route.source, route.target


def _unfed(work: Work, leaving: dict[str, list[str]], fed: set[str], entered: frozenset[str]) -> None:
    candidates = dict.fromkeys(
        n
        for n, r in work.nodes.items()
        if n not in work.choice_of and r.node.role not in _HEADS and not _makes_itself(work, n)
    )
    reach_from = [n for n in leaving if n not in work.nodes]
    starts = (*reach_from, *(n for n in work.nodes if n not in candidates), *sorted(entered))
    alive = reached(starts, leaving)
    # First those without any input; what then is still not reached can only be fed by a cycle that nothing enters.
    for node in [*(n for n in candidates if n not in fed), *candidates]:
        if node in alive:
            continue
        reached((node,), leaving, alive)
        only_itself = " but its own cycle" if node in fed else ""
        work.report(
            NOTHING_FEEDS, f"nothing{only_itself} feeds {node}", work.nodes[node].node.place,
            help=f"write a rule that ends in {node}; without one, only events that a program emits reach it",
        )  # fmt: skip


_HEADS = (NodeRole.INGRESS, NodeRole.PATTERN, NodeRole.PLAYBOOK)


def _makes_itself(work: Work, node: str) -> bool:
    specs = work.specs(node)
    return not specs or any(s.form is Form.SOURCE for s in specs)


def _ports(work: Work) -> None:
    used: dict[str, set[str]] = {}
    for edge in work.written:
        used.setdefault(work.end(edge.source), set()).add(edge.port)
    by_pattern = {r.source for r in work.routes if r.pattern}
    for text, _ in work.graph.interface.outputs.values() if work.graph.interface is not None else ():
        node, _, port = text.partition(":")
        used.setdefault(work.end(node), set()).add(port)
    for node, resolved in work.nodes.items():
        if resolved.ports and resolved.spec is not None and ToolCall in resolved.spec.produces:
            _tools(work, node, resolved.ports, used.get(work.end(node), set()))
            continue
        taken = used.get(work.end(node), set())
        # A rule without a port, and a pattern, take what leaves by any.
        if not resolved.ports or not taken or "" in taken or work.end(node) in by_pattern:
            continue
        if not taken <= {"", *resolved.ports}:  # one of them is misspelt, and was reported
            continue
        for port in resolved.ports:
            if port not in taken:
                work.report(
                    PORT_GOES_NOWHERE, f"what leaves {node} by the port {port!r} goes nowhere", resolved.node.place,
                    help=f"write a rule that begins with {node}:{port}",
                )  # fmt: skip


def _tools(work: Work, node: str, ports: Iterable[str], used: set[str]) -> None:
    """The ports of a model are its tools: a rule without a port takes up a call only when it carries calls at all."""
    ways = [r.port for r in work.routes if r.source == work.end(node) and ToolCall in r.payloads]
    for port in ports:
        if port not in used and port not in ways and "" not in ways:
            work.report(
                PORT_GOES_NOWHERE, f"{node} may call the tool {port!r}, and its calls go nowhere",
                work.nodes[node].node.place,
                help=f"write a rule that begins with {node}:{port}, and one that brings the result back to {node}",
            )  # fmt: skip
