"""Graphs for the tests of pictures and explanations, made by hand from the nouns of the stages below."""

from __future__ import annotations

import networkx as nx

from echostack.checks.model import CheckedEdge, CheckedGraph, CheckedNode, CheckedScope
from echostack.core.audio import AudioFormat
from echostack.core.events import EventPattern
from echostack.core.kinds import Overflow, Payload
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    AudioChunkStream,
    AudioFrame,
    CallEnded,
    Intent,
    Record,
    Sentiment,
    SpeechStarted,
    SpeechStopped,
    Text,
    TextPartial,
)
from echostack.core.span import Provenance, Source, Span
from echostack.graph.model import Edge, Graph, Node, NodeRole
from echostack.language.ast import Rule, RuleOptions
from echostack.language.document import BargeInDecl, Document, ImportDecl, TurnsDecl
from echostack.language.guard import Compare, Constant, Field, Guard
from echostack.registry import ConnectorSpec, Form, Latency

FILE = "front_desk.echo"


def span(line: int, column: int = 5, length: int = 10, file: str = FILE) -> Span:
    return Span(file, line, column, line, column + length)


def below(field: str, value: float) -> Guard:
    here = span(1)
    return Compare(Field(field, here), "<", Constant(value, here), here)


def spec(
    name: str,
    consumes: tuple[type[Payload], ...],
    produces: tuple[type[Payload], ...],
    form: Form = Form.ASYNC,
    *,
    effect: bool = False,
    latency: Latency = Latency(),
) -> ConnectorSpec:
    return ConnectorSpec(name, form, print, consumes, produces, effect=effect, latency=latency)


SPECS = {
    s.name: s
    for s in (
        spec("ingress.file", (), (AudioFrame,), Form.SOURCE),
        spec("egress.file", (AudioChunkStream,), (), Form.SINK),
        spec("moonshine.stt", (AudioFrame,), (Text, TextPartial), Form.STREAM, latency=Latency(180, 320)),
        spec("deepgram.stt", (AudioFrame,), (Text, TextPartial), Form.STREAM, latency=Latency(120, 250)),
        spec("webrtc.vad", (AudioFrame,), (SpeechStarted, SpeechStopped), Form.SYNC),
        spec("claude.agent", (Text,), (AgentMessage, AgentMessagePartial), Form.GENERATOR, latency=Latency(350, 700)),
        spec("intent.router", (Text,), (Intent,), Form.SYNC),
        spec("piper.tts", (AgentMessagePartial,), (AudioChunkStream,), Form.GENERATOR, latency=Latency(90, 160)),
        spec("transcript.log", (Text, AgentMessage, CallEnded), (), Form.SYNC),
        spec("sentiment.score", (Text,), (Sentiment,), Form.SYNC),
        spec("crm.write", (Sentiment,), (Record,), Form.ASYNC, effect=True),
    )
}


def node(
    name: str,
    role: NodeRole = NodeRole.CONNECTOR,
    *,
    use: str = "",
    group: str = "",
    line: int = 1,
    members: tuple[str, ...] = (),
    column: int = 5,
) -> Node:
    bare = name.rpartition("/")[2]
    if bare.startswith("ingress."):
        role = NodeRole.INGRESS
    elif bare.startswith("egress."):
        role = NodeRole.EGRESS
    use = use or ("" if role in (NodeRole.CHOICE, NodeRole.PATTERN, NodeRole.PLAYBOOK) else bare)
    source = bare.split(".")[1] if role in (NodeRole.INGRESS, NodeRole.EGRESS) else bare.split(".")[0]
    pattern = EventPattern.parse(name) if role is NodeRole.PATTERN else None
    places = (Provenance(span(line, column, len(bare))),)
    return Node(name, role, use, source, members=members, pattern=pattern, group=group, places=places)


