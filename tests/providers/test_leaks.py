"""Whole calls on the vendors' SDKs leave nothing in the agent's process, however they end."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.providers.calls import ROOT

ROW = re.compile(r"^ +(\d+) +\d+ +(\d+) +(\d+) +\d+ +(\d+) +(\d+) +[\d.]+ +\d+$", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.embedded
def test_twenty_interrupted_calls_leave_no_task_file_handle_or_exchange() -> None:
    command = [sys.executable, "-m", "benchmarks.leaks", "--calls", "20", "--at-once", "4", "--batch", "10"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    rows = ROW.findall(done.stdout)
    assert [row[0] for row in rows] == ["0", "10", "20"], done.stdout + done.stderr
    for tasks, files, handles, queues in (row[1:] for row in rows[1:]):
        assert (tasks, handles, queues) == rows[0][1:2] + rows[0][3:]
        assert int(files) <= int(rows[0][2]) + 2
    assert "servers: open 0, rooms 0, tasks 1" in done.stdout
    assert "neither played nor cleared" not in done.stdout
