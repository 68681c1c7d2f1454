"""Replies by a Python function of a plugin, which a scenario names in place of a list of replies."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from echostack.core.errors import ConnectorFailure, InDoubt, UsageError
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.raised import raised_at, shown, told
from echostack.language.scenario import Script
from echostack.registry import ConnectorSpec, Out, Simulator
from echostack.simulation.guards import NotVirtual
from echostack.simulation.scripts import Given, Placed, text_given
from echostack.simulation.world import Answers, World


class Answerer:
    """What a plugin's function answers for one node: ``function(payload, simulator)``.

    It gives a text (said as the connector says it), a payload, an Out, several of them, or None for no answer; it may
    be an async function where the connector may wait. Whatever it raises is the node's own failure.
    """

    def __init__(self, spec: ConnectorSpec, script: Script, function: Answers) -> None:
        self._spec, self._script, self._function = spec, script, function
        self.simulator: Simulator | None = None
        self._last: tuple[int, Given] | None = None

    def take(self, event: Event) -> Given | Awaitable[Given | None] | None:
        """What is answered to ``event``: the same again for another try of the same one."""
        if self._last is not None and self._last[0] == event.seq:
            return self._last[1]
        answer = self._ask(event.payload)
        if inspect.isawaitable(answer):
            return self._awaited(event, answer)
        return self._kept(event, answer)

    def take_now(self, event: Event) -> Given | None:
        """The same for a node that answers in place."""
        if self._last is None or self._last[0] != event.seq:
            self._last = event.seq, self.reply(event.payload)
        return self._last[1]

    def reply(self, payload: Payload) -> Given:
        """The same for a payload by itself, at once. UsageError for an async function."""
        answer = self._ask(payload)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise UsageError(f"{self._script.span}: {self._script.answers} is async, and {self._spec.name} cannot wait")
        return self._given(answer)

    def snapshot(self) -> Any:
        """What it answered last; ``restore`` goes back to it."""
        return self._last

    def restore(self, snapshot: Any) -> None:
        self._last = snapshot

    async def _awaited(self, event: Event, answer: Awaitable[Any]) -> Given:
        with _told_where():
            found = await answer
        return self._kept(event, found)

    def _ask(self, payload: Payload) -> Any:
        with _told_where():
            return self._function(payload, self.simulator)

    def _kept(self, event: Event, answer: Any) -> Given:
        given = self._given(answer)
        self._last = event.seq, given
        return given

    def _given(self, answer: Any) -> Given:
        if answer is None:
            return Given()
        if isinstance(answer, str):
            return text_given(self._spec, answer, self._script.span)
        if isinstance(answer, Payload | Out):
            return Given((self._placed(answer),))
        if isinstance(answer, Iterable) and not isinstance(answer, bytes | dict):
            with _told_where():  # a generator's own code runs here
                listed = list(answer)
            items = [self._given(item) for item in listed]
            outputs = tuple(placed for given in items for placed in given.outputs)
            return Given(
                outputs, in_kinds=tuple(placed for given in items for placed in given.in_kinds or given.outputs)
            )
        raise self._wrong(f"gives {type(answer).__name__}, and not a text, a payload or several of them")

    def _placed(self, answer: Payload | Out) -> Placed:
        payload, port = (answer.payload, answer.port) if isinstance(answer, Out) else (answer, "")
        if type(payload) not in self._spec.produces:
            makes = ", ".join(p.__kind__.name for p in self._spec.produces) or "nothing"
            raise self._wrong(f"gives {payload.__kind__.name}, and {self._spec.name} makes {makes}")
        return Placed(payload, port)

    def _wrong(self, what: str) -> UsageError:
        return UsageError(f"{self._script.span}: {self._script.answers} {what}")


def answerer(spec: ConnectorSpec, script: Script, world: World) -> Answerer:
    """The function that ``script`` names. UsageError when no plugin has it."""
    function = world.answers.get(script.answers)
    if function is None:
        has = ", ".join(sorted(world.answers)) or "none"
        raise UsageError(
            f"{script.span}: there is no function {script.answers!r} to answer for {script.node or spec.name}: "
            f"name the plugin that has it (--plugin MODULE); known are {has}"
        )
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        code = getattr(inspect.unwrap(function), "__code__", None)
        place = f" ({shown(code.co_filename)}:{code.co_firstlineno})" if code is not None else ""
        raise UsageError(
            f"{script.span}: {script.answers}{place} cannot be asked: "
            f"write it as {script.answers}(payload, simulator), which is how it is called"
        ) from None
    except ValueError:  # written in C, and says nothing of what it takes
        pass
    return Answerer(spec, script, function)


@contextmanager
def _told_where() -> Iterator[None]:
    """What a plugin's function raises carries its file and line as a note, which the failure's message then tells."""
    try:
        yield
    except (ConnectorFailure, InDoubt, TimeoutError, NotVirtual):  # raised on purpose, or with a place of its own
        raise
    except Exception as error:
        error.add_note(raised_at(error))
        raise
    except SystemExit as error:
        raise RuntimeError(f"it ends the process ({told(error)})") from None
