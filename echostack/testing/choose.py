"""Which scenarios are meant: words, ``and``, ``or``, ``not`` and parentheses over ``file::name``.

word     a word, or several in a row, or anything in quotes: part of the text, whatever its case
not a    a and b    a or b    (a)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from echostack.core.errors import UsageError

Test = Callable[[str], bool]
_TOKEN = re.compile(r"""\s*(?:(?P<mark>[()])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s()"']+))""")
_WORDS = ("and", "or", "not")


def chosen_by(expression: str) -> Test:
    """``expression`` as a function of ``file::name``. UsageError for one that means nothing."""
    parser = _Parser(expression)
    test = parser.either()
    if parser.tokens:
        parser.fail(f"{parser.tokens[0][1]!r} stands where `and` or `or` should")
    return test


def choosing(name: str) -> str:
    """An expression that chooses the scenario ``name`` (and those whose names contain it)."""
    words = name.split()
    plain = " ".join(words) == name and not any(w in _WORDS or re.search(r"""[()"']""", w) for w in words)
    if plain and words:
        return name
    quote = "'" if '"' in name else '"'
    if quote in name:  # both quotes: the words between them, all of which it has
        return " and ".join(f'"{w}"' for w in re.split(r"""["'\s]+""", name) if w)
    return f"{quote}{name}{quote}"


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                self.fail("a quote is not closed")
            at = found.end()
            kind = found.lastgroup or ""
            value = found[kind]
            self.tokens.append(
                ("op", value) if kind == "mark" or (kind == "word" and value in _WORDS) else (kind, value)
            )

    def fail(self, why: str) -> NoReturn:
        raise UsageError(f"-k {self.text!r}: {why}; it takes words, and, or, not and parentheses")

    def either(self) -> Test:
        tests = [self.both()]
        while self._take("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda text: any(test(text) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self._take("and"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda text: all(test(text) for test in tests)

    def one(self) -> Test:
        if self._take("not"):
            test = self.one()
            return lambda text: not test(text)
        if self._take("("):
            inside = self.either()
            if not self._take(")"):
                self.fail("a parenthesis is not closed")
            return inside
        if not self.tokens or self.tokens[0][0] == "op":
            self.fail(f"there is nothing before {self.tokens[0][1]!r}" if self.tokens else "it ends too early")
        kind, value = self.tokens.pop(0)
        while kind == "word" and self.tokens and self.tokens[0][0] == "word":
            value += f" {self.tokens.pop(0)[1]}"
        wanted = value.casefold()
        return lambda text: wanted in text.casefold()

    def _take(self, operator: str) -> bool:
        if self.tokens and self.tokens[0] == ("op", operator):
            del self.tokens[0]
            return True
        return False
