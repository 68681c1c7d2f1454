"""What the LiveKit server does with each request of a participant's signalling connection."""

from __future__ import annotations

from livekit.protocol import models, rtc

from echostack.core.clock import Clock
from echostack.providers.livekit.participant import Participant

_METADATA = 64 * 1024  # bytes of metadata or of all attributes together


def take(participant: Participant, request: rtc.SignalRequest, clock: Clock) -> bool:
    """Do as asked. False where the participant leaves. ValueError where a description cannot be read."""
    kind = request.WhichOneof("message")
    if kind == "offer":
        participant.negotiation.take_offer(request.offer)
    elif kind == "answer":
        participant.negotiation.take_answer(request.answer)
    elif kind == "add_track":
        participant.add_track(request.add_track)
    elif kind == "mute":
        participant.mute(request.mute.sid, request.mute.muted)
    elif kind == "subscription":
        _subscribe(participant, request.subscription)
    elif kind == "track_setting":
        for track in request.track_setting.track_sids:
            outlet = participant.outlets.get(track)
            if outlet is not None:
                outlet.enabled = not request.track_setting.disabled
    elif kind == "update_metadata":
        _update(participant, request.update_metadata)
    elif kind == "ping":
        participant.send(rtc.SignalResponse(pong=_milliseconds(clock)))
    elif kind == "ping_req":
        pong = rtc.Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=_milliseconds(clock))
        participant.send(rtc.SignalResponse(pong_resp=pong))
    elif kind == "publish_data_track_request":
        participant.send(
            rtc.SignalResponse(
                request_response=rtc.RequestResponse(
                    reason=rtc.RequestResponse.UNSUPPORTED_TYPE,
                    message="this server forwards no data tracks",
                    publish_data_track=request.publish_data_track_request,
                )
            )
        )
    # The rest asks for nothing here: candidates (an ICE-lite server answers where the checks come from), layers of
    # video, and the state after a resume, which the server has kept.
    return bool(kind != "leave")


def _subscribe(participant: Participant, request: rtc.UpdateSubscription) -> None:
    tracks = list(request.track_sids)
    for one in request.participant_tracks:
        tracks.extend(one.track_sids)
    participant.choose(tracks, request.subscribe)


def _update(participant: Participant, request: rtc.UpdateParticipantMetadata) -> None:
    response = rtc.RequestResponse(request_id=request.request_id, update_metadata=request)
    size = len(request.metadata) + sum(len(k) + len(v) for k, v in request.attributes.items())
    if not participant.grants.can_update_own_metadata:
        response.reason, response.message = (
            rtc.RequestResponse.NOT_ALLOWED,
            "does not have permission to update own metadata",
        )
    elif size > _METADATA:
        response.reason, response.message = rtc.RequestResponse.LIMIT_EXCEEDED, "metadata size exceeds limits"
    else:
        describe(participant, request.metadata, request.name, dict(request.attributes))
    participant.send(rtc.SignalResponse(request_response=response))


def describe(participant: Participant, metadata: str, name: str, attributes: dict[str, str]) -> None:
    """Change what a participant says of itself; an empty attribute is taken away."""
    info: models.ParticipantInfo = participant.info
    if metadata:
        info.metadata = metadata
    if name:
        info.name = name
    for key, value in attributes.items():
        if value:
            info.attributes[key] = value
        else:
            info.attributes.pop(key, None)
    participant.room.tell(participant, itself=True)


def _milliseconds(clock: Clock) -> int:
    return int(clock.wall() * 1000)
