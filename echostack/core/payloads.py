"""The kinds that EchoStack ships. A plugin declares more in the same way (see ``echostack.core.kinds.kind``).

Times inside payloads are seconds on the session's clock unless a name says ``ms``; sample counts are sample
frames (one instant over all channels). Confidence and scores lie in 0..1 unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import msgspec

from echostack.core.audio import AudioFormat
from echostack.core.kinds import Overflow, Payload, kind


class Word(msgspec.Struct, frozen=True, gc=False):
    """One word with its place in the audio that it belongs to, in milliseconds from that audio's start."""

    text: str
    start_ms: float
    end_ms: float
    confidence: float = 1.0


class _Audio(Payload, frozen=True, gc=False):
    pcm: bytes
    rate: int
    channels: int = 1

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(self.rate, self.channels)

    @property
    def samples(self) -> int:
        return len(self.pcm) // (2 * self.channels)

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


@kind("audio_frame", overflow=Overflow.DROP_OLDEST, queue=50, lossy=True, audio=True)
class AudioFrame(_Audio, frozen=True, gc=False):
    """A short piece of the caller's audio, usually 20 ms, as it arrives from a transport."""

    track: str = ""


class _Speech(_Audio, frozen=True, gc=False):
    utterance: str = ""
    text: str = ""
    words: tuple[Word, ...] = ()
    final: bool = False
    interruptible: bool = True


@kind("audio_chunk", queue=16, audio=True)
class AudioChunk(_Speech, frozen=True, gc=False):
    """The synthesised speech of a whole utterance in one piece.

    ``utterance`` is the id of the message spoken, ``text`` its words, ``words`` their times in this audio when
    the synthesiser knows them.
    """


@kind("audio_chunk.stream", queue=16, audio=True)
class AudioChunkStream(_Speech, frozen=True, gc=False):
    """A piece of an utterance's speech, in order, as the synthesiser makes it.

    ``text`` is what this piece says (empty when it goes on with the text of the piece before), ``final`` marks
    the last piece of the utterance (which may hold no audio).
    """


@kind("text")
class Text(Payload, frozen=True, gc=False):
    """One whole turn of the caller, final: what was said, how sure the recogniser is, and what ended the turn."""

    text: str
    confidence: float = 1.0
    language: str = ""
    start: float = 0.0
    end: float = 0.0
    words: tuple[Word, ...] = ()
    ended_by: str = ""
    waited_ms: float = 0.0


@kind("text.partial", overflow=Overflow.LATEST, queue=4, lossy=True)
class TextPartial(Payload, frozen=True, gc=False):
    """What the caller seems to have said so far in this turn; it may still change."""

    text: str
    confidence: float = 1.0
    language: str = ""
    start: float = 0.0
    end: float = 0.0


@kind("text.segment")
class TextSegment(Payload, frozen=True, gc=False):
    """A piece of the caller's turn that will not change any more; the turn may go on."""

    text: str
    confidence: float = 1.0
    language: str = ""
    start: float = 0.0
    end: float = 0.0
    words: tuple[Word, ...] = ()


@kind("agent_message")
class AgentMessage(Payload, frozen=True, gc=False):
    """What an agent wants said, whole. ``id`` is the utterance's, shared with its pieces and its audio.

    An empty ``id`` means the event's own; the engine gives it before anyone downstream sees the message.
    """

    text: str
    id: str = ""
    interruptible: bool = True
    language: str = ""


@kind("agent_message.partial")
class AgentMessagePartial(Payload, frozen=True, gc=False):
    """A piece of an agent's message, in order, each long enough to be spoken on its own.

    ``final`` marks the last piece of the message ``id``; it may be empty.
    """

    text: str
    id: str = ""
    final: bool = False
    interruptible: bool = True
    language: str = ""


@kind("intent")
class Intent(Payload, frozen=True, gc=False):
    """What the caller wants, as a router understood it, with the words that it was understood from."""

    name: str
    confidence: float = 1.0
    text: str = ""
    slots: dict[str, str] = msgspec.field(default_factory=dict)


@kind("sentiment", overflow=Overflow.DROP_OLDEST, lossy=True)
class Sentiment(Payload, frozen=True, gc=False):
    """How something was said: ``score`` from -1 (bad) to 1 (good), ``label`` negative, neutral or positive."""

    score: float
    label: str
    text: str = ""


@kind("transcript_entry")
class TranscriptEntry(Payload, frozen=True, gc=False):
    """One line of the call's transcript: who (caller or agent), what, and whether it was cut off."""

    role: str
    text: str
    start: float = 0.0
    end: float = 0.0
    cut: bool = False


@kind("documents")
class Documents(Payload, frozen=True, gc=False):
    """What a knowledge search found: passages, best first, each with ``text``, ``score`` and ``source``."""

    query: str
    passages: tuple[dict[str, Any], ...] = ()


