"""A `.echo` file as it was read: loose, complete with spans, not yet resolved against anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from echostack.core.span import Source, Span
from echostack.language.ast import Rule
from echostack.language.data import Mapping_
from echostack.language.scenario import Scenario


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """What the engine does around a node, whatever the connector: keys that stand beside its own settings.

    timeout: seconds for one event (for a STREAM: to open). attempts: tries in all. backoff: seconds before the
    second try, doubling with jitter. cooldown: seconds a failed member of a ``??`` rests before a probe.
    given: the names of those that the file itself says; for the others a connector may know better.
    """

    timeout: float | None = None
    attempts: int = 1
    backoff: float = 0.2
    cooldown: float = 10.0
    given: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class ConnectorDecl:
    """One entry under ``connectors:``. ``use`` is the registry name (the entry's own unless `use:` says so)."""

    name: str
    use: str
    settings: Mapping_
    policy: NodePolicy
    span: Span
    use_span: Span


@dataclass(frozen=True, slots=True)
class PlaybookDecl:
    """One entry under ``playbooks:``; ``mode`` is exclusive or background."""

    name: str
    mode: str
    settings: Mapping_
    span: Span


@dataclass(frozen=True, slots=True)
class ImportDecl:
    """``imports: {speak: graphs/speak.echo}``; ``settings`` override nodes of the imported file, by node name."""

    name: str
    path: str
    settings: Mapping_ | None
    span: Span
    path_span: Span


@dataclass(frozen=True, slots=True)
class InterfaceDecl:
    """What an importable file offers: port name → the node that it stands for, inwards and outwards."""

    inputs: Mapping[str, tuple[str, Span]]
    outputs: Mapping[str, tuple[str, Span]]
    span: Span


@dataclass(frozen=True, slots=True)
class BargeInDecl:
    """The ``barge_in:`` section. Times in seconds. ``on`` is an event pattern's text, empty for the default tap."""

    enabled: bool = True
    on: str = ""
    min_speech: float = 0.5
    min_words: int = 0
    resume_after: float = 2.0
    backchannels: tuple[str, ...] = ("mhm", "mm-hmm", "uh-huh", "yeah", "okay", "right", "I see")
    vad: str = "webrtc.vad"
    span: Span | None = None
    on_span: Span | None = None


@dataclass(frozen=True, slots=True)
class TurnsDecl:
    """The ``turns:`` section: who ends a turn (``recogniser``, ``silence`` or a node's name) and after how long."""

    end_by: str = "recogniser"
    silence: float = 0.6
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class SpeculateDecl:
    """The ``speculate:`` section. ``on``: empty for nothing, ``model`` or ``synthesis`` (the model and the
    synthesiser behind it). ``stable_for``: seconds for which the caller's words must not change to be guessed on."""

    on: str = ""
    stable_for: float = 0.2
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One file, read. Parts that did not parse are missing here and present among the findings."""

    source: Source
    version: int = 1
    name: str = ""
    description: str = ""
    connectors: Mapping[str, ConnectorDecl] = field(default_factory=dict)
    playbooks: Mapping[str, PlaybookDecl] = field(default_factory=dict)
    imports: Mapping[str, ImportDecl] = field(default_factory=dict)
    interface: InterfaceDecl | None = None
    pipeline: tuple[Rule, ...] = ()
    barge_in: BargeInDecl = BargeInDecl()
    turns: TurnsDecl = TurnsDecl()
    speculate: SpeculateDecl = SpeculateDecl()
    voice_to_voice: float | None = None  # seconds; the budget
    voice_to_voice_span: Span | None = None
    tests: tuple[Scenario, ...] = ()
    span: Span | None = None