def edge(source: str, target: str, rule: int, **rest: object) -> Edge:
    line = rule + 10
    return Edge(
        source,
        target,
        rule,
        Provenance(span(line, 5, len(source))),
        Provenance(span(line, 9 + len(source), len(target))),
        **rest,  # type: ignore[arg-type]
    )


def graph(
    nodes: list[Node],
    edges: list[Edge],
    *,
    name: str = "front_desk",
    description: str = "Answers the phone, books meetings, hands the rest to the FAQ.",
    imports: dict[str, str] | None = None,
) -> Graph:
    net: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for one in nodes:
        net.add_node(one.id, node=one)
    for arrow in edges:
        net.add_edge(arrow.source, arrow.target, edge=arrow)
    declared = {k: ImportDecl(k, v, None, span(2), span(2)) for k, v in (imports or {}).items()}
    document = Document(Source(FILE, ""), name=name, description=description, imports=declared)
    return Graph(net, name, description, (document,), BargeInDecl(), TurnsDecl())


def checked(
    whole: Graph,
    routes: list[CheckedEdge],
    scopes: tuple[CheckedScope, ...] = (),
    inserted: tuple[Node, ...] = (),
    barge_in_on: str = "processing.webrtc.speech_started",
) -> CheckedGraph:
    nodes = {
        n.id: CheckedNode(n.id, n, SPECS.get(n.use), None, members=n.members)
        for n in whole.nodes.values()
        if n.role is not NodeRole.PATTERN
    }
    nodes |= {n.id: CheckedNode(n.id, n, SPECS.get(n.use), None, inserted=True) for n in inserted}
    return CheckedGraph(whole, nodes, tuple(routes), scopes, barge_in_on)


def route(source: str, target: str, *payloads: type[Payload], **rest: object) -> CheckedEdge:
    number = rest.pop("number", "")
    return CheckedEdge(f"{source}->{target}{number}", source, target, payloads, None, **rest)  # type: ignore[arg-type]


def small() -> CheckedGraph:
    """Five written nodes, the inserted tap, one scope."""
    written = [
        node("ingress.file"), node("moonshine.stt"), node("claude.agent"), node("piper.tts"), node("egress.file")
    ]  # fmt: skip
    arrows = [
        edge("ingress.file", "moonshine.stt", 0, source_kind="audio_frame"),
        edge("moonshine.stt", "claude.agent", 1),
        edge("claude.agent", "piper.tts", 2),
        edge("piper.tts", "egress.file", 3, target_kind="audio_chunk"),
    ]
    routes = [
        route("ingress.file", "moonshine.stt", AudioFrame, resample=AudioFormat(16_000), rule=0),
        route("ingress.file", "webrtc.vad", AudioFrame),
        route("moonshine.stt", "claude.agent", Text, rule=1),
        route("claude.agent", "piper.tts", AgentMessagePartial, rule=2),
        route("piper.tts", "egress.file", AudioChunkStream, rule=3),
    ]
    scope = CheckedScope(1, "reply", ("claude.agent", "piper.tts"), ("egress.file",))
    return checked(graph(written, arrows), routes, (scope,), (node("webrtc.vad"),))


