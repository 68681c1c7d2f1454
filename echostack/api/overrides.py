"""Settings given from outside a file: ``--set node.key=value`` and ``compile(settings=...)``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import networkx as nx

from echostack.core.diagnostic import did_you_mean
from echostack.core.errors import UsageError
from echostack.core.span import Span
from echostack.graph.model import Graph, Node
from echostack.language.data import Mapping_, Scalar, Sequence_, Value

PLACE = Span("<settings>", 1, 1, 1, 1)


def with_settings(graph: Graph, settings: Mapping[str, Any]) -> Graph:
    """A copy of ``graph`` with ``{"node.key": value}`` (or ``{"node": {key: value}}``) laid over its settings.

    The longest node name that fits wins, so ``deepgram.stt.model`` sets ``model`` of ``deepgram.stt``; deeper keys
    reach into mappings. UsageError for a node that the graph does not have, and for a path without a setting.
    """
    nodes = dict(graph.nodes)
    for path, value in _flat(settings):
        name, keys = _split(path, nodes)
        nodes[name] = dataclasses.replace(nodes[name], settings=_laid(nodes[name].settings, keys, value))
    net: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for name, node in nodes.items():
        net.add_node(name, node=node)
    for edge in graph.edges:
        net.add_edge(edge.source, edge.target, edge=edge)
    return dataclasses.replace(graph, net=net)


def _flat(settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat += [(f"{key}.{inner}", item) for inner, item in value.items()]
        else:
            flat.append((key, value))
    return flat


def _split(path: str, nodes: Mapping[str, Node]) -> tuple[str, list[str]]:
    parts = path.split(".")
    if path in nodes or not all(parts):
        raise UsageError(f"cannot set {path!r}: name the node and the setting, such as faq.agent.greeting")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        if name in nodes:
            return name, parts[length:]
    known = [n.id for n in nodes.values() if n.use]
    near = did_you_mean(".".join(parts[:-1]), known)
    hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(sorted(known))}"
    raise UsageError(f"cannot set {path!r}: the graph has no node {'.'.join(parts[:-1]) or path!r}{hint}")


def _laid(settings: Mapping_ | None, keys: list[str], value: Any) -> Mapping_:
    items = dict(settings.items) if settings is not None else {}
    spans = dict(settings.keys) if settings is not None else {}
    key, rest = keys[0], keys[1:]
    if rest:
        inner = items.get(key)
        items[key] = _laid(inner if isinstance(inner, Mapping_) else None, rest, value)
        spans.setdefault(key, PLACE)
    else:
        items[key] = _value(value)
        spans[key] = PLACE  # a mistake in it is not the file's
    return Mapping_(items, spans, settings.span if settings is not None else PLACE)


def _value(value: Any) -> Value:
    if isinstance(value, Mapping):
        return Mapping_({k: _value(v) for k, v in value.items()}, dict.fromkeys(value, PLACE), PLACE)
    if isinstance(value, list | tuple):
        return Sequence_(tuple(_value(v) for v in value), PLACE)
    return Scalar(value, PLACE)
