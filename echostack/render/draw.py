"""A Picture in a format: the one place that knows which formats there are."""

from __future__ import annotations

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
    """Draw into ``path``, in the format of its ending (`.svg`, `.png`, `.dot`, `.mmd`); returns the path."""
    path = Path(path)
    data = draw(picture, path.suffix.removeprefix(".").lower() or "no ending", prefer=prefer)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"the picture cannot be written to {path}: {error.strerror}") from error
    return path
