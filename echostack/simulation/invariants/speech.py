"""What is heard is what was said: whole, in order, one utterance after the other, silent while it is paused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from echostack.core.payloads import AudioChunk, AudioChunkStream, PlayoutFinished
from echostack.plan.model import PlanEdge
from echostack.simulation.invariants.evidence import HAIR, Evidence, seconds, spoken_words
from echostack.simulation.invariants.witness import Piece
from echostack.simulation.outcome import Failure
from echostack.simulation.world import HeardSpeech, HeardWord

BLUR = 0.005
"""Seconds by which a conversion between rates may blur where a word ends."""


def one_after_the_other(evidence: Evidence) -> Iterator[Failure]:
    """No two utterances sound together or by turns at one egress, and the words of each are in their order."""
    by_egress: dict[str, list[HeardSpeech]] = {}
    if evidence.scrambled:
        return  # what is doubled is said again, whenever its double comes
    for speech in evidence.heard:
        by_egress.setdefault(speech.egress, []).append(speech)
    for egress, heard in by_egress.items():
        for first, second in pairwise(sorted(heard, key=lambda s: (s.start, s.end))):
            if second.start < first.end - HAIR:
                yield evidence.finding(
                    f"{egress} played {second.utterance} from {seconds(second.start)}, while {first.utterance} went on"
                    f" until {seconds(first.end)}",
                    second.start,
                    first.end,
                )
        for speech in heard:
            words = sorted(speech.words, key=lambda w: w.start)
            if [w.index for w in words] != sorted(w.index for w in words):
                said = " ".join(w.text for w in words)
                yield evidence.finding(f"the words of {speech.utterance} were heard out of order: {said}", speech.start)


def no_word_is_torn(evidence: Evidence) -> Iterator[Failure]:
    """Every word of an utterance is heard to its last sample, and once, but the one at which it was cut."""
    disturbed = evidence.disturbed
    for speech in evidence.heard if not evidence.scrambled else ():
        words = sorted(speech.words, key=lambda w: w.index)
        for place, word in enumerate(words):
            rate = _rate(evidence, speech)
            if word.samples > word.whole + BLUR * rate:
                yield _torn(evidence, speech, word, "was heard longer than it is")
            elif word.samples < word.whole - BLUR * rate and place + 1 < len(words) and not disturbed:
                yield _torn(evidence, speech, word, "was not heard whole, although words after it were")
        missing = [i for i in range(words[-1].index) if i not in {w.index for w in words}] if not disturbed else []
        if missing:
            yield evidence.finding(
                f"word {missing[0] + 1} of {speech.utterance} was not heard, although words after it were",
                speech.start,
                speech.end,
            )


def _torn(evidence: Evidence, speech: HeardSpeech, word: HeardWord, how: str) -> Failure:
    return evidence.finding(
        f"{word.text!r} of {speech.utterance} {how}: {word.samples} samples of {word.whole}", word.start, word.end
    )


def paused_means_silent(evidence: Evidence) -> Iterator[Failure]:
    """Nothing of a reply sounds while it is suspended."""
    for speech in evidence.heard:
        made = evidence.epoch_of(speech.utterance)
        if made is None or evidence.protected(speech.utterance):
            continue
        paused = [(a, b) for scope, a, b in evidence.suspensions if scope == made[0] and b > speech.start]
        silent = sum(max(0.0, min(b, speech.end) - max(a, speech.start)) for a, b in paused)
        sounded = speech.end - speech.start - silent
        if speech.seconds > sounded + BLUR:
            at = next((a for a, b in paused if b > speech.start), speech.start)
            yield evidence.finding(
                f"{speech.utterance} sounded for {seconds(speech.seconds)}, and was not paused for"
                f" {seconds(sounded)} only: it went on while it was suspended",
                at,
            )


def cut_only_by_interruption(evidence: Evidence) -> Iterator[Failure]:
    """What was said is heard to its end, unless it was interrupted, the caller hung up, or something failed."""
    if evidence.disturbed or not evidence.outcome.ended:
        return
    spoken = {n: edges[0].target for n, edges in _speaking(evidence).items() if len(edges) == 1}
    heard = {(s.utterance, s.egress): s for s in evidence.heard}
    for utterance, pieces in _voices(evidence):
        if not pieces[-1].final or any(p.node not in spoken for p in pieces):
            continue
        if evidence.plan.nodes[pieces[0].node].spec is None or pieces[0].node in _real(evidence):
            continue
        said = spoken_words(p.text for p in pieces)
        made = evidence.epoch_of(utterance)
        if (made is not None and evidence.over(*made) is not None) or evidence.hung_up is not None or not said:
            continue
        if made is None and _interrupted_at(evidence, spoken[pieces[0].node], pieces[0].time):
            continue  # made outside any scope, it is of the epoch in which it comes to the egress
        speech = heard.get((utterance, spoken[pieces[0].node]))
        got = spoken_words(w.text for w in _whole(evidence, speech)) if speech is not None else []
        if got != said:
            until = speech.end if speech is not None else pieces[0].time
            yield evidence.finding(
                f"{utterance} was heard as {' '.join(got)!r}, and nothing cut it: it says {' '.join(said)!r}", until
            )


def _interrupted_at(evidence: Evidence, egress: str, since: float) -> bool:
    scope = evidence.plan.nodes[egress].scope
    return any(c.scope == scope and c.time >= since for c in evidence.commits)


def _voices(evidence: Evidence) -> Iterator[tuple[str, list[Piece]]]:
    """Every utterance as each of those who speak it says it; the members of a choice are one."""
    for utterance, pieces in evidence.pieces.items():
        by_voice: dict[str, list[Piece]] = {}
        for piece in pieces:
            by_voice.setdefault(evidence.plan.nodes[piece.node].choice or piece.node, []).append(piece)
        for own in by_voice.values():
            yield utterance, own


def playout_tells_the_truth(evidence: Evidence) -> Iterator[Failure]:
    """What the engine says of an utterance's playout is what sounded: how long, and when it ended."""
    sounded: dict[tuple[str, str], HeardSpeech] = {(h.egress, h.utterance): h for h in evidence.heard}
    told: dict[tuple[str, str], float] = {}
    for event in evidence.events:
        if isinstance(event.payload, PlayoutFinished):
            key = (event.node, event.payload.utterance)
            told[key] = told.get(key, 0.0) + event.payload.seconds
    for key, length in told.items():
        speech = sounded.get(key)
        if speech is not None and abs(speech.seconds - length) > BLUR:
            yield evidence.finding(
                f"playout of {key[1]} is told to have lasted {seconds(length)}, and {seconds(speech.seconds)} of it"
                " sounded",
                speech.end,
            )


