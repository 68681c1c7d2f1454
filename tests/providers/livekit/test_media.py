"""Packets of the local LiveKit server: what a subscriber gets of one, what is heard of it, and what is none."""

from __future__ import annotations

import struct
from typing import Any

import av
import numpy as np
import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from echostack.core.clock import LoopClock
from echostack.providers.livekit import sdp as sdp
from echostack.providers.livekit.hearing import GAP, RATE, Hearing, Recording
from echostack.providers.livekit.ice import IceAgent, MediaSocket
from echostack.providers.livekit.media import Outlet, Publication, each_feedback
from echostack.simulation.loop import run_virtual

PT = 111


class Line:
    """A subscriber's connection that keeps what is sent."""

    def __init__(self) -> None:
        self.ready = True
        self.sent: list[bytes] = []
        self.reports: list[bytes] = []

    def send_media(self, packet: bytes) -> None:
        self.sent.append(packet)

    def send_feedback(self, packet: bytes) -> None:
        self.reports.append(packet)


def published(line: Any = None) -> tuple[Publication, Outlet, Line]:
    line = line or Line()
    publication = Publication("cid", models.TrackInfo(sid="TR_1", type=models.TrackType.AUDIO), None)
    publication.payload_type = PT
    outlet = Outlet(publication, line, "PA_1")
    outlet.payload_type = 63
    publication.outlets["PA_2"] = outlet
    return publication, outlet, line


def packet(
    sequence: int, payload: bytes = b"opus", *, timestamp: int = 0, marker: bool = False, extension: bytes = b"",
    sources: int = 0, payload_type: int = PT, padding: int = 0,
) -> bytes:  # fmt: skip
    first = 0x80 | (0x10 if extension else 0) | sources | (0x20 if padding else 0)
    head = struct.pack("!BBHII", first, (0x80 if marker else 0) | payload_type, sequence & 0xFFFF, timestamp, 7)
    head += b"\x00\x00\x00\x01" * sources
    if extension:
        head += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    return head + payload + (bytes(padding - 1) + bytes((padding,)) if padding else b"")


@given(
    payload=st.binary(min_size=1, max_size=200),
    sequence=st.integers(0, 65_535),
    timestamp=st.integers(0, 2**32 - 1),
    marker=st.booleans(),
    words=st.integers(0, 4),
    sources=st.integers(0, 15),
)
def test_a_packet_goes_on_as_it_came(
    payload: bytes, sequence: int, timestamp: int, marker: bool, words: int, sources: int
) -> None:
    publication, outlet, line = published()
    extension = b"\x10\xff\x00\x00" * words
    came = packet(sequence, payload, timestamp=timestamp, marker=marker, extension=extension, sources=sources)
    publication.media(came)
    expected = struct.pack("!BBHII", 0x80, (0x80 if marker else 0) | 63, sequence, timestamp, outlet.ssrc)
    assert line.sent == [expected + payload]


@given(
    flags=st.lists(st.booleans(), min_size=1, max_size=60),
    start=st.integers(0, 65_535),
)
def test_what_was_held_back_leaves_no_gap(flags: list[bool], start: int) -> None:
    publication, outlet, line = published()
    for n, enabled in enumerate(flags):
        outlet.enabled = enabled
        publication.media(packet(start + n))
    sequences = [struct.unpack_from("!H", p, 2)[0] for p in line.sent]
    assert len(sequences) == sum(flags)
    first = sequences[0] if sequences else 0
    assert sequences == [(first + n) & 0xFFFF for n in range(len(sequences))]


def test_a_loss_before_it_stays_one() -> None:
    publication, _, line = published()
    for sequence in (10, 11, 13, 12, 14):
        publication.media(packet(sequence))
    assert [struct.unpack_from("!H", p, 2)[0] for p in line.sent] == [10, 11, 13, 12, 14]


def test_other_payload_types_and_what_the_server_mutes_do_not_go_on() -> None:
    publication, _, line = published()
    publication.media(packet(1, payload_type=13))
    publication.held = True
    publication.media(packet(2))
    assert not line.sent


@given(st.binary(min_size=12, max_size=80))
def test_no_packet_breaks_it(data: bytes) -> None:
    publication, _, _ = published()
    publication.media(bytes((0x80 | data[0], (data[1] & 0x80) | PT)) + data[2:])
    each_feedback(data, lambda ssrc, one: None, lambda ssrc, one: None)


def test_a_compound_report_is_taken_apart() -> None:
    report = struct.pack("!BBHI", 0x81, 200, 12, 7) + bytes(20) + bytes(24)
    description = struct.pack("!BBHI", 0x81, 202, 2, 7) + bytes(4)
    picture = struct.pack("!BBHII", 0x81, 206, 2, 9, 5)
    reports: list[tuple[int, bytes]] = []
    pictures: list[int] = []
    each_feedback(report + description + picture, lambda s, p: reports.append((s, p)), lambda s, p: pictures.append(s))
    assert reports == [(7, struct.pack("!BBHI", 0x80, 200, 6, 7) + bytes(20))]
    assert pictures == [5]
    publication, outlet, line = published()
    publication.report(reports[0][1])
    assert line.reports == [struct.pack("!BBHI", 0x80, 200, 6, outlet.ssrc) + bytes(20)]


