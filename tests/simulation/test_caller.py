"""The simulated caller: steps one after the other, reactions to the very instant, and what it tells of a script that
cannot be played."""

from __future__ import annotations

import pytest

from echostack.core.errors import UsageError
from tests.simulation.calls import call, times

QUICK = """
connectors:
  acme.agent:
    delay: 0s
    replies: [{say: "One two three four five six seven eight nine ten eleven twelve.", times: always}]
  piper.tts: {delay: 0s}
  moonshine.stt: {delay: 0s}
"""


def test_words_are_heard_as_they_are_said_and_the_turn_ends_by_its_silence() -> None:
    outcome = call("caller: [{say: hello there, at: 1s, lasts: 1s}]")
    (text,) = [e for e in outcome.events if e.name == "processing.moonshine.text"]
    assert (text.payload.text, text.payload.start, text.payload.end) == ("hello there", 1.0, 2.0)  # type: ignore[attr-defined]
    assert text.time >= 2.4
    assert not outcome.failures


def test_an_interruption_comes_when_so_much_of_the_reply_was_heard() -> None:
    outcome = call(QUICK + "caller: [{say: go, lasts: 1s}, {interrupt: stop it now, after: 1.2s, lasts: 1s}, hang up]")
    (begun,) = times(outcome, "control.app.playout_started")[:1]
    heard = outcome.heard[0]
    (text,) = [e for e in outcome.events if e.name == "processing.webrtc.speech_started"][1:2]
    assert text.payload.at == pytest.approx(begun + 1.2, abs=1e-4)  # type: ignore[attr-defined]
    assert heard.seconds == pytest.approx(1.26, abs=0.001), "the reply is suspended 60 ms after the first sample"


def test_time_that_a_reply_is_suspended_does_not_count_as_heard() -> None:
    outcome = call(
        QUICK
        + """
caller:
  - {say: go, lasts: 1s}
  - {noise: 150ms, level: loud, at: 1.9s}
  - {interrupt: stop it now, after: 1.2s, lasts: 1s}
  - hang up
"""
    )
    (begun,) = times(outcome, "control.app.playout_started")[:1]
    assert times(outcome, "control.barge_in.suspended")[0] > begun
    assert times(outcome, "control.barge_in.aborted")
    assert outcome.heard[0].seconds == pytest.approx(1.26, abs=0.001)


def test_the_caller_listens_until_the_agent_has_been_silent() -> None:
    outcome = call(QUICK + "caller: [{say: go, lasts: 1s}, {listen: 800ms}, {say: thanks, lasts: 500ms}, hang up]")
    (over,) = times(outcome, "control.app.playout_finished")[:1]
    second = [e for e in outcome.events if e.name == "processing.webrtc.speech_started"][1]
    assert second.payload.at == pytest.approx(over + 0.8, abs=1e-4)  # type: ignore[attr-defined]


def test_the_caller_has_heard_what_the_agent_said_in_a_pause() -> None:
    said = QUICK + "caller: [{say: go, lasts: 1s}, {pause: 20s}, {listen: 1s}, hang up]"
    assert call(said).seconds == 21.0, "the agent spoke since the caller's last words, and has long been silent"


def test_who_listens_twice_waits_for_the_agent_to_speak_twice() -> None:
    outcome = call(QUICK + "caller: [{say: go, lasts: 1s}, {listen: 1s}, {listen: 1s, within: 5s}, hang up]")
    (note,) = outcome.notes
    assert note.what == "the caller listened for 5 s, and the agent said nothing"


def test_noise_in_the_background_begins_where_it_stands() -> None:
    outcome = call("caller: [{pause: 3s}, {noise: 1s, background: true}, {say: hello there, lasts: 2s}, hang up]")
    (started,) = [e.payload for e in outcome.events if e.name == "processing.webrtc.speech_started"]
    assert started.at == pytest.approx(3.0, abs=0.001)  # type: ignore[attr-defined]
    assert outcome.seconds == 5.0, "what follows is said over the noise, not after it"


def test_a_caller_without_a_hang_up_stays_until_the_agent_has_been_silent_for_its_patience() -> None:
    outcome = call(QUICK + "caller: {patience: 2s, steps: [{say: go, lasts: 1s}]}")
    (over,) = times(outcome, "control.app.playout_finished")
    assert outcome.seconds == pytest.approx(over + 2.0, abs=0.05)
    assert outcome.ended == "the sources ended"


def test_a_wait_that_nothing_ends_is_told_and_fails_the_scenario() -> None:
    outcome = call("caller: [{wait: control.app.playout_started, within: 2s}, hang up]")
    (failure,) = outcome.failures
    assert "waited 2 s for control.app.playout_started" in failure.what
    assert failure.span is not None


def test_a_step_that_comes_too_late_for_its_time_is_told() -> None:
    outcome = call("caller: [{say: one, lasts: 2s}, {say: two, at: 1s}, hang up]")
    assert "cannot do this at 1 s" in outcome.failures[0].what


def test_a_hang_up_at_an_instant_ends_the_call_then_whatever_is_said() -> None:
    outcome = call("caller: [{say: a very long story, lasts: 20s}, {hang_up: true, at: 3s}]")
    assert outcome.seconds == 3.0
    assert outcome.ended == "the caller hung up"
    assert not outcome.failures


def test_keys_are_pressed_one_after_the_other_on_the_line_that_has_keys() -> None:
    outcome = call("caller: [{keys: '12#', at: 1s}, {pause: 3s}, hang up]")
    assert times(outcome, "processing.phone.dtmf") == [1.0, 1.2, 1.4]


def test_the_caller_sends_data_over_the_line() -> None:
    outcome = call("caller: [{send: data, fields: {name: form, data: {age: 7}}}, {pause: 100ms}, hang up]")
    (sent,) = [e for e in outcome.events if e.name == "processing.phone.data"]
    assert sent.payload.data == {"age": 7}  # type: ignore[attr-defined]


def test_on_a_line_of_messages_what_is_said_is_a_message() -> None:
    graph = """
echostack: 1
pipeline:
  - ingress.chat.text -> acme.agent
"""
    outcome = call("caller: [{say: hello, lasts: 1s}]", graph)
    assert times(outcome, "processing.chat.text") == [1.0]


def test_noise_is_voice_and_no_words() -> None:
    outcome = call("caller: [{noise: 500ms, level: loud}, {pause: 2s}, {noise: 500ms, level: quiet}, hang up]")
    assert len(times(outcome, "processing.webrtc.speech_started")) == 1
    assert not times(outcome, "processing.moonshine.text")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{send: tool_call, fields: {name: x}}", "no simulated ingress carries tool_call"),
        ("{send: data, fields: {nome: x}}", "data has no field 'nome'; did you mean name?"),
        ("{send: data, fields: {name: x}, from: fax}", "the ingress 'fax' does not carry data"),
    ],
)
def test_what_no_line_carries_is_told_before_the_call(step: str, message: str) -> None:
    with pytest.raises(UsageError) as told:
        call(f"caller: [{step}]")
    assert message in str(told.value)
    assert str(told.value).startswith("calls.echo:")


def test_a_graph_without_an_ingress_has_nobody_to_call_it() -> None:
    graph = """
echostack: 1
pipeline:
  - control.call.call_started -> faq.agent -> piper.tts -> egress.app.audio_chunk
"""
    with pytest.raises(UsageError, match="nobody can call this graph, because it has no ingress"):
        call("caller: [{say: hello}]", graph)
