"""LiveKit's RoomService: Twirp calls in protobuf or JSON, as livekit-api and the command `lk` make them.

The messages are those of livekit_room.proto; errors are Twirp's (https://twitchtv.github.io/twirp/docs/spec_v7.html).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from livekit.protocol import models
from livekit.protocol import room as api

from echostack.providers.livekit.house import House
from echostack.providers.livekit.participant import Participant
from echostack.providers.livekit.requests import describe
from echostack.providers.livekit.room import Room
from echostack.providers.livekit.sdp import LARGEST_MESSAGE
from echostack.providers.livekit.tokens import Grants, Refused
from echostack.providers.livekit.transport import LOSSY, RELIABLE

PATH: Final = "/twirp/livekit.RoomService/{method}"
_LARGEST: Final = 1 * 2**20  # bytes of a request
_TEXT: Final = 256  # characters of a name
_STATUS: Final = {
    "bad_route": 404,
    "failed_precondition": 412,
    "invalid_argument": 400,
    "malformed": 400,
    "not_found": 404,
    "resource_exhausted": 429,
    "unauthenticated": 401,
    "unimplemented": 501,
}


class TwirpError(Exception):
    """A call that failed; ``code`` is one of Twirp's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def response(self) -> web.Response:
        return web.json_response({"code": self.code, "msg": str(self)}, status=_STATUS[self.code])


