"""A picture as data: what is drawn of a written, a checked and a planned graph."""

from __future__ import annotations

from dataclasses import replace

import pytest

from echostack.core.diagnostic import Code, Diagnostic, Label, Severity
from echostack.core.kinds import Overflow
from echostack.core.payloads import AgentMessage, AudioFrame, Text, TextPartial
from echostack.graph.model import NodeRole
from echostack.language.guard import All, Any_, Compare, Constant, Else, Field, Guard, Member, Not, Truth
from echostack.render import picture
from echostack.render.labels import fold_kinds, guard_text, medium_of, policy_text
from echostack.render.model import Frame, FrameKind, Medium, Part
from tests.render.samples import checked, edge, front_desk, graph, large, node, route, small, span

ERROR = Code("E0406", "two ends of an arrow have no kind in common")
WARNING = Code("W0505", "a node that nothing feeds")
HERE = span(1)


def test_every_node_has_the_part_that_its_kinds_give_it() -> None:
    drawn = {b.id: b.part for b in picture(small()).boxes}
    assert drawn == {
        "ingress.file": Part.INGRESS,
        "moonshine.stt": Part.RECOGNISER,
        "claude.agent": Part.AGENT,
        "piper.tts": Part.SYNTHESISER,
        "egress.file": Part.EGRESS,
        "webrtc.vad": Part.VAD,
        "resample ingress.file > moonshine.stt": Part.RESAMPLER,
    }


def test_an_unchecked_graph_is_drawn_by_its_names() -> None:
    drawn = {b.id: b.part for b in picture(front_desk().graph).boxes}
    assert drawn["intent.router"] is Part.ROUTER
    assert drawn["faq"] is Part.AGENT
    assert drawn["processing.*.text"] is Part.PATTERN
    assert drawn["meeting_booker.playbook"] is Part.PLAYBOOK


def test_what_the_compiler_put_in_is_shown_as_put_in() -> None:
    inserted = {b.id: (b.title, b.inserted) for b in picture(small()).boxes if b.inserted}
    assert inserted == {
        "webrtc.vad": ("webrtc.vad", True),
        "resample ingress.file > moonshine.stt": ("16 kHz mono", True),
    }


def test_a_resampler_stands_on_its_line() -> None:
    lines = [
        (e.source, e.target, e.kinds, e.arrow) for e in picture(small()).lines if "resample" in e.source + e.target
    ]
    name = "resample ingress.file > moonshine.stt"
    assert lines == [("ingress.file", name, ("audio_frame",), False), (name, "moonshine.stt", (), True)]


def test_a_fallback_is_one_box_with_its_members_in_order() -> None:
    boxes = {b.id: b for b in picture(front_desk()).boxes}
    choice = boxes["deepgram.stt ?? moonshine.stt"]
    assert [(m.title, m.part) for m in choice.members] == [
        ("deepgram.stt", Part.RECOGNISER),
        ("moonshine.stt", Part.RECOGNISER),
    ]
    assert "deepgram.stt" not in boxes


def test_a_scope_encloses_all_of_its_nodes_also_those_in_a_cut_import() -> None:
    drawn = picture(front_desk())
    parents = {f.id: f.parent for f in drawn.frames}

    def frames_around(box: str) -> list[str]:
        frame, found = next(b.frame for b in drawn.boxes if b.id == box), []
        while frame:
            found.append(frame)
            frame = parents[frame]
        return found

    for name in ("faq", "reprompt", "speak/piper.tts", "egress.livekit"):
        assert "scope 1" in frames_around(name)
    assert frames_around("speak/piper.tts") == ["speak in scope 1", "scope 1"]
    assert frames_around("speak/transcript.log") == ["speak"]
    assert frames_around("intent.router") == []
    assert [f.title for f in drawn.frames if f.kind is FrameKind.IMPORT] == ["speak: graphs/speak.echo (in part)"] * 2


def test_an_import_wholly_in_a_scope_stands_in_it_and_one_around_it_stands_around() -> None:
    scope = large().scopes[0]
    drawn = picture(large())
    assert Frame("desk_0", "desk_0: graphs/desk.echo", FrameKind.IMPORT, "scope 1") in drawn.frames
    inside = checked(
        graph([node("a/claude.agent", group="a"), node("a/piper.tts", group="a"), node("a/log", group="a")], []),
        [],
        (replace(scope, nodes=("a/claude.agent", "a/piper.tts"), egresses=()),),
    )
    assert [(f.id, f.parent) for f in picture(inside).frames] == [("a", ""), ("scope 1", "a")]


def test_whoever_hears_the_caller_points_at_the_scope() -> None:
    (line,) = [e for e in picture(small()).lines if e.into]
    assert (line.source, line.into, line.kinds) == ("webrtc.vad", "scope 1", ("interrupts",))


def test_a_pattern_with_many_routes_is_drawn_as_itself_and_one_with_few_as_its_routes() -> None:
    many = [(e.source, e.kinds) for e in picture(large()).lines if e.target == "transcript.log" and e.quiet]
    assert many == [("processing.*.agent_message", ())]
    few = [e.source for e in picture(front_desk()).lines if e.target == "sentiment.score" and e.quiet]
    assert few == ["deepgram.stt ?? moonshine.stt"]


def test_routes_from_the_engine_start_at_their_pattern() -> None:
    drawn = picture(front_desk())
    assert [(b.title, b.note) for b in drawn.boxes if b.part is Part.PATTERN] == [
        ("control.*.call_ended", "from the engine")
    ]


def test_only_policies_that_a_rule_asks_for_are_labels() -> None:
    labels = {e.target: e.policy for e in picture(front_desk()).lines if e.policy}
    assert labels == {"webrtc.vad": "queue 2, latest"}


