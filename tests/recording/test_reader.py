"""Recordings that are whole, torn, damaged, or of another time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest

from echostack.core.payloads import AgentMessage, AudioFrame
from echostack.recording import Recording, RecordingError
from echostack.recording.format import LINES
from tests.recording.helpers import events_of, made_up, recorded
from tests.runtime.cast import registry

HELLO = [AgentMessage("hello"), AgentMessage("there"), AudioFrame(b"\1\0" * 400, 8_000)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made_up(tmp_path / "call.rec", events_of(HELLO))
    return tmp_path / "call.rec"


def test_a_torn_last_line_is_left_out(folder: Path) -> None:
    lines = (folder / LINES).read_bytes()
    whole = len(list(Recording.open(folder).entries()))
    last = lines[:-1].rindex(b"\n") + 1
    for size in (last + 1, (last + len(lines)) // 2, len(lines) - 1):
        (folder / LINES).write_bytes(lines[:size])
        recording = Recording.open(folder)
        assert len(list(recording.entries())) == whole - 1
        assert not recording.complete
    (folder / LINES).write_bytes(lines[:last])
    assert not Recording.open(folder).complete


def test_a_damaged_line_is_named(folder: Path) -> None:
    lines = (folder / LINES).read_bytes().split(b"\n")
    lines[2] = b'{"t":"event","seq":"two"}'
    (folder / LINES).write_bytes(b"\n".join(lines))
    reading = Recording.open(folder).entries()
    next(reading)
    with pytest.raises(RecordingError) as damaged:
        next(reading)
    assert str(damaged.value) == (
        f"{folder / LINES}:3: this line is no part of a recording: expected `int`, got `str` - at `$.seq`"
    )


def test_what_is_no_recording_is_said(tmp_path: Path, folder: Path) -> None:
    def said(path: Path) -> str:
        with pytest.raises(RecordingError) as error:
            Recording.open(path)
        return str(error.value)

    lines = folder / LINES
    assert said(tmp_path / "none.rec") == f"{tmp_path / 'none.rec'}: there is no such file"
    assert said(tmp_path) == f"{tmp_path}: this is not a recording: it holds no recording.jsonl"
    header = json.loads(lines.read_text().splitlines()[0])
    lines.write_text(json.dumps({**header, "version": 7, "nodes": "other"}) + "\n")
    assert said(folder) == (
        f"{lines}:1: this recording has version 7 of the format, and this EchoStack reads version 1: read it with the "
        "one that wrote it"
    )
    lines.write_text('{"name": "somebody"}\n')
    assert said(folder) == f"{lines}:1: this is not a recording: it begins with no header of one"
    lines.write_text("PK\n")
    assert said(folder).startswith(f"{lines}:1: this is not the header of a recording: ")
    lines.write_bytes(b"\xff\xfe\n")
    assert said(folder).startswith(f"{lines}:1: this is not the header of a recording: ")
    lines.write_text("")
    assert said(folder) == f"{lines}: the recording has not begun: it has no header"


def test_it_opens_by_its_folder_and_by_its_lines(folder: Path) -> None:
    assert Recording.open(folder).header == Recording.open(str(folder / LINES)).header


def test_audio_that_a_crash_lost_is_silence(folder: Path) -> None:
    track = folder / "audio" / "acme.agent.wav"
    os.truncate(track, 44 + 2 * 100 + 1)
    recording = Recording.open(folder)
    assert recording.track("acme.agent").samples == 100
    frame = recording.payload(list(recording.events())[-1])
    assert isinstance(frame, AudioFrame)
    assert frame.pcm[:200] == b"\1\0" * 100
    assert frame.samples == 400


def test_a_track_that_is_not_there_is_said(folder: Path) -> None:
    recording = Recording.open(folder)
    with pytest.raises(RecordingError, match=r"nobody\.wav: No such file or directory"):
        recording.audio("nobody")
    with pytest.raises(RecordingError, match="is not the name of a track"):
        recording.audio("../../secret")
    (folder / "audio" / "acme.agent.wav").write_bytes(b"no audio")
    with pytest.raises(RecordingError, match="this is not audio of a recording"):
        recording.payload(list(recording.events())[-1])


def test_tracks_are_wav_files_that_others_read(tmp_path: Path) -> None:
    _, recording = recorded(tmp_path / "call.rec")
    for name in recording.tracks:
        with wave.open(str(tmp_path / "call.rec" / "audio" / f"{name}.wav")) as file:
            assert file.readframes(file.getnframes()) == recording.audio(name)


REAL = """
import asyncio, sys
from echostack.core.clock import LoopClock
import echostack.api as echostack
from echostack.recording import Recorder
from tests.runtime.cast import CALL, registry, cues
from tests.runtime.sinks import MemorySink

async def main():
    clock = LoopClock()
    script = [(0.1, "say:Hello there."), *((0.2 + n / 50, "") for n in range(2000))]
    call = echostack.compile(CALL, registry=registry(), env={}).session(
        session="call", clock=clock, ingress={"line": cues(script, clock, 60.0)}, egress={"line": MemorySink(clock)},
        probes=[Recorder(sys.argv[1])],
    )
    async with call:
        await call.finished()

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_killed_call_leaves_all_but_its_last_second(tmp_path: Path, checkout: Path) -> None:
    folder = tmp_path / "call.rec"
    call = subprocess.Popen([sys.executable, "-c", REAL, folder], cwd=checkout)
    try:
        deadline = time.monotonic() + 60
        seen = 0.0
        while seen < 2.5:
            assert time.monotonic() < deadline
            assert call.poll() is None
            time.sleep(0.1)
            if (folder / LINES).exists() and (folder / LINES).stat().st_size:
                recording = Recording.open(folder)
                assert recording.live
                seen = max((e.time for e in recording.entries()), default=0.0)
    finally:
        call.send_signal(signal.SIGKILL)
        call.wait()
    recording = Recording.open(folder)
    assert not recording.live
    assert not recording.complete
    known = registry()
    kept = [recording.event(entry, known) for entry in recording.events()]
    seqs = [e.seq for e in kept if e is not None]
    assert seqs == sorted(set(seqs))
    assert len(seqs) == len(kept) > 100
    assert recording.track("egress.line.heard").samples > 16_000
    with wave.open(str(folder / "audio" / "egress.line.heard.wav")) as file:
        assert 0 < file.getnframes() <= recording.track("egress.line.heard").samples
