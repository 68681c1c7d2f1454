"""What is printed of a call's figures when it is over, and what goes through a pipe while it runs."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from echostack.cli.call_lines import CallLine, CallLines
from echostack.cli.call_screen import CallScreen, beside, figures, whole
from echostack.runtime.stats import NodeCounters, QueueStats, Stats, UsageStats, node_stats


def stats(**changed: Any) -> Stats:
    worked = NodeCounters(received=3, emitted=7)
    worked.first_output_ms.extend([80.0, 120.0, 200.0])
    worked.failed("timeout")
    given: dict[str, Any] = {
        "session": "call", "seconds": 12.0, "epochs": (0, 1), "interruptions": 1, "suspensions": 2, "aborted": 1,
        "ignored_turns": 0, "nodes": {"piper.tts": node_stats(worked), "idle.log": node_stats(NodeCounters())},
        "queues": (QueueStats("a -> b", 50, "drop_oldest", 60, 50, 10, 0, 0, 0, 50),),
        "voice_to_voice_ms": (400.0, 500.0, 900.0), "turn_to_audio_ms": (),
    }  # fmt: skip
    return Stats(**{**given, **changed})


def printed(what: object) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(what)
    return out.getvalue()


def test_the_call_as_a_whole_is_one_line() -> None:
    line = "voice to voice 500 ms p50, 900 ms p95 over 3 replies, 1 interruption, 1 false one, 10 events dropped"
    assert printed(whole(stats())).split() == line.split()
    quiet = stats(voice_to_voice_ms=(), interruptions=0, aborted=0, queues=())
    assert printed(whole(quiet)) == "0 interruptions, no event dropped\n"


def test_every_stage_that_worked_has_a_row_and_every_loss_a_line() -> None:
    rows = [row.split() for row in printed(figures(stats())).splitlines()]
    assert rows[1] == ["piper.tts", "3", "7", "120", "ms", "200", "ms", "1"]
    assert " ".join(rows[2]) == "a -> b: 10 of 60 dropped (drop_oldest)"
    assert len(rows) == 3


def test_a_failure_is_counted_once_whatever_came_of_it() -> None:
    worked = NodeCounters(received=1, emitted=1)
    for kind in ("retried", "exception", "failed_over", "recovered", "dead_letter"):
        worked.failed(kind)
    rows = printed(figures(stats(nodes={"piper.tts": node_stats(worked)}))).splitlines()
    assert rows[1].split() == ["piper.tts", "1", "1", "2"]


def test_in_a_pipe_every_line_is_printed_once_and_nothing_is_redrawn() -> None:
    out = io.StringIO()
    with CallScreen(Console(file=out, width=100), CallLines(), lambda: None) as screen:
        screen.show(
            [CallLine(1.5, "caller", "when do", "partial"), CallLine(2.0, "caller", "When do you open?", "said")]
        )
    assert out.getvalue() == "    1.50  caller  when do\n    2.00  caller  When do you open?\n"


def test_late_replies_and_what_was_used_have_a_line_each_and_only_then() -> None:
    assert beside(stats()) == []
    late = stats(budget_ms=450.0, budget_exceeded=2, budget_slowest={"endpointing": 1, "piper.tts": 2})
    assert [str(line) for line in beside(late)] == [
        "over the budget of 450 ms: 2 of 3 replies; most of the time took piper.tts 2 times, endpointing 1 time"
    ]
    counted = stats(
        usage=(
            UsageStats("claude.agent", "claude-x", 2, 1204, 85, 1000, 100),
            UsageStats("elevenlabs.tts", "", 3, characters=321),
            UsageStats("deepgram.stt", "nova-3", 1, audio_seconds=12.34),
            UsageStats("idle.agent", "", 1),
        )
    )
    assert [str(line) for line in beside(counted)] == [
        "used: claude.agent (claude-x): 1,204 tokens in (1,000 cached, 100 written to the cache), 85 out; "
        "elevenlabs.tts: 321 characters; deepgram.stt (nova-3): 12.3 s of audio; idle.agent: nothing"
    ]
