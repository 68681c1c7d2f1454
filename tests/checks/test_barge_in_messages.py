"""What is said about barge-in and turns. Whole messages."""

from __future__ import annotations

from tests.checks.helpers import checked, told


def test_never_interrupted() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        barge_in: off
        """
    )
    assert told(findings).split("\n") == [
        "3:11-14 W0509 what reaches egress.livekit can never be interrupted",
        "  note: `barge_in: off` lets the agent talk on while the caller speaks",
        "  help: remove `barge_in: off`; to protect single messages, make those uninterruptible",
    ]


def test_barge_in_without_speech() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> transcript.log
        barge_in: {min_speech: 250ms}
        """
    )
    assert told(findings).split("\n") == [
        "3:11-30 W0510 `barge_in:` has no effect here: no speech goes out",
        "  help: remove it, or write `barge_in: off`",
    ]


def test_barge_in_on_nothing() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        barge_in: {on: processing.silero.speech_started}
        """
    )
    assert told(findings).split("\n") == [
        "3:16-48 E0511 no node makes processing.silero.speech_started, so nothing could ever interrupt",
        "  help: did you mean 'processing.webrtc.speech_started'?",
    ]


def test_barge_in_without_vad() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        barge_in: {vad: acme.vad}
        """
    )
    assert told(findings).split("\n") == [
        "3:11-26 E0512 barge-in listens through acme.vad, which is not known here",
        (
            "  help: install or add that connector, name another with `barge_in: {vad: vendor.vad}`, or write "
            "`barge_in: off`"
        ),
    ]


def test_barge_in_vad_is_none() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        barge_in: {vad: sentiment.score}
        """
    )
    assert told(findings).split("\n") == [
        "3:11-33 E0512 barge-in cannot listen through sentiment.score: it takes text and makes sentiment",
        "  help: `barge_in.vad` names a connector that takes audio_frame and makes speech_started",
    ]


def test_turns_ended_by_nobody() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        turns: {end_by: webrtc.vod}
        """
    )
    assert told(findings).split("\n") == [
        "3:8-28 E0513 `turns.end_by` names 'webrtc.vod', which is no node of this graph",
        "  help: did you mean 'webrtc.vad'?",
    ]