def front_desk() -> CheckedGraph:
    """About fifteen nodes: a fallback, ports, a guard, patterns, an effect, an import cut by the scope."""
    members = ("deepgram.stt", "moonshine.stt")
    choice = " ?? ".join(members)
    written = [
        node("ingress.livekit", use="ingress.file"), *(node(m) for m in members),
        node(choice, NodeRole.CHOICE, members=members), node("intent.router"),
        node("meeting_booker.playbook", NodeRole.PLAYBOOK), node("faq", use="claude.agent"),
        node("reprompt", use="claude.agent"), node("sentiment.score"), node("crm.write"), node("transcript.log"),
        node("processing.*.text", NodeRole.PATTERN), node("speak/piper.tts", group="speak"),
        node("speak/transcript.log", group="speak"), node("egress.livekit", use="egress.file"),
    ]  # fmt: skip
    arrows = [edge("ingress.livekit", choice, 0, source_kind="audio_frame")]
    routes = [
        route("ingress.livekit", choice, AudioFrame, resample=AudioFormat(16_000)),
        route("ingress.livekit", "webrtc.vad", AudioFrame, queue=2, overflow=Overflow.LATEST),
        route(choice, "intent.router", Text),
        route("intent.router", "meeting_booker.playbook", Text, port="book_meeting"),
        route("intent.router", "faq", Text, port="other"),
        route(choice, "reprompt", Text, guard=below("confidence", 0.4)),
        route("faq", "speak/piper.tts", AgentMessagePartial),
        route("reprompt", "speak/piper.tts", AgentMessage, AgentMessagePartial),
        route("speak/piper.tts", "egress.livekit", AudioChunkStream),
        route("faq", "speak/transcript.log", AgentMessage),
        route(choice, "sentiment.score", Text, pattern="processing.*.text"),
        route("sentiment.score", "crm.write", Sentiment),
        route(choice, "transcript.log", Text, pattern="processing.*.text"),
        route("@engine", "transcript.log", CallEnded, pattern="control.*.call_ended"),
    ]
    scope = CheckedScope(1, "reply", ("faq", "reprompt", "speak/piper.tts"), ("egress.livekit",))
    whole = graph(written, arrows, imports={"speak": "graphs/speak.echo"})
    return checked(whole, routes, (scope,), (node("webrtc.vad"),))


def large(desks: int = 8) -> CheckedGraph:
    """Some sixty nodes: many desks behind one router, each an import, all speaking through one synthesiser."""
    members = ("deepgram.stt", "moonshine.stt")
    choice = " ?? ".join(members)
    written = [
        node("ingress.livekit", use="ingress.file"), *(node(m) for m in members),
        node(choice, NodeRole.CHOICE, members=members), node("intent.router"), node("sentiment.score"),
        node("crm.write"), node("transcript.log"), node("piper.tts"), node("egress.livekit", use="egress.file"),
    ]  # fmt: skip
    routes = [
        route("ingress.livekit", choice, AudioFrame), route("ingress.livekit", "webrtc.vad", AudioFrame),
        route(choice, "intent.router", Text), route(choice, "sentiment.score", Text),
        route("sentiment.score", "crm.write", Sentiment), route(choice, "transcript.log", Text),
    ]  # fmt: skip
    spoken = ["piper.tts"]
    for i in range(desks):
        parts = ("search", "agent", "polish", "tool", "audit")
        uses = ("sentiment.score", "claude.agent", "claude.agent", "crm.write", "transcript.log")
        search, agent, polish, tool, audit = (f"desk_{i}/{p}" for p in parts)
        written += [node(f"desk_{i}/{p}", use=u, group=f"desk_{i}") for p, u in zip(parts, uses, strict=True)]
        routes += [
            route("intent.router", search, Text, port=f"topic_{i}"), route(search, agent, Text),
            route(agent, polish, AgentMessagePartial), route(agent, tool, AgentMessage),
            route(polish, "piper.tts", AgentMessagePartial), route(tool, audit, Record),
        ]  # fmt: skip
        routes.append(route(agent, "transcript.log", AgentMessage, pattern="processing.*.agent_message"))
        spoken += [f"desk_{i}/{p}" for p in parts]
    routes.append(route("piper.tts", "egress.livekit", AudioChunkStream))
    scope = CheckedScope(1, "reply", tuple(spoken), ("egress.livekit",))
    files = {f"desk_{i}": "graphs/desk.echo" for i in range(desks)}
    return checked(graph(written, [], imports=files), routes, (scope,), (node("webrtc.vad"),))


__all__ = ["Rule", "RuleOptions", "checked", "edge", "front_desk", "graph", "large", "node", "route", "small", "span"]
