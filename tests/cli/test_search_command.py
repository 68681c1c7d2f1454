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
        "  smallest: 2 steps, seed 0; "
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
        "      - {listen: 500ms, within: 8s}\n"
        "      - {hang_up: true, at: 0s}\n"
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
    assert (found["steps"], found["seed"], found["shuffle"], found["reproduced"]) == (2, 0, False, True)
    assert found["not_saved"] == ""
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
            " of the graph that it tests, which is the nearest folder above with a pyproject.toml or .git in it, and"
            " the file's own folder where there is none"
        ),
    }
    for time in ("3x", "0", "inf", "-1s"):
        cases["desk.echo", "--time", time] = (
            f"--time takes how long the search may last, 100ms or more, as 90s or 5m, not {time!r}"
        )
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


@pytest.mark.parametrize("time", ["0.5", "500ms"])
def test_a_search_ends_with_its_time(echostack: Run, desk: Path, time: str) -> None:
    done = echostack("search", "desk.echo", "--runs", "1000000", "-j", "1", "--time", time)
    assert (done.returncode, done.stderr) == (0, "")
    assert " runs of 1,000,000, seed 0\n" in done.stdout


BUGS = '''\
import asyncio

from echostack.core.payloads import AgentMessage, Text
from echostack.registry import ITSELF, Context, connector


@connector("locking.agent", simulation=ITSELF)
class Locking:
    """Never lets go of its lock when it is interrupted."""

    def __init__(self, context: Context) -> None:
        self.context, self.lock = context, asyncio.Lock()

    async def __call__(self, turn: Text) -> AgentMessage:
        await self.lock.acquire()
        await self.context.clock.sleep(0.6)
        self.lock.release()
        return AgentMessage("You said " + turn.text)


@connector("leaving.agent", simulation=ITSELF)
class Leaving:
    """Leaves a task behind when the call ends soon."""

    def __init__(self, context: Context) -> None:
        self.context, self.tasks = context, []

    async def __call__(self, turn: Text) -> AgentMessage:
        self.tasks.append(asyncio.ensure_future(self.context.clock.sleep(3)))
        return AgentMessage("You said " + turn.text)
'''
FOUR = """\
pipeline:
  - ingress.mic.audio_frame -> moonshine.stt -> {agent} -> piper.tts -> egress.speaker.audio_chunk
tests:
  - name: a table
    caller: [say: I would like to book a table, listen: 1s, say: for four, listen: {pause}, hang up]
    expect:
      - heard: {{contains: for four}}
"""


def test_with_expect_what_the_scenario_says_stays_and_what_was_varied_is_left(echostack: Run, tmp_path: Path) -> None:
    (tmp_path / "bugs.py").write_text(BUGS, encoding="utf-8")
    (tmp_path / "four.echo").write_text(FOUR.format(agent="locking.agent", pause="1s"), encoding="utf-8")
    assert echostack("test", "four.echo", "--plugin", "bugs").returncode == 0
    done = echostack(
        "search", "four.echo", "--plugin", "bugs", "--runs", "120", "-j", "1", "--only", "interrupt", "--expect",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert '  expected "for four" in what the caller heard, which was nothing\n  smallest: 5 steps' in done.stdout
    saved = tmp_path / "four-the-scenario-s-expectations.echo"
    assert f"  saved: echostack test {saved.name} --plugin bugs\n" in done.stdout
    steps = saved.read_text(encoding="utf-8").partition("caller:\n")[2].partition("    expect:")[0].splitlines()
    assert [s for s in steps if " at: " not in s] == [
        "      - say: I would like to book a table",
        "      - say: for four",
        "      - {listen: 1s, within: 8s}",
        "      - hang up",
    ]
    assert echostack("test", saved, "--plugin", "bugs").returncode == 1


def test_what_is_found_in_a_connector_is_saved_beside_what_was_found_before(echostack: Run, tmp_path: Path) -> None:
    (tmp_path / "bugs.py").write_text(BUGS, encoding="utf-8")
    (tmp_path / "four.echo").write_text(FOUR.format(agent="leaving.agent", pause="2s"), encoding="utf-8")
    before = tmp_path / "four-nothing-is-left.echo"
    before.write_text("# mine\n", encoding="utf-8")
    for _ in range(2):  # the second finds its file as it would write it
        done = echostack("search", "four.echo", "--plugin", "bugs", "--runs", "60", "-j", "1", "--only", "hang-up")
        assert (done.returncode, done.stderr) == (1, "")
        assert "  saved: echostack test four-nothing-is-left-2.echo --plugin bugs\n" in done.stdout
    assert before.read_text(encoding="utf-8") == "# mine\n"
    assert sorted(p.name for p in tmp_path.glob("four-*")) == [
        "four-nothing-is-left-2.echo", "four-nothing-is-left.echo",
    ]  # fmt: skip
    assert echostack("test", "four-nothing-is-left-2.echo", "--plugin", "bugs").returncode == 1


def test_what_cannot_be_saved_is_told_with_what_was_found(echostack: Run, desk: Path) -> None:
    (desk / "pyproject.toml").touch()
    (desk / "full").touch()
    done = echostack(
        "search", "desk.echo", "--runs", "25", "-j", "1", "--only", "hang-up", "--expect", "--out", "full/there",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert "  not saved: [Errno 20] Not a directory: 'full/there'\n" in done.stdout
    assert done.stdout.endswith("  violated: the scenario's expectations 9\n")


def test_the_sounds_of_a_scenario_are_found_from_where_it_is_saved(echostack: Run, desk: Path) -> None:
    (desk / "pyproject.toml").touch()
    (desk / "in").mkdir()
    sound = GREETING.replace("say: Good morning", "{say: Good morning, audio: sounds/hello.wav}")
    (desk / "desk.echo").write_text(DESK, encoding="utf-8")
    (desk / "in" / "t.echo").write_text(f"graph: ../desk.echo\n{sound}".replace("front desk}", "cellar}"))
    done = echostack("search", "in/t.echo", "--runs", "3", "-j", "1", "--only", "interrupt", "--expect", "--out", "out")
    assert (done.returncode, done.stderr) == (1, "")
    (saved,) = (desk / "out").iterdir()
    assert "audio: ../in/sounds/hello.wav" in saved.read_text(encoding="utf-8")
