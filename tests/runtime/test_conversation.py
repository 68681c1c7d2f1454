"""The conversation holds what was said and heard, in order, bounded, and its snapshots never change."""

from __future__ import annotations

import dataclasses

import pytest

from echostack.core.payloads import Text
from echostack.registry.context import Conversation, Turn
from echostack.runtime.conversation import SessionConversation


def test_it_is_the_conversation_that_connectors_see() -> None:
    conversation: Conversation = SessionConversation()
    assert conversation.turns == ()
    conversation.slots["name"] = "Ann"
    assert conversation.slots == {"name": "Ann"}


def test_turns_of_both_sides_stand_in_the_order_they_ended() -> None:
    conversation = SessionConversation()
    caller = conversation.caller_said(Text(" Book a table ", start=1.0, end=2.5))
    agent = conversation.agent_was_heard("For how", 3.0, 3.6, cut=True, utterance="u1")
    assert conversation.turns == (caller, agent)
    assert caller == Turn("caller", "Book a table", 1.0, 2.5)
    assert agent == Turn("agent", "For how", 3.0, 3.6, cut=True, utterance="u1")


def test_what_has_no_words_is_not_recorded() -> None:
    conversation = SessionConversation()
    assert conversation.caller_said(Text("  ")) is None
    assert conversation.agent_was_heard("", 3.0, 3.1, cut=True) is None
    assert conversation.turns == ()


def test_only_the_newest_turns_are_kept_and_the_rest_counted() -> None:
    conversation = SessionConversation(limit=3)
    for k in range(5):
        conversation.caller_said(Text(str(k)))
    assert [t.text for t in conversation.turns] == ["2", "3", "4"]
    assert conversation.dropped == 2


def test_a_snapshot_does_not_change() -> None:
    conversation = SessionConversation()
    conversation.caller_said(Text("one"))
    conversation.slots["dates"] = ["Monday"]
    snapshot = conversation.snapshot()
    turns = conversation.turns
    assert conversation.turns is turns
    conversation.caller_said(Text("two"))
    conversation.slots["dates"].append("Tuesday")
    assert [t.text for t in turns] == ["one"]
    assert [t.text for t in snapshot.turns] == ["one"]
    assert snapshot.slots == {"dates": ["Monday"]}
    with pytest.raises(TypeError):
        snapshot.slots["dates"] = []  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        turns[0].text = "three"  # type: ignore[misc]


def test_it_keeps_at_least_one_turn() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SessionConversation(limit=0)
