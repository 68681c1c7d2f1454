"""The contract of agents: connectors that answer a caller's turn with something to say."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import pytest

from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial, Text
from echostack.testing.contracts.base import ConnectorContract, case, remote, together, waiting
from echostack.testing.contracts.far_end import AgentScript, FarEnd, Fault, FaultKind
from echostack.testing.contracts.left import Left
from echostack.testing.contracts.rig import Rig
from echostack.testing.contracts.stage import Stage
from echostack.testing.contracts.steps import cancelled_at, choice_of, steps_of
from echostack.testing.contracts.words import BLANK, UNICODE, letters, numbered

HOURS = "When are you open?"
PLACE = "Where can I find you?"
LONG = "Tell me everything."

SCRIPT = AgentScript(
    {
        HOURS: ("We are open ", "from nine ", "to six. ", "On Sundays ", "we are closed."),
        PLACE: ("You find us ", "at twelve Mill Lane."),
        LONG: numbered(200),
    },
    pause=0.001,  # so that there is an await in the middle of an answer
)
"""What the far end of an agent is asked to answer, unless a case says otherwise."""


def said(told: Sequence[Payload]) -> str:
    """What an agent's outputs say: their pieces, or the whole message where there are none."""
    pieces = [p.text for p in told if isinstance(p, AgentMessagePartial)]
    return " ".join(pieces) if pieces else " ".join(p.text for p in told if isinstance(p, AgentMessage))


def pieces_of(told: Sequence[Payload]) -> list[AgentMessagePartial]:
    return [p for p in told if isinstance(p, AgentMessagePartial)]


def has_pieces(suite: Any) -> bool:
    """Whether the agent speaks in pieces."""
    return AgentMessagePartial in suite.spec().produces


def remote_pieces(suite: Any) -> bool:
    return remote(suite) and has_pieces(suite)


def replies(suite: Any) -> bool:
    return bool(suite.needs_words)


