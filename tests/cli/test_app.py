"""The command as a whole: help, version, speed of starting, and what becomes of mistakes, pipes and interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Run

COMMANDS = (
    "check", "fmt", "schema", "connectors", "explain-code", "explain", "render", "run", "talk", "demo", "version",
    "providers", "recording", "replay", "simulate", "test", "search",
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


@pytest.mark.parametrize("arguments", [("connectors", "webrtc.vad"), ("connectors",), ("version",)])
def test_a_table_that_nobody_reads_ends_the_command_quietly(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        done = subprocess.run([PROGRAM, *arguments], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("shell", "status"),
    [
        ('"$0" version >&-', 0),
        ('"$0" connectors >&-', 0),
        ('"$0" check none.echo 2>&-', 2),
        ('"$0" connectors x.y >&- 2>&- <&-', 2),
        ('"$0" fmt - <&-', 1),
        ('"$0" fmt - <&- >&- 2>&-', 1),
    ],
)
def test_closed_streams_change_nothing(tmp_path: Path, shell: str, status: int) -> None:
    done = subprocess.run(["sh", "-c", shell, PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "unexpected" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", ["version", "connectors", "connectors --json", "--help", "--version"])
def test_an_output_that_is_full_is_one_message(tmp_path: Path, arguments: str) -> None:
    shell = f'"$0" {arguments} >/dev/full'
    done = subprocess.run(["sh", "-c", shell, PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2, "echostack: the output cannot be written: No space left on device; make room, or send it elsewhere\n",
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_an_error_that_cannot_be_told_keeps_its_status(tmp_path: Path) -> None:
    shell = '"$0" check none.echo 2>/dev/full'
    assert subprocess.run(["sh", "-c", shell, PROGRAM], cwd=tmp_path, check=False).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_other_signals_that_end_a_command_are_as_silent(number: signal.Signals) -> None:
    assert ended_while_waiting(number) == (130, "")


def test_a_second_signal_while_the_process_ends_leaves_no_traceback() -> None:
    """A thread that still computes is awaited by the interpreter after the command has ended."""
    waits = (
        "import sys, threading, time; from echostack.cli import app\n"
        "def work():\n"
        "    threading.main_thread().join(); print('waiting', flush=True); time.sleep(60)\n"
        "def wait():\n    threading.Thread(target=work).start()\n"
        "app.app.command('wait')(wait)\n"
        "sys.argv = ['echostack', 'wait']; app.main()\n"
    )
    assert ended_while_waiting(signal.SIGINT, waits) == (130, "")


def test_a_signal_that_the_parent_ignores_stays_ignored() -> None:
    """As nohup and a shell's background jobs do."""
    waits = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from echostack.cli import app\n"
        "def wait():\n    signal.raise_signal(signal.SIGHUP); print('still here')\n"
        "app.app.command('wait')(wait)\n"
        "import sys; sys.argv = ['echostack', 'wait']; app.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", waits], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "still here\n", "")


def test_ctrl_c_is_130_and_silent(tmp_path: Path) -> None:
    assert ended_while_waiting(signal.SIGINT) == (130, "")


WAITS = (
    "import sys, time; from echostack.cli import app\n"
    "def wait():\n    print('waiting', flush=True)\n    time.sleep(60)\n"
    "app.app.command('wait')(wait)\n"
    "sys.argv = ['echostack', 'wait']; app.main()\n"
)


def ended_while_waiting(number: signal.Signals, waits: str = WAITS) -> tuple[int, str]:
    """The status and stderr of a command that waits when the signal comes."""
    running = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "waiting\n"
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    return running.returncode, errors


def test_a_terminal_without_the_characters_shows_their_numbers(echostack: Run) -> None:
    done = echostack("connectors", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_command_is_still_loading_leaves_no_traceback(number: signal.Signals) -> None:
    loading = (
        "import sys; sys.argv = ['bin/echostack']\nimport echostack.cli\n"
        f"import signal; signal.raise_signal({int(number)})"
    )
    done = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
    embedded = loading.replace("bin/echostack", "bin/other")
    done = subprocess.run([sys.executable, "-c", embedded], capture_output=True, text=True, check=False)
    assert done.returncode == -number  # a program that only imports it keeps its own ways


@pytest.mark.parametrize(
    ("how", "code"),
    [("return", 0), ("raise typer.Exit(0)", 0), ("raise typer.Exit(1)", 1), ("raise KeyboardInterrupt", 130)],
)
def test_a_process_with_native_threads_of_livekit_leaves_nothing_unwritten(how: str, code: int, tmp_path: Path) -> None:
    """Such a process is ended without taking the interpreter down. What was printed into a pipe is there whole, files
    are closed, and what is temporary is gone."""
    program = f"""
import sys, tempfile, typer
from pathlib import Path
import livekit.rtc
from echostack.cli import app as cli

@cli.app.command("leave")
def leave() -> None:
    with tempfile.TemporaryDirectory(dir="temporary") as folder, open("kept.txt", "w") as kept:
        Path(folder, "x").write_text("x")
        kept.write("y" * 100_000)
        for n in range(20_000):
            print(n)
        sys.stderr.write("told")
        {how}

sys.argv = ["echostack", "leave"]
cli.main()
"""
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (code, "told"), done.stderr
    assert done.stdout.split() == [str(n) for n in range(20_000)]
    assert (tmp_path / "kept.txt").stat().st_size == 100_000
    assert list((tmp_path / "temporary").iterdir()) == []
