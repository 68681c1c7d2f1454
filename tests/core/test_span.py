"""Places and the texts that they stand in."""

from __future__ import annotations

from typing import Any

from echostack.core.span import Source


class Counted(str):
    """A text that counts how often it is split."""

    splits = 0

    def split(self, *args: Any, **more: Any) -> list[str]:
        Counted.splits += 1
        return super().split(*args, **more)


def test_a_line_is_given_without_its_end_and_nothing_past_the_last() -> None:
    source = Source("a.echo", "one\r\ntwo\n\nfour")
    assert [source.line(n) for n in range(7)] == ["", "one", "two", "", "four", "", ""]


def test_a_text_is_split_once_however_many_findings_quote_it() -> None:
    source = Source("a.echo", Counted("\n".join(f"line {n} of a test of spans" for n in range(1, 1001))))
    Counted.splits = 0
    assert [source.line(n) for n in (1, 500, 1000)] == [f"line {n} of a test of spans" for n in (1, 500, 1000)]
    assert Counted.splits == 1
