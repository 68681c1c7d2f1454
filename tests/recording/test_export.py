"""A recording as a trace: what ui.perfetto.dev asks of one holds."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from echostack.core.payloads import AgentMessage, ExceptionFailure
from echostack.recording.export import CONVERSATION, NODES, QUEUES, to_chrome_trace
from tests.recording.helpers import events_of, made_up, recorded

Event = dict[str, Any]


def exported(tmp_path: Path) -> list[Event]:
    _, recording = recorded(tmp_path / "call.rec")
    count = to_chrome_trace(recording, tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    events: list[Event] = trace["traceEvents"]
    assert len(events) == count
    assert trace["displayTimeUnit"] == "ms"
    assert trace["otherData"]["session"] == "call"
    return events


def rows(events: list[Event]) -> dict[tuple[int, int], str]:
    return {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}


def slices(events: list[Event], row: str) -> list[tuple[float, float, str]]:
    """From when to when (seconds), and what."""
    named = rows(events)
    return [
        (e["ts"] / 1e6, (e["ts"] + e["dur"]) / 1e6, e["name"])
        for e in events
        if e["ph"] == "X" and named[e["pid"], e["tid"]] == row
    ]


def test_every_event_has_the_fields_of_its_phase(tmp_path: Path) -> None:
    events = exported(tmp_path)
    needed = {"X": {"dur", "args"}, "i": {"s"}, "C": {"args"}, "s": {"id"}, "f": {"id", "bp"}, "M": {"args"}}
    assert {e["ph"] for e in events} == set(needed)
    for event in events:
        assert {"name", "ph", "pid", "tid", "ts"} <= set(event)
        assert needed[event["ph"]] <= set(event)
        assert isinstance(event["ts"], int)
        assert event["ts"] >= 0
    named = rows(events)
    assert all((e["pid"], e["tid"]) in named for e in events if e["ph"] in "Xisf")


def test_no_two_slices_of_a_row_overlap(tmp_path: Path) -> None:
    by_row: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in exported(tmp_path):
        if event["ph"] == "X":
            assert event["dur"] >= 1
            by_row[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in by_row.values():
        spans.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_arrows_begin_and_end_inside_a_slice(tmp_path: Path) -> None:
    events = exported(tmp_path)
    spans = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            spans[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    ends = [e for e in events if e["ph"] in "sf"]
    assert len(ends) > 4
    for end in ends:
        assert any(start <= end["ts"] < stop for start, stop in spans[end["pid"], end["tid"]])
    assert sorted(e["id"] for e in ends if e["ph"] == "s") == sorted(e["id"] for e in ends if e["ph"] == "f")


def test_a_call_is_a_waterfall(tmp_path: Path) -> None:
    events = exported(tmp_path)
    assert slices(events, "caller's turns") == [(1.0, 1.000001, "Hello there."), (4.0, 4.000001, "Wait please.")]
    assert slices(events, "acme.agent") == [(1.0, 1.4, "agent_message"), (4.0, 4.4, "agent_message")]
    assert slices(events, "acme.tts")[0] == (1.4, 1.5, "audio_chunk.stream")
    assert slices(events, "caller's voice") == [(3.0, 3.8, "speech")]
    assert slices(events, "suspended")[0][:2] == (3.0, 3.5)
    first, *_ = slices(events, "agent's utterances")
    assert (first[0], first[2].split()[0]) == (1.5, "hello-1")
    heard = slices(events, "heard of the agent")
    assert heard[0][:2] == (1.5, 3.0)
    names = {e["name"] for e in events if e["ph"] == "i" and e["pid"] == CONVERSATION}
    assert {"call started", "call ended", "epoch 1 of reply"} <= names
    counters = [(e["ts"], e["args"]["events"]) for e in events if e["ph"] == "C" and e["name"].endswith("acme.tts")]
    assert counters
    assert {e["pid"] for e in events if e["ph"] == "C"} == {QUEUES}


def test_an_error_is_an_instant_at_its_node_and_a_torn_recording_exports(tmp_path: Path) -> None:
    event = events_of([ExceptionFailure("acme.agent", "it broke")])[0]
    failed = msgspec.structs.replace(event, name="error.acme.exception", seq=2)
    recording = made_up(tmp_path / "call.rec", [*events_of([AgentMessage("hello")]), failed])
    lines = (tmp_path / "call.rec" / "recording.jsonl").read_bytes()
    (tmp_path / "call.rec" / "recording.jsonl").write_bytes(lines[:-20])
    to_chrome_trace(recording, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    (instant,) = [e for e in events if e["ph"] == "i"]
    assert (instant["name"], rows(events)[NODES, instant["tid"]]) == ("exception", "acme.agent")
