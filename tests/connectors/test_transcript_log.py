"""transcript.log: what was heard, in order, on events and on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.transcript_log import TranscriptLog, TranscriptSettings, append_line
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import Committed, PlayoutFinished, Text, TranscriptEntry
from tests.connectors.harness import FakeContext, ListInbox, outputs


async def logged(payloads: list[Any], **settings: Any) -> list[TranscriptEntry]:
    connector = TranscriptLog(TranscriptSettings.model_validate(settings), FakeContext())
    await connector.open()
    found = await outputs(connector.run(ListInbox(payloads)))
    assert all(isinstance(e, TranscriptEntry) for e in found)
    return found  # type: ignore[return-value]


async def test_entries_in_order_with_what_was_heard_only() -> None:
    entries = await logged(
        [
            Text("hello", start=0.5, end=1.0),
            PlayoutFinished("a-1", "Hello! How can I help?", False, 0.0),
            Text("stop"),
            PlayoutFinished("a-2", "", True),
            TranscriptEntry("caller", "by hand", 1, 2),
            Text("  "),
        ]
    )
    assert [(e.role, e.text, e.cut) for e in entries] == [
        ("caller", "hello", False),
        ("agent", "Hello! How can I help?", False),
        ("caller", "stop", False),
        ("caller", "by hand", False),
    ]
    assert (entries[0].start, entries[0].end) == (0.5, 1.0)


async def test_a_cut_reply_told_twice_is_written_once() -> None:
    finished = PlayoutFinished("a-1", "We are open", True, 1.0)
    committed = Committed("reply", 1, "speech", 3, "We are open")
    for pair in ([finished, committed], [committed, finished]):
        assert [(e.text, e.cut) for e in await logged(list(pair))] == [("We are open", True)]
    twice = await logged([finished, committed, Text("again"), finished])
    assert [e.text for e in twice] == ["We are open", "again", "We are open"]


async def test_lines_are_appended_as_json_in_order(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "calls.jsonl"
    await logged([Text("one"), PlayoutFinished("u", "zwei “ü”")], path=str(path), fsync=True)
    await logged([Text("three")], path=str(path))
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [(x["session"], x["role"], x["text"]) for x in lines] == [
        ("call", "caller", "one"), ("call", "agent", "zwei “ü”"), ("call", "caller", "three"),
    ]  # fmt: skip
    assert all(x["wall"] > 1_700_000_000 for x in lines)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".", "this is a folder, not a file"),
        ("file/log.jsonl", "a part of this path is a file, not a folder"),
        ("a\0b", "this is not a file name"),
    ],
)
async def test_a_file_that_cannot_be_written_is_told_before_the_call(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConnectorFailure) as refused:
        await logged([Text("one")], path=str(tmp_path / name))
    assert (str(refused.value), refused.value.retryable) == (f"{tmp_path / name}: {why}", False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
async def test_a_full_disk_is_told() -> None:
    with pytest.raises(ConnectorFailure, match=r"^/dev/full: the disk is full$"):
        await logged([Text("one")], path="/dev/full")


def test_a_line_torn_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": ')
    append_line(path, b'{"a": 3}')
    assert path.read_bytes() == b'{"a": 1}\n{"a": \n{"a": 3}\n'


@given(st.lists(st.text(min_size=1, max_size=20), max_size=6))
def test_whatever_is_said_one_line_is_one_entry(texts: list[str]) -> None:
    import asyncio
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.jsonl"
        entries = asyncio.run(logged([Text(t) for t in texts], path=str(path)))
        data = path.read_bytes() if path.exists() else b""
    kept = [t for t in texts if t.strip()]
    assert [e.text for e in entries] == kept
    assert [json.loads(line)["text"] for line in data.split(b"\n")[:-1]] == kept
