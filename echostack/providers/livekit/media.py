"""Tracks of the LiveKit server: RTP packets go from the one who publishes to those who subscribe, never decoded.

A packet is sent on in the call that received it, with its own timestamp, so what a subscriber measures is what the
publisher did. Only the header is written anew (RFC 3550, section 5.1): the subscriber's SSRC and payload type, a
sequence without gaps where packets were held back, no header extensions.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from typing import Final

from livekit.protocol import models

from echostack.providers.livekit.hearing import Hearing
from echostack.providers.livekit.sdp import Section
from echostack.providers.livekit.transport import Transport

_HEADER: Final = struct.Struct("!BBHII")
_SENDER_REPORT: Final = 200
_PAYLOAD_FEEDBACK: Final = 206


class Outlet:
    """One subscription: the packets of one publication, rewritten for one subscriber."""

    def __init__(self, publication: Publication, transport: Transport, cname: str) -> None:
        self.publication = publication
        self.transport = transport
        self.cname = cname
        self.ssrc = secrets.randbelow(2**31) + 1
        self.mid: str | None = None  # the section it goes by, once one is given to it
        self.payload_type: int | None = None  # known when the description that names it was sent
        self.enabled = True  # the subscriber may pause it
        self.sent = 0
        self._shift = 0
        self._last: int | None = None
        self._skipped = False

    @property
    def kind(self) -> str:
        return "audio" if self.publication.info.type == models.TrackType.AUDIO else "video"

    def section(self, mid: str) -> Section:
        """What to say of it in a description. The name of the stream is how LiveKit's SDKs know whose it is."""
        track = self.publication.info.sid
        section = Section(mid, self.kind, "sendonly", stream=f"{self.cname}|{track}", track=track)
        section.ssrcs, section.cname, section.stereo = (self.ssrc,), self.cname, self.publication.info.stereo
        return section

    def packet(self, first: int, marker: int, sequence: int, timestamp: int, payload: bytes) -> None:
        """Send one packet on, if the subscriber is ready for it."""
        if self.payload_type is None or not self.enabled or not self.transport.ready:
            self._skipped = True
            return
        if self._last is None:
            self._shift = 0
        elif self._skipped:  # what was held back leaves no gap, which would be taken for loss
            self._shift = (self._last + 1 - sequence) & 0xFFFF
        self._skipped = False
        self._last = (sequence + self._shift) & 0xFFFF
        head = _HEADER.pack(first, marker | self.payload_type, self._last, timestamp, self.ssrc)
        self.transport.send_media(head + payload)
        self.sent += 1

    def report(self, packet: bytes) -> None:
        """Send the publisher's sender report on, so that the subscriber can relate its clock."""
        if self.payload_type is not None and self.transport.ready:
            self.transport.send_feedback(packet[:4] + struct.pack("!I", self.ssrc) + packet[8:])


class Publication:
    """One published track and where it goes. ``ssrcs`` and ``payload_type`` are the publisher's, from its offer."""

    def __init__(self, cid: str, info: models.TrackInfo, hearing: Hearing | None) -> None:
        self.cid = cid
        self.info = info
        self.hearing = hearing  # for audio
        self.mid: str | None = None
        self.payload_type = -1
        self.ssrcs: tuple[int, ...] = ()
        self.outlets: dict[str, Outlet] = {}  # by the subscriber's sid
        self.packets = 0
        self.held = False  # muted by the server: nothing goes on

    @property
    def live(self) -> bool:
        """Negotiated: it is part of what the participant publishes."""
        return self.mid is not None

    def media(self, packet: bytes) -> None:
        """One RTP packet of the publisher."""
        first, second, sequence, timestamp, _ = _HEADER.unpack_from(packet)
        if second & 0x7F != self.payload_type:
            return
        start = 12 + 4 * (first & 0x0F)
        if first & 0x10:
            if len(packet) < start + 4:
                return
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
        if len(packet) < start:
            return
        payload = packet[start:]
        self.packets += 1
        if not self.held:
            for outlet in self.outlets.values():
                outlet.packet(0x80 | (first & 0x20), second & 0x80, sequence, timestamp, payload)
        # After it has gone on: what listening costs is not part of the way.
        if self.hearing is not None:
            self.hearing.packet(_unpadded(first, payload), timestamp)

    def report(self, packet: bytes) -> None:
        for outlet in self.outlets.values():
            outlet.report(packet)

    def close(self) -> None:
        """It is published no longer."""
        self.outlets.clear()
        if self.hearing is not None:
            self.hearing.close()


def ssrc_of(packet: bytes) -> int:
    """The SSRC of an RTP packet."""
    return int.from_bytes(packet[8:12], "big")


def each_feedback(packet: bytes, report: Callable[[int, bytes], None], keyframe: Callable[[int, bytes], None]) -> None:
    """Take a compound RTCP packet apart (RFC 3550, section 6.1).

    report: gets each sender report, as a packet alone without report blocks, with its SSRC.
    keyframe: gets each payload-specific feedback message with the SSRC of the media that it is about.
    """
    at = 0
    while at + 4 <= len(packet):
        size = 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
        one = packet[at : at + size]
        if len(one) < size:
            return
        if one[1] == _SENDER_REPORT and size >= 28:
            alone = bytes((one[0] & 0xE0, one[1], 0, 6)) + one[4:28]
            report(int.from_bytes(one[4:8], "big"), alone)
        elif one[1] == _PAYLOAD_FEEDBACK and size >= 12:
            keyframe(int.from_bytes(one[8:12], "big"), one)
        at += size


def _unpadded(first: int, payload: bytes) -> bytes:
    return payload[: -payload[-1]] if first & 0x20 and payload and payload[-1] <= len(payload) else payload
