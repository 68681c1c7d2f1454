"""What is said about endpoints that cannot be. Whole messages."""

from __future__ import annotations

from tests.checks.helpers import checked, told


def test_bad_form_three_parts() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt.text -> claude.agent
        """
    )
    assert told(findings).split("\n") == [
        "3:5-22 E0301 'deepgram.stt.text' has none of the forms that an endpoint can have",
        (
            "  help: a node is vendor.role or one declared name; an event is processing.<source>.<kind>; a "
            "transport's end is ingress.<transport>.<kind> or egress.<transport>.<kind>; a playbook is "
            "<name>.playbook"
        ),
    ]


def test_bad_form_pattern_short() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - processing.text -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "3:5-20 E0301 'processing.text' is not an event pattern",
        "  help: an event is named processing.<source>.<kind>[.<modifier>]",
    ]


def test_bad_form_transport_short() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit -> deepgram.stt -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "2:5-20 E0301 'ingress.livekit' is not a transport's end",
        "  help: it is named ingress.<transport>.<kind>, such as ingress.livekit.audio_frame",
    ]


def test_ingress_in_the_middle() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - claude.agent -> ingress.livekit.audio_frame
        """
    )
    assert told(findings).split("\n") == [
        "3:21-48 E0302 'ingress.livekit.audio_frame' is a transport's ingress: a rule can only begin with it",
        "  help: audio and messages come in there, nothing goes to it",
    ]


def test_egress_at_the_head() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - egress.livekit.audio_chunk -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "3:5-31 E0302 'egress.livekit.audio_chunk' is a transport's egress: a rule can only end with it",
        "  help: what reaches it has left the graph",
    ]


def test_pattern_at_the_tail() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - claude.agent -> processing.claude.agent_message
        """
    )
    assert told(findings).split("\n") == [
        "3:21-52 E0302 'processing.claude.agent_message' is an event pattern: a rule can only begin with it",
        "  help: to feed a node, name the node",
    ]


def test_bare_name_undeclared() -> None:
    _, findings = checked(
        r"""
        connectors:
          sales: {use: claude.agent}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> slaes -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "4:52-57 E0303 'slaes' is not declared under `connectors:`",
        "  help: did you mean 'sales'?",
    ]


def test_star_in_a_node() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.* -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "3:5-15 E0304 'deepgram.*' has a star, but is not an event pattern",
        "  help: only event patterns take `*`: processing.*.text, error.*.timeout",
    ]


def test_star_in_a_transport() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - ingress.*.audio_frame -> webrtc.vad
        """
    )
    assert told(findings).split("\n") == [
        "3:5-26 E0304 'ingress.*.audio_frame' has a star, but is not an event pattern",
        "  help: only event patterns take `*`: processing.*.text, error.*.timeout",
    ]


def test_alias_of_an_alias() -> None:
    _, findings = checked(
        r"""
        connectors:
          sales.agent: {use: claude.agent}
          night: {use: sales.agent}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> sales.agent -> elevenlabs.tts
          - deepgram.stt -> night -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:16-27 E0305 'night' uses 'sales.agent', which is an alias itself",
        "  note: an alias names a connector, so that its settings stand in one place",
        "  help: write use: claude.agent",
    ]


def test_transport_under_a_bare_name() -> None:
    _, findings = checked(
        r"""
        connectors:
          phone: {use: ingress.livekit}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:16-31 E0305 'phone' cannot stand for 'ingress.livekit'",
        "  help: a transport's alias is named like a transport: declare ingress.phone",
    ]


def test_declared_under_a_stage() -> None:
    _, findings = checked(
        r"""
        connectors:
          processing.agent: {use: claude.agent}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:3-19 E0306 'processing.agent' cannot be the name of a connector",
        "  help: a name is vendor.role, ingress.<transport>, egress.<transport>, or one word with `use:`",
    ]


def test_port_on_a_transport() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - ingress.livekit.audio_frame:left -> webrtc.vad
        """
    )
    assert told(findings).split("\n") == [
        "3:5-37 E0307 a transport's ingress has no ports",
        "  help: write ingress.livekit.audio_frame without :left",
    ]


def test_port_at_the_end() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> intent.router:other
        """
    )
    assert told(findings).split("\n") == [
        "3:21-40 E0307 nothing follows the port 'other' of 'intent.router'",
        "  help: a port says by which way an event leaves a node: intent.router:other -> ...",
    ]


def test_pattern_in_a_choice() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - processing.deepgram.text ?? whisper.stt -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "3:5-29 E0308 processing.deepgram.text cannot stand in a choice",
        "  help: `??` chooses between connectors, named without ports",
    ]


def test_member_of_two_choices() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt ?? whisper.stt -> sentiment.score
          - whisper.stt ?? narrow.stt -> sentiment.score
        """
    )
    assert told(findings).split("\n") == [
        (
            "3:5-30 E0309 whisper.stt is a member of two choices: deepgram.stt ?? whisper.stt, and whisper.stt ??"
            " narrow.stt"
        ),
        "  help: write the same choice in both places; or give whisper.stt a second name with `use:`",
    ]


def test_choice_repeats_a_member() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt ?? deepgram.stt -> sentiment.score
        """
    )
    assert told(findings).split("\n") == [
        "3:5-33 E0323 the choice deepgram.stt ?? deepgram.stt names one member twice",
        "  help: name each member once, the preferred one first",
    ]
