"""A call's events as lines of JSON, one event a line, written while the call runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import msgspec

from echostack.connectors.sole_writer import open_anew
from echostack.core.events import Event


def event_data(event: Event) -> dict[str, Any]:
    """An event as plain data. Audio is told by its length, not written out: a trace is for reading."""
    payload: dict[str, Any] = {}
    for name in event.payload.__struct_fields__:
        value = getattr(event.payload, name)
        if isinstance(value, bytes):
            payload["bytes"] = len(value)
        else:
            payload[name] = msgspec.to_builtins(value, enc_hook=str)
    data: dict[str, Any] = {"seq": event.seq, "time": round(event.time, 6), "name": event.name, "payload": payload}
    for name in ("cause", "scope", "epoch", "port", "node"):
        value = getattr(event, name)
        if value:
            data[name] = value
    return data


class Trace:
    """The file that a trace goes to; a context manager. What the call did reaches the disk within a second of it.

    Missing folders are made. OSError with the file's name when it cannot be opened or written, or another call is
    writing it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = open(open_anew(path), "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        self._flushed = 0.0

    def write(self, event: Event) -> None:
        """Add one event."""
        with self._named():
            self._file.write(json.dumps(event_data(event), ensure_ascii=False, separators=(",", ":")) + "\n")
            self.events += 1
            # A call that is killed leaves what it did; a flush an event would cost a system call each.
            if event.time - self._flushed >= 1.0:
                self._file.flush()
                self._flushed = event.time

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._named():
            self._file.close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """A write knows only a number; the message needs the name."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error
