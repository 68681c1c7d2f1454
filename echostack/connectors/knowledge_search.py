"""knowledge.search: the passages of a folder or a list that answer what was asked, best first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator, model_validator

from echostack.connectors.matching import Index, Synonyms
from echostack.connectors.words import tokenise
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import Documents, Text, ToolCall, ToolResult
from echostack.registry import ITSELF, ConnectorSettings, Context, Latency, connector

_SUFFIXES: Final = (".md", ".txt", ".rst")
_MAX_FILE: Final = 1_000_000  # bytes
_MAX_FILES: Final = 2_000
_MAX_PASSAGE: Final = 1_200  # characters; a longer paragraph is cut at a space


class Passage(ConnectorSettings):
    """A passage written in the file."""

    text: str = Field(min_length=1)
    """What it says."""
    source: str = ""
    """Where it is from, for whoever reads the result."""


class KnowledgeSettings(ConnectorSettings):
    """What is searched, and how much is given."""

    passages: tuple[Passage, ...] = ()
    """Passages in the file itself: texts, or {text, source}."""
    folder: Path | None = None
    """A folder whose .md, .txt and .rst files are read when the call opens, a paragraph a passage."""
    most: int = Field(default=3, ge=1, le=50)
    """How many passages are given."""
    threshold: float = Field(default=0.25, ge=0, le=1)
    """How well a passage must fit, 0 to 1."""
    synonyms: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Words and the phrases that mean the same."""

    @field_validator("passages", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return [{"text": v} if isinstance(v, str) else v for v in value] if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _something(self) -> KnowledgeSettings:
        if not self.passages and self.folder is None:
            raise ValueError("there is nothing to search: give passages or a folder")
        for word in self.synonyms:
            if not word.isalpha():
                raise ValueError(f"synonyms stand under one word, not under {word!r}")
        return self


@connector("knowledge.search", latency=Latency(p50=2, p95=15), simulation=ITSELF)
class KnowledgeSearch:
    """Finds the passages that answer a turn, by the words they share with it (BM25), best first.

    A turn that nothing answers gives documents without passages, so that whoever waits for them goes on. A model's
    tool_call is answered with a tool_result.
    """

    def __init__(self, settings: KnowledgeSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._passages: list[Passage] = []
        self._index: Index | None = None

    async def open(self) -> None:
        """Read the folder and build the index. ConnectorFailure when the folder cannot be read or holds nothing."""
        self._passages, self._index = await self._context.compute.run(_load, self._settings)

    async def __call__(self, asked: Text | ToolCall) -> Documents | ToolResult:
        """What was found for one turn, or for a model's call: its argument ``query`` is searched for, or all its texts
        where it has none of that name."""
        if isinstance(asked, Text):
            return Documents(asked.text, await self._find(asked.text))
        found = await self._find(_query(asked))
        return ToolResult(asked.name, asked.id, {"passages": list(found)})

    async def _find(self, query: str) -> tuple[dict[str, Any], ...]:
        if self._index is None:
            await self.open()
        assert self._index is not None
        hits = await self._context.compute.run(self._index.passages, tokenise(query), most=self._settings.most)
        return tuple(
            {"text": self._passages[h.index].text, "score": round(h.score, 3), "source": self._passages[h.index].source}
            for h in hits
            if h.score >= self._settings.threshold
        )


def _query(call: ToolCall) -> str:
    named = call.arguments.get("query")
    if isinstance(named, str):
        return named
    return " ".join(value for value in call.arguments.values() if isinstance(value, str))


def _load(settings: KnowledgeSettings) -> tuple[list[Passage], Index]:
    passages = list(settings.passages)
    if settings.folder is not None:
        passages += _read(settings.folder)
    return passages, Index([p.text for p in passages], Synonyms(settings.synonyms))


def _read(folder: Path) -> list[Passage]:
    if not folder.is_dir():
        raise ConnectorFailure(
            f"the folder {folder} is not there: knowledge.search reads its passages from it", retryable=False
        )
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
    found: list[Passage] = []
    for path in files[:_MAX_FILES]:
        if path.stat().st_size > _MAX_FILE:
            raise ConnectorFailure(f"{path} has more than {_MAX_FILE} bytes: split it", retryable=False)
        text = path.read_text("utf-8", errors="replace")
        found += [Passage(text=piece, source=path.relative_to(folder).as_posix()) for piece in paragraphs(text)]
    if not found:
        raise ConnectorFailure(f"the folder {folder} holds no text in {', '.join(_SUFFIXES)} files", retryable=False)
    return found


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, headings joined to what follows them, none longer than 1,200 characters."""
    found: list[str] = []
    heading = ""
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line.strip() for line in block.split("\n") if line.strip()]
        if not lines:
            continue
        if all(line.startswith("#") for line in lines):
            heading = " ".join(line.lstrip("# ") for line in lines)
            continue
        whole = " ".join(line.lstrip("# ") for line in lines)
        whole = f"{heading}: {whole}" if heading else whole
        while len(whole) > _MAX_PASSAGE:
            cut = whole.rfind(" ", 1, _MAX_PASSAGE)
            cut = cut if cut > 0 else _MAX_PASSAGE
            found.append(whole[:cut])
            whole = whole[cut:].strip()
        found.append(whole)
    return found
