"""Scenarios against their graph: what is said when they do not fit it. Whole messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from echostack.checks import check, check_scenarios
from echostack.connectors import BUILTIN
from echostack.core.audio import AudioFormat
from echostack.core.diagnostic import Findings
from echostack.core.payloads import AudioChunk, AudioChunkStream, Data, Text
from echostack.core.span import Source
from echostack.graph import build
from echostack.language import read_document, read_file
from echostack.language.scenario import ScenarioFile
from echostack.registry import AudioSink, Registry, connector
from tests.checks.helpers import told
from tests.checks.vendors import registry
from tests.conftest import ROOT

GRAPH = """\
pipeline:
  - ingress.mic.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.speaker.audio_chunk
  - moonshine.stt -> transcript.log
"""


def said(text: str, graph: str = GRAPH, known: Registry | None = None) -> list[str]:
    """What is found about a scenario whose keys are ``text``; line 1 is its first one."""
    body = "".join(f"    {line}\n" for line in text.split("\n"))
    findings = Findings()
    document = read_document(Source("test.echo", f"{graph}tests:\n  - name: a call\n{body}"), findings)
    assert findings.items == [], told(findings)
    checked = check(build(document, findings), known or Registry(BUILTIN), findings, env={})
    assert (checked is None) == bool(findings.errors)
    count = graph.count("\n") + 2
    return re.sub(r"^(\d+):", lambda found: f"{int(found[1]) - count}:", told(findings), flags=re.MULTILINE).split("\n")


def test_a_scenario_that_fits_has_no_finding() -> None:
    assert said(
        """\
settings: {faq.agent: {greeting: Hello}}
env: {WORD: hi}
caller:
  - say: Are you open?
  - {wait: control.speaker.playout_started}
  - {wait: processing.moonshine.text.partial, where: confidence > 0.5}
connectors:
  moonshine.stt: {delay: 100ms, faults: [endless]}
  faq.agent:
    replies:
      - {where: '"open" in text', say: From noon.}
      - give: {agent_message.partial: {text: {env: WORD}, final: true}}
  piper.tts: {real: true}
