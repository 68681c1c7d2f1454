"""What connectors make of their settings, kept for the next call with the same ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from echostack.registry import ConnectorSettings

S = TypeVar("S", bound=ConnectorSettings)
T = TypeVar("T")

KEPT = 32
"""Settings of one connector whose tables are kept: graphs that one process runs in turn."""


class PerSettings(Generic[S, T]):
    """``make(settings)``, made once for one settings object. A pipeline gives the same object to all of its calls, and
    settings do not change after they were checked; what is made of them must not change either, since calls share it.

    Keeps the last ``KEPT``, and the settings with them, so that an address stands for one object only.
    """

    def __init__(self, make: Callable[[S], T]) -> None:
        self._make = make
        self._made: OrderedDict[int, tuple[S, T]] = OrderedDict()

    def __call__(self, settings: S) -> T:
        found = self._made.get(id(settings))
        if found is None:
            found = self._made[id(settings)] = settings, self._make(settings)
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return found[1]
