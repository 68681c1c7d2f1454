"""transcript.log: who said what, in order, as events and as lines of a file.

The agent's lines are what was heard of them (playout_finished), never what it meant to say.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from echostack.connectors.wav import file_trouble, refuse
from echostack.core.payloads import Committed, PlayoutFinished, Text, TranscriptEntry
from echostack.registry import ConnectorSettings, Context, Inbox, Out, Simulator, connector, simulates


class TranscriptSettings(ConnectorSettings):
    """Where the transcript is kept."""

    path: Path | None = None
    """A file to append JSON lines to; none when not set. Made with its folders when it is not there."""
    fsync: bool = False
    """Wait for the disk after every line: survives a power cut, costs milliseconds a line."""
    log: bool = False
    """Write every line to the call's log as well."""


@connector("transcript.log")
class TranscriptLog:
    """Keeps the call's transcript: the caller's turns and the agent's words that were played, in order.

    Feed it text, and control.*.playout_finished for the agent's side. Each line leaves as a transcript_entry and, with
    ``path``, is appended to that file before the next event is taken. It goes on through interruptions.
    ConnectorFailure, not to be retried, when that file cannot be written: from the beginning, where it shows then.
    """

    def __init__(self, settings: TranscriptSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._cut = ""  # the words of the last cut reply, which are reported by playout and by the interruption

    def interrupted(self) -> None:
        """An interruption changes nothing that was said."""

    async def open(self) -> None:
        """Make ``path`` and its folders, so that a call does not fail at its first word."""
        if self._settings.path is not None:
            await self._context.compute.run(_prepare, self._settings.path)

    async def run(
        self, inbox: Inbox[Text | TranscriptEntry | PlayoutFinished | Committed]
    ) -> AsyncIterator[TranscriptEntry | Out]:
        """One entry for each thing said, until the call ends."""
        async for event in inbox:
            entry = self._entry(event.payload, event.time)
            if entry is None:
                continue
            await self._keep(entry)
            if self._settings.log:
                self._context.log("transcript", role=entry.role, text=entry.text, cut=entry.cut)
            yield Out(entry, cause=event)

    async def _keep(self, entry: TranscriptEntry) -> None:
        """Append ``entry`` to the file, when there is one."""
        if self._settings.path is None:
            return
        record = {
            "session": self._context.session, "role": entry.role, "text": entry.text, "start": entry.start,
            "end": entry.end, "cut": entry.cut, "wall": self._context.clock.wall(),
        }  # fmt: skip
        line = msgspec.json.encode(record)
        await self._context.compute.run(_append, self._settings.path, line, self._settings.fsync)

    def _entry(self, payload: object, time: float) -> TranscriptEntry | None:
        match payload:
            case Text(text=text) if text.strip():
                self._cut = ""
                return TranscriptEntry("caller", text, payload.start, payload.end or time)
            case TranscriptEntry():
                return payload
            case PlayoutFinished(heard=heard, cut=cut) if heard.strip():
                return self._heard(heard, cut, time - payload.seconds, time)
            case Committed(heard=heard) if heard.strip():
                return self._heard(heard, True, time, time)
        return None

    def _heard(self, heard: str, cut: bool, start: float, end: float) -> TranscriptEntry | None:
        if cut and heard == self._cut:
            self._cut = ""
            return None
        self._cut = heard if cut else ""
        return TranscriptEntry("agent", heard, max(0.0, start), end, cut)


@simulates(TranscriptLog)
class TranscriptLogSimulated(TranscriptLog):
    """The same transcript, kept in the store, one write a line; no file is touched."""

    def __init__(self, settings: TranscriptSettings, simulator: Simulator) -> None:
        super().__init__(settings, simulator)
        self._store = simulator.store

    async def open(self) -> None:
        """There is no file to make."""

    async def _keep(self, entry: TranscriptEntry) -> None:
        line = {"role": entry.role, "text": entry.text, "start": entry.start, "end": entry.end, "cut": entry.cut}
        self._store.write(line)


def append_line(path: Path, line: bytes, fsync: bool = False) -> None:
    """Append ``line`` and its newline to ``path`` in one write, after ending a line that a crash left torn.

    Whoever reads the file finds whole lines, but for the last one after a crash. OSError when it cannot be written.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        data = (b"\n" if torn else b"") + line + b"\n"
        while data:
            data = data[os.write(handle, data) :]
        if fsync:
            os.fsync(handle)
    finally:
        os.close(handle)


def _append(path: Path, line: bytes, fsync: bool) -> None:
    try:
        append_line(path, line, fsync)
    except OSError as error:
        raise file_trouble(path, error, "written") from error


def _prepare(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644))
    except FileExistsError as error:  # a file stands where the folder should be
        raise refuse(path, "a part of this path is a file, not a folder") from error
    except OSError as error:
        raise file_trouble(path, error, "written") from error
    except ValueError as error:  # a NUL in the name
        raise refuse(path, "this is not a file name") from error
