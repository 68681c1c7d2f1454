"""A recorded call through another graph: what differs, where first, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

import echostack.api as api
from echostack.core.errors import UsageError
from echostack.recording import Recorder, Recording
from echostack.simulation.through import Part, through
from tests.simulation.calls import VOICE, registry
from tests.simulation.through.calls import again, recorded

TWO = "caller: [{say: hello there how are you}, {listen: 1s}, {say: bye}]"


def test_an_interruption_that_holds_later_is_the_first_difference(tmp_path: Path) -> None:
    found = again(recorded(tmp_path / "a.rec"), VOICE.replace("500ms", "900ms"))
    assert found.first is not None
    assert found.first.before is not None
    assert found.first.after is not None
    assert found.first.what == "it comes 0.400 s later"
    assert found.first.after.event.name == "control.app.playout_finished"
    assert found.first.why == ("-barge_in: {min_speech: 500ms}", "+barge_in: {min_speech: 900ms}")
    assert found.counts == {}


def test_a_new_agent_is_asked_and_what_it_says_is_spoken_by_a_simulated_voice(tmp_path: Path) -> None:
    edited = VOICE.replace("acme.agent", "faq.agent").replace(
        "connectors:", "connectors:\n  faq.agent: {facts: [{ask: hello there, say: Well hello}]}"
    )
    found = again(recorded(tmp_path / "a.rec", TWO), edited)
    assert found.nodes["faq.agent"] is Part.ITSELF
    assert found.changed["faq.agent"] == "it is new"
    assert found.known["piper.tts"] == (0, 3, 0)
    assert found.first is not None
    assert found.first.before is None
    assert found.first.after is not None
    assert [link.name for link in found.first.after.causes] == ["processing.moonshine.text"]
    assert "faq.agent: it is new" in found.first.why
    assert ("+", "agent", "Well hello") in found.talk
    assert ("-", "agent", "All right. How can I help you?") in found.talk
    assert found.counts["processing.acme.agent_message"] == (2, 0)


def test_a_recogniser_with_other_settings_hears_the_recorded_words_anew(tmp_path: Path) -> None:
    found = again(recorded(tmp_path / "a.rec", TWO), VOICE.replace("endpoint_ms: 400", "endpoint_ms: 700"))
    assert found.nodes["moonshine.stt"] is Part.SIMULATED
    assert found.changed == {"moonshine.stt": "its settings differ: endpoint_ms"}
    assert [line for line in found.talk if line[1] == "caller"] == [
        (" ", "caller", "hello there how are you"), (" ", "caller", "bye"),
    ]  # fmt: skip
    assert found.voice[1][0] - found.voice[0][0] == pytest.approx(300, abs=1)


def test_a_reply_that_is_not_cut_any_more_is_known_as_far_as_it_was_recorded(tmp_path: Path) -> None:
    found = again(recorded(tmp_path / "a.rec"), VOICE.replace("barge_in: {min_speech: 500ms}", "barge_in: off"))
    assert found.counts["control.barge_in.committed"] == (1, 0)
    assert ("-", "agent", "All right, I --") in found.talk
    assert not found.none


def test_the_same_run_twice_gives_the_same_difference_and_the_same_recording(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "a.rec")
    plan = api.compile(VOICE.replace("500ms", "900ms"), registry=registry(), env={}).plan
    runs = []
    for name in ("b.rec", "c.rec"):
        recorder = Recorder(tmp_path / name, simulated=True)
        found = through(recording, plan, probes=[recorder])
        runs.append((found.data(), (tmp_path / name / "recording.jsonl").read_bytes()))
    assert runs[0] == runs[1]
    assert through(Recording.open(tmp_path / "b.rec"), plan).none


def test_a_node_that_is_to_be_real_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^the graph has no node 'acme\.agen'; did you mean acme\.agent\?$"):
        again(recorded(tmp_path / "a.rec"), real=["acme.agen"])


def test_a_graph_without_an_ingress_cannot_be_called(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^nobody can call this graph"):
        again(recorded(tmp_path / "a.rec"), "echostack: 1\npipeline:\n  - control.call.call_started -> faq.agent\n")
