"""The head of a recording's WAV files: 44 bytes, 16-bit PCM, as Microsoft's RIFF description has it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD = 44
_FORM = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MOST = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class WaveFormat:
    """rate: sample frames a second, in Hz. size: bytes of one sample frame."""

    rate: int
    channels: int

    @property
    def size(self) -> int:
        return 2 * self.channels


def head(form: WaveFormat, size: int) -> bytes:
    """The head of a file of ``size`` bytes of audio; one of more than 4 GB, which no head can tell, tells the most."""
    return _FORM.pack(
        b"RIFF", min(_MOST, HEAD - 8 + size), b"WAVE", b"fmt ", 16, 1, form.channels, form.rate, form.rate * form.size,
        form.size, 16, b"data", min(_MOST, size),
    )  # fmt: skip


def read_head(data: bytes) -> WaveFormat | None:
    """The format that a file's first bytes tell; None when they are not such a head. Its lengths are not looked at:
    they lag behind the file while it grows, and after a crash."""
    if len(data) < HEAD:
        return None
    riff, _, wave, form, size, tag, channels, rate, _, _, bits, name, _ = _FORM.unpack_from(data)
    known = (riff, wave, form, size, tag, bits, name) == (b"RIFF", b"WAVE", b"fmt ", 16, 1, 16, b"data")
    return WaveFormat(rate, channels) if known and rate and channels else None