@kind("record")
class Record(Payload, frozen=True, gc=False):
    """A record of an outside system (a CRM's lead, a booking), with the system's own id and fields."""

    type: str
    id: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)


@kind("http_response", keep=True)
class HttpResponse(Payload, frozen=True, gc=False):
    """What an HTTP service answered; ``json`` is the decoded body when it was JSON, ``body`` its text."""

    status: int
    body: str = ""
    json: Any = None
    url: str = ""
    elapsed_ms: float = 0.0


@kind("tool_call")
class ToolCall(Payload, frozen=True, gc=False):
    """A model asks for a tool to be run; ``id`` ties the result to it."""

    name: str
    id: str = ""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)


@kind("tool_call.partial", overflow=Overflow.LATEST, queue=4, lossy=True)
class ToolCallPartial(Payload, frozen=True, gc=False):
    """A model is writing the arguments of the call ``id``: ``arguments`` is their JSON text so far, seldom whole."""

    name: str
    id: str = ""
    arguments: str = ""


@kind("usage", keep=True)
class Usage(Payload, frozen=True, gc=False):
    """What one request to a provider used, as the provider counts it; summed up in the session's figures.

    Tokens of a model: ``input_tokens`` counts all of the prompt, of which ``cached_tokens`` were read from a cache and
    ``cache_written_tokens`` written to one. ``characters`` of a synthesiser, ``audio_seconds`` of a recogniser.
    """

    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    characters: int = 0
    audio_seconds: float = 0.0


@kind("tool_result", keep=True)
class ToolResult(Payload, frozen=True, gc=False):
    """What a tool gave back; kept when the turn that asked for it is interrupted."""

    name: str
    id: str = ""
    result: Any = None
    error: str = ""


@kind("speech_started", control=True, keep=True)
class SpeechStarted(Payload, frozen=True, gc=False):
    """Voice activity began in the caller's audio. ``at`` is when, which lies before the decision."""

    at: float = 0.0
    probability: float = 1.0


@kind("speech_stopped", control=True, keep=True)
class SpeechStopped(Payload, frozen=True, gc=False):
    """Voice activity ended. ``at`` is when it ended, ``seconds`` how long it had lasted."""

    at: float = 0.0
    seconds: float = 0.0


@kind("dtmf", control=True, keep=True)
class Dtmf(Payload, frozen=True, gc=False):
    """A key pressed on the caller's phone."""

    digit: str


@kind("data")
class Data(Payload, frozen=True, gc=False):
    """Anything that has no kind of its own: a named bag of JSON data (a transport's data message, a form)."""

    name: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)


@kind("call_started", control=True, keep=True)
class CallStarted(Payload, frozen=True, gc=False):
    """The session is open: every connector is ready and the caller can be heard."""

    graph: str = ""


@kind("call_ended", control=True, keep=True)
class CallEnded(Payload, frozen=True, gc=False):
    """The call is over, or is asked to be: ``reason`` says by whom or why."""

    reason: str = ""


@kind("suspended", control=True, keep=True)
class Suspended(Payload, frozen=True, gc=False):
    """The caller began to speak over the reply: playout is paused at ``heard_seconds`` of it, nothing is lost yet."""

    scope: str = ""
    heard_seconds: float = 0.0


@kind("committed", control=True, keep=True)
class Committed(Payload, frozen=True, gc=False):
    """The interruption holds: the scope's epoch went up to ``epoch``, what was queued for the old one is gone.

    ``cause`` is why (speech, words, api, turn), ``dropped`` how many queued events were cleared, ``heard`` the
    words of the cut reply that were played.
    """

    scope: str = ""
    epoch: int = 0
    cause: str = ""
    dropped: int = 0
    heard: str = ""


@kind("aborted", control=True, keep=True)
class Aborted(Payload, frozen=True, gc=False):
    """It was no interruption (a cough, a backchannel): the reply goes on from the very sample."""

    scope: str = ""
    why: str = ""


@kind("started", control=True, keep=True)
class GuessStarted(Payload, frozen=True, gc=False):
    """A reply is begun on a guess: the caller's turn so far, ``text``, taken to be the whole of it."""

    text: str


@kind("confirmed", control=True, keep=True)
class GuessConfirmed(Payload, frozen=True, gc=False):
    """The turn has the words of the guess ``text``: what was made ahead, for ``ahead_ms``, goes on from here."""

    text: str
    ahead_ms: float = 0.0


@kind("discarded", control=True, keep=True)
class GuessDiscarded(Payload, frozen=True, gc=False):
    """The guess ``text`` was wrong, or of no use: ``why``. ``dropped`` answers to it were never seen by anyone."""

    text: str
    why: str = ""
    dropped: int = 0


