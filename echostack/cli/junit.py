"""Results of scenarios as JUnit's XML, which continuous integration reads: a suite a file, a case a run."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from echostack.core.diagnostic import Diagnostic
from echostack.core.span import Source
from echostack.render.report_text import report_text
from echostack.testing.report import result_lines, text_of
from echostack.testing.result import Result, Status

_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold (https://www.w3.org/TR/xml/#charsets)."""


def junit_xml(
    results: Sequence[Result], broken: Mapping[str, Sequence[Diagnostic]], sources: Mapping[str, Source]
) -> str:
    """The whole document. ``broken``: findings by file of those that could not be read, each one case with an error.

    A case is named like its scenario, with its seed where a scenario was run with several; its time is real time.
    """
    root = ET.Element("testsuites", name="echostack")
    seeds: dict[str, int] = {}
    for result in results:
        seeds[result.id] = seeds.get(result.id, 0) + 1
    for file in dict.fromkeys([*(r.file for r in results), *broken]):
        mine = [r for r in results if r.file == file]
        suite = ET.SubElement(root, "testsuite", name=_clean(file))
        for result in mine:
            name = f"{result.name} [seed {result.seed}]" if seeds[result.id] > 1 else result.name
            case = ET.SubElement(
                suite, "testcase", classname=_clean(file), name=_clean(name), file=_clean(file), line=str(result.line),
                time=f"{result.took:.6f}",
            )  # fmt: skip
            if not result.ok:
                _fault(case, result, sources)
        for findings in [broken[file]] if file in broken else []:
            case = ET.SubElement(
                suite, "testcase", classname=_clean(file), name="the file", file=_clean(file), time="0"
            )
            first = next((f.message for f in findings if f.is_error), "")
            fault = ET.SubElement(case, "error", message=_clean(first.split("\n")[0]), type="findings")
            fault.text = _clean(report_text(findings, sources))
        _count(suite, mine, file in broken)
    for what in ("tests", "failures", "errors"):
        root.set(what, str(sum(int(suite.get(what, "0")) for suite in root)))
    root.set("time", f"{sum(r.took for r in results):.6f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _fault(case: ET.Element, result: Result, sources: Mapping[str, Source]) -> None:
    tag = "failure" if result.status is Status.FAILED else "error"
    messages = [f.what.split("\n")[0] for f in result.failures] or [f.message for f in result.findings if f.is_error]
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    fault = ET.SubElement(case, tag, message=_clean(f"{messages[0] if messages else ''}{more}"), type=tag)
    fault.text = _clean(text_of(result_lines(result, sources)))


def _count(suite: ET.Element, results: Sequence[Result], broken: bool) -> None:
    suite.set("tests", str(len(results) + broken))
    suite.set("failures", str(sum(r.status is Status.FAILED for r in results)))
    suite.set("errors", str(sum(r.status is Status.ERROR for r in results) + broken))
    suite.set("skipped", "0")
    suite.set("time", f"{sum(r.took for r in results):.6f}")


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
