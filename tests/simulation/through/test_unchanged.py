"""A recorded call through its own graph is the same call."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import echostack.api as api
from echostack.recording import Recorder, Recording
from echostack.simulation.through import Part, through
from tests.recording.helpers import TALK as SPOKEN
from tests.runtime.cast import CALL, play
from tests.runtime.cast import registry as cast_registry
from tests.simulation.calls import VOICE
from tests.simulation.through.calls import again, recorded

CHAT = """
echostack: 1
pipeline:
  - ingress.chat.text -> acme.agent
  - acme.agent -> piper.tts -> egress.app.audio_chunk
"""

CALLS = {
    "two turns": ("caller: [{say: hello there}, {listen: 1s}, {say: bye}]", VOICE),
    "an interruption": (
        "caller: [{say: hello there my friend}, {interrupt: wait a moment please, after: 1.2s}, {listen: 1s}]", VOICE,
    ),
    "a turn that goes on while the agent thinks": (
        "caller: [{say: hello there my friend}, {pause: 450ms}, {say: and more of it}, {listen: 1s}]", VOICE,
    ),
    "a backchannel, keys, a dead line, and a caller who hangs up": (
        'caller: [{say: hello there}, {backchannel: mhm, after: 1s}, {listen: 1s}, {keys: "12"}, {silence: 2s}, '
        "{say: more of it}, {hang_up: true}]", VOICE,
    ),
    "a caller who hangs up while the agent speaks": (
        "caller: [{say: hello there my friend}, {wait: control.*.playout_started}, {pause: 600ms}, {hang_up: true}]",
        VOICE,
    ),
    "failures and retries": (
        "caller: [{say: one}, {pause: 3s}, {say: two}, {pause: 3s}, {say: three}, {pause: 3s}]\n"
        "connectors:\n  acme.agent:\n    faults: [{error: connection reset, nth: 2}]\n"
        "  piper.tts:\n    faults: [{disconnect: true, nth: 1}, {slow: 1s, nth: 2}]", VOICE,
    ),
    "replies of the scenario, the same question twice": (
        "caller: [{say: one and two}, {listen: 1s}, {say: one and two}, {listen: 1s}]\n"
        "connectors:\n  acme.agent:\n    replies: [Nice to hear., {say: A very long story., delay: 2s}]", VOICE,
    ),
    "turns that end by silence": (
        "caller: [{say: one and two}, {pause: 500ms}, {say: three}, {listen: 1s}]",
        f"{VOICE}turns: {{end_by: silence, silence: 800ms}}\n",
    ),
    "right and wrong guesses": (
        "caller: [{say: one and two}, {listen: 1s}, {say: three}, {pause: 600ms}, {say: and four}, {listen: 1s}]",
        f"{VOICE}speculate: {{on: synthesis, stable_for: 200ms}}\n",
    ),
    "a caller who goes silent for long": ("caller: [{say: hello there}, {listen: 1s}, {silence: 5s}]", VOICE),
    "a call that goes on for too long": ("lasts: 6s\ncaller: [{say: hello there my friend}, {pause: 20s}]", VOICE),
    "writes and answers of services": (
        "caller: [{say: hello there}, {interrupt: wait now please, after: 700ms}, {listen: 1s}]",
        VOICE.replace(
            "pipeline:",
            '  webhook.send: {url: "https://example.com/x"}\n  http.request: {url: "https://example.com/y"}\n'
            "pipeline:\n  - moonshine.stt -> webhook.send\n  - moonshine.stt -> http.request",
        ),
    ),
    "noise all the time": ("caller: [{noise: 1s, level: loud}, {say: hello there}, {listen: 1s}]", VOICE),
    "messages in place of speech": ("caller: [{say: hello}, {pause: 1s}, {say: and more}]", CHAT),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_simulated_call_through_its_own_graph_has_no_difference(name: str, tmp_path: Path) -> None:
    body, graph = CALLS[name]
    recording = recorded(tmp_path / "a.rec", body, graph)
    found = again(recording, graph)
    assert found.none, found.data()
    assert found.exact
    assert found.counts == {}
    assert found.events[0] == found.events[1]
    assert found.voice[0] == pytest.approx(found.voice[1])
    assert {side for side, _, _ in found.talk} <= {" "}


WORDS = st.lists(st.sampled_from(["one", "lunch", "please", "tomorrow", "opening", "hours"]), min_size=1, max_size=6)
SAYS = WORDS.map(lambda words: f"{{say: {' '.join(words)}}}")
STEPS = st.one_of(
    SAYS,
    st.integers(1, 30).map(lambda tenths: f"{{pause: {tenths * 100 + 7}ms}}"),
    st.tuples(WORDS, st.integers(1, 20)).map(
        lambda step: f"{{interrupt: {' '.join(step[0])}, after: {step[1] * 100}ms, within: 5s}}"
    ),
    st.just("{listen: 700ms, within: 10s}"),
)


@settings(max_examples=40, deadline=None)
@given(first=SAYS, steps=st.lists(STEPS, max_size=5), hang_up=st.booleans(), seed=st.integers(0, 1000))
def test_no_call_differs_from_itself(first: str, steps: list[str], hang_up: bool, seed: int) -> None:
    body = f"caller: [{', '.join([first, *steps, *(['{hang_up: true}'] if hang_up else [])])}]"
    with tempfile.TemporaryDirectory() as folder:
        recording = recorded(Path(folder) / "a.rec", body, seed=seed)
        found = again(recording)
    assert found.none, found.data()


def test_what_is_replayed_counts_no_unknown_input(tmp_path: Path) -> None:
    found = again(recorded(tmp_path / "a.rec"))
    assert found.nodes == {
        "ingress.phone": Part.LINE, "moonshine.stt": Part.HEARS, "acme.agent": Part.ANSWERS,
        "piper.tts": Part.ANSWERS, "egress.app": Part.FAR_END, "webrtc.vad": Part.HEARS,
    }  # fmt: skip
    assert found.known == {"acme.agent": (2, 0, 0), "piper.tts": (2, 0, 0)}
    assert found.changed == {}
    assert found.graph == ()


def test_a_call_of_real_connectors_through_its_own_graph_says_and_does_the_same(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.rec")
    play(SPOKEN, probes=[recorder])
    recording = Recording.open(tmp_path / "a.rec")
    known = cast_registry()
    found = through(recording, api.compile(CALL, registry=known, env={}).plan, registry=known)
    assert found.none, found.data()
    assert not found.exact
    assert set(found.known.values()) == {(2, 0, 0)}


def test_a_redacted_recording_goes_through_with_its_placeholders(tmp_path: Path) -> None:
    found = again(recorded(tmp_path / "a.rec", redact=True))
    assert found.none, found.data()
    assert found.notes == ("the recording is redacted: words and numbers are placeholders, and audio is silence",)


def test_of_a_torn_recording_as_much_is_compared_as_there_is(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "a.rec")
    lines = (whole.path / "recording.jsonl").read_bytes()
    (whole.path / "recording.jsonl").write_bytes(lines[: len(lines) * 2 // 3])
    torn = Recording.open(whole.path)
    found = again(torn)
    assert not torn.complete
    assert found.none, found.data()
    assert found.notes == (f"the recording breaks off at {found.until:.3f} s, and nothing after that is compared",)
