"""What is said about cycles, loose ends, queues and time. Whole messages."""

from __future__ import annotations

from tests.checks.helpers import checked, told


def test_cycle_by_accident() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> echo.text -> knowledge.search -> claude.agent
          - echo.text -> echo.text
        """
    )
    assert told(findings).split("\n") == [
        "4:5-27 E0501 events go round in a circle: echo.text -> echo.text",
        "  help: if it is meant, mark the rule that closes it: {cycle: true, queue: 8, overflow: drop_oldest}",
    ]


def test_cycle_of_three() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> echo.text -> again.text -> more.text -> echo.text
        connectors:
          again.text: {use: echo.text}
          more.text: {use: echo.text}
        """
    )
    assert told(findings).split("\n") == [
        "3:48-70 E0501 events go round in a circle: echo.text -> again.text -> more.text -> echo.text",
        "  at 3:21-44: echo.text -> again.text",
        "  at 3:34-57: again.text -> more.text",
        "  help: if it is meant, mark the rule that closes it: {cycle: true, queue: 8, overflow: drop_oldest}",
    ]


def test_pattern_feeds_itself() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - processing.*.text -> echo.text
        """
    )
    assert told(findings).split("\n") == [
        "3:5-35 E0502 processing.*.text feeds echo.text, whose own events it matches",
        "  note: echo.text would work on what it made itself, without end",
        "  help: name the source instead of `*`, or subscribe to another kind",
    ]


def test_cycle_that_blocks() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> echo.text
          - echo.text -> echo.text: {cycle: true, queue: 8, overflow: block}
        """
    )
    assert told(findings).split("\n") == [
        "4:5-27 E0503 the cycle echo.text -> echo.text can deadlock: every queue on it blocks when it is full",
        "  note: each node of it can come to wait for the next, and then none goes on",
        "  help: let one queue drop: {cycle: true, queue: 8, overflow: drop_oldest}",
    ]


def test_cycle_that_is_none() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> sentiment.score: {cycle: true}
        """
    )
    assert told(findings).split("\n") == [
        "3:5-36 W0504 deepgram.stt -> sentiment.score is marked as a cycle, and is on none",
        "  help: remove `cycle: true`",
    ]


def test_nothing_feeds() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - knowledge.search -> claude.agent
        """
    )
    assert told(findings).split("\n") == [
        "3:5-21 W0505 nothing feeds knowledge.search",
        ("  help: write a rule that ends in knowledge.search; without one, only events that a program emits reach it"),
    ]


def test_goes_nowhere() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent
        """
    )
    assert told(findings).split("\n") == [
        "2:52-64 W0506 claude.agent makes agent_message, agent_message.partial, and no rule takes it further",
        "  help: write a rule that begins with claude.agent, or remove it",
    ]


def test_port_goes_nowhere() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> intent.router
          - intent.router:book_meeting -> keys.log
        """
    )
    assert told(findings).split("\n") == [
        "3:21-34 W0515 what leaves intent.router by the port 'other' goes nowhere",
        "  help: write a rule that begins with intent.router:other",
    ]


def test_words_may_be_lost() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> sentiment.score: {queue: 2, overflow: latest}
        """
    )
    assert told(findings).split("\n") == [
        "3:5-36 W0507 `overflow: latest` may drop text on the way to sentiment.score",
        "  note: events of this kind are words and facts: nothing brings a lost one back",
        "  help: use `overflow: block`, with a longer queue where bursts are expected",
    ]


def test_twice_the_same() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> claude.agent
        """
    )
    assert told(findings).split("\n") == [
        "3:5-33 W0508 claude.agent would get text from deepgram.stt twice",
        "  at 2:36-64: it comes this way already",
        "  help: the second is left out; remove one of the two rules",
    ]


def test_live_audio_blocked() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> denoise.filter: {overflow: block}
          - denoise.filter -> deepgram.stt -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        (
            "2:5-50 W0516 denoise.filter takes about 30 ms for a frame, and `overflow: block` makes the caller's "
            "audio wait for it"
        ),
        "  note: a frame comes every 20 ms: the call falls behind, and stays behind",
        "  help: leave `overflow` out: audio then drops its oldest frames",
    ]


def test_over_budget() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        budget: {voice_to_voice: 500ms}
        """
    )
    assert told(findings).split("\n") == [
        "3:26-31 W0514 a reply is expected after 780 ms, and the budget is 500 ms",
        ("  note: deepgram.stt 250 + claude.agent 350 + elevenlabs.tts 180 = 780 ms, as the connectors declare it"),
        "  note: one call in twenty: 1700 ms or more",
        "  help: choose faster connectors for the largest of these, or raise the budget",
    ]
