"""Going through a recording without holding it."""

from __future__ import annotations

from pathlib import Path

import pytest

from echostack.recording import EventEntry, Recording, RecordingError, StateEntry
from echostack.recording.index import Index
from tests.recording.helpers import recorded


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return recorded(tmp_path / "a.rec")[1]


def test_every_event_is_at_its_place(recording: Recording) -> None:
    events = list(recording.events())
    with Index(recording) as index:
        assert len(index) == len(events)
        for place, entry in enumerate(events):
            assert index.entry(place) == entry
            assert (index.name(place), index.seq(place), index.time(place)) == (entry.name, entry.seq, entry.time)
            assert index.of_seq(entry.seq) == place
        assert index.of_seq(10**6) is None


def test_causes_and_effects_are_each_others(recording: Recording) -> None:
    with Index(recording) as index:
        for place in range(len(index)):
            cause = index.cause(place)
            if cause is not None:
                assert place in index.effects(cause)
            assert all(index.cause(effect) == place for effect in index.effects(place))


def test_the_state_before_an_event_is_what_the_lines_before_it_tell(recording: Recording) -> None:
    queues: dict[int, int] = {}
    epochs: tuple[int, ...] = ()
    with Index(recording) as index:
        place = 0
        for entry in recording.entries():
            if isinstance(entry, StateEntry):
                queues.update({q[0]: q[1] for q in entry.queues})
                epochs = entry.epochs or epochs
            elif isinstance(entry, EventEntry):
                found, told = index.state(place)
                assert {number: state.held for number, state in found.items()} == queues
                assert told == epochs
                place += 1


def test_instants_and_texts_are_found(recording: Recording) -> None:
    with Index(recording) as index:
        place = index.at_time(3.0)
        assert index.time(place) >= 3.0 > index.time(place - 1)
        found = index.text("HELLO THERE", 0, 1)
        assert found is not None
        assert b"Hello there." in bytes(index.entry(found).payload)
        assert index.text("nobody says this", 0, 1) is None


def test_of_a_torn_recording_what_is_whole_is_indexed(recording: Recording) -> None:
    lines = recording.path / "recording.jsonl"
    lines.write_bytes(lines.read_bytes()[:-700])
    with Index(Recording.open(recording.path)) as index:
        assert len(index) == len(list(recording.events()))


def test_a_line_that_is_none_is_told_with_its_place(recording: Recording) -> None:
    lines = recording.path / "recording.jsonl"
    whole = lines.read_bytes()
    lines.write_bytes(whole + b"nonsense\n")
    with pytest.raises(RecordingError, match=f"byte {len(whole)}: this line is no part of a recording"):
        Index(recording)
