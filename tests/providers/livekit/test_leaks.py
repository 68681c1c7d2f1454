"""The local LiveKit server leaves nothing: no task, no socket, no thread, however calls end."""

from __future__ import annotations

import asyncio
import gc
import os
import threading

import aiohttp
import pytest
from livekit.protocol import models

from echostack.providers.faults import Fault, FaultKind
from echostack.providers.livekit.server import LiveKitServer
from tests.providers.livekit.guests import Guest, guests, token


def sockets() -> int:
    """The sockets that this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:  # the folder's own
            continue
    return found


def own_threads() -> list[str]:
    """The threads that Python started; those of the SDK's library, which it calls from, show as dummies."""
    return sorted(t.name for t in threading.enumerate() if not t.name.startswith("Dummy"))


async def settled(count: int, seconds: float = 5.0) -> int:
    """The number of sockets, once it is ``count`` or after ``seconds``: the SDK's threads close theirs in time.

    No other task than the test's own is left by then either.
    """
    for _ in range(round(seconds / 0.02)):
        gc.collect()
        if sockets() <= count and len(asyncio.all_tasks()) == 1:
            break
        await asyncio.sleep(0.02)
    return sockets()


@pytest.mark.slow
async def test_fifty_calls_leave_nothing() -> None:
    async with LiveKitServer() as server:
        assert isinstance(server, LiveKitServer)
        async with guests(server, "first"):  # what the SDK keeps for good is made by its first call
            pass
        before, threads = await settled(0, 0.2), own_threads()
        for n in range(50):
            async with guests(server, f"a{n}", single=n % 2 == 0) as (guest,):
                if n % 5 == 0:
                    await guest.publish()
        await server.seen.until("closed", 51)
        assert await settled(before) <= before
        assert len(asyncio.all_tasks()) == 1
        assert own_threads() == threads
        assert server.open == 0
        assert not server.rooms["room"].participants
        assert server.seen.counts["left"] == 51
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.HALF_OPEN, FaultKind.ENDLESS, FaultKind.SLOW])
async def test_a_server_that_stops_in_the_middle_of_a_fault_leaves_nothing(kind: FaultKind) -> None:
    before = await settled(0, 0.1)
    async with aiohttp.ClientSession() as client:
        server = LiveKitServer(faults=[Fault(kind, seconds=30, after=0)])
        await server.start()
        socket = await client.ws_connect(server.url + "/rtc", headers={"Authorization": f"Bearer {token('a')}"})
        if kind is not FaultKind.CUT:
            await socket.send_bytes(b"")
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await server.stop()
            await server.stop()
        await socket.close()
    others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    assert not others
    assert await settled(before) <= before


async def test_a_join_that_is_given_up_leaves_nobody() -> None:
    async with LiveKitServer(faults=[Fault(FaultKind.SLOW, seconds=0.5)], resume=0.1) as server:
        assert isinstance(server, LiveKitServer)
        joining = asyncio.create_task(Guest().join(server, "a"))
        await server.seen.until("opened")
        joining.cancel()
        await asyncio.wait([joining])
        async with guests(server, "b") as (b,):
            await b.room.local_participant.publish_data(b"x")
            if (there := server.participant("room", "a")) is not None:
                await server.remove("room", there.info.identity)
            await server.delete("room", models.DisconnectReason.ROOM_CLOSED)
            await b.until_told("disconnected", "ROOM_CLOSED")
    assert not server.rooms
