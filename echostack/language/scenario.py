"""A scenario as it was read: a scripted caller, scripted connectors, and what must come of it.

Times are seconds on the call's clock (0 when it opens), samples nowhere: a scenario speaks of words. Everything knows
its place in the file, so that a failing expectation can be shown where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from echostack.core.events import EventPattern
from echostack.core.span import Source, Span
from echostack.language.data import Value
from echostack.language.guard import Expression


@dataclass(frozen=True, slots=True)
class EventMatch:
    """Events whose name matches ``pattern`` and whose payload fulfils ``where``. ``text`` is how the file says it."""

    pattern: EventPattern
    where: Expression | None
    span: Span
    text: str = ""


# -- the caller ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """Say ``text``. ``lasts``: seconds, None for as long as its words take at the caller's pace.

    ``heard_as``: what recognisers make of it, None for the words themselves; ``confidence`` what they report.
    ``audio``: a WAV file that is sent instead, relative to the scenario's file; its words are still ``text``.
    """

    text: str
    span: Span
    at: float | None = None
    lasts: float | None = None
    heard_as: str | None = None
    confidence: float = 1.0
    audio: str | None = None


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Say ``text`` into the agent's speech, once ``after`` seconds of it were heard (of the utterance that is being
    spoken, or else of the next one). After ``within`` seconds without such speech the scenario fails."""

    text: str
    after: float
    span: Span
    within: float = 30.0
    lasts: float | None = None
    backchannel: bool = False  # a mere sign of listening ("mhm"): said quickly, and expected to interrupt nothing


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for ``seconds``; the line goes on carrying silence."""

    seconds: float
    span: Span


@dataclass(frozen=True, slots=True)
class Listen:
    """Say nothing until the agent has spoken since the caller's last words and then been silent for ``seconds``.
    After ``within`` seconds the scenario fails."""

    seconds: float
    span: Span
    within: float = 30.0


@dataclass(frozen=True, slots=True)
class Await:
    """Say nothing until an event matches, an earlier one not counted. After ``within`` seconds the scenario fails."""

    event: EventMatch
    span: Span
    within: float = 30.0


class NoiseLevel(StrEnum):
    """``quiet`` noise is under every voice-activity gate; ``loud`` noise opens it, and is no word to anyone."""

    QUIET = "quiet"
    LOUD = "loud"


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise on the line for ``seconds``. ``background``: under what the caller does next, not before it."""

    seconds: float
    level: NoiseLevel
    span: Span
    at: float | None = None
    background: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """A line that carries nothing for ``seconds``, not even silence: no frame reaches the graph."""

    seconds: float
    span: Span


@dataclass(frozen=True, slots=True)
class Keys:
    """Press keys on the phone, one every 200 ms."""

    digits: str
    span: Span
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send an event of ``kind`` with these ``fields`` from the ingress ``source`` (None: the only one that can)."""

    kind: str
    fields: Value
    span: Span
    source: str | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class HangUp:
    """The caller is gone."""

    span: Span
    at: float | None = None


Step = Say | Interrupt | Pause | Listen | Await | Noise | Dead | Keys | Send | HangUp


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``at`` of a step is the instant at which it begins; without it a step follows the one before.

    pace: words a second. frame: seconds of audio in a frame. continuous: whether silence is sent in frames like
    speech; otherwise, as transports with discontinuous transmission do, as a comfort frame every 400 ms, beginning
    half a second after speech. ingress: the transport that carries the voice, empty for the graph's first that does.
    A caller without a hang-up at the end stays on the line until the agent has been silent for ``patience`` seconds.
    """

    steps: tuple[Step, ...] = ()
    pace: float = 2.5
    frame: float = 0.02
    continuous: bool = False
    patience: float = 3.0
    ingress: str = ""


