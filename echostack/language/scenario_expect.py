"""What a scenario may expect, each with what it is read as."""

from __future__ import annotations

from typing import Any, Final

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.language import codes
from echostack.language.forms import Bare, Built, ConditionShape, Defined, Keyed, Mark, Times, place
from echostack.language.records import Either, Field, ListOf, Record, RecordValue
from echostack.language.scenario import (
    Drops,
    Ends,
    EventMatch,
    Expectation,
    Hears,
    Holds,
    InOrder,
    Never,
    Said,
    Sees,
    Takes,
    Written,
)
from echostack.language.scenario_scripts import NODE, keys_of, only_one
from echostack.language.scenario_steps import DAY, EVENT, INSTANT, PATTERN, SPAN_OF_TIME, WHERE, event, written
from echostack.language.shapes import Count, Duration, Flag, Text
from echostack.language.tree import Node
from echostack.language.yaml_tree import shorten

MOST_EXPECTATIONS: Final = 10_000
MOST_TURNS: Final = 10_000
HEARD: Final = Text(lines=True, most=100_000, words="the words that are heard")
PERCENTILES: Final = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
_ONCE_OR_MORE: Final = (1, None)
_ANY: Final = (0, None)


def _own_event(head: str, read: RecordValue, node: Node) -> EventMatch:
    """The event of an item whose pattern stands under ``head`` and its condition beside it."""
    return event(read.get(head), read.get("where"), place(node), written(node, "where"))


def _says_something(said: bool, read: RecordValue, key: str, why: str, findings: Findings) -> bool:
    """Whether an expectation can fail at all; one that cannot is reported, because it looks like a test and is none."""
    if not said:
        findings.add(
            Diagnostic(codes.OUT_OF_RANGE, f"this expectation is met whatever happens: {why}", read.span_of(key),
                       help="say what must come of the call, or remove it")
        )  # fmt: skip
    return said


def _sees(read: RecordValue, node: Node, findings: Findings) -> Expectation | None:
    if not only_one(node, ("at", "within"), "one expectation", findings):
        return None
    if not _says_something(read.get("times") != _ANY, read, "times", "any number is enough", findings):
        return None
    return Sees(
        _own_event("event", read, node), place(node), read.get("times", _ONCE_OR_MORE), read.get("at"),
        read.get("after"), read.get("within"), read.get("later"), read.get("before"),
    )  # fmt: skip


def _never(read: RecordValue, node: Node, findings: Findings) -> Expectation:
    return Never(_own_event("never", read, node), place(node), read.get("after"), read.get("within"))


def _hears(read: RecordValue, node: Node, findings: Findings) -> Expectation:
    heard = read.get("heard")
    if isinstance(heard, str):
        return Hears(place(node), text=heard)
    return Hears(place(node), **heard)


def _heard(read: RecordValue, node: Node, findings: Findings) -> dict[str, Any] | None:
    if not set(keys_of(node)) - {"nth"}:
        findings.add(
            Diagnostic(
                codes.MISSING_KEY,
                "`heard` does not say what is heard",
                place(node),
                help=f"write one or more of {', '.join(k for k in _HEARD.fields if k != 'nth')}",
            )
        )
        return None
    for key in ("contains", "lacks"):
        said = read.get(key)
        if said is not None and not any(c.isalnum() for c in said):
            findings.add(
                Diagnostic(codes.OUT_OF_RANGE, f"`{key}` takes words, and `{shorten(said)}` has none",
                           read.span_of(key), help="punctuation is not heard")
            )  # fmt: skip
            return None
    return {key: found.value for key, found in read.found.items()}


_HEARD: Final = Record(
    {
        "nth": Field(Count(1, 1_000_000), "Of the nth utterance, counted from 1; of all together unless said."),
        "text": Field(HEARD, "Exactly these words, case and punctuation aside."),
        "contains": Field(HEARD, "These words are among them."),
        "lacks": Field(HEARD, "These words are not among them."),
        "seconds": Field(SPAN_OF_TIME, "How much of it sounded."),
        "starts": Field(INSTANT, "The instant of its first sample."),
        "stops": Field(INSTANT, "The instant of its last sample."),
    },
    words="a mapping such as {nth: 2, contains: …}",
)


def _said(read: RecordValue, node: Node, findings: Findings) -> Said:
    role = "caller" if "caller" in read.found else "agent"
    return Said(role, read.get(role), place(node), read.get("cut"))


def _turn(role: str) -> Built:
    return Built(
        Record(
            {
                role: Field(HEARD, f"What the {role} said" + (", as far as it was heard." if role == "agent" else "."),
                            required=True),
                "cut": Field(Flag(), "Whether it was interrupted; either unless said."),
            }
        ),
        _said,
    )  # fmt: skip


TURNS: Final = {role: _turn(role) for role in ("caller", "agent")}
TURN: Final = Defined("turn", Keyed("a turn of the conversation", TURNS))


def _in_order(read: RecordValue, node: Node, findings: Findings) -> Expectation | None:
    if not _says_something(bool(read.get("order")), read, "order", "it names no event", findings):
        return None
    return InOrder(read.get("order"), place(node))


