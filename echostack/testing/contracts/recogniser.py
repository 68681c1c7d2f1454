"""The contract of recognisers: connectors that turn the caller's audio into turns of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from difflib import SequenceMatcher
from typing import Any, ClassVar

import pytest

from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, Text, TextPartial, TextSegment
from echostack.testing.contracts.base import ConnectorContract, case, remote, together
from echostack.testing.contracts.context import MemoryInbox
from echostack.testing.contracts.far_end import FarEnd, Fault, FaultKind, RecogniserScript
from echostack.testing.contracts.left import Left
from echostack.testing.contracts.rig import Rig
from echostack.testing.contracts.stage import Stage
from echostack.testing.contracts.steps import cancelled_at, choice_of, steps_of
from echostack.testing.contracts.words import letters, long_turn

TURNS = ("When are you open?", "Where can I find you?")
UNICODE_TURNS = (
    "Zoe\u0308 mo\u0308chte zwei Pla\u0308tze", "مرحبا أين أنتم", "你好 请问", "fine \U0001f44d\U0001f3fd thanks",
)  # fmt: skip


def texts(told: Sequence[Payload]) -> list[Text]:
    return [p for p in told if isinstance(p, Text)]


def keeps_running(suite: Any) -> bool:
    """Whether an interruption of the agent is told to it instead of cancelling it."""
    return bool(suite.spec().keeps_running)


class RecogniserContract(ConnectorContract):
    """What every recogniser does. Subclass it, name the ``connector``, and give its ``far_end`` when it has one.

    The caller speaks with ``speech``: a recogniser that listens to what is really said gets the embedded voice (extra
    ``embedded``), one whose far end goes by a script overrides it with whatever that script understands.
    """

    pace: ClassVar[float] = 20.0
    """How many times faster than real time the caller speaks to a recogniser with a far end."""
    exact: ClassVar[bool] = True
    """Whether it hears every letter; False for a real model, which is forgiven a fifth of them."""
    long_words: ClassVar[int] = 100
    """How many words a very long turn has."""
    half_open_settings: ClassVar[dict[str, Any]] = {}
    """Settings under which it notices within ``patience`` that nothing comes any more, where the default takes long."""

    def far_end(self, script: RecogniserScript) -> FarEnd | None:
        """The recogniser's far end, hearing as ``script`` says; None (the default) for one that has none."""
        return None

    def speech(self, turns: Sequence[str]) -> list[AudioFrame]:
        """The audio of a caller who says ``turns``, a second of silence behind each, in frames of 20 ms."""
        from echostack.testing.contracts.voice import spoken

        return spoken(turns)

    @classmethod
    def has_far_end(cls) -> bool:
        return cls.far_end is not RecogniserContract.far_end

    script: RecogniserScript = RecogniserScript(TURNS)

    def make_far_end(self) -> FarEnd | None:
        return self.far_end(self.script)

    async def exercise(self, stage: Stage) -> None:
        rig = await stage.connector()
        await rig.heard(self.inbox(stage, self.speech(TURNS[:1])))

    def inbox(self, stage: Stage, frames: Sequence[AudioFrame], **how: Any) -> MemoryInbox:
        """The caller's audio, at the suite's pace."""
        return MemoryInbox(frames, stage.clock, pace=self.pace if self.has_far_end() else 1.0, **how)

    async def heard(self, stage: Stage, rig: Rig, frames: Sequence[AudioFrame]) -> list[Payload]:
        """What is made of a call with that audio, held to the contract."""
        seconds = sum(f.seconds for f in frames)
        async with stage.clock.timeout(self.patience + seconds):
            told = await rig.heard(self.inbox(stage, frames))
        self.hold_order(told)
        return told

    def hold_order(self, told: Sequence[Payload]) -> None:
        """What may change before what will not, times in order, a turn that is what its segments say."""
        segments: list[TextSegment] = []
        before = 0.0
        for one in told:
            assert isinstance(one, Text | TextPartial | TextSegment) or one.__kind__.name not in _WORDS_OF, one
            if not isinstance(one, Text | TextPartial | TextSegment):
                continue
            assert one.text.strip(), f"a {one.__kind__.name} without words"
            assert 0.0 <= one.confidence <= 1.0, f"a confidence of {one.confidence}"
            assert one.start <= one.end, f"{one.text!r} ends at {one.end} before it begins at {one.start}"
            if isinstance(one, TextSegment):
                assert one.start >= before - 0.02, f"{one.text!r} begins before the words that came before it end"
                before = one.end
                segments.append(one)
            if isinstance(one, Text):
                if segments:
                    parts = letters(" ".join(s.text for s in segments))
                    assert letters(one.text).startswith(parts), f"the turn {one.text!r} is not what its segments say"
                segments = []
                before = max(before, one.end)
            if isinstance(one, Text | TextSegment):
                for first, second in zip(one.words, one.words[1:], strict=False):
                    assert first.start_ms <= second.start_ms, f"the words of {one.text!r} are not in order"

    def hold_texts(self, told: Sequence[Payload], turns: Sequence[str]) -> None:
        """The turns, each once and in order."""
        said = [t.text for t in texts(told)]
        assert len(said) == len(turns), f"{len(turns)} turns were said, and these were heard: {said}"
        for heard, spoken in zip(said, turns, strict=True):
            assert self.alike(heard, spoken), f"{spoken!r} was heard as {heard!r}"

    def alike(self, heard: str, spoken: str) -> bool:
        """Whether these are the same words, as exactly as the recogniser can."""
        if self.exact:
            return letters(heard) == letters(spoken)
        return SequenceMatcher(None, letters(heard), letters(spoken)).ratio() > 0.8

    # -- hearing -----------------------------------------------------------------------------------------------------

    @case()
    async def test_each_turn_is_one_text_after_its_partials(self, stage: Stage) -> None:
        """In order, each once; what is still uncertain comes before it."""
        rig = await stage.connector()
        told = await self.heard(stage, rig, self.speech(TURNS))
        self.hold_texts(told, TURNS)
        if TextPartial in rig.spec.produces:
            first = next((p for p in told if isinstance(p, Text | TextPartial)), None)
            assert isinstance(first, TextPartial), "partial texts come before the text"
        starts = [t.start for t in texts(told)]
        assert starts == sorted(starts)

    @case()
    async def test_silence_says_nothing(self, stage: Stage) -> None:
        """Nobody speaks for three seconds."""
        rig = await stage.connector()
        quiet = [AudioFrame(bytes(2 * f.samples), f.rate) for f in self.speech(TURNS[:1])]
        assert texts(await self.heard(stage, rig, (quiet * 3)[:150])) == []

    @case()
    async def test_a_call_without_audio_ends(self, stage: Stage) -> None:
        """The caller hung up before a frame came."""
        rig = await stage.connector()
        assert await self.heard(stage, rig, []) == []

    @case()
    async def test_frames_of_any_length_are_the_same_audio(self, stage: Stage) -> None:
        """Long ones, ones of a sample, empty ones."""
        rig = await stage.connector()
        self.hold_texts(await self.heard(stage, rig, list(_recut(self.speech(TURNS)))), TURNS)

    @case()
    async def test_the_end_of_the_call_ends_the_turn(self, stage: Stage) -> None:
        """Whoever hangs up with their last word has said it."""
        rig = await stage.connector()
        frames = self.speech(TURNS[:1])
        while frames and not frames[-1].pcm.strip(b"\x00"):
            frames.pop()
        said = texts(await self.heard(stage, rig, frames))
        assert len(said) == 1, f"the last turn was heard as {[t.text for t in said]}"
        assert SequenceMatcher(None, letters(said[0].text), letters(TURNS[0])).ratio() > 0.6

    @case()
    async def test_a_very_long_turn_is_whole(self, stage: Stage) -> None:
        """A caller who does not stop; a recogniser may cut the turn at a quiet place, and loses nothing."""
        turn = long_turn(self.long_words)
        await stage.restart(self.far_end(RecogniserScript((turn,))))
        rig = await stage.connector()
        told = await self.heard(stage, rig, self.speech([turn]))
        assert self.alike(" ".join(t.text for t in texts(told)), turn), f"heard {[t.text for t in texts(told)]}"

    @case(remote)
    async def test_words_in_any_script_come_as_they_are(self, stage: Stage) -> None:
        """Combining marks, right to left, no spaces, emoji."""
        await stage.restart(self.far_end(RecogniserScript(UNICODE_TURNS)))
        rig = await stage.connector()
        self.hold_texts(await self.heard(stage, rig, self.speech(UNICODE_TURNS)), UNICODE_TURNS)

    @case()
    async def test_a_slow_listener_hears_the_same(self, stage: Stage) -> None:
        """Whoever takes the texts takes their time: the audio is kept, within bounds, and no turn is lost."""
        rig = await stage.connector()
        told = []
        inbox = self.inbox(stage, self.speech(TURNS))
        async with stage.clock.timeout(3 * self.patience + 10), aclosing(rig.hear(inbox)) as heard:
            async for one in heard:
                told.append(one)
                await stage.clock.sleep(0.05)
        self.hold_order(told)
        self.hold_texts(told, TURNS)

    @case()
    async def test_two_calls_at_once_do_not_hear_each_other(self, stage: Stage) -> None:
        """Two sessions in one process."""
        rigs = [await stage.connector(f"call {n}") for n in range(2)]
        frames = self.speech(TURNS[:1])
        for told in await together(*(self.heard(stage, rig, frames) for rig in rigs)):
            assert len(texts(told)) == 1

    # -- interruptions ----------------------------------------------------------------------------------------------

    @case(keeps_running)
    async def test_an_interruption_of_the_agent_loses_no_word(self, stage: Stage) -> None:
        """The caller speaks over the agent: that is what interrupts it, and what must be heard."""
        rig = await stage.connector()
        told = []
        inbox = self.inbox(stage, self.speech(TURNS))
        async with stage.clock.timeout(3 * self.patience + 10), aclosing(rig.hear(inbox)) as heard:
            rig.target.interrupted()
            async for one in heard:
                rig.target.interrupted()
                told.append(one)
        self.hold_texts(told, TURNS)

    @case()
    async def test_it_can_be_cancelled_at_every_await(self, stage: Stage) -> None:
        """A caller may hang up at any instant; it ends at once, and the next run hears everything."""
        rig = await stage.connector()
        frames = self.speech(TURNS[:1])

        async def listen() -> None:
            await rig.heard(self.inbox(stage, frames))

        await listen()
        left = Left()
        for at in choice_of(await steps_of(listen()), self.most_cancellations):
            await cancelled_at(listen(), at, self.patience)
        told = await self.heard(stage, rig, self.speech(TURNS[:1]))
        assert len(texts(told)) == 1, f"after its interruptions it heard {[t.text for t in texts(told)]}"
        await stage.close()
        await left.nothing(self.patience, "cancelled runs")

    @case()
    async def test_it_is_started_again_after_it_was_closed_in_the_middle(self, stage: Stage) -> None:
        """Of the run before nothing is left in it."""
        rig = await stage.connector()
        async with aclosing(rig.hear(self.inbox(stage, self.speech(TURNS[:1]), hold=True))) as heard:
            async for _ in heard:
                break
        await self.let_go(stage)
        told = texts(await self.heard(stage, rig, self.speech(TURNS[:1])))
        assert len(told) == 1, f"it heard {[t.text for t in told]}"

    async def let_go(self, stage: Stage) -> None:
        """Wait until the provider has no stream of this connector open."""
        begun = stage.clock.now()
        while stage.far is not None and stage.far.open:
            assert stage.clock.now() - begun < self.patience, "its stream at the provider stays open"
            await stage.clock.sleep(0.002)

    # -- failures ---------------------------------------------------------------------------------------------------

    @case(remote)
    async def test_a_provider_that_is_gone_is_a_failure_to_try_again(self, stage: Stage) -> None:
        """Nobody listens at its address."""
        rig = await stage.connector()
        await stage.far_end.stop()
        failure = await self.failure(stage, rig, rig.heard(self.inbox(stage, self.speech(TURNS))))
        assert failure is not None, "ended as if it had heard the call, without a provider"
        assert failure.retryable, "a provider that is gone may come back"

    @case(remote)
    @pytest.mark.parametrize("after", [0, 1, 3])
    @pytest.mark.parametrize("kind", list(FaultKind), ids=str)
    async def test_it_survives_the_faults_of_its_provider(self, stage: Stage, kind: FaultKind, after: int) -> None:
        """Every turn is heard, or one failure says why not; never a hang, never half a turn. Then it goes on."""
        rig = await stage.connector(**(self.half_open_settings if kind is FaultKind.HALF_OPEN else {}))
        left = Left()
        stage.far_end.faults.add(Fault(kind, seconds=1.0 if kind is FaultKind.RATE_LIMITED else 0.05, after=after))
        told: list[Payload] = []

        async def listen() -> None:
            async with aclosing(rig.hear(self.inbox(stage, self.speech(TURNS)))) as heard:
                async for one in heard:
                    told.append(one)

        failure = await self.failure(stage, rig, listen())
        if failure is None and kind is not FaultKind.ENDLESS:
            self.hold_order(told)
            self.hold_texts(told, TURNS)
        if kind is FaultKind.UNAUTHORISED:
            assert failure is not None
            assert not failure.retryable, "a key that is not taken will not be taken a second time"
            assert "key" in str(failure).lower(), f"the message does not say that it is the key: {failure}"
        elif kind is FaultKind.RATE_LIMITED and failure is not None:
            assert failure.retryable
            assert failure.retry_after, "the provider said when to come again: retry_after"
        elif kind in (FaultKind.CUT, FaultKind.HALF_OPEN, FaultKind.UNAVAILABLE) and failure is not None:
            assert failure.retryable, f"another try may well do: {failure}"
        await self.let_go(stage)
        stage.far_end.faults.clear()
        await stage.close()
        await left.nothing(self.patience, f"the fault {kind}")


_WORDS_OF = ("text", "text.partial", "text.segment")


def _recut(frames: Sequence[AudioFrame]) -> Iterator[AudioFrame]:
    """The same audio in frames of 1 sample to 100 ms, empty ones between them."""
    pcm, rate = b"".join(f.pcm for f in frames), frames[0].rate
    sizes = (1, 20, 100, 7, 50, 0)
    at = turn = 0
    while at < len(pcm):
        ms = sizes[turn % len(sizes)]
        turn += 1
        size = 2 if ms == 1 else 2 * (rate * ms // 1000)
        yield AudioFrame(pcm[at : at + size], rate)
        at += size
