"""One WebRTC connection of the LiveKit server: ICE, DTLS, SRTP and the data channels, over the server's one socket.

Of aiortc it uses the DTLS handshake, the SRTP keys and the SCTP association. RTP packets do not pass through aiortc's
receivers and senders, which would decode and encode them: they are handed on as they came, in the very call that the
socket makes, so nothing is queued between one participant and another.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol, cast

import pylibsrtp
from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpTransport
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities

from echostack.providers.livekit.ice import IceAgent, MediaSocket
from echostack.providers.livekit.sdp import Description, Place

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
CHANNELS: Final = {
    RELIABLE: RTCDataChannelParameters(label=RELIABLE, ordered=True),
    LOSSY: RTCDataChannelParameters(label=LOSSY, ordered=False, maxRetransmits=0),
}
_RECORDS: Final = 1_024  # DTLS records that wait for the association; more than a window of SCTP
_UNSENT: Final = 4 * 2**20  # bytes that one peer may be behind on one channel


class Ends(Protocol):
    """What a connection tells its participant."""

    def connected(self) -> None:
        """DTLS stands: media can flow."""

    def opened(self) -> None:
        """Our data channels stand open."""

    def lost(self, why: str) -> None:
        """The connection will not come back: the handshake failed, or the peer closed it."""

    def media(self, packet: bytes) -> None:
        """An RTP packet of the peer, in clear."""

    def feedback(self, packet: bytes) -> None:
        """A compound RTCP packet of the peer, in clear."""

    def message(self, label: str, message: bytes) -> None:
        """A message of the peer's on one of its data channels."""


class Transport:
    """One peer connection, from its first description until `close`. ``dropped`` counts what could not be sent."""

    def __init__(self, ports: MediaSocket, certificate: RTCCertificate, ends: Ends) -> None:
        self._ends = ends
        self._records: asyncio.Queue[bytes | None] = asyncio.Queue(_RECORDS)
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._theirs = ""  # the peer's ICE user name: another one is an ICE restart
        self._channels: dict[str, RTCDataChannel] = {}
        self.dropped = 0
        self.place = Place(ports.host, ports.port)
        self.agent = IceAgent(ports, self)
        self._dtls = _Dtls(cast(RTCIceTransport, self), [certificate])
        self._dtls.on("statechange", self._changed)
        self._sctp = RTCSctpTransport(self._dtls)
        self._sctp.on("datachannel", self._announced)

    # What aiortc's DTLS asks of an ICE transport.
    role = "controlled"
    state = "completed"

    async def _recv(self) -> bytes:
        record = await self._records.get()
        if record is None:
            raise ConnectionError("the connection is closed")
        return record

    async def _send(self, data: bytes) -> None:
        self.agent.send(data)

    @property
    def dtls(self) -> RTCDtlsParameters:
        """Our own fingerprint."""
        return RTCDtlsParameters(fingerprints=self._dtls.getLocalParameters().fingerprints[:1])

    @property
    def ready(self) -> bool:
        return self._dtls.state == "connected"

    def describe(self, theirs: Description) -> bool:
        """Take the peer's description: begin the handshake with the first, restart ICE where its user name is new.

        True where it is a restart.
        """
        restart = bool(self._theirs) and self._theirs != theirs.ufrag
        self._theirs = theirs.ufrag
        if restart:
            self.agent.restart()
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._connect(theirs))
        return restart

    def received(self, data: bytes) -> None:
        """One datagram that is not STUN, told apart by its first byte (RFC 7983)."""
        if 127 < data[0] < 192:
            clear = self._dtls.unprotect(data)
            if clear is None:
                self.dropped += 1
            elif 192 <= clear[1] <= 223:  # RFC 5761, section 4
                self._ends.feedback(clear)
            else:
                self._ends.media(clear)
        elif 19 < data[0] < 64:
            try:
                self._records.put_nowait(data)
            except asyncio.QueueFull:  # a datagram like any other that the network lost: SCTP sends it again
                self.dropped += 1

    def send_media(self, packet: bytes) -> None:
        """Protect and send one RTP packet; lost while there is no connection."""
        protected = self._dtls.protect(packet)
        if protected is None:
            self.dropped += 1
        else:
            self.agent.send(protected)

    def send_feedback(self, packet: bytes) -> None:
        """Protect and send one compound RTCP packet."""
        protected = self._dtls.protect_feedback(packet)
        if protected is not None:
            self.agent.send(protected)

    def open(self, label: str) -> bool:
        """Whether the data channel of that label stands."""
        channel = self._channels.get(label)
        return channel is not None and channel.readyState == "open"

    def send_message(self, label: str, message: bytes) -> bool:
        """Send on the data channel of that label. False where there is none, or the peer is too far behind."""
        channel = self._channels.get(label)
        if channel is None or channel.readyState != "open" or channel.bufferedAmount + len(message) > _UNSENT:
            self.dropped += 1
            return False
        channel.send(message)
        return True

    async def close(self) -> None:
        """End the association, the handshake and every task. Idempotent."""
        if self._closed:
            return
        self._closed = True
        task, self._task = self._task, None
        pump = self._dtls.pump
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._sctp.stop()
        await self._dtls.stop()
        if pump is not None:
            await asyncio.wait([pump])
        self._dtls.remove_all_listeners()
        self.agent.close()

    async def _connect(self, theirs: Description) -> None:
        dtls = RTCDtlsParameters(fingerprints=theirs.fingerprints, role="client")
        await self._dtls.start(dtls)
        if self._dtls.state != "connected":
            self._ends.lost("the DTLS handshake failed")
            return
        self._ends.connected()
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=theirs.largest_message), theirs.sctp_port)
        for label, parameters in CHANNELS.items():
            channel = self._channels[label] = RTCDataChannel(self._sctp, parameters)
            channel.on("open", self._opened)

    def _opened(self) -> None:
        if all(self.open(label) for label in CHANNELS):
            self._ends.opened()

    def _changed(self) -> None:
        if self._dtls.state == "closed" and not self._closed:
            self._ends.lost("the peer closed its connection")

    def _announced(self, channel: RTCDataChannel) -> None:
        label = channel.label

        def take(message: Any) -> None:
            if isinstance(message, bytes):
                self._ends.message(label, message)

        channel.on("message", take)


class _Dtls(RTCDtlsTransport):
    """aiortc's DTLS as the server of the handshake, whose SRTP sessions are used directly."""

    def __init__(self, path: RTCIceTransport, certificates: list[RTCCertificate]) -> None:
        super().__init__(path, certificates)
        self._set_role("server")

    @property
    def pump(self) -> asyncio.Future[None] | None:
        return self._task

    def unprotect(self, data: bytes) -> bytes | None:
        if self._rx_srtp is None or len(data) < 12:
            return None
        try:
            if 192 <= data[1] <= 223:
                return bytes(self._rx_srtp.unprotect_rtcp(data))
            return bytes(self._rx_srtp.unprotect(data))
        except pylibsrtp.Error:  # replayed, of another key, or cut short: as good as lost, and counted as that
            return None

    def protect(self, packet: bytes) -> bytes | None:
        return bytes(self._tx_srtp.protect(packet)) if self._tx_srtp is not None else None

    def protect_feedback(self, packet: bytes) -> bytes | None:
        return bytes(self._tx_srtp.protect_rtcp(packet)) if self._tx_srtp is not None else None
