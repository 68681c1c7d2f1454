"""Events expected, forbidden and in order: exactly when they hold, and what is said when they do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.payloads import CallStarted, Committed, Suspended
from tests.simulation.expect.calls import event, failures, judged, text

CALL = (
    event(0.0, "control.call.call_started", CallStarted()),
    text(1.2, "How much is dinner?"),
    event(2.0, "control.barge_in.suspended", Suspended("reply", 1.5)),
    event(2.5, "control.barge_in.committed", Committed("reply", 2, "speech")),
    text(3.4, "and are you open"),
)


@pytest.mark.parametrize(
    "line",
    [
        "processing.moonshine.text",
        "processing.*.text",
        "{event: processing.*.text, times: 2}",
        "{event: processing.*.text, where: '\"dinner\" in text', times: 1}",
        "{event: control.barge_in.committed, at: 2.5s}",
        "{event: control.barge_in.committed, after: control.barge_in.suspended, within: 500ms}",
        "{event: control.barge_in.committed, after: control.barge_in.suspended, later: 500ms}",
        "{event: processing.*.text, within: 1200ms}",
        "{event: processing.*.text, before: control.barge_in.suspended}",
        "{event: processing.*.text, before: control.call.call_ended}",
        "{event: processing.*.text, after: control.barge_in.committed, times: 1}",
        "{event: processing.*.text, times: 0, within: 1s}",
        "{never: error.*.exception}",
        "{never: processing.*.text, after: processing.moonshine.text, within: 2s}",
        "{never: processing.*.intent, after: control.barge_in.committed}",
        "{order: [control.call.call_started, processing.*.text, control.barge_in.committed, processing.*.text]}",
    ],
)
def test_what_holds_is_no_failure(line: str) -> None:
    assert judged(line, events=CALL) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "{event: processing.*.text, where: '\"lunch\" in text', within: 4s}",
            'expected `processing.*.text where "lunch" in text` within 4.000 s of the call; there were 2 such events,'
            ' at 1.200 s and 3.400 s, none with `"lunch" in text`; the nearest was "How much is dinner?" at 1.200 s',
        ),
        (
            "{event: control.barge_in.committed, where: epoch == 3}",
            "expected `control.barge_in.committed where epoch == 3`; there was one such event, at 2.500 s,"
            " without `epoch == 3`: epoch=2",
        ),
        (
            "{event: control.barge_in.committed, at: 2400ms}",
            "expected `control.barge_in.committed` at 2.400 s; it came at 2.500 s, 0.100 s too late",
        ),
        (
            "{event: control.barge_in.committed, at: 2.5000005s}",
            None,  # the same microsecond
        ),
        (
            "{event: processing.*.text, at: 2.4s}",
            "expected `processing.*.text` at 2.400 s; it came at 1.200 s and 3.400 s, the nearest 1.000 s too late",
        ),
        (
            "{event: control.barge_in.committed, after: control.barge_in.suspended, within: 250ms}",
            "expected `control.barge_in.committed` within 0.250 s after `control.barge_in.suspended` (at 2.000 s);"
            " it came at 2.500 s, 0.250 s too late",
        ),
        (
            "{event: control.barge_in.committed, after: control.barge_in.suspended, later: 600ms, within: 1s}",
            "expected `control.barge_in.committed` between 0.600 s and 1.000 s after `control.barge_in.suspended`"
            " (at 2.000 s); it came at 2.500 s, 0.100 s too early",
        ),
        (
            "{event: control.barge_in.committed, before: control.barge_in.suspended}",
            "expected `control.barge_in.committed` no later than `control.barge_in.suspended` (at 2.000 s);"
            " it came at 2.500 s, 0.500 s too late",
        ),
        (
            "{event: processing.*.text, times: 3}",
            "expected exactly 3 `processing.*.text`, and there were only 2, at 1.200 s and 3.400 s",
        ),
        (
            "{event: processing.*.text, times: 1}",
            "expected exactly 1 `processing.*.text`, and there were 2, at 1.200 s and 3.400 s",
        ),
        (
            "processing.deepgram.text",
            "expected `processing.deepgram.text`; no event of that name came; what came is"
            " 2 `processing.moonshine.text`, at 1.200 s and 3.400 s",
        ),
        (
            "control.barge_in.commited",
            "expected `control.barge_in.commited`; no event of that name came; what came is"
            " `control.barge_in.committed`, at 2.500 s",
        ),
        (
            "processing.router.intent",
            "expected `processing.router.intent`; no event of that name came",
        ),
        (
            "{event: processing.*.text, after: processing.*.intent}",
            "`processing.*.text` cannot be judged, because `processing.*.intent`, which it is to be counted from, did"
            " not come; no event of that name came",
        ),
        (
            "{never: processing.*.text, after: control.barge_in.committed, within: 1s}",
            "expected no `processing.*.text` within 1.000 s after `control.barge_in.committed` (at 2.500 s),"
            " and there was one, at 3.400 s",
        ),
        (
            "{never: processing.*.text}",
            "expected no `processing.*.text`, and there were 2, at 1.200 s and 3.400 s",
        ),
        (
            "{never: processing.*.text, after: processing.*.intent}",
            "`processing.*.text` cannot be judged, because `processing.*.intent`, which it is to be counted from, did"
            " not come; no event of that name came",
        ),
        (
            "{order: [control.barge_in.committed, control.barge_in.suspended]}",
            "expected `control.barge_in.suspended` after `control.barge_in.committed` (at 2.500 s), and it came before"
            " it, at 2.000 s",
        ),
        (
            "{order: [processing.*.text, processing.*.text, processing.*.text]}",
            "expected `processing.*.text` 3 times in this order, and there were 2",
        ),
        (
            "{order: [processing.*.text, processing.router.intent]}",
            "expected `processing.router.intent` after `processing.*.text` (at 1.200 s); no event of that name came",
        ),
    ],
)
def test_what_does_not_hold_is_told_with_what_came_nearest(line: str, said: str | None) -> None:
    assert judged(line, events=CALL) == ([] if said is None else [said])


def test_a_failure_knows_its_place_its_instant_and_what_to_show() -> None:
    (failure,) = failures("{event: control.barge_in.committed, at: 2400ms}", events=CALL)
    assert failure.span is not None
    assert (failure.span.file, failure.span.line) == ("a.test.echo", 5)
    assert failure.at == 2.4
    assert failure.around == (1.4, 3.5)


def test_a_missed_deadline_is_about_the_deadline() -> None:
    (failure,) = failures("{event: processing.*.intent, after: control.barge_in.suspended, within: 500ms}", events=CALL)
    assert failure.at == 2.5
    assert failure.around == (1.0, 3.5)


def test_two_events_of_one_instant_are_in_the_order_in_which_they_happened() -> None:
    same = (
        event(2.0, "control.barge_in.suspended", Suspended()),
        event(2.0, "control.barge_in.committed", Committed()),
    )
    assert judged("{order: [control.barge_in.suspended, control.barge_in.committed]}", events=same) == []
    assert judged("{order: [control.barge_in.committed, control.barge_in.suspended]}", events=same) == [
        "expected `control.barge_in.suspended` after `control.barge_in.committed` (at 2.000 s), and it came before it,"
        " in the same instant"
    ]


@given(st.lists(st.integers(0, 4000), max_size=12), st.integers(0, 4000), st.integers(0, 4))
def test_an_event_within_and_none_within_are_opposites(times: list[int], within: int, often: int) -> None:
    events = tuple(text(t / 1000, "words") for t in sorted(times))
    inside = sum(t <= within for t in times)
    never = judged(f"{{never: processing.*.text, within: {within}ms}}", events=events)
    seen = judged(f"{{event: processing.*.text, within: {within}ms}}", events=events)
    counted = judged(f"{{event: processing.*.text, within: {within}ms, times: {often}}}", events=events)
    assert (bool(never), bool(seen), bool(counted)) == (inside > 0, inside == 0, inside != often)