def test_ports_and_guards_are_on_their_lines() -> None:
    lines = {(e.target, e.port, e.guard) for e in picture(front_desk()).lines if e.port or e.guard}
    assert lines == {
        ("meeting_booker.playbook", "book_meeting", ""),
        ("faq", "other", ""),
        ("reprompt", "", "confidence < 0.4"),
    }


def test_a_finding_at_a_node_marks_the_node() -> None:
    whole = graph([node("a.stt", line=7), node("b.agent", line=8)], [edge("a.stt", "b.agent", 0)])
    drawn = picture(whole, findings=[Diagnostic(WARNING, "nothing feeds a.stt", span(7, 5, 5))])
    marks = {b.id: [(m.code, m.severity, m.place) for m in b.marks] for b in drawn.boxes if b.marks}
    assert marks == {"a.stt": [("W0505", Severity.WARNING, "front_desk.echo:7:5")]}
    assert drawn.findings == ()


def test_a_finding_with_both_ends_marks_the_line_and_not_the_nodes() -> None:
    arrow = edge("a.stt", "b.tts", 0)
    found = Diagnostic(ERROR, "no kind", arrow.source_place.span, related=(Label(arrow.target_place.span, "takes"),))
    drawn = picture(graph([node("a.stt"), node("b.tts")], [arrow]), findings=[found])
    assert [[m.code for m in e.marks] for e in drawn.lines] == [["E0406"]]
    assert not any(b.marks for b in drawn.boxes)


def test_a_finding_in_a_guard_marks_its_line() -> None:
    guard = Truth(Field("finel", span(10, 20, 5)), span(10, 20, 5))
    arrow = edge("a.stt", "b.agent", 0, guard=guard)
    drawn = picture(graph([node("a.stt"), node("b.agent")], [arrow]), findings=[Diagnostic(ERROR, "m", guard.span)])
    assert [[m.code for m in e.marks] for e in drawn.lines] == [["E0406"]]


def test_a_finding_that_belongs_to_nothing_drawn_is_kept_for_the_foot() -> None:
    drawn = picture(
        graph([node("a.stt")], []), findings=[Diagnostic(ERROR, "over budget", span(99)), Diagnostic(ERROR, "x")]
    )
    assert [(m.message, m.place) for m in drawn.findings] == [("over budget", "front_desk.echo:99:5"), ("x", "")]
    assert len(drawn.marks) == 2


@pytest.mark.parametrize(
    ("kinds", "folded"),
    [
        (("text",), ("text",)),
        (("text", "text.partial", "text.segment"), ("text +partial +segment",)),
        (("text.partial",), ("text.partial",)),
        (("a", "b", "c"), ("a", "b", "c")),
        (("a", "b", "c", "d"), ("a", "b", "+2 more")),
        ((), ()),
    ],
)
def test_kinds_are_folded(kinds: tuple[str, ...], folded: tuple[str, ...]) -> None:
    assert fold_kinds(kinds) == folded


def test_the_medium_is_that_of_the_kinds() -> None:
    assert medium_of([AudioFrame.__kind__, Text.__kind__]) is Medium.AUDIO
    assert medium_of([Text.__kind__, TextPartial.__kind__]) is Medium.WORDS
    assert medium_of([]) is Medium.WORDS
    assert medium_of(p.__kind__ for p in front_desk().edges[-1].payloads) is Medium.CONTROL


def test_policies_are_words() -> None:
    assert policy_text(None, None) == ""
    assert policy_text(8, None) == "queue 8"
    assert policy_text(8, Overflow.DROP_OLDEST) == "queue 8, drop oldest"


LOW: Guard = Compare(Field("confidence", HERE), "<", Constant(0.4, HERE), HERE)
FINAL: Guard = Truth(Field("final", HERE), HERE)


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        (None, ""),
        (Else(HERE), "else"),
        (LOW, "confidence < 0.4"),
        (Not(FINAL, HERE), "not final"),
        (Not(All((LOW, FINAL), HERE), HERE), "not (confidence < 0.4 and final)"),
        (All((Any_((LOW, FINAL), HERE), FINAL), HERE), "(confidence < 0.4 or final) and final"),
        (Any_((All((LOW, FINAL), HERE), FINAL), HERE), "confidence < 0.4 and final or final"),
        (Member(Field("name", HERE), (Constant("a", HERE),), True, HERE), 'name not in ("a")'),
        (Member(Constant("refund", HERE), Field("text", HERE), False, HERE), '"refund" in text'),
    ],
)  # fmt: skip
def test_guards_are_written_back_in_the_language(guard: Guard | None, text: str) -> None:
    assert guard_text(guard) == text


def test_a_long_guard_is_cut() -> None:
    long = All(tuple(LOW for _ in range(9)), HERE)
    assert guard_text(long, most=30) == "confidence < 0.4 and confiden…"
    assert guard_text(long, most=None).count("and") == 8


def test_a_file_without_a_name_is_called_by_its_own() -> None:
    assert picture(graph([node("a.stt")], [], name="", description="")).title == "front_desk.echo"


def test_a_choice_in_a_graph_with_errors_may_name_members_that_do_not_exist() -> None:
    drawn = picture(graph([node("a.stt ?? b.stt", NodeRole.CHOICE, members=("a.stt", "b.stt"))], []))
    assert [(b.title, b.members) for b in drawn.boxes] == [("first that works", ())]


def test_two_routes_of_one_pattern_with_equal_labels_are_two_lines_only_from_two_sources() -> None:
    whole = graph([node("a.agent", use="claude.agent"), node("transcript.log")], [])
    routes = [route("a.agent", "transcript.log", AgentMessage, number=i) for i in range(2)]
    assert len(picture(checked(whole, routes, barge_in_on="")).lines) == 1