class AgentContract(ConnectorContract):
    """What every agent does. Subclass it, name the ``connector``, and give its ``far_end`` when it has one.

    An agent without a far end answers ``HOURS`` and ``PLACE`` (or what ``questions`` says) from its settings.
    """

    questions: ClassVar[tuple[str, str]] = (HOURS, PLACE)
    """Two turns of the caller that it has different answers to."""
    needs_words: ClassVar[bool] = True
    """Whether a turn without words gets no answer."""
    half_open_settings: ClassVar[dict[str, Any]] = {}
    """Settings under which it notices within ``patience`` that nothing comes any more, where the default takes long."""

    def far_end(self, script: AgentScript) -> FarEnd | None:
        """The agent's far end, answering as ``script`` says; None (the default) for an agent that has none."""
        return None

    @classmethod
    def has_far_end(cls) -> bool:
        return cls.far_end is not AgentContract.far_end

    def make_far_end(self) -> FarEnd | None:
        return self.far_end(SCRIPT)

    async def exercise(self, stage: Stage) -> None:
        await (await stage.connector()).ask(Text(self.questions[0]))

    async def answered(self, stage: Stage, rig: Rig, question: str) -> list[Payload]:
        """The whole answer to ``question``, held to the contract."""
        async with stage.clock.timeout(self.patience):
            told = await rig.ask(Text(question))
        self.hold_order(told)
        return told

    def hold_order(self, told: Sequence[Payload]) -> None:
        """Pieces in order and marked, one id, and then the message with all of it."""
        pieces = pieces_of(told)
        messages = [p for p in told if isinstance(p, AgentMessage)]
        spoken = [p for p in told if isinstance(p, AgentMessage | AgentMessagePartial)]
        assert len(messages) <= 1, f"one turn is one message, not {len(messages)}"
        if not spoken:
            return
        if pieces:
            assert [p.final for p in pieces] == [False] * (len(pieces) - 1) + [True], (
                f"final marks the last piece, and no other: {[p.final for p in pieces]}"
            )
            ids = {p.id for p in spoken if isinstance(p, AgentMessagePartial | AgentMessage)}
            assert len(ids) == 1, f"the pieces and the message have one id, not {sorted(ids)}"
            assert ids != {""}, "pieces need an id: without one each would be an utterance of its own"
            blank = [p for p in pieces if not p.text.strip() and not p.final]
            assert not blank, "a piece that is not the last one has something to say"
        if pieces and messages:
            assert spoken[-1] is messages[0], "the whole message comes after its pieces"
            whole, parts = letters(messages[0].text), letters(" ".join(p.text for p in pieces))
            assert whole == parts, f"the message is not what its pieces say: {messages[0].text!r}"
        assert len({p.interruptible for p in spoken}) == 1, "one utterance is interruptible or is not"

    def expected(self, question: str) -> str | None:
        """What the far end answers to ``question``; None without one."""
        return "".join(SCRIPT.answer(question)) if self.has_far_end() else None

    # -- answering -------------------------------------------------------------------------------------------------

    @case()
    async def test_a_turn_is_answered_in_order(self, stage: Stage) -> None:
        """Pieces, the last one marked, then the whole; all with one id."""
        rig = await stage.connector()
        for question in self.questions:
            told = await self.answered(stage, rig, question)
            assert said(told).strip(), f"{question!r} is not answered"
            expected = self.expected(question)
            if expected is not None:
                assert letters(said(told)) == letters(expected)

    @case(has_pieces)
    async def test_two_answers_have_two_ids(self, stage: Stage) -> None:
        """The id is the utterance's: what was played is told by it."""
        rig = await stage.connector()
        ids = [pieces_of(await self.answered(stage, rig, q))[0].id for q in (*self.questions, self.questions[0])]
        assert len(set(ids)) == 3, f"ids come again: {ids}"

    @case(remote_pieces)
    async def test_it_speaks_before_it_has_heard_the_end(self, stage: Stage) -> None:
        """The first sentence leaves while the provider still makes the second one."""
        rig = await stage.connector()
        clock = stage.clock
        begun, first = clock.now(), 0.0
        async with clock.timeout(4 * self.patience), aclosing(rig.stream(Text(LONG))) as answers:
            async for one in answers:
                if isinstance(one, AgentMessagePartial) and not first:
                    first = clock.now() - begun
        whole = clock.now() - begun
        assert first < whole / 2, f"the first piece came after {first:.3f} s of the {whole:.3f} s of the answer"

    @case(replies)
    @pytest.mark.parametrize("blank", BLANK.values(), ids=BLANK)
    async def test_a_turn_without_words_gets_no_answer(self, stage: Stage, blank: str) -> None:
        """And costs nothing: the provider is not asked."""
        rig = await stage.connector()
        opened = stage.far.seen.counts.get("opened", 0) if stage.far is not None else 0
        told = await self.answered(stage, rig, blank)
        assert not said(told).strip()
        if stage.far is not None:
            assert stage.far.seen.counts.get("opened", 0) == opened, "the provider was asked about nothing"

    @case()
    @pytest.mark.parametrize("text", UNICODE.values(), ids=UNICODE)
    async def test_any_text_can_be_asked(self, stage: Stage, text: str) -> None:
        """Combining marks, right to left, emoji, NUL: an answer, and the next turn as always."""
        rig = await stage.connector()
        assert said(await self.answered(stage, rig, text)).strip() or self.expected(text) is None
        assert said(await self.answered(stage, rig, self.questions[0])).strip()

    @case()
    async def test_a_very_long_turn_is_answered(self, stage: Stage) -> None:
        """A caller who reads out a letter."""
        rig = await stage.connector()
        told = await self.answered(stage, rig, "".join(numbered(1000)) + self.questions[0])
        assert said(told).strip()

    @case(remote)
    async def test_a_very_long_answer_is_whole_and_in_order(self, stage: Stage) -> None:
        """Two hundred sentences, each once, however slowly they are taken."""
        rig = await stage.connector()
        told = []
        async with stage.clock.timeout(4 * self.patience), aclosing(rig.stream(Text(LONG))) as answers:
            async for one in answers:
                told.append(one)
                await stage.clock.sleep(0.002 if len(told) < 50 else 0.0)
        self.hold_order(told)
        assert letters(said(told)) == letters("".join(numbered(200)))

    @case()
    async def test_a_slow_listener_hears_the_same(self, stage: Stage) -> None:
        """Nothing is lost, and nothing comes twice, while the synthesiser is busy."""
        rig, other = await stage.connector("slow"), await stage.connector("quick")
        told = []
        async with stage.clock.timeout(4 * self.patience), aclosing(rig.stream(Text(self.questions[0]))) as answers:
            async for one in answers:
                told.append(one)
                await stage.clock.sleep(0.03)
        self.hold_order(told)
        assert said(told) == said(await self.answered(stage, other, self.questions[0]))

    @case()
    async def test_two_calls_at_once_do_not_hear_each_other(self, stage: Stage) -> None:
        """Two sessions, each with a connector of its own, in one process."""
        rigs = [await stage.connector(f"call {n}") for n in range(2)]
        alone = [said(await self.answered(stage, r, q)) for r, q in zip(rigs, self.questions, strict=True)]
        both = await together(*(self.answered(stage, r, q) for r, q in zip(rigs, self.questions, strict=True)))
        for told, before, question in zip(both, alone, self.questions, strict=True):
            if self.expected(question) is not None:
                assert letters(said(told)) == letters(before)
            assert said(told).strip()

    # -- interruptions ----------------------------------------------------------------------------------------------

    @case(waiting)
    async def test_it_can_be_interrupted_at_every_await(self, stage: Stage) -> None:
        """Cancelled anywhere it ends at once, the provider's stream is let go, and the next turn is answered as if
        nothing had been."""
        rig = await stage.connector()
        question, next_question = self.questions
        expected = said(await self.answered(stage, rig, next_question))

        async def answer() -> None:
            await rig.ask(Text(question))

        left = Left()
        for at in choice_of(await steps_of(answer()), self.most_cancellations):
            await cancelled_at(answer(), at, self.patience)
            told = said(await self.answered(stage, rig, next_question))
            if self.has_far_end():
                assert letters(told) == letters(expected), f"after an interruption at await {at} it said {told!r}"
            await self.let_go(stage, f"interrupted at await {at}")
        await stage.close()
        await left.nothing(self.patience, "interruptions")

    @case(waiting)
    async def test_closing_the_answer_lets_the_provider_go(self, stage: Stage) -> None:
        """After the first piece: the rest is neither made nor paid for."""
        rig = await stage.connector()
        async with aclosing(rig.stream(Text(LONG if self.has_far_end() else self.questions[0]))) as answers:
            async for _ in answers:
                break
        await self.let_go(stage, "closed after its first piece")
        assert said(await self.answered(stage, rig, self.questions[1])).strip()

    async def let_go(self, stage: Stage, why: str) -> None:
        """Wait until the provider has no answer of this connector under way."""
        if stage.far is None:
            return
        begun = stage.clock.now()
        while stage.far.open:
            assert stage.clock.now() - begun < self.patience, f"{why}, it still has a request at the provider"
            await stage.clock.sleep(0.002)

    # -- failures ---------------------------------------------------------------------------------------------------

    @case(remote)
    async def test_a_provider_that_is_gone_is_a_failure_to_try_again(self, stage: Stage) -> None:
        """Nobody listens at its address."""
        rig = await stage.connector()
        await stage.far_end.stop()
        failure = await self.failure(stage, rig, rig.ask(Text(self.questions[0])))
        assert failure is not None, "answered without a provider"
        assert failure.retryable, "a provider that is gone may come back"

    @case(remote)
    @pytest.mark.parametrize("after", [0, 1, 3])
    @pytest.mark.parametrize("kind", list(FaultKind), ids=str)
    async def test_it_survives_the_faults_of_its_provider(self, stage: Stage, kind: FaultKind, after: int) -> None:
        """Each ends in the whole answer or in one failure that says what to do, never in a hang; then it goes on."""
        rig = await stage.connector(**(self.half_open_settings if kind in _SILENT else {}))
        left = Left()
        stage.far_end.faults.add(Fault(kind, seconds=_SECONDS.get(kind, 0.05), after=after))
        told: list[Payload] = []

        async def ask() -> None:
            async with aclosing(rig.stream(Text(self.questions[0]))) as answers:
                async for one in answers:
                    told.append(one)

        if kind is FaultKind.ENDLESS:
            await self.endless(stage, rig, ask())
        else:
            failure = await self.failure(stage, rig, ask())
            if failure is None and kind is not FaultKind.DUPLICATE:
                self.hold_order(told)
                assert letters(said(told)) == letters(self.expected(self.questions[0]) or "")
            self.hold_fault(kind, failure, after)
        await self.let_go(stage, f"after {kind}")
        stage.far_end.faults.clear()
        again = await self.answered(stage, rig, self.questions[1])
        assert letters(said(again)) == letters(self.expected(self.questions[1]) or "")
        await stage.close()
        await left.nothing(self.patience, f"the fault {kind}")

    def hold_fault(self, kind: FaultKind, failure: Any, after: int) -> None:
        """What must come of a fault, beyond being told."""
        match kind:
            case FaultKind.SLOW:
                assert failure is None, f"an answer that comes a little late is an answer: {failure}"
            case FaultKind.CUT | FaultKind.HALF_OPEN:
                assert failure is not None, "half an answer was taken for the whole"
                assert failure.retryable, f"another try may well do: {failure}"
            case FaultKind.UNAVAILABLE:
                assert failure is not None
                assert failure.retryable, f"an overloaded provider may be asked again: {failure}"
            case FaultKind.UNAUTHORISED:
                assert failure is not None
                assert not failure.retryable, "a key that is not taken will not be taken a second time"
                assert "key" in str(failure).lower(), f"the message does not say that it is the key: {failure}"
            case FaultKind.RATE_LIMITED:
                assert failure is not None
                assert failure.retryable
                assert failure.retry_after, "the provider said when to come again: retry_after"

    async def endless(self, stage: Stage, rig: Rig, work: Coroutine[Any, Any, Any]) -> None:
        """An answer without an end ends by a bound of the connector's, or when it is interrupted."""
        try:
            async with stage.clock.timeout(0.5):
                await work
        except TimeoutError:
            return
        except Exception as error:  # noqa: BLE001 - what it is is judged
            stage.judge(error, rig)


_SECONDS = {FaultKind.RATE_LIMITED: 1.0}
_SILENT = (FaultKind.HALF_OPEN,)
