"""What is said about mistakes in scenarios. Whole messages, with their places."""

from __future__ import annotations

import pytest

from echostack.core.diagnostic import Findings
from echostack.core.span import Source
from echostack.language import read_scenarios
from tests.language.scenario_text import PIPELINE
from tests.language.strategies import read

STEPS = "say, interrupt, backchannel, pause, listen, wait, noise, silence, keys, send, hang_up"
EXPECTATIONS = "event, never, order, heard, conversation, written, takes, drops, ends"


def said(text: str) -> list[str]:
    """The findings about a scenario whose keys are ``text``: place, message, and what is advised."""
    body = "".join(f"    {line}\n" for line in text.split("\n"))
    _, findings = read(f"{PIPELINE}tests:\n  - name: a call\n{body}")
    lines = []
    for d in findings.ordered():
        assert d.span is not None
        lines += [f"{d.span.line}:{d.span.column} {d.code.id} {d.message}", *([f"help: {d.help}"] if d.help else [])]
    return lines


def about_step(text: str) -> list[str]:
    return said(f"caller:\n  - {text}")


def about_expectation(text: str) -> list[str]:
    return said(f"expect:\n  - {text}")


def about_script(text: str) -> list[str]:
    return said(f"connectors:\n  a.b: {text}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{sya: Hello}", ["6:10 E0150 a step of the caller begins with one of " + STEPS + "; `sya` is none of them",
                          "help: did you mean `say`?"]),
        ("{to: Hello}", ["6:10 E0150 a step of the caller begins with one of " + STEPS + "; `to` is none of them",
                         "help: the caller says something with `say: …`"]),
        ("{}", ["6:9 E0150 a step of the caller begins with one of " + STEPS,
                "help: the caller says something with `say: …`"]),
        ("Hello there", ["6:9 E0150 `Hello there` is no step of the caller",
                         f"help: to say it, write `say: Hello there`; the steps are {', '.join(STEPS.split(', '))}, "
                         "and `hang up`"]),
        ("hang_up", ["6:9 E0150 `hang_up` is no step of the caller", "help: did you mean `hang up`?"]),
        ("[say, Hello]", [f"6:9 E0122 an item of `caller` takes a mapping with one of the keys {STEPS}, not a list"]),
        ("{say: Hello, pause: 1s}", ["6:22 E0151 `say` and `pause` stand in one item",
                                     "help: write two items, each after a dash of its own"]),
        ("{say: Hello, after: 1s}", ["6:22 E0121 `say` has no key `after`",
                                     "help: there are: say, at, lasts, heard_as, confidence, audio"]),
        ("{say: Hello, confidance: 1}", ["6:22 E0121 `say` has no key `confidance`",
                                         "help: did you mean `confidence`?"]),
        ("{say: Hello, confidence: 1.5}", ["6:34 E0123 `confidence` takes a number from 0 to 1, not `1.5`"]),
        ("{say: Hello, confidence: high}", ["6:34 E0122 `confidence` takes a number from 0 to 1, not `high`"]),
        ("say: 12", ["6:14 E0122 `say` takes text, not a number: quote it to mean text"]),
        ("say:", ["7:1 E0122 `say` takes text, not a null"]),
        (r'{say: a, audio: "C:\\a.wav"}', [r"6:25 E0134 `C:\a.wav` is no path of a WAV file",
                                           "help: write a path such as order.wav, with `/` between folders"]),
        ("pause: long", ["6:16 E0124 `pause` takes a duration such as 250ms, 2s or 1.5s, or a number of seconds, "
                         "not `long`"]),
        ("pause: 200000", ["6:16 E0123 `pause` takes a duration from 0s to 86400s, not `200000`",
                           "help: a bare number counts seconds: write `200000ms` to mean milliseconds"]),
        ("{noise: 1s, level: load}", ["6:28 E0125 `level` takes one of quiet, loud, not `load`",
                                      "help: did you mean `loud`?"]),
        ("keys: 12", ['6:15 E0122 `keys` takes keys in quotes, such as "12#", not `12`']),
        ("keys: one", ["6:15 E0125 `one` are no keys of a phone", 'help: write keys in quotes, such as "12#"']),
        ("wait: speech", ["6:15 E0133 'speech' is not an event pattern: it takes <stage>.<source>.<kind>[.<modifier>]",
                          "help: write a pattern such as processing.*.text"]),
        ("{wait: {event: a.b.c, where: x}, where: y}",
         ["6:42 E0152 the event that is waited for has two conditions", "help: join them with `and`"]),
        ("wait: {where: x}", ["6:15 E0127 `wait` needs `event`", "help: `event`: The pattern of the event's name."]),
        ("{wait: a.b.c, where: x = 1}", ["6:32 E0254 `=` is no operator of a guard", "help: write `==`"]),
        ("{wait: a.b.c, where: 3}", ["6:30 E0122 `where` takes a condition such as confidence < 0.5, not `3`"]),
        ("{send: data, fields: [1]}", ["6:30 E0122 `fields` takes a mapping of fields",
                                       "help: write the fields as a mapping: {text: Hello}"]),
        ("hang_up: false", ["6:18 E0122 `hang_up` takes true, not `false`"]),
    ],
)  # fmt: skip
def test_steps(text: str, message: list[str]) -> None:
    assert about_step(text) == message


