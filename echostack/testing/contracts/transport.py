"""The contracts of transports: an ingress, where the caller is heard, and an egress, where the agent is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, ClassVar

from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame
from echostack.registry import AudioSink
from echostack.testing.contracts.base import ConnectorContract, case, remote, together
from echostack.testing.contracts.far_end import FarEnd
from echostack.testing.contracts.left import Left
from echostack.testing.contracts.rig import Rig
from echostack.testing.contracts.stage import Stage
from echostack.testing.contracts.steps import cancelled_at, choice_of, steps_of

_FRAME = 0.02  # seconds of one write, as the engine paces them


def can_break(suite: Any) -> bool:
    """Whether there are settings with which it cannot be opened."""
    return bool(suite.broken)


def gives_frames(suite: Any) -> bool:
    """Whether frames come by themselves."""
    return bool(suite.speaks)


class TransportContract(ConnectorContract):
    """What both ends of a transport have in common."""

    broken: ClassVar[Mapping[str, Any]] = {}
    """Settings, over ``settings``, with which it cannot be opened: a device, a room or a file that is not there."""

    def far_end(self) -> FarEnd | None:
        """The transport's far end, with a caller at it who speaks and listens; None (the default) for none."""
        return None

    @classmethod
    def has_far_end(cls) -> bool:
        return cls.far_end is not TransportContract.far_end

    def make_far_end(self) -> FarEnd | None:
        return self.far_end()

    def at_work(self, stage: Stage) -> None:
        """Called once the connector works: have the caller at the far end speak, where somebody must."""


class IngressContract(TransportContract):
    """What every ingress does: frames, in order and in the declared format, until the caller goes."""

    speaks: ClassVar[bool] = True
    """Whether frames come once it runs; False for one that is fed by a program."""
    frames: ClassVar[int] = 10
    """How many frames are looked at."""

    async def listened(self, stage: Stage, rig: Rig, count: int) -> list[Payload]:
        """The first ``count`` payloads of it."""
        told: list[Payload] = []
        async with stage.clock.timeout(self.patience), aclosing(source(rig)) as run:
            self.at_work(stage)
            async for one in run:
                told.append(one)
                if len(told) >= count:
                    break
        return told

    @case(gives_frames)
    async def test_the_caller_is_heard_in_frames(self, stage: Stage) -> None:
        """Whole samples, in the declared format."""
        rig = await stage.connector()
        told = await self.listened(stage, rig, self.frames)
        heard = [p for p in told if isinstance(p, AudioFrame)]
        assert heard, "no frame came"
        declared = rig.spec.output_format(rig.settings)
        for frame in heard:
            assert frame.samples > 0, "a frame without audio"
            assert len(frame.pcm) % (2 * frame.channels) == 0, "a frame ends within a sample"
            assert frame.seconds <= 0.2, f"a frame of {frame.seconds} s: the caller is heard as late"
            assert declared is None or frame.format == declared, f"{frame.format} is not the declared {declared}"

    @case(gives_frames)
    async def test_it_can_be_cancelled_at_every_await(self, stage: Stage) -> None:
        """The call ends at any instant; the device, the file or the room is let go at once."""

        async def call() -> None:
            async with stage.make() as rig:
                await self.listened(stage, rig, self.frames)

        await call()
        left = Left()
        for at in choice_of(await steps_of(call()), self.most_cancellations):
            await cancelled_at(call(), at, self.patience)
        await stage.close()
        await left.nothing(self.patience, "cancelled calls")

    @case(gives_frames)
    async def test_a_call_that_listens_slowly_goes_on(self, stage: Stage) -> None:
        """What comes meanwhile is kept or dropped, within bounds; the next frame is one."""
        rig = await stage.connector()
        seen = 0
        async with stage.clock.timeout(3 * self.patience), aclosing(source(rig)) as run:
            self.at_work(stage)
            async for one in run:
                assert isinstance(one, Payload)
                seen += 1
                await stage.clock.sleep(0.06)
                if seen == 5:
                    break
        assert seen == 5

    @case(gives_frames)
    async def test_two_calls_at_once(self, stage: Stage) -> None:
        """Two sessions, each with an ingress of its own."""
        rigs = [await stage.connector(f"call {n}") for n in range(2)]
        for told in await together(*(self.listened(stage, rig, 3) for rig in rigs)):
            assert len(told) == 3

    @case(can_break)
    async def test_what_cannot_be_opened_is_told(self, stage: Stage) -> None:
        """In one failure, from ``open`` or from the first frame."""
        rig = stage.make(**self.broken)

        async def call() -> None:
            async with rig:
                await self.listened(stage, rig, 1)

        failure = await self.failure(stage, rig, call())
        assert failure is not None, "opened what is not there"
        assert not failure.retryable or self.has_far_end(), "it will not be there at the next try either"

    @case(remote)
    async def test_a_far_end_that_is_gone_is_told(self, stage: Stage) -> None:
        """Nobody listens at its address."""
        rig = stage.make()
        await stage.far_end.stop()

        async def call() -> None:
            async with rig:
                await self.listened(stage, rig, 1)

        failure = await self.failure(stage, rig, call())
        assert failure is not None, "connected to nothing"

    @case(remote)
    async def test_a_far_end_that_goes_in_the_middle_ends_the_call(self, stage: Stage) -> None:
        """The run ends, or fails with a message; it never waits for good."""
        rig = await stage.connector()

        async def call() -> None:
            seen = 0
            async with aclosing(source(rig)) as run:
                self.at_work(stage)
                async for _ in run:
                    seen += 1
                    if seen == 3:
                        await stage.far_end.stop()

        await self.failure(stage, rig, call())


