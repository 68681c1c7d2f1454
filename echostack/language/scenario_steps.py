"""What the caller of a scenario may do: the steps and the caller's own keys, each with what it is read as."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from echostack.core.diagnostic import Diagnostic, Findings, did_you_mean
from echostack.core.events import EventPattern
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.data import Mapping_
from echostack.language.durations import format_duration
from echostack.language.forms import Bare, Built, ConditionShape, Defined, Keyed, Listed, Mark, Number, place
from echostack.language.records import AnyValue, Either, Field, ListOf, Record, RecordValue
from echostack.language.scenario import (
    Await,
    Caller,
    Dead,
    EventMatch,
    HangUp,
    Interrupt,
    Keys,
    Listen,
    Noise,
    NoiseLevel,
    Pause,
    Say,
    Send,
    Step,
)
from echostack.language.shapes import NAME, Checked, Duration, Flag, Name, OneOf, Schema, Text
from echostack.language.tree import Node, ScalarNode
from echostack.language.yaml_tree import shorten

DAY: Final = 86_400.0
MOST_STEPS: Final = 10_000
INSTANT: Final = Duration(0, DAY)
SPAN_OF_TIME: Final = Duration(0, DAY)
SPOKEN: Final = Text(lines=True, most=10_000, words="what is said")
KIND: Final = Name((1, 2), "a kind of event, such as `text` or `text.partial`")
_TRANSPORT: Final = Name((1, 2), "the name of a transport, such as `phone` of `ingress.phone`")
_HANG_UP: Final = "hang up"


def _pattern(text: str) -> str:
    EventPattern.parse(text)
    if len(text) > 400:
        raise ValueError("an event pattern has at most 400 characters")
    return text


PATTERN: Final = Checked(
    _pattern, "a pattern such as processing.*.text", codes.BAD_PATTERN, rf"^(\*|{NAME})(\.(\*|{NAME})){{2,3}}$"
)
WHERE: Final = Field(ConditionShape(), "What the event's payload must fulfil, written as a guard is.")


def event(pattern: str, where: Any, span: Span, text: str = "") -> EventMatch:
    """The events of a pattern and a condition."""
    return EventMatch(EventPattern.parse(pattern), where, span, f"{pattern} where {text}" if where else pattern)


def written(node: Node, key: str) -> str:
    """The scalar under ``key`` as the file writes it; empty for none."""
    found = node.get(key) if hasattr(node, "get") else None
    return found.text if isinstance(found, ScalarNode) else ""


def _event(read: RecordValue, node: Node, findings: Findings) -> EventMatch:
    return event(read.get("event"), read.get("where"), place(node), written(node, "where"))


EVENT: Final = Defined(
    "event",
    Either(
        PATTERN,
        Built(
            Record(
                {"event": Field(PATTERN, "The pattern of the event's name.", required=True), "where": WHERE},
                words="a mapping {event: …, where: …}",
            ),
            _event,
        ),
        wrap=lambda pattern, span: event(pattern, None, span),
    ),
)
"""An event: its pattern, or ``{event: pattern, where: condition}``."""

_AT: Final = Field(INSTANT, "The instant at which it begins; without it, it follows what stands before it.")
_WITHIN: Final = Field(Duration(0.001, DAY), "How long it is waited for before the scenario fails; 30s unless said.")
_LASTS: Final = Field(Duration(0.001, 3600), "How long the words take; by the caller's pace unless said.")


def _say(read: RecordValue, node: Node, findings: Findings) -> Step:
    return Say(
        read.get("say"), place(node), read.get("at"), read.get("lasts"), read.get("heard_as"),
        read.get("confidence", 1.0), read.get("audio"),
    )  # fmt: skip


def _interrupt(head: str) -> Callable[[RecordValue, Node, Findings], Step]:
    def make(read: RecordValue, node: Node, findings: Findings) -> Step:
        return Interrupt(
            read.get(head), read.get("after", 0.0), place(node), read.get("within", 30.0), read.get("lasts"),
            head == "backchannel",
        )  # fmt: skip

    return make


def _wait(read: RecordValue, node: Node, findings: Findings) -> Step | None:
    awaited: EventMatch = read.get("wait")
    if "where" in read.found:
        if awaited.where is not None:
            findings.add(
                Diagnostic(
                    codes.NOT_TOGETHER,
                    "the event that is waited for has two conditions",
                    read.found["where"].key_span,
                    help="join them with `and`",
                )
            )
            return None
        awaited = event(str(awaited.pattern), read.get("where"), awaited.span, written(node, "where"))
    return Await(awaited, place(node), read.get("within", 30.0))


def _noise(read: RecordValue, node: Node, findings: Findings) -> Step:
    level = NoiseLevel(read.get("level", NoiseLevel.LOUD))
    return Noise(read.get("noise"), level, place(node), read.get("at"), read.get("background", False))


def _send(read: RecordValue, node: Node, findings: Findings) -> Step:
    fields = read.get("fields", Mapping_({}, {}, place(node)))
    return Send(read.get("send"), fields, place(node), _transport(read.get("from")), read.get("at"))


def _transport(name: str | None) -> str | None:
    return None if name is None else name.removeprefix("ingress.")


class FieldsShape(AnyValue):
    """The fields of an event: a mapping, whose values are anything."""

    def __init__(self) -> None:
        super().__init__("a mapping of fields")

    def read(self, node: Node, what: str, findings: Findings) -> Mapping_ | None:
        read = super().read(node, what, findings)
        if isinstance(read, Mapping_):
            return read
        if read is not None:
            findings.add(Diagnostic(codes.WRONG_TYPE, f"{what} takes {self.words}", node.span,
                                    help="write the fields as a mapping: {text: Hello}"))  # fmt: skip
        return None

    def schema(self) -> Schema:
        return {"type": "object"}


class _HangUpShape:
    """The words ``hang up``."""

    words = "the words hang up"

    def read(self, node: Node, what: str, findings: Findings) -> str | None:
        assert isinstance(node, ScalarNode)
        if node.text == _HANG_UP:
            return node.text
        close = did_you_mean(node.text.lower().replace("_", " ").replace("-", " "), [_HANG_UP], most=1)
        findings.add(
            Diagnostic(
                codes.NO_FORM,
                f"`{shorten(node.text)}` is no step of the caller",
                node.span,
                help="did you mean `hang up`?"
                if close
                else f"to say it, write `say: {shorten(node.text)}`; the steps are {', '.join(STEPS)}, and `hang up`",
            )
        )
        return None

    def schema(self) -> Schema:
        return {"const": _HANG_UP}


def _audio(text: str) -> str:
    if "\\" in text or "\0" in text or "://" in text or not text.strip():
        raise ValueError(f"`{shorten(text)}` is no path of a WAV file")
    return text


def _keys(text: str) -> str:
    if re.fullmatch(r"[0-9*#A-Da-d]{1,100}", text) is None:
        raise ValueError(f"`{shorten(text)}` are no keys of a phone")
    return text.upper()


STEPS: Final[dict[str, Built]] = {
    "say": Built(
        Record(
            {
                "say": Field(SPOKEN, "The words that the caller says.", required=True),
                "at": _AT,
                "lasts": _LASTS,
                "heard_as": Field(SPOKEN, "What recognisers make of the words; the words themselves unless said."),
                "confidence": Field(Number(0, 1), "How sure recognisers are; 1 unless said."),
                "audio": Field(
                    Checked(_audio, "a path such as order.wav, with `/` between folders", codes.BAD_PATH),
                    "A WAV file that is sent instead of made-up audio, for nodes that are real.",
                ),
            }
        ),
        _say,
    ),
    "interrupt": Built(
        Record(
            {
                "interrupt": Field(SPOKEN, "The words said into the agent's speech.", required=True),
                "after": Field(SPAN_OF_TIME, "How much of the agent's speech is heard first; nothing unless said."),
                "within": _WITHIN,
                "lasts": _LASTS,
            }
        ),
        _interrupt("interrupt"),
    ),
    "backchannel": Built(
        Record(
            {
                "backchannel": Field(SPOKEN, "A sign of listening, such as mhm, said quickly.", required=True),
                "after": Field(SPAN_OF_TIME, "How much of the agent's speech is heard first; nothing unless said."),
                "within": _WITHIN,
                "lasts": _LASTS,
            }
        ),
        _interrupt("backchannel"),
    ),
    "pause": Built(
        Record({"pause": Field(SPAN_OF_TIME, "How long the caller says nothing.", required=True)}),
        lambda read, node, findings: Pause(read.get("pause"), place(node)),
    ),
    "listen": Built(
        Record(
            {
                "listen": Field(
                    SPAN_OF_TIME, "How long the agent, having spoken, must have been silent.", required=True
                ),
                "within": _WITHIN,
            }
        ),
        lambda read, node, findings: Listen(read.get("listen"), place(node), read.get("within", 30.0)),
    ),
    "wait": Built(
        Record(
            {"wait": Field(EVENT, "The event to wait for.", required=True), "where": WHERE, "within": _WITHIN},
        ),
        _wait,
    ),
    "noise": Built(
        Record(
            {
                "noise": Field(SPAN_OF_TIME, "How long there is noise on the line.", required=True),
                "level": Field(
                    OneOf(("quiet", "loud")), "loud opens a voice-activity detector, quiet does not; loud unless said."
                ),
                "at": _AT,
                "background": Field(Flag(), "True: under what the caller does next, not before it."),
            }
        ),
        _noise,
    ),
    "silence": Built(
        Record({"silence": Field(SPAN_OF_TIME, "How long the line is dead: no audio arrives at all.", required=True)}),
        lambda read, node, findings: Dead(read.get("silence"), place(node)),
    ),
    "keys": Built(
        Record(
            {
                "keys": Field(
                    Checked(_keys, 'keys in quotes, such as "12#"', codes.BAD_CHOICE, r"^[0-9*#A-Da-d]{1,100}$"),
                    "Keys pressed on the phone, one every 200 ms.",
                    required=True,
                ),
                "at": _AT,
            }
        ),
        lambda read, node, findings: Keys(read.get("keys"), place(node), read.get("at")),
    ),
    "send": Built(
        Record(
            {
                "send": Field(KIND, "The kind of an event that an ingress makes.", required=True),
                "fields": Field(FieldsShape(), "The fields of its payload."),
                "from": Field(_TRANSPORT, "The transport that it comes from, when several could."),
                "at": _AT,
            }
        ),
        _send,
    ),
    "hang_up": Built(
        Record({"hang_up": Field(Mark("true", text=False), "The caller is gone.", required=True), "at": _AT}),
        lambda read, node, findings: HangUp(place(node), read.get("at")),
    ),
}  # fmt: skip
"""The steps, by the key that each begins with."""

STEP: Final = Defined(
    "step",
    Keyed(
        "a step of the caller",
        STEPS,
        Bare(_HangUpShape(), lambda said, span: HangUp(span)),
        "the caller says something with `say: …`",
    ),
)
_STEP_LIST: Final = ListOf(STEP, "a list of steps", MOST_STEPS)


def in_order(steps: tuple[Step, ...], findings: Findings) -> None:
    """Report every step whose instant lies before that of a step that stands before it."""
    last = 0.0
    for step in steps:
        at = getattr(step, "at", None)
        if at is None:
            continue
        if at < last:
            findings.add(
                Diagnostic(
                    codes.OUT_OF_RANGE,
                    f"`at` takes an instant from {format_duration(last)} on, not {format_duration(at)}",
                    step.span,
                    notes=(f"A step that stands before it begins at {format_duration(last)}.",),
                    help="write the steps in the order in which they happen",
                )
            )
        last = max(last, at)


def _caller(read: RecordValue, node: Node, findings: Findings) -> Caller:
    plain = Caller()
    steps = read.get("steps", ())
    in_order(steps, findings)
    return Caller(
        steps, read.get("pace", plain.pace), read.get("frame", plain.frame), read.get("continuous", plain.continuous),
        read.get("patience", plain.patience), _transport(read.get("ingress")) or "",
    )  # fmt: skip


class _Steps(ListOf):
    """The steps by themselves, which are held to the same order."""

    def read(self, node: Node, what: str, findings: Findings) -> tuple[Any, ...] | None:
        read = super().read(node, what, findings)
        if read is not None:
            in_order(read, findings)
        return read


CALLER: Final = Listed(
    _Steps(STEP, "a list of steps", MOST_STEPS),
    Built(
        Record(
            {
                "ingress": Field(_TRANSPORT, "The transport that carries the voice, when the graph has several."),
                "pace": Field(Number(0.2, 20), "Words a second; 2.5 unless said."),
                "frame": Field(Duration(0.005, 0.2), "How much audio is in a frame; 20ms unless said."),
                "continuous": Field(Flag(), "True: silence is sent in frames like speech, not as comfort noise."),
                "patience": Field(
                    Duration(0.001, 3600),
                    "How long the agent is silent before a caller who is done hangs up; 3s unless said.",
                ),
                "steps": Field(_STEP_LIST, "What the caller does, one thing after the other."),
            },
            words="a mapping {pace: …, steps: […]}",
        ),
        _caller,
    ),
    Caller,
)
"""``caller:`` of a scenario."""
