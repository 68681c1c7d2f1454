"""One participant of a room on the LiveKit server: its connections, what it publishes and what it subscribes to.

Two forms of connection, as LiveKit has them: one peer connection for both ways, which the participant alone offers and
renegotiates (``/rtc/v1``), or two, of which the server offers the one for what is subscribed to (``/rtc``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from livekit.protocol import models, rtc

from echostack.providers.livekit import sdp as sdp
from echostack.providers.livekit.data import Inbox, Outbox
from echostack.providers.livekit.hearing import Hearing, Recording
from echostack.providers.livekit.media import Outlet, Publication, each_feedback, ssrc_of
from echostack.providers.livekit.negotiation import Negotiation
from echostack.providers.livekit.room import CODECS, Room, sid
from echostack.providers.livekit.tokens import Grants
from echostack.providers.livekit.transport import Transport

if TYPE_CHECKING:
    from echostack.providers.livekit.house import House

TRACKS: Final = 64
"""Tracks that one participant may publish."""


class Participant:
    """One participant from its join to its end. ``exchange`` numbers its signalling connection."""

    def __init__(self, house: House, room: Room, grants: Grants, *, exchange: int, single: bool) -> None:
        self._house = house
        self._clock = house.clock
        self.room = room
        self.grants = grants
        self.exchange = exchange
        self.single = single
        self.auto_subscribe = True
        self.speak: Callable[[rtc.SignalResponse], None] | None = None  # to its signalling connection, if there is one
        self.closed = False
        self.hung_up = False  # it closed its media connection, or that never came about
        now = self._clock.wall()
        self.info = models.ParticipantInfo(
            sid=sid("PA"),
            identity=grants.identity,
            name=grants.name,
            metadata=grants.metadata,
            attributes=grants.attributes,
            state=models.ParticipantInfo.JOINED,
            joined_at=int(now),
            joined_at_ms=int(now * 1000),
            permission=grants.permission(),
            kind=grants.kind,  # type: ignore[arg-type]
        )
        self.publications: dict[str, Publication] = {}  # by track sid
        self.outlets: dict[str, Outlet] = {}  # by the track sid of what is subscribed to
        self.recordings: list[Recording] = []
        self._by_ssrc: dict[int, Publication] = {}
        self._outlet_by_ssrc: dict[int, Outlet] = {}
        self.publisher = Transport(house.ports, house.certificate, self)
        self.subscriber = self.publisher if single else Transport(house.ports, house.certificate, _Listener(self))
        self.negotiation = Negotiation(self)
        self.inbox = Inbox(self)
        self.outbox = Outbox(self.subscriber)

    def note(self, what: str, **data: Any) -> None:
        """Record something seen of it."""
        self._house.note(self.exchange, what, room=self.room.name, identity=self.info.identity, **data)

    # -- what it is told

    def send(self, message: rtc.SignalResponse) -> None:
        """Send by its signalling connection; lost while it has none."""
        if self.speak is not None:
            self.speak(message)

    def public(self) -> models.ParticipantInfo:
        """What the others know of it."""
        info = models.ParticipantInfo()
        info.CopyFrom(self.info)
        del info.tracks[:]
        info.tracks.extend(p.info for p in self.publications.values() if p.live)
        return info

    # -- publishing

    def add_track(self, request: rtc.AddTrackRequest) -> None:
        """Announce a track; it is published when an offer with its section has come."""
        if not self.grants.can_publish or len(self.publications) >= TRACKS:
            reason = rtc.RequestResponse.LIMIT_EXCEEDED if self.grants.can_publish else rtc.RequestResponse.NOT_ALLOWED
            self.send(
                rtc.SignalResponse(
                    request_response=rtc.RequestResponse(reason=reason, message="not published", add_track=request)
                )
            )
            return
        known = next((p for p in self.publications.values() if p.cid == request.cid), None)
        if known is not None:
            if not known.live:
                self.send(
                    rtc.SignalResponse(track_published=rtc.TrackPublishedResponse(cid=request.cid, track=known.info))
                )
            return
        audio = request.type == models.TrackType.AUDIO
        info = models.TrackInfo(
            sid=sid("TR"),
            type=request.type,
            name=request.name,
            source=request.source,
            muted=request.muted,
            width=request.width,
            height=request.height,
            disable_dtx=request.disable_dtx,
            disable_red=True,
            stereo=request.stereo,
            stream=request.stream,
            encryption=request.encryption,
            mime_type=CODECS[0 if audio else 1].mime,
        )
        hearing = None
        if audio:
            hearing = Hearing(self._clock, lambda voiced, at, level: self._heard(info, voiced, at, level))
            hearing.recordings.extend(self.recordings)
        self.publications[info.sid] = Publication(request.cid, info, hearing)
        self.send(rtc.SignalResponse(track_published=rtc.TrackPublishedResponse(cid=request.cid, track=info)))

    def mute(self, track: str, muted: bool, *, by_server: bool = False) -> bool:
        """Mute or unmute a track of its own. False where there is none of that sid."""
        publication = self.publications.get(track)
        if publication is None:
            return False
        if publication.info.muted != muted:
            publication.info.muted = muted
            self.note("muted" if muted else "unmuted", track=track)
            self.room.tell(self)
        if by_server:
            publication.held = muted
            self.send(rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid=track, muted=muted)))
        elif not muted:
            publication.held = False
        return True

    def unpublish(self, track: str) -> None:
        """End a publication: those who listened hear of it."""
        publication = self.publications.pop(track, None)
        if publication is None:
            return
        for ssrc in publication.ssrcs:
            self._by_ssrc.pop(ssrc, None)
        for other in self.room.others(self):
            other.drop(track)
        publication.close()
        self.info.is_publisher = any(p.live for p in self.publications.values())
        self.room.count()
        self.note("unpublished", track=track, packets=publication.packets)
        if not self.closed:
            self.send(rtc.SignalResponse(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=track)))
            self.room.tell(self, itself=True)

    # -- subscribing

    def subscribe(self, publisher: Participant, publication: Publication) -> None:
        """Have a publication sent to it from the next description on."""
        if self.closed or publication.info.sid in self.outlets or not self.grants.can_subscribe:
            return
        outlet = Outlet(publication, self.subscriber, publisher.info.sid)
        self.outlets[publication.info.sid] = outlet
        self._outlet_by_ssrc[outlet.ssrc] = outlet
        publication.outlets[self.info.sid] = outlet

    def choose(self, tracks: Iterable[str], wanted: bool) -> None:
        """Subscribe to tracks, or no longer, as it asks itself or an administrator does for it."""
        for track in tracks:
            found = self.room.publication(track)
            if not wanted:
                self.drop(track)
            elif found is not None and found[1].live and found[0] is not self:
                self.subscribe(*found)
        self.negotiation.negotiate()

    def drop(self, track: str) -> None:
        """Forget the subscription to a track, and give its section back."""
        outlet = self.outlets.pop(track, None)
        if outlet is None:
            return
        outlet.payload_type = None
        outlet.publication.outlets.pop(self.info.sid, None)
        self._outlet_by_ssrc.pop(outlet.ssrc, None)
        self.negotiation.dropped(outlet)

    def begin(self, tracks: Iterable[rtc.AddTrackRequest], offer: rtc.SessionDescription | None) -> None:
        """Take what it brought with its join, and have all that is there sent to it."""
        for request in tracks:
            self.add_track(request)
        if self.auto_subscribe:
            self.subscribe_to_all()
        self.negotiation.begin(offer)

    def subscribe_to_all(self) -> None:
        """Have everything sent to it that the others publish."""
        for other in self.room.others(self):
            for publication in other.publications.values():
                if publication.live:
                    self.subscribe(other, publication)

    def follow(self) -> None:
        """Subscribe to all that the others publish, if it wants that, and negotiate what is new."""
        if self.auto_subscribe:
            self.subscribe_to_all()
        self.negotiation.negotiate()

    # -- what its descriptions tell (`Negotiation`)

    def receive(self, publication: Publication, section: sdp.Section) -> None:
        """Take the packets of a section as those of a publication."""
        publication.payload_type = section.payload_type
        publication.ssrcs = section.ssrcs
        for ssrc in section.ssrcs:
            self._by_ssrc[ssrc] = publication

    def published(self, publication: Publication) -> None:
        """A publication is negotiated: everyone hears of it and may have it."""
        self.info.is_publisher = True
        self.room.count()
        info = publication.info
        kind = "audio" if info.type == models.TrackType.AUDIO else "video"
        self.note("published", track=info.sid, name=info.name, kind=kind)
        self.room.tell(self, itself=True)
        for other in self.room.others(self):
            other.follow()

    def flow(self, outlet: Outlet, payload_type: int) -> None:
        """An outlet is negotiated: its packets go out from here on."""
        if outlet.payload_type is not None:
            return
        outlet.payload_type = payload_type
        info = outlet.publication.info
        self.note("subscribed", track=info.sid)
        found = self.room.publication(info.sid)
        if found is not None:
            found[0].send(rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=info.sid)))

    # -- what its connections tell (`Ends`)

    def connected(self) -> None:
        if self.info.state != models.ParticipantInfo.ACTIVE:
            self.info.state = models.ParticipantInfo.ACTIVE
            self.note("connected")
            self.room.tell(self, itself=True)

    def lost(self, why: str) -> None:
        if not self.closed:
            self.hung_up = True
            self.note("media closed", why=why)
            if self.speak is None:
                self._house.linger(self)

    def opened(self) -> None:
        self.outbox.opened()

    def media(self, packet: bytes) -> None:
        publication = self._by_ssrc.get(ssrc_of(packet))
        if publication is not None:
            publication.media(packet)

    def feedback(self, packet: bytes) -> None:
        each_feedback(packet, self._report, self._keyframe)

    def message(self, label: str, message: bytes) -> None:
        self.inbox.take(label, message)

    # -- recordings, and the end

    def listen(self, recording: Recording) -> None:
        """Have what it says recorded, on all its audio tracks, those to come included."""
        recording.closed = False
        self.recordings.append(recording)
        for publication in self.publications.values():
            if publication.hearing is not None:
                publication.hearing.recordings.append(recording)

    def darken(self) -> None:
        """Lose its media connections' datagrams, as when the network went."""
        self.publisher.agent.darken()
        self.subscriber.agent.darken()

    async def close(self, reason: int) -> None:
        """End everything of it and tell the others. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self.info.state = models.ParticipantInfo.DISCONNECTED
        self.info.disconnect_reason = reason  # type: ignore[assignment]
        for track in list(self.publications):
            self.unpublish(track)
        for track in list(self.outlets):
            self.drop(track)
        self.room.leave(self)
        self.outbox.close()
        await self.publisher.close()
        if self.subscriber is not self.publisher:
            await self.subscriber.close()
        for recording in self.recordings:
            recording.closed = True

    # -- inside

    def _heard(self, info: models.TrackInfo, voiced: bool, at: float, level: float) -> None:
        self.note("voiced" if voiced else "silent", track=info.sid, at=at, level=level)
        if not self.closed:
            self.room.tell_speakers(self, level if voiced else 0.0, voiced)

    def _report(self, ssrc: int, packet: bytes) -> None:
        publication = self._by_ssrc.get(ssrc)
        if publication is not None:
            publication.report(packet)

    def _keyframe(self, ssrc: int, packet: bytes) -> None:
        outlet = self._outlet_by_ssrc.get(ssrc)
        if outlet is None or not outlet.publication.ssrcs:
            return
        found = self.room.publication(outlet.publication.info.sid)
        if found is not None:
            source = struct.pack("!I", outlet.publication.ssrcs[0])
            found[0].publisher.send_feedback(packet[:8] + source + packet[12:])


class _Listener:
    """The ends of the second connection, by which the server only sends."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant

    def connected(self) -> None:
        """The first connection tells."""

    def opened(self) -> None:
        self._participant.opened()

    def lost(self, why: str) -> None:
        self._participant.lost(why)

    def media(self, packet: bytes) -> None:
        """None is to come."""

    def feedback(self, packet: bytes) -> None:
        self._participant.feedback(packet)

    def message(self, label: str, message: bytes) -> None:
        """It announces no channels here."""
