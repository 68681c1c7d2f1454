"""The menu of what a local provider can be made to do wrong, and the list of what is still to go wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FaultKind(StrEnum):
    """What goes wrong. One exchange is one HTTP request, or one websocket from its opening to its end."""

    SLOW = "slow"  # the first answer comes `seconds` late, and so does each one after it
    CUT = "cut"  # the connection breaks in the middle of a frame, after `after` messages of the server
    MALFORMED = "malformed"  # after `after` messages comes one that cannot be read; then it goes on as always
    UNAUTHORISED = "unauthorised"  # 401: the key is not taken
    RATE_LIMITED = "rate_limited"  # 429, with the hint to come again after `seconds`
    UNAVAILABLE = "unavailable"  # the provider's own 5xx for "overloaded"
    HALF_OPEN = "half_open"  # the connection stands, and after `after` messages nothing comes and nothing is read
    DUPLICATE = "duplicate"  # every message comes twice
    ENDLESS = "endless"  # the answer never comes to its end: the last message is sent again and again


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: it strikes ``times`` exchanges (0: all of them), after ``skip`` exchanges that go well."""

    kind: FaultKind
    seconds: float = 1.0
    after: int = 0
    times: int = 1
    skip: int = 0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """``cut``, ``slow,seconds=2``, ``half_open,after=3,times=0``. ValueError that says what is wrong."""
        name, *options = (part.strip() for part in text.split(","))
        kinds = [k.value for k in FaultKind]
        if name not in kinds:
            raise ValueError(f"{name!r} is not a fault: there are {', '.join(kinds)}")
        given: dict[str, float | int] = {}
        for option in options:
            key, sign, value = option.partition("=")
            try:
                if key not in _OPTIONS or not sign:
                    raise ValueError
                number = _OPTIONS[key](value)
                if not 0 <= number <= 86_400:
                    raise ValueError
            except ValueError:
                raise ValueError(
                    f"{option!r} is not an option of a fault: "
                    "write seconds=NUMBER, after=COUNT, times=COUNT or skip=COUNT"
                ) from None
            given[key] = number
        return cls(FaultKind(name), **given)  # type: ignore[arg-type]


_OPTIONS: Final = {"seconds": float, "after": int, "times": int, "skip": int}


class Faults:
    """What is still to go wrong with one server, in order: an exchange meets the first fault that is due."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._waiting: deque[list[int | Fault]] = deque()
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Have ``fault`` strike from the next exchange on."""
        self._waiting.append([fault.skip, fault.times, fault])

    def clear(self) -> None:
        """Let everything go well from the next exchange on."""
        self._waiting.clear()

    def next(self) -> Fault | None:
        """The fault that the exchange which begins now meets, if any."""
        if not self._waiting:
            return None
        first = self._waiting[0]
        skip, times, fault = first
        assert isinstance(skip, int)
        assert isinstance(times, int)
        assert isinstance(fault, Fault)
        if skip > 0:
            first[0] = skip - 1
            return None
        if times == 1:
            self._waiting.popleft()
        elif times:
            first[1] = times - 1
        return fault