def opus(pcm: np.ndarray[Any, Any]) -> list[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.format, encoder.layout, encoder.sample_rate = "s16", "mono", RATE
    packets = []
    for at in range(0, len(pcm), 960):
        frame = av.AudioFrame.from_ndarray(pcm[None, at : at + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, at
        packets += [bytes(p) for p in encoder.encode(frame)]
    return packets


def test_a_sound_is_heard_from_its_first_to_its_last_sample() -> None:
    seconds = np.arange(RATE) / RATE
    pcm = (8_000 * np.sin(2 * np.pi * 300 * seconds) * ((seconds >= 0.3) & (seconds < 0.705))).astype(np.int16)
    told: list[tuple[bool, float, float]] = []
    recording = Recording()

    async def main() -> None:
        clock = LoopClock()
        hearing = Hearing(clock, lambda voiced, at, level: told.append((voiced, at, clock.now())))
        hearing.recordings.append(recording)
        for n, one in enumerate(opus(pcm)):
            hearing.packet(one, 960 * n)
            await clock.sleep(0.02)
        hearing.packet(b"", 0)
        hearing.close()

    run_virtual(main())
    # Packet n arrives at 20·n ms and ends then; the encoder looks 6.5 ms ahead, so all is that much late; an
    # abrupt end is smeared by up to 10 ms more.
    late = 0.0065 - 0.02
    assert [(v, round(at - late, 3)) for v, at, _ in told] == [
        (True, pytest.approx(0.3, abs=0.003)),
        (False, pytest.approx(0.710, abs=0.006)),
    ]
    assert told[1][2] - told[1][1] == pytest.approx(GAP, abs=0.02)
    assert recording.last_audible() == pytest.approx(told[1][1])
    heard, rate = recording.pcm()
    assert rate == RATE
    assert int(np.abs(heard).max()) > 7_000


def test_a_track_that_ends_while_it_is_heard_is_silent_then() -> None:
    told: list[bool] = []

    async def main() -> None:
        hearing = Hearing(LoopClock(), lambda voiced, at, level: told.append(voiced))
        for one in opus((8_000 * np.sin(np.arange(9_600) / 20)).astype(np.int16)):
            hearing.packet(one, 0)
        assert hearing.level > 0.1
        hearing.close()
        assert hearing.level == 0

    run_virtual(main())
    assert told == [True, False]


@given(st.binary(max_size=60))
def test_nothing_that_is_no_opus_breaks_the_hearing(payload: bytes) -> None:
    async def main() -> None:
        hearing = Hearing(LoopClock(), lambda voiced, at, level: None)
        hearing.packet(payload, 0)
        hearing.close()

    run_virtual(main())


@given(st.text(max_size=300))
def test_no_description_breaks_it(text: str) -> None:
    for whole in (text, "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" + text):
        with pytest.raises(ValueError, match="session description"):
            sdp.read(whole)


def test_a_description_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 262144 characters, this one 262145"):
        sdp.read("v" * 262_145)


class Path:
    def __init__(self) -> None:
        self.got: list[bytes] = []

    def received(self, data: bytes) -> None:
        self.got.append(data)


class Wire(MediaSocket):
    """A socket that keeps what it would send."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.sent: list[tuple[bytes, tuple[str, int]]] = []

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        self.sent.append((data, address))


def check(agent: IceAgent, password: str | None = None, *, use: bool = False) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{agent.ufrag}:theirs"
    if use:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity((password or agent.password).encode())
    return bytes(message)


def test_checks_are_answered_and_tell_where_a_peer_is() -> None:
    wire, path = Wire(), Path()
    agent = IceAgent(wire, path)
    here, there = ("127.0.0.1", 1), ("127.0.0.1", 2)
    wire.datagram_received(b"\x16early", here)
    wire.datagram_received(check(agent, "wrong"), here)
    assert (wire.sent, path.got, wire.strangers) == ([], [], 2)
    wire.datagram_received(check(agent), here)
    answer = stun.parse_message(wire.sent[0][0])
    assert answer.message_class == stun.Class.RESPONSE
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == here
    assert answer.check_message_integrity(agent.password.encode())
    wire.datagram_received(b"\x16one", here)
    wire.datagram_received(check(agent), there)
    agent.send(b"x")
    wire.datagram_received(check(agent, use=True), there)
    agent.send(b"y")
    assert [(d, a) for d, a in wire.sent if len(d) == 1] == [(b"x", here), (b"y", there)]
    assert path.got == [b"\x16one"]
    agent.close()
    wire.datagram_received(b"\x16late", there)
    assert (path.got, wire.strangers) == ([b"\x16one"], 3)


def test_a_restart_takes_the_new_credentials_and_for_a_while_the_old() -> None:
    wire, path = Wire(), Path()
    agent = IceAgent(wire, path)
    old = check(agent)
    agent.restart()
    wire.datagram_received(old, ("127.0.0.1", 1))
    wire.datagram_received(check(agent), ("127.0.0.1", 2))
    assert len(wire.sent) == 2
    for _ in range(4):
        agent.restart()
    wire.datagram_received(old, ("127.0.0.1", 1))
    assert len(wire.sent) == 2


def test_in_the_dark_only_a_restart_helps() -> None:
    wire, path = Wire(), Path()
    agent = IceAgent(wire, path)
    address = ("127.0.0.1", 1)
    old = check(agent)
    wire.datagram_received(old, address)
    agent.darken()
    wire.datagram_received(old, address)
    wire.datagram_received(b"\x16x", address)
    agent.send(b"x")
    assert (len(wire.sent), path.got) == (1, [])
    agent.restart()
    wire.datagram_received(old, address)
    assert len(wire.sent) == 1
    wire.datagram_received(check(agent), address)
    agent.send(b"x")
    assert len(wire.sent) == 3


@given(st.binary(max_size=80))
def test_no_datagram_breaks_it(data: bytes) -> None:
    wire = Wire()
    IceAgent(wire, Path())
    wire.datagram_received(data, ("127.0.0.1", 1))
    wire.datagram_received(b"\x00\x01" + data, ("127.0.0.1", 1))
    assert not wire.sent
