"""The canonical order of keys: wherever the table of a file knows the keys of a mapping, it knows their order too."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from echostack.language.comments import Entry
from echostack.language.records import ListOf, MapOf, Record
from echostack.language.shapes import Shape
from echostack.language.tree import MappingNode, Node, Pair, SequenceNode


@runtime_checkable
class Choosing(Protocol):
    """A shape that reads by another one, chosen by what it reads."""

    def chosen(self, node: Node) -> Shape | None:
        """The shape that reads ``node``; None when none does."""


def order_entries(entry: Entry, shape: Shape | None) -> None:
    """Put the entries under ``entry``, which has this shape, into order; comments go with what they belong to."""
    record = _at(entry.node, shape)
    if isinstance(record, Record):
        entry.children.sort(key=lambda child: _rank(record, child.pair))
    for child in entry.children:
        order_entries(child, _under(record, child.pair))


def order_node(node: Node, shape: Shape | None) -> None:
    """The same for the tree of a JSON file, which has no comments."""
    record = _at(node, shape)
    if isinstance(node, MappingNode):
        if isinstance(record, Record):
            node.pairs.sort(key=lambda pair: _rank(record, pair))
        for pair in node.pairs:
            order_node(pair.value, _under(record, pair))
    elif isinstance(node, SequenceNode):
        for item in node.items:
            order_node(item, _under(record, None))


def _at(node: Node, shape: Shape | None) -> Shape | None:
    while isinstance(shape, Choosing):
        shape = shape.chosen(node)
    return shape


def _under(shape: Shape | None, pair: Pair | None) -> Shape | None:
    if pair is None:
        return shape.item if isinstance(shape, ListOf) else None
    if isinstance(shape, Record):
        field = shape.fields.get(pair.key.text)
        return field.shape if field is not None else None
    return shape.value if isinstance(shape, MapOf) else None


def _rank(record: Record, pair: Pair | None) -> int:
    """Where a key stands; a sort keeps those that the record does not know in their own order, at the end."""
    keys = list(record.fields)
    return keys.index(pair.key.text) if pair is not None and pair.key.text in record.fields else len(keys)
