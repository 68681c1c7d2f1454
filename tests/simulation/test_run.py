"""One simulated call from end to end: real nodes among simulated ones, deadlines, crashes, and one seed, one trace."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

import echostack.api as api
from echostack.core.audio import AudioFormat
from echostack.core.errors import UsageError
from echostack.core.events import Event
from echostack.core.payloads import AgentMessage, AudioFrame, Text
from echostack.registry import Context, Inbox, connector, simulates
from echostack.runtime.probe import CallView
from echostack.simulation.loop import run_virtual
from echostack.simulation.run import play, simulate
from tests.simulation.calls import VOICE, call, plan, registry, scenario, times

TALK = """
caller:
  - {say: hello what are your opening hours}
  - {interrupt: "no wait, how much is lunch", after: 1s}
  - {noise: 200ms, level: loud}
  - {listen: 1s}
  - hang up
"""


class Everything:
    """Every event of a call, audio included, as text."""

    wants_audio = True

    def __init__(self) -> None:
        self.lines: list[str] = []

    def wants(self, name: str) -> bool:
        return True

    def begin(self, view: CallView) -> None:
        self.lines.append(f"begin {view.session} {view.seed}")

    def event(self, event: Event) -> None:
        self.lines.append(msgspec.json.encode(event).decode())

    def dropped(self, edge: str, event: Event) -> None:
        self.lines.append(f"dropped {edge} {event.seq}")

    def played(self, egress: str, event: Event, pcm: bytes, rate: int) -> None:
        self.lines.append(f"played {egress} {event.seq} {hash_of(pcm)} {rate}")

    def end(self) -> None:
        self.lines.append("end")


def hash_of(pcm: bytes) -> str:
    import hashlib

    return hashlib.sha256(pcm).hexdigest()


def trace(seed: int = 3) -> str:
    """The whole call as text."""
    seen = Everything()
    outcome = simulate(plan(), scenario(TALK), seed=seed, probes=[seen])
    assert not outcome.failures, outcome.failures
    return "\n".join([*seen.lines, repr(outcome.heard), repr(outcome.conversation), repr(outcome.stats)])


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    assert trace(3) == trace(3)
    assert trace(3) != trace(4)


@pytest.mark.slow
def test_twenty_processes_with_other_hash_seeds_give_one_trace_to_the_byte() -> None:
    program = "from tests.simulation.test_run import hash_of, trace; print(hash_of(trace().encode()))"

    def run(seed: int) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        return done.stdout.strip()

    with ThreadPoolExecutor(2) as pool:
        traces = set(pool.map(run, range(20)))
    assert len(traces) == 1
    assert traces == {hash_of(trace().encode())}, "and it is the trace of this process too"


def test_the_real_environment_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "somebody real")
    graph = """
echostack: 1
connectors:
  say.agent: {text: {env: WHO}}
pipeline:
  - ingress.chat.text -> say.agent
"""
    outcome = call("caller: [{say: hello}]", graph)
    (said,) = [e.payload for e in outcome.events if e.name == "processing.say.agent_message"]
    assert isinstance(said, AgentMessage)
    assert said.text == "simulated"


def test_many_calls_in_one_loop_are_each_as_they_would_be_alone() -> None:
    graph, script = plan(), scenario(TALK)
    alone = [simulate(graph, script, seed=seed) for seed in range(6)]

    async def main() -> list[str]:
        together = await asyncio.gather(*(play(graph, script, seed=seed) for seed in range(6)))
        return [repr((o.events, o.heard, o.conversation)) for o in together]

    assert run_virtual(main()) == [repr((o.events, o.heard, o.conversation)) for o in alone]


def test_a_call_that_goes_on_too_long_fails() -> None:
    outcome = call("lasts: 5s\ncaller: [{pause: 20s}, hang up]")
    assert "the call still went on at 5 s" in outcome.crash
    assert outcome.failures


def test_a_node_that_is_to_be_real_must_exist() -> None:
    with pytest.raises(UsageError, match=r"the graph has no node 'moonshin\.stt'"):
        call(TALK, real=["moonshin.stt"])


@connector("acme.broken")
class Broken:
    """A recogniser that cannot be opened."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def open(self) -> None:
        raise OSError("no such device")

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
        async for _ in inbox:
            yield Text("")


