"""Session descriptions of the LiveKit server: reading a peer's, and writing its own (RFC 8829, RFC 8839, RFC 8843).

Everything of one peer connection goes over one transport (BUNDLE). Audio is Opus and video is VP8, without
retransmission or simulcast: a server on this machine loses no packets.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpParameters,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities
from aiortc.sdp import GroupDescription, MediaDescription, SessionDescription, SsrcDescription

from echostack.providers.livekit.ice import IceAgent

LARGEST_MESSAGE: Final = 64_000
"""Bytes of one message on a data channel, as LiveKit's own servers say it."""

_CODECS: Final = {"audio": "audio/opus", "video": "video/vp8"}
_PAYLOAD_TYPES: Final = {"audio": 111, "video": 96}  # where the server offers: what libwebrtc itself uses
_PROFILE: Final = "UDP/TLS/RTP/SAVPF"
_SCTP_PORT: Final = 5000
_LONGEST: Final = 256 * 1024  # characters of a description; one of a hundred sections takes 150,000
_LINES: Final = 256  # media sections


@dataclass(slots=True)
class Section:
    """One media section: what the peer said of it, or what is to be said."""

    mid: str
    kind: str  # audio, video, application
    direction: str = "inactive"  # as the one who says it sees it
    payload_type: int = 0
    stream: str = ""
    track: str = ""
    ssrcs: tuple[int, ...] = ()
    cname: str = ""
    dtx: bool = False
    stereo: bool = False


@dataclass(slots=True)
class Description:
    """What is needed of a peer's description."""

    sections: list[Section]
    ufrag: str
    fingerprints: list[RTCDtlsFingerprint]
    sctp_port: int = _SCTP_PORT
    largest_message: int = LARGEST_MESSAGE
    session: SessionDescription = field(default_factory=SessionDescription, repr=False)


def read(text: str) -> Description:
    """Read a description. ValueError that says what is wrong with it."""
    if len(text) > _LONGEST:
        raise ValueError(f"a session description has at most {_LONGEST} characters, this one {len(text)}")
    try:
        parsed = SessionDescription.parse(text)
    except (ValueError, AssertionError, StopIteration, KeyError, AttributeError, IndexError, TypeError) as error:
        raise ValueError("the session description cannot be read") from error
    if not parsed.media or len(parsed.media) > _LINES:
        raise ValueError(f"a session description has 1 to {_LINES} media sections, this one {len(parsed.media)}")
    first = parsed.media[0]
    if first.ice is None or not first.ice.usernameFragment or first.dtls is None or not first.dtls.fingerprints:
        raise ValueError("the session description names no ICE credentials or no DTLS fingerprint")
    description = Description([], first.ice.usernameFragment, first.dtls.fingerprints, session=parsed)
    for media in parsed.media:
        if media.kind == "application":
            description.sctp_port = media.sctp_port or _SCTP_PORT
            if media.sctpCapabilities is not None:
                description.largest_message = media.sctpCapabilities.maxMessageSize
        stream, _, track = (media.msid or "").partition(" ")
        codec = _codec(media)
        description.sections.append(
            Section(
                mid=media.rtp.muxId,
                kind=media.kind,
                direction=media.direction or "sendrecv",
                payload_type=(codec.payloadType or 0) if codec is not None else 0,
                stream=stream,
                track=track,
                ssrcs=tuple(s.ssrc for s in media.ssrc),
            )
        )
    return description


def answer(offer: Description, sections: Iterable[Section], agent: IceAgent, dtls: RTCDtlsParameters, at: Place) -> str:
    """The answer to ``offer``: ``sections`` are ours, in the order of the offer's."""
    session = _session()
    group = GroupDescription(semantic="BUNDLE", items=[])
    for theirs, ours in zip(offer.session.media, sections, strict=True):
        media = MediaDescription(ours.kind, at.port, theirs.profile, list(theirs.fmt))
        codec = _codec(theirs)
        if ours.kind == "application":
            _describe_channels(media)
        else:
            if codec is None:  # nothing in common: the section is refused (RFC 3264, section 6)
                media.port, media.direction, media.rtp.muxId = 0, "inactive", ours.mid
                media.ice, media.rtp.codecs = RTCIceParameters(), list(theirs.rtp.codecs)
                session.media.append(media)
                continue
            extensions = [e for e in theirs.rtp.headerExtensions if e.uri in _EXTENSIONS]
            _describe_media(media, ours, codec, extensions)
        _describe_transport(media, ours.mid, agent, dtls, "server", at)
        group.items.append(ours.mid)
        session.media.append(media)
    session.group = [group]
    return str(session)


