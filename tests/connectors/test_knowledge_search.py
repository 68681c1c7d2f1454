"""knowledge.search: passages from the file and from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from echostack.connectors.knowledge_search import KnowledgeSearch, KnowledgeSettings, paragraphs
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import Documents, Text, ToolCall, ToolResult
from tests.connectors.harness import FakeContext


async def search(text: str, **settings: Any) -> Documents:
    connector = KnowledgeSearch(KnowledgeSettings.model_validate(settings), FakeContext())
    await connector.open()
    return await connector(Text(text))


PASSAGES = ["The router has four ports.", {"text": "A red light means no signal.", "source": "faq"}, "Paint is dry."]


async def test_the_passages_that_answer_best_first() -> None:
    found = await search("why is the light red", passages=PASSAGES)
    assert found.query == "why is the light red"
    assert [(p["text"], p["source"]) for p in found.passages] == [("A red light means no signal.", "faq")]
    assert 0.25 <= found.passages[0]["score"] <= 1


async def test_nothing_found_is_an_answer_too() -> None:
    assert await search("elephants", passages=PASSAGES) == Documents("elephants", ())


async def test_a_folder_is_read_by_paragraphs(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.md").write_text("# Opening\n\nWe open at nine.\n\n## Parking\n\nCars go behind the house.\n")
    (tmp_path / "sub" / "b.txt").write_text("The lift is at the back.")
    (tmp_path / "c.png").write_bytes(b"\xff\xfe cars")
    found = await search("where do cars park", folder=str(tmp_path), most=1)
    assert [(p["text"], p["source"]) for p in found.passages] == [("Parking: Cars go behind the house.", "a.md")]
    assert [p["source"] for p in (await search("lift", folder=str(tmp_path))).passages] == ["sub/b.txt"]


async def test_a_folder_that_gives_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConnectorFailure) as caught:
        await search("x", folder=str(tmp_path / "no"))
    assert str(caught.value) == (
        f"the folder {tmp_path / 'no'} is not there: knowledge.search reads its passages from it"
    )
    assert not caught.value.retryable
    with pytest.raises(ConnectorFailure) as caught:
        await search("x", folder=str(tmp_path))
    assert str(caught.value) == f"the folder {tmp_path} holds no text in .md, .txt, .rst files"


def test_there_must_be_something_to_search() -> None:
    with pytest.raises(ValidationError) as caught:
        KnowledgeSettings.model_validate({})
    assert caught.value.errors()[0]["msg"] == "Value error, there is nothing to search: give passages or a folder"


def test_long_paragraphs_are_cut_at_spaces() -> None:
    pieces = paragraphs("word " * 1000)
    assert all(len(p) <= 1200 for p in pieces)
    assert " ".join(pieces).split() == ["word"] * 1000
    assert "".join(paragraphs("x" * 3000)) == "x" * 3000


async def test_a_models_call_is_answered_with_its_result() -> None:
    connector = KnowledgeSearch(KnowledgeSettings.model_validate({"passages": PASSAGES}), FakeContext())
    named = await connector(ToolCall("look_up", "c1", {"query": "why is the light red", "lang": "router"}))
    assert isinstance(named, ToolResult)
    assert (named.name, named.id, named.error) == ("look_up", "c1", "")
    assert [p["text"] for p in named.result["passages"]] == ["A red light means no signal."]
    other = await connector(ToolCall("look_up", "c2", {"about": "red light", "number": 3}))
    assert isinstance(other, ToolResult)
    assert len(other.result["passages"]) == 1
    assert await connector(ToolCall("look_up", "c3")) == ToolResult("look_up", "c3", {"passages": []})
