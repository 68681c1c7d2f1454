"""What a plan is, told as data: the answer of `echostack explain`, before it becomes words or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One node: ``runs`` says how (``fused in island 1``, ``a task of its own``), ``does`` its connector's form."""

    id: str
    connector: str
    form: str
    runs: str
    scope: str
    inserted: bool


@dataclass(frozen=True, slots=True)
class IslandLine:
    """Nodes fused into one operator, in the order in which an event passes them; no queue stands between them."""

    id: int
    nodes: tuple[str, ...]
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue: where, how many events, what a full one does, in which lane, and why it is there."""

    source: str
    target: str
    kinds: tuple[str, ...]
    bound: int
    overflow: str
    lane: str
    why: str


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """What one interruption silences, and what starts it."""

    name: str
    nodes: tuple[str, ...]
    egresses: tuple[str, ...]
    on: str
    min_speech_s: float
    min_words: int
    resume_after_s: float


@dataclass(frozen=True, slots=True)
class InsertedLine:
    """Something that the compiler put in and the file does not name: a resampler or a voice-activity tap."""

    what: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class LatencyStep:
    """One stage of the way from the caller's ear to the agent's mouth; sums count from the start, in milliseconds."""

    node: str
    p50_ms: float
    p95_ms: float
    sum_p50_ms: float
    sum_p95_ms: float


@dataclass(frozen=True, slots=True)
class Budget:
    """The file's voice-to-voice budget and what is left of it; a negative rest is an overrun."""

    budget_ms: float
    left_p50_ms: float
    left_p95_ms: float


@dataclass(frozen=True, slots=True)
class FailureLine:
    """What happens when a node fails. ``fallback`` names the members of a choice, in order, and ``rests_s`` tells for
    each of them how many seconds it rests when it has failed."""

    node: str
    timeout_s: float | None
    attempts: int
    backoff_s: float
    fallback: tuple[str, ...]
    rests_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that `echostack explain` says about a plan; what it says is what runs."""

    name: str
    hash: str
    nodes: tuple[NodeLine, ...]
    islands: tuple[IslandLine, ...]
    queues: tuple[QueueLine, ...]
    scopes: tuple[ScopeLine, ...]
    inserted: tuple[InsertedLine, ...]
    latency: tuple[LatencyStep, ...]
    budget: Budget | None
    turns: str
    speculation: str
    failures: tuple[FailureLine, ...]

    def data(self) -> Mapping[str, Any]:
        """The same as JSON-ready data: dicts, lists, numbers and strings."""
        return {key: _lists(value) for key, value in asdict(self).items()}


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _lists(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_lists(v) for v in value]
    return value
