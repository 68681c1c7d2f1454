"""What was heard of the agent, put at its time on a track: the pauses between are silence on it."""

from __future__ import annotations

from echostack.core.events import Event
from echostack.recording.format import AudioRef, PlayedEntry
from echostack.recording.tracks import Tracks, TrackWriter

HEARD = ".heard"
"""What the track of an egress ends in."""


class _Run:
    """Audio that was heard without a pause and for one event, as far as it has been told of."""

    __slots__ = ("at", "egress", "samples", "seq", "time", "track")

    def __init__(self, egress: str, track: TrackWriter, seq: int) -> None:
        self.egress, self.track, self.seq = egress, track, seq
        self.at, self.samples, self.time = track.end, 0, 0.0

    def entry(self) -> PlayedEntry:
        track = self.track
        audio = AudioRef(track.name, self.at, self.samples)
        return PlayedEntry(self.time, self.egress, self.seq, self.at / track.form.rate, audio)


class Heard:
    """The far ends of one call. slack: seconds of lateness that are no pause."""

    def __init__(self, tracks: Tracks, slack: float) -> None:
        self._tracks, self._slack = tracks, slack
        self._runs: dict[str, _Run] = {}
        self._formats: dict[str, tuple[int, int, TrackWriter]] = {}

    def put(self, egress: str, event: Event, pcm: bytes, rate: int, now: float) -> PlayedEntry | None:
        """Add audio whose last sample sounded at ``now``. The run before it, when this one does not continue it."""
        channels = getattr(event.payload, "channels", 1)
        known = self._formats.get(egress)
        if known is None or known[0] != rate or known[1] != channels:
            known = rate, channels, self._tracks.track(f"{egress}{HEARD}", rate, channels)
            self._formats[egress] = known
        track = known[2]
        pause = round(now * rate) - len(pcm) // (2 * channels) - track.end
        run, before = self._runs.get(egress), None
        if pause > self._slack * rate:
            track.skip(pause)
            run, before = None, run
        elif run is not None and (run.seq != event.seq or run.track is not track):
            run, before = None, run
        if run is None:
            run = self._runs[egress] = _Run(egress, track, event.seq)
        run.samples += track.put(pcm).samples
        run.time = now
        return before.entry() if before is not None else None

    def told(self) -> list[PlayedEntry]:
        """Every run that has not been told of; what follows is a run of its own."""
        runs, self._runs = self._runs, {}
        return [run.entry() for run in runs.values()]
