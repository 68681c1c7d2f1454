"""``ingress.livekit``: the caller is a participant of a LiveKit room."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from echostack.connectors.livekit import awaited
from echostack.connectors.livekit.awaited import Awaited
from echostack.connectors.livekit.caller import Attendance
from echostack.connectors.livekit.data import JOINED, LEFT, OWN_NAMES, RECONNECTED, RECONNECTING, participant, received
from echostack.connectors.livekit.ear import Cleaner, Ears, OnFrame, Processing
from echostack.connectors.livekit.mixer import Mixer
from echostack.connectors.livekit.probe import probe
from echostack.connectors.livekit.room import Ending, LiveKitRoom, RoomListener, Rooms
from echostack.connectors.livekit.settings import EXTRA, PACKAGES, LiveKitSettings
from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioFrame, Data, Dtmf
from echostack.registry import Context, Latency, connector

if TYPE_CHECKING:
    from livekit import rtc

_MESSAGES: Final = 256  # events that may wait for the graph
_GAP: Final = 0.2  # seconds without a frame after which there is silence in its place
_SECOND_LOOK: Final = 0.02
_PLAYED_MS: Final = 10


class LiveKitIngressSettings(LiveKitSettings):
    """Which room, whom to hear there, and how."""

    participant: str = ""
    """The identity of the caller; without one, the first to come who is not an agent."""
    others: Literal["ignore", "mix"] = "ignore"
    """What the other participants are: not heard, or mixed with the caller into one line. Agents are never heard."""
    rate: int = Field(16_000, ge=8_000, le=48_000, multiple_of=100)
    """Samples a second that it delivers, in Hz; the SDK converts from the 48 kHz of the room."""
    frame_ms: int = Field(20, ge=10, le=100, multiple_of=10)
    """The length of a frame, in milliseconds."""
    wait_for_caller: float = Field(60.0, gt=0, le=86_400)
    """Seconds to wait for the caller; the call ends when nobody comes."""
    rejoin: float = Field(5.0, ge=0, le=600)
    """Seconds that a caller who has left may take to come back, as a page that is loaded again does. A caller by phone
    who hangs up is gone at once."""
    echo_cancellation: bool = False
    """Take what the agent says out of what is heard. Browsers and telephones do this themselves; it is for far ends
    that do not, and needs egress.livekit in the same room."""
    echo_delay_ms: int = Field(150, ge=0, le=500)
    """A first guess of how long the agent's voice takes to come back as an echo, in milliseconds."""
    noise_suppression: bool = False
    """Take steady noise out of what is heard."""
    gain_control: bool = False
    """Bring quiet and loud voices to one level."""

    @property
    def processing(self) -> Processing:
        return Processing(self.echo_cancellation, self.noise_suppression, self.gain_control)


