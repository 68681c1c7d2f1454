"""The caller: what it says arrives, what it hears is known with its times, and a script is followed."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.providers.caller import Caller, Line
from echostack.providers.caller_audio import at_rate, read_wav, write_wav
from echostack.providers.livekit.server import SECRET, LiveKitServer
from echostack.providers.server import KEY
from tests.providers.livekit.guests import URL, guests, token, tone


@pytest.fixture
async def server() -> AsyncIterator[LiveKitServer]:
    async with LiveKitServer() as server:
        assert isinstance(server, LiveKitServer)
        yield server


def caller(server: LiveKitServer, identity: str = "caller") -> Caller:
    return Caller(server.environment[URL], (KEY, SecretStr(SECRET)), "room", identity, LoopClock())


async def test_it_speaks_and_is_heard_at_the_time_it_says(server: LiveKitServer) -> None:
    recording = server.listen("room", "caller")
    async with caller(server) as one:
        await server.seen.until("published")
        offset = server.clock.now()
        said = await one.say(at_rate(tone(0.4), 48_000), 48_000)
        silent = await server.seen.until("silent")
    voiced = server.seen.of("voiced")[0]
    assert silent.data["at"] - voiced.data["at"] == pytest.approx(0.4, abs=0.05)
    assert voiced.data["at"] >= offset - 0.02
    assert said > 0
    assert recording.pieces


async def test_it_hears_the_agent_and_knows_when(server: LiveKitServer, tmp_path: Path) -> None:
    async with caller(server) as one, guests(server, "agent") as (agent,):
        await agent.publish()
        await server.seen.until("subscribed", 2)
        begun = one._clock.now()
        saying = asyncio.create_task(agent.say(tone(0.6)))
        heard = await one.until_heard(0.2)
        assert 0.15 < heard - begun < 1.0
        last = await one.until_quiet(0.2)
        await saying
        assert 0.55 < last - begun < 1.2
        ((start, end),) = one.spoken()
        assert 0 <= start - begun < 0.4
        assert 0.5 < end - start < 0.9  # the SDK's jitter buffer stretches sound where packets come late
    one.save(tmp_path / "heard.wav")
    pcm, rate = one.heard()
    with wave.open(str(tmp_path / "heard.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (rate, len(pcm))
    assert int(np.abs(pcm).max()) > 4_000


async def test_a_cancelled_word_is_broken_off_at_once(server: LiveKitServer) -> None:
    async with caller(server) as one:
        await server.seen.until("published")
        saying = asyncio.create_task(one.say(tone(5), 48_000))
        await server.seen.until("voiced")
        await asyncio.sleep(0.2)
        saying.cancel()
        stopped = server.clock.now()
        silent = await server.seen.until("silent")
    assert silent.data["at"] - stopped < 0.3


async def test_messages_go_both_ways(server: LiveKitServer) -> None:
    async with caller(server, "a") as a, caller(server, "b") as b:
        await a.send(b"to b", "topic", to=["b"])
        message = await b.until_message()
        assert (message.identity, message.topic, message.payload, message.reliable) == ("a", "topic", b"to b", True)
        await b.send(b"back", reliable=False)
        assert (await a.until_message()).reliable is False


async def test_a_script_is_followed_to_its_end(server: LiveKitServer) -> None:
    async with guests(server, "agent") as (agent,):
        await agent.publish()
        one = caller(server)
        await one.join()
        await server.seen.until("subscribed", 2)
        answering = asyncio.create_task(agent.say(tone(0.8)))
        await one.follow(
            [
                Line(tone(0.2, 600), 48_000, heard=0.3),  # it interrupts
                Line(tone(0.2, 600), 48_000, at=2.0),
                Line(at=2.3),
            ]
        )
        await answering
        left = await server.seen.until("left")
        assert left.data["identity"] == "caller"
        mine = [s.data["at"] for s in server.seen.of("voiced") if s.data["identity"] == "caller"]
        assert len(mine) == 2
        assert one.ended.is_set()


async def test_the_end_of_the_room_ends_what_waits(server: LiveKitServer) -> None:
    async with caller(server) as one:
        waiting = asyncio.create_task(one.until_heard(1))
        await server.seen.until("joined")
        await server.delete("room")
        with pytest.raises(ConnectorFailure, match=r"^the call has ended: the room was deleted$"):
            await waiting
        assert one.reason == "ROOM_DELETED"
    with pytest.raises(ConnectorFailure, match="caller is not in a room"):
        await one.say(b"", 48_000)


async def test_a_refused_caller_is_told_why_and_leaves_nothing(server: LiveKitServer) -> None:
    one = Caller(server.environment[URL], token("a", secret="w" * 40), "room", "a", LoopClock())
    with pytest.raises(ConnectorFailure, match=r"cannot join 'room' at ws://.*401 Unauthorized"):
        await one.join()
    await one.leave()
    assert not [t for t in asyncio.all_tasks() if "Caller" in repr(t)]


def test_a_wav_is_read_and_what_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(np.array([1, 3, 300, 500], np.int16).tobytes())
    pcm, rate = read_wav(path)
    assert (pcm.tolist(), rate) == ([2, 400], 8_000)
    assert len(at_rate(np.zeros(800, np.int16), 8_000)) == 4_800


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (0, "this file is empty"),
        (30, "the header of this WAV file is cut off; the file is damaged; record it again"),
        (44, "this WAV file holds no audio"),
    ],
)
def test_a_recording_that_cannot_be_read_is_refused_in_words(kept: int, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, tone(0.02))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConnectorFailure) as refused:
        read_wav(path)
    assert str(refused.value) == f"{path}: {said}"


def test_a_recording_of_24_bits_or_with_a_torn_end_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(16_000)
        file.writeframes(b"\x00\x01\x00" * 5)
    path.write_bytes(path.read_bytes()[:-2])
    pcm, rate = read_wav(path)
    assert (pcm.tolist(), rate) == ([1, 1, 1, 1], 16_000)


async def test_a_caller_that_is_called_off_while_it_joins_is_in_no_room(server: LiveKitServer) -> None:
    joined = 0
    for steps in range(0, 60, 6):
        one = caller(server, f"caller{steps}")
        joining = asyncio.get_running_loop().create_task(one.join())
        for _ in range(steps):
            await asyncio.sleep(0.002)
        joining.cancel()
        await asyncio.wait([joining], timeout=5)
        assert joining.done()
        await one.leave()
        joined = server.seen.counts.get("joined", 0)
        if joined:
            await server.seen.until("left", joined)
    assert joined > 0
    assert not any(room.participants for room in server.rooms.values())
