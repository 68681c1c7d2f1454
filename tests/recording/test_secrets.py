"""No secret is in a recording, wherever it stood."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import SecretStr

import echostack.api as echostack
from echostack.core.payloads import AgentMessage, Data, ExceptionFailure, Text
from echostack.recording import Recording
from echostack.registry import ConnectorSettings, Env, Registry, connector
from tests.recording.helpers import events_of, everything, made_up, view_of
from tests.runtime.cast import registry


class Door(ConnectorSettings):
    """What opens it."""

    key: SecretStr
    lock: SecretStr | None = None
    headers: dict[str, str] = {}
    more: tuple[SecretStr, ...] = ()
    label: str = ""


@connector("acme.door")
class DoorAgent:
    """Answers behind a door."""

    def __init__(self, settings: Door) -> None:
        self.settings = settings

    def __call__(self, text: Text) -> AgentMessage:
        return AgentMessage("open")


KNOWN: Registry = registry(DoorAgent)

GRAPH = """echostack: 1
# the key used to be key: s3cret-in-a-comment
connectors:
  acme.door:
    key: "s3cret-qu\\u006fted"
    lock: |
      s3cret-block
      s3cret-line
    headers: {Authorization: Bearer s3cret-header, Accept: text/plain}
    more: [s3cret-one, &two s3cret-two]
    label: *two
  second: {use: acme.door, key: {env: DOOR, default: s3cret-default}, label: plain}
  third: {use: acme.door, key: {env: DOOR_TOO}}
  nobody: {use: other.vendor, api_key: s3cret-unused, voice: joe}
pipeline:
  - ingress.line.audio_frame -> ear.stt -> acme.door
  - ear.stt -> second
  - ear.stt -> third
barge_in: off
"""


def test_no_secret_of_a_file_or_the_environment_is_recorded(tmp_path: Path) -> None:
    view = view_of(GRAPH, known=KNOWN, env={"DOOR_TOO": "s3cret-env"}, settings={"third.lock": "s3cret-given"})
    told = [
        Data("leak", {"said": "the key is s3cret-env, or s3cret-quoted", "lines": "s3cret-block\ns3cret-line\n"}),
        ExceptionFailure("acme.door", "401: s3cret-given is not s3cret-default"),
    ]
    recording = made_up(tmp_path / "call.rec", events_of(told), view=view)
    assert b"s3cret" not in everything(tmp_path / "call.rec")
    header = recording.header
    settings = {n.id: n.settings for n in header.nodes}
    mask = "**********"
    assert settings["acme.door"]["key"] == mask
    assert settings["acme.door"]["headers"] == {"Authorization": mask, "Accept": "text/plain"}
    assert settings["second"] == {"key": {"env": "DOOR", "default": mask}, "label": "plain"}
    assert settings["third"] == {"key": {"env": "DOOR_TOO"}, "lock": mask}
    assert header.files[0].masked


def test_a_masked_file_still_reads_line_for_line(tmp_path: Path) -> None:
    view = view_of(GRAPH, known=KNOWN, env={"DOOR_TOO": "s3cret-env"})
    recording = made_up(tmp_path / "call.rec", [], view=view)
    assert recording.graph is not None
    copy = recording.graph.read_text()
    assert copy.count("\n") == GRAPH.count("\n")
    kept = ("connectors:", "nobody:", "pipeline:", "label: plain", "barge_in: off")
    assert [where(copy, text) for text in kept] == [where(GRAPH, text) for text in kept]
    graph = echostack.load(recording.graph)
    assert set(graph.nodes) == set(view.plan.checked.graph.nodes)


class Gate(ConnectorSettings):
    """What opens it, from the environment."""

    key: Annotated[SecretStr, Env("GATE_KEY")]


@connector("acme.gate")
def gate(text: Text, settings: Gate) -> AgentMessage:
    """Answers behind a gate."""
    return AgentMessage("open")


def test_a_secret_that_nobody_wrote_is_not_recorded(tmp_path: Path) -> None:
    text = "pipeline:\n  - ingress.line.audio_frame -> ear.stt -> acme.gate\nbarge_in: off\n"
    view = view_of(text, known=registry(gate), env={"GATE_KEY": "s3cret-env"})
    recording = made_up(tmp_path / "call.rec", events_of([Data("leak", {"said": "s3cret-env"})]), view=view)
    assert b"s3cret" not in everything(tmp_path / "call.rec")
    assert {n.id: n.settings for n in recording.header.nodes}["acme.gate"] == {}


def where(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n")


def test_a_file_without_secrets_is_copied_as_it_is(tmp_path: Path) -> None:
    recording: Recording = made_up(tmp_path / "call.rec", [])
    assert recording.graph is not None
    assert recording.graph.read_text() == view_of().plan.checked.graph.documents[0].source.text
    assert not recording.header.files[0].masked


def test_secrets_given_to_an_imported_file_are_masked_in_both(tmp_path: Path) -> None:
    (tmp_path / "door.echo").write_text(
        "echostack: 1\ninterface: {in: {text: acme.door}, out: {said: acme.door}}\n"
        "connectors: {acme.door: {key: s3cret-inner}}\npipeline: [acme.door -> last]\n".replace(
            "[acme.door -> last]", "[acme.door -> acme.agent2]"
        ).replace("connectors: {", "connectors: {acme.agent2: {use: acme.tts}, ")
    )
    (tmp_path / "main.echo").write_text(
        "echostack: 1\nimports:\n  door: {path: door.echo, settings: {acme.door: {key: s3cret-outer}}}\n"
        "pipeline:\n  - ingress.line.audio_frame -> ear.stt -> door:text\nbarge_in: off\n"
    )
    view = view_of(str(tmp_path / "main.echo"), known=KNOWN)
    recording = made_up(tmp_path / "call.rec", [], view=view)
    assert b"s3cret" not in everything(tmp_path / "call.rec")
    assert [f.path for f in recording.header.files] == ["graph/main.echo", "graph/door.echo"]
    assert recording.graph is not None
    assert set(echostack.load(recording.graph).nodes) == set(view.plan.checked.graph.nodes)


def test_a_secret_in_a_json_file_is_masked_as_json(tmp_path: Path) -> None:
    text = (
        '{"connectors": {"acme.door": {"key": "s3cret-json", "lock": {"env": "NONE", "default": "s3cret-too"}}},\n'
        ' "pipeline": ["ingress.line.audio_frame -> ear.stt -> acme.door"], "barge_in": false}\n'
    )
    (tmp_path / "call.json").write_text(text)
    made: Any = made_up(tmp_path / "call.rec", [], view=view_of(str(tmp_path / "call.json"), known=KNOWN))
    assert b"s3cret" not in everything(tmp_path / "call.rec")
    assert echostack.load(made.graph).nodes.keys() == {"ingress.line", "ear.stt", "acme.door"}
