"""Scenarios as they are read: every form of every step, reply, fault and expectation."""

from __future__ import annotations

from typing import Any

import pytest

from echostack.core.diagnostic import Findings
from echostack.core.span import Source, Span
from echostack.language import read_file, read_scenarios
from echostack.language.data import Scalar, plain
from echostack.language.document import Document
from echostack.language.forms import MOST_TIMES
from echostack.language.guard import Expression, predicate
from echostack.language.scenario import (
    Await,
    Caller,
    Dead,
    Delay,
    Drops,
    Ends,
    EventMatch,
    Expectation,
    Fault,
    FaultKind,
    HangUp,
    Hears,
    Holds,
    InOrder,
    Interrupt,
    Keys,
    Listen,
    Never,
    Noise,
    NoiseLevel,
    Pause,
    Reply,
    Said,
    Say,
    Scenario,
    ScenarioFile,
    Script,
    Sees,
    Send,
    Step,
    Takes,
    Written,
)
from tests.language.scenario_text import FULL, PIPELINE
from tests.language.strategies import read, without_spans

NOWHERE = Span("", 0, 0, 0, 0)


def scenario(text: str) -> Scenario:
    """The one scenario whose keys are ``text``, without any finding."""
    body = "".join(f"    {line}\n" if line else "\n" for line in text.split("\n"))
    document, findings = read(f"{PIPELINE}tests:\n  - name: a call\n{body}")
    assert findings.items == []
    (found,) = document.tests
    return found


def step(text: str) -> Step:
    (found,) = scenario(f"caller:\n  - {text}").caller.steps
    return found


def expected(text: str) -> Expectation:
    (found,) = scenario(f"expect:\n  - {text}").expect
    return found


def reply(text: str) -> Reply:
    (found,) = scenario(f"connectors:\n  a.b:\n    replies:\n      - {text}").connectors["a.b"].replies
    return found


def fault(text: str) -> Fault:
    (found,) = scenario(f"connectors:\n  a.b:\n    faults:\n      - {text}").connectors["a.b"].faults
    return found


def same(one: Any, other: Any) -> bool:
    return bool(without_spans(one) == without_spans(other))


def full() -> ScenarioFile:
    findings = Findings()
    read_ = read_scenarios(Source("tests.echo", FULL), findings)
    assert findings.items == []
    assert read_ is not None
    return read_


def test_a_file_with_everything() -> None:
    file = full()
    (found,) = file.scenarios
    assert (file.graph, found.graph) == ("front_desk.echo", "front_desk.echo")
    assert str(file.graph_span) == "tests.echo:2:8"
    assert found.name == "the caller interrupts the opening hours"
    assert str(found.span) == "tests.echo:4:11"
    assert (found.about, found.seed, found.lasts) == ("Interruptions cut what is said.\n", 7, 60.0)
    assert found.env == {"API_KEY": "x"}
    assert {node: plain(value) for node, value in found.settings.items()} == {
        "faq.agent": {"greeting": "Hello"},
        "speak/piper.tts": {},
    }
    caller = found.caller
    assert (caller.ingress, caller.pace, caller.frame, caller.continuous, caller.patience) == ("file", 3, 0.01, True, 5)
    assert list(found.connectors) == ["claude.agent", "sales", "speak/piper.tts"]
    assert str(found.connectors["sales"].span) == "tests.echo:53:7"
    assert [type(e).__name__ for e in found.expect] == [
        "Sees", "Sees", "Sees", "Never", "InOrder", "Hears", "Hears", "Holds", "Holds", "Written", "Takes", "Drops",
        "Drops", "Ends", "Ends",
    ]  # fmt: skip


