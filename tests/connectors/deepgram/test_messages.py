"""What Deepgram says is read with care: a broken message is called broken, and breaks nothing."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.deepgram.link import Sdk
from echostack.connectors.deepgram.messages import Complaint, Result, Summary, Unreadable, UtteranceEnd, read

WORD = {"word": "hi", "start": 0.1, "end": 0.4, "confidence": 0.9, "punctuated_word": "Hi."}
GOOD: dict[str, Any] = {
    "type": "Results",
    "channel_index": [0, 1],
    "duration": 1.0,
    "start": 0.5,
    "is_final": True,
    "speech_final": True,
    "channel": {"alternatives": [{"transcript": "Hi.", "confidence": 0.9, "words": [WORD]}]},
    "metadata": {"request_id": "", "model_info": {"name": "", "version": "", "arch": ""}, "model_uuid": ""},
    "from_finalize": False,
}


def parsed(message: Any) -> Any:
    """As the SDK hands it out."""
    Sdk()
    from deepgram.core.unchecked_base_model import construct_type
    from deepgram.listen.v1.socket_client import V1SocketClientResponse

    return construct_type(type_=V1SocketClientResponse, object_=json.loads(json.dumps(message)))


def test_a_result_is_read_with_its_words() -> None:
    result = read(parsed(GOOD))
    assert isinstance(result, Result)
    assert (result.start, result.end, result.text, result.final, result.speech_final) == (0.5, 1.5, "Hi.", True, True)
    assert [(w.text, w.start, w.end, w.confidence) for w in result.words] == [("Hi.", 0.1, 0.4, 0.9)]


def test_a_result_in_several_languages_names_the_first() -> None:
    best = {**GOOD["channel"]["alternatives"][0], "languages": ["es", "en"]}
    result = read(parsed({**GOOD, "channel": {"alternatives": [best]}}))
    assert isinstance(result, Result)
    assert result.language == "es"


def test_the_other_messages_are_known() -> None:
    assert read(parsed({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 2.5})) == UtteranceEnd(2.5)
    metadata = {"transaction_key": "", "request_id": "", "sha256": "", "created": "", "channels": 1}
    assert read(parsed({"type": "Metadata", "duration": 3.0, **metadata})) == Summary(3.0)
    assert read(parsed({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 1.0})) is None
    complaint = read(parsed({"type": "Error", "variant": "SchemaError", "description": "what?"}))
    assert complaint == Complaint("SchemaError: what?")


@pytest.mark.parametrize(
    "change",
    [
        {"start": "soon"},
        {"start": float("nan")},
        {"duration": None},
        {"channel": 5},
        {"channel": {"alternatives": []}},
        {"channel": {"alternatives": [{"transcript": 5, "confidence": 1, "words": []}]}},
        {"channel": {"alternatives": [{"transcript": "Hi", "confidence": 1, "words": [{"word": "Hi"}]}]}},
        {"channel": {"alternatives": [{"transcript": "Hi", "confidence": 1}]}},
        {"type": 5},
    ],
)
def test_a_broken_result_is_unreadable(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read(parsed({**GOOD, **change}))


@pytest.mark.parametrize("message", [None, b"\0\1", [], {}, "text", 5, {"no": "type"}])
def test_what_is_no_message_is_unreadable(message: Any) -> None:
    with pytest.raises(Unreadable):
        read(message)


LEAVES = st.none() | st.booleans() | st.floats() | st.text(max_size=3)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@given(st.sampled_from([k for k in GOOD if k != "type"]), JSON)
def test_no_message_breaks_the_reader(key: str, value: Any) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(read(parsed({**GOOD, key: value})), Result)
