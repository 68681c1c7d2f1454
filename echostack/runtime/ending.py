"""How a call ends by itself: the end of the sources runs through the graph like one last event.

A node has ended when every edge into it has; then its inbox closes, its connector sees the end of its input,
gives its last answers and ends in turn. Nodes that only the engine feeds (error and control routes), and cycles on
purpose, have no such end of their own: they are closed when everything else has ended and they are idle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from echostack.plan.model import ENGINE, Plan
from echostack.runtime.driver import Driver


class Ending:
    """The wave of one session. ``ended(node)`` is called once for each driver that has ended."""

    def __init__(self, plan: Plan, drivers: Mapping[str, Driver]) -> None:
        self._plan, self._drivers = plan, drivers
        self._open: dict[str, int] = {}
        self._onward: dict[str, list[str]] = {}
        self._gone: set[str] = set()
        choice = {member: node.id for node in plan.nodes.values() for member in node.members}
        for edge in plan.edges:
            if edge.source == ENGINE:
                continue
            source = choice.get(edge.source, edge.source)
            self._onward.setdefault(source, []).append(edge.target)
            self._open[edge.target] = self._open.get(edge.target, 0) + 1

    def ended(self, node: str) -> None:
        """``node`` will produce no more: close what only it still fed."""
        wave = [node]
        while wave:
            current = wave.pop()
            if current in self._gone:
                continue
            self._gone.add(current)
            for target in self._onward.get(current, ()):
                self._open[target] -= 1
                if self._open[target] == 0:
                    wave += self._close(target)

    def _close(self, node: str) -> list[str]:
        driver = self._drivers.get(node)
        if driver is None:
            return [node]
        driver.inbox.close()
        return []

    def must_ask(self, is_source: Callable[[str], bool]) -> bool:
        """Whether somebody must look for idle drivers to close: the end of the others does not reach every one."""
        gone, left = set(self._gone), dict(self._open)
        wave = [n for n, d in self._drivers.items() if is_source(n) or d.inbox.closed]
        while wave:
            current = wave.pop()
            if current in gone:
                continue
            gone.add(current)
            for target in self._onward.get(current, ()):
                left[target] -= 1
                if left[target] == 0:
                    wave.append(target)
        return any(n not in gone for n in self._drivers)

    def close_idle(self, is_source: Callable[[str], bool]) -> bool:
        """Close every inbox still open, if nothing more can reach one; whether that was so.

        A driver whose inbox is closed is still giving its last answers until it has ended.
        """
        left = [d for n, d in self._drivers.items() if n not in self._gone and not is_source(n)]
        if any(d.inbox.closed or not d.resting for d in left):
            return False
        waiting = [d for d in left if not d.inbox.closed]
        for driver in waiting:
            driver.inbox.close()
        return True
