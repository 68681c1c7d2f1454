"""The estimate from the caller's mouth to the caller's ear."""

from __future__ import annotations

from dataclasses import replace

from echostack.checks import CheckedGraph, latency_path
from echostack.language.document import TurnsDecl
from tests.checks.helpers import checked as check_text
from tests.checks.helpers import sound, told

CALL = "- ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk"


def path(checked: CheckedGraph, turns: TurnsDecl = TurnsDecl()) -> list[tuple[str, float, float]]:
    return list(latency_path(replace(checked, graph=replace(checked.graph, turns=turns))))


def test_the_slowest_way_counts_stage_by_stage() -> None:
    graph = sound(f"pipeline:\n  {CALL}\n  - deepgram.stt -> knowledge.search -> claude.agent".replace(
        "-> claude.agent -> elevenlabs", "-> reprompt.say -> elevenlabs"
    ) + " -> elevenlabs.tts")  # fmt: skip
    assert path(graph) == [
        ("deepgram.stt", 250, 400),
        ("knowledge.search", 60, 120),
        ("claude.agent", 350, 900),
        ("elevenlabs.tts", 180, 400),
        ("egress.livekit", 0, 0),
    ]


def test_of_a_choice_the_slowest_member_counts() -> None:
    graph = sound(
        """
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt ?? whisper.stt -> reprompt.say -> piper.tts
          - piper.tts -> egress.livekit.audio_chunk
        """
    )
    assert path(graph)[0] == ("deepgram.stt ?? whisper.stt", 400, 700)


def test_a_turn_that_silence_ends_waits_for_it() -> None:
    graph = sound(f"pipeline:\n  {CALL}")
    assert path(graph, TurnsDecl("silence", 0.6))[0] == ("end of turn", 600, 600)


def test_without_speech_there_is_no_way() -> None:
    assert path(sound("pipeline:\n  - ingress.livekit.audio_frame -> deepgram.stt -> sentiment.score")) == []


def test_a_marked_cycle_does_not_go_round() -> None:
    graph = sound(
        f"""
        pipeline:
          {CALL}
          - deepgram.stt -> echo.text -> knowledge.search -> claude.agent
          - echo.text -> echo.text: {{cycle: true, queue: 2, overflow: latest}}
        """
    )
    assert [name for name, _, _ in path(graph)][:3] == ["deepgram.stt", "echo.text", "knowledge.search"]


def test_within_the_budget_nothing_is_said() -> None:
    _, findings = check_text(f"pipeline:\n  {CALL}\nbudget: {{voice_to_voice: 780ms}}")
    assert told(findings) == ""
