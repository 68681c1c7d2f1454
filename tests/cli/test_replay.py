"""echostack replay, as a person runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Run

SHOP = """
echostack: 1
name: shop
connectors:
  faq.agent:
    facts:
      - {ask: what are your opening hours, say: "We are open from nine to six, every day of the week."}
      - {ask: how much is lunch, say: Lunch is ten dollars.}
pipeline:
  - ingress.mic.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.speaker.audio_chunk
"""
TESTS = """
tests:
  - name: two questions
    caller:
      - say: What are your opening hours?
      - {interrupt: "Sorry, how much is lunch?", after: 1.2s}
      - listen: 1s
"""


@pytest.fixture
def call(echostack: Run, tmp_path: Path) -> Path:
    """A recorded call."""
    (tmp_path / "shop.echo").write_text(SHOP + TESTS)
    done = echostack("simulate", "shop.echo", "--scenario", "two questions", "--record", "call.rec")
    assert done.returncode == 0, done.stderr
    return tmp_path / "call.rec"


def test_the_call_is_told(echostack: Run, call: Path) -> None:
    done = echostack("replay", call)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "shop: a simulated call, seed 0, session simulated"
    assert re.fullmatch(r"graph \w{12}, 6 nodes; echostack \S+, python \S+; complete", lines[1])
    assert lines[3] == "     time  c a"
    assert any("control.barge_in.committed" in line and "by speech" in line for line in lines)
    assert "caller  Sorry, how much is lunch?" in lines
    assert "agent   Lunch is ten dollars." in lines
    assert "1 interruption" in lines[-1]
    assert not any("audio_frame" in line for line in lines)


def test_a_part_and_a_kind_of_it(echostack: Run, call: Path) -> None:
    done = echostack("replay", call, "--only", "processing.*.text", "--json")
    texts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [t["payload"]["text"] for t in texts] == ["What are your opening hours?", "Sorry, how much is lunch?"]
    at = texts[1]["time"]
    part = echostack("replay", call, "--only", "processing.*.text", "--json", "--from", at)
    assert [json.loads(line)["time"] for line in part.stdout.splitlines()] == [at]
    assert echostack("replay", call, "--json", "--to", "0").stdout.count("\n") == 1
    frames = echostack("replay", call, "--only", "processing.*.audio_frame", "--to", "1")
    assert "50 until 1.000" in frames.stdout


def test_events_appear_when_they_happened(call: Path) -> None:
    whole = subprocess.run(
        [PROGRAM, "replay", call, "--realtime", "--speed", "100"], capture_output=True, text=True, timeout=60
    )
    assert whole.returncode == 0
    assert "control.barge_in.committed" in whole.stdout
    with subprocess.Popen(
        [PROGRAM, "replay", call, "--realtime", "--speed", "0.01"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as slow:  # fmt: skip
        assert slow.stdout is not None
        assert slow.stdout.readline().startswith("shop:")
        slow.send_signal(signal.SIGINT)
        assert slow.wait(timeout=20) == 130
        assert "call_ended" not in slow.stdout.read()


def test_a_recording_that_is_over_can_be_followed_to_its_end(echostack: Run, call: Path) -> None:
    done = echostack("replay", call, "--follow")
    assert done.returncode == 0
    assert "control.call.call_ended" in done.stdout


def test_a_redacted_recording_and_a_torn_one(echostack: Run, call: Path, tmp_path: Path) -> None:
    assert echostack("recording", "redact", call, "--out", "shared.rec").returncode == 0
    shared = echostack("replay", "shared.rec")
    assert "a simulated call, redacted" in shared.stdout
    assert "xxxxx, xxx xxxx xx xxxxx?" in shared.stdout
    assert "lunch" not in shared.stdout
    same = echostack("replay", "shared.rec", "--through", "shop.echo")
    assert "note: the recording is redacted" in same.stdout
    lines = call / "recording.jsonl"
    lines.write_bytes(lines.read_bytes()[:20_000])
    torn = echostack("replay", call)
    assert torn.returncode == 0
    assert torn.stdout.splitlines()[-1].startswith("the recording is broken off")


def test_step_by_step_by_lines(echostack: Run, call: Path) -> None:
    done = echostack("replay", call, "--step", stdin="k text\nd\nu\ni\nf\n/lunch is ten\nb\nzz\nt 2\nK text\n?\nq\nn\n")
    assert done.returncode == 0
    screens = done.stdout.split("\n\n")
    assert screens[0].startswith("shop: a simulated call")
    assert "control.call.call_started" in screens[1]
    assert 'processing.moonshine.text  "What are your opening hours?"' in screens[2]
    assert "processing.faq.agent_message.partial" in screens[3].splitlines()[1]
    assert screens[4] == screens[2]
    assert "control.barge_in.committed" in screens[5]
    assert "epochs: reply 1" in screens[5]
    assert screens[6] == "there is no failure after this one"
    assert "Lunch is ten dollars." in screens[7]
    assert screens[9] == "'zz' is no command; ? tells which there are"
    assert screens[11] == "there is no text before this one"
    assert screens[12].startswith("n, space   the next event")
    assert len(screens) == 14  # nothing after q but the end


def test_export(echostack: Run, call: Path, tmp_path: Path) -> None:
    done = echostack("replay", call, "--export", "trace.json")
    assert done.returncode == 0
    trace = json.loads((tmp_path / "trace.json").read_text())
    events = trace["traceEvents"]
    assert done.stdout == f"trace: trace.json, {len(events):,} events\n"
    assert {e["ph"] for e in events} >= {"X", "M", "i", "s", "f"}
    assert all(isinstance(e["pid"], int) and isinstance(e["tid"], int) and e["name"] for e in events)
    slices: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for e in events:
        if e["ph"] == "X":
            assert e["ts"] >= 0
            assert e["dur"] > 0
            slices.setdefault((e["pid"], e["tid"]), []).append((e["ts"], e["ts"] + e["dur"]))
    for row in slices.values():  # what overlaps on one row would be drawn wrongly
        row.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(row))
    arrows = [e["id"] for e in events if e["ph"] in "sf"]
    assert sorted(arrows[::2]) == sorted(arrows[1::2])


def test_through_its_own_graph_nothing_differs(echostack: Run, call: Path) -> None:
    done = echostack("replay", call, "--through", "shop.echo")
    assert done.returncode == 0, done.stdout
    assert re.match(r"no difference: up to \d+\.\d{3} s the call is what it was, to the microsecond\n", done.stdout)
    assert "piper.tts       replayed, input by input: 2 inputs known\n" in done.stdout


def test_through_an_edited_graph(echostack: Run, call: Path, tmp_path: Path) -> None:
    (tmp_path / "new.echo").write_text(SHOP.replace("ten dollars", "twelve dollars"))
    done = echostack("replay", call, "--through", "new.echo", "--record", "new.rec")
    assert done.returncode == 1
    assert done.stdout.startswith("in the graph\n  faq.agent: its settings differ: facts\n\nfirst difference at ")
    assert "  before  " in done.stdout
    assert "  - agent   Lunch is ten dollars.\n  + agent   Lunch is twelve dollars.\n" in done.stdout
    assert done.stdout.endswith("recording: new.rec\n")
    assert "Lunch is twelve dollars." in echostack("replay", "new.rec").stdout
    data = json.loads(echostack("replay", call, "--through", "new.echo", "--json").stdout)
    assert data["different"] is True
    assert data["nodes"]["faq.agent"] == {"part": "itself"}
    assert data["first"]["after"]["says"] == '"Lunch is twelve dollars."  (the last piece)'


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["nothing.rec"], 1, "echostack: nothing.rec: there is no such file\n"),
        (["."], 1, "echostack: .: this is not a recording: it holds no recording.jsonl\n"),
        (["call.rec", "--only", "text"], 2,
         "echostack: --only: 'text' is not an event pattern: it takes <stage>.<source>.<kind>[.<modifier>]\n"),
        (["call.rec", "--step", "--follow"], 2,
         "echostack: --follow and --step are two ways of replaying; ask for one\n"),
        (["call.rec", "--real", "faq.agent"], 2, "echostack: --real is about a new call: say --through as well\n"),
        (["call.rec", "--speed", "2"], 2, "echostack: --speed goes with --realtime\n"),
        (["call.rec", "--from", "3", "--to", "2"], 2, "echostack: --to 2 is before --from 3\n"),
        (["call.rec", "--through", "shop.echo", "--record", "call.rec"], 2,
         "echostack: --record call.rec would overwrite the recording: name another folder\n"),
        (["call.rec", "--plugin", "no_such_module"], 2, None),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_a_line(
    echostack: Run, call: Path, args: list[str], status: int, said: str | None
) -> None:
    done = echostack("replay", *args)
    assert done.returncode == status
    assert done.stdout == ""
    assert said is None or done.stderr == said
    assert "Traceback" not in done.stderr


def test_an_edited_graph_with_errors_is_told_as_check_does(echostack: Run, call: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.echo").write_text(SHOP.replace("piper.tts", "pipper.tts"))
    checked, done = echostack("check", "wrong.echo"), echostack("replay", call, "--through", "wrong.echo")
    assert done.returncode == 1
    assert "did you mean 'piper.tts'?" in done.stderr
    assert checked.returncode == 1


def test_a_recording_of_another_version(echostack: Run, call: Path) -> None:
    lines = call / "recording.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b'"version":1', b'"version":9', 1))
    done = echostack("replay", call)
    assert done.returncode == 1
    assert "this recording has version 9 of the format" in done.stderr
