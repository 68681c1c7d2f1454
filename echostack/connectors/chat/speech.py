"""From a model's tokens to pieces that can be spoken, each as early as it can be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from echostack.connectors.chat.cut import Cut, Cutter
from echostack.connectors.chat.markup import Markup
from echostack.connectors.clauses import spoken_form
from echostack.connectors.spoken_english import spoken as spoken_english

IN_WORDS: Final[Mapping[str, Callable[[str], str]]] = {"en": spoken_english}
"""What puts numbers, times and abbreviations into words, by language. Others are left to their synthesiser."""

_LOOSE: Final = re.compile(r"\s+(?=[.,!?;:…](?:\s|$))")  # before a mark, where an emoji or a note stood
_SENTENCE: Final = re.compile(r"[.!?…؟।॥。！？｡][\"'”’»)\]」』）】*_]*$")


class Speech:
    """The text of one answer as it comes. ``feed`` gives the pieces that are ready, ``end`` the rest.

    The pieces are the same however the text is divided (``Cutter`` says where they end). speakable: whether they are
    put into the words in which they are said, without markup and emoji; otherwise they stand as the model wrote them.
    """

    def __init__(self, *, language: str, speakable: bool, first_words: int) -> None:
        tongue = language.partition("-")[0].lower()
        self._cutter = Cutter(language=tongue, first_words=first_words)
        self._markup = Markup() if speakable else None
        self._in_words = IN_WORDS.get(tongue, str)
        self._whole = False  # whether the last piece ended a sentence

    def feed(self, text: str) -> list[str]:
        """The pieces that ``text`` completes, none empty."""
        return self._said(self._cutter.feed(text))

    def end(self, *, cut: bool = False) -> list[str]:
        """The last pieces. ``cut``: the model was stopped in the middle, so that a sentence which it did not finish is
        left out, unless its beginning was given already or there is nothing else."""
        rest = self._cutter.end()
        if cut and rest and not _SENTENCE.search(rest[-1].text) and (self._whole or len(rest) > 1):
            rest.pop()
        return self._said(rest)

    def _said(self, cuts: Iterable[Cut]) -> list[str]:
        found = []
        for cut in cuts:
            said = cut.text
            if self._markup is not None:
                said = _LOOSE.sub("", spoken_form(self._in_words(self._markup.said(cut))))
            if any(c.isalnum() for c in said):
                found.append(said)
                self._whole = bool(_SENTENCE.search(cut.text)) or cut.ends_line
        return found
