"""Reading WAV files piece by piece, whatever their rate, channels and sample type, as mono floats.

The format is RIFF/WAVE as Microsoft describes it: a ``fmt `` chunk, any other chunks, a ``data`` chunk. A file
whose writer was killed says a data length of 0 or too much; it is read to its real end.
"""

from __future__ import annotations

import errno
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from echostack.connectors.pcm import Floats
from echostack.core.errors import ConnectorFailure

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_COMPRESSED = {
    0x0002: "ADPCM", 0x0006: "A-law", 0x0007: "mu-law", 0x0011: "IMA ADPCM", 0x0031: "GSM", 0x0055: "MP3",
    0x00FF: "AAC",
}  # fmt: skip
_OTHERS = {
    b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3": "MP3", b"\xff\xfb": "MP3", b"FORM": "AIFF", b".snd": "AU",
    b"RF64": "RF64", b"caff": "CAF", b"\x1aE\xdf\xa3": "WebM",
}  # fmt: skip
_MOST_CHANNELS, _LOWEST, _HIGHEST = 64, 1_000, 768_000
_UNKNOWN = {0, 0xFFFFFFFF}


def refuse(path: Path, why: str, help: str = "") -> ConnectorFailure:
    """The one error of a file that cannot be used: which, why, and what to do."""
    return ConnectorFailure(f"{path}: {why}{f'; {help}' if help else ''}", retryable=False)


def file_trouble(path: Path, error: OSError, doing: str) -> ConnectorFailure:
    """An operating system's refusal in words that tell a person what to do."""
    told = {
        errno.ENOENT: "there is no such file",
        errno.EISDIR: "this is a folder, not a file",
        errno.ENOTDIR: "a part of this path is a file, not a folder",
        errno.EACCES: f"this file may not be {doing}: permission denied",
        errno.EPERM: f"this file may not be {doing}: permission denied",
        errno.EROFS: "this file system is read-only",
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.ENAMETOOLONG: "this name is too long",
        errno.EBUSY: error.strerror or "it is in use",
    }
    why = told.get(error.errno or 0, f"it cannot be {doing}: {error.strerror or error}")
    return refuse(path, why)


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What a file's header says: Hz, channels, bytes a sample of one channel, and whether they are floats."""

    rate: int
    channels: int
    width: int
    floats: bool


class WavReader:
    """A WAV file that is read piece by piece: ``open``, ``read`` mono floats in -1..1, ``close``.

    ``open`` and ``read`` block, so they belong on ``context.compute``; ``close`` may come from another thread, and
    before ``open`` has ended. Raises ConnectorFailure, not to be retried, with the path and a reason that a person
    can act on: no such file, a folder, not a WAV, cut off in its header, compressed, without any audio.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = WavFormat(0, 1, 2, False)
        self._left = 0
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def rate(self) -> int:
        """Hz; known once it is open."""
        return self.format.rate

    def open(self) -> None:
        with self._lock:
            try:
                file = self.path.open("rb")
            except OSError as error:
                raise file_trouble(self.path, error, "read") from error
            except ValueError as error:  # a NUL in the name
                raise refuse(self.path, "this is not a file name") from error
            try:
                self.format, self._left = _header(self.path, file)
            except BaseException:
                file.close()
                raise
            if self._closed:
                file.close()
            else:
                self._file = file

    def read(self, samples: int) -> Floats:
        """At most so many samples, fewer at the end, none after it. A torn last sample is left out."""
        size = self.format.width * self.format.channels
        with self._lock:
            if self._file is None:
                return np.zeros(0, np.float32)
            want = min(samples * size, self._left)
            try:
                data = self._file.read(want)
            except OSError as error:
                raise file_trouble(self.path, error, "read") from error
            self._left = self._left - len(data) if len(data) == want else 0
        whole = len(data) // size * size
        return _mono(data[:whole], self.format)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
                self._file = None


def _header(path: Path, file: BinaryIO) -> tuple[WavFormat, int]:
    try:
        return _chunks(path, file)
    except struct.error as error:
        raise refuse(path, "the header of this WAV file is cut off", "the file is damaged; record it again") from error
    except OSError as error:
        raise file_trouble(path, error, "read") from error


def _chunks(path: Path, file: BinaryIO) -> tuple[WavFormat, int]:
    head = file.read(12)
    if not head:
        raise refuse(path, "this file is empty")
    if head[:4] != b"RIFF" or (len(head) == 12 and head[8:] != b"WAVE"):
        named = next((name for magic, name in _OTHERS.items() if head.startswith(magic)), "")
        what = f"this is {named} audio, not a WAV file" if named else "this is not a WAV file"
        raise refuse(path, what, f"convert it with: ffmpeg -i {path.name} -c:a pcm_s16le {path.stem}.wav")
    if len(head) < 12:
        raise struct.error
    end = file.seek(0, 2)
    file.seek(12)
    known: WavFormat | None = None
    while True:
        chunk = file.read(8)
        if not chunk and known is not None:
            raise refuse(path, "this WAV file holds no audio (it has no data chunk)")
        name, size = struct.unpack("<4sI", chunk)
        if name == b"fmt ":
            known = _format(path, file.read(size))
            file.seek(size & 1, 1)
        elif name == b"data":
            if known is None:
                raise refuse(path, "this WAV file tells no format before its audio", "the file is damaged")
            there = end - file.tell()
            left = there if size in _UNKNOWN or size > there else size
            if left < known.width * known.channels:
                raise refuse(path, "this WAV file holds no audio")
            return known, left
        else:
            # Chunks are padded to an even length; one that claims to go past the end leads to the torn header.
            file.seek(size + (size & 1), 1)


def _format(path: Path, body: bytes) -> WavFormat:
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE:
        (tag,) = struct.unpack_from("<H", body, 24)
    if tag not in (_PCM, _FLOAT):
        name = _COMPRESSED.get(tag, f"format 0x{tag:04x}")
        help = f"convert it with: ffmpeg -i {path.name} -c:a pcm_s16le {path.stem}_pcm.wav"
        raise refuse(path, f"this WAV file holds {name} audio, and only PCM and float are read", help)
    width = (bits + 7) // 8
    if width not in ((4, 8) if tag == _FLOAT else (1, 2, 3, 4)):
        kind = "float" if tag == _FLOAT else "PCM"
        raise refuse(path, f"this WAV file has {bits}-bit {kind} samples, which are not read")
    if not 1 <= channels <= _MOST_CHANNELS or not _LOWEST <= rate <= _HIGHEST:
        raise refuse(path, f"this WAV file claims {channels} channels at {rate} Hz", "the file is damaged")
    return WavFormat(rate, channels, width, tag == _FLOAT)


def _mono(data: bytes, form: WavFormat) -> Floats:
    if form.floats:
        samples = np.nan_to_num(np.frombuffer(data, f"<f{form.width}").astype(np.float32))
    elif form.width == 1:  # 8-bit WAV alone is unsigned
        samples = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
    elif form.width == 3:
        low = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(low), 4), np.uint8)
        wide[:, 1:] = low
        samples = wide.view("<i4").reshape(-1).astype(np.float32) / np.float32(2**31)
    else:
        samples = np.frombuffer(data, f"<i{form.width}").astype(np.float32) / np.float32(2 ** (8 * form.width - 1))
    if form.channels > 1:
        samples = samples.reshape(-1, form.channels).mean(axis=1, dtype=np.float32)
    return np.clip(samples, -1.0, 1.0)
