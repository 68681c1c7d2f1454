"""A part of a call as lines: who speaks, what happens, the instant that matters, and what was left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echostack.core.payloads import (
    AgentMessage,
    AudioFrame,
    Committed,
    PlayoutFinished,
    PlayoutStarted,
    SpeechStarted,
    SpeechStopped,
    Suspended,
    TextPartial,
)
from echostack.simulation.expect.timeline import agent_speech, caller_speech, failure_timeline, heard_speech, timeline
from tests.simulation.expect.calls import event, failures, heard, outcome, text

CALL = (
    event(1.0, "processing.webrtc.speech_started", SpeechStarted(0.96)),
    event(1.3, "processing.moonshine.text.partial", TextPartial("how")),
    event(1.5, "processing.moonshine.text.partial", TextPartial("how much is")),
    event(1.8, "processing.webrtc.speech_stopped", SpeechStopped(1.8, 0.84)),
    text(2.2, "how much is lunch", ended_by="recogniser", waited_ms=400.0),
    event(2.4, "processing.faq.agent_message", AgentMessage("Eighteen dollars.", "m1")),
    event(2.6, "control.speaker.playout_started", PlayoutStarted("m1", 800.0)),
    event(3.0, "control.barge_in.suspended", Suspended("reply", 0.4)),
    event(3.5, "control.barge_in.committed", Committed("reply", 2, "speech", 1, "Eighteen")),
    event(3.5, "control.speaker.playout_finished", PlayoutFinished("m1", "Eighteen", True, 0.4)),
)


def test_a_part_of_a_call() -> None:
    assert timeline(CALL, 1.0, 3.5, mark=3.0) == (
        "     time  c a",
        "    1.000  |    processing.webrtc.speech_started   since 0.960 s",
        '    1.300  |    processing.moonshine.text.partial  "how much is"  (the last of 2, until 1.500)',
        "    1.800       processing.webrtc.speech_stopped   at 1.800 s, after 0.840 s",
        '    2.200       processing.moonshine.text          "how much is lunch"  (turn ended by recogniser, 400 ms)',
        '    2.400       processing.faq.agent_message       "Eighteen dollars."',
        "    2.600    |  control.speaker.playout_started    800 ms after the end of the turn",
        ">   3.000       control.barge_in.suspended         after 0.400 s of the reply",
        "    3.500       control.barge_in.committed         by speech, epoch 2, 1 queued event dropped",
        '    3.500       control.speaker.playout_finished   "Eighteen"  (cut after 0.400 s)',
    )


def test_an_instant_at_which_nothing_happened_has_a_line_of_its_own() -> None:
    assert timeline(CALL, 2.3, 2.7, mark=2.5) == (
        "     time  c a",
        '    2.400       processing.faq.agent_message     "Eighteen dollars."',
        ">   2.500       (nothing happens at this instant)",
        "    2.600    |  control.speaker.playout_started  800 ms after the end of the turn",
    )


def test_audio_is_folded_and_pieces_at_the_mark_are_not() -> None:
    frames = [event(i / 50, "processing.mic.audio_frame", AudioFrame(bytes(640), 16_000)) for i in range(100)]
    lines = timeline(frames, 0.0, 10.0)
    assert lines == ("     time  c a", "    0.000       processing.mic.audio_frame  100 until 1.980")
    assert timeline(CALL, 1.2, 1.6, mark=1.5)[2].startswith(">   1.500")


def test_nothing_is_nothing() -> None:
    assert timeline((), 0.0, 10.0) == ()
    assert timeline(CALL, 8.0, 9.0) == ()


def test_what_does_not_fit_is_counted() -> None:
    many = tuple(text(float(i), f"number {i}") for i in range(60))
    lines = timeline(many, 0.0, 60.0, most=10)
    assert len(lines) == 9
    assert lines[5] == "           … 53 more"
    assert "number 0" in lines[1]
    assert "number 59" in lines[-1]
    marked = timeline(many, 0.0, 60.0, mark=30.0, most=10)
    assert marked[1] == "           … 26 more"
    assert marked[-1] == "           … 27 more"
    assert [line[0] for line in marked].count(">") == 1


@given(st.integers(0, 80), st.integers(8, 30), st.none() | st.integers(0, 90))
def test_no_event_is_lost_without_being_counted(count: int, most: int, mark: int | None) -> None:
    lines = timeline([text(float(i), "x") for i in range(count)], 0, 100, mark=mark, most=most)
    assert len(lines) <= most
    shown = [line for line in lines[1:] if "…" not in line]
    left = sum(int(line.split("… ")[1].split()[0]) for line in lines if "…" in line)
    assert len(shown) + left == count + (mark is not None and mark >= count)
    assert sum(line.startswith(">") for line in lines) == (mark is not None)


def test_speech_is_told_by_voice_activity_or_else_by_turns() -> None:
    assert caller_speech(CALL) == ((0.96, 1.8),)
    assert caller_speech((text(2.0, "x", start=0.5, end=1.5),)) == ((0.5, 1.5),)
    assert agent_speech(CALL) == ((2.6, 3.0),)


def test_what_was_heard_is_parted_where_it_was_suspended() -> None:
    whole = heard(1.0, "one two three")
    assert heard_speech(outcome(heard=(whole, heard(5.0, "four")))) == ((1.0, 1.75), (5.0, 5.25))


def test_a_failure_shows_the_part_around_it() -> None:
    (failure,) = failures("{never: control.barge_in.suspended}", events=CALL)
    lines = failure_timeline(outcome(events=CALL), failure)
    assert [line[4:9] for line in lines[1:]] == ["2.200", "2.400", "2.600", "3.000", "3.500", "3.500"]
    assert [line for line in lines if line.startswith(">")] == [
        ">   3.000       control.barge_in.suspended        after 0.400 s of the reply"
    ]
    (nowhere,) = failures("processing.*.intent", events=CALL)
    assert len(failure_timeline(outcome(events=CALL), nowhere)) == len(CALL)  # a head, and two pieces in one line
    (figure,) = failures("{written: faq.agent}", events=CALL)
    assert failure_timeline(outcome(events=CALL), figure) == ()
