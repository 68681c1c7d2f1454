"""The RoomService of the local LiveKit server, as livekit-api calls it, and as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from livekit import api

from echostack.providers.faults import Fault, FaultKind
from echostack.providers.livekit.server import SECRET, LiveKitServer
from echostack.providers.server import KEY
from tests.providers.livekit.guests import guests, token

CALL = "/twirp/livekit.RoomService/"
WHO = api.RoomParticipantIdentity(room="r", identity="x")
LONG = api.CreateRoomRequest(name="r" * 257)
NO_ROOM = "requested room does not exist"


@pytest.fixture
async def server() -> AsyncIterator[LiveKitServer]:
    async with LiveKitServer() as server:
        assert isinstance(server, LiveKitServer)
        yield server


@pytest.fixture
async def rooms(server: LiveKitServer) -> AsyncIterator[Any]:
    async with api.LiveKitAPI(server.url, KEY, SECRET, failover=False) as client:
        yield client.room


async def test_rooms_are_made_listed_changed_and_deleted(server: LiveKitServer, rooms: Any) -> None:
    made = await rooms.create_room(api.CreateRoomRequest(name="r", metadata="m", max_participants=3, empty_timeout=60))
    assert (made.name, made.metadata, made.max_participants, made.empty_timeout) == ("r", "m", 3, 60)
    assert made.sid.startswith("RM_")
    await rooms.create_room(api.CreateRoomRequest(name="q"))
    assert [r.name for r in (await rooms.list_rooms(api.ListRoomsRequest())).rooms] == ["r", "q"]
    assert [r.name for r in (await rooms.list_rooms(api.ListRoomsRequest(names=["q"]))).rooms] == ["q"]
    async with guests(server, "a", room="r") as (a,):
        await rooms.update_room_metadata(api.UpdateRoomMetadataRequest(room="r", metadata="new"))
        await a.until_told("metadata", "new")
        assert [r.num_participants for r in (await rooms.list_rooms(api.ListRoomsRequest(names=["r"]))).rooms] == [1]
        await rooms.delete_room(api.DeleteRoomRequest(room="r"))
        await a.until_told("disconnected", "ROOM_DELETED")
    assert list(server.rooms) == ["q"]


async def test_participants_are_shown_changed_muted_and_removed(server: LiveKitServer, rooms: Any) -> None:
    async with guests(server, "a", "b") as (a, b):
        publication = await a.publish()
        await b.until_told("subscribed", "a")
        listed = (await rooms.list_participants(api.ListParticipantsRequest(room="room"))).participants
        assert [(p.identity, [t.name for t in p.tracks]) for p in listed] == [("a", ["voice"]), ("b", [])]
        (room,) = (await rooms.list_rooms(api.ListRoomsRequest())).rooms
        assert (room.num_participants, room.num_publishers) == (2, 1)
        got = await rooms.get_participant(api.RoomParticipantIdentity(room="room", identity="a"))
        assert got.state == api.ParticipantInfo.ACTIVE
        mute = api.MuteRoomTrackRequest(room="room", identity="a", track_sid=publication.sid, muted=True)
        assert (await rooms.mute_published_track(mute)).track.muted
        await b.until_told("muted", "a")
        changed = api.UpdateParticipantRequest(room="room", identity="a", attributes={"k": "v"})
        assert (await rooms.update_participant(changed)).attributes == {"k": "v"}
        await b.until_told("attributes", "a")
        forbidden = api.ParticipantPermission(can_subscribe=True, can_publish=False, can_publish_data=True)
        await rooms.update_participant(api.UpdateParticipantRequest(room="room", identity="a", permission=forbidden))
        await b.until_told("unpublished", "a")
        await rooms.remove_participant(api.RoomParticipantIdentity(room="room", identity="a"))
        await a.until_told("disconnected", "PARTICIPANT_REMOVED")
        await b.until_told("went", "a")


async def test_subscriptions_are_chosen_for_another(server: LiveKitServer, rooms: Any) -> None:
    async with guests(server, "a") as (a,), guests(server, "b", auto_subscribe=False) as (b,):
        publication = await a.publish()
        await b.until_told("published", "a")
        wanted = api.UpdateSubscriptionsRequest(room="room", identity="b", track_sids=[publication.sid], subscribe=True)
        await rooms.update_subscriptions(wanted)
        await b.until_told("subscribed", "a")


async def test_data_is_sent_to_those_it_names(server: LiveKitServer, rooms: Any) -> None:
    async with guests(server, "a", "b") as (a, b):
        send = api.SendDataRequest(room="room", data=b"x", kind=0, destination_identities=["b"], topic="t")  # type: ignore[arg-type]
        await rooms.send_data(send)
        await rooms.send_data(api.SendDataRequest(room="room", data=b"all", kind=0))  # type: ignore[arg-type]
        await a.until(lambda: a.data)
        await b.until(lambda: len(b.data) == 2)
        assert [(d.data, d.topic, d.participant) for d in b.data] == [(b"x", "t", None), (b"all", "", None)]
        assert [d.data for d in a.data] == [b"all"]


@pytest.mark.parametrize(
    ("method", "asked", "status", "code", "message"),
    [
        ("get_participant", WHO, 404, "not_found", "participant does not exist"),
        ("remove_participant", WHO, 404, "not_found", "participant does not exist"),
        ("delete_room", api.DeleteRoomRequest(room="r"), 404, "not_found", NO_ROOM),
        ("create_room", api.CreateRoomRequest(), 400, "invalid_argument", "no room name"),
        ("create_room", LONG, 400, "invalid_argument", "room name length exceeds limits"),
        ("update_room_metadata", api.UpdateRoomMetadataRequest(room="r"), 404, "not_found", NO_ROOM),
    ],
)
async def test_what_cannot_be_is_answered_as_livekit_does(
    rooms: Any, method: str, asked: Any, status: int, code: str, message: str
) -> None:
    with pytest.raises(api.ServerError) as error:
        await getattr(rooms, method)(asked)
    assert (error.value.status, error.value.code, error.value.message) == (status, code, message)


async def test_json_is_spoken_too(server: LiveKitServer) -> None:
    headers = {"Authorization": f"Bearer {token('admin', room_create=True, room_list=True)}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as client:
        async with client.post(CALL + "CreateRoom", json={"name": "r"}) as response:
            made = await response.json()
        assert (made["name"], made["empty_timeout"], made["num_participants"]) == ("r", 300, 0)
        async with client.post(CALL + "ListRooms", json={}) as response:
            assert [r["name"] for r in (await response.json())["rooms"]] == ["r"]
        async with client.post(CALL + "ListRooms", data=b"{", headers={"Content-Type": "application/json"}) as response:
            assert response.status == 400
            assert await response.json() == {"code": "malformed", "msg": "the request cannot be read"}
        async with client.post(CALL + "Nonsense", json={}) as response:
            assert (response.status, (await response.json())["code"]) == (501, "unimplemented")
        async with client.post(CALL + "ListRooms", data=b"x") as response:
            assert (response.status, (await response.json())["code"]) == (404, "bad_route")


async def test_each_call_needs_its_grant(server: LiveKitServer) -> None:
    async with aiohttp.ClientSession(server.url) as client:
        for method in ("CreateRoom", "ListRooms", "DeleteRoom", "ListParticipants", "SendData"):
            headers = {"Authorization": f"Bearer {token('a', room_admin=True)}"}
            async with client.post(CALL + method, json={"room": "other", "name": "r"}, headers=headers) as response:
                assert response.status == 401, method
                assert await response.json() == {"code": "unauthenticated", "msg": "permissions denied"}
        async with client.post(CALL + "ListRooms", json={}) as response:
            assert (response.status, await response.text()) == (401, "permissions denied")


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMITED, FaultKind.UNAVAILABLE, FaultKind.UNAUTHORISED])
async def test_refusals_of_the_menu(server: LiveKitServer, rooms: Any, kind: FaultKind) -> None:
    server.faults.add(Fault(kind, seconds=2))
    with pytest.raises(api.ServerError) as error:
        await rooms.list_rooms(api.ListRoomsRequest())
    status = {FaultKind.RATE_LIMITED: 429, FaultKind.UNAVAILABLE: 503, FaultKind.UNAUTHORISED: 401}[kind]
    assert error.value.status == status
    assert not (await rooms.list_rooms(api.ListRoomsRequest())).rooms


async def test_a_call_is_cut_malformed_or_late(server: LiveKitServer, rooms: Any) -> None:
    server.faults.add(Fault(FaultKind.CUT))
    with pytest.raises(aiohttp.ClientPayloadError):
        await rooms.list_rooms(api.ListRoomsRequest())
    server.faults.add(Fault(FaultKind.MALFORMED))
    with pytest.raises(Exception, match="Error parsing message"):
        await rooms.list_rooms(api.ListRoomsRequest())
    server.faults.add(Fault(FaultKind.SLOW, seconds=0.2))
    begun = server.clock.now()
    await rooms.list_rooms(api.ListRoomsRequest())
    assert server.clock.now() - begun >= 0.2


async def test_an_empty_room_goes_when_its_time_is_over(server: LiveKitServer, rooms: Any) -> None:
    await rooms.create_room(api.CreateRoomRequest(name="room", departure_timeout=1, empty_timeout=1))
    async with guests(server, "a"):
        pass
    assert "room" in server.rooms
    gone = await server.seen.until("room deleted", seconds=3)
    left = server.seen.of("left")[0]
    assert gone.time - left.time == pytest.approx(1.0, abs=0.2)
    assert not server.rooms
