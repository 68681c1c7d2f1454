"""Rooms that the server ends: the SDK keeps the agent's audio source, and the next call speaks through it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from echostack.connectors.livekit.kept import KEPT
from echostack.providers.livekit.server import LiveKitServer
from tests.connectors.livekit.rig import ROOM, Ends, call, remains, tone

RATE = 24_000


def capturing() -> int:
    """The SDK's threads that feed a track."""
    tasks = Path("/proc/self/task")
    return sum((tasks / task / "comm").read_text().startswith("AudioSourceCapt") for task in os.listdir(tasks))


async def settled(most: int) -> int:
    """The threads once the SDK has ended those that it ends, or after three seconds."""
    for _ in range(150):
        if capturing() <= most:
            break
        await asyncio.sleep(0.02)
    return capturing()


async def ended_by_the_server(server: LiveKitServer, ends: Ends, how: str) -> None:
    if how == "deleted":
        await server.delete(ROOM)
    else:
        await server.remove(ROOM, "agent-call")
    assert ends.run is not None
    await asyncio.wait([ends.run], timeout=5)
    assert ends.run.done()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted by /proc")
async def test_twelve_rooms_that_the_server_ends_leave_one_thread_and_no_stale_word() -> None:
    """Each is told to say more than is heard before the end; the next one must begin with its own words."""
    before, kept = remains(), len(KEPT)
    threads = await settled(kept)
    for n in range(12):
        async with call(caller=False, ingress={"room": ROOM}) as (server, ends, _):
            recording = server.listen(ROOM, "agent-call")
            assert ends.egress is not None
            await asyncio.sleep(0.1)
            assert recording.last_audible() is None, n
            ends.egress.write(tone(0.06, rate=RATE))
            await asyncio.sleep(0.2)
            pcm, rate = recording.pcm()
            audible = np.flatnonzero(np.abs(pcm.astype(int)) >= 1_000)
            assert (audible[-1] - audible[0]) / rate == pytest.approx(0.06, abs=0.01)
            assert ends.egress.played() == RATE * 6 // 100
            ends.egress.write(tone(0.1, rate=RATE))
            if n % 4 != 3:  # one in four ends as calls do, and must not give the source away
                await ended_by_the_server(server, ends, ("deleted", "removed")[n % 2])
    assert await settled(max(threads, 1)) == max(threads, 1)
    assert len(KEPT) == max(kept, 1)
    assert remains() == before


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted by /proc")
async def test_a_call_that_is_left_leaves_no_thread() -> None:
    kept = len(KEPT)
    async with call(caller=False, egress={"rate": 16_000}):
        assert capturing() > 0
        during = capturing()
    assert await settled(during - 1) == during - 1
    assert len(KEPT) == kept


def test_a_source_serves_the_event_loop_of_the_next_call() -> None:
    """A process may run its calls one loop after the other."""

    async def one() -> int:
        async with call(caller=False, egress={"rate": 8_000}) as (server, ends, _):
            assert ends.egress is not None
            ends.egress.write(bytes(2 * 800))
            for _ in range(300):
                if ends.egress.played() >= 800:
                    break
                await asyncio.sleep(0.01)
            await ended_by_the_server(server, ends, "deleted")
            return ends.egress.played()

    kept = len(KEPT)
    assert [asyncio.run(one()) for _ in range(2)] == [800, 800]
    assert len(KEPT) == kept + 1
