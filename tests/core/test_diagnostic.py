"""Findings: their order, their chains of imports, and the words they suggest."""

from __future__ import annotations

from echostack.core.diagnostic import Code, Diagnostic, Findings, Severity, at, did_you_mean
from echostack.core.errors import InvalidFile, MissingExtra
from echostack.core.span import Provenance, Source, Span

E, W = Code("E0101", "an error"), Code("W0101", "a warning")


def span(line: int, column: int = 1, file: str = "a.echo") -> Span:
    return Span(file, line, column, line, column + 1)


def test_the_first_letter_of_a_code_is_its_severity() -> None:
    assert (E.severity, W.severity) == (Severity.ERROR, Severity.WARNING)


def test_findings_are_kept_once_and_ordered_by_place() -> None:
    findings = Findings()
    later, first, nowhere = Diagnostic(E, "b", span(9)), Diagnostic(W, "a", span(2, 5)), Diagnostic(E, "c")
    for finding in (nowhere, later, first, later):
        findings.add(finding)
    assert findings.ordered() == [first, later, nowhere]
    assert (findings.errors, findings.warnings) == ([nowhere, later], [first])


def test_a_place_in_an_import_brings_its_way_along() -> None:
    place = Provenance(span(3, file="inner.echo")).through(span(7, file="outer.echo"))
    found = at(E, "wrong", place, help="mend it")
    assert (found.span, found.via, found.help) == (place.span, (span(7, file="outer.echo"),), "mend it")


def test_suggestions_are_close_words_best_first() -> None:
    assert did_you_mean("moonshin.stt", ["piper.tts", "moonshine.stt", "webrtc.vad"]) == ("moonshine.stt",)
    assert did_you_mean("zzz", ["piper.tts"]) == ()


def test_an_invalid_file_tells_its_first_error_and_how_many_more() -> None:
    error = InvalidFile([Diagnostic(W, "odd", span(1)), Diagnostic(E, "bad", span(2)), Diagnostic(E, "worse", span(3))])
    assert str(error) == "2 errors: a.echo:2:1: E0101 bad (and 1 more)"


def test_a_missing_extra_says_what_to_install() -> None:
    assert str(MissingExtra("piper.tts", "piper", "embedded")) == (
        "piper.tts needs the package 'piper', which is not installed: pip install 'echostack[embedded]'"
    )


def test_lines_of_a_source_are_without_their_ends() -> None:
    source = Source("a.echo", "one\r\ntwo\n")
    assert [source.line(n) for n in (0, 1, 2, 3, 4)] == ["", "one", "two", "", ""]
