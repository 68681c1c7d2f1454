"""``moonshine.stt``: the caller's words, once each, whatever the pace of the audio and of the model."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import types
from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

import pytest

from echostack.connectors import moonshine_stt
from echostack.connectors.moonshine_model import MoonshineModel, shared_model
from echostack.connectors.moonshine_stt import MoonshineStt, MoonshineSttSettings
from echostack.connectors.pcm import Floats, to_pcm
from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.errors import ConnectorFailure, MissingExtra
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, Text, TextPartial, TextSegment
from echostack.registry.context import Out
from echostack.registry.declare import spec_of
from echostack.simulation.loop import run_virtual
from tests.connectors.harness import (
    FakeContext,
    ListInbox,
    frames,
    joined,
    noise,
    outputs,
    silence,
    speech,
)

BOOK = "I would like to book a table for two people tomorrow evening."


class FakeModel:
    """A model that tells how much audio it was given, in tenths of a second."""

    def __init__(self, decode: Callable[[bytes], str] | None = None) -> None:
        self.decoded: list[bytes] = []
        self._decode = decode or (lambda pcm: f"{len(pcm) // 3200} tenths")

    def load(self) -> None:
        pass

    def decode(self, pcm: bytes) -> str:
        self.decoded.append(pcm)
        return self._decode(pcm)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    model = FakeModel()
    monkeypatch.setattr(moonshine_stt, "shared_model", lambda name: model)
    return model


def hear(audio: list[AudioFrame], **how: Any) -> list[tuple[float, Payload]]:
    """What is recognised, with the time at which it was told, in virtual time."""

    async def main() -> list[tuple[float, Payload]]:
        clock = LoopClock()
        stt = MoonshineStt(MoonshineSttSettings(**how), FakeContext(clock))
        told = []
        async for out in stt.run(ListInbox(audio, clock)):
            assert isinstance(out, Out)
            told.append((clock.now(), out.payload))
        return told

    return run_virtual(main())


def texts(told: list[tuple[float, Payload]]) -> list[Text]:
    return [p for _, p in told if isinstance(p, Text)]


def likeness(said: str, heard: str) -> float:
    def plain(text: str) -> list[str]:
        return [w.strip(".,?!") for w in text.lower().replace("-", "").split()]

    return SequenceMatcher(None, plain(said), plain(heard)).ratio()


def call(*words: str) -> Floats:
    return joined(silence(0.5), *(part for w in words for part in (speech(w), silence(1.0))))


def test_each_turn_becomes_one_text_with_its_times() -> None:
    told = hear(frames(call(BOOK, "Yes, that is right.")))
    first, second = texts(told)
    assert likeness(BOOK, first.text) > 0.9
    assert likeness("Yes, that is right.", second.text) == 1.0
    assert first.start == pytest.approx(0.53, abs=0.1)
    assert first.end == pytest.approx(0.5 + len(speech(BOOK)) / 16_000 - 0.25, abs=0.15)
    assert first.ended_by == "recogniser"
    assert 400 <= first.waited_ms <= 425
    assert next(at for at, p in told if p is first) == pytest.approx(first.end + 0.4, abs=0.025)


def test_partial_texts_grow_while_the_caller_speaks() -> None:
    told = hear(frames(call(BOOK)))
    partials = [(at, p) for at, p in told if isinstance(p, TextPartial)]
    assert len(partials) >= 5
    assert partials[0][0] < 1.2
    assert partials[0][1].text.startswith("I would")
    assert all(p.start == partials[0][1].start for _, p in partials)
    assert isinstance(told[-1][1], Text)


@pytest.mark.parametrize(
    "audio",
    [
        silence(5.0),
        noise(3.0, -55),
        joined(silence(1.0), noise(2.0, -30), silence(1.0)),
        joined(silence(1.0), noise(0.15, -15), silence(1.0)),
        silence(0.0),
        silence(1 / 16_000),
    ],
    ids=["silence", "faint noise", "a burst of noise", "a bang", "no audio", "one sample"],
)
def test_what_is_no_speech_gives_nothing(audio: Floats) -> None:
    assert texts(hear(frames(audio))) == []


@pytest.mark.parametrize(
    ("rate", "channels", "ms"), [(8_000, 1, 20), (48_000, 2, 20), (44_100, 1, 13), (16_000, 1, 7.3)]
)
def test_any_audio_is_understood(rate: int, channels: int, ms: float) -> None:
    wave = joined(silence(0.5, rate), speech(BOOK, rate), silence(1.0, rate))
    audio = frames(wave.repeat(channels), rate, ms, channels)
    (text,) = texts(hear(audio, partial_ms=0))
    assert likeness(BOOK, text.text) > 0.85


def test_the_end_of_the_call_ends_the_turn() -> None:
    (text,) = texts(hear(frames(joined(silence(0.5), speech("Yes, that is right.")))))
    assert likeness("Yes, that is right.", text.text) > 0.7


def test_the_endpoint_is_what_the_settings_say(fake: FakeModel) -> None:
    for endpoint in (200, 400, 1000):
        (text,) = texts(hear(frames(joined(call("Stop!"), silence(1.0))), endpoint_ms=endpoint))
        assert endpoint <= text.waited_ms <= endpoint + 20


def test_the_words_of_a_turn_are_decoded_before_the_silence_is_over(fake: FakeModel) -> None:
    hear(frames(call("Stop!")), partial_ms=0)
    assert len(fake.decoded) == 1  # the look at the settled silence stood for the end of the turn


def test_a_long_turn_gives_segments_and_then_the_whole(fake: FakeModel) -> None:
    numbers = iter(range(1, 1000))
    fake._decode = lambda pcm: f"word{next(numbers)}"
    words = speech("I would like to book a table for two people tomorrow evening at seven and then")
    told = hear(frames(joined(silence(0.5), *[words] * 4, silence(1.0))), longest_s=4, partial_ms=0)
    segments = [p for _, p in told if isinstance(p, TextSegment)]
    (text,) = texts(told)
    assert len(segments) >= 3
    assert text.text.split()[:-1] == [s.text for s in segments]
    assert text.start == segments[0].start
    assert all(a.end <= b.start for a, b in pairwise(segments))


def test_partials_of_a_long_turn_begin_with_its_segments(fake: FakeModel) -> None:
    words = speech("I would like to book a table for two people tomorrow evening at seven and then")
    told = hear(frames(joined(silence(0.5), *[words] * 2, silence(1.0))), longest_s=4)
    segment = next(k for k, (_, p) in enumerate(told) if isinstance(p, TextSegment))
    later = [p for _, p in told[segment + 1 :] if isinstance(p, TextPartial)]
    first = told[segment][1]
    assert isinstance(first, TextSegment)
    assert later
    assert all(p.text.startswith(first.text + " ") for p in later)


def test_a_turn_too_short_to_be_speech_is_not_decoded(fake: FakeModel) -> None:
    assert hear(frames(call("Stop!")), min_speech_ms=2000) == []
    assert fake.decoded == []


def test_empty_decodes_give_nothing(fake: FakeModel) -> None:
    fake._decode = lambda pcm: ""
    assert hear(frames(call(BOOK))) == []


def test_a_slow_model_loses_no_audio_and_holds_a_bounded_amount(fake: FakeModel) -> None:
    async def main() -> tuple[list[Payload], int]:
        clock = LoopClock()
        context = FakeContext(clock)
        stt = MoonshineStt(MoonshineSttSettings(partial_ms=0), context)
        most = 0

        class Slow:
            async def run(self, work: Any, *args: Any) -> Any:
                nonlocal most
                if args:
                    await clock.sleep(8.0)  # each decode takes eight seconds
                    most = max(most, len(stt._jobs))
                return work(*args)

            def close(self) -> None: ...

        context.compute = Slow()  # type: ignore[assignment]
        wave = call(*["Stop!", "No"] * 8)
        return await outputs(stt.run(ListInbox(frames(wave), clock))), most

    told, most = run_virtual(main())
    assert len([p for p in told if isinstance(p, Text)]) == 16
    assert most <= 5


def test_frames_are_taken_while_a_decode_runs(fake: FakeModel) -> None:
    async def main() -> int:
        clock = LoopClock()
        context = FakeContext(clock)
        stt = MoonshineStt(MoonshineSttSettings(), context)
        inbox = ListInbox(frames(call(BOOK)), clock)
        taken = -1

        class Slow:
            async def run(self, work: Any, *args: Any) -> Any:
                nonlocal taken
                if args and taken < 0:
                    before = inbox.taken
                    await clock.sleep(1.0)
                    taken = inbox.taken - before
                return work(*args)

            def close(self) -> None: ...

        context.compute = Slow()  # type: ignore[assignment]
        await outputs(stt.run(inbox))
        return taken

    assert run_virtual(main()) in (49, 50, 51)


def test_times_are_the_session_s_when_the_audio_begins_late(fake: FakeModel) -> None:
    async def main() -> list[Payload]:
        clock = LoopClock()
        await clock.sleep(2.0)
        inbox = ListInbox(frames(call("Stop!")), clock)
        inbox._at = 2.0
        return await outputs(MoonshineStt(MoonshineSttSettings(partial_ms=0), FakeContext(clock)).run(inbox))

    (text,) = run_virtual(main())
    assert isinstance(text, Text)
    assert text.start == pytest.approx(2.51, abs=0.05)


def test_each_output_names_the_frame_that_led_to_it(fake: FakeModel) -> None:
    async def main() -> list[Out]:
        clock = LoopClock()
        stt = MoonshineStt(MoonshineSttSettings(partial_ms=0), FakeContext(clock))
        return [out async for out in stt.run(ListInbox(frames(call("Stop!")), clock)) if isinstance(out, Out)]

    (out,) = run_virtual(main())
    assert out.cause is not None
    assert isinstance(out.payload, Text)
    assert out.cause.time == pytest.approx(out.payload.end + 0.4, abs=0.021)


def test_it_can_be_cancelled_at_every_instant(fake: FakeModel) -> None:
    """Cancelled after any number of steps of the loop, it ends at once and leaves no task behind."""
    wave = frames(joined(speech("Stop!"), silence(0.6)))

    async def main(steps: int) -> bool:
        clock = LoopClock()
        stt = MoonshineStt(MoonshineSttSettings(endpoint_ms=160), FakeContext(clock))
        task = asyncio.create_task(outputs(stt.run(ListInbox(wave, clock, hold=True))))
        for _ in range(steps):
            await asyncio.sleep(0 if steps % 2 else 0.011)
        task.cancel()
        started = clock.now()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert clock.now() == started
        return asyncio.all_tasks() == {asyncio.current_task()}

    for steps in (*range(12), 20, 33, 41, 60, 84, 100, 150):
        assert run_virtual(main(steps))


def test_closing_its_stream_ends_its_listener(fake: FakeModel) -> None:
    async def main() -> int:
        clock = LoopClock()
        stream = MoonshineStt(MoonshineSttSettings(), FakeContext(clock)).run(ListInbox(frames(call(BOOK)), clock))
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return len(asyncio.all_tasks())

    assert run_virtual(main()) == 1


def test_an_error_of_the_inbox_reaches_the_runtime(fake: FakeModel) -> None:
    class Broken(ListInbox):
        async def take(self, timeout: float | None = None) -> Any:
            raise RuntimeError("the inbox broke")

    async def main() -> None:
        clock = LoopClock()
        await outputs(MoonshineStt(MoonshineSttSettings(), FakeContext(clock)).run(Broken([], clock)))

    with pytest.raises(RuntimeError, match="the inbox broke"):
        run_virtual(main())


def test_an_error_of_the_model_reaches_the_runtime(fake: FakeModel) -> None:
    def broken(pcm: bytes) -> str:
        raise ConnectorFailure("the model broke")

    fake._decode = broken
    with pytest.raises(ConnectorFailure, match="the model broke"):
        hear(frames(call("Stop!")))


def test_an_interruption_of_the_agent_disturbs_nothing() -> None:
    assert spec_of(MoonshineStt).keeps_running


async def test_on_threads_and_real_time_it_hears_the_same() -> None:
    compute = ThreadCompute(2)
    try:
        stt = MoonshineStt(MoonshineSttSettings(), FakeContext(LoopClock(), compute))
        told = await outputs(stt.run(ListInbox(frames(call(BOOK)))))
    finally:
        compute.close()
    (text,) = [p for p in told if isinstance(p, Text)]
    assert likeness(BOOK, text.text) > 0.9


def test_many_threads_may_decode_at_once() -> None:
    model = shared_model("tiny-en")
    pcm, heard = to_pcm(call("Yes, that is right.")), []
    threads = [threading.Thread(target=lambda: heard.append(model.decode(pcm))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(heard)) == 1
    assert likeness("Yes, that is right.", heard[0]) == 1.0


def test_the_model_is_loaded_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    class Once(MoonshineModel):
        def _open(self) -> Any:
            time.sleep(0.01)
            opened.append(1)
            return object()

    model = Once("tiny-en")
    threads = [threading.Thread(target=model.load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [1]
    assert shared_model("tiny-en") is shared_model("tiny-en")


def test_a_missing_package_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    with pytest.raises(MissingExtra) as caught:
        MoonshineModel("tiny-en").load()
    assert str(caught.value) == (
        "moonshine.stt needs the package 'moonshine-voice', which is not installed: pip install 'echostack[embedded]'"
    )


def test_a_package_without_weights_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    package = types.ModuleType("moonshine_voice")
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, "moonshine_voice", package)
    monkeypatch.setitem(sys.modules, "moonshine_voice.transcriber", types.ModuleType("transcriber"))
    with pytest.raises(ConnectorFailure) as caught:
        MoonshineModel("tiny-en").load()
    assert str(caught.value) == (
        "moonshine.stt: the installed moonshine-voice carries no weights for 'tiny-en' (later versions dropped them); "
        "the version that does comes with: pip install 'echostack[embedded]'"
    )


def test_its_manifest() -> None:
    spec = spec_of(MoonshineStt)
    assert spec.form.value == "stream"
    assert [k.name for k in spec.produced_kinds] == ["text", "text.partial", "text.segment"]
    assert spec.input_format(MoonshineSttSettings()) == AudioFormat(16_000)
    assert spec.extra == "embedded"
