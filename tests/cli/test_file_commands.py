"""check, fmt, schema, render, explain and explain-code, run as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

GOOD = """echostack: 1
name: shop
connectors:
  ingress.file: {path: call.wav}
  egress.file: {path: reply.wav}
pipeline:
  - ingress.file.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.file.audio_chunk
"""
BAD = GOOD.replace("moonshine.stt -> faq", "moonshine.sst => faq")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    (tmp_path / "good.echo").write_text(GOOD)
    return tmp_path / "good.echo"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "bad.echo").write_text(BAD)
    return tmp_path / "bad.echo"


def test_a_good_file_is_checked_in_silence_but_for_one_line(echostack: Run, good: Path) -> None:
    done = echostack("check", "good.echo")
    assert (done.returncode, done.stdout, done.stderr) == (0, "good.echo: no findings\n", "")


def test_a_bad_file_fails_with_its_place_and_code(echostack: Run, bad: Path) -> None:
    done = echostack("check", "bad.echo")
    assert (done.returncode, done.stderr) == (1, "")
    assert "error[E0201]" in done.stdout
    assert "bad.echo:7:" in done.stdout


def test_findings_of_several_files_are_one_report(echostack: Run, good: Path, bad: Path) -> None:
    done = echostack("check", "good.echo", "bad.echo", "bad.echo", "--json")
    assert done.returncode == 1
    assert [f["code"] for f in json.loads(done.stdout)["findings"]].count("E0201") == 1


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_findings_for_programs_are_json_on_stdout_alone(echostack: Run, bad: Path, form: str) -> None:
    done = echostack("check", "bad.echo", "--format", form, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (1, "")
    assert "E0201" in json.dumps(json.loads(done.stdout))


def test_a_file_that_is_not_there_is_wrong_usage(echostack: Run) -> None:
    for command in (("check",), ("explain",), ("fmt",), ("run",), ("render", "-o", "x.svg")):
        done = echostack(*command, "none.echo")
        assert (done.returncode, done.stderr) == (2, "echostack: none.echo: there is no such file\n"), command


def test_a_file_that_is_not_there_does_not_keep_the_others_from_being_checked(echostack: Run, bad: Path) -> None:
    done = echostack("check", "none.echo", bad)
    assert (done.returncode, done.stderr) == (2, "echostack: none.echo: there is no such file\n")
    assert done.stdout == echostack("check", bad).stdout


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = (", "SyntaxError: '(' was never closed (mine.py, line 1)"),
        ("\n1 / 0", "ZeroDivisionError: division by zero (mine.py:2)"),
        ("raise RecursionError", "RecursionError (mine.py:1)"),
        ("raise RuntimeError('no\\nkey')", "RuntimeError: no key (mine.py:1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3 (mine.py:1)"),
        ("import there_is_none", "No module named 'there_is_none' (mine.py:1)"),
    ],
)
def test_a_plugin_that_fails_is_named_with_its_line_and_is_no_fault_of_echostack(
    echostack: Run, good: Path, tmp_path: Path, source: str, told: str
) -> None:
    (tmp_path / "mine.py").write_text(source + "\n")
    done = echostack("check", good, "--plugin", "mine")
    assert done.returncode == 2
    assert done.stderr == f"echostack: the plugin module 'mine' cannot be imported: {told}\n"


@pytest.mark.parametrize("name", ["", "..mine"])
def test_a_plugin_without_a_module_name_is_wrong_usage(echostack: Run, good: Path, name: str) -> None:
    done = echostack("check", good, "--plugin", name)
    assert done.returncode == 2
    assert done.stderr == (
        f"echostack: the plugin module {name!r} cannot be imported: write its name, such as my.connectors\n"
    )


def test_fmt_rewrites_only_what_differs_and_keeps_permissions(echostack: Run, tmp_path: Path) -> None:
    loose = tmp_path / "loose.echo"
    loose.write_text(GOOD.replace(" -> ", "->"))
    loose.chmod(0o640)
    assert echostack("fmt", "--check", "loose.echo").returncode == 1
    assert echostack("fmt", "--diff", "loose.echo").stdout.startswith("--- loose.echo\n+++ loose.echo (formatted)\n")
    assert "->" in loose.read_text()
    done = echostack("fmt", "loose.echo")
    assert (done.returncode, done.stderr) == (0, "reformatted loose.echo\n")
    assert " -> " in loose.read_text()
    assert loose.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["loose.echo"]
    done = echostack("fmt", "loose.echo")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_fmt_reads_stdin_and_does_not_stop_at_a_bad_file(echostack: Run, bad: Path, good: Path) -> None:
    formatted = echostack("fmt", "-", stdin=GOOD).stdout
    assert echostack("fmt", "-", stdin=formatted).stdout == formatted
    good.write_text(GOOD.replace(" -> ", "->"))
    done = echostack("fmt", "bad.echo", "good.echo")
    assert done.returncode == 1
    assert "error[" in done.stderr
    assert "reformatted good.echo" in done.stderr
    assert bad.read_text() == BAD


def test_the_schema_is_a_json_schema_and_equals_the_committed_copy(echostack: Run, checkout: Path) -> None:
    done = echostack("schema")
    assert json.loads(done.stdout)["$schema"].startswith("https://json-schema.org/")
    assert json.loads(done.stdout) == json.loads((checkout / "docs/echo.schema.json").read_text(encoding="utf-8"))
    scenarios = json.loads(echostack("schema", "--scenarios").stdout)
    assert scenarios == json.loads((checkout / "docs/scenarios.schema.json").read_text(encoding="utf-8"))


def test_a_file_of_scenarios_is_checked_and_formatted_like_a_graph(echostack: Run, good: Path, tmp_path: Path) -> None:
    (tmp_path / "tests.echo").write_text("tests:\n  - {name: a call, caller: [{say: hi}]}\ngraph: good.echo\n")
    assert echostack("check", "tests.echo").stdout == "tests.echo: no findings\n"
    echostack("fmt", "tests.echo")
    assert (tmp_path / "tests.echo").read_text() == (
        "graph: good.echo\ntests:\n  - name: a call\n    caller:\n      - say: hi\n"
    )


@pytest.mark.parametrize(
    ("ending", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("dot", b"digraph"), ("mmd", b"")]
)
def test_render_draws_every_format(echostack: Run, good: Path, tmp_path: Path, ending: str, start: bytes) -> None:
    done = echostack("render", "good.echo", "-o", f"out.{ending}")
    assert (done.returncode, done.stderr) == (0, f"good.echo is drawn in out.{ending}\n")
    drawn = (tmp_path / f"out.{ending}").read_bytes()
    assert drawn.startswith(start)
    assert b"moonshine" in drawn or ending == "png"


def test_render_draws_a_file_with_errors_and_says_that_it_has_them(echostack: Run, tmp_path: Path) -> None:
    (tmp_path / "typo.echo").write_text(GOOD.replace("faq.agent", "faq.agnet"))
    done = echostack("render", "typo.echo", "-o", "typo.svg")
    assert done.returncode == 1
    assert "error[" in done.stderr
    assert (tmp_path / "typo.svg").read_bytes().startswith(b"<?xml")


def test_render_refuses_an_unknown_format_in_words(echostack: Run, good: Path) -> None:
    done = echostack("render", "good.echo", "-o", "out.gif")
    assert (done.returncode, done.stderr) == (
        2, "echostack: 'gif' is not a format of pictures: use one of svg, png, dot, mmd\n",
    )  # fmt: skip


def test_explain_tells_what_runs(echostack: Run, good: Path) -> None:
    text, data = echostack("explain", "good.echo"), echostack("explain", "good.echo", "--json")
    assert (text.returncode, data.returncode) == (0, 0)
    nodes = [node["id"] for node in json.loads(data.stdout)["nodes"]]
    assert "webrtc.vad" in nodes
    assert all(node in text.stdout for node in nodes)


def test_explain_code_prints_the_page_in_either_case(echostack: Run, checkout: Path) -> None:
    page = (checkout / "docs/diagnostics/E0203.md").read_text(encoding="utf-8")
    assert echostack("explain-code", "e0203").stdout == page
    done = echostack("explain-code", "E0299x")
    assert done.returncode == 2
    assert done.stderr.startswith("echostack: there is no finding 'E0299x'")


def test_a_connector_has_a_page_and_a_manifest(echostack: Run) -> None:
    page = echostack("connectors", "webrtc.vad")
    assert page.returncode == 0
    for words in ("processing.*.audio_frame", "processing.webrtc.speech_started", "hangover_ms", "In a file:"):
        assert words in page.stdout
    manifest = json.loads(echostack("connectors", "webrtc.vad", "--json").stdout)
    assert manifest["produces"] == ["processing.webrtc.speech_started", "processing.webrtc.speech_stopped"]
    wrong = echostack("connectors", "webrtc.vda")
    assert (wrong.returncode, wrong.stderr) == (
        2, "echostack: there is no connector 'webrtc.vda': did you mean webrtc.vad?\n",
    )  # fmt: skip


def test_a_plugin_beside_the_caller_is_known(echostack: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from echostack.core.payloads import AgentMessage, Text\n"
        "from echostack.registry import connector\n"
        "@connector('shout.agent')\n"
        "def shout(text: Text) -> AgentMessage:\n"
        "    '''Says everything again, louder.'''\n"
        "    return AgentMessage(text.text.upper())\n"
    )
    assert "Says everything again, louder." in echostack("connectors", "--plugin", "mine").stdout
    (tmp_path / "loud.echo").write_text(GOOD.replace("faq.agent", "shout.agent"))
    assert echostack("check", "loud.echo").returncode == 1
    assert echostack("check", "loud.echo", "--plugin", "mine").returncode == 0
    assert echostack("check", "loud.echo", "--plugin", "none").returncode == 2


def test_a_demo_into_a_file_is_told_to_name_a_folder(echostack: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    done = echostack("demo", "--out", "taken")
    assert (done.returncode, done.stderr) == (2, "echostack: --out taken: this is a file; name a folder\n")
    assert (tmp_path / "taken").read_text() == "mine"
