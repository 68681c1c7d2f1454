"""Effects on the outside world: begun once for one key, not cancelled by an interruption, not begun for a dead turn.

The engine promises what it can see. An effect whose answer did not come (a timeout, the end of the call) may or may
not have reached the far end; the same idempotency key in every try is what lets the far end tell.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Literal

KEYS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """One effect of the call: its idempotency key, the node (of a ``??``, the choice) and how far it came.

    begun: under way, or cancelled by the end of the call, which leaves open whether it was done. done: it answered.
    failed: the node gave it up; after a timeout it may have been done all the same.
    """

    key: str
    node: str
    state: Literal["begun", "done", "failed"]


class Effects:
    """The last ``KEYS_KEPT`` effects that a session has begun, by idempotency key; older ones are forgotten.

    ``begin`` and the check of the epoch before it happen in one synchronous step, so an interruption falls
    before an effect or after its beginning, never between. ``repeated`` counts the events that came with the key of
    an effect already begun, which was not begun again for them.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[str, EffectRecord] = OrderedDict()
        self._answers: dict[str, tuple[Any, ...]] = {}
        self._again: set[str] = set()
        self.repeated = 0

    def begin(self, key: str, node: str) -> bool:
        """Whether the effect may run now: True for a key not begun yet, or let go by ``fail(again=True)``."""
        if key in self._records and key not in self._again:
            self.repeated += 1
            return False
        self._again.discard(key)
        self._records.pop(key, None)
        self._records[key] = EffectRecord(key, node, "begun")
        while len(self._records) > KEYS_KEPT:
            oldest, _ = self._records.popitem(last=False)
            self._answers.pop(oldest, None)
            self._again.discard(oldest)
        return True

    def finish(self, key: str, answers: tuple[Any, ...]) -> None:
        """Keep what the effect answered, for whoever asks again with the same key."""
        if key in self._records:
            self._records[key] = replace(self._records[key], state="done")
            self._answers[key] = answers

    def fail(self, key: str, *, again: bool) -> None:
        """The effect was given up; ``again`` lets another event with the same key begin it again."""
        if key in self._records:
            self._records[key] = replace(self._records[key], state="failed")
            if again:
                self._again.add(key)

    def answers(self, key: str) -> tuple[Any, ...]:
        """What the effect answered; empty while it runs and when it failed."""
        return self._answers.get(key, ())

    def record(self) -> tuple[EffectRecord, ...]:
        """What is remembered, in the order of beginning."""
        return tuple(self._records.values())
