"""Connectors that say when they are opened and closed."""

from __future__ import annotations

from typing import Any

from echostack.core.payloads import Text
from echostack.registry import Context, connector
from tests.runtime.cast import hears


class Doors:
    """Connectors ``one.door`` and ``two.door`` that say when they are opened and closed."""

    def __init__(self, opens: Any = None, closes: Any = None) -> None:
        self.log: list[str] = []
        self.cast = (self._door("one", None, None), self._door("two", opens, closes))

    def _door(self, name: str, opens: Any, closes: Any) -> Any:
        log = self.log

        @connector(f"{name}.door")
        class Door:
            def __init__(self, context: Context) -> None:
                self._clock = context.clock

            async def open(self) -> None:
                log.append(f"open {name}")
                if opens is not None:
                    await opens(self._clock)

            async def close(self) -> None:
                log.append(f"close {name}")
                if closes is not None:
                    await closes(self._clock)

            async def __call__(self, text: Text) -> None:
                await self._clock.sleep(0.0)

        return Door


DOORS = hears("ear.stt -> one.door", "ear.stt -> two.door")
