"""The simulation of a voice-activity detector: voice in the caller's frames, with the delays of the node's settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from echostack.core.events import Event
from echostack.core.payloads import AudioFrame, SpeechStarted, SpeechStopped
from echostack.registry import ConnectorSpec, Simulator
from echostack.simulation.mock import knobs
from echostack.simulation.mock.hearing import Edge, HeardLine, VoiceGate
from echostack.simulation.world import World

START, HANGOVER = 0.06, 0.3
"""Seconds of voice that open a detector, and of silence that close it, where its settings do not say."""


class SimulatedDetector:
    """Tells when voice begins and ends in the frames that reach it, by their samples.

    It opens with the frame that completes ``start_ms`` of voice and closes with the one that completes ``hangover_ms``
    without, or by the clock where no frame comes. ``at`` is where in the audio voice began or ended, exactly. Costs
    about a microsecond a frame. ``close`` revokes its timer.
    """

    def __init__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> None:
        self._simulator = simulator
        self._produces = spec.produces
        self._line = HeardLine(world.speech)
        self._event: Event | None = None
        start = knobs.seconds(settings, knobs.START, START)
        hangover = knobs.seconds(settings, knobs.HANGOVER, HANGOVER)
        self._gate = VoiceGate(self._line, simulator.clock, start, hangover, self._by_clock)

    def at_once(self, event: Event) -> Sequence[SpeechStarted | SpeechStopped]:
        """The edges of voice that this frame shows, mostly none."""
        frame = event.payload
        if not isinstance(frame, AudioFrame):
            return ()
        self._event = event
        told: Sequence[SpeechStarted | SpeechStopped] = ()
        hear = self._gate.hear
        for stretch in self._line.take(frame, event.time):
            edge = hear(stretch)
            if edge is not None:
                told = (*told, *self._told(edge))
        return told

    async def answer(self, event: Event) -> AsyncIterator[SpeechStarted | SpeechStopped]:
        """The same, for a detector that is called in its own time."""
        for payload in self.at_once(event):
            yield payload

    async def close(self) -> None:
        """The call is over: the end of voice that was going on is nobody's concern."""
        self._gate.end()

    def _told(self, edge: Edge) -> Sequence[SpeechStarted | SpeechStopped]:
        payload = speech_edge(edge)
        return (payload,) if type(payload) in self._produces else ()

    def _by_clock(self, edge: Edge) -> None:
        for payload in self._told(edge):
            self._simulator.emit(payload, cause=self._event)


def speech_edge(edge: Edge) -> SpeechStarted | SpeechStopped:
    """``edge`` as it is told, to the microsecond."""
    if edge.began:
        return SpeechStarted(round(edge.at, 6))
    return SpeechStopped(round(edge.at, 6), round(edge.at - edge.began_at, 6))