expect:
  - {event: error.*.timeout, times: 0}
  - {event: control.*.*, where: utterance != ""}
  - {never: control.barge_in.committed, where: cause == "words"}
  - {written: transcript.log, times: 0}
  - {takes: voice_to_voice, max: 2s}
  - {takes: faq.agent, p50: 1s}
  - {drops: 0, edge: moonshine.stt}
  - {ends: true, late: []}"""
    ) == [""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("settings: {fqa.agent: {greeting: x}}",
         ["1:16-25 E0420 the graph has no node 'fqa.agent'", "  help: did you mean 'faq.agent'?"]),
        ("settings: {faq.agent: {greting: x}}",
         ["1:28-35 E0408 faq.agent has no setting 'greting'", "  help: did you mean 'greeting'?"]),
        ("connectors: {zzz: {}}",
         ["1:18-21 E0420 the graph has no node 'zzz'",
          "  help: its nodes are ingress.mic, moonshine.stt, faq.agent, piper.tts, egress.speaker, "
          "transcript.log, webrtc.vad"]),
        ("connectors: {ingress.mic: {replies: [hello]}}",
         ["1:18-29 E0421 ingress.mic takes no events, so it replies to none",
          "  help: what comes from outside is the caller's: `send` an event"]),
        ("connectors: {piper.tts: {replies: [hello]}}",
         ["1:40-45 E0421 piper.tts says nothing in words: it makes audio_chunk.stream",
          "  help: write what it gives: give: [{kind: {field: value}}]"]),
        ("connectors: {faq.agent: {replies: [{give: {text: {text: a}}}]}}",
         ["1:47-64 E0421 faq.agent makes no text", "  help: it makes agent_message.partial, agent_message"]),
        ("connectors: {faq.agent: {replies: [{give: {agent_message: {txt: a}}}]}}",
         ["1:64-67 E0421 agent_message has no field 'txt'", "  help: did you mean 'text'?"]),
        ("connectors: {faq.agent: {replies: [{give: {agent_message: {}}}]}}",
         ["1:47-66 E0421 agent_message is not complete: it needs the field text",
          "  help: `echostack connectors` shows the fields of what a connector makes"]),
        ("connectors: {faq.agent: {replies: [{give: {agent_message: {text: 3}}}]}}",
         ["1:64-68 E0421 the field 'text' of agent_message is wrong: expected a text, got a whole number",
          "  help: `echostack connectors` shows the fields of what a connector makes"]),
        ("connectors: {faq.agent: {replies: [{give: {agent_message: {text: {env: WORD}}}}]}}",
         ["1:70-81 E0420 the scenario gives no value for {env: WORD}",
          "  help: write it under `env:` of the scenario: WORD: value"]),
        ("connectors: {faq.agent: {replies: [{give: {agent_message: {text: a}, port: b}}]}}",
         ["1:47-82 E0407 faq.agent has no port 'b'", "  help: it has none"]),
        ("connectors: {faq.agent: {replies: [{where: txt == 'a', say: b}]}}",
         ["1:48-51 E0411 text, call_started has no field 'txt'", "  label: what faq.agent takes is text, call_started",
          "  help: did you mean 'text'?"]),
        ("connectors: {moonshine.stt: {replies: [{where: rate == 'a', say: b}]}}",
         ["1:52-63 E0412 'rate' is a number, and never equal to 'a', a text",
          "  help: `echostack connectors` shows the fields of what a connector makes"]),
    ],
)  # fmt: skip
def test_nodes_and_what_they_give(text: str, message: list[str]) -> None:
    assert said(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("caller: [{keys: '1'}]",
         ["1:14-25 E0422 the caller presses keys, and no ingress of this graph makes dtmf",
          "  note: ingress.mic makes audio_frame", "  help: add an ingress that does, or remove the step"]),
        ("caller: [{send: data}]",
         ["1:14-26 E0422 ingress.mic makes no data", "  help: what comes in is audio_frame"]),
        ("caller: [{send: data, from: app}]",
         ["1:14-37 E0420 the graph has no ingress 'app'", "  help: its transports are mic"]),
        ("caller: {ingress: phone, steps: [say: a]}",
         ["0:11-17 E0420 the graph has no ingress 'phone'", "  help: its transports are mic"]),
        ("caller: [{wait: processing.*.txt}]",
         ["1:21-37 E0403 there is no kind 'txt'", "  help: did you mean 'text'?"]),
        ("caller: [{wait: processing.deepgram.text}]",
         ["1:21-45 E0405 no event of this graph matches processing.deepgram.text",
          "  help: did you mean 'processing.piper.audio_chunk.stream'?"]),
        ("caller: [{wait: processing.*.audio_frame}]",
         ["1:21-45 E0405 processing.*.audio_frame matches audio only, which a scenario does not see",
          "  help: expect what was `heard`, or control.*.playout_started"]),
    ],
)  # fmt: skip
def test_the_caller(text: str, message: list[str]) -> None:
    found = said(text)
    if "deepgram" in text:  # which of them is nearest does not matter here
        found, message = found[:1], message[:1]
    assert found == message


def test_a_caller_needs_a_line_to_speak_on() -> None:
    graph = "pipeline:\n  - ingress.sms.text -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk\n"
    assert said("caller: [say: Hello]", graph, registry()) == [
        "1:14-24 E0422 the caller speaks, and no ingress of this graph makes audio_frame",
        "  note: ingress.sms makes text",
        "  help: add an ingress that does, or remove the step",
    ]
    assert said("caller: [{send: text, fields: {text: a}}]", graph, registry()) == [""]
    assert said("caller: [{send: text, fields: {txt: a}}]", graph, registry()) == [
        "1:36-39 E0421 text has no field 'txt'", "  help: did you mean 'text'?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expect: [{written: crm.write}]",
         ["1:14-34 E0420 the graph has no node 'crm.write'",
          "  help: its nodes are ingress.mic, moonshine.stt, faq.agent, piper.tts, egress.speaker, "
          "transcript.log, webrtc.vad"]),
        ("expect: [{written: faq.agent, times: 0}]",
         ["1:14-44 E0421 faq.agent writes nothing to the outside world, whatever happens",
          "  help: `echostack connectors` shows which connectors have an effect"]),
        ("expect: [{takes: voice2voice, max: 1}]",
         ["1:14-42 E0420 the graph has no node 'voice2voice'", "  help: did you mean 'voice_to_voice'?"]),
        ("expect: [{ends: true, late: [piper]}]",
         ["1:14-41 E0420 the graph has no node 'piper'", "  help: did you mean 'piper.tts'?"]),
        ("expect: [noises.a.b]",
         ["1:14-24 E0405 no event has the stage 'noises'",
          "  help: the stages are ingress, processing, egress, control, error"]),
        ("expect: [{event: processing.*.text, where: confidense < 1}]",
         ["1:48-58 E0411 text has no field 'confidense'", "  label: what processing.*.text matches is text",
          "  help: did you mean 'confidence'?"]),
        ("expect: [{never: error.*.*, where: message == 3}]",
         ["1:40-52 E0412 'message' is a text, and never equal to 3, a number",
          "  help: `echostack connectors` shows the fields of what a connector makes"]),
        ("expect: [{order: [processing.*.text, {event: processing.*.txt}]}]",
         ["1:42-67 E0403 there is no kind 'txt'", "  help: did you mean 'text'?"]),
        ("expect: [{event: processing.*.text, after: processing.*.txt}]",
         ["1:48-64 E0403 there is no kind 'txt'", "  help: did you mean 'text'?"]),
    ],
)  # fmt: skip
def test_expectations(text: str, message: list[str]) -> None:
    assert said(text) == message


def test_an_edge_is_named_by_a_part_of_its_name() -> None:
    assert said("expect: [{drops: 0, edge: 'stt -> faq'}]") == [""]
    first, help_ = said("expect: [{drops: 0, edge: foo}]")
    assert first == "1:14-35 E0420 no edge is called like 'foo'"
    assert help_.startswith("  help: the edges are ingress.mic -> moonshine.stt, moonshine.stt -> faq.agent, ")


def test_scenarios_from_elsewhere_are_checked_too() -> None:
    findings = Findings()
    checked = check(
        build(read_document(Source("a.echo", GRAPH), findings), findings), Registry(BUILTIN), findings, env={}
    )
    assert checked is not None
    assert findings.items == []
    file = read_file(Source("t.echo", "graph: a.echo\ntests: [{name: x, expect: [{written: a.b}]}]\n"), findings)
    assert isinstance(file, ScenarioFile)
    check_scenarios(checked, file.scenarios, findings)
    assert [(d.code.id, str(d.span)) for d in findings.items] == [("E0420", "t.echo:2:28")]


@connector("notes.keep", effect=True)
async def keep(text: Text) -> None:
    """Writes it down."""


def test_what_is_written_has_the_fields_of_what_the_node_takes() -> None:
    graph = GRAPH.replace("transcript.log", "notes.keep")
    found = said("expect: [{written: notes.keep, where: 'txet == kind'}]", graph, Registry(BUILTIN).add(keep))
    assert found == ["1:44-48 E0411 what notes.keep writes has no field 'txet'", "  help: did you mean 'text'?"]


def test_the_scenarios_of_an_imported_file_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "part.echo").write_text(
        "pipeline: [moonshine.stt -> faq.agent]\ninterface: {in: moonshine.stt, out: faq.agent}\n"
        "tests: [{name: x, connectors: {nobody: {}}}]\n"
    )
    text = "imports: {p: part.echo}\npipeline:\n  - ingress.mic.audio_frame -> p:in\n" + (
        "  - p:out -> piper.tts -> egress.speaker.audio_chunk\ntests: [{name: y, connectors: {p/faq.agent: {}}}]\n"
    )
    findings = Findings()
    graph = build(read_document(Source(str(tmp_path / "a.echo"), text), findings), findings)
    assert [s.name for s in graph.scenarios] == ["y"]
    assert check(graph, Registry(BUILTIN), findings, env={}) is not None
    assert not findings.errors


def test_the_examples_of_the_page_fit_their_graph() -> None:
    page = (Path(ROOT) / "docs" / "scenarios.md").read_text(encoding="utf-8")
    first, *others = re.findall(r"^```yaml[^\n]*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    findings = Findings()
    checked = check(
        build(read_document(Source("a.echo", first), findings), findings), Registry(BUILTIN), findings, env={}
    )
    assert checked is not None
    for text in others:
        file = read_file(Source("t.echo", text), findings)
        assert isinstance(file, ScenarioFile)
        check_scenarios(checked, file.scenarios, findings)
    assert told(findings) == ""


def test_a_whole_message_of_an_agent_that_is_spoken_in_pieces_is_said_to_be_lost() -> None:
    assert said("connectors: {faq.agent: {replies: [{give: {agent_message: {text: Hello.}}}]}}") == [
        "1:47-78 W0423 the agent_message that faq.agent gives here is never spoken: piper.tts is fed "
        "agent_message.partial",
        "  help: write what it is to say as `say:`, or give agent_message.partial, its last piece with `final: true`: "
        "give: [{agent_message.partial: {text: ..., final: true}}]",
    ]
    assert said("connectors: {faq.agent: {replies: [{say: Hello.}]}}") == [""]


def test_what_an_egress_takes_besides_audio_can_be_expected_as_written() -> None:
    @connector("acme.note")
    def note(text: Text) -> Data:
        return Data("note")

    @connector("egress.room")
    class Room(AudioSink):
        consumes = (AudioChunkStream, AudioChunk, Data)

        @property
        def format(self) -> AudioFormat:
            return AudioFormat(24_000)

        def write(self, pcm: bytes) -> None: ...

        def clear(self) -> None: ...

        def take(self, payload: Data) -> None: ...

    known = Registry(BUILTIN).add(note, Room)
    graph = "pipeline:\n  - ingress.mic.audio_frame -> moonshine.stt -> acme.note -> egress.room.data\n"
    assert said("expect: [{written: egress.room, where: 'name == \"note\"'}]", graph, known) == [""]
    assert said("expect: [{written: egress.room, where: rate > 1}]", graph, known) == [
        "1:44-48 E0411 what egress.room writes has no field 'rate'",
        "  help: its fields are kind, name, data",
    ]