@connector(
    "ingress.livekit",
    output_format=lambda settings: AudioFormat(settings.rate),
    latency=Latency(p50=60, p95=150),
    network=True,
    packages=PACKAGES,
    extra=EXTRA,
)
class LiveKitIngress(RoomListener):
    """The caller is a participant of a LiveKit room.

    Frames are int16 mono at ``rate``, one line of them with the caller's identity as ``track``, in the order of time;
    from the first one on they never stop: where the room gives none (muted, away, reconnecting) there is silence of
    the length of the gap, so that a recogniser's clock stays right and turns end. When the call does not keep up, the
    oldest go, counted and told in the log at the end.

    Data packets of the caller and of the server (of everybody, with ``others: mix``) come as ``Data``, keys of a phone
    as ``Dtmf``; that somebody came or went, or that the connection is lost or back, as ``Data`` named
    ``participant_joined``, ``participant_left``, ``reconnecting`` and ``reconnected``. The call ends when the caller
    has left, when the room is closed, and when nobody comes. A connection that does not come back raises one
    ConnectorFailure, and so does a track of the caller that is published, and not muted, when nothing of it is heard
    for five seconds. Cancelling it closes what it listened to; the room is left by ``close``.

    Simulated: by the scenario's caller.
    """

    def __init__(self, settings: LiveKitIngressSettings, context: Context) -> None:
        self._settings, self._context, self._clock = settings, context, context.clock
        self._rooms = Rooms.of(context)
        self._rooms.enter(settings)
        self._room: LiveKitRoom | None = None
        self._attendance = Attendance(settings.participant, settings.wait_for_caller, settings.rejoin)
        self._tracks: dict[str, tuple[rtc.Track, str]] = {}
        self._messages: deque[Data | Dtmf] = deque()
        self._wake = asyncio.Event()
        self._ears = Ears(context.clock, settings.rate, self._wake.set)
        self._mixer = Mixer(settings.rate * settings.frame_ms // 1000, settings.frame_ms / 1000)
        self._cleaners: dict[str, Cleaner] = {}
        self._awaited = Awaited()
        self._present: dict[str, rtc.RemoteParticipant] = {}
        self._down = False  # the connection is lost and may come back
        self._ending: Ending | None = None
        self._heard_at: float | None = None  # up to when there has been audio, once there was any
        self._patience = _GAP
        self.hung_up = False
        """Whether nobody is there any more to hear what is still being said: the call ends without it."""
        self.lost_messages = 0
        self.refused_messages = 0

    @staticmethod
    async def probe(settings: LiveKitIngressSettings) -> None:
        """Raises when the room cannot be joined as it is set up, or the server does not answer."""
        await probe("ingress.livekit", settings)

    async def open(self) -> None:
        self._room = self._rooms.room(self._settings, self._context)
        await self._room.join(self)
        self._context.log("livekit room joined", place=self._room.place, seconds=round(self._room.connect_seconds, 3))

    async def run(self) -> AsyncIterator[AudioFrame | Data | Dtmf]:
        assert self._room is not None
        clock = self._clock
        self._attendance.begin(clock.now())
        if self._settings.echo_cancellation:
            self._listen_to_agent(self._room)
        try:
            while True:
                self._wake.clear()
                self._match()
                while self._messages:
                    yield self._messages.popleft()
                while (pcm := self._mixer.take(clock.now())) is not None:
                    self._heard_at, self._patience = clock.now(), _GAP
                    yield self._frame(pcm)
                why = self._over()
                if why:
                    self.hung_up = True
                    self._context.log("livekit call ended", why=why)
                    return
                await self._pause()
                if self._silent:
                    # Whatever is on its way through the loop at this instant is no gap: looked at twice.
                    await clock.sleep(_SECOND_LOOK if self._patience == _GAP else 0)
                    for _ in range(self._missing()):
                        yield self._frame(bytes(2 * (self._settings.rate * self._settings.frame_ms // 1000)))
        finally:
            await self._stop_listening()

    async def close(self) -> None:
        await self._stop_listening()
        self._tracks.clear()
        self._present.clear()
        if self._room is not None:
            await self._room.leave(self)
        lost = {"frames": self._mixer.dropped, "messages": self.lost_messages, "refused": self.refused_messages}
        if any(lost.values()):
            self._context.log("livekit ingress lost something", **lost)

    # -- audio -------------------------------------------------------------------------------------------------

    def _frame(self, pcm: bytes) -> AudioFrame:
        return AudioFrame(pcm, self._settings.rate, track=self._attendance.caller)

    def _match(self) -> None:
        """Listen to exactly those tracks that should be heard now."""
        wanted = {sid: track for sid, (track, who) in self._tracks.items() if self._is_heard(who)}
        for sid in self._ears.listening:
            if sid not in wanted and sid != _AGENT:
                self._ears.stop(sid)
                self._mixer.remove(sid)
                self._awaited.gone(sid)
                cleaner = self._cleaners.pop(sid, None)
                if cleaner is not None:
                    cleaner.close()
        for sid, track in wanted.items():
            if sid not in self._ears.listening:
                self._mixer.add(sid)
                self._awaited.gone(sid)
                self._ears.start(sid, track, self._settings.frame_ms, self._hearer(sid))
        self._awaited.update(() if self._down else self._audible(), self._clock.now())

    def _audible(self) -> list[str]:
        """The tracks of the caller by which he should be heard now, whether or not they can be received yet."""
        from livekit import rtc

        who = self._room_participant(self._attendance.caller) if self._attendance.present else None
        if who is None:
            return []
        return [
            sid
            for sid, p in who.track_publications.items()
            if p.kind == rtc.TrackKind.KIND_AUDIO
            and p.source != rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
            and not p.muted
        ]

    def _deaf(self, sid: str) -> ConnectorFailure:
        why = (
            "LiveKit's SDK gives no audio of it; make the call again"
            if sid in self._tracks
            else "the server does not give it to the agent; the token needs the grant canSubscribe"
        )
        return ConnectorFailure(
            f"{self._context.node}: {self._attendance.caller!r} is in the room with a track of his voice, and "
            f"nothing of it came within {awaited.FIRST_AUDIO:g} s: {why}"
        )

    def _is_heard(self, who: str) -> bool:
        caller = self._attendance.caller
        return bool(caller) and (who == caller or self._settings.others == "mix")

    def _hearer(self, sid: str) -> OnFrame:
        processing = self._settings.processing
        cleaner = Cleaner(self._settings.rate, processing, self._settings.echo_delay_ms) if processing else None
        if cleaner is not None:
            self._cleaners[sid] = cleaner

        def hear(pcm: bytes) -> None:
            self._awaited.came(sid)
            self._mixer.push(sid, cleaner.clean(pcm) if cleaner is not None else pcm, self._clock.now())

        return hear

    def _listen_to_agent(self, room: LiveKitRoom) -> None:
        if room.agent_track is None:
            raise ConnectorFailure(
                f"{self._context.node}: echo_cancellation needs to know what the agent plays, and there is no "
                "egress.livekit in the same room",
                retryable=False,
            )

        def plays(pcm: bytes) -> None:
            for cleaner in self._cleaners.values():
                cleaner.plays(pcm)

        self._ears.start(_AGENT, room.agent_track, _PLAYED_MS, plays)

    async def _stop_listening(self) -> None:
        await self._ears.close()
        for cleaner in self._cleaners.values():
            cleaner.close()
        self._cleaners.clear()

    @property
    def _silent(self) -> bool:
        return self._heard_at is not None and self._clock.now() >= self._heard_at + self._patience

    def _missing(self) -> int:
        """How many frames of silence stand for what did not come; none when something has come after all."""
        if self._heard_at is None or self._mixer.due() is not None:
            return 0
        seconds = self._settings.frame_ms / 1000
        count = max(0, int((self._clock.now() - self._heard_at) / seconds))
        self._heard_at += count * seconds
        self._patience = seconds  # from here on silence is frame by frame, until a frame comes
        return count

    # -- waiting and ending ------------------------------------------------------------------------------------

    def _over(self) -> str:
        if self._ears.error is not None:
            raise ConnectorFailure(f"{self._context.node}: a track cannot be heard: {self._ears.error}")
        if self._ending is not None:
            if self._ending.failure is not None:
                raise self._ending.failure
            return self._ending.why
        overdue = self._awaited.overdue(self._clock.now())
        if overdue:
            raise self._deaf(overdue)
        return self._attendance.over(self._clock.now())

    async def _pause(self) -> None:
        """Wait until something has come, or the next thing is due."""
        if self._wake.is_set():
            return
        gap = None if self._heard_at is None else self._heard_at + self._patience
        due = [d for d in (self._attendance.due(), self._mixer.due(), self._awaited.due(), gap) if d is not None]
        if not due:
            await self._wake.wait()
            return
        timer = self._clock.call_later(max(0.0, min(due) - self._clock.now()), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    # -- what the room tells -----------------------------------------------------------------------------------

    def joined(self, participant_: rtc.RemoteParticipant) -> None:
        new = participant_.identity not in self._present
        self._present[participant_.identity] = participant_
        self._attendance.joined(participant_.identity, agent=_is_agent(participant_))
        if new:
            self._say(participant(JOINED, participant_))

    def left(self, participant_: rtc.RemoteParticipant) -> None:
        if self._down:
            return  # the SDK begins anew with an empty room; who is really gone shows when it is back
        self._present.pop(participant_.identity, None)
        self._attendance.left(participant_.identity, self._clock.now(), final=_is_gone(participant_))
        self._say(participant(LEFT, participant_))

    def subscribed(self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: str) -> None:
        from livekit import rtc

        voice = track.kind == rtc.TrackKind.KIND_AUDIO and publication.source != (
            rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
        )
        if voice and not _is_agent(self._room_participant(who)):
            self._tracks[publication.sid] = (track, who)
            self._wake.set()
        else:
            publication.set_subscribed(False)  # nobody here looks at video

    def unsubscribed(self, sid: str) -> None:
        self._tracks.pop(sid, None)
        self._wake.set()

    def packet(self, packet: rtc.DataPacket) -> None:
        if not self._is_taken(packet.participant):
            return
        topic = packet.topic or ""
        if topic in OWN_NAMES:
            self.refused_messages += 1
            return
        self._say(received(topic, packet.data))

    def key(self, dtmf: rtc.SipDTMF) -> None:
        if self._is_taken(dtmf.participant):
            self._say(Dtmf(dtmf.digit))

    def reconnecting(self) -> None:
        if not self._down:
            self._down = True
            self._say(Data(RECONNECTING))

    def reconnected(self) -> None:
        self._down = False
        self._say(Data(RECONNECTED))
        for identity, who in list(self._present.items()):
            if self._room_participant(identity) is None:
                self.left(who)

    def ended(self, ending: Ending) -> None:
        self._ending = ending
        self._wake.set()

    def _is_taken(self, sender: rtc.RemoteParticipant | None) -> bool:
        return sender is None or self._is_heard(sender.identity)

    def _say(self, message: Data | Dtmf) -> None:
        if len(self._messages) >= _MESSAGES:
            self._messages.popleft()
            self.lost_messages += 1
        self._messages.append(message)
        self._wake.set()

    def _room_participant(self, who: str) -> rtc.RemoteParticipant | None:
        return None if self._room is None else self._room.sdk.remote_participants.get(who)


_AGENT: Final = "agent"  # under this name the ears hear what the agent plays


def _is_agent(who: rtc.RemoteParticipant | None) -> bool:
    from livekit import rtc

    return who is not None and who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


def _is_gone(who: rtc.RemoteParticipant) -> bool:
    """Whether somebody who has left cannot be on his way back."""
    from livekit import rtc

    reasons = rtc.DisconnectReason
    sent_away = (reasons.PARTICIPANT_REMOVED, reasons.ROOM_DELETED, reasons.ROOM_CLOSED, reasons.USER_REJECTED)
    hung_up = who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP and who.disconnect_reason in (
        reasons.CLIENT_INITIATED, reasons.USER_UNAVAILABLE, reasons.SIP_TRUNK_FAILURE
    )  # fmt: skip
    return who.disconnect_reason in sent_away or hung_up
