"""run, talk and demo, run as a person runs them; on virtual time, but for what can only be seen in real time."""

from __future__ import annotations

import json
import signal
import subprocess
import wave
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Run


def recording(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(round(seconds * 16_000) * 2))
    return path


@pytest.fixture
def ear(tmp_path: Path) -> Path:
    """A file that listens and needs no weights."""
    (tmp_path / "ear.echo").write_text(
        "echostack: 1\nname: ear\npipeline:\n  - ingress.mic.audio_frame -> webrtc.vad\n"
    )
    return tmp_path / "ear.echo"


def test_a_recording_calls_in_place_of_the_microphone(echostack: Run, ear: Path, tmp_path: Path) -> None:
    recording(tmp_path / "call.wav", 2.0)
    done = echostack("run", "ear.echo", "--in", "call.wav", "--fast", "--json", "--trace", "trace.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["failures"] == 0
    assert told["files"] == {"trace": "trace.jsonl"}
    events = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    frames = [e for e in events if e["name"] == "processing.mic.audio_frame"]
    assert len(frames) == 175  # 2 s of the file and 1.5 s of silence, 20 ms each
    assert events[-1]["name"] == "control.call.call_ended"


def test_a_setting_is_laid_over_the_file(echostack: Run, ear: Path, tmp_path: Path) -> None:
    recording(tmp_path / "call.wav", 0.2)
    run = ("run", "ear.echo", "--in", "call.wav", "--fast")
    assert echostack(*run, "--set", "webrtc.vad.mode=2").returncode == 0
    wrong = echostack(*run, "--set", "webrtc.vad.mode=high")
    assert wrong.returncode == 1
    assert "webrtc.vad" in wrong.stderr
    nowhere = echostack(*run, "--set", "webrtc.vda.mode=2")
    assert nowhere.returncode == 2
    assert "did you mean webrtc.vad?" in nowhere.stderr
    assert echostack(*run, "--set", "mode").stderr == (
        "echostack: --set mode: it takes NODE.KEY=VALUE, such as --set faq.agent.greeting=Hello\n"
    )


def test_wrong_ends_are_told_before_the_call(echostack: Run, ear: Path, tmp_path: Path) -> None:
    recording(tmp_path / "call.wav", 0.2)
    (tmp_path / "hard.wav").hardlink_to(tmp_path / "call.wav")
    (tmp_path / "soft.wav").symlink_to("call.wav")
    before = (tmp_path / "call.wav").read_bytes(), ear.read_bytes()
    cases = {
        ("--in", "none.wav"): "--in none.wav: there is no such file",
        ("--in", "."): "--in .: this is not a file",
        (
            "--in",
            "call.wav",
            "--out",
            "call.wav",
        ): "--out call.wav would overwrite the recording that calls: name another file",
        (
            "--in",
            "call.wav",
            "--out",
            "hard.wav",
        ): "--out hard.wav would overwrite the recording that calls: name another file",
        ("--in", "call.wav", "--trace", "soft.wav"): "--trace soft.wav would overwrite the recording that calls: name"
        " another file",
        ("--out", "ear.echo"): "--out ear.echo would overwrite the .echo file: name another file",
        ("--trace", "ear.echo"): "--trace ear.echo would overwrite the .echo file: name another file",
        ("--out", "x", "--trace", "./x"): "--trace x would overwrite what --out writes: name another file",
        ("--in", "call.wav", "--out", "x.wav"): "--out needs a file with exactly one egress, and ear has none",
        ("--fast",): "--fast cannot be: ingress.mic (ingress.mic) lives in real time",
    }
    for options, message in cases.items():
        done = echostack("run", "ear.echo", *options)
        assert (done.returncode, done.stderr) == (2, f"echostack: {message}\n")
    assert before == ((tmp_path / "call.wav").read_bytes(), ear.read_bytes())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[" * 3000, "the value is nested too deeply"),
        ("9" * 5000, "exceeded maximum size"),
    ],
)
def test_a_setting_that_json_cannot_take_is_one_message(
    echostack: Run, ear: Path, tmp_path: Path, value: str, said: str
) -> None:
    recording(tmp_path / "call.wav", 0.2)
    done = echostack("run", "ear.echo", "--in", "call.wav", "--fast", "--set", f"webrtc.vad.start_ms={value}")
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "unexpected" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_trace_on_a_full_disk_is_named(echostack: Run, ear: Path, tmp_path: Path) -> None:
    recording(tmp_path / "call.wav", 0.2)
    done = echostack("run", "ear.echo", "--in", "call.wav", "--fast", "--json", "--trace", "/dev/full")
    assert (done.returncode, done.stderr) == (2, "echostack: /dev/full: No space left on device\n")


