"""Where an exception came from, as people name it: ``plug.py:12``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

_LIBRARY: Final = str(Path(os.__file__).parent) + os.sep
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OURS: Final = "echostack"


def raised_at(error: BaseException) -> str:
    """File and line of the code that ``error`` is about: the innermost that is neither of the standard library nor
    installed nor EchoStack's own, or else the innermost of all; empty when it was never raised."""
    innermost = own = ""
    for frame, line in _frames(error):
        path = frame.f_code.co_filename
        if path.startswith("<"):
            continue
        innermost = place = f"{shown(path)}:{line}"
        installed = any(part in path for part in _INSTALLED)
        ours = str(frame.f_globals.get("__name__", "")).partition(".")[0] == _OURS
        if not (installed or ours or path.startswith(_LIBRARY)):
            own = place
    return own or innermost


def told(error: BaseException) -> str:
    """``ValueError: no such table (plug.py:12)``, on one line; a SyntaxError says its place by itself."""
    text = " ".join(str(error).split())
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = "" if isinstance(error, SyntaxError) else raised_at(error)
    return f"{words} ({place})" if place else words


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def shown(path: str) -> str:
    """A path of code as the person in this folder would name it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere, or the folder is gone
        return path
