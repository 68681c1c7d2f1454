"""What the LiveKit server hears on an audio track: when it can be heard and when not, and recordings for tests.

Each Opus packet is decoded once, after it has been sent on. The last sample of a packet is taken to have left the
publisher when the packet arrived, the samples before it earlier by their distance. An instant is exact to some 10 ms:
the encoder looks 6.5 ms ahead and smears an abrupt end by up to 10 ms, and SDKs hand it 10 ms at a time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from echostack.core.clock import Clock

RATE: Final = 48_000
"""Hz. What Opus decodes to, and what every recording has."""

AUDIBLE: Final = 100
"""A sample at or past this (of 32,768; -50 dBFS) can be heard. An Opus decoder's noise on silence stays under 10."""

GAP: Final = 0.2
"""Seconds without an audible sample after which a track is silent; pauses inside words are shorter."""

_KEPT: Final = 30_000  # packets of one recording: ten minutes

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Piece:
    """Decoded samples. ``time`` is when the last of them left the publisher, on the server's clock; mono, 48 kHz."""

    time: float
    timestamp: int
    pcm: Pcm


class Recording:
    """What was heard of one participant since `LiveKitServer.listen`, at most the last ten minutes.

    ``closed`` while it is not in the room. Of tracks that it publishes at once the packets are mixed up, not the sound.
    """

    def __init__(self) -> None:
        self.pieces: deque[Piece] = deque(maxlen=_KEPT)
        self.dropped = 0
        self.closed = True

    def add(self, piece: Piece) -> None:
        if len(self.pieces) == _KEPT:
            self.dropped += 1
        self.pieces.append(piece)

    @property
    def start(self) -> float:
        """When the first sample left the publisher. ValueError where nothing was heard yet."""
        if not self.pieces:
            raise ValueError("nothing was heard yet")
        first = self.pieces[0]
        return first.time - len(first.pcm) / RATE

    def pcm(self) -> tuple[Pcm, int]:
        """Everything that was heard, with the rate in Hz. Where packets were missing there is silence."""
        if not self.pieces:
            return np.zeros(0, np.int16), RATE
        start = self.start
        placed: list[tuple[int, Pcm]] = []
        end = 0
        for piece in self.pieces:
            # Pieces follow one another without a seam unless more than a packet's length is missing between them.
            at = round((piece.time - start) * RATE) - len(piece.pcm)
            at = end if abs(at - end) < RATE // 10 or at < end else at
            placed.append((at, piece.pcm))
            end = at + len(piece.pcm)
        whole = np.zeros(end, np.int16)
        for at, pcm in placed:
            whole[at : at + len(pcm)] = pcm
        return whole, RATE

    def last_audible(self) -> float | None:
        """When the last audible sample so far left the publisher."""
        for piece in reversed(self.pieces):
            if max(int(piece.pcm.max()), -int(piece.pcm.min())) >= AUDIBLE:
                return piece.time - (len(piece.pcm) - 1 - _audible(piece.pcm)[1]) / RATE
        return None


class Hearing:
    """Listens to one track. ``tell(voiced, at, level)`` is called when it becomes audible or silent.

    ``at`` is the instant of the first or of the last audible sample; silence is told `GAP` seconds after it.
    ``level`` is the loudest RMS of a packet since it became audible, 0 to 1.
    """

    def __init__(self, clock: Clock, tell: Callable[[bool, float, float], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._decoder: AudioCodecContext | None = None
        self._cancel: Callable[[], None] | None = None
        self._last = 0.0
        self._level = 0.0
        self.voiced = False
        self.malformed = 0
        self.recordings: list[Recording] = []

    @property
    def level(self) -> float:
        return self._level if self.voiced else 0.0

    def packet(self, payload: bytes, timestamp: int) -> None:
        """One Opus packet (RFC 7587), now."""
        now = self._clock.now()
        pcm = self._decode(payload)
        if pcm is None or not len(pcm):
            return
        if self.recordings:
            piece = Piece(now, timestamp, pcm)
            for recording in self.recordings:
                recording.add(piece)
        if max(int(pcm.max()), -int(pcm.min())) < AUDIBLE:
            return
        first, last = _audible(pcm)
        self._last = now - (len(pcm) - 1 - last) / RATE
        floats = pcm.astype(np.float32)
        self._level = max(self._level, math.sqrt(float(floats @ floats) / len(pcm)) / 32_768)
        if not self.voiced:
            self.voiced = True
            self._tell(True, now - (len(pcm) - 1 - first) / RATE, self._level)
            self._wait(GAP)

    def close(self) -> None:
        """The track has ended: what was audible is silent now."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        if self.voiced:
            self._silent()
        self.recordings.clear()

    def _decode(self, payload: bytes) -> Pcm | None:
        if not payload:
            return None
        if self._decoder is None:
            decoder = av.CodecContext.create("libopus", "r")
            assert isinstance(decoder, AudioCodecContext)
            decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", RATE
            self._decoder = decoder
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError:
            self.malformed += 1
            return None
        if not frames:
            return None
        return np.concatenate([f.to_ndarray().reshape(-1) for f in frames])

    def _wait(self, seconds: float) -> None:
        self._cancel = self._clock.call_later(seconds, self._look).cancel

    def _look(self) -> None:
        quiet = self._clock.now() - self._last
        if quiet >= GAP:
            self._cancel = None
            self._silent()
        else:
            self._wait(GAP - quiet)

    def _silent(self) -> None:
        self.voiced = False
        level, self._level = self._level, 0.0
        self._tell(False, self._last, level)


def _audible(pcm: Pcm) -> tuple[int, int]:
    """The places of the first and the last audible sample; there must be one."""
    loud = (pcm >= AUDIBLE) | (pcm <= -AUDIBLE)
    return int(loud.argmax()), len(pcm) - 1 - int(loud[::-1].argmax())
