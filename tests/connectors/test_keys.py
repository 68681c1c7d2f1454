"""Keys as people give them: with a line break from a file, or something that no key is."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import SecretStr

from echostack.connectors.claude.agent import ClaudeAgent
from echostack.connectors.claude.settings import ClaudeSettings
from echostack.connectors.deepgram.settings import DeepgramSettings
from echostack.connectors.deepgram.stt import DeepgramStt
from echostack.connectors.elevenlabs.settings import ElevenLabsTtsSettings
from echostack.connectors.elevenlabs.tts import ElevenLabsTts
from echostack.connectors.http_call import Redactor
from echostack.connectors.keys import header_key
from echostack.core.errors import ConnectorFailure
from tests.connectors.harness import FakeContext

NOWHERE = "http://127.0.0.1:9"
BROKEN = ["sekret-123\nsekret-456", "sekrét-123", "sekret-123\x00"]


def key(text: str) -> str:
    return header_key(SecretStr(text), node="some.tts", variable="SOME_KEY", source="https://example.com")


def test_what_stands_around_a_key_is_taken_off() -> None:
    assert key(" sekret-123\r\n") == "sekret-123"


@pytest.mark.parametrize("given", ["", "  \n"])
def test_no_key_is_said_to_be_none(given: str) -> None:
    with pytest.raises(ConnectorFailure) as caught:
        key(given)
    assert str(caught.value) == (
        "some.tts: there is no key: put one into SOME_KEY or api_key; https://example.com gives one"
    )
    assert not caught.value.retryable


@pytest.mark.parametrize("given", BROKEN)
def test_what_no_header_can_hold_is_refused_without_being_shown(given: str) -> None:
    with pytest.raises(ConnectorFailure) as caught:
        key(given)
    assert str(caught.value) == (
        "some.tts: the key holds what no key does, such as a line break or a letter that is not ASCII: put the key "
        "alone into SOME_KEY or api_key; https://example.com gives one"
    )
    assert not caught.value.retryable


@pytest.mark.parametrize("given", [*BROKEN, "sekret-123\n"])
@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_no_vendor_shows_a_broken_key(given: str, transport: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    where: dict[str, Any] = {"api_key": SecretStr(given), "base_url": NOWHERE}
    eleven = ElevenLabsTtsSettings(**where, transport=transport)  # type: ignore[arg-type]
    deepgram = DeepgramSettings(**where)
    tts = ElevenLabsTts(eleven, FakeContext())
    for asked in (tts.open, lambda: ElevenLabsTts.probe(eleven), lambda: DeepgramStt.probe(deepgram)):
        try:
            await asked()
        except ConnectorFailure as failure:
            said.append(str(failure))
    await tts.close()
    assert len(said) >= 2
    told = caplog.text + repr(said)
    assert "123" not in told
    assert "456" not in told


@pytest.mark.parametrize("given", BROKEN)
async def test_claude_refuses_a_broken_key_before_a_request_is_made_with_it(given: str) -> None:
    settings = ClaudeSettings(api_key=SecretStr(given), base_url=NOWHERE)
    with pytest.raises(ConnectorFailure) as caught:
        await ClaudeAgent.probe(settings)
    assert str(caught.value).startswith("claude.agent: the key holds what no key does")
    assert not caught.value.retryable


def test_claude_takes_a_key_out_of_a_file_without_its_line_break() -> None:
    assert ClaudeSettings(api_key=SecretStr("sekret-123\n")).key == "sekret-123"


def test_a_key_is_struck_out_of_a_text_although_its_file_ended_in_a_line_break() -> None:
    assert Redactor([SecretStr("sekret-123\n")])("no such key: sekret-123") == "no such key: ***"
