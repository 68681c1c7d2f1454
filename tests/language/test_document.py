"""What the sections of a file become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from echostack.core.errors import InvalidFile, UsageError
from echostack.core.kinds import Overflow
from echostack.language import decode_source, format_duration, parse_duration, read_source
from echostack.language.data import EnvRef, plain
from echostack.language.document import BargeInDecl, NodePolicy, SpeculateDecl, TurnsDecl
from tests.language.strategies import read

FULL = """\
echostack: 1
name: front_desk
description: |
  Answers the phone.
  Books meetings.
connectors:
  deepgram.stt: {model: nova-3, timeout: 2s, attempts: 3, backoff: 50ms, cooldown: 1m}
  sales: {use: claude.agent, system: "You qualify leads.", key: {env: KEY, default: none}}
  plain.agent:
playbooks:
  meeting_booker: {}
  crm_logger: {mode: background, url: x}
imports:
  speak: graphs/speak.echo
  log: {path: ../log.echo, settings: {transcript.log: {path: out.txt}}}
interface: {in: deepgram.stt, out: {said: sales, other: "intent.router:other"}}
pipeline:
  - processing.*.text -> (sentiment.score, transcript.log)
  - deepgram.stt ?? whisper.stt -[ confidence < 0.4 and not final ]-> reprompt.say
  - ingress.livekit.audio_frame -> webrtc.vad: {queue: 2, overflow: latest, cycle: true}
barge_in: {on: processing.webrtc.speech_started, min_speech: 250ms, min_words: 2, backchannels: [yes, aha], vad: my.vad}
turns: {end_by: silence, silence: 0.4}
budget: {voice_to_voice: 800ms}
tests:
  - {name: a greeting, caller: [{say: hello}]}
