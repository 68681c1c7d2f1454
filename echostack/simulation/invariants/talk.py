"""The conversation is what was heard: the agent's turns by the samples played, the caller's by what was recognised."""

from __future__ import annotations

from collections.abc import Iterator

from echostack.core.payloads import Text
from echostack.registry import Turn
from echostack.simulation.invariants.evidence import Evidence, seconds, spoken_words
from echostack.simulation.invariants.speech import BLUR, whole_words
from echostack.simulation.outcome import Failure

_CALLER, _AGENT = "caller", "agent"


def agent_as_heard(evidence: Evidence) -> Iterator[Failure]:
    """Of the agent the conversation holds what was heard, word by word, and nothing else; with its times."""
    turns: dict[str, list[Turn]] = {}
    for turn in evidence.outcome.conversation:
        if turn.role == _AGENT:
            turns.setdefault(turn.utterance, []).append(turn)
    heard = {speech.utterance: speech for speech in evidence.heard if not evidence.scrambled}
    if len({h.egress for h in evidence.outcome.heard}) > 1:
        return  # heard at two ends, it is told twice
    for utterance, speech in heard.items():
        sure, near = whole_words(evidence, speech)
        held = spoken_words(turn.text for turn in turns.get(utterance, ()))
        if held not in (sure, near):
            what = f"of {utterance} the conversation holds {' '.join(held)!r}, and {' '.join(sure)!r} was heard"
            yield evidence.finding(what, speech.end)
            continue
        for turn in turns.get(utterance, ())[:1]:
            if abs(turn.start - speech.start) > BLUR or abs(turn.end - speech.end) > BLUR:
                yield evidence.finding(
                    f"of {utterance} the conversation says that it was heard from {seconds(turn.start)} to"
                    f" {seconds(turn.end)}, and that was {seconds(speech.start)} to {seconds(speech.end)}",
                    speech.end,
                )
    known = {speech.utterance for speech in evidence.outcome.heard}
    for utterance, those in turns.items():
        if utterance in evidence.pieces and utterance not in known:
            yield evidence.finding(
                f"the conversation holds {those[0].text!r} of {utterance}, of which nothing was heard", those[0].end
            )


def caller_as_recognised(evidence: Evidence) -> Iterator[Failure]:
    """Of the caller the conversation holds turns that were recognised, each once, in their order; and all of them,
    where nothing stands between who recognises and who answers."""
    texts = [e for e in evidence.events if isinstance(e.payload, Text) and e.name.startswith("processing.")]
    said = [(t.payload.text.strip(), t.payload.start, t.payload.end) for t in texts if isinstance(t.payload, Text)]
    turns = [(t.text, t.start, t.end) for t in evidence.outcome.conversation if t.role == _CALLER]
    at = 0
    for turn in turns:
        try:
            at = said.index(turn, at) + 1
        except ValueError:
            again = "twice" if turn in said[:at] else "and nobody recognised it"
            yield evidence.finding(f"the conversation holds {turn[0]!r} of the caller {again}", turn[2])
            return
    left = list(turns)
    direct = _enters(evidence)
    closed = evidence.hung_up if evidence.hung_up is not None else evidence.outcome.seconds
    for event, told in zip(texts, said, strict=True):
        if told in left:
            left.remove(told)
        elif event.node in direct and told[0] and event.time < closed and not _wordless(told[0]):
            if event.port or evidence.outcome.crash:
                continue
            yield evidence.finding(f"{told[0]!r} of the caller is not in the conversation", event.time)


def _wordless(text: str) -> bool:
    return not any(c.isalnum() for c in text)


def _enters(evidence: Evidence) -> set[str]:
    """The nodes whose every turn goes straight into the scope that answers."""
    found: set[str] = set()
    for edge in evidence.plan.edges:
        if edge.enters and Text in edge.payloads and not edge.port and edge.guard is None:
            members = evidence.plan.nodes[edge.source].members if edge.source in evidence.plan.nodes else ()
            found |= {edge.source, *members}
    return found
