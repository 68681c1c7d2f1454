"""One participant of a room on the LiveKit server: its connections, what it publishes and what it subscribes to.

Two forms of connection, as LiveKit has them: one peer connection for both ways, which the participant alone offers and
renegotiates (``/rtc/v1``), or two, of which the server offers the one for what is subscribed to (``/rtc``).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from aiortc.rtcdtlstransport import RTCCertificate
from livekit.protocol import models, rtc

from echostack.core.clock import Clock
from echostack.providers import livekit_sdp as sdp
from echostack.providers.livekit_hearing import Hearing, Recording
from echostack.providers.livekit_ice import MediaSocket
from echostack.providers.livekit_media import Outlet, Publication, each_feedback, ssrc_of
from echostack.providers.livekit_room import CODECS, Room, sid
from echostack.providers.livekit_tokens import Grants
from echostack.providers.livekit_transport import RELIABLE, Transport

TRACKS: Final = 64
"""Tracks that one participant may publish."""

_EARLY: Final = 256  # messages to a participant whose data channels are not open yet
_CHANNELS: Final = "application"


class House(Protocol):
    """What a participant needs of the server."""

    ports: MediaSocket
    certificate: RTCCertificate

    @property
    def clock(self) -> Clock: ...

    def note(self, exchange: int, what: str, **data: Any) -> None:
        """Record something seen."""

    def gone(self, participant: Participant, why: str) -> None:
        """The participant's connection has ended."""


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
        self.copies = 1  # of each data message: two under the fault `duplicate`
        self.speak: Callable[[rtc.SignalResponse], None] | None = None  # to its signalling connection, if there is one
        self.closed = False
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
        self.last_sequence = 0  # of the reliable data packets that came from it
        self._by_ssrc: dict[int, Publication] = {}
        self._early: deque[tuple[str, bytes]] = deque(maxlen=_EARLY)
        self._outlet_by_ssrc: dict[int, Outlet] = {}
        self._slots: dict[str, str] = {}  # the kinds of the sections that it offers to receive by
        self._sending: set[str] = set()  # sections that it published by; they carry nothing the other way
        self._asked = {"audio": 0, "video": 0}  # sections that it was asked for and has not offered yet
        self._sections: list[
            sdp.Section
        ] = []  # of the offer for what is subscribed to, where there are two connections
        self._offer_out = False
        self._offer_due = False
        self.publisher = Transport(house.ports, house.certificate, self)
        self.subscriber = self.publisher if single else Transport(house.ports, house.certificate, _Listener(self))

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

    def send_message(self, label: str, message: bytes) -> bool:
        """Send a data packet; one that comes before its channels are open waits for them."""
        if not self.subscriber.open(label):
            if label != RELIABLE or self.closed:
                return False
            self._early.append((label, message))
            return True
        while self._early:
            self.subscriber.send_message(*self._early.popleft())
        sent = True
        for _ in range(self.copies):
            sent = self.subscriber.send_message(label, message) and sent
        return sent

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
            self._house.note(self.exchange, "muted" if muted else "unmuted", **self._who(), track=track)
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
        self._house.note(self.exchange, "unpublished", **self._who(), track=track, packets=publication.packets)
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

    def unsubscribe(self, track: str) -> None:
        """Have a publication sent to it no longer."""
        self.drop(track)

    def drop(self, track: str) -> None:
        """Forget the subscription to a track, and give its section back."""
        outlet = self.outlets.pop(track, None)
        if outlet is None:
            return
        outlet.payload_type = None
        outlet.publication.outlets.pop(self.info.sid, None)
        self._outlet_by_ssrc.pop(outlet.ssrc, None)
        for section in self._sections:
            if section.mid == outlet.mid:
                section.direction = "inactive"

    def follow(self) -> None:
        """Subscribe to all that the others publish, if it wants that, and negotiate what is new."""
        if self.auto_subscribe:
            self._subscribe_to_all()
        self.negotiate()

    def negotiate(self) -> None:
        """Bring about a description that has every outlet in it."""
        waiting = [o for o in self.outlets.values() if o.payload_type is None]
        if self.closed or not waiting:
            return
        if not self.single:
            self._offer()
            return
        # It alone offers. Asked for no sections it offers those that it has: a free one may be among them.
        kinds = [o.section("", "").kind for o in waiting]
        free = self._free()
        short = {k: max(0, kinds.count(k) - free.get(k, 0) - self._asked[k]) for k in ("audio", "video")}
        for kind, number in short.items():
            self._asked[kind] += number
        self.send(
            rtc.SignalResponse(
                media_sections_requirement=rtc.MediaSectionsRequirement(
                    num_audios=short["audio"], num_videos=short["video"]
                )
            )
        )

    # -- descriptions

    def take_offer(self, offer: rtc.SessionDescription) -> None:
        """Answer its offer. ValueError where that cannot be read."""
        theirs = sdp.read(offer.sdp)
        fresh: list[Publication] = []
        ended: list[str] = []
        waiting = deque(o for o in self.outlets.values() if o.mid is None)
        given = {o.mid: o for o in self.outlets.values() if o.mid is not None}
        ours: list[sdp.Section] = []
        mids: dict[str, str] = {}
        ready: list[Outlet] = []
        self._asked = {"audio": 0, "video": 0}
        for section in theirs.sections:
            reply = sdp.Section(section.mid, section.kind)
            ours.append(reply)
            if section.kind == _CHANNELS:
                continue
            live = next((p for p in self.publications.values() if p.mid == section.mid), None)
            if live is not None and section.direction not in ("sendonly", "sendrecv"):
                ended.append(live.info.sid)
            self._sending |= {section.mid} if section.direction in ("sendonly", "sendrecv") else set()
            if section.direction in ("sendonly", "sendrecv"):
                publication = self._announced(section)
                if publication is not None:
                    reply.direction = "recvonly"
                    reply.dtx = not publication.info.disable_dtx
                    reply.stereo = publication.info.stereo
                    self._publish(publication, section)
                    mids[section.mid] = publication.info.sid
                    if not publication.live:
                        publication.mid = publication.info.mid = section.mid
                        fresh.append(publication)
            elif section.direction == "recvonly" and self.single and section.mid not in self._sending:
                outlet = given.get(section.mid)
                if outlet is None:
                    outlet = next((o for o in waiting if o.section("", "").kind == section.kind), None)
                    if outlet is not None:
                        waiting.remove(outlet)
                        outlet.mid = section.mid
                if outlet is not None:
                    reply = ours[-1] = outlet.section(section.mid, _stream(outlet))
                    mids[section.mid] = outlet.publication.info.sid
                    ready.append(outlet)
        restart = self.publisher.describe(theirs)
        if restart:
            self._house.note(self.exchange, "ice restarted", **self._who())
        text = sdp.answer(theirs, ours, self.publisher.agent, self.publisher.dtls, self.publisher.place)
        self.send(
            rtc.SignalResponse(
                answer=rtc.SessionDescription(type="answer", sdp=text, id=offer.id, mid_to_track_id=mids)
            )
        )
        payload_types = {s.mid: s.payload_type for s in ours}
        for outlet in ready:
            self._flow(outlet, payload_types[outlet.mid or ""])
        self._slots = {s.mid: s.kind for s, o in zip(theirs.sections, ours, strict=True) if s.direction == "recvonly"}
        for track in ended:
            self.unpublish(track)
        for publication in fresh:
            self._published(publication)
        if waiting:
            self.negotiate()

    def take_answer(self, answer: rtc.SessionDescription) -> None:
        """Take its answer to our offer. ValueError where that cannot be read."""
        theirs = sdp.read(answer.sdp)
        self.subscriber.describe(theirs)
        self._offer_out = False
        types = {s.mid: s.payload_type for s in theirs.sections}
        for outlet in self.outlets.values():
            if outlet.mid is not None and types.get(outlet.mid):
                self._flow(outlet, types[outlet.mid])
        if self._offer_due:
            self._offer_due = False
            self._offer()

    def begin(self, tracks: Iterable[rtc.AddTrackRequest], offer: rtc.SessionDescription | None) -> None:
        """Take what it brought with its join, and have all that is there sent to it."""
        for request in tracks:
            self.add_track(request)
        if self.auto_subscribe:
            self._subscribe_to_all()
        if not self.single:
            self._sections.append(sdp.Section("0", _CHANNELS))
            self._offer()
        elif offer is not None:
            self.take_offer(offer)

    def restart_ice(self) -> None:
        """Offer the connection for what is subscribed to anew, with new ICE credentials: it resumes."""
        if not self.single:
            self.subscriber.agent.restart()
            self._offer_out = False
            self._offer()

    # -- what its connections tell (`Ends`)

    def connected(self) -> None:
        if self.info.state != models.ParticipantInfo.ACTIVE:
            self.info.state = models.ParticipantInfo.ACTIVE
            self._house.note(self.exchange, "connected", **self._who())
            self.room.tell(self, itself=True)

    def lost(self, why: str) -> None:
        if not self.closed:
            self._house.note(self.exchange, "media lost", **self._who(), why=why)

    def opened(self) -> None:
        """Its data channels are open: what waited goes out."""
        while self._early:
            self.subscriber.send_message(*self._early.popleft())

    def media(self, packet: bytes) -> None:
        publication = self._by_ssrc.get(ssrc_of(packet))
        if publication is not None:
            publication.media(packet)

    def feedback(self, packet: bytes) -> None:
        each_feedback(packet, self._report, self._keyframe)

    def message(self, label: str, message: bytes) -> None:
        if not self.grants.can_publish_data or len(message) > sdp.LARGEST_MESSAGE:
            self._house.note(self.exchange, "data refused", **self._who(), bytes=len(message))
            return
        try:
            packet = models.DataPacket.FromString(message)
        except ValueError:
            self._house.note(self.exchange, "malformed", **self._who(), bytes=len(message))
            return
        if label == RELIABLE and packet.sequence:
            if packet.sequence <= self.last_sequence:  # said again after it resumed
                return
            self.last_sequence = packet.sequence
        packet.participant_sid, packet.participant_identity = self.info.sid, self.info.identity
        if packet.HasField("user"):
            if not packet.destination_identities:
                packet.destination_identities.extend(packet.user.destination_identities)
            packet.user.participant_sid, packet.user.participant_identity = self.info.sid, self.info.identity
        reached = self.room.data(packet, label, self)
        self._house.note(
            self.exchange,
            "data",
            **self._who(),
            kind=packet.WhichOneof("value") or "",
            topic=packet.user.topic if packet.HasField("user") else "",
            payload=bytes(packet.user.payload) if packet.HasField("user") else b"",
            reliable=label == RELIABLE,
            reached=reached,
        )

    # -- recordings, and the end

    def listen(self, recording: Recording) -> None:
        """Have what it says recorded, on all its audio tracks, those to come included."""
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
        self._early.clear()
        await self.publisher.close()
        if self.subscriber is not self.publisher:
            await self.subscriber.close()
        for recording in self.recordings:
            recording.closed = True

    # -- inside

    def _announced(self, section: sdp.Section) -> Publication | None:
        """The publication that a section is of: by the track it names, or else the first announced one of its kind.

        The names differ where a track was taken back and is published again (so in LiveKit, ``getPendingTrack``).
        """
        by_mid = next((p for p in self.publications.values() if p.mid == section.mid), None)
        by_cid = next((p for p in self.publications.values() if p.cid == section.track), None)
        audio = section.kind == "audio"
        pending = (
            p for p in self.publications.values() if not p.live and (p.info.type == models.TrackType.AUDIO) == audio
        )
        return by_mid or by_cid or next(pending, None)

    def _subscribe_to_all(self) -> None:
        for other in self.room.others(self):
            for publication in other.publications.values():
                if publication.live:
                    self.subscribe(other, publication)

    def _who(self) -> dict[str, Any]:
        return {"room": self.room.name, "identity": self.info.identity}

    def _free(self) -> dict[str, int]:
        taken = {o.mid for o in self.outlets.values()}
        free = {"audio": 0, "video": 0}
        for mid, kind in self._slots.items():
            if mid not in taken and kind in free:
                free[kind] += 1
        return free

    def _publish(self, publication: Publication, section: sdp.Section) -> None:
        publication.payload_type = section.payload_type
        publication.ssrcs = section.ssrcs
        for ssrc in section.ssrcs:
            self._by_ssrc[ssrc] = publication

    def _published(self, publication: Publication) -> None:
        self.info.is_publisher = True
        info = publication.info
        self._house.note(
            self.exchange,
            "published",
            **self._who(),
            track=info.sid,
            name=info.name,
            kind="audio" if info.type == models.TrackType.AUDIO else "video",
        )
        self.room.tell(self, itself=True)
        for other in self.room.others(self):
            other.follow()

    def _flow(self, outlet: Outlet, payload_type: int) -> None:
        if outlet.payload_type is not None:
            return
        outlet.payload_type = payload_type
        info = outlet.publication.info
        self._house.note(self.exchange, "subscribed", **self._who(), track=info.sid)
        found = self.room.publication(info.sid)
        if found is not None:
            found[0].send(rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=info.sid)))

    def _offer(self) -> None:
        if self._offer_out:
            self._offer_due = True
            return
        taken = {o.mid for o in self.outlets.values()}
        for outlet in self.outlets.values():
            if outlet.mid is None:
                kind = outlet.section("", "").kind
                free = next((s for s in self._sections if s.kind == kind and s.mid not in taken), None)
                outlet.mid = free.mid if free is not None else str(len(self._sections))
                taken.add(outlet.mid)
                section = outlet.section(outlet.mid, _stream(outlet))
                if free is not None:
                    self._sections[self._sections.index(free)] = section
                else:
                    self._sections.append(section)
        self._offer_out = True
        text = sdp.offer(self._sections, self.subscriber.agent, self.subscriber.dtls, self.subscriber.place)
        self.send(rtc.SignalResponse(offer=rtc.SessionDescription(type="offer", sdp=text)))

    def _heard(self, info: models.TrackInfo, voiced: bool, at: float, level: float) -> None:
        self._house.note(
            self.exchange, "voiced" if voiced else "silent", **self._who(), track=info.sid, at=at, level=level
        )
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
        self._participant.message(label, message)


def _stream(outlet: Outlet) -> str:
    return f"{outlet.cname}|{outlet.publication.info.sid}"
