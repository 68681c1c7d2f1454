"""The voice-activity tap and the reply scope: there without asking, and only where they are needed."""

from __future__ import annotations

from echostack.checks import CheckedScope
from tests.checks.helpers import checked, sound, told
from tests.checks.vendors import registry

CALL = "- ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk"


def test_a_call_gets_a_tap_and_one_reply_scope() -> None:
    graph = sound(f"pipeline:\n  {CALL}")
    tap = graph.nodes["webrtc.vad"]
    assert (tap.inserted, tap.spec is not None, tap.settings is not None) == (True, True, True)
    assert [e.source for e in graph.edges if e.target == "webrtc.vad"] == ["ingress.livekit"]
    assert graph.scopes == (
        CheckedScope(1, "reply", ("claude.agent", "elevenlabs.tts", "egress.livekit"), ("egress.livekit",)),
    )
    assert graph.barge_in_on == "processing.webrtc.speech_started"


def test_the_scope_leaves_out_the_callers_side_and_what_never_speaks() -> None:
    graph = sound(
        f"""
        pipeline:
          {CALL}
          - ingress.livekit.audio_frame -> denoise.filter -> whisper.stt -> knowledge.search -> claude.agent
          - processing.*.text -> (sentiment.score, transcript.log)
        """
    )
    assert graph.scopes[0].nodes == ("claude.agent", "elevenlabs.tts", "egress.livekit", "knowledge.search")


def test_a_choice_in_the_scope_brings_its_members() -> None:
    graph = sound(
        """
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt ?? whisper.stt -> reprompt.say
          - reprompt.say -> elevenlabs.tts ?? piper.tts -> egress.livekit.audio_chunk
        """
    )
    assert graph.scopes[0].nodes == (
        "reprompt.say",
        "elevenlabs.tts",
        "piper.tts",
        "elevenlabs.tts ?? piper.tts",
        "egress.livekit",
    )


def test_a_graph_that_hears_speech_already_needs_no_tap() -> None:
    graph = sound(f"pipeline:\n  {CALL}\n  - ingress.livekit.audio_frame -> silero.vad")
    assert "webrtc.vad" not in graph.nodes
    assert graph.barge_in_on == "processing.silero.speech_started"


def test_a_voice_activity_node_that_no_audio_reaches_hears_nothing() -> None:
    graph = sound(f"connectors: {{silero.vad: {{}}}}\ninterface: {{in: silero.vad}}\npipeline:\n  {CALL}\n")
    assert graph.barge_in_on == "processing.webrtc.speech_started"


def test_another_vad_and_its_settings_are_taken_from_the_file() -> None:
    graph = sound(
        f"""
        connectors:
          ear.vad: {{use: silero.vad}}
        pipeline:
          {CALL}
        barge_in: {{vad: ear.vad}}
        """
    )
    assert graph.nodes["ear.vad"].inserted
    assert graph.nodes["ear.vad"].node.use == "silero.vad"
    assert graph.barge_in_on == "processing.ear.speech_started"


def test_every_ingress_with_the_callers_audio_is_listened_to() -> None:
    graph = sound(f"pipeline:\n  {CALL}\n  - ingress.file.audio_frame -> deepgram.stt")
    assert [e.source for e in graph.edges if e.target == "webrtc.vad"] == ["ingress.livekit", "ingress.file"]


def test_a_named_event_that_a_node_makes_is_used_as_it_is() -> None:
    graph = sound(f"pipeline:\n  {CALL}\nbarge_in: {{on: processing.deepgram.text.partial}}")
    assert graph.barge_in_on == "processing.deepgram.text.partial"
    assert not any(n.inserted for n in graph.nodes.values())


def test_a_named_event_of_the_tap_brings_the_tap() -> None:
    graph = sound(f"pipeline:\n  {CALL}\nbarge_in: {{on: processing.*.speech_started}}")
    assert graph.nodes["webrtc.vad"].inserted
    assert graph.barge_in_on == "processing.*.speech_started"


def test_off_means_no_tap_no_scope_and_a_warning() -> None:
    graph, findings = checked(f"pipeline:\n  {CALL}\nbarge_in: off")
    assert graph is not None
    assert (graph.scopes, graph.barge_in_on, "webrtc.vad" in graph.nodes) == ((), "", False)
    assert [d.code.id for d in findings.items] == ["W0509"]
    assert graph.warnings == tuple(findings.items)


def test_a_graph_without_speech_or_without_a_caller_is_left_alone() -> None:
    for rule in (
        "ingress.livekit.audio_frame -> deepgram.stt -> transcript.log",
        "ingress.sms.text -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk",
    ):
        graph = sound(f"pipeline:\n  - {rule}")
        assert (graph.scopes, graph.barge_in_on) == ((), "")


def test_barge_in_that_was_asked_for_and_has_no_caller_is_told() -> None:
    _, findings = checked(
        """
        pipeline:
          - ingress.sms.text -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        barge_in: {min_words: 2}
        """
    )
    assert told(findings).split("\n") == [
        "3:11-25 W0510 `barge_in:` has no effect here: no caller's audio comes in",
        "  help: remove it, or write `barge_in: off`",
    ]


def test_without_the_tap_in_the_registry_the_message_says_what_to_do() -> None:
    known = registry()
    _, findings = checked(
        f"pipeline:\n  {CALL}", known=known.narrow([n for n in known.names() if not n.endswith(".vad")])
    )
    assert told(findings).split("\n") == [
        "- E0512 barge-in listens through webrtc.vad, which is not known here",
        "  help: install or add that connector, name another with `barge_in: {vad: vendor.vad}`, or write "
        "`barge_in: off`",
    ]


def test_turns_may_be_ended_by_a_node_of_the_graph() -> None:
    sound(f"pipeline:\n  {CALL}\nturns: {{end_by: webrtc.vad}}")
    sound(f"pipeline:\n  {CALL}\nturns: {{end_by: silence}}")
