"""``elevenlabs.tts`` when the service fails: nothing is lost, nothing is said twice, and people are told what to do."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web

from echostack.connectors.elevenlabs.errors import Asked, code_from_words, code_of, refused
from echostack.connectors.elevenlabs.socket import CONTEXTS
from echostack.connectors.elevenlabs.tts import ElevenLabsTts
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioChunkStream
from echostack.providers.elevenlabs.context import alignment
from echostack.providers.elevenlabs.server import ElevenLabsServer
from echostack.providers.faults import Fault, FaultKind
from tests.connectors.elevenlabs.calls import KEY, piece, say, server, settings, speaking, spelled, whole
from tests.connectors.harness import FakeContext

TEXT = "One two three four five."
ALL = ["One", "two", "three", "four", "five."]


async def failure(tts: ElevenLabsTts, text: str = TEXT) -> ConnectorFailure:
    with pytest.raises(ConnectorFailure) as caught:
        await say(tts, whole(text))
    return caught.value


def at(there: ElevenLabsServer) -> str:
    return there.url


# -- broken connections ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(9))
@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.MALFORMED])
async def test_what_was_not_said_is_asked_for_again_and_no_word_is_said_twice(kind: FaultKind, after: int) -> None:
    context = FakeContext()
    async with server(message_ms=120, faults=[Fault(kind, after=after)]) as there, speaking(there, context) as tts:
        said = await say(tts, whole(TEXT))
        assert [w.text for w in said.words] == ALL
        assert said.text == [TEXT]
        assert [c.final for c in said.chunks] == [False] * (len(said.chunks) - 1) + [True]
        # Nothing but silence was left of the ninth message.
        assert there.seen.counts["opened"] == (2 if after < 8 else 1)
        again = [s.data["text"].strip() for s in there.seen.of("received", 2) if s.data["text"].strip()]
        assert len(again) == (1 if after < 8 else 0)
        assert all(TEXT.endswith(text) for text in again)
        assert len(context.logs) == 1
        assert (await say(tts, whole("Next.", "v"))).characters == " Next. "


async def test_the_word_in_which_it_broke_is_the_first_that_is_asked_for_again() -> None:
    # " One two " is heard, and a letter of the next word: nine characters and one.
    async with server(message_ms=400, faults=[Fault(FaultKind.CUT, after=1)]) as there, speaking(there) as tts:
        said = await say(tts, whole(TEXT))
        assert said.characters == " One two t" + " three four five. "
        assert [s.data["text"] for s in there.seen.of("received", 2)] == [" ", "three four five. "]


async def test_a_piece_goes_on_where_an_earlier_one_broke() -> None:
    async with server(message_ms=120, faults=[Fault(FaultKind.CUT, after=5)]) as there, speaking(there) as tts:
        first = await say(tts, piece("One two. "))
        second = await say(tts, piece("Three four. "))
        third = await say(tts, piece("Five.", final=True))
    told = [w.text for s in (first, second, third) for w in s.words]
    assert told == ["One", "two.", "Three", "four.", "Five."]
    assert [s.text for s in (first, second, third)] == [["One two."], ["Three four."], ["Five."]]


async def test_one_that_breaks_twice_has_failed() -> None:
    faults = [Fault(FaultKind.CUT, after=1, times=0)]
    async with server(message_ms=120, faults=faults) as there, speaking(there) as tts:
        error = await failure(tts)
        assert str(error) == f"elevenlabs.tts: the connection to {at(there)} broke"
        assert error.retryable
        assert there.seen.counts["opened"] == 2


async def test_a_connection_closed_between_two_messages_is_made_anew_unseen() -> None:
    async with server(quiet=0.05) as there, speaking(there) as tts:
        await say(tts, whole("One.", "u"))
        await there.seen.until("closed")
        assert (await say(tts, whole("Two.", "v"))).characters == " Two. "
        assert there.seen.counts["opened"] == 2


async def test_a_context_that_the_service_closed_between_two_pieces_is_opened_anew() -> None:
    async with server(quiet=0.05, message_ms=40) as there, speaking(there) as tts:
        first = await say(tts, piece("One. "))
        await there.seen.until("closed")
        second = await say(tts, piece("Two.", final=True))
    assert [w.text for w in (*first.words, *second.words)] == ["One.", "Two."]
    assert second.text == ["Two."]


# -- a far end that is silent, slow, endless or repeats itself -------------------------------------------------


async def test_no_audio_in_time_is_a_failure_and_the_next_message_has_a_connection_of_its_own() -> None:
    async with server(faults=[Fault(FaultKind.HALF_OPEN)]) as there, speaking(there) as tts:
        begun = there.clock.now()
        error = await failure(tts)
        assert str(error) == f"elevenlabs.tts: {at(there)} gave no audio within 0.3 s"
        assert error.retryable
        assert 0.28 < there.clock.now() - begun < 0.6
        assert (await say(tts, whole("Next.", "v"))).characters == " Next. "


async def test_a_far_end_that_goes_silent_while_it_speaks_is_left_and_the_rest_said_by_another_connection() -> None:
    fault = Fault(FaultKind.HALF_OPEN, after=1)
    async with server(message_ms=400, faults=[fault]) as there, speaking(there) as tts:
        said = await say(tts, whole(TEXT))
        assert [w.text for w in said.words] == ALL
        assert there.seen.counts["opened"] == 2


async def test_a_dead_connection_is_found_while_nothing_is_said() -> None:
    how = {"connect_s": 0.05, "keepalive_s": 0.02}
    async with server(faults=[Fault(FaultKind.HALF_OPEN)]) as there, speaking(there, **how) as tts:
        speaker: Any = tts._speaker
        for _ in range(200):
            if speaker._contexts.connection.failure is not None:
                break
            await asyncio.sleep(0.01)
        assert str(speaker._contexts.connection.failure) == f"elevenlabs.tts: {at(there)} does not answer any more"
        assert (await say(tts, whole("Hello."))).characters == " Hello. "


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_a_slow_far_end_has_failed(transport: str) -> None:
    fault = Fault(FaultKind.SLOW, seconds=0.5)
    async with server(faults=[fault]) as there, speaking(there, transport=transport) as tts:
        assert str(await failure(tts)) == f"elevenlabs.tts: {at(there)} gave no audio within 0.3 s"


async def test_messages_that_come_twice_are_heard_once() -> None:
    async with server(message_ms=120, faults=[Fault(FaultKind.DUPLICATE)]) as there, speaking(there) as tts:
        said = await say(tts, whole(TEXT))
        assert said.characters == f" {TEXT} "
        assert [w.text for w in said.words] == ALL
        assert len([c for c in said.chunks if c.final]) == 1
        speaker: Any = tts._speaker
        assert speaker.duplicates >= 8
        assert (await say(tts, whole("Next.", "v"))).characters == " Next. "


async def test_audio_without_end_comes_to_one() -> None:
    async with server(message_ms=120, faults=[Fault(FaultKind.ENDLESS)]) as there, speaking(there) as tts:
        said = await say(tts, whole(TEXT))
        assert [w.text for w in said.words] == ALL
        assert said.chunks[-1].final
        assert (await say(tts, whole("Next.", "v"))).characters == " Next. "


async def test_over_http_audio_without_end_is_too_much() -> None:
    fault = Fault(FaultKind.ENDLESS)
    async with server(message_ms=1_000, faults=[fault]) as there, speaking(there, transport="http") as tts:
        assert str(await failure(tts)) == f"elevenlabs.tts: {at(there)} gave more audio than the text can have"
        await there.seen.until("cancelled")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(FaultKind.CUT, after=2), "broke off"),
        (Fault(FaultKind.HALF_OPEN, after=2), "gave no audio for 0.15 s"),
        (Fault(FaultKind.MALFORMED, after=2), "sent what cannot be read"),
    ],
)
async def test_over_http_an_answer_that_breaks_off_is_a_failure(fault: Fault, message: str) -> None:
    # How soon a busy machine gives the first audio is not what is tried here.
    async with (
        server(message_ms=120, faults=[fault]) as there,
        speaking(there, transport="http", first_audio_s=3.0) as tts,
    ):
        assert message in str(await failure(tts))
        assert (await say(tts, whole("Next.", "v"))).characters == "Next."


# -- times that are missing or wrong ----------------------------------------------------------------------------


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echostack.providers.elevenlabs.context.alignment", lambda *told: None)


@pytest.mark.usefixtures("untimed")
async def test_without_times_a_short_silence_ends_a_piece_and_nothing_is_lost() -> None:
    async with server(message_ms=40) as there, speaking(there) as tts:
        first = await say(tts, piece("One two. "))
        second = await say(tts, piece("Six nine. "))
        third = await say(tts, piece("Five.", final=True))
    assert spelled(first.pcm + second.pcm + third.pcm) == " One two. Six nine. Five. "
    assert [s.text for s in (first, second, third)] == [["One two."], ["Six nine."], ["Five."]]
    assert [w for s in (first, second, third) for w in s.words] == []
    assert third.chunks[-1].final


@pytest.mark.usefixtures("untimed")
async def test_without_times_what_comes_late_is_given_with_the_next_piece() -> None:
    async with server(message_ms=120, pace=1.0) as there, speaking(there, settle_ms=40) as tts:
        first = await say(tts, piece("One two. "))
        assert len(first.characters) < len(" One two. ")
        second = await say(tts, piece("Three.", final=True))
    assert spelled(first.pcm + second.pcm) == " One two. Three. "


@pytest.mark.usefixtures("untimed")
async def test_without_times_what_broke_off_is_not_said_again() -> None:
    async with server(message_ms=120, faults=[Fault(FaultKind.CUT, after=3)]) as there, speaking(there) as tts:
        assert str(await failure(tts)) == f"elevenlabs.tts: the connection to {at(there)} broke"
        assert there.seen.counts["opened"] == 1


@pytest.mark.usefixtures("untimed")
async def test_without_times_what_never_began_is_asked_for_again() -> None:
    async with server(message_ms=120, faults=[Fault(FaultKind.CUT)]) as there, speaking(there) as tts:
        assert (await say(tts, whole(TEXT))).pcm
        assert there.seen.counts["opened"] == 2


async def test_times_of_another_text_end_by_silence_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def romanised(speech: Any, first: int, last: int, begin: float) -> dict[str, Any]:
        told = alignment(speech, first, last, begin)
        return {**told, "chars": ["q" for _ in told["chars"]]}

    monkeypatch.setattr("echostack.providers.elevenlabs.context.alignment", romanised)
    async with server(message_ms=40) as there, speaking(there) as tts:
        said = await say(tts, piece("你好,世界。"))
        more = await say(tts, piece("再见。", final=True))
        assert len(said.pcm + more.pcm) == 2 * 640 * len(" 你好,世界。 " + " 再见。 ")  # in a context of its own
        assert [said.text, more.text] == [["你好,世界。"], ["再见。"]]
        assert more.chunks[-1].final
        assert (await say(tts, whole("Next.", "v"))).chunks[-1].final
        assert there.seen.counts["opened"] == 1


async def test_a_context_whose_end_is_never_told_keeps_nobody_waiting() -> None:
    async with server(closing=30.0) as there, speaking(there) as tts:
        for k in range(3):
            begun = there.clock.now()
            said = await say(tts, whole("Hello.", f"u{k}"))
            assert said.characters == " Hello. "
            assert said.chunks[-1].final
            assert there.clock.now() - begun < 0.5
        assert there.seen.counts["opened"] == 1


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["websocket", "http"])
@pytest.mark.parametrize(
    ("kind", "told", "retryable", "retry_after"),
    [
        (FaultKind.UNAUTHORISED, "the key is not taken: {at} answered 401 invalid_api_key (Invalid API key): "
         "set ELEVENLABS_API_KEY to a valid key", False, None),
        (FaultKind.RATE_LIMITED, "too many requests: {at} answered 429 rate_limit_exceeded (Too many requests in a "
         "short time. Please slow down): try again later", True, 7.0),
        (FaultKind.UNAVAILABLE, "{at} answered 503 system_busy (The system is under heavy load. Please try again "
         "later)", True, None),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_to_do(
    kind: FaultKind, told: str, retryable: bool, retry_after: float | None, transport: str
) -> None:
    async with server(faults=[Fault(kind, seconds=7, times=0)]) as there:
        tts = ElevenLabsTts(settings(there, transport=transport), FakeContext())  # type: ignore[arg-type]

        async def use() -> None:
            await tts.open()
            await say(tts, whole(TEXT))

        with pytest.raises(ConnectorFailure) as caught:
            await use()
        assert str(caught.value) == f"elevenlabs.tts: {told.format(at=at(there))}"
        assert (caught.value.retryable, caught.value.retry_after) == (retryable, retry_after)
        await tts.close()


@pytest.mark.parametrize("transport", ["websocket", "http"])
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"voice_id": "nobody"}, "there is no voice 'nobody' for this account: {at} answered {s404}voice_not_found "
         "(A voice with voice_id 'nobody' was not found): set voice_id to one of its voices"),
        ({"model_id": "eleven_nine"}, "there is no model 'eleven_nine' for this account: {at} answered {s400}"
         "model_not_found (A model with model ID 'eleven_nine' does not exist): set model_id to one there is"),
    ],
)  # fmt: skip
async def test_a_voice_or_model_that_is_not_there(how: dict[str, str], told: str, transport: str) -> None:
    status = {"s404": "404 ", "s400": "400 "} if transport == "http" else {"s404": "", "s400": ""}
    async with server() as there, speaking(there, transport=transport, **how) as tts:
        error = await failure(tts)
        assert str(error) == f"elevenlabs.tts: {told.format(at=at(there), **status)}"
        assert not error.retryable


async def test_an_account_without_characters() -> None:
    async with server(quota=5) as there, speaking(there) as tts:
        error = await failure(tts)
        assert str(error) == (
            f"elevenlabs.tts: the account has no characters left: {at(there)} answered quota_exceeded (This request "
            "exceeds your quota. You have 5 credits remaining, while 24 credits are required): buy more, or wait for "
            "its next month"
        )
        assert not error.retryable


@pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE, FaultKind.RATE_LIMITED])
async def test_a_moment_s_overload_ends_no_call_before_it_begins(kind: FaultKind) -> None:
    """Asked once more: after the time that the service names, where it names one."""
    async with server(faults=[Fault(kind, seconds=1)]) as there:
        clock = LoopClock()
        tts = ElevenLabsTts(settings(there), FakeContext(clock))  # type: ignore[arg-type]
        before = clock.now()
        await tts.open()
        assert (await say(tts, whole(TEXT))).characters.strip() == TEXT
        if kind is FaultKind.RATE_LIMITED:
            assert clock.now() - before >= 1.0
        await tts.close()


async def test_too_many_at_once() -> None:
    async with server(concurrency=0) as there:
        tts = ElevenLabsTts(settings(there), FakeContext())  # type: ignore[arg-type]
        with pytest.raises(ConnectorFailure, match="too many syntheses at once for this account") as caught:
            await tts.open()
        assert caught.value.retryable


async def test_a_service_that_is_not_there() -> None:
    async with server() as there:
        url = there.url
    tts = ElevenLabsTts(settings(url), FakeContext())  # type: ignore[arg-type]
    with pytest.raises(ConnectorFailure) as caught:
        await tts.open()
    assert str(caught.value).startswith(f"elevenlabs.tts: cannot connect to {url}: ")
    assert caught.value.retryable
    with pytest.raises(ConnectorFailure, match="cannot connect"):
        await ElevenLabsTts.probe(settings(url))


async def test_the_probe_tells_a_key_that_is_not_taken() -> None:
    async with server(faults=[Fault(FaultKind.UNAUTHORISED)]) as there:
        with pytest.raises(ConnectorFailure, match="the key is not taken"):
            await ElevenLabsTts.probe(settings(there))


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_no_message_and_no_log_holds_the_key(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from echostack.providers.elevenlabs import errors

    leaky = errors.Refusal("odd_error", 400, "x", f"the key {KEY} is odd")
    monkeypatch.setattr(errors, "no_voice", lambda voice: leaky)
    context = FakeContext()
    async with server() as there, speaking(there, context, transport=transport, voice_id="nobody") as tts:
        error = await failure(tts)
        assert "the key *** is odd" in str(error)
        assert KEY not in repr(settings(there)) + repr(context.logs) + repr(error) + repr(there.seen.sightings)


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_nothing_that_the_libraries_log_holds_the_key(transport: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with server() as there, speaking(there, transport=transport) as tts:
        await say(tts, whole(TEXT))
    assert KEY not in caplog.text


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_a_redirect_is_not_given_the_key(transport: str) -> None:
    async def moved(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{there.url}{request.path_qs}"})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", moved)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with server() as there:
        tts = ElevenLabsTts(settings(url, transport=transport), FakeContext())  # type: ignore[arg-type]
        assert str(await failure(tts)) == (
            f"elevenlabs.tts: {url} answered 307, a redirect, which is not followed with a key: "
            "set base_url to the new address"
        )
        assert list(there.seen.sightings) == []
        await tts.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"detail": {"status": "a", "message": "b"}}, ("a", "b")),
        ({"detail": {"status": "a", "code": "c", "message": "b"}}, ("c", "b")),
        ({"detail": "plain"}, ("", "plain")),
        ({"detail": [{"msg": "field required"}]}, ("", "field required")),
        ({"detail": None}, ("", "")), ([], ("", "")), (None, ("", "")), ("text", ("", "")),
    ],
)  # fmt: skip
def test_errors_are_read_in_every_shape(body: Any, found: tuple[str, str]) -> None:
    assert code_of(body) == found


@pytest.mark.parametrize(
    ("code", "status", "words", "retryable"),
    [
        ("missing_permissions", 401, "the key may not do this", False),
        ("", 402, "has no characters left", False),
        ("", 403, "the key may not do this", False),
        ("voice_access_denied", 403, "there is no voice", False),
        ("invalid_output_format", 403, "audio at 24000 Hz", False),
        ("", 404, "there is no voice", False),
        ("", 422, "the request was refused", False),
        ("", 500, "answered 500", True),
        ("", 502, "answered 502", True),
    ],
)
def test_every_status_has_its_words(code: str, status: int, words: str, retryable: bool) -> None:
    error = refused(Asked("https://x.example", "v", "m", 24_000, lambda text: text), code, status)
    assert words in str(error)
    assert error.retryable is retryable


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("A voice with the id x was not found.", "voice_not_found"),
        ("voice_settings field must be provided in the first message and then not change.", "invalid_voice_settings"),
        ("Maximum simultaneous contexts per WebSocket connection exceeded (5).", ""),
    ],
)
def test_the_reason_of_a_close_is_told_apart(reason: str, code: str) -> None:
    assert code_from_words(reason) == code


def test_a_code_without_end_is_cut() -> None:
    error = refused(Asked("https://x.example", "v", "m", 24_000, lambda text: text), "x" * 1000)
    assert len(str(error)) < 200


async def test_a_first_chunk_that_was_given_is_not_given_again_after_a_break() -> None:
    async with server(message_ms=120, faults=[Fault(FaultKind.CUT, after=3)]) as there, speaking(there) as tts:
        chunks = [c async for c in tts(whole(TEXT)) if isinstance(c, AudioChunkStream)]
    assert [c.text for c in chunks if c.text] == [TEXT]


async def test_connecting_can_be_given_up_at_any_instant() -> None:
    async with server() as there:
        steps = 0
        while True:
            tts = ElevenLabsTts(settings(there), FakeContext())  # type: ignore[arg-type]
            before = asyncio.all_tasks()
            task = asyncio.create_task(say(tts, whole("Hi.")))
            for _ in range(steps):
                await asyncio.sleep(0)
            done = task.done()
            task.cancel()
            await asyncio.wait([task])
            await tts.close()
            connector_tasks = [t for t in asyncio.all_tasks() - before if "elevenlabs/socket" in repr(t)]
            assert connector_tasks == []
            steps += 1
            if done:
                break
        assert steps > 10
        assert task.result().characters == " Hi. "


async def test_two_messages_that_find_no_connection_make_one() -> None:
    async with server(message_ms=40) as there:
        tts = ElevenLabsTts(settings(there), FakeContext())  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(say(tts, whole("Hello.", f"u{k}"))) for k in range(4)]
        assert [t.result().characters for t in tasks] == [" Hello. "] * 4
        assert there.seen.counts["opened"] == 1
        await tts.close()


async def test_a_connection_that_breaks_while_it_has_no_room_is_made_anew_for_who_waits() -> None:
    async with server(closing=30.0) as there, speaking(there) as tts:
        for number in range(CONTEXTS):
            await say(tts, whole("A.", f"v{number}"))
        waiting = asyncio.get_running_loop().create_task(say(tts, whole("Next.", "u")))
        await asyncio.sleep(0.02)
        tts._speaker._contexts.connection.give_up("it broke")  # type: ignore[attr-defined, union-attr]
        assert (await waiting).characters == " Next. "
        assert there.seen.counts["opened"] == 2
