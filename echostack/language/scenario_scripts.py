"""What a scenario says about the connectors: what they reply, how long they take, what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.language import codes
from echostack.language.data import Mapping_, Scalar
from echostack.language.durations import format_duration
from echostack.language.forms import Bare, Built, Defined, Keyed, Mark, NodeName, Often, place
from echostack.language.records import Either, Field, ListOf, Record, RecordValue
from echostack.language.scenario import Delay, Fault, FaultKind, Output, Reply, Script
from echostack.language.scenario_steps import DAY, INSTANT, KIND, SPAN_OF_TIME, WHERE
from echostack.language.shapes import Count, Duration, Flag, Name, OneOf, Schema, Text
from echostack.language.tree import MappingNode, Node
from echostack.language.values import to_value
from echostack.language.yaml_tree import shorten

MOST_REPLIES: Final = 1_000
MOST_OUTPUTS: Final = 1_000
MOST_FAULTS: Final = 1_000
NODE: Final = NodeName()
_PORT: Final = Name((1, 1), "the name of a port")
_NOTHING: Final = "nothing"
_FOUND_TEXT: Final = Text(lines=True, most=100_000)


def keys_of(node: Node) -> list[str]:
    """The keys of a mapping as written, right or wrong."""
    return [p.key.text for p in node.pairs] if isinstance(node, MappingNode) else []


def only_one(node: Node, keys: tuple[str, ...], what: str, findings: Findings) -> bool:
    """Whether at most one of ``keys`` is written; the second is reported."""
    assert isinstance(node, MappingNode)
    found = [p.key for p in node.pairs if p.key.text in keys]
    if len(found) > 1:
        findings.add(
            Diagnostic(
                codes.NOT_TOGETHER,
                f"`{found[0].text}` and `{found[1].text}` cannot stand together in {what}",
                found[1].span,
                help="keep one of the two",
            )
        )
    return len(found) < 2


def _delay(read: RecordValue, node: Node, findings: Findings) -> Delay | None:
    p50 = read.get("p50")
    p95 = read.get("p95", p50)
    if p95 < p50:
        findings.add(
            Diagnostic(
                codes.OUT_OF_RANGE,
                f"`p95` takes a duration from `p50` on, {format_duration(p50)}, not `{format_duration(p95)}`",
                read.span_of("p95"),
            )
        )
        return None
    return Delay(p50, p95)


DELAY: Final = Either(
    SPAN_OF_TIME,
    Built(
        Record(
            {
                "p50": Field(SPAN_OF_TIME, "Half of the delays are at most so long.", required=True),
                "p95": Field(SPAN_OF_TIME, "Ninety-five of a hundred are at most so long; `p50` unless said."),
            },
            words="a mapping {p50: …, p95: …}",
        ),
        _delay,
    ),
    wrap=lambda seconds, span: Delay(seconds, seconds),
)
_DELAY_FIELD: Final = Field(DELAY, "How long it takes to the first output: always so long, or drawn by the seed.")


class OutputShape:
    """One event that a connector gives: ``{kind: {field: value}}``, with ``port`` and ``after`` beside the kind."""

    words = "an event such as {text: {text: Hello}}"
    beside: Final = {
        "port": Field(_PORT, "The output port that it leaves by."),
        "after": Field(SPAN_OF_TIME, "How long after the output before it."),
    }

    def read(self, node: Node, what: str, findings: Findings) -> Output | None:
        if not isinstance(node, MappingNode):
            findings.add(Diagnostic(codes.WRONG_TYPE, f"{what} takes {self.words}", node.span,
                                    help="write the kind of the event and its fields"))  # fmt: skip
            return None
        kinds = [p for p in node.pairs if p.key.text not in self.beside]
        if len(kinds) != 1:
            said = "no kind" if not kinds else "two kinds"
            findings.add(
                Diagnostic(
                    codes.NO_FORM if not kinds else codes.TWO_FORMS,
                    f"an event that is given names one kind, and this one names {said}",
                    kinds[1].key.span if kinds else node.span,
                    help="write {text: {text: Hello}}, each event in an item of its own",
                )
            )
            return None
        kind, value = kinds[0].key, kinds[0].value
        if not KIND.fits(kind.text):
            findings.add(
                Diagnostic(codes.BAD_NAME, f"`{shorten(kind.text)}` is not {KIND.words}", kind.span,
                           help="`echostack connectors` shows what each connector makes")
            )  # fmt: skip
            return None
        fields = to_value(value, findings)
        if fields is None:
            return None
        if isinstance(fields, Scalar) and fields.value is None:
            fields = Mapping_({}, {}, value.span)
        if not isinstance(fields, Mapping_):
            findings.add(
                Diagnostic(codes.WRONG_TYPE, f"`{kind.text}` takes a mapping of fields", value.span,
                           help=f"write {{{kind.text}: {{field: value}}}}")
            )  # fmt: skip
            return None
        given: dict[str, Any] = {}
        for pair in node.pairs:
            if pair.key.text in self.beside and not pair.value.broken:
                given[pair.key.text] = self.beside[pair.key.text].shape.read(pair.value, f"`{pair.key.text}`", findings)
        return Output(kind.text, fields, place(node), given.get("port") or "", given.get("after"))

    def schema(self) -> Schema:
        beside = {k: {**f.shape.schema(), "description": f.about} for k, f in self.beside.items()}
        names = f"{KIND.pattern}"
        return {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1 + len(beside),
            "properties": beside,
            "propertyNames": {"pattern": names},
            "additionalProperties": {"type": ["object", "null"]},
        }


class _Outputs:
    """A list of outputs, or one by itself."""

    words = "a list of events such as {text: {text: Hello}}"
    _one: Final = Defined("output", OutputShape())
    _many: Final = ListOf(_one, words, MOST_OUTPUTS)

    def chosen(self, node: Node) -> Any:
        return self._one if isinstance(node, MappingNode) else self._many

    def read(self, node: Node, what: str, findings: Findings) -> tuple[Output, ...] | None:
        if isinstance(node, MappingNode):
            one = self._one.read(node, what, findings)
            return None if one is None else (one,)
        return self._many.read(node, what, findings)

    def schema(self) -> Schema:
        return {"anyOf": [self._one.schema(), self._many.schema()]}


def _reply(read: RecordValue, node: Node, findings: Findings) -> Reply | None:
    answers = ("say", "give", "nothing")
    if not only_one(node, answers, "one reply", findings):
        return None
    if not any(key in answers for key in keys_of(node)):
        findings.add(
            Diagnostic(
                codes.MISSING_KEY,
                "a reply needs one of `say`, `give` and `nothing`",
                place(node),
                help="`say` gives text, `give` gives events, `nothing: true` answers nothing",
            )
        )
        return None
    return Reply(
        place(node), read.get("to"), read.get("where"), read.get("say"), read.get("give", ()),
        "nothing" in read.found, read.get("delay"), read.get("times"),
    )  # fmt: skip


def _bare_reply(text: str, span: Any) -> Reply:
    return Reply(span, nothing=True) if text == _NOTHING else Reply(span, say=text)


REPLY: Final = Defined(
    "reply",
    Either(
        Text(lines=True, most=100_000, words="what is said, or nothing"),
        Built(
            Record(
                {
                    "to": Field(
                        Text(lines=True, most=10_000), "The words that it answers to, in order; * for any words."
                    ),
                    "where": Field(WHERE.shape, "What the payload that it answers to must fulfil."),
                    "say": Field(_FOUND_TEXT, "The text that the connector gives."),
                    "give": Field(_Outputs(), "The events that the connector gives."),
                    "nothing": Field(Mark("true", text=False), "True: the connector answers nothing."),
                    "delay": _DELAY_FIELD,
                    "times": Field(Often(), "How often it is used before it is passed over; or always."),
                },
                words="a mapping such as {to: …, say: …}",
            ),
            _reply,
        ),
        wrap=_bare_reply,
    ),
)

_FAULT_FIELDS: Final = {
    "nth": Field(Count(1, 1_000_000), "With the nth event that reaches the connector, counted from 1."),
    "at": Field(INSTANT, "With the first event from this instant on; a connector that streams: at this instant."),
    "until": Field(INSTANT, "Until when it goes on happening."),
    "times": Field(Often(), "How often; always, when neither `nth` nor `at` says when, else once."),
    "retryable": Field(Flag(), "Whether the connector calls its failure worth a retry; true unless said."),
    "retry_after": Field(Duration(0, DAY), "After how long its failure says that a retry is worth it."),
}
_FAULT_ABOUT: Final = {
    FaultKind.ERROR: "It fails before its first output; a text is the failure's message.",
    FaultKind.SLOW: "It takes so much longer.",
    FaultKind.DISCONNECT: "It fails after its first output, or in the middle of a stream.",
    FaultKind.DUPLICATE: "It gives each output twice.",
    FaultKind.REORDER: "It gives two outputs that follow each other in the wrong order.",
    FaultKind.DROP: "It loses an output.",
    FaultKind.ENDLESS: "It never ends.",
    FaultKind.OPEN: "It cannot be opened when the call begins.",
}
_SPEAKING: Final = (FaultKind.ERROR, FaultKind.DISCONNECT, FaultKind.OPEN)
"""Faults that come as a failure with a message."""


def _fault(kind: FaultKind) -> Callable[[RecordValue, Node, Findings], Fault | None]:
    def make(read: RecordValue, node: Node, findings: Findings) -> Fault | None:
        if not only_one(node, ("nth", "at"), "one fault", findings):
            return None
        nth, at, until = read.get("nth"), read.get("at"), read.get("until")
        if until is not None and until <= (at or 0.0):
            findings.add(
                Diagnostic(
                    codes.OUT_OF_RANGE,
                    f"`until` takes an instant after {format_duration(at or 0.0)}, not `{format_duration(until)}`",
                    read.span_of("until"),
                )
            )
            return None
        once = (nth is not None or at is not None) and until is None
        said = read.get(kind.value)
        return Fault(
            kind, place(node), nth, at, until, read.get("times", 1 if once else 0),
            said if kind is FaultKind.SLOW else 0.0,
            said if kind in _SPEAKING else "",
            read.get("retryable", True),
            read.get("retry_after"),
        )  # fmt: skip

    return make


def _fault_form(kind: FaultKind) -> Built:
    head = SPAN_OF_TIME if kind is FaultKind.SLOW else Mark() if kind in _SPEAKING else Mark("true", text=False)
    return Built(
        Record({kind.value: Field(head, _FAULT_ABOUT[kind], required=True), **_FAULT_FIELDS}), _fault(kind)
    )  # fmt: skip


FAULTS: Final = {kind.value: _fault_form(kind) for kind in FaultKind}
"""The faults, by the key that each begins with."""

FAULT: Final = Defined(
    "fault",
    Keyed(
        "a fault",
        FAULTS,
        Bare(
            OneOf(tuple(k.value for k in FaultKind if k is not FaultKind.SLOW)),
            lambda kind, span: Fault(FaultKind(kind), span, times=0),
        ),
    ),
)


def _script(read: RecordValue, node: Node, findings: Findings) -> Script | None:
    sound = only_one(node, ("replies", "answers"), "one connector", findings)
    others = [k for k in keys_of(node) if k in ("replies", "answers", "delay", "faults")]
    if read.get("real") and others:
        findings.add(
            Diagnostic(
                codes.NOT_TOGETHER,
                f"a connector that is real takes no `{others[0]}`",
                read.found["real"].key_span,
                notes=("A real connector does what it does; only simulated ones are scripted.",),
                help="remove `real`, or what stands beside it",
            )
        )
        sound = False
    if not sound:
        return None
    return Script(
        "", place(node), read.get("replies", ()), read.get("answers", ""), read.get("delay"), read.get("faults", ()),
        read.get("real", False),
    )  # fmt: skip


SCRIPT: Final = Defined(
    "connector",
    Built(
        Record(
            {
                "replies": Field(
                    ListOf(REPLY, "a list of replies", MOST_REPLIES), "What it answers; the first reply that fits."
                ),
                "answers": Field(
                    Name((1, 6), "the name of a function, such as `my_function`"),
                    "A function of a plugin that replies, by its name.",
                ),
                "delay": _DELAY_FIELD,
                "faults": Field(ListOf(FAULT, "a list of faults", MOST_FAULTS), "What goes wrong, and when."),
                "real": Field(Flag(), "True: the node is not simulated."),
            },
            words="a mapping such as {replies: […], delay: 300ms}",
        ),
        _script,
    ),
)
