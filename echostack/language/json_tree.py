"""Strict JSON (RFC 8259) to the same tree as YAML, with the same bounds.

A JSON file is read by its own rules and not as YAML, which differs in tabs, in the two halves of characters that
JSON escapes as pairs, and in what it says about a mistake.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from echostack.core.diagnostic import Code, Diagnostic, Findings, Label
from echostack.language import codes
from echostack.language.source import Places
from echostack.language.tree import MappingNode, Node, Pair, ScalarNode, SequenceNode
from echostack.language.yaml_read import clean
from echostack.language.yaml_tree import MAX_DEPTH, MAX_DIGITS, MAX_NODES, TooMuch, shorten

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][\w.]*")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}


class _Stop(Exception):
    """The finding has been added; JSON has no place to go on from."""


def looks_like_json(text: str) -> bool:
    """Whether it is worth trying to read ``text`` as JSON."""
    return text.lstrip(" \t\r\n")[:1] == "{"


def read_json(places: Places, findings: Findings) -> Node | None:
    """The tree of a JSON text; None, with findings, when it is none."""
    text = clean(places, findings)
    try:
        return _Reader(places, findings, text).document()
    except (_Stop, TooMuch):
        return None


class _Reader:
    def __init__(self, places: Places, findings: Findings, text: str) -> None:
        self._places, self._findings, self._text = places, findings, text
        self._at = 0
        self._count = 0

    def document(self) -> Node | None:
        self._blank()
        if self._at >= len(self._text):
            return None
        node = self._value(0)
        self._blank()
        if self._at < len(self._text):
            self._fail("something stands after the end of the document", "remove it: a JSON file is one value")
        return node

    def _value(self, depth: int) -> Node:
        self._count += 1
        if self._count > MAX_NODES:
            self._stop(codes.TOO_MANY_PARTS, f"the document has more than {MAX_NODES:,} parts")
        char = self._text[self._at : self._at + 1]
        if char in ("{", "[") and depth >= MAX_DEPTH:
            self._stop(codes.TOO_DEEP, f"more than {MAX_DEPTH} levels of nesting")
        if char == "{":
            return self._object(depth)
        if char == "[":
            return self._array(depth)
        if char == '"':
            return self._string()
        return self._plain()

    def _object(self, depth: int) -> MappingNode:
        start = self._at
        pairs: list[Pair] = []
        seen: dict[str, ScalarNode] = {}
        self._at += 1
        self._blank()
        while not self._take("}"):
            if pairs or seen:
                self._comma("}", start)
            if self._text[self._at : self._at + 1] != '"':
                if self._at >= len(self._text):
                    self._unclosed(start, "}")
                self._fail("a key in double quotes is missing here", 'write a key, such as "pipeline"')
            key = self._string()
            self._blank()
            if not self._take(":"):
                self._fail(f"no colon stands after the key {shorten(key.raw)}", "write `:` and a value")
            self._blank()
            value = self._value(depth + 1)
            first = seen.setdefault(key.text, key)
            if first is key:
                pairs.append(Pair(key, value))
            else:
                self._findings.add(
                    Diagnostic(
                        codes.DUPLICATE_KEY,
                        f"the key `{shorten(key.text)}` stands here for the second time",
                        key.span,
                        related=(Label(first.span, "first here"),),
                        notes=("Only one of the two could count, and JSON does not say which.",),
                        help="remove one of them, or join what they hold",
                    )
                )
            self._blank()
        return MappingNode(self._places, start, self._at, pairs, True)

    def _array(self, depth: int) -> SequenceNode:
        start = self._at
        items: list[Node] = []
        self._at += 1
        self._blank()
        while not self._take("]"):
            if items:
                self._comma("]", start)
            items.append(self._value(depth + 1))
            self._blank()
        return SequenceNode(self._places, start, self._at, items, True)

    def _comma(self, closing: str, start: int) -> None:
        if self._at >= len(self._text):
            self._unclosed(start, closing)
        if not self._take(","):
            self._fail(f"a comma or `{closing}` is missing here", f"write `,` before this, or `{closing}`")
        comma = self._at - 1
        self._blank()
        if self._text[self._at : self._at + 1] == closing:
            self._at = comma
            self._fail(f"a comma stands before `{closing}`", "remove the comma")

    def _string(self) -> ScalarNode:
        start = self._at
        found = _STRING.match(self._text, start)
        if found is None:
            self._bad_string(start)
        self._at = found.end()
        text: str = json.loads(found[0])
        node = ScalarNode(self._places, start, self._at, text, text, '"')
        if any("\ud800" <= c <= "\udfff" for c in text):
            node.text = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
            node.value = node.text
            self._findings.add(
                Diagnostic(
                    codes.LONE_SURROGATE,
                    "an escape \\uD800 to \\uDFFF is half of a character",
                    node.span,
                    help="write the character itself, or both halves",
                )
            )
        return node

    def _bad_string(self, start: int) -> NoReturn:
        at = start + 1
        while at < len(self._text):
            char = self._text[at]
            if char == "\\" and not re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})').match(self._text, at):
                self._at = at
                self._fail("this backslash begins no escape", "double the backslash to mean one")
            if char in "\n\r":
                break
            if char < " ":
                self._at = at
                self._fail("a tab or control character stands inside quotes", "write it as an escape, such as \\t")
            at += 2 if char == "\\" else 1
        self._at = start
        self._fail("the quotes are not closed on this line", 'write the closing `"`')

    def _plain(self) -> ScalarNode:
        start = self._at
        number = _NUMBER.match(self._text, start)
        if number is not None and number.end() > start:
            self._at = number.end()
            if _WORD.match(self._text, self._at) or self._text[self._at : self._at + 1].isdigit():
                self._at = start
                self._fail("this is no number that JSON knows", "quote it to mean text")
            said = number[0]
            node = ScalarNode(self._places, start, self._at, said, said)
            value = float(said) if len(said) <= MAX_DIGITS else float("inf")
            if value in (float("inf"), float("-inf")):
                message = f"{shorten(said)} is too large a number"
                self._findings.add(Diagnostic(codes.BAD_NUMBER, message, node.span, help="quote it to mean text"))
            else:
                node.value = value if number[1] or number[2] else int(said)
            return node
        word = _WORD.match(self._text, start)
        if word is not None and word[0] in _WORDS:
            self._at = word.end()
            return ScalarNode(self._places, start, self._at, word[0], _WORDS[word[0]])
        return self._no_value(start, word[0] if word else "")

    def _no_value(self, start: int, word: str) -> NoReturn:
        if start >= len(self._text):
            self._fail("the file ends in the middle of the document", "write the value that is missing")
        said = self._text[start]
        if said in "/#":
            self._fail("JSON has no comments", "remove it, or name the file .echo and write it as YAML")
        if said == "'":
            self._fail("JSON quotes with double quotes only", 'write `"`')
        self._fail(
            f"`{shorten(word or said)}` is no JSON value",
            "a text needs double quotes; the words are true, false and null",
        )

    def _unclosed(self, start: int, closing: str) -> NoReturn:
        place = self._places.span(start, start + 1)
        self._findings.add(
            Diagnostic(codes.JSON_SYNTAX, f"no `{closing}` closes this", place, help=f"write `{closing}`")
        )
        raise _Stop

    def _fail(self, message: str, fix: str) -> NoReturn:
        place = self._places.span(self._at, self._at + 1)
        self._findings.add(Diagnostic(codes.JSON_SYNTAX, message, place, help=fix))
        raise _Stop

    def _stop(self, code: Code, message: str) -> NoReturn:
        self._findings.add(Diagnostic(code, message, self._places.span(self._at, self._at + 1)))
        raise TooMuch

    def _take(self, char: str) -> bool:
        if self._text[self._at : self._at + 1] == char:
            self._at += 1
            return True
        return False

    def _blank(self) -> None:
        found = _BLANK.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