def test_what_is_not_said_has_its_default() -> None:
    found = scenario("")
    assert same(found, Scenario("a call", NOWHERE))
    assert (found.seed, found.lasts, found.graph, found.caller) == (0, 600.0, "", Caller())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("say: yes", Say("yes", NOWHERE)),
        ("{say: a b, at: 3.5s, lasts: 2, heard_as: a, confidence: 0, audio: a/b.wav}",
         Say("a b", NOWHERE, 3.5, 2.0, "a", 0.0, "a/b.wav")),
        ("{say: a, heard_as: ''}", Say("a", NOWHERE, heard_as="")),
        ("interrupt: no", Interrupt("no", 0.0, NOWHERE)),
        ("{interrupt: no, after: 1.2s, within: 5s, lasts: 300ms}", Interrupt("no", 1.2, NOWHERE, 5.0, 0.3)),
        ("{backchannel: mhm, after: 1s}", Interrupt("mhm", 1.0, NOWHERE, backchannel=True)),
        ("pause: 250ms", Pause(0.25, NOWHERE)),
        ("listen: 0.8s", Listen(0.8, NOWHERE)),
        ("{listen: 1, within: 1m}", Listen(1.0, NOWHERE, 60.0)),
        ("noise: 300ms", Noise(0.3, NoiseLevel.LOUD, NOWHERE)),
        ("{noise: 1s, level: quiet, at: 2s, background: true}", Noise(1.0, NoiseLevel.QUIET, NOWHERE, 2.0, True)),
        ("silence: 5s", Dead(5.0, NOWHERE)),
        ("keys: 1a#", Keys("1A#", NOWHERE)),
        ("{keys: '0', at: 1s}", Keys("0", NOWHERE, 1.0)),
        ("hang up", HangUp(NOWHERE)),
        ("{hang_up: true, at: 4s}", HangUp(NOWHERE, 4.0)),
    ],
)  # fmt: skip
def test_steps(text: str, meant: Step) -> None:
    assert same(step(text), meant)


def test_waiting_for_an_event() -> None:
    found = step("{wait: control.*.playout_finished, within: 10s}")
    assert isinstance(found, Await)
    assert (str(found.event.pattern), found.event.where, found.within) == ("control.*.playout_finished", None, 10.0)
    for text in (
        "wait: {event: processing.*.text, where: confidence < 0.5}",
        "{wait: processing.*.text, where: confidence < 0.5}",
    ):
        found = step(text)
        assert isinstance(found, Await)
        assert _fulfils(found.event, confidence=0.4)
        assert not _fulfils(found.event, confidence=0.5)
        assert found.event.text == "processing.*.text where confidence < 0.5"


def _fulfils(event: EventMatch, **fields: object) -> bool:
    return _holds(event.where, **fields)


def _holds(where: Expression | None, **fields: object) -> bool:
    assert where is not None
    return predicate(where)(type("Payload", (), fields)())


def test_sending_an_event() -> None:
    found = step("{send: data, fields: {name: form, data: {a: 1}}, from: app, at: 2s}")
    assert isinstance(found, Send)
    assert (found.kind, found.source, found.at) == ("data", "app", 2.0)
    assert plain(found.fields) == {"name": "form", "data": {"a": 1}}
    bare = step("send: data")
    assert isinstance(bare, Send)
    assert (plain(bare.fields), bare.source) == ({}, None)


def test_a_transport_may_be_named_with_its_stage() -> None:
    found = scenario("caller: {ingress: ingress.phone, steps: [{send: data, from: ingress.app}]}").caller
    assert found.ingress == "phone"
    assert isinstance(found.steps[0], Send)
    assert found.steps[0].source == "app"


@pytest.mark.parametrize("text", ["caller:", "caller: []", "caller: {}", "caller: {steps: []}"])
def test_a_caller_may_do_nothing(text: str) -> None:
    assert scenario(text).caller == Caller()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("We are open.", Reply(NOWHERE, say="We are open.")),
        ("nothing", Reply(NOWHERE, nothing=True)),
        ("nothing: true", Reply(NOWHERE, nothing=True)),
        ("say: nothing", Reply(NOWHERE, say="nothing")),
        ("{to: opening * hours, say: Noon., times: 2}", Reply(NOWHERE, "opening * hours", say="Noon.", times=2)),
        ("{say: Noon., times: always, delay: 1s}", Reply(NOWHERE, say="Noon.", times=0, delay=Delay(1.0, 1.0))),
        ("{say: a, delay: {p50: 0.3, p95: 900ms}}", Reply(NOWHERE, say="a", delay=Delay(0.3, 0.9))),
        ("{say: a, delay: {p50: 0.3}}", Reply(NOWHERE, say="a", delay=Delay(0.3, 0.3))),
        ("give: []", Reply(NOWHERE)),
    ],
)
def test_replies(text: str, meant: Reply) -> None:
    assert same(reply(text), meant)


