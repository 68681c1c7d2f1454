"""What is said about guards. Whole messages."""

from __future__ import annotations

from tests.checks.helpers import checked, told


def test_guard_unknown_field() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -[ confidense < 0.4 ]-> reprompt.say -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:21-31 E0411 text has no field 'confidense'",
        "  label: this arrow carries text",
        "  help: did you mean 'confidence'?",
    ]


def test_guard_compares_text_with_a_number() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -[ text < 0.4 ]-> reprompt.say -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:21-31 E0412 'text' is a text: `<` cannot compare it with 0.4, a number",
        "  help: `echostack connectors` shows the fields of what a connector makes",
    ]


def test_guard_never_equal() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -[ confidence == "high" ]-> reprompt.say -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:21-41 E0412 'confidence' is a number, and never equal to 'high', a text",
        "  help: `echostack connectors` shows the fields of what a connector makes",
    ]


def test_guard_number_alone() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -[ confidence ]-> reprompt.say -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:21-31 E0412 'confidence' is a number, which says neither yes nor no: compare it with something",
        "  help: `echostack connectors` shows the fields of what a connector makes",
    ]


def test_guard_membership() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -[ language in ("en", 3) ]-> reprompt.say -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:40-41 E0412 'language' is a text, and never equal to 3, a number",
        "  help: `echostack connectors` shows the fields of what a connector makes",
    ]


def test_guard_fields_of_two_kinds() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> intent.router -[ name == "book" and language == "en" ]-> claude.agent
        """
    )
    assert told(findings).split("\n") == [
        "3:38-73 E0411 no kind on this arrow has all the fields of its guard: it carries text, intent",
        "  help: write one rule for each kind",
    ]


def test_else_alone() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -[ else ]-> reprompt.say -> elevenlabs.tts
        """
    )
    assert told(findings).split("\n") == [
        "3:21-25 E0413 `else` has nothing to be the other case of: no other rule from deepgram.stt has a guard",
        "  help: guard another rule that starts at deepgram.stt, or write a plain arrow",
    ]
