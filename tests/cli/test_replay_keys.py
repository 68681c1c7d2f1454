"""replay --step on a terminal: raw keys, as a person presses them."""

from __future__ import annotations

import os
import pty
import select
import termios
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Run

EAR = """\
echostack: 1
name: ear
pipeline:
  - ingress.mic.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.speaker.audio_chunk
"""


class Terminal:
    """``echostack replay call.rec --step`` on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.process, self.keys = pty.fork()
        if not self.process:
            os.chdir(folder)
            os.environ.update(TERM="xterm", COLUMNS="100", LINES="60")
            os.execv(PROGRAM, [str(PROGRAM), "replay", "call.rec", "--step"])

    def until(self, text: str) -> str:
        """What is shown up to ``text``, which must come within 20 s of the last sign of life."""
        shown = ""
        while text not in shown:
            assert select.select([self.keys], [], [], 20)[0], f"no {text!r} in {shown!r}"
            shown += os.read(self.keys, 65536).decode(errors="replace")
        return shown

    def press(self, keys: bytes, *, line: bool = False) -> None:
        """Press ``keys`` once the program reads single keys, or a line; what is typed before that is thrown away."""
        for _ in range(2000):
            if bool(termios.tcgetattr(self.keys)[3] & termios.ICANON) == line:
                os.write(self.keys, keys)
                return
            select.select([], [], [], 0.01)
        raise AssertionError("no key is read")

    def ends(self) -> int:
        """Its exit status; what it still shows is read, so that it can end."""
        try:
            while os.read(self.keys, 65536):
                pass
        except OSError:  # the other end of the terminal is closed
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


@pytest.fixture
def recorded(echostack: Run, tmp_path: Path) -> Path:
    (tmp_path / "ear.echo").write_text(EAR, encoding="utf-8")
    assert echostack("simulate", "ear.echo", "--record", "call.rec").returncode == 0
    return tmp_path


@pytest.mark.parametrize(("key", "status"), [(b"q", 0), (b"\x04", 0), (b"\x1b", 0), (b"\x03", 130)])
def test_keys_that_end_the_steps(recorded: Path, key: bytes, status: int) -> None:
    terminal = Terminal(recorded)
    terminal.until("? for help")
    terminal.press(key)
    assert terminal.ends() == status


def test_a_question_is_answered_with_a_line_or_taken_back_with_ctrl_d(recorded: Path) -> None:
    terminal = Terminal(recorded)
    terminal.until("? for help")
    terminal.press(b"g")
    terminal.until("number: ")
    terminal.press(b"\x04", line=True)
    terminal.until("event 1 (")
    terminal.press(b"k")
    terminal.until("kind: ")
    terminal.press(b"te\x7f\x7ftext\n", line=True)
    assert "processing.moonshine.text" in terminal.until("ended_by")
    terminal.press(b"q")
    assert terminal.ends() == 0
