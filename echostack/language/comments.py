"""Where each comment of a YAML text belongs, so that it can travel with what it stands above or beside."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from echostack.language.source import Places
from echostack.language.tree import MappingNode, Node, Pair, ScalarNode, SequenceNode

_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*", re.MULTILINE)


@dataclass(eq=False)
class Entry:
    """An item of a list or a pair of a mapping, with the text that is not data.

    ``above``: whole lines before it, ``""`` for a blank one; ``beside``: the comment at the end of its line;
    ``foot``: whole lines after the last entry of the collection that is its value.
    """

    node: Node
    pair: Pair | None
    column: int
    start: int
    parent: Entry | None
    above: list[str] = field(default_factory=list)
    beside: str = ""
    foot: list[str] = field(default_factory=list)
    children: list[Entry] = field(default_factory=list)

    @property
    def commented(self) -> bool:
        """Whether a comment stands anywhere under this entry's own line."""
        return any(self.foot) or any(c.beside or any(c.above) or c.commented for c in self.children)


@dataclass(frozen=True)
class _Comment:
    start: int
    line: int
    column: int
    text: str
    alone: bool


def entries(places: Places, root: Node) -> Entry:
    """The entries of the document under one for the root, every comment and blank line given to one of them."""
    top = Entry(root, None, -1, -1, None)
    order: list[Entry] = []
    _walk(places, top, order)
    scalars: list[tuple[int, int]] = []
    _scalars(root, scalars)
    comments = _comments(places, scalars)
    _attach(places, top, order, comments)
    _blank_lines(places, order)
    return top


def _walk(places: Places, entry: Entry, order: list[Entry]) -> None:
    node = entry.node
    if node.alias:
        return
    children: list[tuple[Node, Pair | None, int]] = []
    if isinstance(node, SequenceNode):
        children = [(i, None, i.alias_at[0] if i.alias else i.start) for i in node.items]
    elif isinstance(node, MappingNode):
        children = [(p.value, p, p.key.start) for p in node.pairs]
    for child, pair, start in children:
        column = places.line_column(start)[1]
        if isinstance(node, SequenceNode) and not node.flow:
            # An item of a block list begins at its dash.
            dash = places.text.rfind("-", 0, start)
            line, at = places.line_column(dash)
            if places.text[places.line_start(line) : dash].strip(" -") == "" or line == places.line_column(start)[0]:
                start, column = dash, at
        made = Entry(child, pair, column, start, entry)
        entry.children.append(made)
        order.append(made)
        _walk(places, made, order)


def _scalars(node: Node, found: list[tuple[int, int]]) -> None:
    if node.alias:
        found.append(node.alias_at)
        return
    match node:
        case ScalarNode():
            start = node.start
            if node.style in ("|", ">"):
                # A comment may stand on the line of | or >; the text begins on the next.
                newline = node.places.text.find("\n", node.start, node.end)
                start = newline if newline >= 0 else node.end
            found.append((start, node.end))
        case SequenceNode():
            for item in node.items:
                _scalars(item, found)
        case MappingNode():
            for pair in node.pairs:
                _scalars(pair.key, found)
                _scalars(pair.value, found)
        case _:
            pass


def _comments(places: Places, scalars: list[tuple[int, int]]) -> list[_Comment]:
    scalars.sort()
    starts = [s for s, _ in scalars]
    found: list[_Comment] = []
    at = 0
    while (match := _COMMENT.search(places.text, at)) is not None:
        index = bisect_right(starts, match.start()) - 1
        if index >= 0 and match.start() < scalars[index][1]:
            at = max(scalars[index][1], match.start() + 1)
            continue
        line, column = places.line_column(match.start())
        alone = not places.text[places.line_start(line) : match.start()].strip()
        found.append(_Comment(match.start(), line, column, match[0].rstrip(), alone))
        at = match.end()
    return found


def _attach(places: Places, top: Entry, order: list[Entry], comments: list[_Comment]) -> None:
    anchors = sorted(_anchors(order), key=lambda a: a[0])
    anchor_at = [a[0] for a in anchors]
    starts = [e.start for e in order]
    for comment in comments:
        if not comment.alone:
            index = bisect_right(anchor_at, comment.start) - 1
            if index >= 0:
                offset, entry = anchors[index]
                if places.line_column(offset)[0] == comment.line and not entry.beside:
                    entry.beside = comment.text
                    continue
        index = bisect_right(starts, comment.start)
        after = order[index] if index < len(order) else None
        before = order[index - 1] if index else None
        owner = _foot_of(top, before, after, comment.column)
        if owner is not None:
            lines = owner.foot
        else:
            lines = after.above if after is not None else top.foot
        if comment.alone and _blank_before(places, comment.line):
            lines.append("")
        lines.append(comment.text)


def _anchors(order: list[Entry]) -> list[tuple[int, Entry]]:
    """The offsets after which a comment on the same line stands beside an entry."""
    found: list[tuple[int, Entry]] = []
    for entry in order:
        node = entry.node
        if entry.pair is not None:
            found.append((entry.pair.key.end, entry))
        if node.alias:
            found.append((node.alias_at[1], entry))
        elif isinstance(node, ScalarNode):
            head = node.start if node.style in ("|", ">") else node.end
            found.append((head, entry))
        elif isinstance(node, SequenceNode | MappingNode) and node.flow:
            found.append((node.end, entry))
    return found


def _foot_of(top: Entry, before: Entry | None, after: Entry | None, column: int) -> Entry | None:
    """The entry whose collection a comment closes, when it is indented deeper than what follows it."""
    if before is None or (after is not None and column <= after.column):
        return None
    collection: Entry | None = before.parent if not before.children else before
    inside = _ancestors(after.parent) if after is not None else set()
    while collection is not None and collection is not top:
        if collection in inside:
            return None  # what follows belongs to the same collection, so the comment stands above it
        if collection.children and collection.children[0].column <= column:
            return collection
        collection = collection.parent
    return None if after is not None else top


def _ancestors(entry: Entry | None) -> set[Entry]:
    found: set[Entry] = set()
    while entry is not None:
        found.add(entry)
        entry = entry.parent
    return found


def _blank_before(places: Places, line: int) -> bool:
    """Whether the line before ``line`` is blank."""
    return line > 1 and not places.text[places.line_start(line - 1) : places.line_start(line)].strip()


def _blank_lines(places: Places, order: list[Entry]) -> None:
    """Keep one blank line between an entry and what stands before it, where the author left some."""
    seen = 0
    for entry in order:
        line = places.line_column(entry.start)[0]
        if line != seen and _blank_before(places, line):
            entry.above.append("")
        seen = line
