"""The entries of a conversation as providers take them: the caller's side first and last, the two sides in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from echostack.connectors.chat.words import Said

ON_THE_LINE: Final = "(The caller is on the line.)"
"""Stands where the agent spoke first: providers want the caller's side to begin."""

NO_WORDS: Final = "(The caller said nothing that could be understood.)"


class Entries:
    """Entries as they are put together: neighbours of one side become one."""

    def __init__(self) -> None:
        self._entries: list[Said] = []

    def caller(self, text: str) -> None:
        self.add(Said("user", text))

    def add(self, entry: Said) -> None:
        if not (entry.text or entry.calls or entry.results):
            return
        last = self._entries[-1] if self._entries else None
        if last is None and entry.role == "assistant":
            self._entries.append(Said("user", ON_THE_LINE))
        elif last is not None and last.role == entry.role:
            text = " ".join(t for t in (last.text, entry.text) if t)
            self._entries[-1] = Said(last.role, text, (*last.calls, *entry.calls), (*last.results, *entry.results))
            return
        self._entries.append(entry)

    def whole(self, asked: str, characters: int) -> list[Said]:
        """All of it. It ends with the caller's side, whatever was recorded."""
        if not self._entries or self._entries[-1].role != "user":
            self.add(Said("user", asked or NO_WORDS))
        last = self._entries[-1]
        if len(last.text) > characters:
            self._entries[-1] = replace(last, text=last.text[-characters:])
        return self._entries
