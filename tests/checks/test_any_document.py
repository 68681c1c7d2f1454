"""No document makes a traceback: rules, declarations and options at random, against real connectors."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from echostack.checks import check, environment, latency_path
from echostack.core.diagnostic import Findings
from echostack.core.kinds import Overflow
from echostack.core.span import Source, Span
from echostack.graph import build
from echostack.language import read_document
from echostack.language.ast import Arrow, Choice, Ref, Rule, RuleOptions, Stage
from echostack.language.data import EnvRef, Mapping_, Scalar, Sequence_, Value
from echostack.language.document import (
    BargeInDecl,
    ConnectorDecl,
    Document,
    ImportDecl,
    InterfaceDecl,
    NodePolicy,
    PlaybookDecl,
    TurnsDecl,
)
from echostack.language.guard import All, Any_, Compare, Constant, Else, Field, Member, Not, Truth
from tests.checks.vendors import registry

REGISTRY = registry()


def span() -> Span:
    return Span("any.echo", 1, 1, 1, 4)


PARTS = st.sampled_from(
    ["a", "*", "in", "out", "speak", "ingress", "egress", "processing", "control", "error", "playbook", "text",
     "deepgram", "stt", "livekit", "audio_frame", "audio_chunk", "stream", "claude", "agent", "timeout", "sales"]
)  # fmt: skip
NAMES = st.one_of(
    st.sampled_from([*REGISTRY.names(), "sales", "speak", "missing.one", "sales.booker", "ingress.second"]),
    st.lists(PARTS, min_size=1, max_size=5).map(".".join),
)
ENDS = st.sampled_from(
    ["ingress.livekit.audio_frame", "ingress.sms.text", "egress.livekit.audio_chunk", "egress.file.audio_chunk.stream",
     "processing.*.text", "processing.*.*", "error.*.timeout", "control.call.call_ended", "booker.playbook"]
)  # fmt: skip
FIELDS = st.sampled_from(["text", "confidence", "language", "words", "slots", "nothing", "final"])
OPERANDS = st.one_of(
    st.builds(lambda n: Field(n, span()), FIELDS),
    st.builds(lambda v: Constant(v, span()), st.sampled_from(["en", 3, 0.5, True, None])),
)
TESTS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.builds(
            lambda left, op, right: Compare(left, op, right, span()),
            OPERANDS,
            st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
            OPERANDS,
        ),
        st.builds(
            lambda v, bag, no: Member(v, bag, no, span()),
            OPERANDS,
            st.one_of(
                st.lists(OPERANDS, min_size=1, max_size=3).map(tuple), st.builds(lambda n: Field(n, span()), FIELDS)
            ),
            st.booleans(),
        ),
        st.builds(lambda v: Truth(v, span()), OPERANDS),
    ),
    lambda inner: st.one_of(
        st.builds(lambda i: Not(i, span()), inner),
        st.builds(lambda i: All(tuple(i), span()), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda i: Any_(tuple(i), span()), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=4,
)
GUARDS = st.one_of(st.none(), st.none(), TESTS, st.builds(lambda: Else(span())))
REFS = st.builds(
    lambda name, port: Ref(tuple(name.split(".")), port, span()),
    st.one_of(NAMES, NAMES, ENDS),
    st.sampled_from(["", "", "", "other", "in", "out", "book_meeting"]),
)
CHOICES = st.lists(REFS, min_size=1, max_size=2).map(lambda refs: Choice(tuple(refs), span()))
STAGES = st.lists(CHOICES, min_size=1, max_size=3).map(lambda c: Stage(tuple(c), len(c) > 1, span()))
OPTIONS = st.builds(
    RuleOptions,
    st.sampled_from([None, 1, 8]),
    st.sampled_from([None, *Overflow]),
    st.booleans(),
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    stages = draw(st.lists(STAGES, min_size=2, max_size=4))
    arrows = tuple(Arrow(draw(GUARDS), span()) for _ in stages[1:])
    return Rule(tuple(stages), arrows, draw(OPTIONS), "a rule", span())


def mapping(items: dict[str, Value]) -> Mapping_:
    return Mapping_(items, {k: span() for k in items}, span())


VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        st.builds(lambda v: Scalar(v, span()), st.one_of(st.integers(), st.text(max_size=4), st.booleans(), st.none())),
        st.builds(lambda n, d: EnvRef(n, span(), d), st.sampled_from(["KEY", "GONE"]), st.sampled_from([None, "d"])),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda i: Sequence_(tuple(i), span())),
        st.dictionaries(st.text(max_size=3), inner, max_size=2).map(mapping),
    ),
    max_leaves=4,
)
SETTINGS = st.dictionaries(
    st.sampled_from(["model", "rate", "api_key", "intents", "url", "token", "max_tokens", "voice", "x"]),
    VALUES,
    max_size=3,
).map(mapping)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    connectors = {
        n: ConnectorDecl(n, draw(st.one_of(st.just(n), NAMES)), draw(SETTINGS), NodePolicy(), span(), span())
        for n in names
    }
    port = st.dictionaries(st.sampled_from(["in", "out", "x"]), st.tuples(NAMES, st.builds(span)), max_size=2)
    paths = st.sampled_from(["graphs/spoken_reply.echo", "any.echo", "../x.echo", "\0.echo", "", "a/b.json", ".echo"])
    imports = {
        n: ImportDecl(n, draw(paths), draw(st.one_of(st.none(), SETTINGS)), span(), span())
        for n in draw(st.lists(st.sampled_from(["speak", "sales", "deepgram"]), max_size=2, unique=True))
    }
    return Document(
        Source("any.echo", ""),
        connectors=connectors,
        playbooks={
            n: PlaybookDecl(n, "exclusive", mapping({}), span()) for n in draw(st.sampled_from([[], ["booker"]]))
        },
        imports=imports,
        interface=draw(st.one_of(st.none(), st.builds(InterfaceDecl, port, port, st.builds(span)))),
        pipeline=tuple(draw(st.lists(rules(), max_size=6))),
        barge_in=draw(
            st.builds(
                BargeInDecl,
                enabled=st.booleans(),
                on=st.sampled_from(["", "", "processing.*.text", "nonsense", "processing.webrtc.speech_started"]),
                vad=st.sampled_from(["webrtc.vad", "webrtc.vad", "acme.vad", "deepgram.stt", ""]),
                span=st.sampled_from([None, span()]),
            )
        ),
        turns=draw(st.builds(TurnsDecl, st.sampled_from(["recogniser", "silence", "deepgram.stt", "nobody"]))),
        voice_to_voice=draw(st.sampled_from([None, 0.0, 0.5])),
    )


@given(documents())
def test_any_document_is_checked_without_a_traceback_and_to_the_same_end(document: Document) -> None:
    results = []
    for _ in range(2):
        findings = Findings()
        checked = check(build(document, findings), REGISTRY, findings, env={"KEY": "k"})
        assert (checked is None) == bool(findings.errors)
        results.append((findings.items, checked))
        if checked is not None:
            hold(checked)
            environment(checked, {"KEY": "k"})
    assert results[0][0] == results[1][0]
    if results[0][1] is not None and results[1][1] is not None:
        assert results[0][1].edges == results[1][1].edges
        assert results[0][1].scopes == results[1][1].scopes


def hold(checked: Any) -> None:
    """What every checked graph keeps."""
    assert len({e.id for e in checked.edges}) == len(checked.edges)
    members = {m for n in checked.nodes.values() for m in n.members}
    for edge in checked.edges:
        assert edge.payloads
        assert edge.source == "@engine" or edge.source in checked.nodes
        assert edge.target in checked.nodes
        assert not {edge.source, edge.target} & members
        for member in checked.nodes[edge.target].members or (edge.target,):
            spec = checked.nodes[member].spec
            assert set(edge.payloads) <= set(spec.consumes)
            for group in spec.alternatives:
                made = [s for n in (checked.nodes[edge.source].members or (edge.source,))
                        for s in [checked.nodes[n].spec]] if edge.source != "@engine" else []  # fmt: skip
                assert len(set(group) & set(edge.payloads)) <= max(1, len(made))
    for scope in checked.scopes:
        assert scope.egresses
        assert set(scope.egresses) <= set(scope.nodes) <= set(checked.nodes)
    for node in checked.nodes.values():
        assert (node.spec is None) == bool(node.members)
        assert node.members or (node.settings is None) == bool(node.missing_env)
    assert all(name in checked.nodes or name == "end of turn" for name, _, _ in latency_path(checked))


GOOD_RULES = st.lists(
    st.sampled_from(
        [
            "ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts",
            "elevenlabs.tts -> egress.livekit.audio_chunk",
            "reprompt.say -> elevenlabs.tts ?? piper.tts -> egress.file.audio_chunk",
            "ingress.file.audio_frame -> deepgram.stt ?? whisper.stt",
            "ingress.file.audio_frame -> silero.vad",
            "ingress.sms.text -> intent.router",
            "deepgram.stt -> intent.router",
            "intent.router:other -> knowledge.search -> claude.agent",
            "intent.router:book_meeting -> keys.log",
            "deepgram.stt -[ confidence < 0.4 ]-> reprompt.say",
            "deepgram.stt -[ else ]-> echo.text",
            "processing.*.text -> (sentiment.score, transcript.log)",
            "processing.*.agent_message -> transcript.log",
            "processing.deepgram.text -> echo.text",
            "echo.text -> echo.text: {cycle: true, queue: 4, overflow: latest}",
            "echo.text -> knowledge.search: {queue: 4}",
            "ingress.livekit.audio_frame -> denoise.filter -> whisper.stt",
        ]
    ),
    min_size=1,
    max_size=8,
    unique=True,
)
RESTS = st.sampled_from(
    ["", "barge_in: off", "barge_in: {on: processing.*.speech_started}", "turns: {end_by: silence}"]
)


@given(GOOD_RULES, RESTS)
def test_what_passes_the_check_keeps_what_planning_builds_on(rules_: list[str], rest: str) -> None:
    findings = Findings()
    text = "\n".join(["pipeline:", *(f"  - {rule}" for rule in rules_), rest, ""])
    graph = build(read_document(Source("any.echo", text), findings), findings)
    checked = check(graph, REGISTRY, findings, env={})
    assert (checked is None) == bool(findings.errors)
    if checked is not None:
        hold(checked)
