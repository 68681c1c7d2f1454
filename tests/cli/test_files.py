"""Writing files so that nothing is left half written."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from echostack.cli.files import replace_text


@pytest.mark.parametrize("failing", [(tempfile, "mkstemp"), (os, "replace")])
def test_what_cannot_be_written_is_named_by_its_own_name_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: tuple[object, str]
) -> None:
    path = tmp_path / "a.echo"
    path.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*failing, full)
    with pytest.raises(OSError, match="No space left on device") as refused:
        replace_text(path, "new")
    assert refused.value.filename == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.echo"]
    assert path.read_text() == "old"


def test_what_is_no_file_takes_the_text_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        replace_text(pipe, "new\n")
        assert os.read(reader, 100) == b"new\n"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]
