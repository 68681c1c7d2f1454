"""What holds for every call, how it ends, and what it amounts to."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from echostack.core.payloads import ExceptionFailure, Retried, TimeoutFailure
from echostack.core.span import Span
from echostack.runtime.stats import QueueStats, Stats
from echostack.simulation.world import AppliedFault, NodeStore, Note
from tests.simulation.expect.calls import event, failures, judged, scenario, text

FAILED = event(2.0, "error.faq.exception", ExceptionFailure("faq.agent", "KeyError: 'x'", "processing.moonshine.text"))


def stats(**more: Any) -> Stats:
    return Stats("simulated", 10.0, (0,), 0, 0, 0, 0, more.pop("nodes", {}), more.pop("queues", ()),
                 more.pop("waits", ()), (), **more)  # fmt: skip


def queue(edge: str, dropped: int, refused: int = 0) -> QueueStats:
    return QueueStats(edge, 4, "drop_oldest", 100, 90, dropped, 0, refused, 0, 4)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"crash": "Deadlock: nobody moves"}, "the call crashed: Deadlock: nobody moves"),
        ({"crash": "the call still went on at 30 s"}, "the call still went on at 30 s"),
        ({"seconds": 600.5}, "the call still went on at 600.000 s, when it was to be over"),
        ({"late": ("acme.crm (closing)",)}, "acme.crm (closing) did not end in time"),
        ({"left": ("a", "b")}, "2 tasks of the call went on after its end: a, b"),
        (
            {"events": (FAILED, FAILED)},
            "`faq.agent` failed on `processing.moonshine.text` at 2.000 s, and no fault was scripted: KeyError: 'x'",
        ),
    ],
)
def test_what_no_call_may_do_needs_no_expectation(parts: dict[str, Any], said: str) -> None:
    assert judged(**parts) == [said]


def test_what_could_not_be_played_is_told_where_it_stands() -> None:
    span = Span("a.test.echo", 3, 1, 3, 9)
    (failure,) = failures(notes=(Note("nobody spoke for 30 s", 31.0, span),), seconds=40.0)
    assert (failure.what, failure.span, failure.at) == ("nobody spoke for 30 s", span, 31.0)


def test_an_error_is_no_failure_where_it_was_made_good_or_asked_for_or_scripted() -> None:
    assert judged(events=(event(1.0, "error.faq.retried", Retried("faq.agent")),)) == []
    assert judged("error.*.exception", events=(FAILED,)) == []
    assert judged("{never: error.faq.exception, after: control.call.call_started}", events=(FAILED,)) != []
    own = "    connectors: {faq.agent: {faults: [{error: true}]}}\n"
    assert judged("{drops: 0}", head=own, events=(FAILED,), faults=played(own, 2.0)) == []


FAULTY = "    connectors: {piper.tts: {faults: [{error: true, nth: 1}]}}\n"


def played(head: str, time: float) -> tuple[AppliedFault, ...]:
    """That the faults of such a scenario were played at this instant."""
    scripts = scenario(head=head).connectors.values()
    return tuple(AppliedFault(s.node, f.kind, time, f.span) for s in scripts for f in s.faults)


def test_a_fault_at_one_node_excuses_no_failure_of_another_before_it() -> None:
    said = "`faq.agent` failed on `processing.moonshine.text` at 2.000 s, and no fault was scripted: KeyError: 'x'"
    assert judged(head=FAULTY, events=(FAILED,), faults=played(FAULTY, 3.0)) == [said]
    assert judged(head=FAULTY, events=(FAILED,), faults=played(FAULTY, 1.0)) == [], "it may have come of it"


def test_what_an_expectation_says_of_other_failures_excuses_none() -> None:
    assert len(judged("{never: error.*.exception, within: 1s}", events=(FAILED,))) == 1
    assert len(judged("{event: error.*.exception, where: node == 'piper.tts', times: 0}", events=(FAILED,))) == 1


def test_a_fault_that_is_never_played_fails_the_scenario() -> None:
    (failure,) = failures(head=FAULTY)
    assert failure.what == "`piper.tts` was to go wrong (error) with event 1, and it never came to that"
    assert failure.help == "give it what it is to fail at, or take the fault away"
    assert failure.span is not None
    assert failure.span.line == 4
    late = FAULTY.replace("nth: 1", "at: 90s")
    assert judged(head=late) == ["`piper.tts` was to go wrong (error) from 90.000 s on, and it never came to that"]


def test_every_faulty_node_is_told_once() -> None:
    other = event(3.0, "error.piper.timeout", TimeoutFailure("piper.tts", "no answer within its time"))
    assert [f.at for f in failures(events=(FAILED, other, FAILED))] == [2.0, 3.0]


def test_who_may_be_late_is_said_by_the_scenario() -> None:
    late = ("acme.crm (closing)", "faq.agent")
    assert judged("{ends: true, late: [acme.crm, faq.agent]}", late=late) == []
    assert judged("{ends: true, late: [acme.crm]}", late=late) == ["faq.agent did not end in time"]
    assert judged("{ends: true, late: [acme.crm, piper.tts]}", late=late[:1]) == [
        "expected piper.tts to be late at the end, and it was not"
    ]
    assert judged("{ends: true, late: []}", late=late) == ["acme.crm (closing) and faq.agent did not end in time"]


def test_how_a_call_ends() -> None:
    ended = {"ended": "the caller hung up", "seconds": 9.5}
    assert judged("{ends: hung up, by: 9.5s}", **ended) == []
    assert judged("{ends: finished}", **ended) == [
        'expected the call to end because of "finished", and it was "the caller hung up"'
    ]
    assert judged("{ends: true, by: 9s}", **ended) == [
        "expected the call to end by 9.000 s; it ended at 9.500 s, 0.500 s too late"
    ]
    assert judged("{ends: finished}") == [
        'expected the call to end because of "finished", and nothing said why it ended'
    ]


def store() -> NodeStore:
    times = iter((1.0, 2.0))
    kept = NodeStore(lambda: next(times))
    kept.write({"name": "Ann", "people": 4})
    kept.write({"name": "Bob", "people": 2, "self": 1})
    return kept


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{written: faq.agent}", None),
        ("{written: faq.agent, where: people > 2, times: 1}", None),
        ("{written: piper.tts, times: 0}", None),
        (
            "{written: faq.agent, where: people == 3}",
            "expected at least 1 written by `faq.agent` with `people == 3`; of 2 writes none is such;"
            " the last was {people: 2} at 2.000 s",
        ),
        (
            "{written: faq.agent, where: 'name == \"Ann\"', times: 2}",
            'expected exactly 2 written by `faq.agent` with `name == "Ann"`, and there was 1, at 1.000 s',
        ),
        ("{written: piper.tts}", "expected at least 1 written by `piper.tts`, and it wrote nothing"),
        ("{written: faq.agnt}", "the graph has no node `faq.agnt`; did you mean `faq.agent`?"),
    ],
)
def test_what_was_written(line: str, said: str | None) -> None:
    assert judged(line, stores={"faq.agent": store()}) == ([] if said is None else [said])


TIMED = {
    "waits": (500.0, 700.0, 900.0),
    "nodes": {"faq.agent": {"first_output_ms": {"count": 2, "p50": 80.0, "p90": 90.0, "p95": 95.0, "p99": 99.0,
                                                "max": 120.0}}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{takes: voice_to_voice, p50: 700ms, max: 900ms}", None),
        ("{takes: faq.agent, p50: 80ms, p99: 99ms, max: 120ms}", None),
        (
            "{takes: voice_to_voice, p50: 699ms, p90: 2s, max: 800ms}",
            "voice to voice took too long: the median was 0.700 s (at most 0.699 s), the longest was 0.900 s"
            " (at most 0.800 s)",
        ),
        (
            "{takes: faq.agent, p95: 90ms}",
            "`faq.agent` took too long: the 95th percentile was 0.095 s (at most 0.090 s)",
        ),
        (
            "{takes: turn_to_audio, max: 1s}",
            "expected a limit of turn to audio, and no turn of the caller was answered",
        ),
        ("{takes: piper.tts, max: 1s}", "expected a limit of `piper.tts`, and it gave nothing that is timed"),
        ("{takes: piper.stt, max: 1s}", "the graph has no node `piper.stt`; did you mean `piper.tts`?"),
    ],
)
def test_how_long_things_took(line: str, said: str | None) -> None:
    assert judged(line, stats=stats(**TIMED)) == ([] if said is None else [said])


def test_a_call_that_never_opened_has_no_times() -> None:
    assert judged("{takes: voice_to_voice, max: 1s}") == [
        "expected voice to voice to be measured, and the call never opened"
    ]


LOSSES = (queue("mic -> stt", 3, 1), queue("stt -> agent", 0))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{drops: 4}", None),
        ("{drops: 0, edge: agent}", None),
        ("{drops: 4, edge: mic}", None),
        (
            "{drops: 0}",
            "expected none dropped, and 4 were: `mic -> stt` lost 4 of 100 (drop_oldest, bound 4)",
        ),
        ("{drops: 1, edge: agent}", "expected exactly 1 dropped on `agent`, and none was"),
        (
            "{drops: 0, edge: tts}",
            "expected none dropped on an edge named `tts`, and the call has none; its queues are `mic -> stt`,"
            " `stt -> agent`",
        ),
    ],
)
def test_what_queues_lost(line: str, said: str | None) -> None:
    assert judged(line, stats=stats(queues=LOSSES)) == ([] if said is None else [said])


def test_every_failure_is_found_in_the_order_of_the_file() -> None:
    found = judged(
        "processing.*.intent", "{heard: hello}", "{ends: true, by: 1s}", events=(text(1.0, "hi"),), left=("a task",)
    )
    assert [line.split(" ")[0] for line in found] == ["1", "expected", "expected", "expected"]
    assert "intent" in found[1]


def test_judging_is_pure() -> None:
    once = failures("{drops: 0}", "{heard: x}", stats=stats(queues=LOSSES), events=(FAILED,))
    again = failures("{drops: 0}", "{heard: x}", stats=stats(queues=LOSSES), events=(FAILED,))
    assert [dataclasses.asdict(f) for f in once] == [dataclasses.asdict(f) for f in again]
