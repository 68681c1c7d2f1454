"""``echostack providers``, run as a person runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Run

SHOW = "import os; print(os.environ['ANTHROPIC_BASE_URL'], os.environ['ANTHROPIC_API_KEY'])"


def test_a_command_is_run_with_the_variables_and_its_status_is_ours(echostack: Run) -> None:
    done = echostack("providers", "up", "anthropic", "--port-base", "18400", "--", sys.executable, "-c", SHOW)
    assert (done.returncode, done.stdout, done.stderr) == (0, "http://127.0.0.1:18402 local\n", "")
    failed = echostack("providers", "up", "anthropic", "--", sys.executable, "-c", "raise SystemExit(7)")
    assert (failed.returncode, failed.stdout, failed.stderr) == (7, "", "")
    killed = echostack("providers", "up", "anthropic", "--", "sh", "-c", "kill -9 $$")
    assert killed.returncode == 137


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    up = subprocess.Popen(
        [PROGRAM, "providers", "up", "anthropic", "openai", "--env", "local.env", "--watch"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert up.stdout is not None
    lines = [up.stdout.readline().rstrip("\n") for _ in range(7)]
    up.send_signal(number)
    out, err = up.communicate(timeout=20)
    assert (up.returncode, out, err) == (130, "", "")
    assert lines[0].startswith("anthropic   http://127.0.0.1:")
    assert lines[1].startswith("openai      http://127.0.0.1:")
    assert lines[3:] == (tmp_path / "local.env").read_text("utf-8").splitlines()
    assert "export ANTHROPIC_API_KEY=local" in lines


def test_an_interruption_is_passed_on_to_the_command(tmp_path: Path) -> None:
    wait = "import time, sys; print('up', flush=True); time.sleep(30)"
    up = subprocess.Popen(
        [PROGRAM, "providers", "up", "anthropic", "--", sys.executable, "-c", wait],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert up.stdout is not None
    assert up.stdout.readline() == "up\n"
    up.send_signal(signal.SIGTERM)
    _, err = up.communicate(timeout=20)
    assert up.returncode == 130
    assert "KeyboardInterrupt" in err  # the command's own


CHAT = """
import json, os, urllib.request as web
body = json.dumps({"model": "any", "messages": [{"role": "user", "content": "When are you open?"}]}).encode()
headers = {"Authorization": "Bearer sk-mine-and-secret", "Content-Type": "application/json"}
answer = web.urlopen(web.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body, headers))
answer.read()
print(answer.status)
"""


def test_what_the_servers_see_is_watched_without_the_key(echostack: Run) -> None:
    done = echostack("providers", "up", "openai", "--watch", "--", sys.executable, "-c", CHAT)
    assert (done.returncode, done.stdout) == (0, "200\n")
    seen = [line.split()[1:4] for line in done.stderr.splitlines()]
    assert seen[0] == ["openai", "#1", "opened"]
    assert seen[-1] == ["openai", "#1", "closed"]
    assert "sk-mine" not in done.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("up", "deepgarm"), "there is no local server of 'deepgarm'; did you mean 'deepgram'?"),
        (("up", "--fault", "deepgram"), "--fault deepgram: it takes NAME=FAULT, such as --fault deepgram=cut,after=3"),
        (
            ("up", "--fault", "deepgram=torn"),
            "--fault deepgram=torn: 'torn' is not a fault: there are slow, cut, malformed, unauthorised, rate_limited,"
            " unavailable, half_open, duplicate, endless",
        ),
        (("up", "--port-base", "80", "openai"), "--port-base is a number from 1024 to 65529"),
        (("up", "openai", "--"), "-- takes a command to run, such as -- echostack run manifest.json"),
        (("up", "openai", "--", "no-such-command"), "no-such-command: there is no such command"),
        (("up", "openai", "--replies", "none.yaml"), "none.yaml: there is no such file"),
        (("call",), "a caller has something to say: --say TEXT or --wav FILE"),
        (("call", "--say", "hi", "--wait", "soon"), "--wait soon: it takes a duration, such as 2s or 300ms"),
        (
            ("call", "--say", "hi"),
            "the environment does not say LIVEKIT_URL, LIVEKIT_ROOM, LIVEKIT_API_KEY, LIVEKIT_API_SECRET: `echostack"
            " providers up --env FILE` writes a file that does, for `. FILE`",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_one_message(echostack: Run, args: tuple[str, ...], told: str) -> None:
    done = echostack("providers", *args)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"echostack: {told}\n")


@pytest.mark.embedded
def test_a_caller_whom_nobody_answers_is_told_so(echostack: Run) -> None:
    done = echostack("providers", "up", "livekit", "--", PROGRAM, "providers", "call", "--say", "hi", "--wait", "300ms")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "echostack: nobody came to the room 'echostack' within 0.3 s: run a file with ingress.livekit in that room\n"
    )
