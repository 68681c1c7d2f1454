"""A redacted recording holds no word of the conversation, and everything else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import echostack.api as echostack
from echostack.core.payloads import (
    AgentMessage,
    AudioChunk,
    CallEnded,
    Committed,
    Data,
    DeadLetter,
    Documents,
    Dtmf,
    ExceptionFailure,
    HttpResponse,
    Intent,
    PlayoutFinished,
    Record,
    Sentiment,
    Text,
    TextPartial,
    ToolCall,
    ToolResult,
    TranscriptEntry,
    Word,
)  # fmt: skip
from echostack.core.span import Source
from echostack.recording import EventEntry, redact
from echostack.recording.format import LINES
from echostack.recording.redact import redact_text
from echostack.recording.texts import redact_source
from tests.recording.helpers import events_of, everything, made_up, recorded, view_of
from tests.recording.test_payloads import Form, Part
from tests.runtime.cast import CALL

WORDS = st.text(st.characters(categories=["L", "N"]), min_size=3, max_size=12).map(lambda w: f"Qü{w}7")


def conversation(said: str, word: str) -> list[object]:
    """Everything that can hold something that somebody said."""
    free = {"name": said, "list": [said, 4711, {"inner": said, word: 1}]}
    return [
        Text(said, words=(Word(word, 0.0, 1.0),), ended_by="silence"), TextPartial(said),
        AgentMessage(said, id="acme.agent#1"), AudioChunk(b"\5\0" * 10, 8_000, 1, "acme.agent#1", said),
        Intent("book", 0.9, said, {"name": said}), Sentiment(0.5, "positive", said),
        TranscriptEntry("caller", said), Documents(said, ({"text": said, "score": 4711, word: said},)),
        Record("lead", said, free), HttpResponse(200, said, free, said), ToolCall("find", "7", free),
        ToolResult("find", "7", free, said), Dtmf("7"), Data("note", free), CallEnded(said),
        Committed("reply", 3, "speech", 0, said), PlayoutFinished("acme.agent#1", said),
        ExceptionFailure("acme.agent", said), DeadLetter("acme.agent", payload=free),
        Form(said, parts=(Part(said, said.encode()),), counts={word: 4711}),
    ]  # fmt: skip


@given(words=st.lists(WORDS, min_size=1, max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_word_of_the_conversation_survives(words: list[str], tmp_path: Path) -> None:
    said = " ".join(words) + ", 4711!"
    events = events_of(conversation(said, words[0]))  # type: ignore[arg-type]
    recording = made_up(tmp_path / "call.rec", events, redact=True)
    bytes_ = everything(tmp_path / "call.rec")
    for word in (*words, "4711"):
        assert word.encode() not in bytes_
        assert word.encode("unicode_escape") not in bytes_
    text = next(recording.events()).data
    assert [len(w) for w in text["text"].split()] == [len(w) for w in said.split()]
    assert text["ended_by"] == "silence"
    assert recording.audio("acme.agent") == bytes(20)
    kept = [(e.seq, e.time, e.name, e.node) for e in recording.events()]
    assert kept == [(e.seq, e.time, e.name, e.node) for e in events]


def test_a_copy_is_redacted_as_a_recording_would_have_been(tmp_path: Path) -> None:
    _, whole = recorded(tmp_path / "whole.rec")
    _, live = recorded(tmp_path / "live.rec", redact=True)
    redact(whole, tmp_path / "copy.rec")
    assert (tmp_path / "copy.rec" / LINES).read_bytes() == (tmp_path / "live.rec" / LINES).read_bytes()
    for name in (*(f"audio/{t}.wav" for t in live.tracks), live.header.files[0].path):
        assert (tmp_path / "copy.rec" / name).read_bytes() == (tmp_path / "live.rec" / name).read_bytes()
    assert whole.tracks == live.tracks
    assert b"Hello" in everything(tmp_path / "whole.rec")
    assert b"Hello" not in everything(tmp_path / "copy.rec")


def test_what_happened_stays(tmp_path: Path) -> None:
    _, whole = recorded(tmp_path / "whole.rec")
    _, live = recorded(tmp_path / "live.rec", redact=True)
    bare = [
        [e if not isinstance(e, EventEntry) else (e.seq, e.time, e.name, e.node, e.scope, e.epoch, e.cause) for e in r]
        for r in (list(whole.entries())[:-1], list(live.entries())[:-1])
    ]
    assert bare[0] == bare[1]
    assert live.header.redacted
    for name in whole.tracks:
        assert live.audio(name) == bytes(len(whole.audio(name)))
    mine, theirs = (
        [e.data for e in r.events() if e.kind in ("committed", "playout_started", "text")] for r in (whole, live)
    )
    assert len(mine) == len(theirs) > 3
    for one, other in zip(mine, theirs, strict=True):
        assert one.keys() == other.keys()
        assert {k: v for k, v in one.items() if k not in ("text", "heard")} == {
            k: v for k, v in other.items() if k not in ("text", "heard")
        }


def test_words_keep_their_number_and_length() -> None:
    assert redact_text("Call me at +43 660 1234567, Zoë!") == "xxxx xx xx +00 000 0000000, xxx!"
    assert redact_text("नमस्ते ٣ 😀\n") == "xxxxxx 0 x\n"


FILE = '''# Ann's file
echostack: 1
name: ann
description: Answers for Ann.
connectors:
  acme.agent: {seconds: 0.4}
  say.agent:
    text: "Good\\tmorning, Ann"   # she likes it
    more: |
      two lines
      of Ann
    "Ann says": [1a2, 12 apples, {env: ANN, default: Ann}]
    mode: fast
pipeline:
  - ingress.line.audio_frame -> ear.stt
  - ear.stt -[ text == "hello Ann" ]-> acme.agent: {queue: 4}
barge_in: {min_speech: 250ms, backchannels: [yeah, "uh huh"]}
tests:
  - name: Ann calls
    caller: [say: hello]
'''  # fmt: skip

REDACTED = '''# xxx'x xxxx
echostack: 1
name: ann
description: xxxxxxx xxx xxx.
connectors:
  acme.agent: {seconds: 0.4}
  say.agent:
    text: "xxxx\\txxxxxxx, xxx"   # xxx xxxxx xx
    more: "xxx xxxxx\\nxx xxx\\n"


    "xxx xxxx": ["0x0", 00 xxxxxx, {env: ANN, default: xxx}]
    mode: fast
pipeline:
  - ingress.line.audio_frame -> ear.stt
  - ear.stt -[ text == "xxxxx xxx" ]-> acme.agent: {queue: 4}
barge_in: {min_speech: 250ms, backchannels: [xxxx, "xx xxx"]}
tests:
  []

'''  # fmt: skip


def test_a_file_keeps_its_shape_and_its_names() -> None:
    assert redact_source(Source("ann.echo", FILE), {"say.agent": frozenset({"mode"})}) == REDACTED


def test_a_file_that_does_not_read_loses_its_letters() -> None:
    assert redact_source(Source("x.echo", "a: [Ann"), {}) == "x: [xxx"


def test_a_redacted_file_is_the_same_graph(tmp_path: Path) -> None:
    recording = made_up(tmp_path / "call.rec", [], redact=True)
    assert recording.graph is not None
    assert echostack.load(recording.graph).nodes.keys() == view_of(CALL).plan.checked.graph.nodes.keys()
