"""Descriptions between the LiveKit server and one participant: which section carries what, and who offers when.

With one connection only the participant offers. What is to be sent to it goes by a section that it offered to receive
by; where there is none left it is asked for more (``MediaSectionsRequirement``), and with none asked for it just offers
again. With two connections the server offers the second, one offer at a time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from livekit.protocol import models, rtc

from echostack.providers.livekit import sdp as sdp
from echostack.providers.livekit.media import Outlet, Publication

if TYPE_CHECKING:
    from echostack.providers.livekit.participant import Participant

_CHANNELS: Final = "application"
_SENDING: Final = ("sendonly", "sendrecv")


class Negotiation:
    """What has been described to one participant, and what is still to be."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self._receiving: dict[str, str] = {}  # the kinds of the sections that it offered to receive by
        self._published: set[str] = set()  # sections that it published by; they carry nothing the other way
        self._asked = {"audio": 0, "video": 0}  # sections that it was asked for and has not offered yet
        self._sections: list[sdp.Section] = []  # of our own offer, where there are two connections
        self._free: dict[str, str] = {}  # of those, the kinds of the ones that the participant knows to carry nothing
        self._resting: frozenset[str] = frozenset()  # those that our last offer says carry nothing
        self._offered = False  # an offer of ours is not answered yet
        self._due = False  # and another is to follow it

    def begin(self, offer: rtc.SessionDescription | None) -> None:
        """The first descriptions. offer: what the participant brought with its join."""
        if not self._participant.single:
            self._sections.append(sdp.Section("0", _CHANNELS))
            self._offer()
        if offer is not None:
            self.take_offer(offer)

    def negotiate(self) -> None:
        """Bring about a description that has every outlet in it."""
        waiting = [o for o in self._participant.outlets.values() if o.payload_type is None]
        if self._participant.closed or not waiting:
            return
        if not self._participant.single:
            self._offer()
            return
        taken = {o.mid for o in self._participant.outlets.values()}
        free = [kind for mid, kind in self._receiving.items() if mid not in taken]
        wanted = [o.kind for o in waiting if o.mid is None]
        short = {k: max(0, wanted.count(k) - free.count(k) - self._asked[k]) for k in self._asked}
        for kind, number in short.items():
            self._asked[kind] += number
        needed = rtc.MediaSectionsRequirement(num_audios=short["audio"], num_videos=short["video"])
        self._participant.send(rtc.SignalResponse(media_sections_requirement=needed))

    def take_offer(self, offer: rtc.SessionDescription) -> None:
        """Answer the participant's offer. ValueError where that cannot be read."""
        me = self._participant
        theirs = sdp.read(offer.sdp)
        waiting = deque(o for o in me.outlets.values() if o.mid is None) if me.single else deque[Outlet]()
        given = {o.mid: o for o in me.outlets.values() if o.mid is not None and me.single}
        ours: list[sdp.Section] = []
        carried: list[tuple[Outlet, sdp.Section]] = []
        fresh: list[Publication] = []
        ended: list[str] = []
        self._asked = {"audio": 0, "video": 0}
        self._receiving = {}
        for section in theirs.sections:
            reply = sdp.Section(section.mid, section.kind)
            live = next((p for p in me.publications.values() if p.mid == section.mid), None)
            if section.kind == _CHANNELS:
                pass
            elif section.direction in _SENDING:
                self._published.add(section.mid)
                publication = live or self._announced(section)
                if publication is not None:
                    reply.direction = "recvonly"
                    reply.track = publication.info.sid
                    reply.dtx = not publication.info.disable_dtx
                    reply.stereo = publication.info.stereo
                    me.receive(publication, section)
                    if not publication.live:
                        publication.mid = publication.info.mid = section.mid
                        fresh.append(publication)
            elif live is not None:
                ended.append(live.info.sid)
            elif section.direction == "recvonly" and section.mid not in self._published:
                self._receiving[section.mid] = section.kind
                outlet = given.get(section.mid) or _first(waiting, section.kind)
                if outlet is not None:
                    outlet.mid = section.mid
                    reply = outlet.section(section.mid)
                    carried.append((outlet, reply))
            ours.append(reply)
        if me.publisher.describe(theirs):
            me.note("ice restarted")
        text = sdp.answer(theirs, ours, me.publisher.agent, me.publisher.dtls, me.publisher.place)
        tracks = {s.mid: s.track for s in ours if s.track}
        answer = rtc.SessionDescription(type="answer", sdp=text, id=offer.id, mid_to_track_id=tracks)
        me.send(rtc.SignalResponse(answer=answer))
        for outlet, section in carried:
            me.flow(outlet, section.payload_type)
        for track in ended:
            me.unpublish(track)
        for publication in fresh:
            me.published(publication)
        if waiting:
            self.negotiate()

    def take_answer(self, answer: rtc.SessionDescription) -> None:
        """Take the participant's answer to our offer. ValueError where it cannot be read."""
        me = self._participant
        theirs = sdp.read(answer.sdp)
        me.subscriber.describe(theirs)
        self._offered = False
        self._free = {s.mid: s.kind for s in self._sections if s.mid in self._resting}
        types = {s.mid: s.payload_type for s in theirs.sections}
        for outlet in list(me.outlets.values()):
            if outlet.mid is not None and types.get(outlet.mid):
                me.flow(outlet, types[outlet.mid])
        if self._due:
            self._due = False
            self._offer()

    def restart(self) -> None:
        """Offer the second connection anew, with new ICE credentials: the participant resumes."""
        if not self._participant.single:
            self._participant.subscriber.agent.restart()
            self._offered = False
            self._offer()

    def dropped(self, outlet: Outlet) -> None:
        """Give back the section of an outlet that is no more.

        One connection: the participant's next offer does. Two: ours must say so first. What carries another track
        without having been silent in between is not noticed by SDKs.
        """
        for section in self._sections:
            if section.mid == outlet.mid:
                section.direction = "inactive"
                self._offer()

    def _offer(self) -> None:
        me = self._participant
        if me.closed:
            return
        if self._offered:
            self._due = True
            return
        for outlet in me.outlets.values():
            if outlet.mid is None:
                free = next((mid for mid, kind in self._free.items() if kind == outlet.kind), None)
                outlet.mid = free if free is not None else str(len(self._sections))
                section = outlet.section(outlet.mid)
                if free is None:
                    self._sections.append(section)
                else:
                    del self._free[free]
                    self._sections[int(free)] = section
        self._offered = True
        self._resting = frozenset(s.mid for s in self._sections if s.direction == "inactive" and s.kind != _CHANNELS)
        text = sdp.offer(self._sections, me.subscriber.agent, me.subscriber.dtls, me.subscriber.place)
        me.send(rtc.SignalResponse(offer=rtc.SessionDescription(type="offer", sdp=text)))

    def _announced(self, section: sdp.Section) -> Publication | None:
        """The announced publication that a section is of: by the track that it names, or else the first of its kind.

        The names differ where a track was taken back and is published again (so in LiveKit, ``getPendingTrack``).
        """
        audio = section.kind == "audio"
        pending = [
            p
            for p in self._participant.publications.values()
            if not p.live and (p.info.type == models.TrackType.AUDIO) == audio
        ]
        return next((p for p in pending if p.cid == section.track), pending[0] if pending else None)


def _first(waiting: deque[Outlet], kind: str) -> Outlet | None:
    """Take the first outlet of a kind out of those that wait."""
    found = next((o for o in waiting if o.kind == kind), None)
    if found is not None:
        waiting.remove(found)
    return found
