"""What `echostack explain` says, word for word, of plans made by hand; and the same as data."""

from __future__ import annotations

import json
from dataclasses import replace

from echostack.core.kinds import Overflow
from echostack.core.payloads import AgentMessagePartial, AudioChunkStream, AudioFrame, SpeechStarted, Text
from echostack.language.document import BargeInDecl, NodePolicy, TurnsDecl
from echostack.plan.model import Island, Plan, PlanEdge, PlanNode, QueuePlan, ScopePlan, SpeculatePlan
from echostack.render import explain, explain_text, picture
from echostack.render.model import FrameKind
from tests.render.samples import SPECS, small


def plan() -> Plan:
    checked = small()
    islands = {"webrtc.vad": 0}
    scoped = ("claude.agent", "piper.tts", "egress.file")
    nodes = {
        n.id: PlanNode(
            n.id, n.node.source, n.spec, None,
            NodePolicy(timeout=8, attempts=3) if n.id == "claude.agent" else NodePolicy(),
            scope=1 if n.id in scoped else 0, island=islands.get(n.id, -1), inserted=n.inserted,
        )
        for n in checked.nodes.values()
    }  # fmt: skip
    edges = []
    for edge in checked.edges:
        queue = None
        if edge.target != "webrtc.vad":
            kind = edge.payloads[0].__kind__
            queue = QueuePlan(kind.queue, kind.overflow, kind.control, f"{edge.target} waits for others")
        edges.append(PlanEdge(edge.id, edge.source, edge.target, edge.payloads, queue=queue, resample=edge.resample))
    return Plan(
        "front_desk", "0123456789abcdef", nodes, tuple(edges), (Island(0, ("webrtc.vad",), ("webrtc.vad",)),),
        (ScopePlan(1, "reply", scoped[:2], scoped[2:]),), BargeInDecl(min_words=2), checked.barge_in_on, TurnsDecl(),
        0.8, (("moonshine.stt", 180, 320), ("claude.agent", 350, 700), ("piper.tts", 90, 160)), checked,
    )  # fmt: skip


WHOLE = """\
front_desk  (plan 0123456789ab)

Nodes (6)
  node           form       runs                  silenced in
  ingress.file   source     a task of its own
  moonshine.stt  stream     a task of its own
  claude.agent   generator  a task of its own     scope reply
  piper.tts      generator  a task of its own     scope reply
  egress.file    sink       paced by the playout  scope reply
  webrtc.vad     sync       fused in island 0

Islands (1): no queue inside
  0: webrtc.vad

Queues (4)
  from -> to                     kinds                  bound  when full    why
  ingress.file -> moonshine.stt  audio_frame            50     drop oldest  moonshine.stt waits for
                                                                            others
  moonshine.stt -> claude.agent  text                   64     block        claude.agent waits for
                                                                            others
  claude.agent -> piper.tts      agent_message.partial  64     block        piper.tts waits for
                                                                            others
  piper.tts -> egress.file       audio_chunk.stream     16     block        egress.file waits for
                                                                            others

Put in by the compiler
  what                where                          why
  voice-activity tap  webrtc.vad                     the reply can be interrupted and no voice
                                                     activity was declared; `barge_in: off` removes
                                                     it
  resampler           ingress.file -> moonshine.stt  to 16 kHz mono

Interruptions
  reply: silences claude.agent, piper.tts, egress.file
    processing.webrtc.speech_started suspends it; 500 ms of speech or 2 words cut it, else it goes
    on after 2 s

Turns
  the recogniser ends the caller's turn

Latency, from the end of the caller's words to the first sample of the answer
  stage             p50     p95  sum p50  sum p95
  moonshine.stt  180 ms  320 ms   180 ms   320 ms
  claude.agent   350 ms  700 ms   530 ms  1020 ms
  piper.tts       90 ms  160 ms   620 ms  1180 ms
  budget 800 ms: 180 ms left at p50, 380 ms over at p95

Failures
  claude.agent: gives up on an event after 8 s; 3 attempts, 200 ms before the second, then doubling
  every other failure is an event error.<source>.<kind> and costs that one event
"""


def test_the_whole_text_of_a_small_plan() -> None:
    assert explain_text(explain(plan())) == WHOLE


def test_no_line_is_wider_than_asked() -> None:
    for width in (60, 80, 100, 120, 200):
        text = explain_text(explain(plan()), width=width)
        assert max(map(len, text.splitlines())) <= min(120, max(80, width))
        assert not any(line != line.rstrip() for line in text.splitlines())


def test_the_data_is_json_and_says_the_same() -> None:
    data = explain(plan()).data()
    assert json.loads(json.dumps(data)) == data
    assert data["queues"][0] == {
        "source": "ingress.file",
        "target": "moonshine.stt",
        "kinds": ["audio_frame"],
        "bound": 50,
        "overflow": "drop_oldest",
        "lane": "media",
        "why": "moonshine.stt waits for others",
    }
    assert data["latency"][-1] == {
        "node": "piper.tts", "p50_ms": 90, "p95_ms": 160, "sum_p50_ms": 620.0, "sum_p95_ms": 1180.0,
    }  # fmt: skip
    assert data["budget"] == {"budget_ms": 800.0, "left_p50_ms": 180.0, "left_p95_ms": -380.0}


