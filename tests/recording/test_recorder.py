"""What a recording holds of a call, and that recording a call does nothing to it."""

from __future__ import annotations

import asyncio
import errno
import shutil
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

import echostack.api as echostack
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.errors import UsageError
from echostack.core.payloads import AudioFrame
from echostack.recording import DropEntry, EventEntry, PlayedEntry, Recorder, Recording, StateEntry
from echostack.runtime import Session
from echostack.simulation.loop import run_virtual
from tests.recording.helpers import TALK, everything, recorded, view_of
from tests.runtime.cast import CALL, RATE, cues, play, registry
from tests.runtime.sinks import MemorySink


def test_every_event_is_recorded_with_its_cause_and_epoch(tmp_path: Path) -> None:
    outcome, recording = recorded(tmp_path / "call.rec")
    kept = [(e.seq, e.time, e.name, e.node, e.port, e.scope, e.epoch, e.cause) for e in recording.events()]
    seen = [(e.seq, e.time, e.name, e.node, e.port, e.scope, e.epoch, e.cause) for e in outcome.events]
    assert kept[0][2] == "control.call.call_started"  # before the program could look
    assert kept[1:] == seen
    assert any(event[6] for event in kept)
    assert recording.complete


def test_every_payload_is_as_it_was_its_audio_too(tmp_path: Path) -> None:
    outcome, recording = recorded(tmp_path / "call.rec")
    known = registry()
    rebuilt = [recording.event(entry, known) for entry in recording.events()]
    assert rebuilt[1:] == outcome.events
    assert sum(isinstance(e.payload, AudioFrame) for e in outcome.events) > 3


def test_the_header_tells_what_ran(tmp_path: Path) -> None:
    _, recording = recorded(tmp_path / "call.rec")
    header = recording.header
    plan = echostack.compile(CALL, registry=registry(), env={}).plan
    assert (header.session, header.graph, header.hash, header.seed) == ("call", "call", plan.hash, 0)
    assert (header.simulated, header.redacted, header.started) == (True, False, 0.0)
    assert [n.id for n in header.nodes] == list(plan.nodes)
    assert header.nodes[3].settings == {"seconds": 0.4}
    assert [e.id for e in header.edges] == [e.id for e in plan.edges]
    assert [s.name for s in header.scopes] == ["reply"]
    assert {"echostack", "python"} <= set(header.versions)
    assert recording.graph is not None
    assert recording.graph.read_text() == CALL


def test_what_was_heard_lies_on_the_track_at_its_time(tmp_path: Path) -> None:
    outcome, recording = recorded(tmp_path / "call.rec")
    heard = recording.audio("egress.line.heard")
    begin = outcome.times("control.line.playout_started")[0]
    assert begin == 1.5
    samples = [heard[at : at + 2] for at in range(0, len(heard), 2)]
    first = next(number for number, sample in enumerate(samples) if sample != b"\0\0")
    assert first == begin * RATE
    assert b"".join(s for s in samples if s != b"\0\0") == outcome.sink.heard
    runs = [e for e in recording.entries() if isinstance(e, PlayedEntry)]
    assert runs[0].start == begin
    assert sum(run.audio.samples for run in runs) == outcome.sink.heard_samples
    made_for = {e.seq: e.kind for e in recording.events()}
    assert {made_for[run.seq] for run in runs} == {"audio_chunk.stream"}


def test_the_callers_audio_lies_on_the_track_at_its_time(tmp_path: Path) -> None:
    _, recording = recorded(tmp_path / "call.rec", [(2.0, "speech"), (2.5, "stop")], until=3.0)
    frames = [e.data["pcm"]["at"] for e in recording.events() if e.kind == "audio_frame"]
    assert frames == [2 * RATE - 1, 2.5 * RATE - 1]


def test_changes_of_queues_and_epochs_are_told_before_the_next_event(tmp_path: Path) -> None:
    outcome, recording = recorded(tmp_path / "call.rec")
    epochs, last = [], {}
    for entry in recording.entries():
        if isinstance(entry, StateEntry):
            epochs += [entry.epochs] if entry.epochs else []
            last.update({number: figures for number, *figures in entry.queues})
    assert epochs == [(0, 1), (0, 2)][: len(epochs)]
    assert epochs[-1] == tuple(outcome.stats.epochs)
    told = {recording.header.queues[n].edge: (f[0], f[1], f[2], f[3], f[4]) for n, f in last.items()}
    assert told == {
        q.edge: (q.held, q.put, q.dropped, q.stale, q.refused)
        for q in outcome.stats.queues
        if q.put and not q.edge.startswith("events(")
    }


