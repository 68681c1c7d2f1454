"""What happens in a room of the local LiveKit server, as the real SDK sees it over real WebRTC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from livekit import rtc

from echostack.providers.livekit.server import LiveKitServer
from tests.providers.livekit.guests import Guest, guests, tone

BOTH = pytest.mark.parametrize("single", [True, False], ids=["one connection", "two connections"])


@pytest.fixture
async def server() -> AsyncIterator[LiveKitServer]:
    server = LiveKitServer()
    await server.start()
    yield server
    await server.stop()


@BOTH
async def test_what_one_says_another_hears(server: LiveKitServer, single: bool) -> None:
    async with guests(server, "a", "b", single=single) as (a, b):
        await a.publish()
        await b.until_told("subscribed", "a")
        await server.seen.until("subscribed")
        said, heard = await asyncio.gather(a.say(tone(0.5)), b.hear("a", 0.5))
    assert said is None
    assert heard > 4_000


@BOTH
async def test_one_who_comes_later_hears_who_spoke_before(server: LiveKitServer, single: bool) -> None:
    async with guests(server, "a", single=single) as (a,):
        await a.publish()
        await server.seen.until("published")
        async with guests(server, "b", single=single) as (b,):
            await b.until_told("subscribed", "a")
            await a.until_told("came", "b")
            _, heard = await asyncio.gather(a.say(tone(0.5)), b.hear("a", 0.5))
            assert heard > 4_000
        await a.until_told("went", "b")


@BOTH
async def test_a_track_is_taken_back_and_published_again(server: LiveKitServer, single: bool) -> None:
    async with guests(server, "a", "b", single=single) as (a, b):
        for _ in range(2):
            b.told.clear()
            publication = await a.publish()
            await b.until_told("subscribed", "a")
            await a.room.local_participant.unpublish_track(publication.sid)
            await b.until_told("unpublished", "a")
        await server.seen.until("unpublished", 2)
        there = server.participant("room", "b")
        assert there is not None
        assert not there.outlets


@BOTH
async def test_more_speak_than_there_were_sections_for(server: LiveKitServer, single: bool) -> None:
    names = [f"s{n}" for n in range(5)]
    async with guests(server, "ear", single=single) as (ear,), guests(server, *names, single=single) as speakers:
        for speaker in speakers:
            await speaker.publish()
        for name in names:
            await ear.until_told("subscribed", name)
        await server.seen.until("subscribed", 5 + 5 * 4, seconds=10)
        last = speakers[-1]
        _, heard = await asyncio.gather(last.say(tone(0.5)), ear.hear("s4", 0.5))
        assert heard > 4_000


@BOTH
async def test_two_speak_at_once_on_tracks_of_their_own(server: LiveKitServer, single: bool) -> None:
    async with guests(server, "a", "b", "ear", single=single) as (a, b, ear):
        await a.publish()
        await b.publish()
        await ear.until_told("subscribed", "a")
        await ear.until_told("subscribed", "b")
        await server.seen.until("subscribed", 4)
        _, silent, loud = await asyncio.gather(a.say(tone(0.6)), ear.hear("b", 0.4), ear.hear("a", 0.6))
    assert loud > 4_000
    assert silent < 100


async def test_muting_is_told_to_the_others(server: LiveKitServer) -> None:
    async with guests(server, "a", "b") as (a, b):
        publication = await a.publish()
        await b.until_told("subscribed", "a")
        assert publication.track is not None
        publication.track.mute()
        await b.until_told("muted", "a")
        publication.track.unmute()
        await b.until_told("unmuted", "a")
    assert [s.what for s in server.seen.sightings if s.what in ("muted", "unmuted")] == ["muted", "unmuted"]


async def test_who_does_not_want_a_track_is_not_sent_it(server: LiveKitServer) -> None:
    async with guests(server, "a") as (a,), guests(server, "b", auto_subscribe=False) as (b,):
        await a.publish()
        await b.until_told("published", "a")
        there = server.participant("room", "b")
        assert there is not None
        assert not there.outlets
        (publication,) = b.room.remote_participants["a"].track_publications.values()
        publication.set_subscribed(True)
        await b.until_told("subscribed", "a")
        await server.seen.until("subscribed")
        publication.set_subscribed(False)
        await b.until_told("unsubscribed", "a")
        async with asyncio.timeout(5):
            while there.outlets:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        publication.set_subscribed(True)
        await server.seen.until("subscribed", 2)


@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "lossy"])
async def test_data_reaches_everyone_or_those_it_names(server: LiveKitServer, reliable: bool) -> None:
    async with guests(server, "a", "b", "c") as (a, b, c):
        send = a.room.local_participant.publish_data
        await send(b"to all", topic="greeting", reliable=True)
        await b.until(lambda: b.data)
        await c.until(lambda: c.data)
        await send(b"to b", topic="secret", reliable=reliable, destination_identities=["b"])
        await b.until(lambda: len(b.data) == 2)
        await send(b"to all again", reliable=True)
        await c.until(lambda: len(c.data) == 2)
    kind = rtc.DataPacketKind.KIND_RELIABLE if reliable else rtc.DataPacketKind.KIND_LOSSY
    assert [(d.data, d.topic, d.participant.identity if d.participant else None) for d in c.data] == [
        (b"to all", "greeting", "a"),
        (b"to all again", "", "a"),
    ]
    assert (b.data[1].data, b.data[1].topic, b.data[1].kind) == (b"to b", "secret", kind)
    assert not a.data
    seen = server.seen.of("data")
    assert [(s.data["topic"], s.data["payload"], s.data["reached"]) for s in seen] == [
        ("greeting", b"to all", 2),
        ("secret", b"to b", 1),
        ("", b"to all again", 2),
    ]


async def test_texts_and_calls_between_participants_pass(server: LiveKitServer) -> None:
    async with guests(server, "a", "b") as (a, b):
        texts: asyncio.Queue[str] = asyncio.Queue()
        tasks: list[asyncio.Task[None]] = []

        async def read(reader: rtc.TextStreamReader) -> None:
            texts.put_nowait(await reader.read_all())

        b.room.register_text_stream_handler("chat", lambda r, who: tasks.append(asyncio.create_task(read(r))))

        @b.room.local_participant.register_rpc_method("double")
        async def double(call: rtc.RpcInvocationData) -> str:
            return call.payload * 2

        await a.room.local_participant.send_text("hello " * 5_000, topic="chat")
        assert await asyncio.wait_for(texts.get(), 5) == "hello " * 5_000
        answer = await a.room.local_participant.perform_rpc(
            destination_identity="b", method="double", payload="ab", response_timeout=5
        )
        assert answer == "abab"
        await asyncio.gather(*tasks)


async def test_it_is_seen_to_the_millisecond_when_a_track_can_be_heard(server: LiveKitServer) -> None:
    async with guests(server, "a") as (a,):
        recording = server.listen("room", "a")
        await a.publish()
        await server.seen.until("published")
        await asyncio.sleep(0.2)
        begun = server.clock.now()
        await a.say(tone(0.6))
        ended = server.clock.now()
        await server.seen.until("silent")
    (voiced,), (silent,) = server.seen.of("voiced"), server.seen.of("silent")
    # Wide where other work on the machine may come between; what the packets themselves tell is narrow.
    assert begun - 0.03 < voiced.data["at"] < begun + 0.2
    assert silent.data["at"] == pytest.approx(ended, abs=0.2)
    assert silent.data["at"] - voiced.data["at"] == pytest.approx(0.6, abs=0.1)
    assert 0.2 <= silent.time - silent.data["at"] < 0.5
    pcm, rate = recording.pcm()
    assert rate == 48_000
    assert recording.last_audible() == pytest.approx(silent.data["at"], abs=0.001)
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 2_000)
    assert (loud[-1] - loud[0]) / rate == pytest.approx(0.6, abs=0.05)
    await server.seen.until("left")
    assert recording.closed


async def test_who_speaks_is_told(server: LiveKitServer) -> None:
    async with guests(server, "a", "b") as (a, b):
        await a.publish()
        await b.until_told("subscribed", "a")
        await a.say(tone(0.3))
        await b.until_told("speaking", "a")
        await b.until(lambda: b.told[-1] == ("speaking", ""))


async def test_rooms_do_not_hear_of_one_another(server: LiveKitServer) -> None:
    async with guests(server, "a", "b", room="one") as (a, b), guests(server, "a", "c", room="two") as (d, c):
        await a.room.local_participant.publish_data(b"one")
        await d.room.local_participant.publish_data(b"two")
        await b.until(lambda: b.data)
        await c.until(lambda: c.data)
        assert sorted(server.rooms) == ["one", "two"]
        assert list(b.room.remote_participants) == ["a"]
        assert list(c.room.remote_participants) == ["a"]
    assert ([d.data for d in b.data], [d.data for d in c.data]) == ([b"one"], [b"two"])


async def test_the_same_identity_again_sends_the_first_out(server: LiveKitServer) -> None:
    async with guests(server, "a", "b") as (first, b):
        again = Guest()
        await again.join(server, "a")
        await first.until_told("disconnected", "DUPLICATE_IDENTITY")
        await b.until(lambda: b.told.count(("came", "a")) == 1)
        await again.leave()
    assert server.seen.of("left")[0].data["reason"] == "DUPLICATE_IDENTITY"


async def test_a_stopped_server_says_so(server: LiveKitServer) -> None:
    async with guests(server, "a") as (a,):
        await server.stop()
        await a.until_told("disconnected", "SERVER_SHUTDOWN")
    assert not server.rooms


async def test_what_a_token_forbids_is_not_done(server: LiveKitServer) -> None:
    async with guests(server, "a", "b") as (a, b), guests(server, "mute", can_publish_data=False) as (mute,):
        await mute.room.local_participant.publish_data(b"no")
        await server.seen.until("data refused")
        await a.room.local_participant.publish_data(b"yes")
        await b.until(lambda: b.data)
        assert [d.data for d in b.data] == [b"yes"]
