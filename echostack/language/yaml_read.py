"""A whole YAML text to a tree, and as much of a broken one as can be read."""

from __future__ import annotations

import re
from typing import Final

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from echostack.core.diagnostic import Diagnostic, Findings, Label
from echostack.language import codes
from echostack.language.source import Places
from echostack.language.tree import MappingNode, Node, Pair, ScalarNode, SequenceNode
from echostack.language.yaml_tree import compose, rule_start, shorten

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_MOST_CHARACTERS: Final = 10
_MOST_PIECES: Final = 5_000
_KEY_LINE = re.compile(r"([^\s#'\"\[\]{}][^#\n]*?)[ \t]*:[ \t]*(#[^\n]*)?\r?$")


def clean(places: Places, findings: Findings) -> str:
    """The text with every character that no text file holds made a blank, each of them reported."""
    bad = list(_UNPRINTABLE.finditer(places.text))
    for found in bad[:_MOST_CHARACTERS]:
        findings.add(
            Diagnostic(
                codes.CONTROL_CHARACTER,
                f"the character U+{ord(found[0]):04X} may not stand in a file",
                places.span(*found.span()),
                help="remove it; in a text, write it as an escape in double quotes",
            )
        )
    for found in list(_BIDI.finditer(places.text))[:_MOST_CHARACTERS]:
        findings.add(
            Diagnostic(
                codes.BIDI_CONTROL,
                f"the invisible character U+{ord(found[0]):04X} turns the direction of the text after it",
                places.span(*found.span()),
                notes=("What is shown need not be what is read.",),
                help="remove it",
            )
        )
    return _UNPRINTABLE.sub(" ", places.text) if bad else places.text


def read_yaml(places: Places, findings: Findings) -> Node | None:
    """The tree of the source's text. Every finding is added; None when nothing could be read."""
    text = clean(places, findings)
    mine = Findings()
    try:
        root = compose(places, mine, text)
    except YAMLError as error:
        return _recover(places, findings, text, error)
    _move(mine, findings)
    return root


def _move(mine: Findings, findings: Findings) -> None:
    for diagnostic in mine.items:
        findings.add(diagnostic)


def _recover(places: Places, findings: Findings, text: str, error: YAMLError) -> Node | None:
    """Read the sections one by one; where one is broken, its entries one by one."""
    mine = Findings()
    sections = _split(text, 0, len(text), 0)
    pairs: list[Pair] = []
    seen: dict[str, ScalarNode] = {}
    if len(sections) <= _MOST_PIECES:
        for start, end in sections:
            for pair in _section(places, mine, text, start, end):
                first = seen.setdefault(pair.key.text, pair.key)
                if first is pair.key:
                    pairs.append(pair)
                else:
                    mine.add(
                        Diagnostic(
                            codes.DUPLICATE_KEY,
                            f"the key `{shorten(pair.key.text)}` stands here for the second time",
                            pair.key.span,
                            related=(Label(first.span, "first here"),),
                            notes=("Only one of the two could count, and YAML does not say which.",),
                            help="remove one of them, or join what they hold",
                        )
                    )
    if not mine.errors:
        mine.add(_syntax(places, error, 0))
    _move(mine, findings)
    return MappingNode(places, 0, len(text), pairs) if pairs else None


def _section(places: Places, findings: Findings, text: str, start: int, end: int) -> list[Pair]:
    mine = Findings()
    try:
        node = compose(places, mine, text[start:end], start, piece=True)
    except YAMLError as error:
        return _broken_section(places, findings, text, start, end, error)
    _move(mine, findings)
    if isinstance(node, MappingNode):
        return node.pairs
    if node is not None and not findings.errors:
        said = shorten(text[start:end].strip())
        findings.add(
            Diagnostic(
                codes.YAML_SYNTAX,
                f"`{said}` stands between the sections and belongs to none",
                node.span,
                help="indent it under its section, or give it a key and a colon",
            )
        )
    return []


def _broken_section(
    places: Places, findings: Findings, text: str, start: int, end: int, error: YAMLError
) -> list[Pair]:
    head_end = text.find("\n", start, end)
    head = _KEY_LINE.match(text[start : head_end if head_end >= 0 else end])
    body = head_end + 1
    pieces: list[tuple[int, int]] = []
    if head is not None and head_end >= 0:
        indent = _indent(text, body, end)
        pieces = _split(text, body, end, indent)
    if head is None or not pieces or len(pieces) > _MOST_PIECES:
        findings.add(_syntax(places, error, start, flow_rules=text.startswith("pipeline", start)))
        return []
    name = head[1]
    key = ScalarNode(places, start, start + len(name), name, name)
    rules = name == "pipeline"
    items: list[Node] = []
    pairs: list[Pair] = []
    failed = False
    for first, last in pieces:
        mine = Findings()
        try:
            node = compose(places, mine, text[first:last], first, piece=True)
        except YAMLError as inner:
            failed = True
            findings.add(_item(places, text, first, last, inner, rules=rules))
            continue
        _move(mine, findings)
        if isinstance(node, SequenceNode):
            items.extend(node.items)
        elif isinstance(node, MappingNode):
            pairs.extend(node.pairs)
    if not failed:
        findings.add(_syntax(places, error, start))
    value: Node
    if items or (not pairs and rules):
        value = SequenceNode(places, body, end, items, broken=failed and not items)
    else:
        value = MappingNode(places, body, end, pairs, broken=not pairs)
    return [Pair(key, value)]


def _indent(text: str, start: int, end: int) -> int:
    for line in text[start:end].split("\n"):
        bare = line.lstrip(" ")
        if bare.strip() and not bare.startswith("#"):
            return len(line) - len(bare)
    return 0