SLOW = """
echostack: 1
connectors: {acme.agent: {seconds: 5.0}}
pipeline:
  - ingress.line.audio_frame -> ear.stt
  - ear.stt -> acme.agent: {queue: 1, overflow: drop_oldest}
barge_in: off
"""


def test_a_queue_that_loses_tells_what_it_lost(tmp_path: Path) -> None:
    outcome, recording = recorded(
        tmp_path / "call.rec", [(1.0, "say:One."), (2.0, "say:Two."), (3.0, "say:Three.")], graph=SLOW
    )
    (lost,) = [e for e in recording.entries() if isinstance(e, DropEntry)]
    two = next(e for e in outcome.events if getattr(e.payload, "text", "") == "Two.")
    assert lost == DropEntry(3.0, "ear.stt -> acme.agent", two.seq)


def test_one_seed_gives_one_recording_byte_for_byte(tmp_path: Path) -> None:
    recorded(tmp_path / "one.rec")
    recorded(tmp_path / "two.rec")
    assert everything(tmp_path / "one.rec") == everything(tmp_path / "two.rec")


def test_a_call_goes_as_it_would_unrecorded(tmp_path: Path) -> None:
    outcome, _ = recorded(tmp_path / "call.rec")
    alone = play(TALK)
    assert outcome.events == alone.events
    assert outcome.stats == alone.stats


def test_a_session_records_itself_on_request(tmp_path: Path) -> None:
    play(TALK, record=tmp_path / "call.rec")
    assert Recording.open(tmp_path / "call.rec").complete
    with pytest.raises(UsageError, match="there is a recording here already"):
        play(TALK, record=str(tmp_path / "call.rec"))


def test_a_session_that_cannot_be_made_leaves_no_recording(tmp_path: Path) -> None:
    pipeline = echostack.compile(CALL, registry=registry(), env={})
    with pytest.raises(UsageError):
        pipeline.session(record=tmp_path / "call.rec", ingress={"nowhere": cues((), None, 0.0)})  # type: ignore[arg-type]
    assert not (tmp_path / "call.rec").exists()


# -- the folder -----------------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "call.rec"
    recorded(folder)
    before = everything(folder)
    with pytest.raises(UsageError) as refused:
        Recorder(folder)
    assert str(refused.value) == f"{folder}: there is a recording here already; name another folder, or say --overwrite"
    assert everything(folder) == before
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "will.txt").write_text("mine")
    with pytest.raises(UsageError) as refused:
        Recorder(tmp_path / "papers", overwrite=True)
    assert str(refused.value) == (
        f"{tmp_path / 'papers'}: this folder holds something else; name a new one for the recording"
    )
    (tmp_path / "call").write_text("mine")
    with pytest.raises(UsageError, match=r"this is a file; a recording is a folder, such as call\.rec"):
        Recorder(tmp_path / "call")


def test_a_recording_is_overwritten_when_asked(tmp_path: Path) -> None:
    recorded(tmp_path / "call.rec")
    recorder = Recorder(tmp_path / "call.rec", overwrite=True, simulated=True)
    recorder.begin(view_of(graph=SLOW))
    recorder.end()
    recording = Recording.open(tmp_path / "call.rec")
    assert recording.tracks == ()
    assert list(recording.events()) == []
    assert recording.graph is not None
    assert recording.graph.read_text() == SLOW


def test_two_calls_never_record_into_one_folder(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "call.rec")
    for overwrite in (False, True):
        with pytest.raises(UsageError) as refused:
            Recorder(tmp_path / "call.rec", overwrite=overwrite)
        assert str(refused.value) == (
            f"{tmp_path / 'call.rec'}: another call is recorded here at this moment; name another folder"
        )
    recorder.close()


def test_a_recorder_without_a_call_leaves_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "deep" / "call.rec")
    recorder.close()
    recorder.close()
    assert not (tmp_path / "deep" / "call.rec").exists()


# -- what goes wrong ------------------------------------------------------------------------------------------


class Full(FileIO):
    """A file on a disk that is full after ``room`` bytes."""

    room = 4_000

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data) or 0


def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from echostack.recording import folder, recorder

    monkeypatch.setattr(folder, "FileIO", Full)
    told: list[str] = []
    mine = recorder.Recorder(tmp_path / "call.rec", simulated=True, on_error=told.append)
    outcome = play(TALK, probes=[mine])
    assert outcome.said == play(TALK).said
    assert told == [mine.error] == [f"{tmp_path / 'call.rec'}: the recording ended early: the disk is full"]
    recording = Recording.open(tmp_path / "call.rec")
    assert not recording.complete
    assert not recording.live
    kept = list(recording.events())
    assert kept
    assert [e.seq for e in kept][1:] == [e.seq for e in outcome.events][: len(kept) - 1]


