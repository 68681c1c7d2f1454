"""The form of a recording: the folder, the lines of ``recording.jsonl``, and what each field means.

A recording is a folder. ``recording.jsonl`` holds a header, then one JSON object a line in the order in which things
happened; ``audio/`` holds tracks as WAV files; ``graph/`` the texts of the files that the call ran. Fields that have
their usual value (0, empty) are left out of a line. docs/recordings.md describes the same for readers in other
languages; a change that an older reader would misunderstand raises VERSION.
"""

from __future__ import annotations

from typing import Any

import msgspec

from echostack.core.errors import EchoStackError

VERSION = 1
LINES = "recording.jsonl"
AUDIO = "audio"
GRAPH = "graph"
SUFFIX = ".rec"
MASK = "**********"
"""What stands in place of a secret."""


class RecordingError(EchoStackError):
    """A recording cannot be read or written: which file, where in it, and what to do."""


# -- the header ------------------------------------------------------------------------------------------------


class NodeHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """One node of the plan. use: its connector, empty for a choice. form: how its code is called. source: the second
    part of its events' names. settings: as the files and the program gave them; no secret and no value of the
    environment. kept: the settings (by their path, ``a.b``) whose strings are names and not texts."""

    id: str
    use: str = ""
    role: str = ""
    form: str = ""
    source: str = ""
    scope: int = 0
    island: int = -1
    members: tuple[str, ...] = ()
    inserted: bool = False
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    kept: tuple[str, ...] = ()


class EdgeHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """One route of the plan. queue: whether events wait on it (its figures are those of ``Header.queues``)."""

    id: str
    source: str
    target: str
    kinds: tuple[str, ...] = ()
    port: str = ""
    pattern: str = ""
    queue: bool = False
    place: str = ""


class ScopeHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one interruption silences together. ``id`` counts from 1; 0 is outside any."""

    id: int
    name: str
    nodes: tuple[str, ...] = ()
    egresses: tuple[str, ...] = ()


class QueueHead(msgspec.Struct, frozen=True):
    """One queue: the edge (or ``<node> (control)``), its bound in events, and what it does when it is full."""

    edge: str
    bound: int
    overflow: str


class FileHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of the graph, the opened one first. path: of the copy, in the recording's folder. hash: SHA-256 of the
    text that ran, as hexadecimal digits; the copy has another when something in it was ``masked``."""

    path: str
    hash: str = ""
    masked: bool = False


class Header(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The first line.

    echostack: always "recording". version: of this form. started: when the call was put together, in seconds since
    the Unix epoch (a simulated call has a fixed one). graph, hash: the plan's name and its hash over all files' texts.
    versions: of EchoStack, Python and the packages that matter. redacted: words, numbers and voices were taken out.
    """

    echostack: str
    version: int
    session: str
    seed: int = 0
    simulated: bool = False
    redacted: bool = False
    started: float = 0.0
    graph: str = ""
    hash: str = ""
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    files: tuple[FileHead, ...] = ()
    nodes: tuple[NodeHead, ...] = ()
    edges: tuple[EdgeHead, ...] = ()
    scopes: tuple[ScopeHead, ...] = ()
    queues: tuple[QueueHead, ...] = ()


# -- the lines after it ----------------------------------------------------------------------------------------


class AudioRef(msgspec.Struct, frozen=True, gc=False):
    """Where audio lies: ``samples`` sample frames from sample ``at`` of the file ``audio/<track>.wav``."""

    track: str
    at: int
    samples: int


class EventEntry(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="event"):
    """An event, as ``core.events.Event``: what led to it, to whom it belonged, and what it held.

    ``payload`` is the payload's JSON, its audio an AudioRef in place of ``pcm``; ``Recording.payload`` makes it one
    again. Events appear in the order in which they were made, which is the order of ``seq``.
    """

    seq: int
    time: float
    name: str
    node: str = ""
    port: str = ""
    scope: int = 0
    epoch: int = 0
    cause: int = 0
    payload: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def kind(self) -> str:
        """``text`` or ``text.partial``: the name without its stage and source."""
        return self.name.split(".", 2)[2]

    @property
    def data(self) -> dict[str, Any]:
        """The payload as plain data; what carried audio has ``{"track", "at", "samples"}`` under ``pcm``."""
        data: dict[str, Any] = msgspec.json.decode(self.payload)
        return data


class DropEntry(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="drop"):
    """A full queue lost the event ``seq`` by its policy."""

    time: float
    edge: str
    seq: int


class StateEntry(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="state"):
    """What has changed in queues and epochs, told before the next event that is not audio.

    queues: for each queue that changed ``(number in Header.queues, held, put, dropped, stale, refused)``: how many
    events it holds, and since the call began were put into it, lost by its policy, cleared by interruptions, refused.
    epochs: of all scopes, by number, when one went up; 0 at first.
    """

    time: float
    queues: tuple[tuple[int, int, int, int, int, int], ...] = ()
    epochs: tuple[int, ...] = ()


class PlayedEntry(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="played"):
    """Audio that was heard, without a pause, at the far end of ``egress``: made for the event ``seq``, from the second
    ``start`` of the call on. ``time`` is when it was told, its end or a little later."""

    time: float
    egress: str
    seq: int
    start: float
    audio: AudioRef


class EndEntry(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="end"):
    """The last line of a recording that was written to its end: the call's figures (``runtime.stats.Stats``)."""

    time: float
    stats: dict[str, Any] = msgspec.field(default_factory=dict)


Entry = EventEntry | DropEntry | StateEntry | PlayedEntry | EndEntry
