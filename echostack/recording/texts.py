"""A `.echo` file without its words: its nodes, rules and names stay, and what it says to callers goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from echostack.core.diagnostic import Findings
from echostack.core.span import Source
from echostack.language.reader import read_tree
from echostack.language.tree import MappingNode, Node, ScalarNode, SequenceNode
from echostack.language.yaml_tree import plain_value
from echostack.recording.format import MASK
from echostack.recording.redact import redact_text

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_COMMENT = re.compile(r"(?:(?<=\s)|^)#.*$", re.MULTILINE)
_DURATION = re.compile(r"[0-9.]+ ?(ms|s|m|h|min)?")
_NAME = re.compile(r"[A-Za-z_][\w./-]*")
_NAMES = ("echostack", "name", "budget", "interface", "turns", "speculate")
"""Sections in which nothing is anybody's words."""

Edit = tuple[int, int, str]


def redact_source(source: Source, named: Mapping[str, frozenset[str]]) -> str:
    """The text of a file, redacted: comments, descriptions, texts of settings and guards; its tests are left out.

    named: by the name of a connector, the settings whose text is one of a few names, and stays. A file that does not
    read loses all its letters.
    """
    root = read_tree(source, Findings())
    if root is None:
        return redact_text(source.text)
    text = source.text
    edits = list(_edits(root, (), named))
    for comment in _COMMENT.finditer(text):
        if not any(start < comment.end() and comment.start() < end for start, end in _scalars(root)):
            edits.append((comment.start(), comment.end(), redact_text(comment[0])))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + "\n" * (source.text.count("\n", start, end) - new.count("\n")) + text[end:]
    return text


def _edits(node: Node, path: tuple[str, ...], named: Mapping[str, frozenset[str]]) -> Iterator[Edit]:
    if node.alias:
        return  # what it stands for is redacted where it is written
    match node:
        case ScalarNode():
            if isinstance(node.value, str):
                yield from _scalar(node, path, named)
        case SequenceNode():
            for item in node.items:
                yield from _edits(item, path, named)
        case MappingNode():
            for pair in node.pairs:
                inside = (*path, pair.key.text)
                if inside == ("tests",):
                    yield pair.value.start, pair.value.end, "[]"
                    continue
                if path[:1] == ("pipeline",):
                    yield from _rule(pair.key)
                elif path and not _NAME.fullmatch(pair.key.text):
                    yield _written(pair.key, redact_text(pair.key.text))
                yield from _edits(pair.value, inside, named)


def _scalar(node: ScalarNode, path: tuple[str, ...], named: Mapping[str, frozenset[str]]) -> Iterator[Edit]:
    section = path[0] if path else ""
    if section == "pipeline":
        yield from _rule(node)
    elif not _stays(node, path, named):
        yield _written(node, redact_text(node.text))


def _stays(node: ScalarNode, path: tuple[str, ...], named: Mapping[str, frozenset[str]]) -> bool:
    section, last = (path[0], path[-1]) if path else ("", "")
    if section in _NAMES or last == "env" or node.text == MASK or _DURATION.fullmatch(node.text):
        return True
    if section == "barge_in":
        return last != "backchannels"
    if section == "imports":
        return len(path) == 2 or (len(path) == 3 and last == "path")
    if section == "playbooks":
        return len(path) == 3 and last == "mode"
    if section == "connectors" and len(path) > 2:
        return path[2:] == ("use",) or ".".join(path[2:]) in named.get(path[1], frozenset())
    return section == "connectors" and len(path) == 2


def _rule(node: ScalarNode) -> Iterator[Edit]:
    """A rule of the pipeline: only what its guard compares with is anybody's text."""
    text = _QUOTED.sub(lambda quoted: redact_text(quoted[0]), node.text)
    if text != node.text:
        yield _written(node, text)


def _written(node: ScalarNode, text: str) -> Edit:
    """``text`` in the place of ``node``: as it was written, where that still means the same, or else in quotes."""
    if node.style == "" and node.raw == node.text and len(text) == len(node.text) and _plain(text):
        return node.start, node.end, text
    return node.start, node.end, json.dumps(text, ensure_ascii=False)


def _plain(text: str) -> bool:
    try:
        return isinstance(plain_value(text), str)
    except ValueError:
        return False


def _scalars(node: Node) -> Iterator[tuple[int, int]]:
    match node:
        case ScalarNode():
            yield node.start, node.end
        case SequenceNode():
            for item in node.items:
                yield from _scalars(item)
        case MappingNode():
            for pair in node.pairs:
                yield from _scalars(pair.key)
                yield from _scalars(pair.value)
