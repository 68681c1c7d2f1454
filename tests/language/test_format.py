"""The formatter: one style, no comment lost, the graph never changed."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from echostack.core.errors import InvalidFile
from echostack.language import format_text
from tests.language.strategies import documents, read, rules, without_spans

SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(documents())
def test_formatting_changes_no_document_and_is_done_in_one_go(text: str) -> None:
    before, findings = read(text)
    assert not findings.errors, (text, findings.errors)
    once = format_text(text, "f.echo")
    after, again = read(once)
    assert not again.errors, (once, again.errors)
    assert without_spans(before) == without_spans(after), once
    assert format_text(once, "f.echo") == once


@SLOW
@given(documents())
def test_no_comment_is_lost(text: str) -> None:
    assume("|" not in text)

    def said(source: str) -> list[str]:
        return sorted(
            line[line.index("# ") :].rstrip() for line in source.split("\n") if "# " in line and '"' not in line
        )

    lost = [c for c in said(text) if c not in format_text(text, "f.echo")]
    assert not lost


@SLOW
@given(rules())
def test_a_rule_keeps_its_meaning(rule: str) -> None:
    text = json.dumps({"pipeline": [rule]})
    before, findings = read(text, "f.json")
    assert not findings.errors, (rule, findings.errors)
    once = format_text(text, "f.json")
    after, _ = read(once, "f.json")
    assert without_spans(before.pipeline) == without_spans(after.pipeline)
    assert format_text(once, "f.json") == once
    assert "→" not in after.pipeline[0].text.split('"')[0].split("'")[0]


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_what_does_not_read_is_refused_and_what_reads_is_stable(text: str) -> None:
    if read(text)[1].errors:
        with pytest.raises(InvalidFile):
            format_text(text, "f.echo")
    else:
        once = format_text(text, "f.echo")
        assert format_text(once, "f.echo") == once


def test_one_style() -> None:
    text = """\
# The front desk.

# what flows
pipeline:   # rules
  - ingress.livekit.audio_frame→deepgram.stt      # head


  # about routing
  - a:other->b   ->c -[confidence<0.4 or (x==1 and not(y))]→ d
  - "a -[ x == 'call #5' ]-> b"
  -  a.b -> c.d : {queue: 2,   overflow: latest}   # opts
  - a.b -> c.d:
      # deep
      queue: 4
  - >
    a ->
    b
  # end of rules
name:   "front_desk"
connectors:
  deepgram.stt:
     model: nova-3
     language: "no"
  # about claude
  claude.agent: {system: "You are: x", max_tokens: 300, # tokens
     k: {env: X}}
  text.one:
    system: |
      Line one.
        Line two # not comment

      Three.
barge_in: off
# very end
"""
    assert (
        format_text(text, "f.echo")
        == """\
# The front desk.

name: front_desk
connectors:
  deepgram.stt: {model: nova-3, language: "no"}
  # about claude
  claude.agent:
    system: "You are: x"
    max_tokens: 300  # tokens
    k: {env: X}
  text.one:
    system: |
      Line one.
        Line two # not comment

      Three.
# what flows
pipeline:  # rules
  - ingress.livekit.audio_frame -> deepgram.stt  # head

  # about routing
  - a:other -> b -> c -[ confidence < 0.4 or x == 1 and not y ]-> d
  - 'a -[ x == "call #5" ]-> b'
  - a.b -> c.d: {queue: 2, overflow: latest}  # opts
  - a.b -> c.d:
      # deep
      queue: 4
  - a -> b
  # end of rules
barge_in: off
# very end
"""
    )


def test_anchors_keep_the_order_of_the_sections() -> None:
    text = "turns: &t {silence: 1}\npipeline:\n  - a->b\nconnectors:\n  a.b: {x: *t}\n"
    once = format_text(text, "f.echo")
    assert once == "turns: &t {silence: 1}\npipeline:\n  - a -> b\nconnectors:\n  a.b: {x: *t}\n"
    assert format_text(once, "f.echo") == once


def test_a_json_file_stays_json() -> None:
    text = '{"pipeline": ["a→b", {"c->d": {"queue":3}}], "name":"é"}'
    once = format_text(text, "f.json")
    assert json.loads(once) == {"name": "é", "pipeline": ["a -> b", {"c -> d": {"queue": 3}}]}
    assert list(json.loads(once)) == ["name", "pipeline"]


def test_a_file_with_errors_is_refused() -> None:
    with pytest.raises(InvalidFile) as caught:
        format_text("pipeline:\n  - a => b\n", "f.echo")
    assert str(caught.value) == "1 error: f.echo:2:7: E0201 `=>` is no arrow"