@kind("playout_started", control=True, keep=True)
class PlayoutStarted(Payload, frozen=True, gc=False):
    """The first sample of an utterance left for the caller, ``latency_ms`` after the end of the turn it answers."""

    utterance: str
    latency_ms: float = 0.0


@kind("playout_finished", control=True, keep=True)
class PlayoutFinished(Payload, frozen=True, gc=False):
    """An utterance is over: ``heard`` is what was played of it, ``cut`` whether the rest was interrupted."""

    utterance: str
    heard: str = ""
    cut: bool = False
    seconds: float = 0.0


class StageTime(msgspec.Struct, frozen=True, gc=False):
    """One stage of a turn: from the event that reached the node to its first output, in ms, waiting included. With
    tools the sum of each time that the turn came by the node."""

    node: str
    first_output_ms: float


@kind("turn_timed", control=True, keep=True)
class TurnTimed(Payload, frozen=True, gc=False):
    """A reply begins to sound, ``voice_to_voice_ms`` after the caller's speech ended; where the time went.

    ``endpointing_ms`` of it went by until the turn was known to be over, ``stages`` are the nodes in the order in which
    they gave their first output for this turn.
    """

    utterance: str
    voice_to_voice_ms: float = 0.0
    endpointing_ms: float = 0.0
    stages: tuple[StageTime, ...] = ()


@kind("exceeded", control=True, keep=True)
class BudgetExceeded(Payload, frozen=True, gc=False):
    """A reply came later than the file's budget allows: ``control.budget.exceeded``. ``slowest`` names the stage that
    took most of it."""

    utterance: str
    voice_to_voice_ms: float = 0.0
    budget_ms: float = 0.0
    slowest: str = ""


class _Failure(Payload, frozen=True, gc=False):
    # elapsed_ms: since the event that was being worked on was made, its wait in queues included.
    node: str
    message: str = ""
    event: str = ""
    attempt: int = 1
    elapsed_ms: float = 0.0


@kind("exception", control=True, keep=True)
class ExceptionFailure(_Failure, frozen=True, gc=False):
    """A connector raised while it worked on ``event``."""


@kind("timeout", control=True, keep=True)
class TimeoutFailure(_Failure, frozen=True, gc=False):
    """A connector did not finish ``event`` within its time."""


@kind("retried", control=True, keep=True)
class Retried(_Failure, frozen=True, gc=False):
    """An attempt failed and is made again; ``attempt`` counts the one that failed."""


@kind("failed_over", control=True, keep=True)
class FailedOver(_Failure, frozen=True, gc=False):
    """A member of a ``??`` choice failed and the next one took over; ``to`` names it."""

    to: str = ""


@kind("recovered", control=True, keep=True)
class Recovered(_Failure, frozen=True, gc=False):
    """A half-open probe found a failed member working again."""


@kind("dead_letter", control=True, keep=True)
class DeadLetter(_Failure, frozen=True, gc=False):
    """An event that nobody could handle; ``payload`` is what it held, as plain data without audio."""

    payload: Any = None


@kind("late", control=True, keep=True)
class Late(_Failure, frozen=True, gc=False):
    """A cancelled or closing task did not end by its deadline."""


BUILTIN: tuple[type[Payload], ...] = (
    AudioFrame, AudioChunk, AudioChunkStream, Text, TextPartial, TextSegment, AgentMessage, AgentMessagePartial,
    Intent, Sentiment, TranscriptEntry, Documents, Record, HttpResponse, ToolCall, ToolCallPartial, ToolResult, Usage,
    SpeechStarted, SpeechStopped, Dtmf, Data, CallStarted, CallEnded, Suspended, Committed, Aborted, GuessStarted,
    GuessConfirmed, GuessDiscarded, PlayoutStarted, PlayoutFinished, TurnTimed, BudgetExceeded, ExceptionFailure,
    TimeoutFailure, Retried, FailedOver, Recovered, DeadLetter, Late,
)  # fmt: skip

ENGINE_CONTROL: tuple[type[Payload], ...] = (
    CallStarted, CallEnded, Suspended, Committed, Aborted, GuessStarted, GuessConfirmed, GuessDiscarded,
    PlayoutStarted, PlayoutFinished, TurnTimed, BudgetExceeded,
)  # fmt: skip
"""Kinds the engine itself emits as ``control.<source>.<kind>`` in every session (source: ``call``, ``barge_in``,
``speculation``, ``budget``, or the egress transport for playout)."""

FAILURES: tuple[type[Payload], ...] = (
    ExceptionFailure, TimeoutFailure, Retried, FailedOver, Recovered, DeadLetter, Late,
)  # fmt: skip
"""Kinds any node's failure appears as: ``error.<source>.<kind>``."""
