"""Judges of what was said: what the caller heard, and what the conversation holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from echostack.language.scenario import Hears, Holds, Said
from echostack.registry import Turn
from echostack.simulation.expect.finding import failure
from echostack.simulation.expect.phrases import by_how_much, count, exact, instant, micros, quoted
from echostack.simulation.expect.words import difference, has_words, likeness, same_words
from echostack.simulation.outcome import Failure, Outcome
from echostack.simulation.world import HeardSpeech


def hears(expected: Hears, outcome: Outcome) -> Iterator[Failure]:
    """What sounded at the caller's end: one utterance, or all of them as one text."""
    if expected.nth is not None and expected.nth > len(outcome.heard):
        there = f"{count(len(outcome.heard), 'utterance')} {'was' if len(outcome.heard) < 2 else 'were'} heard"
        wanted = f"that it is {quoted(expected.text)}" if expected.text is not None else "one"
        last = [outcome.heard[-1].end] if outcome.heard else []
        told = f"expected utterance {expected.nth} of the agent, {wanted}" if wanted != "one" else (
            f"expected at least {count(expected.nth, 'utterance')} of the agent"
        )  # fmt: skip
        yield failure(outcome, f"{told}; {there}", expected.span, near=last)
        return
    heard = outcome.heard if expected.nth is None else (outcome.heard[expected.nth - 1],)
    what = "what the caller heard" if expected.nth is None else f"utterance {expected.nth} of the agent"
    near = [heard[0].start, heard[-1].end] if heard else []
    text = " ".join(h.text for h in heard)
    for said, speech in _texts(expected, what, text, outcome.heard):
        if speech is None:
            yield failure(
                outcome, said, expected.span, at=near[-1] if near else None, near=near if expected.nth else []
            )
        else:
            yield failure(outcome, said, expected.span, at=speech.start, near=[speech.end])
    yield from _times(expected, outcome, what, heard)


def _texts(
    expected: Hears, what: str, text: str, all_heard: Sequence[HeardSpeech]
) -> Iterator[tuple[str, HeardSpeech | None]]:
    """In words, everything in which ``text`` is not as expected, each with the one utterance that it is about."""
    if expected.text is not None and not same_words(expected.text, text):
        if not text:
            yield f"expected {what} to be {quoted(expected.text)}, and it was nothing", None
        else:
            # The words themselves are in the difference; of a long text it shows only what differs.
            said = f"expected {what} to be {quoted(expected.text)}, and it was {quoted(text)}"
            yield f"{said}\ndifference: {difference(expected.text, text)}", None
    if expected.contains is not None and not has_words(text, expected.contains):
        wanted = expected.contains
        if not text:
            yield f"expected {quoted(wanted)} in {what}, which was nothing", None
        elif expected.nth is None:
            best = max(all_heard, key=lambda h: likeness(wanted, h.text))
            of = f"the nearest of {count(len(all_heard), 'utterance')} was {quoted(best.text)}"
            yield f"expected {quoted(wanted)} in {what}; {of} at {instant(best.start)}", best
        else:
            yield f"expected {quoted(wanted)} in {what}, which was {quoted(text)}", None
    if expected.lacks is not None and has_words(text, expected.lacks):
        where = (
            next((h for h in all_heard if has_words(h.text, expected.lacks)), None) if expected.nth is None else None
        )
        inside = f": {quoted(where.text)} at {instant(where.start)}" if where is not None else f": {quoted(text)}"
        yield f"expected no {quoted(expected.lacks)} in {what}, and it was there{inside}", where


