"""What goes wrong at a connector: every fault at every form, as the engine sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostack.core.errors import UsageError
from echostack.core.payloads import Record, Text
from echostack.language.scenario import Fault, FaultKind, Reply, Script
from echostack.registry import Inbox, Latency, connector
from echostack.simulation.outcome import Outcome
from tests.simulation.mocking import HERE, at, fault, given, output, plan, play, script


@connector("acme.plain")
def plain(text: Text) -> tuple[Record, Record]:
    return Record("a", text.text), Record("b", text.text)


@connector("acme.once", network=True, latency=Latency(p50=100, p95=100))
async def once(text: Text) -> Record:
    raise AssertionError


@connector("acme.pieces", network=True, latency=Latency(p50=100, p95=100))
async def pieces(text: Text) -> AsyncIterator[Record]:
    raise AssertionError
    yield Record("")


@connector("acme.write", network=True, effect=True, latency=Latency(p50=100, p95=100))
async def write(text: Text) -> Record:
    raise AssertionError


@connector("acme.stream", network=True, latency=Latency(p50=100, p95=100))
class Stream:
    """A stream that answers each event."""

    async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Record]:
        raise AssertionError
        yield Record("")


ALL = (plain, once, pieces, write, Stream)
FORMS = ("plain", "once", "pieces", "stream")
TWO = Reply(HERE, give=(output("record", type="one"), output("record", type="two")), times=0)


def through(form: str, *texts: str, policy: str = "{}", scripts: Any = None) -> Outcome:
    """A call through one node of each form, which gives two records to every turn."""
    rule = f"ingress.chat.text -> acme.{form}"
    graph = plan(rule, more=ALL, connectors=f"{{acme.{form}: {policy}}}" if policy != "{}" else "{}")
    own = scripts or Script("", HERE)
    replies = own.replies or (TWO,)
    whole = Script("", HERE, replies=replies, delay=own.delay, faults=own.faults)
    return play(graph, *texts, scripts={f"acme.{form}": whole})


def types(outcome: Outcome) -> list[str]:
    return [r.type for r in given(outcome, "processing.acme.record")]


def errors(outcome: Outcome) -> list[tuple[float, str]]:
    return [(t, e.message) for t, e in at(outcome, "error.acme.exception")]


def played(outcome: Outcome) -> list[tuple[str, float]]:
    return [(f.kind.value, round(f.time, 3)) for f in outcome.faults]


@pytest.mark.parametrize("form", FORMS)
def test_without_a_fault_both_records_come_of_each_turn(form: str) -> None:
    outcome = through(form, "x", "y")
    assert (types(outcome), errors(outcome), outcome.faults) == (["one", "two", "one", "two"], [], ())


@pytest.mark.parametrize("form", FORMS)
def test_an_error_is_the_failure_of_its_event(form: str) -> None:
    outcome = through(form, "x", "y", "z", policy="{attempts: 1}", scripts=fault("error", nth=2, message="no luck"))
    whole = ["one", "two"]
    assert types(outcome) == (whole if form == "stream" else [*whole, *whole])  # a stream that broke is not started
    assert [m for _, m in errors(outcome)] == ["no luck"]
    assert played(outcome) == [("error", 2.0)]


@pytest.mark.parametrize("form", ["once", "pieces", "stream"])
def test_an_error_is_tried_again_where_the_node_asks_for_it(form: str) -> None:
    outcome = through(form, "x", "y", policy="{attempts: 2}", scripts=fault("error", nth=1))
    assert [e.message for e in given(outcome, "error.acme.retried")] == [f"acme.{form} fails, as the scenario says"]
    expected = ["one", "two"] if form == "stream" else ["one", "two", "one", "two"]
    assert types(outcome) == expected  # what a stream had taken is lost, as it is


@pytest.mark.parametrize("form", ["once", "pieces"])
def test_times_count_tries_of_one_event(form: str) -> None:
    outcome = through(form, "x", policy="{attempts: 4}", scripts=fault("error", nth=1, times=2))
    assert len(given(outcome, "error.acme.retried")) == 2
    assert types(outcome) == ["one", "two"]


def test_a_failure_says_whether_and_when_to_try_again() -> None:
    outcome = through("once", "x", policy="{attempts: 2}", scripts=fault("error", nth=1, retry_after=3.0))
    assert [t for t, _ in at(outcome, "processing.acme.record")] == [4.1, 4.1]
    outcome = through("once", "x", policy="{attempts: 2}", scripts=fault("error", nth=1, retryable=False))
    assert types(outcome) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_fault_goes_on_from_an_instant_until_another(form: str) -> None:
    outcome = through(form, "a", "b", "c", "d", scripts=fault("drop", at=1.5, until=3.5, times=0))
    assert types(outcome).count("one") + types(outcome).count("two") == len(types(outcome))
    assert len(types(outcome)) == (4 if form == "stream" else 6)


def test_every_event_without_an_instant() -> None:
    outcome = through("once", "a", "b", scripts=fault("error", times=0))
    assert (types(outcome), len(errors(outcome))) == ([], 2)


@pytest.mark.parametrize("form", ["once", "pieces", "stream"])
def test_a_slow_one_comes_later(form: str) -> None:
    outcome = through(form, "x", "y", scripts=fault("slow", nth=1, seconds=0.5))
    times = [t for t, _ in at(outcome, "processing.acme.record")]
    assert times[:2] == [1.6, 1.6]
    assert times[2:] == [2.1, 2.1]


def test_a_slow_one_meets_the_nodes_timeout() -> None:
    outcome = through("once", "x", policy="{timeout: 1s}", scripts=fault("slow", nth=1, seconds=5.0))
    assert [t for t, _ in at(outcome, "error.acme.timeout")] == [2.0]


@pytest.mark.parametrize("form", ["plain", "once", "pieces", "stream"])
def test_a_disconnected_one_fails_in_the_middle(form: str) -> None:
    outcome = through(form, "x", "y", scripts=fault("disconnect", nth=1))
    assert types(outcome) == {"pieces": ["one", "one", "two"], "stream": []}.get(form, ["one", "two"])
    assert [m for _, m in errors(outcome)] == [f"acme.{form} is disconnected, as the scenario says"]


def test_a_stream_is_disconnected_at_the_instant() -> None:
    outcome = through("stream", "x", "y", policy="{attempts: 3}", scripts=fault("disconnect", at=1.25))
    assert played(outcome) == [("disconnect", 1.25)]
    assert [t for t, _ in at(outcome, "error.acme.retried")] == [1.25]
    assert types(outcome) == ["one", "two", "one", "two"]


def test_the_answer_to_an_effect_is_lost_and_the_effect_is_not_done_twice() -> None:
    outcome = through("write", "x", policy="{attempts: 3}", scripts=fault("disconnect", nth=1))
    store = outcome.stores["acme.write"]
    assert ([w.data["text"] for w in store.writes], store.repeated) == (["x"], 1)
    assert types(outcome) == ["one", "two"]


def test_an_effect_that_is_refused_was_not_done() -> None:
    outcome = through("write", "x", scripts=fault("error", nth=1))
    assert "acme.write" not in outcome.stores or outcome.stores["acme.write"].writes == ()


@pytest.mark.parametrize("form", FORMS)
def test_outputs_are_doubled_and_lost(form: str) -> None:
    assert types(through(form, "x", scripts=fault("duplicate", times=0))) == ["one", "one", "two", "two"]
    assert types(through(form, "x", "y", scripts=fault("drop", nth=1))) == ["two", "one", "two"]


@pytest.mark.parametrize("form", FORMS)
def test_outputs_come_in_the_wrong_order(form: str) -> None:
    assert types(through(form, "x", "y", scripts=fault("reorder", nth=1))) == ["two", "one", "one", "two"]


def test_a_single_output_waits_for_the_next_one() -> None:
    single = (Reply(HERE, to="x", say="first"), Reply(HERE, to="y", say="second"))
    broken = Script("", HERE, replies=single, faults=(Fault(FaultKind.REORDER, HERE, nth=1),))
    outcome = through("once", "x", "y", scripts=broken)
    assert types(outcome) == ["second", "first"]
    causes = [e.cause for e in outcome.events if e.name == "processing.acme.record"]
    assert causes[1] < causes[0]


def test_what_never_ends_meets_the_nodes_timeout() -> None:
    outcome = through("once", "x", "y", policy="{timeout: 2s}", scripts=fault("endless", nth=1))
    assert [t for t, _ in at(outcome, "error.acme.timeout")] == [3.0]
    assert [t for t, _ in at(outcome, "processing.acme.record")] == [3.1, 3.1]


def test_a_generator_that_never_ends_has_given_its_outputs() -> None:
    outcome = through("pieces", "x", policy="{timeout: 2s}", scripts=fault("endless", nth=1))
    assert types(outcome) == ["one", "two"]
    assert [t for t, _ in at(outcome, "error.acme.timeout")] == [3.1]


def test_a_stream_that_hangs_gives_nothing_more() -> None:
    outcome = through("stream", "x", "y", scripts=fault("endless", at=1.5))
    assert types(outcome) == ["one", "two"]
    assert outcome.late or outcome.ended


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_open_keeps_the_call_from_beginning(form: str) -> None:
    outcome = through(form, "x", scripts=fault("open", message="the door is shut"))
    assert outcome.crash == "the door is shut"


def test_a_choice_falls_over_to_its_next_member_and_back() -> None:
    graph = plan("ingress.chat.text -> acme.once ?? acme.pieces", more=ALL, connectors="{acme.once: {cooldown: 1s}}")
    scripts = {
        "acme.once": Script("", HERE, (Reply(HERE, say="first"),), faults=(Fault(FaultKind.ERROR, HERE, nth=1),)),
        "acme.pieces": script(Reply(HERE, say="second")),
    }
    outcome = play(graph, "x", "y", "z", scripts=scripts)
    assert types(outcome) == ["second", "first", "first"]
    assert [(e.node, e.to) for e in given(outcome, "error.acme.failed_over")] == [("acme.once", "acme.pieces")]
    assert len(given(outcome, "error.acme.recovered")) == 1


def test_a_member_of_a_choice_that_cannot_open_rests() -> None:
    graph = plan("ingress.chat.text -> acme.once ?? acme.pieces", more=ALL)
    scripts = {"acme.once": fault("open"), "acme.pieces": script(Reply(HERE, say="second"))}
    assert types(play(graph, "x", scripts=scripts)) == ["second"]


def test_faults_are_played_on_a_real_node_too() -> None:
    graph = plan("ingress.chat.text -> acme.plain", more=ALL)
    outcome = play(graph, "x", "y", scripts={"acme.plain": fault("error", nth=1)}, real=("acme.plain",))
    assert types(outcome) == ["a", "b"]
    assert len(errors(outcome)) == 1


def test_a_plain_function_that_has_a_task_may_be_slow() -> None:
    graph = plan("ingress.chat.text -> acme.plain ?? acme.once", more=ALL)
    outcome = play(graph, "x", scripts={"acme.plain": fault("slow", seconds=0.5, times=0)})
    assert [t for t, _ in at(outcome, "processing.acme.record")] == [1.5, 1.5]


def test_an_ingress_breaks_at_an_instant() -> None:
    graph = plan("ingress.chat.text -> acme.plain", more=ALL)
    outcome = play(graph, "x", "y", "z", scripts={"ingress.chat": fault("disconnect", at=1.5)})
    assert types(outcome) == ["a", "b"]
    assert next(m for _, m in at(outcome, "error.chat.exception")).message == (
        "ingress.chat is disconnected, as the scenario says"
    )


def test_an_ingress_loses_and_doubles_what_it_carries() -> None:
    graph = plan("ingress.chat.text -> acme.plain", more=ALL)
    lost = play(graph, "x", "y", scripts={"ingress.chat": fault("drop", times=1)})
    assert [r.id for r in given(lost, "processing.acme.record")] == ["y", "y"]
    late = play(graph, "x", scripts={"ingress.chat": fault("slow", times=1, seconds=0.7)})
    assert [t for t, _ in at(late, "processing.acme.record")] == [1.7, 1.7]


def test_what_an_ingress_emits_counts_as_the_events_that_reach_it() -> None:
    graph = plan("ingress.chat.text -> acme.plain", more=ALL)

    def came(*faults: Fault) -> list[str]:
        outcome = play(graph, "x", "y", "z", scripts={"ingress.chat": Script("", HERE, faults=faults)})
        assert [f.kind for f in outcome.faults] == [f.kind for f in faults]
        return [r.id for r in given(outcome, "processing.acme.record") if r.type == "a"]

    assert came(Fault(FaultKind.DROP, HERE, nth=2)) == ["x", "z"]
    assert came(Fault(FaultKind.DUPLICATE, HERE, nth=2)) == ["x", "y", "y", "z"]
    assert came(Fault(FaultKind.ERROR, HERE, nth=2)) == ["x"], "it fails in place of its second output, and is over"


def test_outputs_that_are_doubled_count_once_for_each_event() -> None:
    outcome = through("pieces", "x", "y", "z", scripts=fault("duplicate", times=2))
    assert types(outcome) == ["one", "one", "two", "two"] * 2 + ["one", "two"]
    assert len(outcome.faults) == 2


@pytest.mark.parametrize(
    ("node", "kind", "message"),
    [
        (
            "acme.plain",
            "slow",
            "test.echo:3:5: acme.plain answers in the step in which it is called, so it cannot be slow",
        ),
        (
            "egress.app",
            "drop",
            "test.echo:3:5: egress.app is an egress, which can fail to open or break (open, error, disconnect), "
            "and drop is none of that",
        ),
    ],
)
def test_a_fault_that_cannot_happen_is_refused_before_the_call(node: str, kind: str, message: str) -> None:
    graph = plan("ingress.chat.text -> (acme.plain, faq.agent)", "faq.agent -> piper.tts -> egress.app.audio_chunk",
                 more=ALL)  # fmt: skip
    with pytest.raises(UsageError) as caught:
        play(graph, "x", scripts={node: fault(kind, seconds=1.0)})
    assert str(caught.value) == message


def test_an_egress_that_breaks_is_heard_no_more() -> None:
    graph = plan("ingress.chat.text -> say.agent -> piper.tts -> egress.app.audio_chunk",
                 connectors="{say.agent: {text: One two three four five six seven eight nine ten.}}")  # fmt: skip
    outcome = play(graph, "x", "y", scripts={"egress.app": fault("disconnect", at=2.5)})
    assert next(e.message for e in given(outcome, "error.app.exception")) == (
        "egress.app is disconnected, as the scenario says"
    )
    (heard,) = outcome.heard
    assert (round(heard.end, 3), heard.text.split()[0]) == (2.5, "One")
