"""Scopes and their epochs: the one question whether an event may still be heard, stored or acted on.

An event carries the scope it belongs to and that scope's epoch when it entered. It is current while the scope is
still in that epoch, or when its kind survives interruptions. Scope 0 is "outside any" and never changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from echostack.core.events import Event


class Epochs:
    """The generation number of every scope of a session. All synchronous: nothing here can be interleaved."""

    __slots__ = ("numbers",)

    def __init__(self, scopes: int) -> None:
        self.numbers: list[int] = [0] * (scopes + 1)

    def current(self, event: Event) -> bool:
        """Whether ``event`` is of its scope's present epoch, or survives interruptions."""
        return self.numbers[event.scope] == event.epoch or event.payload.__kind__.keep

    def live(self, cause: Event) -> bool:
        """Whether something made for ``cause`` now is of the present epoch; unlike ``current`` blind to kinds."""
        return self.numbers[cause.scope] == cause.epoch

    def advance(self, scope: int) -> int:
        """Start the scope's next epoch and return its number; everything stamped before is stale from here on."""
        if scope == 0:
            raise AssertionError("scope 0 is outside any interruption")
        self.numbers[scope] += 1
        return self.numbers[scope]

    def snapshot(self) -> Sequence[int]:
        return tuple(self.numbers)