def test_steps_are_in_the_order_of_their_instants() -> None:
    assert said("caller:\n  - {say: a, at: 5s}\n  - pause: 1s\n  - {noise: 1s, at: 4s}\n  - {say: b, at: 5s}") == [
        "8:9 E0123 `at` takes an instant from 5s on, not 4s",
        "help: write the steps in the order in which they happen",
    ]
    assert said("caller:\n  steps:\n    - {say: a, at: 5s}\n    - {keys: '1', at: 1s}") == [
        "8:11 E0123 `at` takes an instant from 5s on, not 1s",
        "help: write the steps in the order in which they happen",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("caller: hello", ["5:13 E0122 `caller` takes a list of steps, or a mapping {pace: …, steps: […]}, "
                           "not `hello`"]),
        ("caller: {pase: 3}", ["5:14 E0121 `caller` has no key `pase`", "help: did you mean `pace`?"]),
        ("caller: {frame: 1s}", ["5:21 E0123 `frame` takes a duration from 5ms to 200ms, not `1s`"]),
        ("caler: []", ["5:5 E0121 an item of `tests` has no key `caler`", "help: did you mean `caller`?"]),
        ("seed: -1", ["5:11 E0123 `seed` takes a whole number from 0 to 9,007,199,254,740,991, not `-1`"]),
        ("lasts: 0", ["5:12 E0123 `lasts` takes a duration from 1ms to 86400s, not `0`"]),
        ("env: {API-KEY: x}", ["5:11 E0126 `API-KEY` is not the name of an environment variable",
                               "help: write `API_KEY`"]),
        ("env: {PORT: 80}", ["5:17 E0122 `PORT` takes text, not a number: quote it to mean text"]),
        ("settings: {faq.agent: 3}", ["5:27 E0122 `faq.agent` takes a mapping of settings, not `3`"]),
        ("connectors: {a.b.c: {}}", ["5:18 E0126 `a.b.c` is not the name of a node: `vendor.role`, a name of your "
                                     "own, or `import/vendor.role`"]),
        ("expect: [{}]", [f"5:14 E0150 an expectation begins with one of {EXPECTATIONS}",
                          "help: begin it with one of these keys"]),
    ],
)  # fmt: skip
def test_scenarios(text: str, message: list[str]) -> None:
    assert said(text) == message