class RoomService:
    """The calls. What a token must allow is checked by each."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._calls: dict[str, tuple[type[Message], Callable[[Any, Grants], Awaitable[Message]]]] = {
            "CreateRoom": (api.CreateRoomRequest, self._create),
            "ListRooms": (api.ListRoomsRequest, self._list),
            "DeleteRoom": (api.DeleteRoomRequest, self._delete),
            "UpdateRoomMetadata": (api.UpdateRoomMetadataRequest, self._update_room),
            "ListParticipants": (api.ListParticipantsRequest, self._participants),
            "GetParticipant": (api.RoomParticipantIdentity, self._get),
            "RemoveParticipant": (api.RoomParticipantIdentity, self._remove),
            "UpdateParticipant": (api.UpdateParticipantRequest, self._update),
            "UpdateSubscriptions": (api.UpdateSubscriptionsRequest, self._subscriptions),
            "MutePublishedTrack": (api.MuteRoomTrackRequest, self._mute),
            "SendData": (api.SendDataRequest, self._send),
        }

    async def answer(self, request: web.Request, grants: Grants) -> web.Response:
        """Answer one call."""
        method = request.match_info["method"]
        try:
            known = self._calls.get(method)
            if known is None:
                raise TwirpError("unimplemented", f"this server has no RoomService.{method}")
            kind, call = known
            as_json = request.content_type == "application/json"
            asked = await _read(request, kind(), as_json=as_json)
            try:
                reply = await call(asked, grants)
            except Refused as refused:
                code = "resource_exhausted" if refused.status == 429 else "unauthenticated"
                raise TwirpError(code, str(refused)) from None
        except TwirpError as error:
            return error.response()
        self._house.note(0, "called", method=method)
        if as_json:
            whole = json_format.MessageToDict(
                reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            return web.json_response(whole)
        return web.Response(body=reply.SerializeToString(), content_type="application/protobuf")

    async def _create(self, asked: api.CreateRoomRequest, grants: Grants) -> Message:
        if not grants.room_create:
            raise Refused(401, "permissions denied")
        if not asked.name:
            raise TwirpError("invalid_argument", "no room name")
        if len(asked.name) > _TEXT:
            raise TwirpError("invalid_argument", "room name length exceeds limits")
        room = self._house.room(asked.name)
        info = room.info
        info.empty_timeout = asked.empty_timeout or info.empty_timeout
        info.departure_timeout = asked.departure_timeout or info.departure_timeout
        info.max_participants = asked.max_participants or info.max_participants
        info.metadata = asked.metadata or info.metadata
        if not room.participants:
            self._house.expire(room, info.empty_timeout)
        return info

    async def _list(self, asked: api.ListRoomsRequest, grants: Grants) -> Message:
        if not grants.room_list:
            raise Refused(401, "permissions denied")
        names = frozenset(asked.names)
        return api.ListRoomsResponse(rooms=[r.info for n, r in self._house.rooms.items() if not names or n in names])

    async def _delete(self, asked: api.DeleteRoomRequest, grants: Grants) -> Message:
        if not grants.room_create:
            raise Refused(401, "permissions denied")
        if not await self._house.end_room(asked.room, models.DisconnectReason.ROOM_DELETED):
            raise TwirpError("not_found", "requested room does not exist")
        return api.DeleteRoomResponse()

    async def _update_room(self, asked: api.UpdateRoomMetadataRequest, grants: Grants) -> Message:
        room = self._room(asked.room, grants)
        room.info.metadata = asked.metadata
        room.update()
        return room.info

    async def _participants(self, asked: api.ListParticipantsRequest, grants: Grants) -> Message:
        grants.need_admin(asked.room)
        room = self._house.rooms.get(asked.room)
        there = list(room.participants.values()) if room is not None else []
        return api.ListParticipantsResponse(participants=[p.public() for p in there])

    async def _get(self, asked: api.RoomParticipantIdentity, grants: Grants) -> Message:
        return self._participant(asked.room, asked.identity, grants).public()

    async def _remove(self, asked: api.RoomParticipantIdentity, grants: Grants) -> Message:
        participant = self._participant(asked.room, asked.identity, grants)
        await self._house.remove(participant, models.DisconnectReason.PARTICIPANT_REMOVED)
        return api.RemoveParticipantResponse()

    async def _update(self, asked: api.UpdateParticipantRequest, grants: Grants) -> Message:
        participant = self._participant(asked.room, asked.identity, grants)
        if asked.HasField("permission"):
            permission = asked.permission
            participant.grants = replace(
                participant.grants,
                can_publish=permission.can_publish,
                can_subscribe=permission.can_subscribe,
                can_publish_data=permission.can_publish_data,
                can_update_own_metadata=permission.can_update_metadata,
                hidden=permission.hidden,
            )
            participant.info.permission.CopyFrom(permission)
            if not permission.can_publish:
                for track in list(participant.publications):
                    participant.unpublish(track)
            if not permission.can_subscribe:
                for track in list(participant.outlets):
                    participant.drop(track)
            participant.follow()
        describe(participant, asked.metadata, asked.name, dict(asked.attributes))
        return participant.public()

    async def _subscriptions(self, asked: api.UpdateSubscriptionsRequest, grants: Grants) -> Message:
        participant = self._participant(asked.room, asked.identity, grants)
        tracks = [*asked.track_sids, *(t for one in asked.participant_tracks for t in one.track_sids)]
        participant.choose(tracks, asked.subscribe)
        return api.UpdateSubscriptionsResponse()

    async def _mute(self, asked: api.MuteRoomTrackRequest, grants: Grants) -> Message:
        participant = self._participant(asked.room, asked.identity, grants)
        publication = participant.publications.get(asked.track_sid)
        if publication is None:
            raise TwirpError("not_found", "track is not found")
        if not asked.muted and publication.info.muted:
            # LiveKit's servers unmute nobody unless they are configured to (``room.enable_remote_unmute``).
            raise TwirpError("failed_precondition", "remote unmute not enabled")
        participant.mute(asked.track_sid, asked.muted, by_server=True)
        return api.MuteRoomTrackResponse(track=publication.info)

    async def _send(self, asked: api.SendDataRequest, grants: Grants) -> Message:
        room = self._room(asked.room, grants)
        if len(asked.data) > LARGEST_MESSAGE:
            raise TwirpError("invalid_argument", f"data may have {LARGEST_MESSAGE} bytes, this has {len(asked.data)}")
        named = list(asked.destination_identities)
        named += [p.info.identity for s in asked.destination_sids if (p := room.by_sid(s)) is not None]
        packet = models.DataPacket(
            kind=asked.kind,
            destination_identities=named,
            user=models.UserPacket(payload=asked.data, topic=asked.topic if asked.HasField("topic") else None),
        )
        room.data(packet, RELIABLE if asked.kind == models.DataPacket.RELIABLE else LOSSY, None)
        return api.SendDataResponse()

    def _room(self, name: str, grants: Grants) -> Room:
        grants.need_admin(name)
        room = self._house.rooms.get(name)
        if room is None:
            raise TwirpError("not_found", "requested room does not exist")
        return room

    def _participant(self, room: str, identity: str, grants: Grants) -> Participant:
        grants.need_admin(room)
        participant = self._house.participant(room, identity)
        if participant is None:
            raise TwirpError("not_found", "participant does not exist")
        return participant


async def _read(request: web.Request, into: Message, *, as_json: bool) -> Message:
    if not as_json and request.content_type != "application/protobuf":
        raise TwirpError("bad_route", f"unexpected Content-Type: {request.content_type!r}")
    if (request.content_length or 0) > _LARGEST:
        raise TwirpError("resource_exhausted", f"a request may have {_LARGEST} bytes")
    body = await request.read()
    try:
        if as_json:
            json_format.Parse(body or b"{}", into, ignore_unknown_fields=True)
        else:
            into.ParseFromString(body)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError):
        raise TwirpError("malformed", "the request cannot be read") from None
    return into
