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
