"""Cutting a message into pieces that can be spoken one by one, and taking out what is not for the ear."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 200
"""Characters after which a piece is cut at a space even where no mark invites it."""

_FIRST_WORDS = 3  # the first piece may end at a comma once it holds this many words, so that speech begins early
_SENTENCE = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s|$)|\n+")
_CLAUSE = re.compile(r"[,;:–—]+[\"'”’)\]]*(?=\s)")
_ABBREVIATION = re.compile(r"(?:\b(?:mr|mrs|ms|dr|st|prof|vs|etc|no|approx|e\.g|i\.e|a\.m|p\.m)|\b[a-z])\.$", re.I)
_ENDS_ANYWAY = re.compile(r"\b(?:etc|a\.m|p\.m|i)\.$", re.I)

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_LINK = re.compile(r"!?\[([^\[\]]{0,500})\]\((?:[^()\s]{0,500})\)")
_MARKS = re.compile(r"[*_`#~|<>\\^]+|^\s*[-•·]\s+", re.M)
_SILENT = {"Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk", "Me"}
_JOINERS = "\u200c\u200d"  # between letters they are spelling; elsewhere they join emoji
_PICTURES = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # choose how a sign looks


@dataclass(frozen=True, slots=True)
class Clause:
    """``text`` as it stands in the message, and ``spoken``: what of it is read out, never empty."""

    text: str
    spoken: str


def clauses(message: str) -> list[Clause]:
    """The message in pieces, in order: whole sentences, but for a first piece that may be a clause.

    Every character of the message but outer white space lies in some piece's ``text``; what cannot be spoken
    belongs to the piece before it (or after it, at the beginning). Empty when nothing can be spoken.
    """
    found: list[Clause] = []
    held = ""
    for piece in _pieces(message):
        text, spoken = held + piece, spoken_form(piece)
        if spoken:
            found.append(Clause(text.strip(), spoken))
            held = ""
        elif found:
            found[-1] = Clause(f"{found[-1].text} {piece.strip()}".strip(), found[-1].spoken)
        else:
            held = text
    return found


def spoken_form(text: str) -> str:
    """What is read out: without markup, emoji and invisible characters; empty when no letter or digit is left."""
    plain = _MARKS.sub(" ", _LINK.sub(r"\1", _TAG.sub(" ", unicodedata.normalize("NFKC", text))))
    kept: list[str] = []
    for character in unicodedata.normalize("NFC", _PICTURES.sub("", plain)):
        if character.isspace():
            kept.append(" ")
        elif _audible(character, kept[-1] if kept else ""):
            kept.append(character)
    words = " ".join("".join(kept).split())
    return words if any(c.isalnum() for c in words) else ""


def _audible(character: str, before: str) -> bool:
    # Marks on letters are vowels in many scripts. The degree sign is a symbol like an emoji is, and the one people say.
    kind = unicodedata.category(character)
    if kind == "Mn" or character in _JOINERS:
        return before.isalpha() or unicodedata.category(before or " ") in ("Mn", "Mc")
    return character == "°" or kind not in _SILENT


def _pieces(message: str) -> list[str]:
    pieces: list[str] = []
    begin = 0
    for end in _ends(message):
        if not pieces:
            early = _early(message[begin:end])
            if early:
                pieces.append(message[begin : begin + early])
                begin += early
        pieces.extend(_short(message[begin:end]))
        begin = end
    return [p for p in pieces if p.strip()]


def _ends(message: str) -> list[int]:
    ends = []
    for mark in _SENTENCE.finditer(message):
        before = message[max(0, mark.start() - 12) : mark.end()].rstrip()
        if mark.group() == "." and _ABBREVIATION.search(before) and not _really_ends(message, mark.end(), before):
            continue
        ends.append(mark.end())
    if not ends or ends[-1] < len(message):
        ends.append(len(message))
    return ends


def _really_ends(message: str, end: int, before: str) -> bool:
    return bool(_ENDS_ANYWAY.search(before)) and message[end:].lstrip()[:1].isupper()


def _early(sentence: str) -> int:
    """Where the first clause of a sentence ends, 0 when it is not worth a piece of its own."""
    for mark in _CLAUSE.finditer(sentence):
        if len(sentence[: mark.start()].split()) >= _FIRST_WORDS:
            return mark.end() if sentence[mark.end() :].strip() else 0
    return 0


def _short(sentence: str) -> list[str]:
    """A sentence cut into pieces of at most ``LONGEST`` characters: at a clause, else at a space, else anywhere."""
    pieces = []
    while len(sentence) > LONGEST:
        marks = [m.end() for m in _CLAUSE.finditer(sentence, 0, LONGEST)]
        at = marks[-1] if marks and marks[-1] > LONGEST // 3 else sentence.rfind(" ", 1, LONGEST)
        at = at if at > 0 else LONGEST
        pieces.append(sentence[:at])
        sentence = sentence[at:]
    return [*pieces, sentence]
