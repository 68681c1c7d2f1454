"""How a call ends by itself: the end of the sources runs through the graph like one last event.

A node has ended when every edge into it has; then its inbox closes, its connector sees the end of its input,
gives its last answers and ends in turn. What the engine tells of playout ends with the egresses, so that a transcript
has the words that are played last. Nodes that only the engine's other events feed (error and control routes), and
cycles on purpose, have no such end of their own: they are closed when everything else has ended and they are idle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from echostack.core.payloads import PlayoutFinished
from echostack.plan.model import ENGINE, Plan
from echostack.registry import Form
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
            if edge.source != ENGINE:
                self._lead(choice.get(edge.source, edge.source), edge.target)
        mouths = [n.id for n in plan.nodes.values() if n.spec is not None and n.spec.form is Form.SINK]
        told = dict.fromkeys(e.target for e in plan.edges if e.source == ENGINE and PlayoutFinished in e.payloads)
        for target in told:
            if target not in mouths and not self._reaches(target, mouths):  # what is played next may hang on it
                for mouth in mouths:
                    self._lead(mouth, target)

    def _lead(self, source: str, target: str) -> None:
        self._onward.setdefault(source, []).append(target)
        self._open[target] = self._open.get(target, 0) + 1

    def _reaches(self, node: str, goals: list[str]) -> bool:
        seen, left = {node}, [node]
        while left:
            for target in self._onward.get(left.pop(), ()):
                if target in goals:
                    return True
                if target not in seen:
                    seen.add(target)
                    left.append(target)
        return False

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
