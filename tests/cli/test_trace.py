"""A trace: one event a line, readable without audio, on the disk while the call runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from echostack.cli.trace import Trace, event_data
from echostack.core.events import Event
from echostack.core.payloads import AudioFrame, Text, Word


def test_words_are_written_whole_and_what_is_empty_is_left_out() -> None:
    event = Event("processing.x.text", Text("Hi", 0.5, words=(Word("Hi", 0, 90),)), "s", 7, 1.25, cause=3, node="x.stt")
    assert json.loads(json.dumps(event_data(event))) == {
        "seq": 7,
        "time": 1.25,
        "name": "processing.x.text",
        "payload": {
            "text": "Hi", "confidence": 0.5, "language": "", "start": 0.0, "end": 0.0,
            "words": [{"text": "Hi", "start_ms": 0, "end_ms": 90, "confidence": 1.0}], "ended_by": "", "waited_ms": 0.0,
        },
        "cause": 3,
        "node": "x.stt",
    }  # fmt: skip


def test_audio_is_told_by_its_length() -> None:
    event = Event("processing.file.audio_frame", AudioFrame(bytes(640), 16000), "s", 1, 0.02)
    assert event_data(event)["payload"] == {"bytes": 640, "rate": 16000, "channels": 1, "track": ""}


def test_the_file_holds_a_line_an_event_and_is_flushed_while_the_call_runs(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    with Trace(path) as trace:
        for number in range(5):
            trace.write(Event("processing.x.text", Text("naïve → ok"), "s", number, number * 0.6))
        on_disk = path.read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["seq"] for line in on_disk] == [0, 1, 2, 3, 4]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert (trace.events, len(lines)) == (5, 5)
    assert json.loads(lines[-1])["payload"]["text"] == "naïve → ok"


def test_one_file_is_written_by_one_call_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    with Trace(path) as first:
        first.write(Event("processing.x.text", Text("hello"), "s", 1, 0.0))
        with pytest.raises(OSError, match="another call is writing this file at this moment; name another file"):
            Trace(path)
    assert json.loads(path.read_text())["payload"]["text"] == "hello"
    with Trace(path):
        pass
    assert path.read_text() == ""
