"""How a document's rules become nodes and edges."""

from __future__ import annotations

from textwrap import dedent

from echostack.core.diagnostic import Findings
from echostack.core.kinds import Overflow
from echostack.core.span import Source
from echostack.graph import Edge, Graph, NodeRole, build
from echostack.language import read_document
from tests.checks.helpers import told


def built(text: str) -> Graph:
    findings = Findings()
    graph = build(read_document(Source("test.echo", dedent(text).lstrip("\n")), findings), findings)
    assert told(findings) == ""
    return graph


def arrows(graph: Graph) -> list[str]:
    def end(edge: Edge, *, source: bool) -> str:
        node = edge.source if source else edge.target
        kind = edge.source_kind if source else edge.target_kind
        port = f":{edge.port}" if source and edge.port else ""
        return f"{node}{'.' + kind if kind else ''}{port}"

    return [f"{e.rule} {end(e, source=True)} -> {end(e, source=False)}" for e in graph.edges]


def test_a_chain_is_one_edge_an_arrow() -> None:
    graph = built("pipeline:\n  - ingress.livekit.audio_frame → deepgram.stt → claude.agent")
    assert arrows(graph) == ["0 ingress.livekit.audio_frame -> deepgram.stt", "0 deepgram.stt -> claude.agent"]


def test_a_name_is_an_identity() -> None:
    graph = built("pipeline:\n  - a.one -> b.two\n  - a.one -> c.three\n  - b.two -> c.three")
    assert list(graph.nodes) == ["a.one", "b.two", "c.three"]
    assert [p.span.line for p in graph.nodes["a.one"].places] == [2, 3]


def test_forks_and_merges_connect_every_pair() -> None:
    graph = built("pipeline:\n  - (a.one, b.two) -> m.id -> (c.three, d.four)")
    assert arrows(graph) == ["0 a.one -> m.id", "0 b.two -> m.id", "0 m.id -> c.three", "0 m.id -> d.four"]


def test_the_forms_of_endpoint_become_roles() -> None:
    graph = built(
        """
        connectors: {sales: {use: claude.agent}}
        playbooks: {booker: {}}
        pipeline:
          - ingress.file.audio_frame -> deepgram.stt
          - processing.*.text -> sales
          - sales -> egress.file.audio_chunk.stream
          - a.router:yes -> booker.playbook
        """
    )
    assert [(n.id, n.role, n.use, n.source) for n in graph.nodes.values()] == [
        ("ingress.file", NodeRole.INGRESS, "ingress.file", "file"),
        ("deepgram.stt", NodeRole.CONNECTOR, "deepgram.stt", "deepgram"),
        ("processing.*.text", NodeRole.PATTERN, "", ""),
        ("sales", NodeRole.CONNECTOR, "claude.agent", "sales"),
        ("egress.file", NodeRole.EGRESS, "egress.file", "file"),
        ("a.router", NodeRole.CONNECTOR, "a.router", "a"),
        ("booker.playbook", NodeRole.PLAYBOOK, "", "booker"),
    ]
    assert arrows(graph)[2:] == ["2 sales -> egress.file.audio_chunk.stream", "3 a.router:yes -> booker.playbook"]
    assert graph.nodes["booker.playbook"].playbook is not None


def test_a_port_in_the_middle_is_where_the_next_arrow_starts() -> None:
    graph = built("pipeline:\n  - a.one -> b.router:left -> c.three")
    assert arrows(graph) == ["0 a.one -> b.router", "0 b.router:left -> c.three"]


def test_a_choice_is_a_node_beside_its_members() -> None:
    graph = built("pipeline:\n  - a.one -> b.stt ?? c.stt -> d.four\n  - b.stt -> e.five")
    assert arrows(graph) == ["0 a.one -> b.stt ?? c.stt", "0 b.stt ?? c.stt -> d.four", "1 b.stt -> e.five"]
    choice = graph.nodes["b.stt ?? c.stt"]
    assert (choice.role, choice.members) == (NodeRole.CHOICE, ("b.stt", "c.stt"))
    assert {"b.stt", "c.stt"} <= set(graph.nodes)


def test_the_declaration_is_a_nodes_first_place() -> None:
    graph = built(
        """
        connectors:
          b.two: {key: 1}
        pipeline:
          - a.one -> b.two
        """
    )
    assert [p.span.line for p in graph.nodes["b.two"].places] == [2, 4]
    assert graph.declared["b.two"].span.line == 2


def test_options_and_guards_stand_on_their_edge() -> None:
    graph = built(
        """
        pipeline:
          - a.one -[ x < 1 ]-> b.two: {queue: 3, overflow: latest}
          - b.two -> a.one: {cycle: true}
        """
    )
    first, second = graph.edges
    assert (first.queue, first.overflow, first.cycle) == (3, Overflow.LATEST, False)
    assert first.guard is not None
    assert (second.queue, second.overflow, second.cycle, second.guard) == (None, None, True, None)


def test_a_transport_can_have_a_second_name() -> None:
    graph = built(
        """
        connectors:
          ingress.second: {use: ingress.livekit}
        pipeline:
          - ingress.second.audio_frame -> a.stt
        """
    )
    node = graph.nodes["ingress.second"]
    assert (node.role, node.use, node.source) == (NodeRole.INGRESS, "ingress.livekit", "second")


def test_an_alias_of_a_declared_connector_is_no_alias_of_an_alias() -> None:
    graph = built(
        """
        connectors:
          claude.agent: {system: one}
          sales: {use: claude.agent}
        pipeline:
          - claude.agent -> sales
        """
    )
    assert graph.nodes["sales"].use == "claude.agent"
    assert graph.nodes["sales"].settings is not None
    assert not graph.nodes["sales"].settings.items
