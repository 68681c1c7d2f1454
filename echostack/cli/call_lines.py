"""The events of a call as lines that a person follows: who said what, when, and what interrupted whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from echostack.core.events import Event
from echostack.core.payloads import (
    Aborted,
    CallEnded,
    Committed,
    DeadLetter,
    FailedOver,
    Intent,
    PlayoutFinished,
    PlayoutStarted,
    Recovered,
    Retried,
    SpeechStarted,
    SpeechStopped,
    Suspended,
    Text,
    TextPartial,
)

CALLER, AGENT, ENGINE = "caller", "agent", ""


@dataclass(frozen=True, slots=True)
class CallLine:
    """One line: when (session seconds), who (``caller``, ``agent``, or nobody), what, and how to show it.

    ``style``: ``said`` for words that stand, ``partial`` for words that may change, ``note`` for what happened,
    ``bad`` for a failure.
    """

    time: float
    who: str
    text: str
    style: str = "note"

    def __str__(self) -> str:
        return f"{self.time:8.2f}  {self.who:<6}  {self.text}"


@dataclass(slots=True)
class CallLines:
    """What the events told so far. ``take`` one after the other; read the rest at any time.

    caller_speaks, agent_speaks: who is heard now. partial: the caller's words that may still change.
    utterances: how many times the agent has begun to speak.
    open_failures: the errors that nothing made good, as a retry or a fallback does: who, and why.
    retried: by node, why it was last tried again; that it never worked shows in what came of it.
    """

    caller_speaks: bool = False
    agent_speaks: bool = False
    paused: bool = False
    partial: str = ""
    ended: str = ""
    now: float = 0.0
    interruptions: int = 0
    utterances: int = 0
    open_failures: list[tuple[str, str]] = field(default_factory=list)
    retried: dict[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """How many errors there were that nothing made good."""
        return len(self.open_failures)

    @property
    def failed(self) -> str:
        """The first of them in words; empty for none."""
        return ": ".join(self.open_failures[0]) if self.open_failures else ""

    def take(self, event: Event) -> list[CallLine]:
        """The lines that ``event`` adds: none for most events, audio above all."""
        self.now = max(self.now, event.time)
        if event.name.startswith("error."):
            return [self._failure(event)]
        at, payload = event.time, event.payload
        match payload:
            case SpeechStarted():
                self.caller_speaks = True
            case SpeechStopped():
                self.caller_speaks = False
            case TextPartial(text=text) if text != self.partial:
                self.partial = text
                return [CallLine(at, CALLER, f"{text} ...", "partial")]
            case Text():
                self.partial = ""
                return [self._caller(at, payload)]
            case Intent(name=name, confidence=sure) if name != "other":
                return [CallLine(at, ENGINE, f"the intent is {name} ({sure:.0%} sure)")]
            case PlayoutStarted(latency_ms=latency):
                self.agent_speaks, self.paused = True, False
                self.utterances += 1
                after = f", {latency:.0f} ms after the end of the turn" if latency else ""
                return [CallLine(at, ENGINE, f"the agent begins to speak{after}")]
            case PlayoutFinished():
                return self._agent(at, payload)
            case Suspended(heard_seconds=heard):
                self.paused = True
                return [CallLine(at, ENGINE, f"the caller speaks over the reply: paused after {heard:.2f} s of it")]
            case Aborted(why=why):
                self.paused = False
                reason = f" ({why})" if why else ""
                return [CallLine(at, ENGINE, f"no interruption{reason}: the reply goes on where it stopped")]
            case Committed(cause="hang up", dropped=0):
                # What was being said is told by the line of the agent, and the end by the next.
                self.agent_speaks = self.paused = False
            case Committed(cause=cause, dropped=dropped):
                self.interruptions += cause != "hang up"
                self.agent_speaks = self.paused = False
                gone = f", {dropped} queued event{'s' if dropped != 1 else ''} dropped" if dropped else ""
                return [CallLine(at, ENGINE, f"interrupted by {cause or 'speech'}{gone}")]
            case CallEnded(reason=reason):
                self.ended = reason or "it is over"
                return [CallLine(at, ENGINE, f"the call ends: {self.ended}")]
        return []

    def _caller(self, at: float, text: Text) -> CallLine:
        ended = f"  (turn ended by {text.ended_by} after {text.waited_ms:.0f} ms)" if text.ended_by else ""
        return CallLine(at, CALLER, f"{text.text}{ended}", "said")

    def _agent(self, at: float, over: PlayoutFinished) -> list[CallLine]:
        self.agent_speaks = self.paused = False
        if not over.heard:
            return [CallLine(at, ENGINE, "a reply was cut before its first word")] if over.cut else []
        said = f"{over.heard} --" if over.cut else over.heard
        heard = f"  (cut after {over.seconds:.2f} s)" if over.cut else ""
        return [CallLine(at, AGENT, f"{said}{heard}", "said")]

    def _failure(self, event: Event) -> CallLine:
        payload = event.payload
        what = payload.__kind__.name.replace("_", " ")
        node = getattr(payload, "node", "") or event.node
        message = getattr(payload, "message", "")
        match payload:
            case FailedOver(to=to):
                what = f"failed over to {to}"
            case Retried(attempt=attempt):
                what = f"attempt {attempt} failed, trying again"
            case DeadLetter(event=name):
                what = f"nobody could handle {name}"
        made_good = isinstance(payload, Retried | Recovered | FailedOver)
        message = message.removeprefix(f"{node}: ")  # a connector's own message begins with its name
        text = f"{node}: {what}" + (f": {message}" if message else "")
        if isinstance(payload, Retried):
            self.retried[node] = message
        if isinstance(payload, FailedOver):
            mended = next((f for f in reversed(self.open_failures) if f[0] == node), None)
            if mended is not None:  # the failure itself was told before, and another one works in the node's place
                self.open_failures.remove(mended)
        elif not made_good:
            self.open_failures.append((node, message or what))
        return CallLine(event.time, ENGINE, text, "note" if made_good else "bad")
