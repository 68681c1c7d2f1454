"""What was heard and what the conversation holds: exactly when it is as expected, and what is told when it is not."""

from __future__ import annotations

import pytest

from tests.simulation.expect.calls import failures, heard, judged, turn

HEARD = (heard(1.0, "Yes, we are open."), heard(3.0, "Lunch is eighteen dollars.", each=0.5))
CONVERSATION = (
    turn("caller", "Are you open?", 0.2, 0.9),
    turn("agent", "Yes, we are open.", 1.0, 2.0),
    turn("caller", "And lunch?", 2.2, 2.8),
    turn("agent", "Lunch is", 3.0, 3.8, cut=True),
)


@pytest.mark.parametrize(
    "line",
    [
        "{heard: 'yes we are open - lunch is eighteen dollars'}",
        "{heard: {nth: 1, text: YES WE ARE OPEN, seconds: 1s, starts: 1s, stops: 2s}}",
        "{heard: {contains: open lunch}}",
        "{heard: {nth: 2, contains: lunch is, lacks: open, seconds: 2s, stops: 5s}}",
        "{heard: {seconds: 3s, starts: 1s, stops: 5s}}",
        "{conversation: [caller: are you open, agent: yes we are open, caller: and lunch, agent: lunch is]}",
        "{conversation: [caller: are you open, {agent: yes we are open, cut: false}], among: true}",
        "{conversation: [{caller: and lunch}], among: true}",
        "{conversation: [{agent: yes we are open, cut: false}, {agent: lunch is}], among: true}",
    ],
)
def test_what_holds_is_no_failure(line: str) -> None:
    assert judged(line, heard=HEARD, conversation=CONVERSATION) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "{heard: {nth: 1, text: Yes we were open}}",
            'expected utterance 1 of the agent to be "Yes we were open", and it was "Yes, we are open."\n'
            "difference: Yes, we [-were-] {+are+} open.",
        ),
        (
            "{heard: {nth: 3, text: Goodbye}}",
            'expected utterance 3 of the agent, that it is "Goodbye"; 2 utterances were heard',
        ),
        ("{heard: {nth: 3, lacks: x}}", "expected at least 3 utterances of the agent; 2 utterances were heard"),
        (
            "{heard: {contains: lunch was}}",
            'expected "lunch was" in what the caller heard; the nearest of 2 utterances was'
            ' "Lunch is eighteen dollars." at 3.000 s',
        ),
        (
            "{heard: {nth: 1, contains: lunch}}",
            'expected "lunch" in utterance 1 of the agent, which was "Yes, we are open."',
        ),
        (
            "{heard: {lacks: eighteen dollars}}",
            'expected no "eighteen dollars" in what the caller heard, and it was there:'
            ' "Lunch is eighteen dollars." at 3.000 s',
        ),
        (
            "{heard: {nth: 2, seconds: 1500ms}}",
            "expected utterance 2 of the agent to sound for 1.500 s; it sounded for 2.000 s, 0.500 s too long",
        ),
        (
            "{heard: {nth: 2, stops: 5.000002s}}",
            "expected utterance 2 of the agent to stop at 5.000002 s; it stopped at 5.000 s, 0.000002 s too early",
        ),
        (
            "{heard: {nth: 2, starts: 2.5s}}",
            "expected utterance 2 of the agent to start at 2.500 s; it started at 3.000 s, 0.500 s too late",
        ),
        (
            "{conversation: [caller: are you open, agent: yes we are]}",
            'expected turn 2 of the conversation to be agent: "yes we are"; it is "Yes, we are open."\n'
            "difference: Yes, we are {+open.+}",
        ),
        (
            "{conversation: [agent: are you open]}",
            'expected turn 1 of the conversation to be agent: "are you open"; it is caller: "Are you open?"',
        ),
        (
            "{conversation: [caller: are you open, {agent: yes we are open, cut: true}]}",
            'expected turn 2 of the conversation to be agent: "yes we are open", cut; it was not cut',
        ),
        (
            "{conversation: [caller: are you open]}",
            'expected 1 turn in the conversation, and there were 3 more, first agent: "Yes, we are open." at 1.000 s',
        ),
        (
            "{conversation: [caller: are you open, agent: yes we are open, caller: and lunch, agent: lunch is,"
            " caller: bye]}",
            'expected 5 turns in the conversation, and it ended after 4: 1 is missing, first caller: "bye"',
        ),
        (
            "{conversation: [{agent: yes we are open}, {agent: lunch was}], among: true}",
            'expected agent: "lunch was" in the conversation after turn 2; the nearest is turn 4, agent: "Lunch is",'
            " cut at 3.000 s",
        ),
        (
            "{conversation: [{agent: lunch is}, {agent: lunch is}], among: true}",
            'expected agent: "lunch is" in the conversation after turn 4; the conversation ends there',
        ),
    ],
)
def test_what_does_not_hold_is_told_with_the_difference(line: str, said: str) -> None:
    assert judged(line, heard=HEARD, conversation=CONVERSATION) == [said]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{heard: hello}", 'expected what the caller heard to be "hello", and it was nothing'),
        ("{heard: {contains: hello}}", 'expected "hello" in what the caller heard, which was nothing'),
        ("{heard: {starts: 1s}}", "expected what the caller heard to start at 1.000 s; nothing was heard"),
        ("{heard: {seconds: 1s}}", "expected what the caller heard to sound for 1.000 s; nothing was heard"),
        ("{heard: {nth: 1, text: hi}}", 'expected utterance 1 of the agent, that it is "hi"; no utterance was heard'),
        (
            "{conversation: [{caller: hi}], among: true}",
            'expected caller: "hi" in the conversation; the conversation is empty',
        ),
    ],
)
def test_silence_is_told_as_silence(line: str, said: str) -> None:
    assert judged(line) == [said]


def test_nothing_heard_is_what_can_be_expected() -> None:
    assert judged("{heard: {seconds: 0s}}", "{heard: ''}", "{conversation: []}") == []


def test_every_wish_about_an_utterance_is_judged_on_its_own() -> None:
    found = failures("{heard: {nth: 1, text: no, seconds: 3s, stops: 9s}}", heard=HEARD)
    assert [f.at for f in found] == [2.0, 2.0, 9.0]
    assert found[2].around == (1.0, 10.0)
