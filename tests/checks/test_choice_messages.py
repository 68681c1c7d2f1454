"""What is said about choices whose members cannot stand in for each other. Whole messages."""

from __future__ import annotations

from echostack.core.audio import AudioFormat
from echostack.core.payloads import AudioFrame, Text
from echostack.registry import connector
from tests.checks.helpers import checked, told
from tests.checks.vendors import registry


def test_fallback_makes_other_things() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> reprompt.say ?? sentiment.score -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:21-52 E0414 sentiment.score cannot stand in for the other members of reprompt.say ?? sentiment.score",
        "  note: elevenlabs.tts is given agent_message, and sentiment.score makes none of it",
        "  help: choose a connector that makes the same kind",
    ]


def test_fallback_takes_other_things() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> reprompt.say ?? piper.tts -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:21-46 E0414 piper.tts cannot stand in for the other members of reprompt.say ?? piper.tts",
        "  note: elevenlabs.tts is given agent_message, and piper.tts makes none of it",
        "  help: choose a connector that makes the same kind",
        "3:21-46 E0414 the members of reprompt.say ?? piper.tts take nothing in common",
        "  note: reprompt.say takes text; piper.tts takes agent_message",
        "  help: a choice is fed once, whichever member works: choose connectors that take the same kind",
    ]


def test_fallback_formats() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt ?? narrow.stt -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        (
            "2:36-62 E0415 the members of deepgram.stt ?? narrow.stt need different audio: deepgram.stt 16 kHz "
            "mono, narrow.stt 8 kHz mono"
        ),
        "  help: set them to the same rate and number of channels",
    ]


def test_fallback_differs() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt ?? whisper.stt -> (transcript.log, claude.agent)
          - claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:36-63 W0418 while whisper.stt stands in, transcript.log gets no text.partial",
        "  note: the other members of deepgram.stt ?? whisper.stt make it, whisper.stt does not",
    ]


def test_fallback_runs_in_another_way() -> None:
    @connector("quick.stt", input_format=lambda s: AudioFormat(16_000))
    async def quick(frame: AudioFrame) -> Text:
        return Text("")

    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> whisper.stt ?? quick.stt -> keys.log
        """,
        known=registry().add(quick),
    )
    assert told(findings).split("\n") == [
        "2:36-60 E0414 the members of whisper.stt ?? quick.stt run in different ways",
        "  note: whisper.stt runs as long as the call; quick.stt is called once an event",
        "  help: choose members that run alike; `echostack connectors NAME` shows how one runs",
    ]