def test_a_real_node_that_cannot_open_is_what_became_of_the_call() -> None:
    text = "echostack: 1\npipeline: [ingress.phone.audio_frame -> acme.broken -> transcript.log]\n"
    graph = api.compile(text, registry=registry().add(Broken), env={}).plan
    outcome = simulate(graph, scenario("caller: [{say: hello}]"), real=["acme.broken"])
    assert "acme.broken cannot open: no such device" in outcome.crash
    assert outcome.failures


@pytest.mark.embedded
def test_a_real_recogniser_hears_a_simulated_caller_through_a_voice() -> None:
    outcome = simulate(plan(), scenario("caller: [{say: what are your opening hours}, {pause: 3s}, hang up]"),
                       real=["moonshine.stt", "webrtc.vad"])  # fmt: skip
    (text,) = [e.payload for e in outcome.events if e.name == "processing.moonshine.text"]
    assert isinstance(text, Text)
    assert text.text.lower().rstrip("?.") == "what are your opening hours"
    assert times(outcome, "processing.webrtc.speech_stopped")


@pytest.mark.embedded
def test_simulated_listeners_beside_a_real_one_know_the_words_of_the_voice() -> None:
    outcome = simulate(plan(VOICE), scenario("caller: [{say: what are your opening hours}, {pause: 3s}, hang up]"),
                       real=["webrtc.vad"])  # fmt: skip
    (text,) = [e.payload for e in outcome.events if e.name == "processing.moonshine.text"]
    assert isinstance(text, Text)
    assert text.text == "what are your opening hours"


TWO_ENDS = """
echostack: 1
connectors:
  moonshine.stt: {endpoint_ms: 400}
  second.tts: {use: piper.tts}
pipeline:
  - ingress.phone.audio_frame -> moonshine.stt -> acme.agent
  - acme.agent -> piper.tts -> egress.app.audio_chunk
  - acme.agent -> second.tts -> egress.speaker.audio_chunk
"""


def test_two_synthesisers_that_say_the_same_each_say_all_of_it() -> None:
    said = "connectors: {acme.agent: {replies: [One two three four.]}}\ncaller: [{say: go, lasts: 1s}]"
    outcome = call(said, TWO_ENDS)
    assert not outcome.failures
    assert sorted((h.egress, h.text) for h in outcome.heard) == [
        ("egress.app", "One two three four."),
        ("egress.speaker", "One two three four."),
    ]
    assert [[w.index for w in h.words] for h in outcome.heard] == [[0, 1, 2, 3]] * 2


def test_an_interruption_waits_for_what_is_still_heard_at_another_end() -> None:
    replies = """
connectors:
  acme.agent: {delay: 0s, replies: [{say: "One two three four five six seven eight.", times: always}]}
  piper.tts: {delay: 0s}
  second.tts: {delay: 1s}
caller: [{say: go, lasts: 1s}, {interrupt: stop it now, after: 2s, lasts: 1s, within: 6s}, hang up]
"""
    outcome = call(replies, TWO_ENDS)
    assert not outcome.notes
    assert times(outcome, "control.barge_in.committed"), "the first to sound is not the last"


@connector("ingress.own", output_format=lambda settings: AudioFormat(16_000))
class Own:
    """A line with a simulation of its own."""

    async def run(self) -> AsyncIterator[AudioFrame]:
        raise AssertionError
        yield AudioFrame(b"", 16_000)


@simulates(Own)
class OwnSimulated:
    async def run(self) -> AsyncIterator[AudioFrame]:
        yield AudioFrame(bytes(640), 16_000)


def test_an_ingress_with_a_simulation_of_its_own_plays_no_script() -> None:
    text = "pipeline:\n  - ingress.own.audio_frame -> moonshine.stt -> transcript.log\n"
    graph = api.compile(text, registry=registry().add(Own), env={}).plan
    assert simulate(graph, scenario("lasts: 1s")).failures == ()
    with pytest.raises(
        UsageError, match=r"nobody can call this graph, because ingress\.own has a simulation of its own"
    ):
        simulate(graph, scenario("caller: [{say: hello}]"))


def test_more_words_at_once_than_there_are_numbers_for_fail_the_call_for_that_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("echostack.simulation.speech._LAST", 5)
    monkeypatch.setattr("echostack.simulation.speech._LOWEST", -4)
    many = scenario("caller: [{say: one two three four five six}, {pause: 2s}, {say: seven eight nine}, hang up]")
    outcome = simulate(plan(VOICE), many)
    assert outcome.crash == (
        "the call had more than 65,533 words being said or waiting to be said at once; a simulated call cannot tell "
        "more from each other: say less at a time"
    )