def offer(sections: Iterable[Section], agent: IceAgent, dtls: RTCDtlsParameters, at: Place) -> str:
    """An offer of ``sections``."""
    session = _session()
    group = GroupDescription(semantic="BUNDLE", items=[])
    for ours in sections:
        if ours.kind == "application":
            media = MediaDescription(ours.kind, at.port, "UDP/DTLS/SCTP", ["webrtc-datachannel"])
            _describe_channels(media)
        else:
            ours.payload_type = _PAYLOAD_TYPES[ours.kind]
            media = MediaDescription(ours.kind, at.port, _PROFILE, [ours.payload_type])
            _describe_media(media, ours, _offered(ours.kind), [])
        _describe_transport(media, ours.mid, agent, dtls, "auto", at)
        group.items.append(ours.mid)
        session.media.append(media)
    session.group = [group]
    return str(session)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server's one candidate is."""

    host: str
    port: int


_EXTENSIONS: Final = frozenset(("urn:ietf:params:rtp-hdrext:ssrc-audio-level",))


def _session() -> SessionDescription:
    session = SessionDescription()
    session.origin = f"- {secrets.randbits(62)} 2 IN IP4 127.0.0.1"
    session.msid_semantic = [GroupDescription(semantic="WMS", items=["*"])]
    return session


def _codec(media: MediaDescription) -> RTCRtpCodecParameters | None:
    wanted = _CODECS.get(media.kind)
    return next((c for c in media.rtp.codecs if c.mimeType.lower() == wanted), None)


def _offered(kind: str) -> RTCRtpCodecParameters:
    if kind == "audio":
        return RTCRtpCodecParameters("audio/opus", 48_000, 2, _PAYLOAD_TYPES[kind])
    return RTCRtpCodecParameters("video/VP8", 90_000, None, _PAYLOAD_TYPES[kind])


def _describe_channels(media: MediaDescription) -> None:
    media.sctp_port = _SCTP_PORT
    media.sctpCapabilities = RTCSctpCapabilities(maxMessageSize=LARGEST_MESSAGE)


def _describe_media(
    media: MediaDescription,
    ours: Section,
    codec: RTCRtpCodecParameters,
    extensions: list[RTCRtpHeaderExtensionParameters],
) -> None:
    ours.payload_type = codec.payloadType or 0
    settled = RTCRtpCodecParameters(codec.mimeType, codec.clockRate, codec.channels, codec.payloadType)
    if ours.kind == "audio":
        settled.parameters = {"minptime": 10, "useinbandfec": 1}
        if ours.dtx:
            settled.parameters["usedtx"] = 1
        if ours.stereo:
            settled.parameters["stereo"] = 1
    else:
        settled.rtcpFeedback = [RTCRtcpFeedback("nack", "pli"), RTCRtcpFeedback("ccm", "fir")]
    media.fmt = [ours.payload_type]
    media.rtp = RTCRtpParameters(codecs=[settled], headerExtensions=extensions)
    media.direction = ours.direction
    media.rtcp_host, media.rtcp_port, media.rtcp_mux = "0.0.0.0", 9, True
    if ours.direction == "sendonly":
        media.msid = f"{ours.stream} {ours.track}"
        media.ssrc = [SsrcDescription(ssrc=s, cname=ours.cname) for s in ours.ssrcs]


def _describe_transport(
    media: MediaDescription, mid: str, agent: IceAgent, dtls: RTCDtlsParameters, role: str, at: Place
) -> None:
    media.host = at.host
    media.rtp.muxId = mid
    media.ice = RTCIceParameters(usernameFragment=agent.ufrag, password=agent.password, iceLite=True)
    media.ice_candidates = [
        RTCIceCandidate(
            component=1, foundation="1", ip=at.host, port=at.port, priority=2_130_706_431, protocol="udp", type="host"
        )
    ]
    media.ice_candidates_complete = True
    media.dtls = RTCDtlsParameters(fingerprints=dtls.fingerprints[:1], role=role)
