"""Recording calls from the command line, and what is done with a recording there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from echostack.recording import Recording
from tests.cli.conftest import PROGRAM, Run
from tests.cli.test_call_commands import recording as wav


@pytest.fixture
def ear(tmp_path: Path) -> tuple[str, ...]:
    """The arguments of a short call that needs no weights."""
    text = "echostack: 1\nname: ear\npipeline:\n  - ingress.mic.audio_frame -> webrtc.vad\n"
    (tmp_path / "ear.echo").write_text(text)
    wav(tmp_path / "call.wav", 0.5)
    return "run", "ear.echo", "--in", "call.wav", "--fast"


def test_a_call_is_recorded(echostack: Run, ear: tuple[str, ...], tmp_path: Path) -> None:
    done = echostack(*ear, "--record", "deep/call.rec")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("recording: deep/call.rec\n")
    recording = Recording.open(tmp_path / "deep" / "call.rec")
    assert recording.complete
    assert not recording.header.simulated
    assert recording.header.started > 0
    assert recording.tracks == ("ingress.mic",)
    told = json.loads(echostack(*ear, "--record", "two.rec", "--json").stdout)
    assert told["files"] == {"recording": "two.rec"}


def test_a_recording_is_not_written_over_unasked(echostack: Run, ear: tuple[str, ...], tmp_path: Path) -> None:
    assert echostack(*ear, "--record", "call.rec").returncode == 0
    before = (tmp_path / "call.rec" / "recording.jsonl").read_bytes()
    again = echostack(*ear, "--record", "call.rec")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == (
        "echostack: call.rec: there is a recording here already; name another folder, or say --overwrite\n"
    )
    assert (tmp_path / "call.rec" / "recording.jsonl").read_bytes() == before
    assert echostack(*ear, "--record", "call.rec", "--overwrite").returncode == 0
    assert (tmp_path / "call.rec" / "recording.jsonl").read_bytes() != before


def test_a_file_with_errors_makes_no_recording(echostack: Run, ear: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "ear.echo").write_text("pipeline: [a -> b]\n")
    assert echostack(*ear, "--record", "call.rec").returncode == 1
    assert not (tmp_path / "call.rec").exists()


def test_options_of_recording_need_a_folder(echostack: Run, ear: tuple[str, ...]) -> None:
    for option in ("--redact", "--overwrite"):
        done = echostack(*ear, option)
        assert done.returncode == 2
        assert done.stderr == f"echostack: {option} says how to record: name the folder with --record\n"


def test_a_place_that_cannot_be_written_is_told_before_the_call(
    echostack: Run, ear: tuple[str, ...], tmp_path: Path
) -> None:
    done = echostack(*ear, "--record", "ear.echo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "echostack: --record ear.echo would overwrite the .echo file: name another file\n"
    done = echostack(*ear, "--record", "ear.echo/call.rec")
    assert done.returncode == 2
    assert done.stderr.startswith("echostack: ear.echo")


def test_a_recording_is_redacted_and_exported(echostack: Run, ear: tuple[str, ...], tmp_path: Path) -> None:
    assert echostack(*ear, "--record", "live.rec", "--redact").returncode == 0
    assert Recording.open(tmp_path / "live.rec").header.redacted
    assert echostack(*ear, "--record", "call.rec").returncode == 0
    done = echostack("recording", "redact", "call.rec", "-o", "shared.rec")
    assert (done.returncode, done.stdout, done.stderr) == (0, "recording: shared.rec\n", "")
    assert Recording.open(tmp_path / "shared.rec").header.redacted
    done = echostack("recording", "export", "call.rec", "-o", "trace.json")
    assert done.returncode == 0
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    for command in (("redact", "none.rec", "-o", "x.rec"), ("export", "none.rec", "-o", "x.json")):
        done = echostack("recording", *command)
        assert (done.returncode, done.stderr) == (1, "echostack: none.rec: there is no such file\n")
        assert not (tmp_path / "x.rec").exists()


def test_a_recording_that_cannot_go_on_fails_the_command_and_not_the_call(ear: tuple[str, ...], tmp_path: Path) -> None:
    wav(tmp_path / "call.wav", 5.0)
    limited = f'ulimit -f 16; exec "{PROGRAM}" "$@"'  # as good as a full disk: no file may pass 16 blocks
    done = subprocess.run(
        ["/bin/sh", "-c", limited, "sh", *ear, "--record", "call.rec"],
        cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "echostack: call.rec: the recording ended early: File too large\n"
    assert "the call ends: the sources ended" in done.stdout
    assert not Recording.open(tmp_path / "call.rec").complete
