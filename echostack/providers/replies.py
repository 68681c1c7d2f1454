"""What a local model answers by a script: questions and the answers to them, found by what a caller's words mean.

A file of replies is YAML or JSON, either of

- a list of texts: the answers, in turn, whatever is asked;
- a mapping from a question to its answer, with ``otherwise`` for everything else;
- a list of entries ``{ask: […], say: …}``, or ``{ask: […], call: TOOL, with: {…}, say: …}`` for a model that asks for a
  tool and says ``say`` when it has the result, and ``{otherwise: …}``.

Questions are matched as faq.agent matches its facts, by stems and words alike, so that what a recogniser makes of them
will do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from echostack.connectors.faq_dialogue import Dialogue
from echostack.connectors.faq_settings import Fact, FaqSettings
from echostack.core.diagnostic import Findings
from echostack.core.errors import InvalidFile, UsageError
from echostack.language import read_source
from echostack.language.data import plain
from echostack.language.reader import read_tree
from echostack.language.values import to_value
from echostack.providers.brain import Answer, Bit, Calling, Message, Script, last_said

PACE: Final = 0.015
"""Seconds between two words of a scripted answer: about 65 tokens a second."""

_KEYS: Final = ("ask", "say", "call", "with", "otherwise")


@dataclass(frozen=True, slots=True)
class Reply:
    """One entry: what is asked, what is said, and the tool that is asked for before it is said."""

    ask: tuple[str, ...]
    say: str
    call: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


DEFAULT: Final = (
    Reply(
        ("what are your opening hours", "when are you open", "when do you open", "when do you close"),
        "We are open from nine to six, from Monday to Saturday. On Sundays we are closed.",
    ),
    Reply(
        ("where are you", "what is your address", "how do I find you", "where is your shop"),
        "You find us at twelve Mill Lane, right beside the old market hall. There is a bus stop at the door.",
    ),
    Reply(
        ("I would like to book a table", "book a table", "make a reservation", "I want an appointment"),
        "Gladly. For what day shall I put you down, and for how many people?",
    ),
    Reply(("how much is it", "what does it cost", "what are your prices"), "It is eighteen dollars, all included."),
    Reply(("tell me a story", "tell me something long", "talk to me"), (
        "Once there was a lighthouse on a rock, far out where the ships pass. Its keeper had a dog, a small brown one "
        "that was afraid of nothing but the fog horn. Every evening they climbed the stairs together, all two hundred "
        "of them, and lit the lamp. And when a storm came up one night, it was the dog that heard the boat."
    )),
)  # fmt: skip
"""Answered when no file is given."""

OTHERWISE: Final = "I can tell you when we are open and where we are, or book you a table. What would you like?"


class ScriptedReplies:
    """A brain that answers from replies. pause: seconds before each word, as a model takes them."""

    def __init__(self, replies: Sequence[Reply] = DEFAULT, otherwise: str = OTHERWISE, *, pause: float = PACE) -> None:
        self._replies = {reply.say: reply for reply in replies}
        facts = tuple(Fact(ask=reply.ask, say=_escaped(reply.say)) for reply in replies)
        self._settings = FaqSettings(facts=facts, fallback=(_escaped(otherwise),), threshold=0.45)
        self._script = Script(self._answer, pause=pause)

    def reply(self, messages: Sequence[Message], max_tokens: int) -> AsyncIterator[Bit]:
        """The answer to what the user said last."""
        return self._script.reply(messages, max_tokens)

    def _answer(self, messages: Sequence[Message]) -> Answer:
        # Stateless, as a model is: all that it knows is in the request.
        said = Dialogue(self._settings).answer(last_said(messages), {})
        reply = self._replies.get(said)
        if reply is not None and reply.call and messages[-1]["role"] != "tool":
            return Calling(reply.call, reply.arguments)
        return said


def read_replies(path: Path) -> Script | ScriptedReplies:
    """The brain of a file of replies. UsageError that says what is wrong with it, InvalidFile when it is no YAML."""
    source = read_source(path)
    findings = Findings()
    tree = read_tree(source, findings)
    if findings.errors:
        raise InvalidFile(findings.ordered(), {source.file: source})
    value = to_value(tree, findings) if tree is not None else None
    data = plain(value) if value is not None else None
    if isinstance(data, list) and data and all(isinstance(item, str) for item in data):
        return Script([str(item) for item in data], pause=PACE)
    if isinstance(data, dict):
        data = [{"otherwise": v} if k == "otherwise" else {"ask": k, "say": v} for k, v in data.items()]
    if not isinstance(data, list) or not data:
        raise UsageError(f"{path}: a file of replies is a list of answers, or questions with their answers")
    replies, otherwise = [], OTHERWISE
    for number, item in enumerate(data, 1):
        where = f"{path}: entry {number}"
        if not isinstance(item, dict):
            raise UsageError(f"{where} is not {{ask: …, say: …}}")
        unknown = [key for key in item if key not in _KEYS]
        if unknown:
            raise UsageError(f"{where} has {unknown[0]!r}: it takes {', '.join(_KEYS)}")
        if "otherwise" in item:
            otherwise = _text(item["otherwise"], f"{where}: otherwise")
            continue
        asked = item.get("ask")
        several = asked if isinstance(asked, list) else [asked]
        if not several:
            raise UsageError(f"{where}: ask has no question")
        arguments = item.get("with", {})
        if not isinstance(arguments, dict):
            raise UsageError(f"{where}: with is a mapping from the tool's arguments to their values")
        replies.append(
            Reply(
                tuple(_text(one, f"{where}: ask") for one in several),
                _text(item.get("say"), f"{where}: say"),
                _text(item["call"], f"{where}: call") if "call" in item else "",
                arguments,
            )
        )
    try:
        return ScriptedReplies(replies, otherwise)
    except ValidationError as error:
        raise UsageError(f"{path}: {error.errors()[0]['msg']}") from None


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where} is a text that is not empty")
    return value


def _escaped(text: str) -> str:
    """``text`` with its braces as they are: a script fills nothing in."""
    return text.replace("{", "{{").replace("}", "}}")