def whole_words(evidence: Evidence, speech: HeardSpeech) -> tuple[list[str], list[str]]:
    """The words that were certainly heard to their end; and the same with one more whose end is too near to tell.

    A word counts once its last sample was played. Where the far end has the synthesiser's rate that is exact; a
    conversion may move it by BLUR.
    """
    rate = _rate(evidence, speech)
    words = sorted(speech.words, key=lambda w: w.index)
    sure = [w.text for w in words if w.samples >= w.whole]
    near = [w.text for w in words if w.samples >= w.whole - BLUR * rate]
    return spoken_words(sure), spoken_words(near)


def _whole(evidence: Evidence, speech: HeardSpeech) -> list[HeardWord]:
    rate = _rate(evidence, speech)
    return [w for w in sorted(speech.words, key=lambda w: w.index) if w.samples >= w.whole - BLUR * rate]


def _rate(evidence: Evidence, speech: HeardSpeech) -> float:
    """Sample frames a second at the far end, from what it played."""
    samples = sum(w.samples for w in speech.words)
    return max(8_000.0, min(192_000.0, samples / speech.seconds)) if speech.seconds else 48_000.0


def _real(evidence: Evidence) -> set[str]:
    return {s.node for s in evidence.outcome.scenario.connectors.values() if s.real}


def _speaking(evidence: Evidence) -> dict[str, list[PlanEdge]]:
    """The synthesisers whose speech goes straight and always to one egress, with the edges to it."""
    egresses = {n.id for n in evidence.plan.egresses}
    found: dict[str, list[PlanEdge]] = {}
    for edge in evidence.plan.edges:
        straight = edge.target in egresses and not edge.guard and not edge.port
        if straight and set(edge.payloads) & {AudioChunk, AudioChunkStream}:
            found.setdefault(edge.source, []).append(edge)
    return found
