"""A call told in lines, from the events that it makes."""

from __future__ import annotations

from itertools import count

import pytest

from echostack.cli.call_lines import CallLine, CallLines
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import (
    Aborted,
    AudioFrame,
    CallEnded,
    Committed,
    ExceptionFailure,
    FailedOver,
    PlayoutFinished,
    PlayoutStarted,
    Recovered,
    Retried,
    SpeechStarted,
    SpeechStopped,
    Suspended,
    Text,
    TextPartial,
)

SEQ = count(1)


def event(time: float, payload: Payload, stage: str = "processing", source: str = "x", node: str = "") -> Event:
    return Event(f"{stage}.{source}.{payload.__kind__.name}", payload, "call", next(SEQ), time, node=node)


def told(*events: Event) -> tuple[CallLines, list[str]]:
    lines = CallLines()
    return lines, [str(line) for e in events for line in lines.take(e)]


def test_a_turn_and_its_interrupted_reply_are_told_in_order() -> None:
    lines, said = told(
        event(0.50, SpeechStarted(0.48)),
        event(0.90, TextPartial("when do")),
        event(1.20, TextPartial("when do")),
        event(1.60, SpeechStopped(1.5, 1.0)),
        event(1.92, Text("When do you open?", start=0.48, end=1.5, ended_by="silence", waited_ms=320)),
        event(2.40, PlayoutStarted("u1", 480), "control"),
        event(4.00, Suspended("reply", 1.6), "control"),
        event(4.50, Committed("reply", 1, "speech", 3, "We open at"), "control"),
        event(4.50, PlayoutFinished("u1", "We open at", True, 1.6), "control"),
        event(9.00, CallEnded("the caller hung up"), "control"),
    )
    assert said == [
        "    0.90  caller  when do ...",
        "    1.92  caller  When do you open?  (turn ended by silence after 320 ms)",
        "    2.40          the agent begins to speak, 480 ms after the end of the turn",
        "    4.00          the caller speaks over the reply: paused after 1.60 s of it",
        "    4.50          interrupted by speech, 3 queued events dropped",
        "    4.50  agent   We open at --  (cut after 1.60 s)",
        "    9.00          the call ends: the caller hung up",
    ]
    assert (lines.interruptions, lines.failures, lines.partial, lines.ended) == (1, 0, "", "the caller hung up")


def test_a_caller_who_hangs_up_interrupts_nobody() -> None:
    lines, said = told(
        event(2.0, Committed("reply", 1, "hang up"), "control"),
        event(3.0, Committed("reply", 2, "hang up", 1), "control"),
    )
    assert said == ["    3.00          interrupted by hang up, 1 queued event dropped"]
    assert lines.interruptions == 0


def test_who_speaks_follows_the_events() -> None:
    lines = CallLines()
    states = []
    for payload in (
        SpeechStarted(), SpeechStopped(), PlayoutStarted("u"), Suspended(), Aborted(), PlayoutFinished("u", "Hi."),
    ):  # fmt: skip
        lines.take(event(1.0, payload))
        states.append((lines.caller_speaks, lines.agent_speaks, lines.paused))
    assert states == [
        (True, False, False), (False, False, False), (False, True, False), (False, True, True), (False, True, False),
        (False, False, False),
    ]  # fmt: skip


def test_a_false_interruption_says_why_the_reply_goes_on() -> None:
    _, said = told(event(3.0, Aborted("reply", "backchannel"), "control"))
    assert said == ["    3.00          no interruption (backchannel): the reply goes on where it stopped"]


def test_a_reply_cut_before_its_first_word_says_so() -> None:
    _, said = told(event(1.0, PlayoutStarted("u"), "control"), event(1.0, PlayoutFinished("u", "", True), "control"))
    assert said[-1] == "    1.00          a reply was cut before its first word"


@pytest.mark.parametrize(
    ("payload", "line", "counted"),
    [
        (ExceptionFailure("a.stt", "the socket closed"), "a.stt: exception: the socket closed", 1),
        (FailedOver("a.stt", "slow", to="b.stt"), "a.stt: failed over to b.stt: slow", 0),
        (Retried("a.stt", "slow", attempt=2), "a.stt: attempt 2 failed, trying again: slow", 0),
        (Recovered("a.stt"), "a.stt: recovered", 0),
    ],
)
def test_failures_name_the_node_and_what_happened(payload: Payload, line: str, counted: int) -> None:
    lines, said = told(event(2.0, payload, "error"))
    assert said == [f"    2.00          {line}"]
    assert lines.failures == counted


def test_a_failure_that_another_one_stands_in_for_is_made_good() -> None:
    lines, _ = told(
        event(1.0, ExceptionFailure("b.tts", "b.tts: no voice"), "error"),
        event(2.0, ExceptionFailure("a.stt", "a.stt: the socket closed"), "error"),
        event(2.0, FailedOver("a.stt", "a.stt: the socket closed", to="b.stt"), "error"),
    )
    assert (lines.failures, lines.failed) == (1, "b.tts: no voice")


def test_audio_says_nothing_but_moves_the_time() -> None:
    lines = CallLines()
    assert lines.take(event(7.5, AudioFrame(b"\0\0", 16000), "ingress")) == []
    assert lines.now == 7.5


def test_a_line_without_a_speaker_keeps_its_column() -> None:
    assert str(CallLine(0.0, "", "x")) == "    0.00          x"
