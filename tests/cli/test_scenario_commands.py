"""test and simulate, run as a person runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Run
from tests.testing.files import QUIET, SHOP, WRONG, write


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write(tmp_path, shop=SHOP, quiet=QUIET)


def test_a_line_a_scenario_then_what_failed_then_the_sum(echostack: Run, shop: Path) -> None:
    done = echostack("test", ".")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "quiet.echo"
    assert lines[1].split() == ["ok", "says", "nothing", "3.000", "s"]
    assert lines[2] == "shop.echo"
    assert lines[3].split()[:5] == ["ok", "asks", "for", "the", "hours"]
    assert lines[4].split()[:3] == ["FAILED", "wants", "lunch"]
    report = "\n".join(lines[5:])
    assert report.startswith(
        '\nFAILED shop.echo::wants lunch\n\nfailed: expected `processing.moonshine.text where "lunch" in text`;'
        " there was one such event, at "
    )
    assert "    --> shop.echo:18:9\n" in report
    assert "     time  c a\n" in report
    assert lines[-3:] == [
        "see it again: echostack test shop.echo -k 'wants lunch' --seed 7", "", "1 failed, 2 passed",
    ]  # fmt: skip


def test_what_passes_is_told_shortly(echostack: Run, shop: Path) -> None:
    done = echostack("test", "quiet.echo")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"quiet.echo\n  ok      {'says nothing':<56}    3.000 s\n\n1 passed\n"
    fast = echostack("test", "quiet.echo", "-v")
    assert "times real time" in fast.stdout


def test_the_command_that_is_told_shows_it_again(echostack: Run, shop: Path) -> None:
    whole = echostack("test", ".")
    again = echostack("test", "shop.echo", "-k", "wants lunch", "--seed", "7")
    assert again.returncode == 1
    report = "FAILED shop.echo::" + whole.stdout.partition("FAILED shop.echo::")[2].rpartition("\n\n")[0]
    assert report in again.stdout
    assert again.stdout.endswith("1 failed, 1 not chosen\n")


def test_the_same_in_several_processes_and_with_many_seeds(echostack: Run, shop: Path) -> None:
    alone = echostack("test", ".", "--runs", "5")
    spread = echostack("test", ".", "--runs", "5", "-j", "3")
    assert (spread.returncode, spread.stdout, spread.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert "5 seeds, 5 of them failed" in alone.stdout
    assert "also with seed: 8, 9, 10, 11\n" in alone.stdout
    assert alone.stdout.endswith("1 failed, 2 passed\n")


def test_it_stops_at_the_first_failure_when_asked(echostack: Run, shop: Path) -> None:
    write(shop, a=SHOP, b=QUIET)
    for spread in ((), ("-j", "2")):
        done = echostack("test", "a.echo", "b.echo", "-x", *spread)
        assert done.returncode == 1
        assert "b.echo" not in done.stdout
        assert done.stdout.endswith("1 failed, 1 passed\n")


def test_nothing_to_run_is_wrong_usage(echostack: Run, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path, plain="pipeline:\n  - ingress.mic.audio_frame -> webrtc.vad\n")
    cases = {
        ("empty",): "empty has no .echo file with scenarios; they stand under `tests:`, as docs/testing.md shows",
        ("plain.echo",): "plain.echo has no scenario; write some under `tests:`, as docs/testing.md shows",
        ("shop.echo", "-k", "dinner"): "-k 'dinner': none of 2 scenarios has that in its file::name",
        ("quiet.echo", "-k", "dinner"): "-k 'dinner': the only scenario does not have that in its file::name",
        ("none.echo",): "none.echo: there is no such file or folder",
        ("shop.echo", "-k", "a and"): "-k 'a and': it ends too early; it takes words, and, or, not and parentheses",
        ("shop.echo", "--junit", "out.echo"): "--junit out.echo: this is a .echo file",
        ("shop.echo", "--plugin", "none"): "the plugin module 'none' cannot be imported: No module named 'none'",
    }
    for words, said in cases.items():
        done = echostack("test", *words)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"echostack: {said}\n")


def test_a_file_with_errors_is_told_and_the_others_run(echostack: Run, shop: Path) -> None:
    write(shop, wrong=WRONG)
    done = echostack("test", "wrong.echo", "quiet.echo")
    assert done.returncode == 1
    assert done.stdout.startswith("quiet.echo\n  ok ")
    assert "error[E0401]: there is no connector 'moonshine.sttt'\n  --> wrong.echo:2:32\n" in done.stdout
    assert done.stdout.endswith("1 passed, 1 file with errors\n")


def test_results_for_programs(echostack: Run, shop: Path, tmp_path: Path) -> None:
    write(shop, wrong=WRONG)
    done = echostack("test", ".", "--json", "--junit", "out/results.xml", "--record", "calls")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["passed"], told["failed"], told["errors"], told["interrupted"]) == (2, 1, 0, False)
    assert [f["code"] for f in told["findings"]] == ["E0401"]
    (failed,) = [run for run in told["runs"] if run["status"] == "failed"]
    assert (failed["file"], failed["name"], failed["seed"], failed["line"]) == ("shop.echo", "wants lunch", 7, 14)
    assert failed["failures"][0]["line"] == 18
    assert (tmp_path / failed["recording"] / "recording.jsonl").is_file()
    root = ET.parse(tmp_path / "out" / "results.xml").getroot()
    assert {k: root.get(k) for k in ("tests", "failures", "errors")} == {"tests": "4", "failures": "1", "errors": "1"}
    cases = {(c.get("classname"), c.get("name")): c for c in root.iter("testcase")}
    assert list(cases) == [
        ("quiet.echo", "says nothing"),
        ("shop.echo", "asks for the hours"),
        ("shop.echo", "wants lunch"),
        ("wrong.echo", "the file"),
    ]
    fault = cases["shop.echo", "wants lunch"].find("failure")
    assert fault is not None
    assert "see it again: echostack test shop.echo -k 'wants lunch' --seed 7" in (fault.text or "")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_interruption_ends_it_at_any_moment(shop: Path, processes: str) -> None:
    words = [PROGRAM, "test", "shop.echo", "--runs", "100000", "-j", processes, "-k", "hours"]
    with subprocess.Popen(words, cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as going:
        try:
            going.wait(timeout=6)
        except subprocess.TimeoutExpired:
            going.send_signal(signal.SIGINT)
        said, wrong = going.communicate(timeout=60)
    assert (going.returncode, wrong) == (130, "")
    assert said.splitlines()[-1].startswith("interrupted: ")


def test_one_call_is_simulated_and_shown(echostack: Run, shop: Path) -> None:
    done = echostack("simulate", "shop.echo", "--scenario", "asks for the hours")
    assert (done.returncode, done.stderr) == (0, "")
    assert "caller  When are you open?  (turn ended by recogniser after 400 ms)" in done.stdout
    assert "agent   We are open from nine to six on every day but Sunday." in done.stdout
    assert "voice to voice" in done.stdout
    assert echostack("simulate", "shop.echo", "--scenario", "asks for the hours").stdout == done.stdout
    failed = echostack("simulate", "shop.echo", "-s", "wants lunch", "--seed", "3")
    assert failed.returncode == 1
    assert "failed: expected `processing.moonshine.text where" in failed.stdout


def test_a_file_without_scenarios_has_a_caller_who_interrupts(echostack: Run, shop: Path) -> None:
    done = echostack("simulate", "shop.echo", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    call = json.loads(done.stdout)
    turns = [(t["role"], t["cut"]) for t in call["conversation"]]
    assert turns == [("caller", False), ("agent", True), ("caller", False), ("agent", False)]
    assert (call["stats"]["late"], call["failures"], call["ended"]) == ([], [], "the caller hung up")


def test_a_simulated_call_is_traced_and_recorded(echostack: Run, shop: Path, tmp_path: Path) -> None:
    words = ("simulate", "shop.echo", "-s", "asks for the hours")
    done = echostack(*words, "--trace", "call.jsonl", "--record", "call.rec")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("trace: call.jsonl\nrecording: call.rec\n")
    events = [json.loads(line) for line in (tmp_path / "call.jsonl").read_text().splitlines()]
    assert events[0]["name"] == "control.call.call_started"
    assert any(e["name"] == "processing.mic.audio_frame" for e in events)
    assert (tmp_path / "call.rec" / "recording.jsonl").is_file()
    again = echostack(*words, "--record", "call.rec")
    assert again.returncode == 2
    nowhere = echostack("simulate", "shop.echo", "-s", "asks for hours")
    assert (nowhere.returncode, nowhere.stderr) == (
        2, "echostack: shop.echo has no scenario 'asks for hours'; did you mean 'asks for the hours'?\n",
    )  # fmt: skip


DEADLY = "import os\n\n\ndef reply(payload, simulator):\n    os.kill(os.getpid(), 9)\n"
ASKS = "graph: shop.echo\ntests:\n  - name: dies\n    connectors: {faq.agent: {answers: reply}}\n    caller:\n"
ASKS += "      [say: When are you open?, pause: 2s, hang_up: true]\n"


def test_a_process_that_is_killed_loses_no_result_of_the_others(echostack: Run, shop: Path) -> None:
    (shop / "deadly.py").write_text(DEADLY)
    write(shop, z=ASKS)
    done = echostack("test", "quiet.echo", "z.echo", "-j", "2", "--plugin", "deadly", "--junit", "out.xml")
    assert done.returncode == 1
    assert done.stderr.startswith("echostack: a process of -j 2 ended by itself, at ")
    assert ET.parse(shop / "out.xml").getroot().tag == "testsuites"
    assert done.stdout.endswith(("1 passed\n", "nothing was run\n"))


def test_a_recording_is_made_anew_only_when_asked(echostack: Run, shop: Path) -> None:
    assert echostack("simulate", "shop.echo", "--record", "rec").returncode == 0
    told = "echostack: rec: there is a recording here already; name another folder, or say --overwrite\n"
    again = echostack("simulate", "shop.echo", "--record", "rec")
    assert (again.returncode, again.stderr) == (2, told)
    assert echostack("simulate", "shop.echo", "--record", "rec", "--overwrite").returncode == 0
