"""What a simulated agent says when the scenario does not: one or two plain sentences that take up the caller's words,
always the same for the same words and seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from echostack.connectors.sentences import sentences
from echostack.connectors.words import listed
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial, CallStarted, Dtmf

_GREETINGS: Final = (
    "Hello, and thank you for calling. How can I help you?",
    "Good day, you have reached the front desk. What can I do for you?",
)
_WITH_TOPIC: Final = (
    "I understand, this is about {topic}. Let me have a look for you.",
    "Sure, I can help you with {topic}.",
    "Thank you. Before we go on with {topic}, may I ask for your name?",
    "Let me check {topic} for you. It will only take a moment.",
    "All right, I have noted {topic}. Is there anything else that I can do?",
)
_WITHOUT_TOPIC: Final = (
    "All right. How can I help you?",
    "I see. Could you tell me a little more?",
    "Of course. What would you like to do next?",
)
_COMMON: Final = frozenset(
    listed(
        """a about all also am an and any are as at be been but by can could did do does for from get give good had has
        have he hello her here hi him his how i if in is it its just know let like may me mine more my need no not now
        of oh ok okay on one or our out please say she should so some tell than thank thanks that the their them then
        there these they this those to too uh um up us very want was we well were what when where which who why will
        with would yeah yes you your"""
    )
)
_TOPIC_WORDS = 3
_MEANING = ("text", "query", "name", "label", "result", "data")


def in_pieces(message: AgentMessage, *, whole: bool) -> Iterator[AgentMessagePartial | AgentMessage]:
    """``message`` as an agent gives it that speaks while it thinks: a piece a sentence, the last one ``final``, and
    the ``whole`` of it after them where the agent gives that too."""
    pieces = sentences(message.text) or [""]
    for place, piece in enumerate(pieces):
        last = place == len(pieces) - 1
        yield AgentMessagePartial(
            piece if last else f"{piece} ", message.id, last, message.interruptible, message.language
        )
    if whole:
        yield message


def words_in(payload: Payload) -> str:
    """What ``payload`` says in words: its text, or what it asks for, names or found."""
    for name in _MEANING:
        value = getattr(payload, name, None)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, dict) and value:
            return " ".join(str(v) for v in value.values() if isinstance(v, str | int | float))
    return ""


def reply_to(payload: Payload, draw: random.Random) -> str:
    """A reply to ``payload``: its wording drawn, its subject the first telling words of what was said."""
    if isinstance(payload, CallStarted):
        return draw.choice(_GREETINGS)
    said = f"key {payload.digit}" if isinstance(payload, Dtmf) else words_in(payload)
    topic: list[str] = []
    for word in said.split():
        bare = word.strip(".,;:!?\"'()[]…").lower()
        if bare and bare not in _COMMON and bare not in topic:
            topic.append(bare)
    if not topic:
        return draw.choice(_WITHOUT_TOPIC)
    return draw.choice(_WITH_TOPIC).format(topic=" ".join(topic[:_TOPIC_WORDS]))
