"""What the engine tells of a simulated call: times and budgets in scenarios, data to a far end as its writes."""

from __future__ import annotations

from pathlib import Path

from echostack.api import default_registry
from echostack.core.audio import AudioFormat
from echostack.core.payloads import AudioChunk, AudioChunkStream, Data, Text
from echostack.registry import AudioSink, Registry, connector
from echostack.simulation.outcome import Outcome
from echostack.testing.bench import Bench

CALL = """
echostack: 1
budget: {voice_to_voice: 100ms}
pipeline:
  - ingress.mic.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.room.audio_chunk
  - moonshine.stt -> acme.note -> egress.room.data
tests:
  - name: a question
    caller:
      - say: When are you open?
      - listen: 500ms
      - hang up
    connectors: {faq.agent: {replies: [{say: From nine to five.}]}}
    expect: [EXPECT]
"""


@connector("acme.note")
def note(text: Text) -> Data:
    """Notes that something was said."""
    return Data("heard", {"text": text.text})


@connector("egress.room")
class Room(AudioSink):
    """A far end with a channel for data."""

    consumes = (AudioChunkStream, AudioChunk, Data)

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(24_000)

    def write(self, pcm: bytes) -> None: ...

    def clear(self) -> None: ...

    def take(self, payload: Data) -> None: ...


def known() -> Registry:
    return default_registry().add(note, Room)


def call(tmp_path: Path, expect: str) -> Outcome:
    path = tmp_path / "call.echo"
    path.write_text(CALL.replace("[EXPECT]", expect))
    bench = Bench(registry=known())
    return bench.outcome(path, bench.scenario(path, "a question"))


def test_a_scenario_can_expect_how_long_a_reply_took_and_who_took_it(tmp_path: Path) -> None:
    outcome = call(
        tmp_path,
        "[{event: control.call.turn_timed, where: voice_to_voice_ms < 3000 and endpointing_ms > 0, times: 1},"
        " {event: control.budget.exceeded, where: 'budget_ms == 100 and slowest != \"\"', times: 1}]",
    )
    assert [f.what for f in outcome.failures] == []
    (timed,) = [e.payload for e in outcome.events if e.name == "control.call.turn_timed"]
    assert [s.node for s in timed.stages] == ["piper.tts"]
    assert outcome.stats is not None
    assert outcome.stats.budget_exceeded == 1


def test_an_expectation_of_a_time_that_was_not_kept_fails(tmp_path: Path) -> None:
    outcome = call(tmp_path, "[{event: control.call.turn_timed, where: voice_to_voice_ms < 10}]")
    assert len(outcome.failures) == 1


def test_what_a_far_end_takes_besides_audio_is_written_by_it(tmp_path: Path) -> None:
    outcome = call(tmp_path, "[{written: egress.room, where: 'name == \"heard\"', times: 1}]")
    assert [f.what for f in outcome.failures] == []
    (write,) = outcome.stores["egress.room"].writes
    assert write.data == {"kind": "data", "name": "heard", "data": {"text": "When are you open?"}}
