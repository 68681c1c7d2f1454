"""What is said about barge-in and turns. Whole messages."""

from __future__ import annotations

from echostack.core.payloads import AudioFrame, SpeechStarted, SpeechStopped
from echostack.registry import ConnectorSettings, connector
from tests.checks.helpers import checked, told
from tests.checks.vendors import registry


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


class HangingSettings(ConnectorSettings):
    silence: float = 0.3


@connector("webrtc.vad", hangover=lambda s: s.silence)
def hanging(frame: AudioFrame, settings: HangingSettings) -> list[SpeechStarted | SpeechStopped]:
    """Waits before it says that speech has stopped."""
    return []


def barges(section: str, connectors: str = "{}") -> list[str]:
    text = (
        f"barge_in: {section}\nconnectors: {connectors}\npipeline:\n"
        "  - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts\n"
        "  - elevenlabs.tts -> egress.livekit.audio_chunk\n"
    )
    return told(checked(text, known=registry().add(hanging))[1]).split("\n")


def test_a_min_speech_that_every_cough_has() -> None:
    assert barges("{min_speech: 250ms}") == [
        "1:11-30 W0518 every sound interrupts: `min_speech` is 250 ms, and webrtc.vad waits 300 ms of silence before "
        "it says that speech has stopped",
        "  note: a cough of 100 ms counts as 400 ms of speech",
        "  help: write more than 300 ms plus what a cough may last, such as `min_speech: 500ms`, or `min_words: 1`",
    ]
    assert barges("{min_speech: 300ms}")[0].startswith("1:11-30 W0518")


def test_a_min_speech_over_the_hangover_or_words_tell_a_cough_apart() -> None:
    assert barges("{min_speech: 350ms}") == [""]
    assert barges("{min_speech: 250ms, min_words: 1}") == [""]
    assert not any("W0518" in line for line in barges("{min_speech: 250ms}", "{webrtc.vad: {silence: 0.1}}"))
