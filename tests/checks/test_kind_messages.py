"""What is said where kinds, patterns and ports do not fit. Whole messages."""

from __future__ import annotations

from tests.checks.helpers import checked, told


def test_unknown_kind_in_a_pattern() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - processing.*.txet -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "3:5-22 E0403 there is no kind 'txet'",
        "  help: did you mean 'text' or 'intent'?",
    ]


def test_unknown_kind_at_a_transport() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_fram -> deepgram.stt -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "2:5-31 E0403 there is no kind 'audio_fram'",
        "  help: did you mean 'audio_frame' or 'audio_chunk.stream'?",
    ]


def test_transport_lacks_the_kind() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.text -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "2:5-25 E0404 ingress.livekit makes no text",
        "  help: it makes audio_frame, data: write ingress.livekit.audio_frame",
    ]


def test_egress_lacks_the_kind() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> egress.livekit.agent_message
        """
    )
    assert told(findings).split("\n") == [
        "2:68-96 E0404 egress.livekit takes no agent_message",
        "  help: it takes audio_chunk.stream, audio_chunk: write egress.livekit.audio_chunk.stream",
    ]


def test_pattern_without_a_producer() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - processing.*.intent -> crm.write
        connectors:
          crm.write: {url: 'http://crm'}
        """
    )
    assert told(findings).split("\n") == [
        "3:5-24 E0405 no event matches processing.*.intent",
        "  help: what makes intent is intent.router",
    ]


def test_pattern_of_a_misspelt_source() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - processing.deepgran.text -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "3:5-29 E0405 no event matches processing.deepgran.text",
        "  note: the events of this kind are processing.deepgram.text",
        "  help: did you mean 'deepgram'?",
    ]


def test_error_pattern_of_nobody() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - error.whisper.timeout -> alert.send
        """
    )
    assert told(findings).split("\n") == [
        "3:5-26 E0405 no event matches error.whisper.timeout",
        (
            "  note: the events of this kind are error.livekit.timeout, error.deepgram.timeout, "
            "error.claude.timeout, error.elevenlabs.timeout, error.alert.timeout"
        ),
        "  help: name a source of this graph, or `*` for any",
    ]


def test_kinds_do_not_meet() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:52-66 E0406 nothing that deepgram.stt makes is taken by elevenlabs.tts",
        "  label: elevenlabs.tts takes agent_message, agent_message.partial",
        "  at 2:36-48: deepgram.stt makes text, text.partial, text.segment",
        (
            "  help: what could stand between them: claude.agent (takes text, makes agent_message, "
            "agent_message.partial); or reprompt.say (takes text, makes agent_message)"
        ),
    ]


def test_kinds_far_apart() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:36-48 E0406 nothing that ingress.livekit.audio_frame carries is taken by claude.agent",
        "  label: claude.agent takes text, intent, documents",
        "  at 2:5-32: ingress.livekit.audio_frame carries audio_frame",
        (
            "  help: what could stand between them: deepgram.stt (takes audio_frame, makes text); or narrow.stt "
            "(takes audio_frame, makes text); or whisper.stt (takes audio_frame, makes text)"
        ),
    ]


def test_pattern_kinds_do_not_meet() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - processing.claude.agent_message -> sentiment.score
        """
    )
    assert told(findings).split("\n") == [
        "3:40-55 E0406 nothing that processing.claude.agent_message makes is taken by sentiment.score",
        "  label: sentiment.score takes text",
        "  at 3:5-36: processing.claude.agent_message matches agent_message",
        "  help: no connector known here turns the one into the other",
    ]


def test_unknown_port() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> intent.router
          - intent.router:othr -> keys.log
        """
    )
    assert told(findings).split("\n") == [
        "4:5-23 E0407 intent.router has no port 'othr'",
        "  note: a connector's ports may follow from its settings",
        "  help: did you mean 'other'?",
    ]


def test_port_of_a_node_without_ports() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt:left -> keys.log
        """
    )
    assert told(findings).split("\n") == [
        "3:5-22 E0407 deepgram.stt has no port 'left'",
        "  help: it has no ports",
    ]
