"""The contract of synthesisers: connectors that turn what an agent wants said into speech."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import pytest

from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial, AudioChunk, AudioChunkStream
from echostack.testing.contracts.base import ConnectorContract, case, remote, together, waiting
from echostack.testing.contracts.far_end import FarEnd, Fault, FaultKind, VoiceScript
from echostack.testing.contracts.left import Left
from echostack.testing.contracts.rig import Rig
from echostack.testing.contracts.stage import Stage
from echostack.testing.contracts.steps import cancelled_at, choice_of, steps_of
from echostack.testing.contracts.words import BLANK, UNICODE, letters, numbered

HOURS = ("We are open from nine to six.", "On Sundays we are closed.")
PLACE = ("You find us at twelve Mill Lane.",)

Speech = AudioChunk | AudioChunkStream


def pieces(sentences: Sequence[str], utterance: str, *, interruptible: bool = True) -> list[AgentMessagePartial]:
    """A message in pieces, as an agent sends it."""
    last = len(sentences) - 1
    return [
        AgentMessagePartial(s, utterance, final=n == last, interruptible=interruptible) for n, s in enumerate(sentences)
    ]


def takes_pieces(suite: Any) -> bool:
    """Whether it begins before the message is whole."""
    return AgentMessagePartial in suite.spec().consumes


class SynthesiserContract(ConnectorContract):
    """What every synthesiser does. Subclass it, name the ``connector``, and give its ``far_end`` when it has one."""

    long_sentences: ClassVar[int] = 40
    """How many sentences of some four words a very long message has."""
    half_open_settings: ClassVar[dict[str, Any]] = {}
    """Settings under which it notices within ``patience`` that nothing comes any more, where the default takes long."""

    def far_end(self, script: VoiceScript) -> FarEnd | None:
        """The synthesiser's far end; None (the default) for one that has none."""
        return None

    @classmethod
    def has_far_end(cls) -> bool:
        return cls.far_end is not SynthesiserContract.far_end

    def make_far_end(self) -> FarEnd | None:
        return self.far_end(VoiceScript())

    async def exercise(self, stage: Stage) -> None:
        await (await stage.connector()).ask(AgentMessage(PLACE[0], "warm"))

    async def speak(self, stage: Stage, rig: Rig, sentences: Sequence[str], utterance: str) -> list[Speech]:
        """What is spoken of a message in pieces (or whole, for one that takes no pieces), held to the contract."""
        message: list[Payload] = list(pieces(sentences, utterance))
        if AgentMessagePartial not in rig.spec.consumes:
            message = [AgentMessage(" ".join(sentences), utterance)]
        async with stage.clock.timeout(self.patience):
            told = speech_in(await rig.ask_all(message))
        self.hold_order(rig, told, utterance, " ".join(sentences))
        return told

    def hold_order(self, rig: Rig, told: Sequence[Speech], utterance: str, text: str) -> None:
        """One utterance, in order, in the declared format, its end marked, its words where they are."""
        assert told, f"nothing was spoken of {text!r}"
        declared = rig.spec.output_format(rig.settings)
        for chunk in told:
            assert chunk.utterance == utterance, f"a chunk of {chunk.utterance!r} among those of {utterance!r}"
            assert declared is None or chunk.format == declared, f"{chunk.format} is not the declared {declared}"
            assert len(chunk.pcm) % (2 * chunk.channels) == 0, "a chunk ends within a sample"
            length = chunk.seconds * 1000
            for first, second in zip(chunk.words, chunk.words[1:], strict=False):
                assert first.start_ms <= second.start_ms, f"words out of order: {chunk.words}"
            for word in chunk.words:
                # One that began in the chunk before starts before 0.
                assert word.start_ms <= word.end_ms, f"{word} ends before it begins"
                assert word.start_ms <= length + 1, f"{word} lies behind the {length:.0f} ms of its chunk"
        if isinstance(told[0], AudioChunkStream):
            marks = [c.final for c in told]
            assert marks == [False] * (len(told) - 1) + [True], f"final marks the last chunk, and no other: {marks}"
        said = letters(" ".join(c.text for c in told))
        assert said == letters(text), f"the chunks say {said!r}, the message {letters(text)!r}"
        seconds = sum(c.seconds for c in told)
        assert seconds > 0.0, f"no audio for {text!r}"

    # -- speaking ----------------------------------------------------------------------------------------------------

    @case(takes_pieces)
    async def test_a_message_in_pieces_is_one_utterance(self, stage: Stage) -> None:
        """Its words in order, its last chunk marked, in the declared format; and then another one."""
        rig = await stage.connector()
        first = await self.speak(stage, rig, HOURS, "m-1")
        await self.speak(stage, rig, PLACE, "m-2")
        assert any(c.pcm.strip(b"\x00") for c in first), "the speech is silence"

    @case()
    async def test_a_whole_message_is_one_utterance(self, stage: Stage) -> None:
        """As an agent says it that has no pieces."""
        rig = await stage.connector()
        async with stage.clock.timeout(self.patience):
            told = speech_in(await rig.ask(AgentMessage(" ".join(HOURS), "m-1")))
        self.hold_order(rig, told, "m-1", " ".join(HOURS))

    @case()
    async def test_the_speech_says_whether_it_can_be_interrupted(self, stage: Stage) -> None:
        """A notice that must be heard stays one."""
        rig = await stage.connector()
        async with stage.clock.timeout(self.patience):
            told = speech_in(await rig.ask(AgentMessage(PLACE[0], "m-1", interruptible=False)))
        assert told
        assert not any(c.interruptible for c in told)

    @case(takes_pieces)
    async def test_an_empty_last_piece_ends_the_utterance(self, stage: Stage) -> None:
        """An agent may know only afterwards that it was through."""
        rig = await stage.connector()
        await self.speak(stage, rig, (*HOURS, ""), "m-1")

    @case(takes_pieces)
    async def test_the_first_piece_is_heard_before_the_second_is_there(self, stage: Stage) -> None:
        """Speech begins while the agent still thinks."""
        rig = await stage.connector()
        async with stage.clock.timeout(self.patience):
            told = speech_in(await rig.ask(pieces(HOURS, "m-1")[0]))
        assert sum(c.seconds for c in told) > 0, "the first sentence waits for the second"
        assert not any(c.final for c in told)

    @case()
    @pytest.mark.parametrize("blank", BLANK.values(), ids=BLANK)
    async def test_nothing_to_say_is_silence(self, stage: Stage, blank: str) -> None:
        """No audio and no failure; and the next message is spoken."""
        rig = await stage.connector()
        async with stage.clock.timeout(self.patience):
            told = speech_in(await rig.ask(AgentMessage(blank, "m-1")))
        assert sum(c.seconds for c in told) == 0
        if takes_pieces(type(self)):
            async with stage.clock.timeout(self.patience):
                ended = speech_in(await rig.ask(AgentMessagePartial(blank, "m-2", final=True)))
            assert [c.final for c in ended] == [True], "the end of an utterance is told even when it held nothing"
        await self.speak(stage, rig, PLACE, "m-3")

    @case()
    @pytest.mark.parametrize("text", UNICODE.values(), ids=UNICODE)
    async def test_any_text_can_be_spoken(self, stage: Stage, text: str) -> None:
        """Combining marks, right to left, emoji, NUL: spoken as well as may be; and the next message as always."""
        rig = await stage.connector()
        async with stage.clock.timeout(self.patience):
            told = speech_in(await rig.ask(AgentMessage(text, "m-1")))
        assert {c.utterance for c in told} <= {"m-1"}
        assert [c.final for c in told if isinstance(c, AudioChunkStream)].count(True) <= 1
        await self.speak(stage, rig, PLACE, "m-2")

    @case()
    async def test_a_very_long_message_is_spoken_whole_and_as_it_is_made(self, stage: Stage) -> None:
        """The first of it long before the last."""
        rig = await stage.connector()
        text = "".join(numbered(self.long_sentences)).strip()
        async with stage.clock.timeout(6 * self.patience):
            told = speech_in(await rig.ask(AgentMessage(text, "m-1")))
        self.hold_order(rig, told, "m-1", text)
        if AudioChunkStream in rig.spec.produces:
            longest = max(c.seconds for c in told)
            assert longest <= sum(c.seconds for c in told) / 2, "it came in one piece"

    @case()
    async def test_a_slow_listener_hears_the_same(self, stage: Stage) -> None:
        """The far end plays in real time; what waits for it is neither lost nor doubled."""
        rig = await stage.connector()
        told: list[Payload] = []
        text = " ".join((*HOURS, *PLACE))
        async with stage.clock.timeout(3 * self.patience), aclosing(rig.stream(AgentMessage(text, "m-1"))) as answers:
            async for one in answers:
                told.append(one)
                await stage.clock.sleep(0.03)
        self.hold_order(rig, speech_in(told), "m-1", text)

    @case()
    async def test_two_calls_at_once_do_not_hear_each_other(self, stage: Stage) -> None:
        """Two sessions in one process."""
        rigs = [await stage.connector(f"call {n}") for n in range(2)]
        said = (HOURS, PLACE)
        await together(
            *(self.speak(stage, rig, s, f"u-{n}") for n, (rig, s) in enumerate(zip(rigs, said, strict=True)))
        )

    # -- interruptions ----------------------------------------------------------------------------------------------

    @case(waiting)
    async def test_it_can_be_interrupted_at_every_await(self, stage: Stage) -> None:
        """Cancelled anywhere it ends at once, and nothing of the old utterance is heard in the next one."""
        rig = await stage.connector()
        await self.speak(stage, rig, PLACE, "warm")
        number = 0

        async def talk() -> None:
            nonlocal number
            number += 1
            message: list[Payload] = list(pieces(HOURS, f"old-{number}"))
            if AgentMessagePartial not in rig.spec.consumes:
                message = [AgentMessage(" ".join(HOURS), f"old-{number}")]
            await rig.ask_all(message)

        left = Left()
        for at in choice_of(await steps_of(talk()), self.most_cancellations):
            await cancelled_at(talk(), at, self.patience)
            await self.speak(stage, rig, PLACE, f"new-{at}")
        await stage.close()
        await left.nothing(self.patience, "interruptions")

    @case(takes_pieces)
    async def test_an_utterance_that_never_ends_does_not_reach_into_the_next(self, stage: Stage) -> None:
        """Interrupted between two pieces: nobody tells the synthesiser that the rest will not come."""
        rig = await stage.connector()
        async with stage.clock.timeout(self.patience):
            await rig.ask(pieces(HOURS, "old")[0])
        await self.speak(stage, rig, PLACE, "new")

    @case(waiting)
    async def test_closing_the_speech_leaves_nothing_under_way(self, stage: Stage) -> None:
        """After the first chunk: the rest is not made."""
        rig = await stage.connector()
        text = "".join(numbered(self.long_sentences)).strip()
        async with aclosing(rig.stream(AgentMessage(text, "old"))) as answers:
            async for _ in answers:
                break
        await self.speak(stage, rig, PLACE, "new")

    # -- failures ---------------------------------------------------------------------------------------------------

    @case(remote)
    async def test_a_provider_that_is_gone_is_a_failure_to_try_again(self, stage: Stage) -> None:
        """Nobody listens at its address."""
        rig = await stage.connector()
        await stage.far_end.stop()
        failure = await self.failure(stage, rig, rig.ask(AgentMessage(PLACE[0], "m-1")))
        assert failure is not None, "spoke without a provider"
        assert failure.retryable, "a provider that is gone may come back"

    @case(remote)
    @pytest.mark.parametrize("after", [0, 1, 3])
    @pytest.mark.parametrize("kind", list(FaultKind), ids=str)
    async def test_it_survives_the_faults_of_its_provider(self, stage: Stage, kind: FaultKind, after: int) -> None:
        """The whole utterance or one failure that says what to do, never a hang; and the next utterance is whole."""
        rig = stage.make(**(self.half_open_settings if kind is FaultKind.HALF_OPEN else {}))
        left = Left()
        stage.far_end.faults.add(Fault(kind, seconds=1.0 if kind is FaultKind.RATE_LIMITED else 0.05, after=after))
        told: list[Payload] = []

        opened = False

        async def talk() -> None:
            nonlocal opened
            await rig.open()
            opened = True
            for piece in pieces(HOURS, "m-1"):
                async with aclosing(rig.stream(piece)) as answers:
                    async for one in answers:
                        told.append(one)

        if kind is FaultKind.ENDLESS:
            await self.endless(stage, rig, talk())
        else:
            failure = await self.failure(stage, rig, talk())
            if failure is None and kind is not FaultKind.DUPLICATE:
                self.hold_order(rig, speech_in(told), "m-1", " ".join(HOURS))
            self.hold_fault(kind, failure)
        stage.far_end.faults.clear()
        await self.speak(stage, rig if opened else await stage.connector(), PLACE, "m-2")
        await stage.close()
        await left.nothing(self.patience, f"the fault {kind}")

    def hold_fault(self, kind: FaultKind, failure: Any) -> None:
        """What must come of a fault, beyond being told."""
        if kind is FaultKind.UNAUTHORISED:
            assert failure is not None
            assert not failure.retryable, "a key that is not taken will not be taken a second time"
            assert "key" in str(failure).lower(), f"the message does not say that it is the key: {failure}"
        elif kind is FaultKind.RATE_LIMITED and failure is not None:
            assert failure.retryable
            assert failure.retry_after, "the provider said when to come again: retry_after"
        elif kind is FaultKind.SLOW:
            assert failure is None, f"speech that comes a little late is speech: {failure}"
        elif kind in (FaultKind.CUT, FaultKind.HALF_OPEN, FaultKind.UNAVAILABLE) and failure is not None:
            assert failure.retryable, f"another try may well do: {failure}"

    async def endless(self, stage: Stage, rig: Rig, work: Any) -> None:
        """Speech without an end ends by a bound of the connector's, or when it is interrupted."""
        try:
            async with stage.clock.timeout(0.5):
                await work
        except TimeoutError:
            return
        except Exception as error:  # noqa: BLE001 - what it is is judged
            stage.judge(error, rig)


def speech_in(told: Sequence[Payload]) -> list[Speech]:
    """The audio among a synthesiser's outputs."""
    return [p for p in told if isinstance(p, AudioChunk | AudioChunkStream)]