def test_a_folder_that_is_gone_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    mine = Recorder(tmp_path / "call.rec", on_error=lambda error: None)

    async def remove(call: Session, clock: LoopClock) -> None:
        await clock.sleep(0.5)
        shutil.rmtree(tmp_path / "call.rec")

    outcome = play(TALK, probes=[mine], during=remove)
    assert outcome.said == play(TALK).said
    assert mine.error.startswith(f"{tmp_path / 'call.rec'}: the recording ended early: ")


def test_an_error_is_logged_when_nobody_asked_to_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = Recorder(tmp_path / "call.rec", simulated=True)
    mine.begin(view_of())
    shutil.rmtree(tmp_path / "call.rec")
    mine.end()
    said = capsys.readouterr()
    assert "call.rec: the recording ended early: its folder is gone" in said.out + said.err


def test_a_recorder_is_of_one_call(tmp_path: Path) -> None:
    mine = Recorder(tmp_path / "call.rec", simulated=True, on_error=lambda error: None)
    mine.begin(view_of())
    mine.begin(view_of())
    assert "a recording is of one call" in mine.error


def test_a_call_that_stood_still_is_recorded_up_to_there(tmp_path: Path) -> None:
    mine = Recorder(tmp_path / "call.rec", simulated=True)

    async def main() -> None:
        clock = LoopClock(wall=lambda: 0.0)
        pipeline = echostack.compile(CALL, registry=registry(), env={})
        call = pipeline.session(
            session="call", clock=clock, compute=InlineCompute(), probes=[mine],
            ingress={"line": cues([(1.0, "say:Hello.")], clock, 9.0)}, egress={"line": MemorySink(clock)},
        )  # fmt: skip
        await call.__aenter__()
        await clock.sleep(3.0)
        mine.close()  # what whoever runs the call does when it never ends
        await call.close()

    run_virtual(main())
    recording = Recording.open(tmp_path / "call.rec")
    assert not recording.complete
    assert [e.data["text"] for e in recording.events() if e.kind == "text"] == ["Hello."]
    assert recording.track("egress.line.heard").samples == 2.98 * RATE  # the frame that ends now was not told of


# -- read while it is written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("simulated", [True, False])
def test_a_recording_is_read_while_it_is_written(tmp_path: Path, simulated: bool) -> None:
    mine = Recorder(tmp_path / "call.rec", simulated=simulated)
    followed: list[int] = []

    async def look(call: Session, clock: LoopClock) -> None:
        await clock.sleep(2.6)
        recording = Recording.open(tmp_path / "call.rec")
        assert recording.live
        assert not recording.complete
        kept = list(recording.entries())
        assert kept[-1].time > 1.0
        assert recording.track("acme.tts").samples >= 3 * RATE / 2

        async def follow() -> None:
            async for entry in recording.follow(clock):
                if isinstance(entry, EventEntry):
                    followed.append(entry.seq)

        following.append(asyncio.ensure_future(follow()))
        await call.finished()
        await clock.sleep(0)

    following: list[asyncio.Future[None]] = []

    async def main() -> list[int]:
        clock = LoopClock(wall=lambda: 0.0)
        pipeline = echostack.compile(CALL, registry=registry(), env={})
        session = pipeline.session(
            session="call", clock=clock, compute=InlineCompute(), probes=[mine],
            ingress={"line": cues(TALK, clock, 20.0)}, egress={"line": MemorySink(clock)},
        )  # fmt: skip
        async with session as call:
            events = call.events()
            await look(call, clock)
        await following[0]
        return [event.seq async for event in events]

    seen = run_virtual(main())
    assert followed == [e.seq for e in Recording.open(tmp_path / "call.rec").events()]
    assert followed[1:] == seen[-len(followed) + 1 :]


def test_what_happened_is_on_the_disk_a_second_later_when_nothing_follows(tmp_path: Path) -> None:
    mine = Recorder(tmp_path / "call.rec")

    async def look(call: Session, clock: LoopClock) -> None:
        await clock.sleep(12.0)  # the last words have been spoken long ago, and the line is silent
        kept = [e.kind for e in Recording.open(tmp_path / "call.rec").events()]
        assert kept[-1] == "playout_finished"

    play([(1.0, "say:Hello.")], probes=[mine], during=look)
