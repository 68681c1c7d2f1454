"""The command as a whole: help, version, speed of starting, and what becomes of mistakes, pipes and interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.cli.conftest import PROGRAM, Run

COMMANDS = (
    "check", "fmt", "schema", "connectors", "explain-code", "explain", "render", "run", "talk", "demo", "version",
)  # fmt: skip


def test_help_names_every_command(echostack: Run) -> None:
    done = echostack("--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = [
        line.split()[0]
        for line in done.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
        if line[2:3].strip()
    ]
    assert sorted(listed) == sorted(COMMANDS)


def test_every_command_has_help(echostack: Run) -> None:
    for command in COMMANDS:
        done = echostack(command, "--help")
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout.startswith(f"Usage: echostack {command}"), command


def test_no_command_at_all_shows_the_help_and_is_wrong_usage(echostack: Run) -> None:
    done = echostack()
    assert done.returncode == 2
    assert "Usage: echostack" in done.stdout + done.stderr


def test_version_is_the_installed_one(echostack: Run) -> None:
    assert echostack("--version").stdout == f"{version('echostack')}\n"
    assert echostack("version").stdout.startswith(f"echostack {version('echostack')} (Python 3.")


def test_an_unknown_command_and_an_unknown_option_are_wrong_usage(echostack: Run) -> None:
    for arguments in (("chekc",), ("check", "--jsno", "x.echo"), ("explain-code",)):
        done = echostack(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "Error: " in done.stderr


def test_help_starts_fast() -> None:
    """The floors below are imported by the command that needs them, not by the help."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import echostack.cli.app, sys; print(*sys.modules)"],
        text=True, capture_output=True, check=True,
    ).stdout.split()  # fmt: skip
    heavy = {"pydantic", "networkx", "numpy", "rich.console", "ruamel.yaml", "lark", "aiostream", "asyncio", "msgspec"}
    assert not heavy & set(loaded)


def test_an_unexpected_error_is_one_message_and_a_traceback_only_when_asked_for(tmp_path: Path) -> None:
    fault = (
        "import sys; from echostack.cli import app; from echostack.cli.commands import version\n"
        "def broken(): raise RuntimeError('the flux is out of phase')\n"
        "app.app.command('broken')(broken)\n"
        "sys.argv = ['echostack', 'broken']; app.main()\n"
    )
    command = [sys.executable, "-c", fault]
    said = subprocess.run(command, text=True, capture_output=True, check=False)
    assert said.returncode == 70
    assert said.stderr == (
        "echostack: an unexpected RuntimeError: the flux is out of phase\n"
        "This is a fault in EchoStack, not in your file. Please report it with the command, the file, and what the\n"
        "same command prints with ECHOSTACK_TRACEBACK=1 set.\n"
    )
    env = {**os.environ, "ECHOSTACK_TRACEBACK": "1"}
    traced = subprocess.run(command, text=True, capture_output=True, check=False, env=env)
    assert traced.returncode == 70
    assert "Traceback (most recent call last)" in traced.stderr


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with errors.open("w") as stderr:
        writer = subprocess.Popen([PROGRAM, "connectors", "--json"], stdout=subprocess.PIPE, stderr=stderr)
        assert writer.stdout is not None
        writer.stdout.close()
        assert writer.wait(timeout=60) == 141
    assert errors.read_text() == ""


def test_ctrl_c_is_130_and_silent(tmp_path: Path) -> None:
    waits = (
        "import sys, time; from echostack.cli import app\n"
        "def wait():\n    print('waiting', flush=True)\n    time.sleep(60)\n"
        "app.app.command('wait')(wait)\n"
        "sys.argv = ['echostack', 'wait']; app.main()\n"
    )
    running = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "waiting\n"
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (130, "")


def test_a_terminal_without_the_characters_shows_their_numbers(echostack: Run) -> None:
    done = echostack("connectors", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
