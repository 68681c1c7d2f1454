"""Writing the audio of a recording: WAV files that can be played while they grow, and after a crash.

What is put is kept in memory until ``flush``, which writes it and then makes the head true of the file. Silence is a
hole in the file: an hour of it costs no time, and on most file systems no space.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path

from echostack.recording.format import AudioRef
from echostack.recording.wave import HEAD, WaveFormat, head

_HOLE = 65_536
"""Bytes of silence from which on a hole is cheaper than zeros."""


class TrackWriter:
    """One track. Not thread-safe; every method may raise OSError."""

    def __init__(self, path: Path, name: str, form: WaveFormat, *, silent: bool = False) -> None:
        """Make the file. silent: only the length of what is put is kept, not its sound."""
        self.name, self.form, self.end = name, form, 0
        """``end``: sample frames put so far, silence included."""
        self._silent = silent
        self._buffer = bytearray()
        self._written = 0  # bytes of audio in the file, holes included
        self._file = FileIO(path, "xb")
        self._file.write(head(form, 0))

    def put(self, pcm: bytes) -> AudioRef:
        """Add ``pcm`` right after what there is; a torn last sample frame is left out. Where it lies."""
        size = self.form.size
        samples = len(pcm) // size
        at = self.end
        self.end = at + samples
        if self._silent:
            self._silence(samples * size)
        else:
            self._buffer += pcm if len(pcm) == samples * size else pcm[: samples * size]
        return AudioRef(self.name, at, samples)

    def skip(self, samples: int) -> None:
        """Add silence."""
        self.end += samples
        self._silence(samples * self.form.size)

    @property
    def held(self) -> int:
        """Bytes that wait for ``flush``."""
        return len(self._buffer)

    def flush(self) -> None:
        """Bring everything into the file."""
        length = self.end * self.form.size
        if length == self._written:
            return
        if self._buffer:
            self._write_out()
        if self._written < length:
            self._file.truncate(HEAD + length)
            self._written = length
        self._file.seek(0)
        self._file.write(head(self.form, length))
        self._file.seek(HEAD + length)

    def close(self) -> None:
        """Close the file, whatever is held."""
        self._file.close()

    def fileno(self) -> int:
        """The number of the open file."""
        return self._file.fileno()

    def _silence(self, size: int) -> None:
        if size < _HOLE and not self._silent:
            self._buffer += bytes(size)
            return
        if self._buffer:
            self._write_out()
        self._file.seek(size, 1)
        self._written += size
        # The hole becomes part of the file with what is written after it, or with the head.
        self._file.truncate(HEAD + self._written)

    def _write_out(self) -> None:
        view = memoryview(bytes(self._buffer))
        self._buffer.clear()
        self._written += len(view)
        while view:  # an unbuffered write may take less than it is given
            view = view[self._file.write(view) or 0 :]


class Tracks:
    """All tracks of one recording, made when something is first put into them."""

    def __init__(self, folder: Path, *, silent: bool = False) -> None:
        self._folder, self._silent = folder, silent
        self._tracks: dict[tuple[str, int, int], TrackWriter] = {}
        self._names: set[str] = set()

    def track(self, of: str, rate: int, channels: int) -> TrackWriter:
        """The track of ``of`` (a node, or what was heard at one) in a format; one that changes it has several."""
        found = self._tracks.get((of, rate, channels))
        if found is None:
            name = self._name(of)
            form = WaveFormat(rate, channels)
            found = TrackWriter(self._folder / f"{name}.wav", name, form, silent=self._silent)
            self._tracks[of, rate, channels] = found
        return found

    @property
    def held(self) -> int:
        """Bytes that wait for ``flush``."""
        return sum(track.held for track in self._tracks.values())

    def all(self) -> tuple[TrackWriter, ...]:
        """In the order in which they were made."""
        return tuple(self._tracks.values())

    def flush(self) -> None:
        for track in self._tracks.values():
            track.flush()

    def close(self) -> None:
        for track in self._tracks.values():
            track.close()

    def _name(self, of: str) -> str:
        """A file name for ``of`` that every system takes: ``speak/piper.tts`` is ``speak_piper.tts``."""
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in of)
        plain = plain.strip(".")[:100] or "track"
        name, number = plain, 1
        while name.lower() in self._names:
            number += 1
            name = f"{plain}.{number}"
        self._names.add(name.lower())
        return name