def _split(text: str, start: int, end: int, indent: int) -> list[tuple[int, int]]:
    """The pieces of ``text[start:end]`` that begin at lines indented by ``indent`` blanks; their offsets."""
    starts: list[int] = []
    at = start
    while 0 <= at < end:
        stop = text.find("\n", at, end)
        line = text[at : stop if stop >= 0 else end]
        bare = line.lstrip(" ")
        here = len(line) - len(bare)
        closing = bare[:1] in ("]", "}", ")", "'", '"') and bool(starts) and bare[:1] not in "'\""
        marker = line.rstrip() in ("---", "...") or line.startswith("%")
        opens = bare.strip() and bare[0] != "\t" and not bare.startswith("#") and not closing and not marker
        if opens and (here == indent or (here < indent and bool(starts))):
            starts.append(at)
        at = stop + 1 if stop >= 0 else -1
    return list(zip(starts, [*starts[1:], end], strict=True)) if starts else []


def _item(places: Places, text: str, first: int, last: int, error: YAMLError, *, rules: bool) -> Diagnostic:
    """The finding for a list item or an entry that is not YAML."""
    piece = text[first:last]
    if rules:
        trap = rule_start(places, first)
        if trap is not None:
            return trap
        one = piece.strip()
        bare = one[1:].strip() if one.startswith("-") else one
        if ": " in bare and bare[:1] not in "\"'":
            at = first + piece.index(": ")
            return colon_cuts(places, at, bare.split("\n", 1)[0])
    return _syntax(places, error, first)


def colon_cuts(places: Places, colon: int, rule: str) -> Diagnostic:
    """The finding for a rule that a colon and a blank have cut in two."""
    said = shorten(rule, 200)
    quoted = f"'{said}'" if '"' in said else f'"{said}"'
    return Diagnostic(
        codes.COLON_CUTS,
        "the colon and the blank after it cut the rule in two",
        places.span(colon, colon + 2),
        notes=("In YAML `: ` ends a key: what stands after it is no longer part of the rule.",),
        help=f"quote the whole rule: {quoted}",
    )


_SENTENCES: Final = (
    ("cannot start any token", "no value may begin with this character", "quote the value"),
    ("mapping values are not allowed", "a second colon on this line", "quote the value, or begin a new line"),
    ("could not find expected ':'", "a key without its colon", "end the key with a colon and a blank"),
    ("found unexpected end of stream", "quotes are not closed before the file ends", "close the quotes"),
    ("expected ',' or ']'", "a list that began with [ is not closed properly",
     "separate items by commas, close with ]"),
    ("expected ',' or '}'", "a mapping that began with { is not closed properly",
     "separate entries by commas, close with }"),
    ("expected <block end>", "this line does not go on with what stands above it",
     "indent it like its neighbours; quote a value that begins with * [ { \" @ or !"),
    ("unknown escape", "a backslash in double quotes begins an escape, and this is none",
     "double the backslash, or use single quotes"),
    ("expected escape sequence", "an escape in double quotes has too few digits", "write all its digits"),
    ("expected chomping or indentation", "text on the line of | or >", "begin the text on the next line"),
    ("expected a comment or a line break", "text on the line of | or >", "begin the text on the next line"),
    ("sequence entries are not allowed", "a list may not begin on this line", "begin it on the next line"),
    ("expected the node content", "a value is missing here", "write the value"),
    ("expected alphabetic or numeric", "* or & without a name", "quote a text that begins with * or &"),
    ("found duplicate anchor", "the same anchor twice", "give each anchor a name of its own"),
    ("found undefined tag handle", "a tag that is not declared", "remove the tag"),
    ("found unexpected document separator", "`---` or `...` inside quotes", "close the quotes before it"),
)  # fmt: skip


def _syntax(places: Places, error: YAMLError, base: int, *, flow_rules: bool = False) -> Diagnostic:
    problem = str(getattr(error, "problem", "") or "")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    at = base + (int(mark.index) if mark is not None else 0)
    at = min(at, len(places.text))
    place = places.span(at, at + 1)
    related: tuple[Label, ...] = ()
    context = getattr(error, "context_mark", None)
    if isinstance(error, MarkedYAMLError) and context is not None and context.line != getattr(mark, "line", None):
        began = base + int(context.index)
        related = (Label(places.span(began, began + 1), "what it belongs to begins here"),)
    line, _ = places.line_column(at)
    head = places.text[places.line_start(line) : at + 1]
    if "\t" in head and not head.strip():
        tab = places.line_start(line) + head.index("\t")
        return Diagnostic(
            codes.TAB_INDENT,
            "a tab stands in the indentation",
            places.span(tab, tab + 1),
            notes=("YAML indents with blanks only.",),
            help="replace each tab by two blanks",
        )
    if places.text[at : at + 1] == "\t":
        return Diagnostic(
            codes.TAB_INDENT,
            "a tab stands outside quotes",
            place,
            help="replace it by blanks, or quote the text that it belongs to",
        )
    if flow_rules and "," in problem:
        return Diagnostic(
            codes.COMMA_CUTS,
            "a rule in a [ ] list ends at its first comma or bracket",
            place,
            related=related,
            help="write each rule on a line of its own, after `- `, or quote it",
        )
    for part, message, fix in _SENTENCES:
        if part in problem:
            return Diagnostic(codes.YAML_SYNTAX, message, place, related=related, help=fix)
    said = shorten(problem or str(error).split("\n", 1)[0])
    return Diagnostic(codes.YAML_SYNTAX, f"this is not YAML: {said}", place, related=related)
