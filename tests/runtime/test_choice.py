"""``a ?? b``: the event goes to the next member before an answer, never after it; the failed one rests, is probed, and
comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import echostack.api as echostack
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AgentMessage, AudioFrame, Data, Text, TextPartial
from echostack.registry import Context, Inbox, connector
from echostack.runtime.flows import HELD
from tests.runtime.cast import CALL, Outcome, Tts, cues, hears, play, registry

CHOICE = hears(
    "ear.stt -> first.node ?? second.node -> acme.note",
    connectors="{first.node: {cooldown: 5s}, second.node: {cooldown: 5s}}",
)


@connector("acme.note")
def note(item: Data) -> None:
    """Somewhere to go."""


def member(vendor: str, broken: Any = lambda now: False, wait: float = 0.1, after: int = 0) -> Any:
    """A member that fails while ``broken(now)``, after ``after`` answers."""

    @connector(f"{vendor}.node")
    class Member:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, text: Text) -> AsyncIterator[Data]:
            await self._clock.sleep(wait)
            for _ in range(after):
                yield Data(f"{vendor} begins {text.text}")
            if broken(self._clock.now()):
                raise ConnectionError(f"{vendor} is down")
            yield Data(f"{vendor} {text.text}")

    return Member


def answers(over: Outcome) -> list[tuple[float, str]]:
    return [(round(e.time, 6), e.payload.name) for e in over.events if e.kind == "data"]  # type: ignore[attr-defined]


def saying(*words: str) -> list[tuple[float, str]]:
    return [(float(n), f"say:{w}") for n, w in enumerate(words, 1)]


def test_the_first_member_answers_while_it_works() -> None:
    over = play(saying("a", "b"), member("first"), member("second"), note, graph=CHOICE)
    assert answers(over) == [(1.1, "first a"), (2.1, "first b")]
    assert not [e for e in over.events if e.name.startswith("error.")]


def test_a_failure_before_the_answer_hands_the_event_to_the_next() -> None:
    over = play(saying("a"), member("first", lambda now: True), member("second"), note, graph=CHOICE)
    assert answers(over) == [(1.2, "second a")]
    ((when, taken),) = over.at("error.first.failed_over")
    assert (when, taken.node, taken.to, taken.message) == (
        1.1, "first.node", "second.node", "ConnectionError: first is down"
    )  # fmt: skip
    assert round(taken.elapsed_ms, 6) == 100.0
    # The caller waited for both: the failed attempt counts.
    assert [p.message for _, p in over.at("error.first.exception")] == ["ConnectionError: first is down"]
    assert over.at("error.second.exception") == []


def test_a_failure_within_an_answer_is_final_and_only_the_next_event_goes_to_the_next() -> None:
    over = play(saying("a", "b"), member("first", lambda now: True, after=1), member("second"), note, graph=CHOICE)
    assert answers(over) == [(1.1, "first begins a"), (2.1, "second b")]
    assert len(over.at("error.first.failed_over")) == 0


def test_the_failed_member_rests_for_its_cooldown_and_is_then_probed_with_a_live_event() -> None:
    # Down until 4: fails at 1.1, rests until 6.1; the event at 7 is its probe.
    over = play(
        saying(*"abcdefgh"), member("first", lambda now: now < 4), member("second"), note, graph=CHOICE
    )  # fmt: skip
    assert answers(over) == [
        (1.2, "second a"), (2.1, "second b"), (3.1, "second c"), (4.1, "second d"), (5.1, "second e"),
        (6.1, "second f"), (7.1, "first g"), (8.1, "first h"),
    ]  # fmt: skip
    assert [(t, p.node) for t, p in over.at("error.first.recovered")] == [(7.1, "first.node")]


def test_a_probe_that_fails_costs_one_attempt_and_another_rest() -> None:
    tried: list[float] = []

    def broken(now: float) -> bool:
        tried.append(round(now, 6))
        return True

    over = play(saying(*"abcdefghijklm"), member("first", broken), member("second"), note, graph=CHOICE)
    assert tried == [1.1, 7.1, 13.1]
    assert len(answers(over)) == 13
    assert over.at("error.first.recovered") == []


def test_when_all_have_failed_the_event_is_a_dead_letter_and_the_next_is_tried_again() -> None:
    over = play(
        saying("a", "b"), member("first", lambda now: now < 2), member("second", lambda now: now < 2), note,
        graph=CHOICE,
    )  # fmt: skip
    assert answers(over) == [(2.1, "first b")]
    assert len(over.at("error.*.dead_letter")) == 1


def test_the_retries_of_a_member_come_before_the_next_member() -> None:
    graph = hears(
        "ear.stt -> first.node ?? second.node -> acme.note",
        connectors="{first.node: {attempts: 2, backoff: 1s}, second.node: {cooldown: 5s}}",
    )
    over = play(saying("a"), member("first", lambda now: True, wait=0.0), member("second"), note, graph=graph)
    ((when, _),) = answers(over)
    assert 1.6 <= when <= 2.1
    assert len(over.at("error.first.retried")) == 1


# -- effects ---------------------------------------------------------------------------------------------------

BOOKING = CALL.replace("  acme.agent: {seconds: 0.4}\n", "{policies}").replace(
    "acme.agent ", "first.book ?? second.book "
)


def booking(vendor: str, log: list[tuple[str, float]], error: Exception | None = None, seconds: float = 3.0) -> Any:
    @connector(f"{vendor}.book", effect=True)
    class Book:
        def __init__(self, context: Context) -> None:
            self._context = context

        async def __call__(self, text: Text) -> AgentMessage:
            log.append((f"{vendor} {text.text}", self._context.clock.now()))
            try:
                await self._context.clock.sleep(seconds)
            except asyncio.CancelledError:
                log.append((f"{vendor} cancelled", self._context.clock.now()))
                raise
            if error is not None:
                raise error
            return AgentMessage(f"{text.text}-1")

    return Book


def test_an_effect_of_a_choice_is_not_interrupted_once_begun() -> None:
    log: list[tuple[str, float]] = []
    play(
        [(1.0, "say:hello"), (2.0, "say:other")], booking("first", log), booking("second", log), Tts,
        graph=BOOKING.replace("{policies}", ""),
    )  # fmt: skip
    assert log == [("first hello", 1.0), ("first other", 4.0)]


@pytest.mark.parametrize("error", [ConnectorFailure("no table service"), ConnectionError("refused")])
def test_an_effect_that_says_it_was_not_done_goes_to_the_next(error: Exception) -> None:
    log: list[tuple[str, float]] = []
    play(
        [(1.0, "say:hello")], booking("first", log, error, 0.5), booking("second", log, None, 0.5), Tts,
        graph=BOOKING.replace("{policies}", ""),
    )  # fmt: skip
    assert log == [("first hello", 1.0), ("second hello", 1.5)]


def test_an_effect_that_timed_out_is_tried_again_at_the_same_far_end_only() -> None:
    log: list[tuple[str, float]] = []
    over = play(
        [(1.0, "say:hello")], booking("first", log, seconds=9.0), booking("second", log), Tts,
        graph=BOOKING.replace("{policies}", "  first.book: {timeout: 1s, attempts: 2, backoff: 1ms}\n"),
    )  # fmt: skip
    assert [what for what, _ in log] == ["first hello", "first cancelled"] * 2
    assert len(over.at("error.first.retried")) == 1
    assert over.at("error.*.failed_over") == []
    assert [p.message for _, p in over.at("error.*.dead_letter")] == ["no answer within its time"]


# -- streams ---------------------------------------------------------------------------------------------------

EARS = """
echostack: 1
connectors: {first.stt: {cooldown: 5s}, second.stt: {cooldown: 5s}}
pipeline:
  - ingress.line.audio_frame -> first.stt ?? second.stt -> acme.words