def test_a_scenario_needs_a_name_of_its_own() -> None:
    _, findings = read(
        f"{PIPELINE}tests:\n  - caller: []\n  - {{name: x}}\n  - {{name: x}}\n  - {{name: 1}}\n  - name\n"
    )
    assert [f"{d.span.line}:{d.span.column} {d.message}" for d in findings.ordered() if d.span] == [
        "4:5 an item of `tests` needs `name`",
        "6:12 a second scenario is called `x`",
        "7:12 `name` takes text, not a number: quote it to mean text",
        "8:5 an item of `tests` takes a scenario such as {name: …, caller: […], expect: […]}, not `name`",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{replies: [{to: hi}]}", ["6:23 E0127 a reply needs one of `say`, `give` and `nothing`",
                                   "help: `say` gives text, `give` gives events, `nothing: true` answers nothing"]),
        ("{replies: [{say: a, give: []}]}", ["6:32 E0152 `say` and `give` cannot stand together in one reply",
                                             "help: keep one of the two"]),
        ("{replies: [{say: 1}]}", ["6:29 E0122 `say` takes text, not a number: quote it to mean text"]),
        ("{replies: [1]}", ["6:23 E0122 an item of `replies` takes text, not a number: quote it to mean text"]),
        ("{replies: [{give: hello}]}", ["6:30 E0122 `give` takes a list of events such as {text: {text: Hello}}, "
                                        "not `hello`"]),
        ("{replies: [{give: {after: 1s}}]}", ["6:30 E0150 an event that is given names one kind, and this one names "
                                              "no kind",
                                              "help: write {text: {text: Hello}}, each event in an item of its own"]),
        ("{replies: [{give: {a: {}, b: {}}}]}", ["6:38 E0151 an event that is given names one kind, and this one "
                                                 "names two kinds",
                                                 "help: write {text: {text: Hello}}, each event in an item of its "
                                                 "own"]),
        ("{replies: [{give: {text: Hello}}]}", ["6:37 E0122 `text` takes a mapping of fields",
                                                "help: write {text: {field: value}}"]),
        ("{replies: [{give: {a.b.c: {}}}]}", ["6:31 E0126 `a.b.c` is not a kind of event, such as `text` or "
                                              "`text.partial`",
                                              "help: `echostack connectors` shows what each connector makes"]),
        ("{replies: [{say: a, times: 0}]}", ["6:39 E0122 `times` takes a whole number from 1, or always, not `0`"]),
        ("{delay: {p50: 2s, p95: 1s}}", ["6:35 E0123 `p95` takes a duration from `p50` on, 2s, not `1s`"]),
        ("{delay: {p95: 1s}}", ["6:20 E0127 `delay` needs `p50`",
                                "help: `p50`: Half of the delays are at most so long."]),
        ("{replies: [a], answers: b}", ["6:27 E0152 `replies` and `answers` cannot stand together in one connector",
                                        "help: keep one of the two"]),
        ("{real: true, faults: [error]}", ["6:13 E0152 a connector that is real takes no `faults`",
                                           "help: remove `real`, or what stands beside it"]),
        ("{faults: [slow]}", ["6:22 E0125 an item of `faults` takes one of error, disconnect, duplicate, reorder, "
                              "drop, endless, open, not `slow`"]),
        ("{faults: [{eror: true}]}", ["6:23 E0150 a fault begins with one of slow, error, disconnect, duplicate, "
                                      "reorder, drop, endless, open; `eror` is none of them",
                                      "help: did you mean `error`?"]),
        ("{faults: [{error: true, nth: 1, at: 2s}]}", ["6:44 E0152 `nth` and `at` cannot stand together in one fault",
                                                       "help: keep one of the two"]),
        ("{faults: [{slow: 1s, at: 3s, until: 3s}]}", ["6:48 E0123 `until` takes an instant after 3s, not `3s`"]),
        ("{faults: [{duplicate: often}]}", ["6:34 E0122 `duplicate` takes true, not `often`"]),
        ("{faults: [{error: 5}]}", ["6:30 E0122 `error` takes true, or a text, not `5`"]),
    ],
)  # fmt: skip
def test_scripts(text: str, message: list[str]) -> None:
    assert about_script(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", ["6:9 E0133 'hello' is not an event pattern: it takes <stage>.<source>.<kind>[.<modifier>]",
                   "help: write a pattern such as processing.*.text"]),
        ("{hear: a}", [f"6:10 E0150 an expectation begins with one of {EXPECTATIONS}; `hear` is none of them",
                       "help: did you mean `heard`?"]),
        ("{event: a.b.c, times: many}", ["6:31 E0122 `times` takes how often: 2, 2.. for at least, 0..3 for a range, "
                                         "not `many`"]),
        ("{event: a.b.c, times: 3..1}", ["6:31 E0123 `times` takes its smaller number first, not `3..1`",
                                         "help: write `1..3`"]),
        ("{event: a.b.c, at: 1s, within: 2s}", ["6:32 E0152 `at` and `within` cannot stand together in one expectation",
                                                "help: keep one of the two"]),
        ("{never: a.b.c, times: 1}", ["6:24 E0121 `never` has no key `times`",
                                      "help: there are: never, where, after, within"]),
        ("{never: a.b.c, heard: x}", ["6:24 E0151 `never` and `heard` stand in one item",
                                      "help: write two items, each after a dash of its own"]),
        ("order: a.b.c", ["6:16 E0122 `order` takes a list of events, not `a.b.c`"]),
        ("heard: {nth: 2}", ["6:16 E0127 `heard` does not say what is heard",
                             "help: write one or more of text, contains, lacks, seconds, starts, stops"]),
        ("heard: {nth: 0, text: a}", ["6:22 E0123 `nth` takes a whole number from 1 to 1,000,000, not `0`"]),
        ("heard: {lacks: '...'}", ["6:24 E0123 `lacks` takes words, and `...` has none",
                                   "help: punctuation is not heard"]),
        *(
            (text, [f"6:{column} E0123 this expectation is met whatever happens: {why}",
                    "help: say what must come of the call, or remove it"])
            for text, column, why in [
                ("{event: a.b.c, times: 0..}", 31, "any number is enough"),
                ("{written: a.b, times: 0..}", 31, "any number is enough"),
                ("drops: 0..", 16, "any number is enough"),
                ("order: []", 16, "it names no event"),
                ("{conversation: [], among: true}", 24, "no turn is among any others"),
            ]
        ),
        ("conversation: [{user: hi}]", ["6:25 E0150 a turn of the conversation begins with one of caller, agent; "
                                        "`user` is none of them",
                                        "help: begin it with one of these keys"]),
        ("conversation: [{caller: hi, agent: ho}]", ["6:37 E0151 `caller` and `agent` stand in one item",
                                                     "help: write two items, each after a dash of its own"]),
        ("{takes: voice_to_voice}", ["6:9 E0127 `takes` does not say how long it may take",
                                     "help: write one or more of p50, p90, p95, p99, max, such as `p95: 1.2s`"]),
        ("{takes: voice_to_voice, p96: 1s}", ["6:9 E0127 `takes` does not say how long it may take",
                                              "help: write one or more of p50, p90, p95, p99, max, such as "
                                              "`p95: 1.2s`",
                                              "6:33 E0121 `takes` has no key `p96`", "help: did you mean `p99`?"]),
        ("drops: no", ["6:16 E0122 `drops` takes how often: 2, 2.. for at least, 0..3 for a range, not `no`"]),
        ("ends: 3", ["6:15 E0122 `ends` takes true, or words of the reason, not `3`"]),
        ("{event: a.b.c, where: 'a ]-> b'}", ["6:34 E0240 `]->` has no place in a condition",
                                            "help: write the condition alone: `confidence < 0.4`"]),
        ("{event: a.b.c, where: else}", ["6:31 E0262 `else` is no condition by itself",
                                         "help: write the condition that is meant"]),
        ("{event: a.b.c, where: (a}", ["6:31 E0265 the parenthesis is not closed", "help: write `)` at its end"]),
        ("{event: a.b.c, where: ''}", ["6:32 E0251 an empty condition",
                                       "help: write a condition, such as `confidence < 0.4`, or leave it out"]),
    ],
)  # fmt: skip
def test_expectations(text: str, message: list[str]) -> None:
    assert about_expectation(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph: ''\ntests: []\n", ["1:8 E0134 the path of the graph is empty or no path"]),
        ("graph: http://a.b/c.echo\ntests: []\n",
         ["1:8 E0134 `http://a.b/c.echo` is an address, and a graph is a file"]),
        ("graph: 'a\\b.echo'\ntests: []\n",
         ["1:8 E0134 `a\\b.echo` has backslashes, which only one system reads as a path"]),
        ("graph: a.echo\n", ["1:1 E0127 the file needs `tests`"]),
        ("graph: a.echo\ntests: []\nturns: {}\n", ["3:1 E0120 there is no section `turns`"]),
        ("echostack: 2\ngraph: a.echo\ntests: []\n", ["1:12 E0130 version 2 of the language is not known here"]),
    ],
)  # fmt: skip
def test_files_of_scenarios(text: str, message: list[str]) -> None:
    findings = Findings()
    read_scenarios(Source("t.echo", text), findings)
    assert [f"{d.span.line}:{d.span.column} {d.code.id} {d.message}" for d in findings.ordered() if d.span] == message


def test_lists_have_a_limit() -> None:
    assert about_script("{faults: [" + ", ".join(["error"] * 1_001) + "]}") == [
        f"6:{22 + 7 * 1_000} E0123 `faults` takes at most 1,000 items, and has 1,001",
        "help: divide the list",
    ]


def test_a_syntax_error_in_one_scenario_does_not_hide_the_others() -> None:
    document, findings = read(f"{PIPELINE}tests:\n  - name: a\n  - name: b: c\n  - {{name: d, sed: 1}}\n")
    assert [(d.code.id, d.span.line) for d in findings.ordered() if d.span] == [("E0104", 5), ("E0121", 6)]
    assert [s.name for s in document.tests] == ["a", "d"]


def test_a_scenario_that_is_no_yaml_has_one_finding() -> None:
    assert said("expect: [{event: a.b.c, where: a ]-> b}]") == [
        "5:38 E0104 a mapping that began with { is not closed properly",
        "help: separate entries by commas, close with }",
    ]