# -- the connectors --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a connector takes to its first output: always ``p50`` when ``p95`` equals it, else drawn by seed."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Output:
    """One event that a scripted connector gives: of ``kind`` with these ``fields``, by ``port``, ``after`` seconds
    since the one before."""

    kind: str
    fields: Value
    span: Span
    port: str = ""
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a connector answers to an event that fulfils ``where`` and whose text holds the words ``to`` (in order,
    case and punctuation aside, ``*`` for any words); both absent: to any event.

    say: text to be given as the connector gives text (tokens of an agent). give: events. nothing: no answer. Replies
    are tried in order; one that has been used ``times`` times (0: without end) is passed over. A reply without a
    condition is used once unless ``times`` says otherwise, and the last such reply without end.
    """

    span: Span
    to: str | None = None
    where: Expression | None = None
    say: str | None = None
    give: tuple[Output, ...] = ()
    nothing: bool = False
    delay: Delay | None = None
    times: int | None = None


class FaultKind(StrEnum):
    SLOW = "slow"  # takes `seconds` longer
    ERROR = "error"  # fails before its first output
    DISCONNECT = "disconnect"  # fails after its first output, or in the middle of a stream
    DUPLICATE = "duplicate"  # gives each output twice
    REORDER = "reorder"  # gives two outputs that follow each other in the wrong order
    DROP = "drop"  # loses an output
    ENDLESS = "endless"  # never ends
    OPEN = "open"  # cannot open


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at a connector.

    nth: with the nth event that reaches it, counted from 1; at: with the first from this instant on (a stream: at this
    instant); both None: with every event. times: how often (0: until ``until``, or for good). ``seconds`` is how much
    longer a slow one takes. ``retryable`` and ``retry_after`` (seconds) go into its failure, with ``message``.
    """

    kind: FaultKind
    span: Span
    nth: int | None = None
    at: float | None = None
    until: float | None = None
    times: int = 1
    seconds: float = 0.0
    message: str = ""
    retryable: bool = True
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What a scenario says about one node. ``answers``: the name of a Python function, in a plugin that the command
    line names, that replies in place of ``replies``. ``real``: not simulated."""

    node: str
    span: Span
    replies: tuple[Reply, ...] = ()
    answers: str = ""
    delay: Delay | None = None
    faults: tuple[Fault, ...] = ()
    real: bool = False


# -- what must come of it --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sees:
    """An event happens. ``times``: how often, at least and at most (None: no limit).

    at: at this very instant (to the microsecond). within: at most so many seconds after ``after`` (or the call's
    begin), ``later`` at least so many. before: no later than the first such event, which need not happen.
    """

    event: EventMatch
    span: Span
    times: tuple[int, int | None] = (1, None)
    at: float | None = None
    after: EventMatch | None = None
    within: float | None = None
    later: float | None = None
    before: EventMatch | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """No such event, in the whole call or from ``after`` on, for ``within`` seconds."""

    event: EventMatch
    span: Span
    after: EventMatch | None = None
    within: float | None = None


@dataclass(frozen=True, slots=True)
class InOrder:
    """The first such event of each, one after the other."""

    events: tuple[EventMatch, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Hears:
    """What the caller heard of the agent, told by the samples that reached the far end.

    nth: of the nth utterance (from 1), None for all of them as one text. Words are compared without case and
    punctuation. seconds: how much of it sounded, exactly. stops: the instant of its last sample. starts: of its first.
    """

    span: Span
    nth: int | None = None
    text: str | None = None
    contains: str | None = None
    lacks: str | None = None
    seconds: float | None = None
    starts: float | None = None
    stops: float | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the conversation as it must be; ``cut`` None when it does not matter."""

    role: str
    text: str
    span: Span
    cut: bool | None = None


@dataclass(frozen=True, slots=True)
class Holds:
    """The conversation at the call's end is exactly ``turns``; with ``among`` they are in it in this order."""

    turns: tuple[Said, ...]
    span: Span
    among: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What a node has done to the outside world: how many writes whose fields fulfil ``where``."""

    node: str
    span: Span
    where: Expression | None = None
    times: tuple[int, int | None] = (1, None)


@dataclass(frozen=True, slots=True)
class Takes:
    """A time of the call is at most so long, in seconds: ``of`` is voice_to_voice, turn_to_audio, or a node (its
    first output). Limits are by percentile: {50: 0.8, 95: 1.2, 100: 2.0}."""

    of: str
    limits: Mapping[int, float]
    span: Span


@dataclass(frozen=True, slots=True)
class Drops:
    """Queues lose at least and at most so many events: of the edge whose name holds ``edge``, or all together."""

    span: Span
    edge: str = ""
    times: tuple[int, int | None] = (0, 0)


@dataclass(frozen=True, slots=True)
class Ends:
    """The call ends: with a reason that contains ``reason``, at the latest ``by``, and ``late`` names who was late."""

    span: Span
    reason: str | None = None
    by: float | None = None
    late: tuple[str, ...] | None = None


Expectation = Sees | Never | InOrder | Hears | Holds | Written | Takes | Drops | Ends


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test of a graph. ``lasts``: seconds on the call's clock after which a call that goes on has failed.

    graph: the `.echo` file that it tests, relative to the scenario's own file; empty for the file that it stands in.
    settings: laid over the file's, by node. env: what `{env: NAME}` leaves are given; nothing comes from the real
    environment. steps of the caller, scripts and expectations are in the order of the file.
    shuffle: what is ready at one instant runs in an order drawn by the seed; jitter: and timers fire up to so many
    seconds late.
    """

    name: str
    span: Span
    about: str = ""
    seed: int = 0
    lasts: float = 600.0
    graph: str = ""
    settings: Mapping[str, Value] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    caller: Caller = Caller()
    connectors: Mapping[str, Script] = field(default_factory=dict)
    expect: tuple[Expectation, ...] = ()
    shuffle: bool = False
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A file of scenarios beside the graph that they test: ``graph:`` and ``tests:``."""

    source: Source
    graph: str
    scenarios: tuple[Scenario, ...]
    graph_span: Span | None = None