def _drops(read: RecordValue, node: Node, findings: Findings) -> Expectation | None:
    if not _says_something(read.get("drops") != _ANY, read, "drops", "any number is enough", findings):
        return None
    return Drops(place(node), read.get("edge", ""), read.get("drops"))


def _holds(read: RecordValue, node: Node, findings: Findings) -> Expectation | None:
    says = bool(read.get("conversation")) or not read.get("among", False)
    if not _says_something(says, read, "conversation", "no turn is among any others", findings):
        return None
    return Holds(read.get("conversation"), place(node), read.get("among", False))


def _written(read: RecordValue, node: Node, findings: Findings) -> Expectation | None:
    if not _says_something(read.get("times") != _ANY, read, "times", "any number is enough", findings):
        return None
    return Written(read.get("written"), place(node), read.get("where"), read.get("times", _ONCE_OR_MORE))


def _takes(read: RecordValue, node: Node, findings: Findings) -> Expectation | None:
    limits = {percent: read.get(key) for key, percent in PERCENTILES.items() if key in read.found}
    if not any(key in PERCENTILES for key in keys_of(node)):
        findings.add(
            Diagnostic(
                codes.MISSING_KEY,
                "`takes` does not say how long it may take",
                place(node),
                help=f"write one or more of {', '.join(PERCENTILES)}, such as `p95: 1.2s`",
            )
        )
        return None
    return Takes(read.get("takes"), limits, place(node))


def _ends(read: RecordValue, node: Node, findings: Findings) -> Expectation:
    return Ends(place(node), read.get("ends") or None, read.get("by"), read.get("late"))


EXPECTATIONS: Final[dict[str, Built]] = {
    "event": Built(
        Record(
            {
                "event": Field(PATTERN, "The pattern of the event's name.", required=True),
                "where": WHERE,
                "times": Field(Times(), "How often; once or more unless said."),
                "at": Field(INSTANT, "The very instant at which it happens."),
                "after": Field(EVENT, "The event from which on it counts; from the call's begin unless said."),
                "within": Field(SPAN_OF_TIME, "At most so long after `after`."),
                "later": Field(SPAN_OF_TIME, "At least so long after `after`."),
                "before": Field(EVENT, "No later than the first such event."),
            }
        ),
        _sees,
    ),
    "never": Built(
        Record(
            {
                "never": Field(PATTERN, "The pattern of an event that does not happen.", required=True),
                "where": WHERE,
                "after": Field(EVENT, "The event from which on it does not happen; in the whole call unless said."),
                "within": Field(SPAN_OF_TIME, "For how long it does not happen."),
            }
        ),
        _never,
    ),
    "order": Built(
        Record({"order": Field(ListOf(EVENT, "a list of events", 1_000), "The first of each, one after the other.",
                               required=True)}),
        _in_order,
    ),
    "heard": Built(
        Record(
            {
                "heard": Field(
                    Either(HEARD, Built(_HEARD, _heard), wrap=lambda text, span: text),
                    "What the caller heard of the agent: all of it, or more about it.",
                    required=True,
                )
            }
        ),
        _hears,
    ),
    "conversation": Built(
        Record(
            {
                "conversation": Field(
                    ListOf(TURN, "a list of turns", MOST_TURNS),
                    "What the conversation holds at the call's end.",
                    required=True,
                ),
                "among": Field(Flag(), "True: there may be other turns between them."),
            }
        ),
        _holds,
    ),
    "written": Built(
        Record(
            {
                "written": Field(NODE, "The node that wrote to the outside world.", required=True),
                "where": Field(ConditionShape(), "What the fields of the write must fulfil."),
                "times": Field(Times(), "How many such writes; one or more unless said."),
            }
        ),
        _written,
    ),
    "takes": Built(
        Record(
            {
                "takes": Field(NODE, "voice_to_voice, turn_to_audio, or a node (its first output).", required=True),
                **{
                    key: Field(SPAN_OF_TIME, "The longest." if percent == 100 else f"The {percent}th percentile.")
                    for key, percent in PERCENTILES.items()
                },
            }
        ),
        _takes,
    ),
    "drops": Built(
        Record(
            {
                "drops": Field(Times(), "How many events queues lose.", required=True),
                "edge": Field(Text(), "Part of the name of the edge whose queue is meant; all together unless said."),
            }
        ),
        _drops,
    ),
    "ends": Built(
        Record(
            {
                "ends": Field(Mark("true, or words of the reason"), "The call ends; with this reason.", required=True),
                "by": Field(Duration(0, DAY), "When, at the latest."),
                "late": Field(ListOf(NODE, "a list of nodes", 1_000), "The nodes that did not close in time."),
            }
        ),
        _ends,
    ),
}  # fmt: skip
"""The expectations, by the key that each begins with."""

EXPECTATION: Final = Defined(
    "expectation",
    Keyed(
        "an expectation",
        EXPECTATIONS,
        Bare(PATTERN, lambda pattern, span: Sees(event(pattern, None, span), span)),
    ),
)
