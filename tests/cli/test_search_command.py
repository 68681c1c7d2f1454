"""search, run as a person runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Run

DESK = """\
echostack: 1
name: desk
connectors:
  faq.agent: {greeting: "Good day, this is the front desk."}
  ingress.file: {path: call.wav}
  egress.file: {path: reply.wav}
pipeline:
  - control.call.call_started -> faq.agent
  - ingress.file.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.file.audio_chunk
"""
GREETING = """\
tests:
  - name: a greeting
    caller:
      - listen: 500ms
      - say: Good morning
      - listen: 500ms
      - hang up
    expect:
      - heard: {contains: this is the front desk}
"""
AGAIN = GREETING + GREETING.partition("\n")[2].replace("a greeting", "another")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "desk.echo").write_text(DESK + GREETING, encoding="utf-8")
    return tmp_path


def test_a_sound_graph_is_searched_and_nothing_is_found(echostack: Run, desk: Path) -> None:
    done = echostack("search", "desk.echo", "--runs", "40", "-j", "1", "--seed", "3")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "desk.echo::a greeting: 40 runs of 40, seed 3"
    assert re.fullmatch(r"  \d+\.\d hours of calls in [\d.]+ s, [\d,]+ times real time", lines[1])
    assert lines[2].startswith("  varied: ")
    assert re.fullmatch(r"  at \d+ instants; the call as it stands has \d+", lines[3])
    assert lines[4:] == ["  no violation"]
    assert [p.name for p in desk.iterdir()] == ["desk.echo"]


def test_what_is_found_is_told_small_and_saved_so_that_test_does_it_again(echostack: Run, desk: Path) -> None:
    done = echostack("search", "desk.echo", "--runs", "25", "-j", "1", "--only", "hang-up", "--expect")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(
        "VIOLATED  the scenario's expectations: 9 runs, the first of them number 0\n"
        '  expected "this is the front desk" in what the caller heard, which was nothing\n'
        "  smallest: 1 step, seed 0; "
    )
    assert "  saved: echostack test desk-the-scenario-s-expectations.echo\n" in done.stdout
    saved = desk / "desk-the-scenario-s-expectations.echo"
    assert saved.read_text(encoding="utf-8") == (
        '# expected "this is the front desk" in what the caller heard, which was nothing\n'
        "# Found by searching desk.echo: a greeting\n"
        "echostack: 1\n"
        "graph: desk.echo\n"
        "tests:\n"
        '  - name: "found: the scenario\'s expectations"\n'
        "    seed: 0\n"
        "    caller:\n"
        "      - hang up\n"
        "    expect:\n"
        "      - heard: {contains: this is the front desk}\n"
    )
    assert echostack("fmt", "--check", saved).returncode == 0
    again = echostack("test", saved)
    assert again.returncode == 1
    assert 'expected "this is the front desk" in what the caller heard, which was nothing' in again.stdout


def test_the_report_as_data(echostack: Run, desk: Path) -> None:
    done = echostack("search", "desk.echo", "--runs", "25", "-j", "1", "--only", "hang-up", "--expect", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["file"], told["scenario"], told["runs"], told["asked"]) == (
        1, "desk.echo", "a greeting", 25, 25,
    )  # fmt: skip
    assert told["kinds"] == {"hang-up": 25}
    assert told["violated"] == {"the scenario's expectations": 9}
    (found,) = told["found"]
    assert (found["steps"], found["seed"], found["shuffle"], found["reproduced"]) == (1, 0, False, True)
    assert found["file"] == "desk-the-scenario-s-expectations.echo"


def test_a_file_without_scenarios_is_searched_with_a_caller_of_no_scenario(echostack: Run, tmp_path: Path) -> None:
    (tmp_path / "desk.echo").write_text(DESK, encoding="utf-8")
    done = echostack("search", "desk.echo", "--runs", "10", "-j", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("desk.echo::a caller of no scenario: 10 runs of 10, seed 0\n")


def test_what_is_found_with_a_file_of_scenarios_names_the_graph_itself(echostack: Run, tmp_path: Path) -> None:
    (tmp_path / "desk.echo").write_text(DESK, encoding="utf-8")
    (tmp_path / "tests.echo").write_text(f"graph: desk.echo\n{GREETING}", encoding="utf-8")
    done = echostack("search", "tests.echo", "--runs", "10", "-j", "1", "--only", "hang-up", "--expect")
    assert (done.returncode, done.stderr) == (1, "")
    saved = tmp_path / "tests-the-scenario-s-expectations.echo"
    assert "\ngraph: desk.echo\n" in saved.read_text(encoding="utf-8")
    assert echostack("test", saved).returncode == 1


def test_what_cannot_be_searched_is_told_in_a_sentence(echostack: Run, desk: Path) -> None:
    (desk / "both.echo").write_text(DESK + AGAIN, encoding="utf-8")
    cases = {
        ("desk.echo", "-s", "a greting"): "desk.echo has no scenario 'a greting'; did you mean 'a greeting'?",
        ("both.echo",): "both.echo has several scenarios; name one with --scenario: 'a greeting', 'another'",
        ("desk.echo", "--out", "elsewhere"): (
            "--out elsewhere: what is found there could not name its graph, desk.echo: a scenario stands in the project"
            " of the graph that it tests"
        ),
    }
    for arguments, told in cases.items():
        done = echostack("search", *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"echostack: {told}\n")


def test_an_interrupted_search_tells_what_it_has(desk: Path) -> None:
    running = subprocess.Popen(
        [PROGRAM, "search", "desk.echo", "--runs", "1000000", "-j", "2"],
        cwd=desk, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        running.communicate(timeout=8)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGINT)
    out, error = running.communicate(timeout=60)
    assert (running.returncode, error) == (130, "")
    assert re.match(r"interrupted: desk.echo::a greeting: [\d,]+ runs? of 1,000,000, seed 0\n", out)
    assert out.endswith("  no violation\n")


def test_a_search_ends_with_its_time(echostack: Run, desk: Path) -> None:
    done = echostack("search", "desk.echo", "--runs", "1000000", "-j", "1", "--time", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert " runs of 1,000,000, seed 0\n" in done.stdout
