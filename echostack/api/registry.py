"""The registry a program starts with: the shipped connectors and those that installed packages announce."""

from __future__ import annotations

from collections.abc import Iterable

from echostack.connectors import BUILTIN
from echostack.registry import Registry


def default_registry(plugins: Iterable[str] = (), *, functions: bool = False) -> Registry:
    """A new registry; nothing in it is imported before it is asked for. ``plugins`` are modules to import now.

    UsageError for a plugin that cannot be imported or declares no connector; with ``functions`` it may declare none,
    because it is asked for the functions that scenarios name.
    """
    registry = Registry(BUILTIN).add_entry_points()
    for module in plugins:
        registry.add_module(module, functions=functions)
    return registry