"""


def test_a_full_file() -> None:
    document, findings = read(FULL)
    assert findings.items == []
    assert (document.version, document.name) == (1, "front_desk")
    assert document.description == "Answers the phone.\nBooks meetings.\n"
    stt = document.connectors["deepgram.stt"]
    assert stt.use == "deepgram.stt"
    assert plain(stt.settings) == {"model": "nova-3"}
    assert stt.policy == NodePolicy(timeout=2.0, attempts=3, backoff=0.05, cooldown=60.0)
    sales = document.connectors["sales"]
    assert sales.use == "claude.agent"
    assert isinstance(sales.settings.items["key"], EnvRef)
    assert plain(sales.settings, {"KEY": "s"}) == {"system": "You qualify leads.", "key": "s"}
    assert plain(sales.settings, {}) == {"system": "You qualify leads.", "key": "none"}
    assert plain(document.connectors["plain.agent"].settings) == {}
    assert [(p.name, p.mode, plain(p.settings)) for p in document.playbooks.values()] == [
        ("meeting_booker", "exclusive", {}),
        ("crm_logger", "background", {"url": "x"}),
    ]
    assert document.imports["speak"].path == "graphs/speak.echo"
    assert document.imports["speak"].settings is None
    override = document.imports["log"].settings
    assert override is not None
    assert plain(override) == {"transcript.log": {"path": "out.txt"}}
    interface = document.interface
    assert interface is not None
    assert {k: v[0] for k, v in interface.inputs.items()} == {"in": "deepgram.stt"}
    assert {k: v[0] for k, v in interface.outputs.items()} == {"said": "sales", "other": "intent.router:other"}
    fork, fallback, tap = document.pipeline
    assert fork.stages[1].grouped
    assert [str(c) for c in fork.stages[1].choices] == ["sentiment.score", "transcript.log"]
    assert [m.name for m in fallback.stages[0].choices[0].members] == ["deepgram.stt", "whisper.stt"]
    assert (tap.options.queue, tap.options.overflow, tap.options.cycle) == (2, Overflow.LATEST, True)
    barge_in = document.barge_in
    assert (barge_in.on, barge_in.min_speech, barge_in.min_words) == ("processing.webrtc.speech_started", 0.25, 2)
    assert (barge_in.backchannels, barge_in.vad, barge_in.resume_after) == (("yes", "aha"), "my.vad", 2.0)
    assert (document.turns.end_by, document.turns.silence) == ("silence", 0.4)
    assert document.voice_to_voice == 0.8
    (scenario,) = document.tests
    assert scenario.name == "a greeting"
    assert [type(step).__name__ for step in scenario.caller.steps] == ["Say"]


def test_the_manifest_of_four_rules_reads_from_json() -> None:
    text = json.dumps(
        {
            "pipeline": [
                "ingress.livekit.audio_frame → deepgram.stt",
                "deepgram.stt → claude.agent",
                "claude.agent → elevenlabs.tts",
                "elevenlabs.tts → egress.livekit.audio_chunk",
            ]
        },
        ensure_ascii=False,
    )
    for name in ("m.json", "m.echo"):
        document, findings = read(text, name)
        assert findings.items == []
        assert [str(s.choices[0]) for r in document.pipeline for s in r.stages] == [
            "ingress.livekit.audio_frame", "deepgram.stt", "deepgram.stt", "claude.agent",
            "claude.agent", "elevenlabs.tts", "elevenlabs.tts", "egress.livekit.audio_chunk",
        ]  # fmt: skip


@pytest.mark.parametrize(("said", "enabled"), [("off", False), ("false", False), ("on", True), ("true", True)])
def test_barge_in_can_be_switched(said: str, enabled: bool) -> None:
    document, findings = read(f"barge_in: {said}\npipeline: [a -> b]\n")
    assert findings.items == []
    assert document.barge_in.enabled is enabled


def test_what_is_not_written_has_its_default() -> None:
    document, _ = read("pipeline: [a -> b]\n")
    assert document.barge_in == BargeInDecl()
    assert document.turns == TurnsDecl()
    assert document.voice_to_voice is None
    assert document.tests == ()


def test_yaml_1_2_keeps_on_and_no_as_words() -> None:
    document, findings = read("connectors: {a.b: {on: 'no'}}\nbarge_in: {on: processing.a.b}\npipeline: [a -> b]\n")
    assert findings.items == []
    assert plain(document.connectors["a.b"].settings) == {"on": "no"}


def test_every_finding_of_a_file_is_reported_at_once() -> None:
    _, findings = read(
        "name: [a]\nconnectors:\n  a.b: {x: [1, 2}\n  sales: claude.agent\npipeline:\n  - *.a.b -> c\n  - a => b\n"
        "  - a -[ x = 1 && y ]-> b\nbudget: {voice_to_voice: fast}\nbarge_in: {on: here}\n"
    )
    assert [(str(d.span), d.code.id) for d in findings.ordered()] == [
        ("f.echo:1:7", "E0122"),
        ("f.echo:3:17", "E0104"),
        ("f.echo:4:10", "E0122"),
        ("f.echo:6:5", "E0142"),
        ("f.echo:7:7", "E0201"),
        ("f.echo:8:12", "E0254"),
        ("f.echo:8:16", "E0255"),
        ("f.echo:9:26", "E0124"),
        ("f.echo:10:16", "E0133"),
    ]


def test_a_rule_whose_meaning_is_beyond_doubt_is_kept_and_the_others_are_not() -> None:
    document, findings = read("pipeline:\n  - a => b\n  - a -> -> b\n  - c -> d\n")
    assert [[str(s.choices[0]) for s in r.stages] for r in document.pipeline] == [["a", "b"], ["c", "d"]]
    assert len(findings.errors) == 2


def test_did_you_mean() -> None:
    _, findings = read("pipline:\n  - a -> b\nbarge_in: {min_word: 3}\npipeline:\n  - a -> b: {que: 3}\n")
    assert [(d.message, d.help) for d in findings.ordered()] == [
        ("there is no section `pipline`", "did you mean `pipeline`?"),
        ("`barge_in` has no key `min_word`", "did you mean `min_words`?"),
        ("the rule's options have no key `que`", "did you mean `queue`?"),
    ]


def test_a_cut_rule_says_so_and_how_to_quote_it() -> None:
    _, findings = read('pipeline:\n  - a -[ text == "call #5" ]-> b\n  - a -[ text == "x: y" ]-> b\n')
    assert [(d.message, d.help) for d in findings.items] == [
        ("the # begins a comment and cuts the rule", "quote the whole rule: 'a -[ text == \"call #5\" ]-> b'"),
        ("the colon and the blank after it cut the rule in two", "quote the whole rule: 'a -[ text == \"x: y\" ]-> b'"),
    ]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("250ms", 0.25), ("300ms", 0.3), ("2s", 2.0), ("1.5s", 1.5), ("1m", 60.0), ("2h", 7200.0), (2, 2.0), (0.5, 0.5),
        ("2", None), ("2 s", None), ("-1s", None), (-1, None), (True, None), (float("nan"), None), (float("inf"), None),
        ("1e3s", None), (None, None), ("", None), ("٣s", None),
    ],
)  # fmt: skip
def test_durations(said: object, seconds: float | None) -> None:
    assert parse_duration(said) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(0.25, "250ms"), (1.5, "1.5s"), (2.0, "2s"), (0, "0s"), (60, "60s")])
def test_durations_are_written_shortly(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
    assert parse_duration(text) == seconds


def test_files_are_read_as_utf_8_with_and_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.echo"
    path.write_bytes("\ufeffpipeline: [a → b]\r\n".encode())
    source = read_source(path)
    assert source.file == str(path)
    assert source.text == "pipeline: [a → b]\r\n"
    with pytest.raises(InvalidFile, match=r"E0102 byte 0xff at offset 5 is not UTF-8"):
        decode_source(b"name:\xff", "b.echo")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_source(tmp_path / "none.echo")
    with pytest.raises(UsageError, match=r"is a folder: name the \.echo file in it"):
        read_source(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_source("a\0b")


@pytest.mark.parametrize(
    ("written", "on", "stable_for"),
    [
        ("off", "", 0.2),
        ("model", "model", 0.2),
        ("synthesis", "synthesis", 0.2),
        ("{on: model}", "model", 0.2),
        ("{on: synthesis, stable_for: 0ms}", "synthesis", 0.0),
        ("{on: model, stable_for: 350ms}", "model", 0.35),
    ],
)
def test_speculation_is_read_in_its_short_and_its_long_form(written: str, on: str, stable_for: float) -> None:
    document, findings = read(f"pipeline:\n  - a.b -> c.d\nspeculate: {written}\n")
    assert not findings.items
    assert (document.speculate.on, document.speculate.stable_for) == (on, stable_for)
    assert document.speculate.span is not None
    assert document.speculate.span.line == 3


def test_without_the_section_nothing_is_guessed() -> None:
    document, _ = read("pipeline:\n  - a.b -> c.d\n")
    assert document.speculate == SpeculateDecl()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("modle", "`speculate` takes one of off, model, synthesis, not `modle`"),
        ("{on: off}", "`on` takes one of model, synthesis, not `off`"),
        ("{stable_for: 200ms}", "`speculate` needs `on`"),
        ("{on: model, stable_for: 6s}", "`stable_for` takes a duration from 0s to 5s, not `6s`"),
        ("{on: model, after: 1s}", "`speculate` has no key `after`"),
        ("[model]", "`speculate` takes one of off, model, synthesis, or a mapping such as {on: model}, not a list"),
    ],
)
def test_what_speculation_cannot_be_is_said(written: str, message: str) -> None:
    _, findings = read(f"pipeline:\n  - a.b -> c.d\nspeculate: {written}\n")
    assert [d.message for d in findings.items] == [message]
