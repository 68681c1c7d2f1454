"""From a model's tokens to pieces that can be spoken, each as early as it can be."""

from __future__ import annotations

from echostack.connectors.clauses import clauses
from echostack.connectors.sentences import sentences


class Speech:
    """The text of one answer as it comes. ``feed`` gives the pieces that are ready, ``end`` the rest."""

    def __init__(self, *, language: str, speakable: bool, first_words: int) -> None:
        self._speakable, self._first_words = speakable, first_words
        self._text = ""

    def feed(self, text: str) -> list[str]:
        """The pieces that ``text`` completes."""
        self._text += text
        found = sentences(self._text)
        if len(found) < 2:
            return []
        self._text = found[-1]
        return [p for p in map(self._said, found[:-1]) if p]

    def end(self, *, cut: bool = False) -> list[str]:
        """The last pieces."""
        rest, self._text = self._text, ""
        return [p for p in map(self._said, sentences(rest)) if p]

    def _said(self, text: str) -> str:
        return " ".join(c.spoken for c in clauses(text)) if self._speakable else text
