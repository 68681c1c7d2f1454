"""The one table of what a .echo file may hold. The reader reads by it, the JSON Schema is written from it, and the
formatter takes the order of the sections from it."""

from __future__ import annotations

from typing import Any, Final

from echostack.core.events import EventPattern
from echostack.core.span import Span
from echostack.language import codes
from echostack.language.data import Mapping_
from echostack.language.records import Either, Field, ListOf, MapOf, Record, RecordValue
from echostack.language.rules import RuleShape
from echostack.language.scenario_sections import SCENARIOS
from echostack.language.shapes import NAME, Checked, Count, Duration, Flag, Found, Name, OneOf, Schema, Text, Version
from echostack.language.tree import Node, ScalarNode

HOUR: Final = 3600.0
PLAIN_NAME: Final = Name((1, 1), "a name: letters, digits and `_`, not a digit first")
NODE_NAME: Final = Name((1, 2), "the name of a node: `vendor.role`, or a name of your own")
REGISTRY_NAME: Final = Name((2, 2), "the name of a connector, `vendor.role`")
_INTERFACE_NODE: Final = rf"^{NAME}(\.{NAME}){{0,3}}(:{NAME})?$"


def _pattern(text: str) -> str:
    EventPattern.parse(text)
    return text


def _import_path(text: str) -> str:
    if not text.strip() or "\0" in text or "\n" in text or len(text) > 1000:
        raise ValueError("the path of an import is empty or no path")
    if "://" in text:
        raise ValueError(f"`{text[:60]}` is an address, and imports are read from files only")
    if "\\" in text:
        raise ValueError(f"`{text[:60]}` has backslashes, which only one system reads as a path")
    return text


def _one_path(path: str, span: Span) -> RecordValue:
    return RecordValue({"path": Found(path, span, span)}, Mapping_({}, {}, span), span)


class _InterfaceNode:
    """A node as ``interface:`` names it."""

    words = "a node of the pipeline, such as `piper.tts` or `intent.router:other`"

    def read(self, node: Node, what: str, findings: Any) -> str | None:
        from echostack.language.arrows import parse_ref

        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            Checked(str, self.words, codes.BAD_NAME).read(node, what, findings)
            return None
        ref = parse_ref(node.text, node.sub, findings)
        return None if ref is None else str(ref)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": _INTERFACE_NODE}


class _Switch(Flag):
    """True and false, and the words on and off."""

    def read(self, node: Node, what: str, findings: Any) -> bool | None:
        if isinstance(node, ScalarNode) and node.value in ("on", "off"):
            return node.value == "on"
        return super().read(node, what, findings)

    def schema(self) -> Schema:
        return {"enum": [True, False, "on", "off"]}


POLICY: Final = {
    "use": Field(REGISTRY_NAME, "The connector behind this node, when the node has a name of its own."),
    "timeout": Field(Duration(0.001, HOUR), "How long one event may take; for a streaming connector, opening."),
    "attempts": Field(Count(1, 100), "How many tries in all an event gets."),
    "backoff": Field(Duration(0, HOUR), "How long before the second try; doubles from try to try."),
    "cooldown": Field(Duration(0, 24 * HOUR), "How long a failed member of a `??` rests before it is tried again."),
}
"""Keys of a node that belong to the engine; the others are the connector's own settings."""

_INTERFACE_SIDE = Either(
    _InterfaceNode(),
    MapOf(PLAIN_NAME, _InterfaceNode(), words="a mapping from port names to nodes"),
    wrap=lambda name, span: {"": Found(name, span, span)},
)

