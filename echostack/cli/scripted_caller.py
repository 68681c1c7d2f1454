"""A caller who follows a script and listens: says a line when the agent is silent, or right into its words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from echostack.cli.call_lines import CallLines
from echostack.connectors.wav_writer import WavWriter
from echostack.core.clock import LoopClock
from echostack.core.payloads import AudioFrame
from echostack.simulation.voice import spoken

RATE, FRAME_SECONDS = 16_000, 0.02
FRAME = round(RATE * FRAME_SECONDS) * 2
_PATIENCE = 12.0


@dataclass(frozen=True, slots=True)
class Cue:
    """One line of the script: what to say, and when.

    after: seconds that the agent has to have been silent after it said something, or with ``into``, to have been
    speaking. A caller who has waited 12 s says the line anyway.
    """

    text: str
    after: float
    into: bool = False


class ScriptedCaller:
    """The frames of a caller, 20 ms each at the pace of the loop's clock, to be fed to a call as its ingress.

    ``lines`` is what the call tells about itself: who speaks. Everything said is written to ``path``, silence
    included, so that the file lies beside a recording of the agent. After the last cue the caller waits until the
    agent has been silent for ``patience`` seconds, and hangs up.
    """

    def __init__(self, script: Sequence[Cue], lines: CallLines, path: Path, *, patience: float = 3.0) -> None:
        self._script, self._lines, self._path, self._patience = script, lines, path, patience
        self._answers = 0  # times that the agent had spoken when the caller's last line was over

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """The caller's side of one call. ConnectorFailure when the file cannot be written."""
        said = [spoken(cue.text, RATE) for cue in self._script]
        writer = WavWriter(self._path, RATE)
        writer.open()
        try:
            clock = LoopClock()
            sent = 0
            async for pcm in self._pieces(said):
                sent += 1
                await clock.sleep(sent * FRAME_SECONDS - clock.now())
                writer.put((sent - 1) * FRAME // 2, pcm)
                yield AudioFrame(pcm, RATE)
        finally:
            writer.close()

    async def _pieces(self, said: Sequence[bytes]) -> AsyncIterator[bytes]:
        for cue, speech in zip(self._script, said, strict=True):
            async for silence in self._until(cue.after, cue.into):
                yield silence
            for start in range(0, len(speech), FRAME):
                yield speech[start : start + FRAME].ljust(FRAME, b"\0")
            self._answers = self._lines.utterances
        async for silence in self._until(self._patience, False):
            yield silence

    async def _until(self, seconds: float, speaking: bool) -> AsyncIterator[bytes]:
        """Silence until the agent has been speaking, or has spoken and been silent, for ``seconds`` without a break."""
        lasted = waited = 0.0
        while lasted < seconds and waited < _PATIENCE:
            yield bytes(FRAME)
            waited += FRAME_SECONDS
            answered = self._lines.utterances > self._answers
            lasted = lasted + FRAME_SECONDS if answered and self._lines.agent_speaks is speaking else 0.0
