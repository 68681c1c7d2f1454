"""Who of a room's participants the call is with, and when the call is over because of who came and went."""

from __future__ import annotations


class Attendance:
    """The caller is the participant ``wanted``, or without one the first to come who is no agent; he stays the caller.

    The call ends when nobody has come ``wait`` seconds after ``begin``, and when the caller has been gone for
    ``rejoin`` seconds, or at once when he left for good. Times are the clock's seconds.
    """

    def __init__(self, wanted: str, wait: float, rejoin: float) -> None:
        self._wanted, self._wait, self._rejoin = wanted, wait, rejoin
        self._until: float | None = None
        self._begun = False
        self.caller = ""
        self.present = False

    def begin(self, now: float) -> None:
        """The call goes on from here: whoever is not there is waited for."""
        self._begun = True
        if not self.caller:
            self._until = now + self._wait

    def joined(self, identity: str, *, agent: bool) -> bool:
        """Somebody is there: whether that is the caller."""
        chosen = self.caller or self._wanted
        if chosen and identity != chosen:
            return False
        if not chosen and agent:
            return False
        self.caller, self.present, self._until = identity, True, None
        return True

    def left(self, identity: str, now: float, *, final: bool) -> bool:
        """Somebody has gone, for good or not: whether that was the caller."""
        if not self.present or identity != self.caller:
            return False
        self.present = False
        self._until = now if final else now + self._rejoin
        return True

    def due(self) -> float | None:
        """When the call ends if nobody comes; None while the caller is there."""
        return self._until if self._begun else None

    def over(self, now: float) -> str:
        """Why the call is over; empty while it goes on."""
        due = self.due()
        if due is None or now < due:
            return ""
        if self.caller:
            return "the caller left the room"
        who = f"participant {self._wanted!r}" if self._wanted else "nobody"
        return f"{who} {'did not come' if self._wanted else 'came'} within {self._wait:g} s"
