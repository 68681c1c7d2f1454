"""What goes wrong on the local LiveKit server when it is told to, and how the real SDK lives through it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import aiohttp
import pytest
from livekit import rtc
from livekit.protocol import rtc as proto

from echostack.providers.faults import Fault, FaultKind
from echostack.providers.livekit.server import LiveKitServer
from tests.providers.livekit.guests import Guest, guests, token, tone

BOTH = pytest.mark.parametrize("single", [True, False], ids=["one connection", "two connections"])


@pytest.fixture
async def server() -> AsyncIterator[LiveKitServer]:
    async with LiveKitServer(resume=5) as server:
        assert isinstance(server, LiveKitServer)
        yield server


async def test_a_refused_key_ends_the_join(server: LiveKitServer) -> None:
    server.faults.add(Fault(FaultKind.UNAUTHORISED))
    with pytest.raises(rtc.ConnectError) as refused:
        await Guest().join(server, "a")
    assert refused.value.message.endswith("client error: 401 Unauthorized - invalid API key")
    async with guests(server, "a"):
        assert [s.data["kind"] for s in server.seen.of("fault")] == ["unauthorised"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (FaultKind.RATE_LIMITED, "client error: 429 Too Many Requests - too many requests"),
        (FaultKind.UNAVAILABLE, "server error: 503 Service Unavailable - server is overloaded"),
    ],
)
async def test_the_sdk_tries_three_times_more_where_a_server_has_no_time(
    server: LiveKitServer, kind: FaultKind, message: str
) -> None:
    server.faults.add(Fault(kind, times=2))
    async with guests(server, "a"):
        assert len(server.seen.of("refused")) == 2
    server.faults.add(Fault(kind, times=0))
    with pytest.raises(rtc.ConnectError) as refused:
        await Guest().join(server, "b")
    assert refused.value.message.endswith(message)
    assert len(server.seen.of("refused")) == 6


async def test_a_join_is_slow(server: LiveKitServer) -> None:
    server.faults.add(Fault(FaultKind.SLOW, seconds=0.3))
    begun = server.clock.now()
    async with guests(server, "a"):
        assert server.clock.now() - begun >= 0.3


@BOTH
async def test_a_cut_websocket_is_resumed_and_nobody_notices(server: LiveKitServer, single: bool) -> None:
    async with guests(server, "a", "b", single=single) as (a, b):
        await a.publish()
        await b.until_told("subscribed", "a")
        await server.seen.until("subscribed")
        server.cut("room", "a")
        await server.seen.until("resumed")
        await a.until_told("reconnected", "", 10)
        _, heard = await asyncio.gather(a.say(tone(0.5)), b.hear("a", 0.5))
        assert heard > 4_000
        await a.room.local_participant.publish_data(b"still here")
        await b.until(lambda: b.data)
        assert ("went", "a") not in b.told
        assert server.seen.counts["ice restarted"] >= 1


@BOTH
async def test_lost_media_comes_back_by_an_ice_restart(server: LiveKitServer, single: bool) -> None:
    async with guests(server, "a", "b", single=single) as (a, b):
        await a.publish()
        await b.until_told("subscribed", "a")
        await server.seen.until("subscribed")
        server.cut("room", "b", media=True)
        await server.seen.until("resumed")
        await b.until_told("reconnected", "", 10)
        _, heard = await asyncio.gather(a.say(tone(0.5)), b.hear("a", 0.5))
        assert heard > 4_000


async def test_a_frame_is_cut_in_its_middle(server: LiveKitServer) -> None:
    server.faults.add(Fault(FaultKind.CUT, after=1))
    headers = {"Authorization": f"Bearer {token('a')}"}
    async with aiohttp.ClientSession(server.url) as client, client.ws_connect("/rtc", headers=headers) as socket:
        first = proto.SignalResponse.FromString(await socket.receive_bytes())
        assert first.WhichOneof("message") == "join"
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED
        assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    await server.seen.until("closed")
    assert server.participant("room", "a") is not None  # its place is kept


async def test_who_does_not_come_back_in_time_has_left() -> None:
    async with LiveKitServer(resume=0.2) as server:
        assert isinstance(server, LiveKitServer)
        headers = {"Authorization": f"Bearer {token('a')}"}
        async with aiohttp.ClientSession(server.url) as client:
            async with client.ws_connect("/rtc", headers=headers) as socket:
                await socket.receive_bytes()
            left = await server.seen.until("left")
            closed = server.seen.of("closed")[0]
            assert left.data["reason"] == "SIGNAL_CLOSE"
            assert left.time - closed.time == pytest.approx(0.2, abs=0.1)
            query = {"reconnect": "1", "sid": "PA_unknown"}
            async with client.ws_connect("/rtc", headers=headers, params=query) as socket:
                answer = proto.SignalResponse.FromString(await socket.receive_bytes())
                assert answer.leave.action == proto.LeaveRequest.RECONNECT
                assert answer.leave.reason == 6  # STATE_MISMATCH
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_one_whose_place_is_gone_joins_anew() -> None:
    async with LiveKitServer(resume=0) as server:
        assert isinstance(server, LiveKitServer)
        async with guests(server, "a", "b") as (a, b):
            await a.publish()
            await b.until_told("subscribed", "a")
            await server.seen.until("subscribed")
            server.cut("room", "a")
            await server.seen.until("left")
            await a.until_told("reconnected", "", 10)
            assert server.seen.counts["joined"] == 3
            b.told.clear()
            await server.seen.until("subscribed", 2)
            _, heard = await asyncio.gather(a.say(tone(0.5)), b.hear("a", 0.5))
            assert heard > 4_000


@BOTH
async def test_one_that_is_told_to_comes_again_from_the_start(server: LiveKitServer, single: bool) -> None:
    async with guests(server, "a", "b", single=single) as (a, b):
        await a.publish()
        await b.until_told("subscribed", "a")
        await server.seen.until("subscribed")
        b.told.clear()
        await server.reconnect("room", "a")
        await a.until_told("reconnected", "", 10)
        await b.until_told("subscribed", "a")
        await server.seen.until("subscribed", 2)
        _, heard = await asyncio.gather(a.say(tone(0.5)), b.hear("a", 0.5))
        assert heard > 4_000
        assert [s.data["reconnect"] for s in server.seen.of("opened")] == [False, False, False]


async def test_a_malformed_message_is_passed_over(server: LiveKitServer) -> None:
    server.faults.add(Fault(FaultKind.MALFORMED, after=2))
    async with guests(server, "a", "b") as (a, b):
        await a.publish()
        await b.until_told("subscribed", "a")
        assert not a.told or ("reconnecting", "") not in a.told


async def test_a_half_open_connection_stands_and_is_dead(server: LiveKitServer) -> None:
    async with guests(server, "a", "b") as (a, b):
        await a.publish()
        await b.until_told("subscribed", "a")
        server.faults.add(Fault(FaultKind.HALF_OPEN, after=3))
        dead = Guest()
        await dead.join(server, "dead")
        await server.seen.until("connected", 3)
        # What would be the fourth message strikes: it is not sent, and no datagram goes either way any more.
        await b.room.local_participant.publish_data(b"x")
        await a.room.local_participant.set_attributes({})
        while (there := server.participant("room", "dead")) is not None and not there.publisher.agent.dark:
            a.told.clear()
            publication = await a.publish()
            await a.room.local_participant.unpublish_track(publication.sid)
            await asyncio.sleep(0.05)
        dead.data.clear()
        await a.room.local_participant.publish_data(b"nobody hears this")
        await b.until(lambda: len(b.data) >= 1)
        assert not dead.data
        await server.remove("room", "dead")
        await dead.leave()


async def test_everything_comes_twice(server: LiveKitServer) -> None:
    async with guests(server, "a") as (a,):
        server.faults.add(Fault(FaultKind.DUPLICATE))
        async with guests(server, "b") as (b,):
            await a.publish()
            await b.until_told("subscribed", "a")
            await a.room.local_participant.publish_data(b"x", reliable=False)
            await a.room.local_participant.publish_data(b"y")
            # Of the reliable message the SDK passes one on: it knows it by its sequence.
            await b.until(lambda: len(b.data) >= 3)
            assert sorted(d.data for d in b.data) == [b"x", b"x", b"y"]


async def test_a_message_has_no_end(server: LiveKitServer) -> None:
    server.faults.add(Fault(FaultKind.ENDLESS, after=1))
    headers = {"Authorization": f"Bearer {token('a')}"}
    async with aiohttp.ClientSession(server.url) as client, client.ws_connect("/rtc", headers=headers) as socket:
        messages = [await socket.receive_bytes() for _ in range(10)]
    assert len(set(messages)) < 10


async def test_what_is_no_request_ends_the_connection(server: LiveKitServer) -> None:
    headers = {"Authorization": f"Bearer {token('a')}"}
    async with aiohttp.ClientSession(server.url) as client:
        async with client.ws_connect("/rtc", headers=headers) as socket:
            await socket.send_bytes(b"\xff" * 9)
            await server.seen.until("closed")
        async with client.ws_connect("/rtc", headers=headers) as socket:
            await socket.send_bytes(
                proto.SignalRequest(offer=proto.SessionDescription(type="offer", sdp="v=0")).SerializeToString()
            )
            malformed = await server.seen.until("malformed")
            assert malformed.data["why"] == "a session description has 1 to 256 media sections, this one 0"
            await server.seen.until("left")


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00" * 20, b"\x80" * 40, b"\x16" * 40, struct.pack("!HH", 1, 0)])
async def test_strangers_datagrams_are_counted_and_dropped(server: LiveKitServer, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", server.media_port)
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    transport.sendto(data)
    async with guests(server, "a"):
        assert server.strangers == bool(data)
    transport.close()
