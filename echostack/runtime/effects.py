"""Effects on the outside world: begun once for one key, never cancelled once begun, never begun for a dead turn."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

KEYS_KEPT = 4096


class Effects:
    """The effects that a session has begun, by idempotency key.

    ``begin`` and the check of the epoch before it happen in one synchronous step, so an interruption falls
    before an effect or after its beginning, never between. The oldest keys are forgotten past ``KEYS_KEPT``.
    """

    def __init__(self) -> None:
        self._begun: OrderedDict[str, tuple[Any, ...] | None] = OrderedDict()
        self.repeated = 0

    def begin(self, key: str) -> bool:
        """Whether the effect may run now: True exactly once for a key."""
        if key in self._begun:
            self.repeated += 1
            return False
        self._begun[key] = None
        while len(self._begun) > KEYS_KEPT:
            self._begun.popitem(last=False)
        return True

    def finish(self, key: str, answers: tuple[Any, ...]) -> None:
        """Keep what the effect answered, for whoever asks again with the same key."""
        if key in self._begun:
            self._begun[key] = answers

    def answers(self, key: str) -> tuple[Any, ...]:
        """What the effect answered, empty while it runs or when it failed."""
        return self._begun.get(key) or ()

    def unbegin(self, key: str) -> None:
        """The attempt failed before it reached the far end; the key may be used again."""
        self._begun.pop(key, None)

    @property
    def begun(self) -> tuple[str, ...]:
        return tuple(self._begun)
