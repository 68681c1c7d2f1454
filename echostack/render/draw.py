"""A Picture in a format: the one place that knows which formats there are."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from echostack.core.errors import UsageError
from echostack.render.dot import dot_source
from echostack.render.engine import SYSTEM, lay_out
from echostack.render.mermaid import mermaid_source
from echostack.render.model import Picture

FORMATS = ("svg", "png", "dot", "mmd")


def draw(picture: Picture, form: str, *, prefer: str = SYSTEM) -> bytes:
    """The bytes of a picture as ``svg``, ``png``, ``dot`` or ``mmd``.

    ``prefer="bundled"`` lays out with the engine that comes along, whose bytes are the same on every machine:
    what committed renderings need. UsageError for another format or when no engine can be run.
    """
    if form == "dot":
        return dot_source(picture).encode()
    if form == "mmd":
        return mermaid_source(picture).encode()
    if form not in FORMATS:
        raise UsageError(f"{form!r} is not a format of pictures: use one of {', '.join(FORMATS)}")
    return lay_out(dot_source(picture), form, prefer=prefer)


def save(picture: Picture, path: Path | str, *, prefer: str = SYSTEM) -> Path:
    """Draw into ``path``, in the format of its ending (`.svg`, `.png`, `.dot`, `.mmd`); returns the path.

    A picture that stands there is replaced when the new one is whole. UsageError when it cannot be written.
    """
    path = Path(path)
    data = draw(picture, path.suffix.removeprefix(".").lower() or "no ending", prefer=prefer)
    try:
        _replace(path.resolve(), data)
    except OSError as error:
        remedy = f"make the folder {path.parent} first" if error.errno == errno.ENOENT else "name another place"
        raise UsageError(f"the picture cannot be written to {path}: {error.strerror}; {remedy}") from error
    return path


def _replace(target: Path, data: bytes) -> None:
    """Write beside ``target`` and rename, so that a full disk leaves what was there; a device is written to itself."""
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        if target.exists():
            beside.chmod(stat.S_IMODE(target.stat().st_mode))
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
