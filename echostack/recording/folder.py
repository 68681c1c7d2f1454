"""The folder of a recording: made, refused when it holds something, owned by one writer."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from echostack.connectors.sole_writer import BUSY, open_anew
from echostack.core.errors import UsageError
from echostack.recording.format import AUDIO, GRAPH, LINES

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]


def open_folder(path: Path, *, overwrite: bool = False) -> FileIO:
    """Make the folder and its ``recording.jsonl``, empty, and hold the lock of its only writer until it is closed.

    UsageError for a recording that is there already (unless ``overwrite``, which takes its files away first), for one
    that somebody writes at this moment, and for a folder that holds anything else. OSError, with the name of the file,
    when the system refuses.
    """
    lines = path / LINES
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: this is a file; a recording is a folder, such as {path.stem}.rec")
    there = lines.exists()
    if there and not overwrite:
        if being_written(lines):
            raise UsageError(f"{path}: another call is recorded here at this moment; name another folder")
        raise UsageError(f"{path}: there is a recording here already; name another folder, or say --overwrite")
    if not there and path.is_dir() and any(path.iterdir()):
        raise UsageError(f"{path}: this folder holds something else; name a new one for the recording")
    (path / AUDIO).mkdir(parents=True, exist_ok=True)
    (path / GRAPH).mkdir(exist_ok=True)
    try:
        # Made by us alone when nothing was there, so that of two calls that begin at once one is told.
        if not there:
            os.close(os.open(lines, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        number = open_anew(lines)
    except OSError as error:
        if isinstance(error, FileExistsError) or error.strerror == BUSY:
            raise UsageError(f"{path}: another call is recorded here at this moment; name another folder") from None
        raise
    file = FileIO(number, "wb")
    if there:
        try:
            _empty(path)
        except BaseException:
            file.close()
            raise
    return file


def remove_empty(path: Path) -> None:
    """Take away a recording that was never begun. OSError."""
    lines = path / LINES
    if lines.stat().st_size == 0:
        _empty(path)
        lines.unlink()
        for folder in (path / AUDIO, path / GRAPH, path):
            folder.rmdir()


def being_written(lines: Path) -> bool:
    """Whether a call writes this ``recording.jsonl`` at this moment."""
    if fcntl is None:
        return False
    try:
        handle = os.open(lines, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a network's file system may have none
        return False
    else:
        return False
    finally:
        os.close(handle)


def _empty(path: Path) -> None:
    """Take away what a recording consists of, and nothing else."""
    for track in sorted((path / AUDIO).glob("*.wav")):
        track.unlink()
    copies = sorted((path / GRAPH).rglob("*"), reverse=True)  # what is in a folder before the folder
    for copy in copies:
        if copy.is_dir():
            copy.rmdir()
        else:
            copy.unlink()
