"""Writing files so that nothing is left half written."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Put ``text`` (UTF-8, its line ends as they are) in the place of the file ``path``, which keeps its permissions.

    Whoever reads meanwhile sees the old text or the new, and a link stays a link. OSError names the file.
    """
    target = path.resolve()
    try:
        if path.exists() and not path.is_file():  # a device or a pipe stays what it is, and takes the text
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
            return
        _replace(target, text, stat.S_IMODE(target.stat().st_mode))
    except OSError as error:  # a write knows only a number, and nobody knows the file beside it
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(target: Path, text: str, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