def test_replies_under_a_condition_and_with_events() -> None:
    found = reply("{where: confidence < 0.5, give: [{text.partial: {text: a}, after: 1s}, {data: , port: other}]}")
    assert _holds(found.where, confidence=0.1)
    first, second = found.give
    assert (first.kind, plain(first.fields), first.port, first.after) == ("text.partial", {"text": "a"}, "", 1.0)
    assert (second.kind, plain(second.fields), second.port, second.after) == ("data", {}, "other", None)
    (single,) = reply("give: {tool_call: {name: book, arguments: {n: 2}}}").give
    assert plain(single.fields) == {"name": "book", "arguments": {"n": 2}}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("error", Fault(FaultKind.ERROR, NOWHERE, times=0)),
        ("error: reset", Fault(FaultKind.ERROR, NOWHERE, times=0, message="reset")),
        ("{error: true, nth: 2}", Fault(FaultKind.ERROR, NOWHERE, nth=2)),
        ("{error: true, nth: 2, times: 3, retryable: false, retry_after: 2s}",
         Fault(FaultKind.ERROR, NOWHERE, nth=2, times=3, retryable=False, retry_after=2.0)),
        ("{slow: 3s, at: 5s}", Fault(FaultKind.SLOW, NOWHERE, at=5.0, seconds=3.0)),
        ("{slow: 3s, at: 5s, until: 9s}", Fault(FaultKind.SLOW, NOWHERE, at=5.0, until=9.0, times=0, seconds=3.0)),
        ("{disconnect: gone, at: 4s, times: always}",
         Fault(FaultKind.DISCONNECT, NOWHERE, at=4.0, times=0, message="gone")),
        ("{duplicate: true, times: 2}", Fault(FaultKind.DUPLICATE, NOWHERE, times=2)),
        ("reorder", Fault(FaultKind.REORDER, NOWHERE, times=0)),
        ("{drop: true, nth: 1}", Fault(FaultKind.DROP, NOWHERE, nth=1)),
        ("endless", Fault(FaultKind.ENDLESS, NOWHERE, times=0)),
        ("open: no route", Fault(FaultKind.OPEN, NOWHERE, times=0, message="no route")),
    ],
)  # fmt: skip
def test_faults(text: str, meant: Fault) -> None:
    assert same(fault(text), meant)


def test_scripts() -> None:
    found = scenario(
        "connectors:\n  a.b: {answers: mine, delay: 400ms}\n  mine: {real: true}\n  i/j/c.d: {}"
    ).connectors
    assert same(found["a.b"], Script("a.b", NOWHERE, answers="mine", delay=Delay(0.4, 0.4)))
    assert same(found["mine"], Script("mine", NOWHERE, real=True))
    assert same(found["i/j/c.d"], Script("i/j/c.d", NOWHERE))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("heard: We are open.", Hears(NOWHERE, text="We are open.")),
        ("heard: ''", Hears(NOWHERE, text="")),
        ("heard: {nth: 2, contains: a, lacks: b}", Hears(NOWHERE, 2, contains="a", lacks="b")),
        ("heard: {seconds: 1.5s, starts: 3.5s, stops: 5s}", Hears(NOWHERE, seconds=1.5, starts=3.5, stops=5.0)),
        ("conversation: [{caller: a}, {agent: b, cut: true}]",
         Holds((Said("caller", "a", NOWHERE), Said("agent", "b", NOWHERE, True)), NOWHERE)),
        ("{conversation: [caller: a], among: true}", Holds((Said("caller", "a", NOWHERE),), NOWHERE, True)),
        ("written: crm.write", Written("crm.write", NOWHERE)),
        ("{written: crm.write, times: 0}", Written("crm.write", NOWHERE, times=(0, 0))),
        ("{takes: voice_to_voice, p50: 800ms, p95: 1.2s, max: 2s}",
         Takes("voice_to_voice", {50: 0.8, 95: 1.2, 100: 2.0}, NOWHERE)),
        ("{takes: a.b, p90: 1, p99: 2}", Takes("a.b", {90: 1.0, 99: 2.0}, NOWHERE)),
        ("drops: 0", Drops(NOWHERE)),
        ("{drops: 1.., edge: a.b}", Drops(NOWHERE, "a.b", (1, None))),
        ("ends: true", Ends(NOWHERE)),
        ("{ends: hung up, by: 20s, late: [a.b]}", Ends(NOWHERE, "hung up", 20.0, ("a.b",))),
    ],
)  # fmt: skip
def test_expectations(text: str, meant: Expectation) -> None:
    assert same(expected(text), meant)


