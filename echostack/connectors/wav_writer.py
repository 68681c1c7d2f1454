"""Writing a 16-bit mono WAV file that can be read at any moment, even after the writer was killed."""

from __future__ import annotations

import os
import struct
import threading
from io import FileIO
from pathlib import Path

from echostack.connectors.sole_writer import open_anew
from echostack.connectors.wav import file_trouble, refuse

_HEADER = 44
_MOST = 0xFFFFFFFF - _HEADER
"""A WAV file counts its bytes in 32 bits: a little under 25 hours at 24 kHz."""


class WavWriter:
    """A file that is written: ``open``, ``put``, ``close``.

    Everything blocks, so it belongs on ``context.compute``; calls from several threads take turns. After each
    ``put`` the header is true of what lies in the file. Errors are ConnectorFailure, not to be retried, with the
    path and the reason: the disk is full, permission denied, a folder of that name, another call that writes it.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self.path, self._rate = path, rate
        self._bytes = 0
        self._lock = threading.Lock()
        self._file: FileIO | None = None
        self._closed = False

    def open(self) -> None:
        """Make the file, and the folders that it lies in."""
        with self._lock:
            try:
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                except FileExistsError as error:  # a file stands where the folder should be
                    raise refuse(self.path, "a part of this path is a file, not a folder") from error
                file = FileIO(open_anew(self.path), "wb")
            except OSError as error:
                raise file_trouble(self.path, error, "written") from error
            except ValueError as error:  # a NUL in the name
                raise refuse(self.path, "this is not a file name") from error
            try:
                self._header(file)
            except BaseException:
                file.close()
                raise
            if self._closed:
                file.close()
            else:
                self._file = file

    def put(self, at: int, pcm: bytes) -> None:
        """Place ``pcm`` at sample ``at``. What lies between the file's end and ``at`` is silence.

        That silence is a hole in the file: an hour of it costs no time, and on most file systems no space.
        """
        with self._lock:
            if self._file is not None:
                self._put(self._file, at, pcm)

    def _put(self, file: FileIO, at: int, pcm: bytes) -> None:
        end = max(self._bytes, 2 * at + len(pcm))
        if end > _MOST:
            raise refuse(self.path, "a WAV file cannot be larger than 4 GB", "end the call, or lower the rate")
        try:
            if end > self._bytes:
                os.ftruncate(file.fileno(), _HEADER + end)
            file.seek(_HEADER + 2 * at)
            view = memoryview(pcm)
            while view:  # an unbuffered write may take less than it is given
                view = view[file.write(view) or 0 :]
            self._bytes = end
        except OSError as error:
            raise file_trouble(self.path, error, "written") from error
        self._header(file)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
                self._file = None

    def _header(self, file: FileIO) -> None:
        head = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + self._bytes, b"WAVE", b"fmt ", 16, 1, 1, self._rate,
            2 * self._rate, 2, 16, b"data", self._bytes,
        )  # fmt: skip
        try:
            file.seek(0)
            file.write(head)
        except OSError as error:
            raise file_trouble(self.path, error, "written") from error
