"""Random rules, guards and documents, and text that is none."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from echostack.core.diagnostic import Findings
from echostack.core.span import Source, Span
from echostack.language import read_document
from echostack.language.document import Document

KEYWORDS = {"and", "or", "not", "in", "else", "true", "false", "null"}
BLANKS = st.sampled_from(["", " ", "  ", " "])

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_é]{0,6}", fullmatch=True)
fields = names.filter(lambda n: n.lower() not in KEYWORDS)
ports = st.one_of(st.just(""), names.map(lambda n: f":{n}"))
nodes = st.tuples(st.lists(names, min_size=1, max_size=4).map(".".join), ports).map("".join)
patterns = st.tuples(names, st.lists(st.one_of(names, st.just("*")), min_size=1, max_size=3)).map(
    lambda t: ".".join([t[0], *t[1]])
)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
strings = st.one_of(
    words.map(lambda w: '"' + w.replace("\\", "\\\\").replace('"', '\\"') + '"'),
    words.map(lambda w: "'" + w.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    st.sampled_from(['"call #5"', "'a: b'", '"\\n\\t"', '"]->"']),
)
numbers = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.floats(0, 1, allow_nan=False).map(lambda f: f"{f:.3f}"),
    st.sampled_from(["1e3", "-2.5E-2", "0"]),
)
operands = st.one_of(fields, strings, numbers, st.sampled_from(["true", "false", "null"]))


@st.composite
def spaced(draw: st.DrawFn, parts: list[str]) -> str:
    """The parts with blanks between them, always one where two words would touch."""
    text = parts[0]
    for part in parts[1:]:
        blank = draw(BLANKS)
        touch = (text[-1:].isalnum() or text[-1:] in "_\"'") and (part[:1].isalnum() or part[:1] in "_\"'")
        text += (blank or " " if touch or part[:1] in "-<>=:" or text[-1:] in "-<>=?" else blank) + part
    return text


tests = st.one_of(
    fields,
    st.sampled_from(["true", "false"]),
    st.tuples(operands, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), operands).map(" ".join),
    st.tuples(operands, st.sampled_from(["in", "not in"]), st.lists(operands, min_size=1, max_size=3)).map(
        lambda t: f"{t[0]} {t[1]} ({', '.join(t[2])})"
    ),
    st.tuples(strings, st.sampled_from(["in", "not in"]), fields).map(" ".join),
)
conditions = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(" and ".join),
        st.lists(inner, min_size=2, max_size=3).map(" or ".join),
        inner.map(lambda c: f"not ({c})"),
        inner.map(lambda c: f"({c})"),
    ),
    max_leaves=5,
)
guards = st.one_of(st.just("else"), conditions)
choices = st.lists(nodes, min_size=1, max_size=3).map(" ?? ".join)


@st.composite
def arrows(draw: st.DrawFn) -> str:
    tip = draw(st.sampled_from(["->", "→"]))
    if draw(st.booleans()):
        return f" {tip} "
    blank = draw(BLANKS)
    return f" -[{blank}{draw(guards)} ]{tip}{draw(BLANKS)}"


@st.composite
def rules(draw: st.DrawFn, most: int = 4) -> str:
    """A rule that is right, in any spacing."""
    text = ""
    grouped = True
    for index in range(draw(st.integers(2, most))):
        if index:
            text += draw(arrows())
        group = not grouped and draw(st.booleans()) if index else draw(st.booleans())
        grouped = group
        if group:
            text += "(" + draw(st.sampled_from([", ", ","])).join(draw(st.lists(choices, min_size=2, max_size=3))) + ")"
        else:
            text += draw(st.one_of(choices, patterns)) if index == 0 else draw(choices)
    return text


def quoted(text: str) -> str:
    """``text`` as a YAML scalar in double quotes."""
    out = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{out}"'


scalars = st.one_of(
    st.sampled_from(
        ["1", "0x1f", "1.50", "true", "null", "~", "yes", '"no"', "'007'", "2s", "plain words", "a#b", "$X"]
    ),
    words.map(quoted),
    st.sampled_from(["{env: KEY}", "{env: KEY, default: 3}", "[a, 'b c', 3]", "[]", "{}", "{x: {y: [1]}}"]),
)
blocks = st.sampled_from(["|\n      one\n        two # no comment\n\n      three\n", ">-\n      folded\n      text\n"])
comments = st.one_of(st.just(""), st.just(""), words.map(lambda w: "# " + "".join(c for c in w if c.isprintable())))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A whole file that reads without errors, in any order, with comments and blank lines anywhere."""

    def aside() -> str:
        said = draw(comments)
        return f"  {said}" if said else ""

    def above(indent: int) -> str:
        lines = draw(st.lists(st.one_of(st.just(""), comments.map(lambda c: " " * indent + c)), max_size=2))
        return "".join(line.rstrip() + "\n" for line in lines)

    sections: list[str] = []
    pipeline = f"pipeline:{aside()}\n"
    for single in draw(st.lists(st.booleans(), min_size=1, max_size=4)):
        rule = draw(rules(2 if single else 4))
        options = draw(st.sampled_from([": {queue: 3}", ":\n      # why\n      overflow: latest\n"])) if single else ""
        end = options if options.endswith("\n") else f"{options}{aside()}\n"
        pipeline += f"{above(2)}  - {quoted(rule)}{end}"
    pipeline += above(2)
    sections.append(pipeline)
    if draw(st.booleans()):
        sections.append(f"name: {draw(words.map(lambda w: quoted(w)))}{aside()}\n")
    if draw(st.booleans()):
        sections.append(
            f"barge_in: {draw(st.sampled_from(['off', 'on', 'true', '{min_speech: 250ms, min_words: 2}']))}\n"
        )
    if draw(st.booleans()):
        sections.append(f"speculate: {draw(st.sampled_from(['off', 'model', '{stable_for: 0.1, on: synthesis}']))}\n")
    if draw(st.booleans()):
        text = f"connectors:{aside()}\n"
        for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
            keys = draw(st.lists(fields.filter(lambda f: f not in ("use", "env", "timeout")), max_size=3, unique=True))
            keys = [k for k in keys if k not in ("attempts", "backoff", "cooldown", "default", "y", "n", "null")]
            if draw(st.booleans()):
                text += f"{above(2)}  {quoted(name + '.role')}:{aside()}\n    use: v.r\n"
                for key in keys:
                    value = draw(st.one_of(scalars, blocks))
                    text += f"{above(4)}    {quoted(key)}: {value}" + ("" if value.endswith("\n") else aside() + "\n")
            else:
                inside = "".join(f", {quoted(k)}: {draw(scalars)}" for k in keys)
                text += f"{above(2)}  {quoted(name)}: {{use: v.r{inside}}}{aside()}\n"
        sections.append(text + above(2))
    order = draw(st.permutations(sections))
    return above(0) + "".join(above(0) + s for s in order) + above(0)


def without_spans(value: Any) -> Any:
    """``value`` with every place, and the text that rules were written as, left out."""
    if isinstance(value, Span | Source):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names_ = [f.name for f in dataclasses.fields(value) if f.name != "text" and not f.name.endswith("span")]
        return (type(value).__name__, *(without_spans(getattr(value, n)) for n in names_ if n != "keys"))
    if isinstance(value, dict):
        return {k: without_spans(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_spans(v) for v in value]
    return repr(value)  # so that 1, 1.0 and True stay apart


def read(text: str, file: str = "f.echo") -> tuple[Document, Findings]:
    findings = Findings()
    return read_document(Source(file, text), findings), findings
