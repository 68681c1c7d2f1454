"""Reading a recording: whole, cut off by a crash, or still being written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.recording.folder import being_written
from echostack.recording.format import (
    AUDIO,
    GRAPH,
    LINES,
    VERSION,
    AudioRef,
    EndEntry,
    Entry,
    EventEntry,
    Header,
    RecordingError,
)
from echostack.recording.payloads import Kinds, rebuilt
from echostack.recording.wave import HEAD, WaveFormat, read_head
from echostack.registry import Registry

_LINE = msgspec.json.Decoder(Entry)
_HEADER = msgspec.json.Decoder(Header)
_TAIL = 65_536
POLL = 0.2
"""Seconds between two looks at a recording that is still being written."""


class _Claim(msgspec.Struct):
    """As much of a header as every version has."""

    echostack: str = ""
    version: int = 0


class Track:
    """One audio file of a recording, as long as it is now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                form = read_head(file.read(HEAD))
        except OSError as error:
            raise RecordingError(f"{path}: {_why(error)}") from error
        if form is None:
            raise RecordingError(f"{path}: this is not audio of a recording; the file is damaged")
        self.form: WaveFormat = form

    @property
    def samples(self) -> int:
        """How many sample frames lie in the file, whatever its head says."""
        return max(0, self.path.stat().st_size - HEAD) // self.form.size

    def read(self, at: int, samples: int) -> bytes:
        """Sample frames from ``at`` on; what a crash lost is silence."""
        size = self.form.size
        with self.path.open("rb") as file:
            file.seek(HEAD + at * size)
            pcm = file.read(samples * size)
        return pcm + bytes(samples * size - len(pcm))