def test_a_plan_without_speech_says_so() -> None:
    bare = replace(plan(), scopes=(), latency=(), voice_to_voice=None, edges=(), islands=(), nodes={}, hash="")
    assert explain_text(explain(bare)) == (
        "front_desk\n\nNodes (0)\n\nIslands (0): no queue inside\n  no two nodes could be fused\n\n"
        "Queues (0)\n  none: everything is fused\n\nInterruptions\n  nothing here can be interrupted\n\n"
        "Turns\n  the recogniser ends the caller's turn\n\n"
        "Latency\n  no path from the caller's ear to the agent's mouth\n\n"
        "Failures\n  every other failure is an event error.<source>.<kind> and costs that one event\n"
    )


def test_who_ends_a_turn_is_named() -> None:
    assert explain(replace(plan(), turns=TurnsDecl("silence", 0.7))).turns == (
        "0.7 s of silence by the voice activity end the caller's turn"
    )
    assert explain(replace(plan(), turns=TurnsDecl("smart.turn"))).turns == "smart.turn ends the caller's turn"


def test_who_begins_on_a_guess_is_named() -> None:
    assert explain(plan()).speculation == ""
    one = SpeculatePlan("model", 0.2, ("moonshine.stt",), ("faq.agent",), (), ())
    two = replace(one, on="synthesis", stable_for=0.05, synthesisers=("piper.tts",))
    told = explain(replace(plan(), speculate=one))
    assert told.speculation == (
        "faq.agent begins on a guess of the turn, when the words of moonshine.stt have not changed for 200 ms"
    )
    assert explain(replace(plan(), speculate=two)).speculation == (
        "faq.agent, piper.tts begin on a guess of the turn, when the words of moonshine.stt have not changed for 50 ms"
    )
    assert (
        "Turns\n  the recogniser ends the caller's turn\n"
        "  faq.agent begins on a guess of the turn, when the words of moonshine.stt have not changed for 200\n    ms\n"
    ) in explain_text(told)


def test_a_fallback_tells_its_members_and_their_rest() -> None:
    base = plan()
    choice = PlanNode("a.stt ?? b.stt", "a", None, None, NodePolicy(), members=("a.stt", "b.stt"))
    member = PlanNode("a.stt", "a", SPECS["moonshine.stt"], None, NodePolicy(), choice=choice.id)
    other = replace(member, id="b.stt", source="b")
    told = explain(replace(base, nodes={choice.id: choice, member.id: member, other.id: other}))
    assert [(n.id, n.form, n.runs) for n in told.nodes] == [
        ("a.stt ?? b.stt", "fallback", "a task of its own"),
        ("a.stt", "stream", "by the fallback a.stt ?? b.stt"),
        ("b.stt", "stream", "by the fallback a.stt ?? b.stt"),
    ]
    assert "  a.stt ?? b.stt: tries a.stt, then b.stt; a failed one rests 10 s\n" in explain_text(told)
    patient = replace(other, policy=NodePolicy(cooldown=30.0))
    told = explain(replace(base, nodes={choice.id: choice, member.id: member, patient.id: patient}))
    rests = "  a.stt ?? b.stt: tries a.stt, then b.stt; a failed one rests: a.stt 10 s, b.stt 30 s\n"
    assert rests in explain_text(told)


def test_a_planned_picture_shows_queues_and_islands() -> None:
    base = plan()
    fused = {n: replace(p, island=1 if n in ("claude.agent", "piper.tts") else p.island) for n, p in base.nodes.items()}
    islands = (*base.islands, Island(1, ("claude.agent", "piper.tts"), ("claude.agent",)))
    drawn = picture(base.checked, plan=replace(base, nodes=fused, islands=islands))
    badges = {b.id: b.badges for b in drawn.boxes if b.badges}
    assert badges == {"claude.agent": ("island 1",), "piper.tts": ("island 1",)}
    assert [(f.id, f.parent) for f in drawn.frames if f.kind is FrameKind.ISLAND] == [("island 1", "scope 1")]
    queued = {(e.target, e.detail) for e in drawn.lines if e.queued}
    assert not any(e.policy for e in drawn.lines)
    assert ("moonshine.stt", "queue 50, drop oldest") in queued
    assert ("claude.agent", "queue 64, block") in queued
    assert not any(e.queued for e in drawn.lines if e.target == "webrtc.vad")


def test_the_control_lane_is_told_by_its_line() -> None:
    base = plan()
    edge = replace(base.edges[1], payloads=(SpeechStarted,), queue=QueuePlan(8, Overflow.BLOCK, control=True))
    drawn = picture(base.checked, plan=replace(base, edges=(edge,)))
    assert [e.detail for e in drawn.lines if e.queued] == ["queue 8, block, control lane"]


def test_payloads_of_the_samples_are_those_of_the_plan() -> None:
    assert [e.payloads for e in plan().edges] == [
        (AudioFrame,), (AudioFrame,), (Text,), (AgentMessagePartial,), (AudioChunkStream,),
    ]  # fmt: skip