def test_folders_of_a_trace_are_made(echostack: Run, ear: Path, tmp_path: Path) -> None:
    recording(tmp_path / "call.wav", 0.2)
    assert echostack("run", "ear.echo", "--in", "call.wav", "--fast", "--trace", "a/b/t.jsonl").returncode == 0
    assert (tmp_path / "a/b/t.jsonl").stat().st_size


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_call_ends_with_what_there_was(ear: Path, tmp_path: Path, number: signal.Signals) -> None:
    recording(tmp_path / "call.wav", 60.0)
    command = [str(PROGRAM), "run", "ear.echo", "--in", "call.wav", "--json", "--trace", "trace.jsonl"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    trace = tmp_path / "trace.jsonl"
    while not (trace.exists() and trace.stat().st_size) and running.poll() is None:
        try:
            running.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    running.send_signal(number)
    out, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (130, "")
    assert json.loads(out)["ended"] == "interrupted from the keyboard"
    assert all(json.loads(line) for line in trace.read_text().splitlines())


def test_talking_without_a_device_is_one_message(echostack: Run, tmp_path: Path) -> None:
    (tmp_path / "echo.echo").write_text(
        "echostack: 1\nname: x\nconnectors: {ingress.file: {path: a.wav}, egress.file: {path: b.wav}}\npipeline:\n"
        "  - ingress.file.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.file.audio_chunk\n"
    )
    done = echostack("talk", "echo.echo")
    if done.returncode == 0:
        pytest.skip("this machine has a microphone and a loudspeaker")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.embedded
def test_the_demonstration_is_interrupted_and_holds_only_what_was_heard(echostack: Run, tmp_path: Path) -> None:
    done = echostack("demo", "--fast", "--out", "demo")
    assert (done.returncode, done.stderr) == (0, "")
    out = tmp_path / "demo"
    assert sorted(p.name for p in out.iterdir()) == [
        "agent.wav", "caller.wav", "graph.svg", "trace.jsonl", "transcript.txt",
    ]  # fmt: skip
    said = [line.partition("] ")[2] for line in (out / "transcript.txt").read_text().splitlines()]
    assert said[0] == "agent: Hello, this is Harbour Kitchen. How can I help you?"
    (cut,) = [line for line in said if line.endswith(" --")]
    whole = "agent: We are open from Tuesday to Sunday, from noon until ten in the evening."
    assert whole.startswith(cut.removesuffix(" --"))
    assert len(cut) < len(whole)
    heard = " ".join(line.lower() for line in said if line.startswith("caller:"))
    assert all(word in heard for word in ("opening hours", "lunch", "thank you"))
    assert any("eighteen dollars" in line for line in said)
    assert "interrupted by speech" in done.stdout


def test_a_recogniser_that_is_not_there_is_told_at_the_end(echostack: Run, tmp_path: Path) -> None:
    recording(tmp_path / "call.wav", 0.3)
    (tmp_path / "deaf.echo").write_text(
        "echostack: 1\nname: deaf\n"
        "connectors:\n"
        "  deepgram.stt: {api_key: k, base_url: 'http://127.0.0.1:9', outage_s: 0.2, attempts: 2}\n"
        "pipeline:\n  - ingress.mic.audio_frame -> deepgram.stt\n"
    )
    done = echostack("run", "deaf.echo", "--in", "call.wav")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "echostack: the call did not go as it should: deepgram.stt: 127.0.0.1:9 cannot be reached: nothing listens "
        "there: see that the address is right, and that the service runs, and there has been no answer for "
    )
    assert done.stderr.count("\n") == 1


def test_a_recogniser_that_was_tried_again_until_the_end_and_never_answered_is_a_failure(
    echostack: Run, tmp_path: Path
) -> None:
    recording(tmp_path / "call.wav", 0.3)
    (tmp_path / "deaf.echo").write_text(
        "echostack: 1\nname: deaf\n"
        "connectors:\n"
        "  deepgram.stt: {api_key: k, base_url: 'http://127.0.0.1:9', outage_s: 0.5, attempts: 20}\n"
        "pipeline:\n  - ingress.mic.audio_frame -> deepgram.stt\n"
    )
    done = echostack("run", "deaf.echo", "--in", "call.wav", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["failures"] == 1
    assert told["failed"].startswith(
        "deepgram.stt never answered: 127.0.0.1:9 cannot be reached: nothing listens there: "
    )
    assert done.stderr == f"echostack: the call did not go as it should: {told['failed']}\n"