class EgressContract(TransportContract):
    """What every egress does: plays what is written at the pace of time, forgets what it is told to, and counts."""

    async def play(self, stage: Stage, sink: AudioSink, seconds: float) -> int:
        """Write ``seconds`` of a tone as the engine does: at most ``lead`` ahead of the ear. Samples written."""
        size = round(sink.format.rate * _FRAME)
        frame = b"\x00\x10" * size * sink.format.channels
        begun, written = stage.clock.now(), 0
        while written < round(seconds * sink.format.rate):
            ahead = written / sink.format.rate - (stage.clock.now() - begun)
            if ahead + _FRAME > sink.lead:
                await stage.clock.sleep(_FRAME / 2)
                continue
            sink.write(frame)
            written += size
        return written

    @case()
    async def test_its_format_is_what_it_declares(self, stage: Stage) -> None:
        """The engine converts to it before the first write, and it does not change."""
        rig = await stage.connector()
        sink = sink_of(rig)
        declared = rig.spec.input_format(rig.settings) or rig.spec.output_format(rig.settings)
        before = sink.format
        assert declared is None or before == declared, f"{before} is not the declared {declared}"
        await self.play(stage, sink, 0.1)
        assert sink.format == before
        assert 0 < sink.lead <= 2.0
        assert sink.stride > 0

    @case()
    async def test_what_it_has_played_is_never_more_than_was_written(self, stage: Stage) -> None:
        """It only rises, and comes to all of it in the end."""
        rig = await stage.connector()
        sink = sink_of(rig)
        self.at_work(stage)
        if sink.played() is None:
            await self.play(stage, sink, 0.2)
            return
        size = round(sink.format.rate * _FRAME)
        written = before = 0
        for _ in range(20):
            sink.write(b"\x00\x10" * size * sink.format.channels)
            written += size
            await stage.clock.sleep(_FRAME)
            played = sink.played()
            assert played is not None
            assert before <= played <= written, f"{played} samples played, {before} before, {written} written"
            before = played
        self.device_plays(rig, written)
        async with stage.clock.timeout(self.patience):
            while (sink.played() or 0) < written:
                await stage.clock.sleep(_FRAME)

    def device_plays(self, rig: Rig, samples: int) -> None:
        """For a far end that a test drives: have it play everything that was written."""

    @case()
    async def test_what_is_cleared_is_not_played(self, stage: Stage) -> None:
        """An interruption: at once, whatever waits; and what comes after is played."""
        rig = await stage.connector()
        sink = sink_of(rig)
        sink.clear()  # nothing written: nothing to forget
        size = round(sink.format.rate * _FRAME)
        frame = b"\x00\x10" * size * sink.format.channels
        written = 0
        while written / sink.format.rate < sink.lead:
            sink.write(frame)
            written += size
        sink.clear()
        at_clear = sink.played()
        await stage.clock.sleep(sink.lead + 0.1)
        after = sink.played()
        if at_clear is not None and after is not None:
            slack = round(0.05 * sink.format.rate)  # what the device already had
            assert at_clear <= after <= at_clear + slack, f"{after - at_clear} cleared samples were played"
        sink.clear()
        sink.write(frame[: len(frame) // 4 * 2])  # the last frame of an utterance may be shorter
        sink.clear()

    @case()
    async def test_closing_does_not_wait_for_what_is_unplayed(self, stage: Stage) -> None:
        """The caller hung up in the middle of a reply."""
        rig = await stage.connector()
        sink = sink_of(rig)
        for _ in range(5):
            sink.write(bytes(2 * round(sink.format.rate * _FRAME) * sink.format.channels))
        async with stage.clock.timeout(self.patience):
            await rig.close()

    @case()
    async def test_two_calls_at_once(self, stage: Stage) -> None:
        """Two sessions, each with an egress of its own."""
        rigs = [await stage.connector(f"call {n}", **self.another(n)) for n in range(2)]
        await together(*(self.play(stage, sink_of(rig), 0.1) for rig in rigs))

    def another(self, number: int) -> Mapping[str, Any]:
        """Settings of the second of two calls, where they cannot share (a file)."""
        return {}

    @case(can_break)
    async def test_what_cannot_be_opened_is_told(self, stage: Stage) -> None:
        """In one failure, from ``open``; and then it can be closed."""
        rig = stage.make(**self.broken)
        failure = await self.failure(stage, rig, rig.open())
        assert failure is not None, "opened what is not there"
        await rig.close()

    @case(remote)
    async def test_a_far_end_that_is_gone_is_told(self, stage: Stage) -> None:
        """Nobody listens at its address."""
        rig = stage.make()
        await stage.far_end.stop()
        failure = await self.failure(stage, rig, rig.open())
        assert failure is not None, "connected to nothing"
        await rig.close()


def sink_of(rig: Rig) -> AudioSink:
    """The egress itself."""
    assert isinstance(rig.target, AudioSink), f"{rig.spec.name} is no AudioSink"
    return rig.target


def source(rig: Rig) -> Any:
    """What an ingress gives, as it comes."""
    return rig.target.run()
