"""``elevenlabs.tts`` against the local ElevenLabs: what it says, when each word is said, and how it is interrupted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from echostack.connectors.elevenlabs import contexts
from echostack.connectors.elevenlabs.socket import Connection
from echostack.connectors.elevenlabs.tts import ElevenLabsTts, ElevenLabsTtsSettings
from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AgentMessage, AudioChunkStream, Usage
from echostack.providers.elevenlabs.voice import CodedVoice
from echostack.registry.declare import spec_of
from tests.connectors.elevenlabs.calls import Said, piece, say, server, settings, speaking, spelled, whole, words_of
from tests.connectors.harness import FakeContext

WAYS = ("websocket", "http")


async def test_a_message_is_heard_to_the_sample_with_the_time_of_every_word() -> None:
    async with server(message_ms=100) as there, speaking(there) as tts:
        said = await say(tts, AgentMessage("Hello there, friend.", id="u1", interruptible=False))
    assert said.characters == " Hello there, friend. "
    assert said.words == words_of(" Hello there, friend. ")
    assert said.text == ["Hello there, friend."]
    assert [c.final for c in said.chunks] == [False] * (len(said.chunks) - 1) + [True]
    assert {c.utterance for c in said.chunks} == {"u1"}
    assert {c.interruptible for c in said.chunks} == {False}
    assert said.usage == [Usage("eleven_flash_v2_5", characters=21)]


async def test_over_http_it_is_the_same() -> None:
    async with server(message_ms=100) as there, speaking(there, transport="http") as tts:
        said = await say(tts, whole("Hello there, friend."))
        assert said.characters == "Hello there, friend."
        assert said.words == words_of("Hello there, friend.")
        assert said.text == ["Hello there, friend."]
        assert said.chunks[-1].final
        assert said.usage == [Usage("eleven_flash_v2_5", characters=20)]
        assert there.seen.counts["opened"] == 1


async def test_the_pieces_of_a_message_are_spoken_in_one_context() -> None:
    async with server(message_ms=80) as there, speaking(there) as tts:
        first = await say(tts, piece("One two. "))
        second = await say(tts, piece("Three, four. "))
        third = await say(tts, piece("Five.", final=True))
        assert there.seen.counts["context opened"] == 1
    assert first.characters + second.characters + third.characters == " One two. Three, four. Five. "
    assert [first.text, second.text, third.text] == [["One two."], ["Three, four."], ["Five."]]
    told = [*first.words, *second.words, *third.words]
    assert [w.text for w in told] == ["One", "two.", "Three,", "four.", "Five."]
    assert [c.final for s in (first, second, third) for c in s.chunks].count(True) == 1
    assert third.chunks[-1].final
    assert third.usage == [Usage("eleven_flash_v2_5", characters=28)]
    assert first.usage == second.usage == []


async def test_a_text_begins_with_the_sample_that_says_its_first_letter() -> None:
    # The tail of the first text comes with the message that begins the second one.
    async with server(message_ms=400) as there, speaking(there) as tts:
        first = await say(tts, piece("Ab. "))
        second = await say(tts, piece("Cd.", final=True))
    begun = [c for c in second.chunks if c.text]
    assert first.characters + second.characters == " Ab. Cd. "
    assert [w.start_ms for w in begun[0].words] == [0]


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "...", "😀", "***", "\u200b", "<br/>"])
@pytest.mark.parametrize("transport", WAYS)
async def test_nothing_to_say_ends_at_once_without_audio_and_without_error(text: str, transport: str) -> None:
    async with server() as there, speaking(there, transport=transport) as tts:
        for message in (whole(text), piece(text)):
            assert await say(tts, message) == Said([], [])
        ended = await say(tts, piece(text, final=True))
        assert [(c.pcm, c.final) for c in ended.chunks] == [(b"", True)]
        assert ended.usage == []
        assert "received" not in there.seen.counts


async def test_an_empty_last_piece_gives_what_is_left_and_the_end() -> None:
    async with server() as there, speaking(there) as tts:
        first = await say(tts, piece("Good night. "))
        last = await say(tts, piece("", final=True))
        assert there.seen.counts["context closed"] == 1
    assert spelled(first.pcm + last.pcm) == " Good night. "
    assert last.chunks[-1].final
    assert last.usage == [Usage("eleven_flash_v2_5", characters=12)]


@pytest.mark.parametrize(
    "text",
    ["Привет, мир.", "你好,世界。", "naïve café — “quoted”", "$12.50 at 3:45pm", "x" * 300, "مرحبا", "e\u0301te\u0301"],
)
async def test_any_script_is_spoken_to_its_end_and_timed(text: str) -> None:
    async with server(message_ms=70) as there, speaking(there) as tts:
        said = await say(tts, whole(text))
    spoken = said.characters
    assert "".join(w.text for w in said.words if w.text.isalnum()) or said.words
    assert said.chunks[-1].final
    assert spoken.strip()
    assert there.seen.counts["context closed"] == 1


async def test_markup_is_not_read_out_and_still_is_what_was_said() -> None:
    async with server() as there, speaking(there) as tts:
        said = await say(tts, whole("**Hello** [there](https://x.example) 😀"))
    assert said.characters == " Hello there "
    assert said.text == ["**Hello** [there](https://x.example) 😀"]


async def test_a_very_long_message_is_asked_for_as_it_is_heard() -> None:
    text = " ".join(f"This is sentence number {k}." for k in range(400))
    async with server(message_ms=1_000, voice=CodedVoice(2)) as there, speaking(there) as tts:
        stream = tts(whole(text))
        first = await anext(stream)
        asked = sum(len(s.data["text"]) for s in there.seen.of("received"))
        assert asked < 1_000
        chunks = [first, *[c async for c in stream if isinstance(c, AudioChunkStream)]]
    said = Said(chunks, [])
    assert len(said.words) == 5 * 400
    assert sum(c.samples for c in chunks) == 32 * (len(text) + 2)
    assert said.words[-1].end_ms == (len(text)) * 2


async def test_messages_may_be_spoken_side_by_side_and_never_mix() -> None:
    async with server(pace=40.0, message_ms=80) as there, speaking(there) as tts:
        texts = {name: f"{name * 12} {name * 9} " for name in "abc"}
        async with asyncio.TaskGroup() as group:
            tasks = {n: group.create_task(say(tts, whole(t, n))) for n, t in texts.items()}
        assert there.seen.counts["opened"] == 1
    for name, task in tasks.items():
        assert task.result().characters == f" {texts[name]}"
        assert task.result().words == words_of(f" {texts[name]}")


async def test_more_messages_than_the_service_has_contexts_for_take_turns() -> None:
    async with server() as there, speaking(there) as tts:
        for k in range(8):  # begun and left open
            await say(tts, piece(f"Number {k}. ", f"u{k}"))
        said = [await say(tts, piece("Bye.", f"u{k}", final=True)) for k in range(8)]
        assert "refused" not in there.seen.counts
        assert there.seen.counts["opened"] == 1
    assert all("Bye." in s.characters for s in said)


async def test_rapid_interruptions_never_meet_the_limit_of_contexts() -> None:
    async with server(pace=2.0, message_ms=40, closing=0.03) as there, speaking(there) as tts:
        for k in range(12):
            stream = tts(whole("A long and winding story.", f"u{k}"))
            await anext(stream)
            await stream.aclose()
        said = await say(tts, whole("So.", "last"))
        assert said.characters == " So. "
        assert there.seen.of("refused") == []


# -- interruption ----------------------------------------------------------------------------------------------


async def interrupted(tts: ElevenLabsTts, message: AgentMessage, chunks: int) -> list[AudioChunkStream]:
    """Begin to say a message, and be cancelled after so many chunks."""
    got: list[AudioChunkStream] = []
    enough = asyncio.Event()

    async def listen() -> None:
        async for item in tts(message):
            assert isinstance(item, AudioChunkStream)
            got.append(item)
            if len(got) == chunks:
                enough.set()

    task = asyncio.create_task(listen())
    await asyncio.wait_for(enough.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return got


async def test_a_barge_in_closes_the_context_and_nothing_of_it_leaks_into_the_next() -> None:
    context = FakeContext()
    async with server(pace=5.0, message_ms=40) as there, speaking(there, context) as tts:
        await interrupted(tts, whole("aaaa aaaa aaaa aaaa aaaa aaaa", "old"), 5)
        closed = await there.seen.until("context closed")
        assert closed.data["unsent_ms"] > 500
        assert there.seen.counts["cancelled"] == 1
        said = await say(tts, whole("bbb", "new"))
        assert said.characters == " bbb "
        assert there.seen.counts["opened"] == 1  # the same connection
        assert there.seen.counts.get("closed", 0) == 0
        late = [s for s in there.seen.of("sent") if s.data["context"] == closed.data["context"]]
        assert len(late) > 5  # the service went on, and what it sent was dropped
    assert context.emitted == [Usage("eleven_flash_v2_5", characters=30)]


async def test_a_barge_in_is_told_to_the_service_at_once() -> None:
    async with server(pace=1.0, message_ms=40) as there, speaking(there) as tts:
        stream = tts(whole("A long and winding story."))
        await anext(stream)
        before = there.clock.now()
        await stream.aclose()
        closed = await there.seen.until("context closed")
        assert closed.time - before < 0.1


async def test_over_http_a_barge_in_breaks_the_request_off() -> None:
    async with server(pace=5.0, message_ms=40) as there, speaking(there, transport="http") as tts:
        await interrupted(tts, whole("aaaa aaaa aaaa aaaa aaaa aaaa", "old"), 5)
        await there.seen.until("cancelled")
        assert (await say(tts, whole("bbb", "new"))).characters == "bbb"


async def test_cancelled_at_any_instant_it_leaves_nothing_behind_and_speaks_the_next_message_whole() -> None:
    async with server(message_ms=40) as there, speaking(there) as tts:
        steps = 0
        while True:
            task = asyncio.create_task(say(tts, whole("Some words to say.", f"u{steps}")))
            for _ in range(steps):
                await asyncio.sleep(0)
            if task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            steps += 1
            if steps % 7 == 0:
                assert (await say(tts, whole("Next.", "next"))).characters == " Next. "
        assert steps > 10
        assert tts.snapshot() == frozenset()
        assert there.seen.counts["opened"] == 1


async def test_a_wrong_guess_is_taken_back() -> None:
    async with server(message_ms=40) as there, speaking(there) as tts:
        await say(tts, piece("Well, ", "real"))
        kept = tts.snapshot()
        await say(tts, piece("I guess. ", "guess"))
        tts.restore(kept)
        await there.seen.until("context closed")
        assert tts.snapshot() == frozenset({"real"})
        assert (await say(tts, piece("yes.", "real", final=True))).characters.strip().endswith("yes.")
        assert there.seen.counts["context opened"] == 2


async def test_closing_while_it_speaks_ends_what_is_said() -> None:
    async with server(pace=1.0, message_ms=40) as there:
        tts = ElevenLabsTts(settings(there), FakeContext())  # type: ignore[arg-type]
        await tts.open()
        task = asyncio.create_task(say(tts, whole("A long and winding story.")))
        await there.seen.until("sent", 2)
        task.cancel()
        await tts.close()
        with pytest.raises(asyncio.CancelledError):
            await task
        await there.seen.until("closed")
    assert asyncio.all_tasks() == {asyncio.current_task()}


# -- how it asks -----------------------------------------------------------------------------------------------


async def test_a_connection_that_comes_after_the_call_has_ended_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()

    class Late(Connection):
        async def open(self) -> None:
            await super().open()
            await gate.wait()

    monkeypatch.setattr(contexts, "Connection", Late)
    before = asyncio.all_tasks()
    async with server() as there:
        tts = ElevenLabsTts(settings(there), FakeContext())
        opening = asyncio.get_running_loop().create_task(tts.open())
        await there.seen.until("opened")
        await tts.close()
        gate.set()
        with pytest.raises(ConnectorFailure, match=r"^elevenlabs\.tts: the call has ended$"):
            await opening
        await there.seen.until("closed")
        monkeypatch.undo()
        await tts.open()  # as a node that is started again does
        assert (await say(tts, whole("Again."))).characters == " Again. "
        await tts.close()
    assert asyncio.all_tasks() <= before


@pytest.mark.parametrize("transport", WAYS)
async def test_what_was_said_to_its_end_is_accounted_for_although_its_end_is_interrupted(transport: str) -> None:
    context = FakeContext()
    async with server() as there, speaking(there, context, transport=transport) as tts:
        speech = tts(whole("Hello there."))
        async for item in speech:
            if isinstance(item, AudioChunkStream) and item.final:
                break
        await speech.aclose()  # type: ignore[attr-defined]
    (used,) = context.emitted
    assert isinstance(used, Usage)
    assert used.characters in (12, 13)  # with the space that ends a text on the websocket


async def test_over_http_messages_that_never_end_are_forgotten() -> None:
    async with server() as there, speaking(there, transport="http") as tts:
        for number in range(70):
            await say(tts, piece("A.", f"u{number}"))
        assert len(tts.snapshot()) <= 65


async def test_it_asks_for_what_its_settings_say() -> None:
    how: dict[str, Any] = {"voice_id": "EXAVITQu4vr4xnSDxMaL", "language": "en", "stability": 0.4, "speed": 1.1}
    async with server() as there, speaking(there, **how) as tts:
        await say(tts, whole("Hi."))
        opened, begun = there.seen.of("opened")[0].data, there.seen.of("context opened")[0].data
    assert opened == {
        "path": "/v1/text-to-speech/EXAVITQu4vr4xnSDxMaL/multi-stream-input",
        "query": {
            "model_id": "eleven_flash_v2_5", "output_format": "pcm_16000", "inactivity_timeout": "180",
            "sync_alignment": "true", "auto_mode": "true", "apply_text_normalization": "auto", "language_code": "en",
        },
    }  # fmt: skip
    assert begun["voice_settings"] == {"stability": 0.4, "speed": 1.1}


async def test_the_connection_is_kept_alive_while_nothing_is_said() -> None:
    async with server(quiet=0.2) as there, speaking(there, keepalive_s=0.05) as tts:
        await say(tts, piece("Hold on. "))
        await there.seen.until("keep alive", 8)
        await say(tts, piece("Here.", final=True))
        assert there.seen.counts["opened"] == 1
        assert there.seen.counts["context opened"] == 1


async def test_a_slow_listener_holds_the_service_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echostack.connectors.elevenlabs.channel.BUFFER_MS", 400.0)
    async with server(message_ms=200, voice=CodedVoice(200)) as there, speaking(there, gap_s=1.0) as tts:
        stream = tts(whole("abcdefghij" * 10))
        first = await anext(stream)
        for _ in range(50):
            await asyncio.sleep(0.002)
        speaker: Any = tts._speaker
        channel = next(iter(speaker._utterances.values())).channel
        assert channel._waiting_ms <= 600
        assert isinstance(first, AudioChunkStream)
        total = first.seconds + sum([c.seconds async for c in stream if isinstance(c, AudioChunkStream)])
        assert round(total, 3) == 20.4
        assert there.seen.counts["opened"] == 1


async def test_audio_that_nobody_takes_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echostack.connectors.elevenlabs.channel.BUFFER_MS", 400.0)
    context = FakeContext()
    # The text is said long before its audio is over, so that nobody takes the rest.
    voice = CodedVoice(lambda c: 1_500 if c == " " else 10, silent=True)
    async with server(message_ms=200, voice=voice) as there, speaking(there, context) as tts:
        await say(tts, piece("Hm. "))
        speaker: Any = tts._speaker
        await there.seen.until("context closed")
        assert speaker._contexts.connection.dropped > 0
        assert ("elevenlabs.tts: audio that nobody takes is dropped", {"context": "echostack-1"}) in context.logs
        assert "Bye." in (await say(tts, piece("Bye.", final=True))).text
        assert there.seen.counts["context opened"] == 2


async def test_the_probe_asks_for_the_account() -> None:
    async with server() as there:
        await ElevenLabsTts.probe(settings(there))
    assert there.seen.sightings == type(there.seen.sightings)([], maxlen=10_000)


async def test_what_it_adds_to_the_service_is_small() -> None:
    async with server() as there, speaking(there) as tts:
        took = []
        for k in range(30):
            begun = there.clock.now()
            stream = tts(whole("Hello there.", f"u{k}"))
            await anext(stream)
            took.append(there.clock.now() - begun)
            async for _ in stream:
                pass
    assert sorted(took)[15] < 0.05


def test_its_manifest() -> None:
    spec = spec_of(ElevenLabsTts)
    assert spec.form.value == "generator"
    assert [k.name for k in spec.produced_kinds] == ["audio_chunk.stream", "usage"]
    assert spec.network
    assert spec.timeout == 5.0
    assert spec.may_guess(None)
    example = ElevenLabsTtsSettings(api_key="k", rate=8000)  # type: ignore[arg-type]
    assert spec.output_format(example) == AudioFormat(8_000)


def test_the_sdk_is_not_loaded_by_naming_the_connector() -> None:
    import subprocess
    import sys

    code = (
        "import sys; import echostack.connectors.elevenlabs.tts; "
        "print([m for m in ('elevenlabs', 'websockets', 'httpx') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