barge_in: off
"""


@connector("acme.words")
def words(text: Text) -> None:
    """Somewhere to go."""


def recogniser(vendor: str, broken: Any = lambda now: False) -> Any:
    """Gathers cues until one says ``end``, then answers with them; fails on an event while ``broken(now)``."""

    @connector(f"{vendor}.stt")
    class Recogniser:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
            held: list[str] = []
            async for event in inbox:
                cue = event.payload.track  # type: ignore[attr-defined]
                if broken(self._clock.now()):
                    raise ConnectionError(f"{vendor} hung up")
                if cue == "end":
                    yield Text(f"{vendor}: {' '.join(held)}")
                    held = []
                else:
                    held.append(cue)

    return Recogniser


def test_a_recogniser_that_fails_in_the_middle_of_a_word_hands_over_what_it_had_heard() -> None:
    cues = [(1.0, "one"), (2.0, "end"), (3.0, "two"), (4.0, "three"), (5.0, "four"), (6.0, "end")]
    over = play(cues, recogniser("first", lambda now: now >= 4), recogniser("second"), words, graph=EARS)
    assert [(t, p.text) for t, p in over.at("processing.*.text")] == [
        (2.0, "first: one"), (6.0, "second: two three four")
    ]  # fmt: skip
    assert [(t, p.to) for t, p in over.at("error.first.failed_over")] == [(4.0, "second.stt")]


def test_when_every_recogniser_has_failed_that_is_said_and_the_call_goes_on_to_its_end() -> None:
    cues = [(1.0, "one"), (2.0, "end")]
    over = play(cues, recogniser("first", lambda now: True), recogniser("second", lambda now: True), words, graph=EARS)
    assert [p.message for _, p in over.at("error.*.exception")][-1].startswith("every member of ")
    assert over.times("control.call.call_ended") == [20.0]


def test_a_member_that_fails_in_its_replay_leaves_the_rest_of_it_to_the_next() -> None:
    taken: list[str] = []
    graph = EARS.replace("?? second.stt", "?? second.stt ?? third.stt")
    left = [2]

    def second_breaks(now: float) -> bool:
        left[0] -= 1
        return left[0] < 0

    @connector("third.stt")
    class Third:
        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
            async for event in inbox:
                taken.append(event.payload.track)  # type: ignore[attr-defined]
                if taken[-1] == "end":
                    yield Text(" ".join(taken))

    cues = [(1.0, "a"), (1.1, "b"), (1.2, "c"), (1.3, "d"), (1.4, "e"), (2.0, "end")]
    first = recogniser("first", lambda now: now >= 1.4)
    over = play(cues, first, recogniser("second", second_breaks), Third, words, graph=graph)
    assert [(t, p.text) for t, p in over.at("processing.*.text")] == [(2.0, "a b c d e end")]
    assert [p.to for _, p in over.at("error.*.failed_over")] == ["second.stt", "third.stt"]


def test_the_first_recogniser_is_probed_between_turns_and_is_used_again() -> None:
    cues = [(1.0, "a"), (2.0, "end"), (3.0, "b"), (4.0, "end"), (8.0, "c"), (9.0, "end"), (10.0, "d"), (11.0, "end")]
    over = play(cues, recogniser("first", lambda now: now < 2.5), recogniser("second"), words, graph=EARS)
    # Failed at 1 and rests until 6: the first turn to end after that, at 9, is the last of the second's.
    assert [(t, p.text) for t, p in over.at("processing.*.text")] == [
        (2.0, "second: a"), (4.0, "second: b"), (9.0, "second: c"), (11.0, "first: d")
    ]  # fmt: skip
    assert [(t, p.node) for t, p in over.at("error.*.recovered")] == [(11.0, "first.stt")]


def test_a_probe_of_a_recogniser_that_fails_loses_no_word_and_is_another_rest() -> None:
    cues = [(float(n), "end" if n % 2 == 0 else f"w{n}") for n in range(1, 15)]
    over = play(cues, recogniser("first", lambda now: True), recogniser("second"), words, graph=EARS)
    assert [p.text for _, p in over.at("processing.*.text")] == [f"second: w{n}" for n in range(1, 14, 2)]
    # Fails at 1, rests until 6, is handed the turn that begins at 7; rests until 12, is handed that of 13.
    assert over.times("error.first.failed_over") == [1.0, 7.0, 13.0]
    assert over.at("error.*.recovered") == []


def test_a_partial_lets_go_of_nothing_and_is_no_end_of_a_turn() -> None:
    @connector("second.stt")
    class Second:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial]:
            async for event in inbox:
                if self._clock.now() >= 8:
                    raise ConnectionError("hung up")
                yield TextPartial(event.payload.track)  # type: ignore[attr-defined]

    cues = [(1.0, "a"), (7.0, "b"), (8.0, "c"), (9.0, "end")]
    over = play(cues, recogniser("first", lambda now: now < 2), Second, words, graph=EARS)
    # Rested since 6, but not probed after the partial at 7: it takes over at the failure, with the whole turn.
    assert [(t, p.text) for t, p in over.at("processing.*.text")] == [(9.0, "first: a b c")]
    assert over.times("error.second.failed_over") == [8.0]


def test_no_recogniser_is_probed_after_the_end_of_its_input() -> None:
    runs: list[float] = []

    @connector("first.stt")
    class First:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
            runs.append(self._clock.now())
            async for _ in inbox:
                raise ConnectionError("hung up")
            yield Text("never")

    @connector("second.stt")
    class Second:
        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
            async for _ in inbox:
                pass
            yield Text("last words")

    over = play([(1.0, "a")], First, Second, words, graph=EARS)
    assert [(t, p.text) for t, p in over.at("processing.*.text")] == [(20.0, "last words")]
    assert runs == [0.0]


def test_a_member_that_does_not_end_is_left_at_the_deadline_of_the_handover() -> None:
    @connector("second.stt")
    class Second:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
            async for event in inbox:
                if event.payload.track == "end":  # type: ignore[attr-defined]
                    yield Text("second")
            await self._clock.sleep(60.0)

    cues = [(1.0, "a"), (7.0, "end"), (7.1, "b"), (7.2, "end")]
    over = play(cues, recogniser("first", lambda now: now < 2), Second, words, graph=EARS)
    assert [(t, p.text) for t, p in over.at("processing.*.text")] == [(7.0, "second"), (8.0, "first: b")]


def test_what_is_held_beyond_the_bound_is_counted() -> None:
    cues = [(1.0 + n / 100, f"f{n}") for n in range(HELD + 3)]
    over = play(cues, recogniser("first"), recogniser("second"), words, graph=EARS)
    failures = [counts["failures"] for counts in over.stats.nodes.values() if counts["failures"]]
    assert failures == [{"unheld": 3}]


@pytest.mark.parametrize("at", [1.05, 1.15])
def test_a_choice_is_interrupted_whichever_member_works(at: float) -> None:

    def agent(vendor: str, down: bool) -> Any:
        @connector(f"{vendor}.agent")
        class A:
            def __init__(self, context: Context) -> None:
                self._clock = context.clock

            async def __call__(self, text: Text) -> AgentMessage:
                await self._clock.sleep(0.1)
                if down:
                    raise ConnectionError("down")
                return AgentMessage(f"{text.text}-1")

        return A

    graph = CALL.replace("  acme.agent: {seconds: 0.4}\n", "").replace("acme.agent ", "first.agent ?? second.agent ")
    over = play([(1.0, "say:hello"), (at, "say:other")], agent("first", True), agent("second", False), Tts, graph=graph)
    assert over.heard("hello") == 0.0
    assert over.heard("other") == 0.5


# -- members of different kinds ---------------------------------------------------------------------------------


def test_members_may_answer_at_once_later_or_in_pieces() -> None:
    @connector("first.node")
    def first(text: Text) -> Data:
        raise ConnectionError("first is down")

    @connector("second.node")
    async def second(text: Text) -> Data:
        raise ConnectionError("second is down")

    graph = CHOICE.replace("first.node ?? second.node", "first.node ?? second.node ?? third.node")
    over = play(saying("a", "b"), first, second, member("third"), note, graph=graph)
    assert answers(over) == [(1.1, "third a"), (2.1, "third b")]
    assert [p.to for _, p in over.at("error.*.failed_over")] == ["second.node", "third.node"]


# -- a member that hangs ----------------------------------------------------------------------------------------


def stalling(vendor: str, stalls: float, patience: float) -> Any:
    """A recogniser whose far end says nothing from ``stalls`` on, which it takes for broken ``patience`` s later; a run
    after that works."""
    begun: list[bool] = []

    @connector(f"{vendor}.stt")
    class Stalling:
        def __init__(self, context: Context) -> None:
            self._clock = context.clock

        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
            held: list[str] = []
            again, broken_at = bool(begun), stalls + patience
            begun.append(True)
            async for event in inbox:
                now = self._clock.now()
                if not again and now >= broken_at:
                    raise ConnectorFailure(f"{vendor} has said nothing for {patience:g} s")
                cue = event.payload.track  # type: ignore[attr-defined]
                if cue == "end" and (again or now < stalls):
                    yield Text(f"{vendor}: {' '.join(held)}")
                    held = []
                elif cue and cue != "end":
                    held.append(cue)

    return Stalling


def frames(*cues: tuple[float, str], until: float, step: float = 0.02) -> list[tuple[float, str]]:
    """A line that always sends, with ``cues`` among its frames."""
    left = dict(cues)
    found = []
    for number in range(round(until / step)):
        due = [at for at in left if at <= number * step]
        found.append((number * step, left.pop(due[0]) if due else ""))
    return found


def test_what_was_said_while_a_member_hung_is_heard_by_the_next_and_the_cost_is_told() -> None:
    said = frames((0.5, "one"), (1.0, "end"), (2.0, "two"), (3.0, "three"), (7.0, "end"), (9.0, "four"), (9.5, "end"),
                  (13.0, "five"), (14.0, "end"), until=16.0)  # fmt: skip
    graph = EARS.replace("first.stt: {cooldown: 5s}", "first.stt: {cooldown: 4s}")
    over = play(said, stalling("first", 1.5, 3.0), recogniser("second"), words, graph=graph)
    heard = [(round(t, 2), p.text.replace("  ", " ")) for t, p in over.at("processing.*.text")]
    # Broken at 4.5, rests until 8.5: the turn that ends at 9.5 is the last of the second's.
    assert [(t, " ".join(text.split())) for t, text in heard] == [
        (1.0, "first: one"), (7.0, "second: two three"), (9.5, "second: four"), (14.0, "first: five")
    ]  # fmt: skip
    ((when, taken),) = over.at("error.first.failed_over")
    assert (round(when, 2), taken.to, taken.message) == (4.5, "second.stt", "first has said nothing for 3 s")
    # The oldest frame that the next one has to begin with is the one after the last answer, at 1.0.
    assert round(taken.elapsed_ms / 1000, 2) == 3.48
    assert [p.node for _, p in over.at("error.first.recovered")] == ["first.stt"]


def test_the_same_in_real_time() -> None:
    async def main() -> list[str]:
        clock = LoopClock()
        said = frames((0.1, "one"), (0.2, "end"), (0.3, "two"), (0.4, "three"), (0.9, "end"), until=1.0)
        graph = EARS.replace("{cooldown: 5s}", "{cooldown: 1s}")
        parts = (stalling("first", 0.25, 0.4), recogniser("second"), words)
        pipeline = echostack.compile(graph, registry=registry(*parts), env={})
        session = pipeline.session(clock=clock, ingress={"line": cues(said, clock, 1.1)})
        async with session as call:
            events = call.events("processing.*.text")
            await call.finished()
        return [" ".join(event.payload.text.split()) async for event in events]

    assert asyncio.run(main()) == ["first: one", "second: two three"]
