"""Who waits for what, in words: what the virtual loop says when nothing will ever happen.

What is awaited has a name where it is one of ours (an inbox, a lane), a task, or kept under a name by whoever waits.
No address and no repr is in it, so that two runs say the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from echostack.simulation.handles import number_of

_NAMES = ("name", "edge")
_SHOWN = 8


def tasks_in_words(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """A line for each task: where it stands and what it waits for."""
    lines = [f"  {_in_words(task)}" for task in tasks]
    return "\n".join(lines) or "  no task is pending: the future that is run belongs to nobody"


def _in_words(task: asyncio.Task[Any]) -> str:
    """``'playout' waits in Playout.run (playout.py:120) > Event.wait (locks.py:213) for task 'reader'``."""
    standing = _standing(task.get_coro())
    chain = " > ".join(f"{name} ({Path(code.co_filename).name}:{frame.f_lineno})" for name, code, frame in standing)
    awaited = _awaited(getattr(task, "_fut_waiter", None), [frame for _, _, frame in standing])
    return f"{task.get_name()!r} waits in {chain or 'code that does not say where it waits'} for {awaited}"


def _standing(awaiting: Any) -> list[tuple[str, CodeType, FrameType]]:
    """Where each coroutine of a chain of awaits stands, outermost first."""
    found: list[tuple[str, CodeType, FrameType]] = []
    while awaiting is not None:
        for prefix, inner in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame: FrameType | None = getattr(awaiting, f"{prefix}_frame", None)
            code: CodeType | None = getattr(awaiting, f"{prefix}_code", None)
            if frame is not None and code is not None:
                found.append((awaiting.__qualname__, code, frame))
                awaiting = getattr(awaiting, inner, None)
                break
        else:
            break
    return found


def _awaited(future: Any, frames: list[FrameType]) -> str:
    """What ``future`` stands for, as seen from the frames that wait for it, outermost first."""
    if future is None:
        return "its next turn"
    if isinstance(future, asyncio.Task):
        return f"task {future.get_name()!r}"
    several = getattr(future, "_children", None)  # of asyncio.gather
    here = frames[-1].f_locals if frames else {}
    owner = here.get("self")
    if several is None and isinstance(owner, asyncio.TaskGroup):
        several = getattr(owner, "_tasks", None)
    if several is None and frames and frames[-1].f_code.co_name == "_wait" and _of_asyncio(frames[-1]):
        several = here.get("fs")
    if several:
        return _several(several)
    if owner is not None and frames and _of_asyncio(frames[-1]):
        # An Event, a Queue, a Lock: nameless, but whoever waits calls it something.
        kind = type(owner).__name__
        called = next((name for frame in reversed(frames[:-1]) if (name := _called(owner, frame))), "")
        return f"{kind} {called}" if called else "a future that nobody has set"
    for name in _NAMES:
        value = getattr(owner, name, None)
        if isinstance(value, str):
            return f"{type(owner).__name__} {value!r}"
    called = next((name for frame in reversed(frames) if (name := _called(future, frame))), "")
    return f"the future {called}, which nobody has set" if called else "a future that nobody has set"


def _several(awaited: Iterable[Any]) -> str:
    tasks = sorted((a for a in awaited if isinstance(a, asyncio.Task) and not a.done()), key=number_of)
    others = sum(1 for a in awaited if not isinstance(a, asyncio.Task) and not a.done())
    parts = [repr(task.get_name()) for task in tasks[:_SHOWN]]
    if len(tasks) > _SHOWN:
        parts.append(f"{len(tasks) - _SHOWN} more")
    if others:
        parts.append("1 future" if others == 1 else f"{others} futures")
    return ("task " if len(tasks) == 1 else "tasks " if tasks else "") + ", ".join(parts)


def _called(thing: object, frame: FrameType) -> str:
    """The name under which the code of ``frame`` knows ``thing``: an attribute of its ``self``, or a variable."""
    owner = frame.f_locals.get("self")
    names = [*getattr(owner, "__dict__", ()), *(s for c in type(owner).__mro__ for s in _slots(c))]
    for name in names:
        if getattr(owner, name, None) is thing:
            return f"{type(owner).__name__}.{name}"
    return next((repr(name) for name, value in frame.f_locals.items() if value is thing), "")


def _slots(cls: type) -> tuple[str, ...]:
    slots = cls.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _of_asyncio(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("asyncio.")