SECTIONS: Final = Record(
    {
        "echostack": Field(Version(), "The version of the language that the file is written in."),
        "name": Field(Text(), "The name of the graph, for logs, pictures and recordings."),
        "description": Field(Text(lines=True, most=10_000), "What the graph does, for people."),
        "connectors": Field(
            MapOf(
                NODE_NAME,
                Record(
                    POLICY,
                    words="a mapping of settings",
                    rest=True,
                    nullable=True,
                    hint="write the connector as `{use: vendor.role}`, its settings beside it",
                ),
                words="a mapping from nodes to their settings",
            ),
            "The settings of nodes, and names of your own for them.",
        ),
        "playbooks": Field(
            MapOf(
                PLAIN_NAME,
                Record(
                    {
                        "mode": Field(
                            OneOf(("exclusive", "background")), "Takes turns with the others, or always listens."
                        )
                    },
                    words="a mapping such as {mode: background}, or {}",
                    rest=True,
                    nullable=True,
                ),
                words="a mapping from playbooks to their settings",
            ),
            "The playbooks that rules may switch to, found beside the file, then among the shipped ones.",
        ),
        "imports": Field(
            MapOf(
                PLAIN_NAME,
                Either(
                    Checked(_import_path, "the path of a .echo file", codes.BAD_PATH),
                    Record(
                        {
                            "path": Field(
                                Checked(_import_path, "the path of a .echo file", codes.BAD_PATH),
                                "The file, relative to this one.",
                                required=True,
                            ),
                            "settings": Field(
                                MapOf(NODE_NAME, Record({}, words="a mapping of settings", rest=True, nullable=True)),
                                "Settings of the imported file's nodes, by node.",
                            ),
                        },
                        words="a mapping {path: …, settings: …}",
                    ),
                    wrap=_one_path,
                ),
                words="a mapping from names to files",
            ),
            "Subgraphs from other files, used in rules as `name:port`.",
        ),
        "interface": Field(
            Record(
                {
                    "in": Field(_INTERFACE_SIDE, "The node that takes what flows in, or a node for each port."),
                    "out": Field(_INTERFACE_SIDE, "The node that gives what flows out, or a node for each port."),
                },
                words="a mapping {in: …, out: …}",
            ),
            "What this file offers to files that import it.",
        ),
        "pipeline": Field(ListOf(RuleShape(), words="a list of rules"), "The rules: which node feeds which."),
        "barge_in": Field(
            Either(
                _Switch(words="on, off"),
                Record(
                    {
                        "on": Field(
                            Checked(_pattern, "a pattern such as processing.webrtc.speech_started", codes.BAD_PATTERN),
                            "The event that says that the caller began to speak.",
                        ),
                        "min_speech": Field(Duration(0, 60), "How long the caller must speak to interrupt."),
                        "min_words": Field(Count(0, 100), "How many words the caller must say to interrupt."),
                        "resume_after": Field(Duration(0, 60), "After how long a false interruption ends."),
                        "backchannels": Field(ListOf(Text(), words="a list of words"), "Words that never interrupt."),
                        "vad": Field(NODE_NAME, "The voice-activity node that listens when `on` names no event."),
                    },
                    words="a mapping of settings",
                ),
                wrap=lambda on, span: on,
            ),
            "How the caller may interrupt; `off` forbids it.",
        ),
        "turns": Field(
            Record(
                {
                    "end_by": Field(NODE_NAME, "Who ends a turn: recogniser, silence, or a node's name."),
                    "silence": Field(Duration(0.01, 60), "How long a silence ends a turn, where silence does."),
                }
            ),
            "When the caller's turn is over.",
        ),
        "speculate": Field(
            Either(
                OneOf(("off", "model", "synthesis")),
                Record(
                    {
                        "on": Field(
                            OneOf(("model", "synthesis")),
                            "Who begins on a guess: the model, or the model and the synthesiser.",
                            required=True,
                        ),
                        "stable_for": Field(
                            Duration(0, 5), "For how long the caller's words must not change to be guessed on."
                        ),
                    },
                    words="a mapping such as {on: model}",
                ),
                wrap=lambda on, span: on,
            ),
            "Whether a reply is begun before the caller's turn has ended, and thrown away when it ends otherwise.",
        ),
        "budget": Field(
            Record({"voice_to_voice": Field(Duration(0.001, 60), "From the end of the caller's turn to the reply.")}),
            "Times that the checks hold the graph to.",
        ),
        "tests": Field(SCENARIOS, "Scenarios that `echostack test` runs."),
    },
    words="a mapping of sections",
    unknown=codes.UNKNOWN_SECTION,
)
"""Every section in its canonical order."""