@pytest.mark.parametrize(
    ("times", "meant"),
    [("2", (2, 2)), ("0", (0, 0)), ("2..", (2, None)), ("..3", (0, 3)), ("0..3", (0, 3)), ("'4'", (4, 4))],
)
def test_how_often(times: str, meant: tuple[int, int | None]) -> None:
    found = expected(f"{{event: a.b.c, times: {times}}}")
    assert isinstance(found, Sees)
    assert found.times == meant


def test_expected_events() -> None:
    short = expected("processing.*.text")
    assert isinstance(short, Sees)
    assert (str(short.event.pattern), short.times, short.event.text) == (
        "processing.*.text", (1, None), "processing.*.text",
    )  # fmt: skip
    text = "{event: a.b.c, where: x, within: 2s, later: 1s, after: d.e.f, before: {event: g.h.i, where: y}}"
    full_ = expected(text)
    assert isinstance(full_, Sees)
    assert _fulfils(full_.event, x=True)
    assert (full_.within, full_.later, full_.at) == (2.0, 1.0, None)
    assert full_.after is not None
    assert str(full_.after.pattern) == "d.e.f"
    assert full_.before is not None
    assert _fulfils(full_.before, y=True)
    never = expected("{never: a.b.c, where: x == 2, after: d.e.f, within: 1s}")
    assert isinstance(never, Never)
    assert _fulfils(never.event, x=2)
    assert never.within == 1.0
    order = expected("order: [a.b.c, {event: d.e.f, where: x}]")
    assert isinstance(order, InOrder)
    assert [e.text for e in order.events] == ["a.b.c", "d.e.f where x"]


def test_places_point_at_the_item_or_at_its_first_key() -> None:
    found = scenario("expect:\n  - {heard: a}\n  - event: a.b.c\n    times: 1\n  - a.b.d").expect
    assert [str(e.span) for e in found] == ["f.echo:6:9", "f.echo:7:9", "f.echo:9:9"]


def test_scenarios_stand_in_json_as_well() -> None:
    text = '{"graph": "a.echo", "tests": [{"name": "x", "caller": [{"say": "a"}, "hang up"]}]}'
    findings = Findings()
    file = read_scenarios(Source("t.json", text), findings)
    assert findings.items == []
    assert file is not None
    assert [type(s).__name__ for s in file.scenarios[0].caller.steps] == ["Say", "HangUp"]


@pytest.mark.parametrize("text", ["tests:\n", "tests: []\n"])
def test_a_graph_may_have_no_tests_yet(text: str) -> None:
    document, findings = read(PIPELINE + text)
    assert findings.items == []
    assert document.tests == ()


def test_a_graph_is_read_as_a_graph() -> None:
    findings = Findings()
    found = read_file(Source("a.echo", PIPELINE + "tests: [{name: x}]\n"), findings)
    assert isinstance(found, Document)
    assert [s.name for s in found.tests] == ["x"]
    assert found.tests[0].graph == ""


@pytest.mark.parametrize("text", ["pipelin:\n  - a -> b\n", "graph:\n  - a -> b\n", "name: x\n", "", "- a -> b\n"])
def test_other_wrong_files_say_what_they_always_said(text: str) -> None:
    as_document, as_file = Findings(), Findings()
    source = Source("a.echo", text)
    read_file(source, as_file)
    from echostack.language import read_document

    read_document(source, as_document)
    assert as_document.items == as_file.items != []


def test_a_graph_is_no_file_of_scenarios() -> None:
    findings = Findings()
    assert read_scenarios(Source("a.echo", PIPELINE), findings) is None
    assert [(d.code.id, d.message) for d in findings.items] == [("E0127", "a file of scenarios needs `graph`")]


def test_values_keep_their_places() -> None:
    found = step("{send: data, fields: {name: form}}")
    assert isinstance(found, Send)
    name = found.fields.items["name"]  # type: ignore[union-attr]
    assert isinstance(name, Scalar)
    assert str(name.span) == "f.echo:6:37"


def test_often_has_a_limit() -> None:
    _, findings = read(f"{PIPELINE}tests: [{{name: x, expect: [{{event: a.b.c, times: {MOST_TIMES + 1}}}]}}]\n")
    assert [d.message for d in findings.items] == [
        f"`times` takes how often: 2, 2.. for at least, 0..3 for a range, not `{MOST_TIMES + 1}`"
    ]