def _times(expected: Hears, outcome: Outcome, what: str, heard: Sequence[HeardSpeech]) -> Iterator[Failure]:
    wishes = [
        ("sound", expected.seconds, sum(h.seconds for h in heard)),
        ("start", expected.starts, heard[0].start if heard else None),
        ("stop", expected.stops, heard[-1].end if heard else None),
    ]
    for verb, wanted, found in wishes:
        if wanted is None:
            continue
        preposition = "for" if verb == "sound" else "at"
        if found is None or (not heard and wanted):
            yield failure(
                outcome, f"expected {what} to {verb} {preposition} {exact(wanted)}; nothing was heard", expected.span
            )
        elif micros(found) != micros(wanted):
            off = abs(found - wanted)
            if verb == "sound":
                miss = f"it sounded for {exact(found)}, {by_how_much(off)} too {'long' if found > wanted else 'short'}"
                at = heard[-1].end
            else:
                past = {"start": "started", "stop": "stopped"}[verb]
                miss = f"it {past} at {exact(found)}, {by_how_much(off)} too {'late' if found > wanted else 'early'}"
                at = wanted
            near = [found] if verb != "sound" else [heard[0].start]
            yield failure(
                outcome,
                f"expected {what} to {verb} {preposition} {exact(wanted)}; {miss}",
                expected.span,
                at=at,
                near=near,
            )


def holds(expected: Holds, outcome: Outcome) -> Iterator[Failure]:
    """The conversation, turn by turn: exactly those, or those among others."""
    turns = outcome.conversation
    if expected.among:
        yield from _among(expected, outcome)
        return
    for number, said in enumerate(expected.turns, 1):
        if number > len(turns):
            missing = len(expected.turns) - len(turns)
            what = (
                f"expected {count(len(expected.turns), 'turn')} in the conversation, and it ended after {len(turns)}:"
                f" {count(missing, 'is', 'are')} missing, first {_wanted(said)}"
            )
            yield failure(outcome, what, said.span, near=[turns[-1].end] if turns else [])
            return
        miss = _miss(said, turns[number - 1])
        if miss:
            turn = turns[number - 1]
            what = f"expected turn {number} of the conversation to be {_wanted(said)}; {miss}"
            yield failure(outcome, what, said.span, at=turn.start, near=[turn.end])
            return
    if len(turns) > len(expected.turns):
        extra = turns[len(expected.turns)]
        more = len(turns) - len(expected.turns)
        what = (
            f"expected {count(len(expected.turns), 'turn')} in the conversation, and there"
            f" {'was' if more == 1 else 'were'} {more} more, first {_told(extra)} at {instant(extra.start)}"
        )
        yield failure(outcome, what, expected.span, at=extra.start, near=[extra.end])


def _among(expected: Holds, outcome: Outcome) -> Iterator[Failure]:
    turns = outcome.conversation
    at = 0
    for said in expected.turns:
        found = next((i for i in range(at, len(turns)) if not _miss(said, turns[i])), None)
        if found is None:
            after = f" after turn {at}" if at else ""
            rest = turns[at:]
            if not rest:
                there = "the conversation ends there" if turns else "the conversation is empty"
                near: Turn | None = turns[-1] if turns else None
            else:
                near = max(rest, key=lambda t: (t.role == said.role, likeness(said.text, t.text)))
                there = f"the nearest is turn {turns.index(near) + 1}, {_told(near)} at {instant(near.start)}"
            what = f"expected {_wanted(said)} in the conversation{after}; {there}"
            yield failure(
                outcome, what, said.span, at=near.start if near and rest else None, near=[near.end] if near else []
            )
            return
        at = found + 1


def _miss(said: Said, turn: Turn) -> str:
    """In words, how a turn is not as it was to be; empty when it is."""
    if turn.role != said.role:
        return f"it is {_told(turn)}"
    if not same_words(said.text, turn.text):
        return f"it is {quoted(turn.text)}\ndifference: {difference(said.text, turn.text)}"
    if said.cut is not None and turn.cut != said.cut:
        return f"it was {'cut' if turn.cut else 'not cut'}"
    return ""


def _wanted(said: Said) -> str:
    cut = "" if said.cut is None else ", cut" if said.cut else ", not cut"
    return f"{said.role}: {quoted(said.text)}{cut}"


def _told(turn: Turn) -> str:
    return f"{turn.role}: {quoted(turn.text)}{', cut' if turn.cut else ''}"
