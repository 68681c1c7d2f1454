"""What no call may do is seen in what a call leaves behind, whatever the engine says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from echostack.core.payloads import Committed
from echostack.registry import Turn
from echostack.simulation.invariants.check import INVARIANTS, violations
from echostack.simulation.invariants.witness import Unfair
from echostack.simulation.outcome import Outcome
from echostack.simulation.search.subject import Subject
from echostack.simulation.world import HeardSpeech
from tests.simulation.search.hunt import subject


@pytest.fixture(scope="module")
def call() -> Outcome:
    """A call with an interruption and a backchannel, as it ought to be."""
    desk = subject()
    assert isinstance(desk, Subject)
    return desk.call(desk.scenario)


def names(outcome: Outcome) -> set[str]:
    return {f.invariant for f in violations(outcome)}


def cut(call: Outcome) -> tuple[HeardSpeech, float]:
    """The utterance that was interrupted, and when."""
    turn = next(t for t in call.conversation if t.cut)
    at = next(e.time for e in call.events if isinstance(e.payload, Committed))
    return next(h for h in call.heard if h.utterance == turn.utterance), at


def with_heard(call: Outcome, old: HeardSpeech, new: HeardSpeech) -> Outcome:
    return replace(call, heard=tuple(new if h is old else h for h in call.heard))


def test_a_call_as_it_ought_to_be_does_nothing_that_no_call_may_do(call: Outcome) -> None:
    assert violations(call) == ()
    assert len({i.name for i in INVARIANTS}) == len(INVARIANTS) > 20


def test_speech_after_its_interruption_is_stale(call: Outcome) -> None:
    speech, at = cut(call)
    last = replace(speech.words[-1], end=at + 0.02)
    stale = replace(speech, words=(*speech.words[:-1], last), end=at + 0.02)
    found = next(f for f in violations(with_heard(call, speech, stale)) if f.invariant == "nothing stale is heard")
    assert found.at == at
    assert found.what.startswith(f"{last.text!r} of {speech.utterance} was heard until {round(at + 0.02, 3):g} s")


def test_a_word_that_was_heard_in_part_and_goes_on_is_torn(call: Outcome) -> None:
    speech = call.heard[0]
    first = replace(speech.words[0], samples=speech.words[0].samples - 480)
    assert "no word is torn" in names(with_heard(call, speech, replace(speech, words=(first, *speech.words[1:]))))
    twice = replace(speech.words[0], samples=speech.words[0].samples + 480)
    assert "no word is torn" in names(with_heard(call, speech, replace(speech, words=(twice, *speech.words[1:]))))


def test_two_utterances_at_once_are_seen(call: Outcome) -> None:
    first, second = sorted(call.heard, key=lambda h: h.start)[:2]
    early = replace(second, start=first.end - 0.1)
    assert "one after the other" in names(with_heard(call, second, early))


def test_speech_that_sounds_while_it_is_suspended_is_seen(call: Outcome) -> None:
    speech, _ = cut(call)
    longer = replace(speech, seconds=speech.seconds + 0.2)
    assert "paused means silent" in names(with_heard(call, speech, longer))


def test_the_conversation_is_held_against_the_words_that_sounded(call: Outcome) -> None:
    def telling(change: Turn, of: Turn) -> set[str]:
        return names(replace(call, conversation=tuple(change if t is of else t for t in call.conversation)))

    agent = next(t for t in call.conversation if t.cut)
    caller = next(t for t in call.conversation if t.role == "caller")
    assert telling(replace(agent, text=f"{agent.text} more"), agent) == {"the agent as heard"}
    assert telling(replace(agent, text=agent.text.rpartition(" ")[0]), agent) == {"the agent as heard"}
    assert telling(replace(agent, end=agent.end + 0.02), agent) == {"the agent as heard"}
    assert telling(replace(caller, text="Something else"), caller) == {"the caller as recognised"}
    assert names(replace(call, conversation=tuple(t for t in call.conversation if t is not caller))) == {
        "the caller as recognised"
    }
    assert "the caller as recognised" in names(replace(call, conversation=(caller, *call.conversation)))


def test_an_event_of_a_dead_epoch_is_seen(call: Outcome) -> None:
    place, commit = next((i, e) for i, e in enumerate(call.events) if isinstance(e.payload, Committed))
    late = next(e for e in call.events[place:] if e.scope == 1 and not e.payload.__kind__.keep)
    import msgspec

    stale = msgspec.structs.replace(late, epoch=0)
    assert commit.time < late.time
    assert "nothing stale is made" in names(replace(call, events=tuple(stale if e is late else e for e in call.events)))


def test_the_order_of_events_is_held(call: Outcome) -> None:
    first, second, *rest = call.events
    assert "events in order" in names(replace(call, events=(second, first, *rest)))


def test_an_effect_after_its_turn_and_one_asked_for_again_are_seen(call: Outcome) -> None:
    store = call.stores["book.table"]
    kept, again = list(store._writes), store.repeated
    try:
        store._writes[0] = replace(kept[0], time=call.seconds)
        assert "nothing stale is done" in names(call)
        store._writes[:] = kept
        store.repeated = 5
        assert "nothing is done twice" in names(call)
    finally:
        store._writes[:] = kept
        store.repeated = again


def test_what_goes_on_after_the_end_is_seen(call: Outcome) -> None:
    assert names(replace(call, left=("a task",))) == {"nothing is left"}
    assert names(replace(call, timers=("a timer at 9 s",))) == {"nothing is left"}
    assert names(replace(call, late=("book.table",))) == {"nobody is late"}
    assert "every call ends" in names(replace(call, crash="nothing will ever happen"))


def test_queues_that_do_not_balance_are_seen(call: Outcome) -> None:
    assert call.witness is not None
    lane = next(lane for lane in call.witness.lanes if lane.edge == "left.burst -> slow.log")
    lane.taken -= 1
    try:
        assert "queues balance" in names(call)
    finally:
        lane.taken += 1
    lane.put_count, lane.taken = lane.put_count + 1, lane.taken + 1
    try:
        assert names(call) == {"nothing vanishes on the way"}
    finally:
        lane.put_count, lane.taken = lane.put_count - 1, lane.taken - 1
    high, lane.high = lane.high, lane.bound + 2000
    try:
        assert names(call) == {"queues stay bounded"}
    finally:
        lane.high = high


def test_who_waits_too_long_is_named(call: Outcome) -> None:
    assert call.witness is not None
    for control, name in ((False, "served in turn"), (True, "control goes first")):
        call.witness.unfair.append(Unfair("a -> b", "b", 5, 1.0, 2.0, control))
        try:
            assert names(call) == {name}
        finally:
            call.witness.unfair.clear()


def test_a_call_without_a_witness_is_judged_by_nothing(call: Outcome) -> None:
    assert violations(replace(call, witness=None, crash="lost")) == ()