class Recording:
    """One recording, opened for reading. Nothing of it is kept in memory but its header; every iteration reads anew.

    Reading never changes a recording and never waits for whoever writes it. Errors are RecordingError, with the file,
    the line, and the reason.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self._tracks: dict[str, Track] = {}
        self._kinds: dict[int, Kinds] = {}

    @classmethod
    def open(cls, path: str | Path) -> Recording:
        """The recording at ``path``: its folder, or the ``recording.jsonl`` in it. RecordingError for anything else."""
        folder = Path(path)
        if folder.name == LINES and folder.is_file():
            folder = folder.parent
        file = folder / LINES
        try:
            with file.open("rb") as lines:
                first = lines.readline()
        except FileNotFoundError:
            what = f"this is not a recording: it holds no {LINES}" if folder.exists() else "there is no such file"
            raise RecordingError(f"{folder}: {what}") from None
        except OSError as error:
            raise RecordingError(f"{file}: {_why(error)}") from error
        return cls(folder, _header(file, first))

    # -- what happened -----------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Every line after the header, in order, up to the last whole one. A line that a crash tore is left out."""
        with self._lines() as lines:
            yield from self._read(lines, 2)

    def events(self) -> Iterator[EventEntry]:
        """The events alone."""
        return (entry for entry in self.entries() if isinstance(entry, EventEntry))

    async def follow(self, clock: Clock, poll: float = POLL) -> AsyncIterator[Entry]:
        """Every line, those still to come as well: to the end of the recording, or until nobody writes it any more.

        A line is given at most ``poll`` seconds after it was written. Cancelling it loses nothing.
        """
        number, over = 2, False
        with self._lines() as lines:
            while True:
                live = self.live
                for entry in self._read(lines, number):
                    number += 1
                    over = isinstance(entry, EndEntry)
                    yield entry
                if over or not live:
                    return
                await clock.sleep(poll)

    @property
    def complete(self) -> bool:
        """Whether it was written to its end: neither cut off by a crash, nor still being written."""
        return self.end is not None

    @property
    def live(self) -> bool:
        """Whether somebody writes it at this moment. Where the system has no file locks: no."""
        return being_written(self.path / LINES)

    @property
    def end(self) -> EndEntry | None:
        """The last line of a complete recording; None for others."""
        file = self.path / LINES
        try:
            with file.open("rb") as lines:
                size = lines.seek(0, 2)
                tail = b""
                while size and tail.count(b"\n") < 2:
                    step = min(_TAIL, size)
                    size = lines.seek(size - step)
                    tail = lines.read(step) + tail
        except OSError as error:
            raise RecordingError(f"{file}: {_why(error)}") from error
        whole, _, torn = tail.rpartition(b"\n")
        last = whole.rpartition(b"\n")[2]
        if torn or not last.startswith(b'{"t":"end"'):
            return None
        try:
            entry = _LINE.decode(last)
        except msgspec.DecodeError:
            return None
        return entry if isinstance(entry, EndEntry) else None

    # -- what it held ------------------------------------------------------------------------------------------

    def payload(self, entry: EventEntry, registry: Registry | None = None) -> Payload | Mapping[str, Any]:
        """The payload of an event as it was, its audio read from the track.

        registry: where kinds that EchoStack does not ship come from. A kind that it does not know, or that has other
        fields by now, stays data (see ``EventEntry.data``).
        """
        kinds = self._kinds.get(id(registry))
        if kinds is None:
            kinds = self._kinds[id(registry)] = Kinds(registry)
        found: Payload | Mapping[str, Any] = rebuilt(entry, kinds, self.audio)
        return found

    def event(self, entry: EventEntry, registry: Registry | None = None) -> Event | None:
        """The event as it was; None when its payload's kind is not known."""
        payload = self.payload(entry, registry)
        if not isinstance(payload, Payload):
            return None
        return Event(
            entry.name, payload, self.header.session, entry.seq, entry.time, entry.scope, entry.epoch, entry.cause,
            entry.port, entry.node,
        )  # fmt: skip

    def audio(self, track: str | AudioRef, at: int = 0, samples: int | None = None) -> bytes:
        """PCM (16 bits, little-endian) of a track: ``samples`` sample frames from ``at`` on, or to its end.

        What a crash lost is silence. RecordingError for a track that the recording does not have.
        """
        if isinstance(track, AudioRef):
            ref = track
            track, at, samples = ref.track, ref.at, ref.samples
        found = self.track(track)
        if samples is None:
            samples = max(0, found.samples - at)
        try:
            return found.read(at, samples)
        except OSError as error:
            raise RecordingError(f"{found.path}: {_why(error)}") from error

    def track(self, name: str) -> Track:
        """The track of that name: its format, its length, its file."""
        found = self._tracks.get(name)
        if found is None:
            path = self.path / AUDIO / f"{name}.wav"
            if not name or Path(name).name != name:
                raise RecordingError(f"{self.path / LINES}: {name!r} is not the name of a track")
            found = self._tracks[name] = Track(path)
        return found

    @property
    def tracks(self) -> tuple[str, ...]:
        """The names of all tracks, in alphabetical order."""
        return tuple(sorted(p.stem for p in (self.path / AUDIO).glob("*.wav")))

    @property
    def graph(self) -> Path | None:
        """The copy of the file that the call ran; what it imports lies where it imports it from. None without one."""
        return self.path / self.header.files[0].path if self.header.files else None

    # -- inside ------------------------------------------------------------------------------------------------

    def _lines(self) -> BinaryIO:
        file = self.path / LINES
        try:
            lines = file.open("rb")
            lines.readline()
        except OSError as error:
            raise RecordingError(f"{file}: {_why(error)}") from error
        return lines

    def _read(self, lines: BinaryIO, number: int) -> Iterator[Entry]:
        """What whole lines there are from here on; leaves the file before a line that has no end yet."""
        decode = _LINE.decode
        while True:
            start = lines.tell()
            line = lines.readline()
            if not line.endswith(b"\n"):
                lines.seek(start)
                return
            try:
                entry = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RecordingError(
                    f"{self.path / LINES}:{number}: this line is no part of a recording: {_lower(error)}"
                ) from None
            number += 1
            yield entry


def _header(file: Path, line: bytes) -> Header:
    if not line.endswith(b"\n"):
        raise RecordingError(f"{file}: the recording has not begun: it has no header")
    try:
        claim = msgspec.json.decode(line, type=_Claim)
        if claim.echostack != "recording":
            raise RecordingError(f"{file}:1: this is not a recording: it begins with no header of one")
        if claim.version != VERSION:
            raise RecordingError(
                f"{file}:1: this recording has version {claim.version} of the format, and this EchoStack reads version "
                f"{VERSION}: read it with the one that wrote it"
            )
        return _HEADER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{file}:1: this is not the header of a recording: {_lower(error)}") from None


def _lower(error: Exception) -> str:
    said = str(error)
    return said[:1].lower() + said[1:]


def _why(error: OSError) -> str:
    return error.strerror or str(error)


__all__ = ["GRAPH", "POLL", "Recording", "Track"]
