"""What a person, a program, GitHub and a code scanner are told about findings: whole messages."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.cli.report import (
    Form,
    exit_code,
    github_commands,
    report_text,
    sarif_log,
    summary,
    write_lines,
    write_report,
)
from echostack.core.diagnostic import Code, Diagnostic, Label
from echostack.core.span import Source, Span
from echostack.render.snippet import Style, columns, spread

MEET = Code("E0406", "two ends of an arrow have no kind in common")
UNUSED = Code("W0419", "a connector is declared and not used")
FILE = "front_desk.echo"
TEXT = """\
echostack: 1
connectors:
  rule.agent: {}
pipeline:
  - moonshine.stt -> egress.file.audio_chunk
"""
SOURCES = {FILE: Source(FILE, TEXT)}


def at(line: int, column: int, length: int, file: str = FILE) -> Span:
    return Span(file, line, column, line, column + length)


BOTH_ENDS = Diagnostic(
    MEET,
    "nothing that moonshine.stt makes is taken by egress.file",
    at(5, 5, 13),
    "makes text, text.partial",
    (Label(at(5, 22, 23), "takes audio_chunk.stream"),),
    ("words become speech through a synthesiser",),
    "put a synthesiser between them: moonshine.stt -> piper.tts",
)
UNUSED_AGENT = Diagnostic(UNUSED, "'rule.agent' is declared, and no rule uses it", at(3, 3, 10))


def test_both_ends_of_an_edge_stand_under_their_line_with_notes_and_help() -> None:
    assert report_text([BOTH_ENDS], SOURCES) == (
        "error[E0406]: nothing that moonshine.stt makes is taken by egress.file\n"
        "  --> front_desk.echo:5:5\n"
        "   |\n"
        " 5 |   - moonshine.stt -> egress.file.audio_chunk\n"
        "   |     ^^^^^^^^^^^^^ makes text, text.partial\n"
        "   |                      ~~~~~~~~~~~~~~~~~~~~~~~ takes audio_chunk.stream\n"
        "   = note: words become speech through a synthesiser\n"
        "   = help: put a synthesiser between them: moonshine.stt -> piper.tts\n"
        "\n"
    )


def test_two_places_in_one_file_are_shown_in_order_with_a_gap_between() -> None:
    found = Diagnostic(UNUSED, "told twice", at(5, 5, 13), "here", (Label(at(2, 1, 10), "and here"),))
    assert report_text([found], SOURCES) == (
        "warning[W0419]: told twice\n"
        "  --> front_desk.echo:5:5\n"
        "   |\n"
        " 2 | connectors:\n"
        "   | ~~~~~~~~~~ and here\n"
        "...\n"
        " 5 |   - moonshine.stt -> egress.file.audio_chunk\n"
        "   |     ^^^^^^^^^^^^^ here\n"
        "\n"
    )


def test_a_place_in_another_file_and_the_chain_of_imports_are_named() -> None:
    found = Diagnostic(
        MEET,
        "no kind in common",
        at(1, 1, 4, "speak.echo"),
        related=(Label(at(5, 5, 13), "used here"),),
        via=(at(3, 3, 5, "inner.echo"), at(2, 1, 10)),
    )
    sources = {**SOURCES, "speak.echo": Source("speak.echo", "name: speak\n")}
    assert report_text([found], sources) == (
        "error[E0406]: no kind in common\n"
        "  --> speak.echo:1:1\n"
        "   |\n"
        " 1 | name: speak\n"
        "   | ^^^^\n"
        "  ::: front_desk.echo:5:5\n"
        "   |\n"
        " 5 |   - moonshine.stt -> egress.file.audio_chunk\n"
        "   |     ~~~~~~~~~~~~~ used here\n"
        "   = imported at inner.echo:3:3\n"
        "   = imported at front_desk.echo:2:1\n"
        "\n"
    )


def test_a_finding_without_a_place_or_without_its_source_still_reads() -> None:
    assert report_text([Diagnostic(UNUSED, "somewhere")], {}) == "warning[W0419]: somewhere\n\n"
    assert report_text([BOTH_ENDS], {}) == (
        "error[E0406]: nothing that moonshine.stt makes is taken by egress.file\n"
        "  --> front_desk.echo:5:5\n"
        "   = makes text, text.partial\n"
        "   = takes audio_chunk.stream\n"
        "   = note: words become speech through a synthesiser\n"
        "   = help: put a synthesiser between them: moonshine.stt -> piper.tts\n"
        "\n"
    )


def test_tabs_wide_and_hidden_characters_keep_the_caret_under_the_words() -> None:
    text = "a:\t会议 x\n\u202eb e\u0301 y\n"
    sources = {FILE: Source(FILE, text)}
    found = [Diagnostic(UNUSED, "wide", at(1, 7, 1)), Diagnostic(UNUSED, "hidden", at(2, 7, 1))]
    assert report_text(found, sources) == (
        "warning[W0419]: wide\n"
        "  --> front_desk.echo:1:7\n"
        "   |\n"
        " 1 | a:  会议 x\n"
        "   |          ^\n"
        "\n"
        "warning[W0419]: hidden\n"
        "  --> front_desk.echo:2:7\n"
        "   |\n"
        " 2 | <U+202E>b e\u0301 y\n"
        "   |             ^\n"
        "\n"
    )


def test_a_range_over_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    found = Diagnostic(UNUSED, "all of it", Span(FILE, 2, 1, 4, 10))
    assert "   | ^^^^^^^^^^^ (down to line 4)\n" in report_text([found], SOURCES)


def test_an_empty_range_and_one_past_the_end_get_one_caret() -> None:
    for column in (12, 99):
        text = report_text([Diagnostic(UNUSED, "m", Span(FILE, 2, column, 2, column))], SOURCES)
        assert text.endswith(" 2 | connectors:\n   |            ^\n\n")


def test_a_long_line_is_cut_around_the_place() -> None:
    sources = {FILE: Source(FILE, "x" * 5_000 + "HERE" + "y" * 5_000)}
    text = report_text([Diagnostic(UNUSED, "m", at(1, 5_001, 4))], sources)
    quoted, carets = text.splitlines()[3:5]
    assert len(quoted) < 180
    assert quoted.startswith(" 1 | … x")
    assert quoted.endswith("y …")
    assert quoted[carets.index("^") : carets.rindex("^") + 1] == "HERE"


@given(st.text(alphabet=st.characters(exclude_characters="\n\r"), max_size=60), st.data())
def test_whatever_stands_in_the_line_the_caret_begins_where_its_character_does(text: str, data: st.DataObject) -> None:
    column = data.draw(st.integers(1, len(text) + 1))
    shown, starts = spread(text)
    report = report_text([Diagnostic(UNUSED, "m", at(1, column, 1))], {FILE: Source(FILE, text)})
    carets = report.split("\n")[4]
    assert carets.index("^") - len("   | ") == starts[column - 1]
    assert starts == sorted(starts)
    assert columns(shown) == starts[-1]
    assert shown.isprintable() or not text.isprintable()


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([], "front_desk.echo: no findings"),
        ([UNUSED_AGENT], "1 warning in front_desk.echo"),
        ([BOTH_ENDS, BOTH_ENDS, UNUSED_AGENT], "2 errors, 1 warning in front_desk.echo"),
    ],
)
def test_the_last_line_counts(findings: list[Diagnostic], said: str) -> None:
    assert summary(findings, [FILE]) == said


def test_the_last_line_names_several_files_by_their_number() -> None:
    assert summary([BOTH_ENDS], [FILE, "b.echo"]) == "1 error in 2 files"
    assert summary([], [FILE, "b.echo"]) == "2 files: no findings"


def test_only_an_error_fails_unless_asked() -> None:
    assert exit_code([]) == 0
    assert exit_code([UNUSED_AGENT]) == 0
    assert exit_code([UNUSED_AGENT], strict=True) == 1
    assert exit_code([UNUSED_AGENT, BOTH_ENDS]) == 1


def test_a_workflow_command_escapes_what_would_end_it() -> None:
    code = Code("E0203", "| for an arrow: one, or more")
    found = Diagnostic(code, "100% wrong\nreally", at(5, 5, 13, "a,b:c.echo"), help="do: it, 50%")
    assert list(github_commands([found])) == [
        "::error file=a%2Cb%3Ac.echo,line=5,col=5,endLine=5,endColumn=17,"
        "title=E0203 | for an arrow%3A one%2C or more::100%25 wrong%0Areally%0Ahelp: do: it, 50%25"
    ]


def test_a_workflow_command_without_a_place_has_only_a_title() -> None:
    assert list(github_commands([Diagnostic(UNUSED, "m")])) == [
        "::warning title=W0419 a connector is declared and not used::m"
    ]


def test_json_holds_everything_of_a_finding() -> None:
    stream = io.StringIO()
    write_report([BOTH_ENDS], SOURCES, [FILE], form=Form.JSON, stream=stream)
    assert json.loads(stream.getvalue()) == {
        "files": [FILE],
        "errors": 1,
        "warnings": 0,
        "findings": [
            {
                "code": "E0406",
                "title": "two ends of an arrow have no kind in common",
                "severity": "error",
                "message": "nothing that moonshine.stt makes is taken by egress.file",
                "span": {"file": FILE, "line": 5, "column": 5, "end_line": 5, "end_column": 18},
                "label": "makes text, text.partial",
                "related": [
                    {
                        "span": {"file": FILE, "line": 5, "column": 22, "end_line": 5, "end_column": 45},
                        "text": "takes audio_chunk.stream",
                    }
                ],
                "notes": ["words become speech through a synthesiser"],
                "help": "put a synthesiser between them: moonshine.stt -> piper.tts",
                "via": [],
            }
        ],
    }


def test_sarif_has_one_rule_a_code_and_one_result_a_finding() -> None:
    log = sarif_log([BOTH_ENDS, UNUSED_AGENT, BOTH_ENDS])
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert run["columnKind"] == "unicodeCodePoints"
    assert [(r["id"], r["name"], r["defaultConfiguration"]["level"]) for r in run["tool"]["driver"]["rules"]] == [
        ("E0406", "TwoEndsOfAnArrowHaveNoKindInCommon", "error"),
        ("W0419", "AConnectorIsDeclaredAndNotUsed", "warning"),
    ]
    assert [(r["ruleId"], r["ruleIndex"], r["level"]) for r in run["results"]] == [
        ("E0406", 0, "error"),
        ("W0419", 1, "warning"),
        ("E0406", 0, "error"),
    ]
    assert run["results"][0]["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": FILE},
                "region": {"startLine": 5, "startColumn": 5, "endLine": 5, "endColumn": 18},
            }
        }
    ]
    assert run["results"][0]["relatedLocations"][0]["message"] == {"text": "takes audio_chunk.stream"}


def test_sarif_places_are_uris_and_never_below_one() -> None:
    log = sarif_log([Diagnostic(MEET, "m", Span("/a b/ä.echo", 0, 0, 0, 0)), Diagnostic(MEET, "m")])
    first, second = log["runs"][0]["results"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "file:///a%20b/%C3%A4.echo"
    assert place["region"] == {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}
    assert "locations" not in second


class Terminal(io.StringIO):
    """A stream that says that it is a terminal in UTF-8."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_and_only_for_those_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    pipe, terminal, plain = io.StringIO(), Terminal(), Terminal()
    write_report([BOTH_ENDS], SOURCES, [FILE], stream=pipe)
    write_report([BOTH_ENDS], SOURCES, [FILE], stream=terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    write_report([BOTH_ENDS], SOURCES, [FILE], stream=plain)
    assert pipe.getvalue() == report_text([BOTH_ENDS], SOURCES) + "1 error in front_desk.echo\n"
    assert "\x1b[1;31merror[E0406]" in terminal.getvalue()
    assert "\x1b[" not in plain.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")


def test_a_name_from_a_file_cannot_turn_or_colour_what_a_terminal_shows() -> None:
    stream = io.StringIO()
    write_lines([((Style.PLAIN, "  "), (Style.ERROR, "a \u202e b\nsecond \x1b[31m red"))], stream)
    assert stream.getvalue() == "  a <U+202E> b\nsecond <U+001B>[31m red\n"
