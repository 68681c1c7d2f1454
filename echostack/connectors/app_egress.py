"""``egress.app``: the speech goes to the program that embeds the graph."""

from __future__ import annotations

from pydantic import Field

from echostack.core.audio import AudioFormat
from echostack.registry import AudioSink, ConnectorSettings, connector


class AppEgressSettings(ConnectorSettings):
    """What the program takes, and how far ahead of the ear."""

    rate: int = Field(24_000, ge=8_000, le=192_000)
    """Samples a second of the frames it is given, in Hz; mono."""
    lead_ms: int = Field(100, ge=20, le=2_000)
    """How much audio may be on its way to the ear, in milliseconds."""


@connector("egress.app", output_format=lambda settings: AudioFormat(settings.rate))
class AppEgress(AudioSink):
    """The speech goes to the program that embeds the graph, as ``egress.app.audio_chunk`` events paced for playing.

    The program reads them from ``call.events("egress.app.audio_chunk")``; on ``control.barge_in.committed`` (and
    ``suspended``) it drops what its own far end has not played. Playout is counted by the session's clock.

    Simulated: by a far end that knows to the sample what was heard.
    """

    def __init__(self, settings: AppEgressSettings) -> None:
        self._format = AudioFormat(settings.rate)
        self.lead = settings.lead_ms / 1000

    @property
    def format(self) -> AudioFormat:
        return self._format

    def write(self, pcm: bytes) -> None:
        """The frame's event carries it."""

    def clear(self) -> None:
        """The program learns of it by the barge-in's own events."""
