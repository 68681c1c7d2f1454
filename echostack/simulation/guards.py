"""What virtual time cannot hold, refused: sockets, threads, processes, ``time.sleep`` and reads of a real clock.

Any of these would let the machine decide what happens in a run that is to be a function of its program and seed. So
while a virtual loop runs in a thread, that thread gets NotVirtual, which says what was called, from where, and what
to do instead; what is refused is noted in the loop as well, so that a connector that swallows the error does not hide
it. Other threads, other loops and the time between runs are left alone.

How it is seen:

- Sockets, threads and processes by an audit hook (PEP 578). It is installed with the first virtual loop, because it
  cannot be taken out again. Threads that native code makes for itself (a model's runtime) are not Python's, and are
  not seen.
- ``time.sleep`` and the clocks of ``time`` by putting other functions in their place while a virtual loop runs, also
  under the names that a module gave them by ``from time import``.

What is let pass:

- Whatever a module does while it is imported: that happens once in a process, and is no part of a run.
- Files.
- Reads of a clock by the standard library and by installed packages, which stamp their logs and time their caches;
  but not by EchoStack, nor by packages that announce connectors. And reads inside work given to InlineCompute: models
  time themselves. ``process_time`` is allowed: it measures work and tells no time.

What cannot be seen: ``datetime.now()`` and ``date.today()``, whose types are written in C and cannot be changed, a
function of ``time`` that was kept elsewhere than under a module's name (a default argument), and randomness of the
machine (``os.urandom``, the global ``random``).
"""

from __future__ import annotations

import _thread
import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType
from typing import Any, NoReturn

from echostack.core.clock import InlineCompute
from echostack.core.errors import UsageError

NETWORK = (
    "the far end answers in real time, and time here is virtual; give the connector a simulation, or make the call "
    "on real time"
)
THREAD = "the clock would run away while it works; run it through the session's Compute (InlineCompute)"
PROCESS = "the clock would run away while it works; give the connector a simulation, or make the call on real time"
SLEEP = "it stops the whole call and moves no virtual time; await the session's clock.sleep()"
CLOCK = "real time is another one on each run; read the session's clock, now() for spans and wall() for dates"
ORDER = "it starts them in the order of a set of addresses, another one on each run; give it tasks, made in order"


class NotVirtual(UsageError):
    """Something was asked for that virtual time cannot hold; the message says what, from where, and what to do."""


class Guarded:
    """What makes a loop one whose thread is guarded while it runs."""

    refused: list[NotVirtual]
    """All that was refused, whether or not whoever asked for it passed the error on."""


def refuse(what: str, why: str, *, loop: Guarded | None = None, frame: FrameType | None = None) -> NoReturn:
    """Raise NotVirtual: ``what`` cannot be done, and ``why``; and note it in the loop (the running one).

    frame: where to begin to look for whoever called; the caller's caller when not given.
    """
    error = NotVirtual(f"{_place(frame or sys._getframe(2))}{what} cannot be done on virtual time: {why}")
    loop = loop or running()
    if loop is not None:
        loop.refused.append(error)
    raise error


def running() -> Guarded | None:
    """The virtual loop that runs in this thread."""
    loop = asyncio._get_running_loop()
    return loop if isinstance(loop, Guarded) else None


@contextmanager
def guarded() -> Iterator[None]:
    """Guard the virtual loops of this process while one of them runs, in any thread.

    The cyclic garbage collector does not run by itself meanwhile: when it does depends on all that the process has
    ever allocated, and what it finalises (an async generator that was let go) reaches back into the loop. The loop
    collects at moments of its own.
    """
    _GUARD.enter()
    try:
        yield
    finally:
        _GUARD.leave()


# -- what is called from where ------------------------------------------------------------------------------------

_LIBRARY = str(Path(os.__file__).parent) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_IMPORTER = "<frozen importlib._bootstrap>"
_RUN = asyncio.BaseEventLoop.run_forever.__code__
_OURS = "echostack"
_NOT_TO_BLAME = ("echostack.simulation.guards", "echostack.simulation.loop", "echostack.core.clock")
_STRANGERS: dict[str, bool] = {}
_ANNOUNCED: list[frozenset[str]] = []


def _announced() -> frozenset[str]:
    """The top-level packages that announce connectors; read once."""
    if not _ANNOUNCED:
        # Here, because a loop needs no registry unless a package reads a clock.
        from importlib.metadata import entry_points

        from echostack.registry.registry import ENTRY_POINTS

        _ANNOUNCED.append(frozenset(point.module.partition(".")[0] for point in entry_points(group=ENTRY_POINTS)))
    return _ANNOUNCED[0]


def _of_library(path: str) -> bool:
    return path.startswith((_LIBRARY, "<frozen ")) and not any(part in path for part in _INSTALLED)


def _stranger(path: str, module: str) -> bool:
    """Whether code of that file and module may read a clock: the standard library, and packages without connectors."""
    known = _STRANGERS.get(path)
    if known is None:
        top = module.partition(".")[0]
        known = _STRANGERS[path] = _of_library(path) or (
            any(part in path for part in _INSTALLED) and top != _OURS and top not in _announced()
        )
    return known


def _importing(frame: FrameType | None) -> bool:
    return _inside(frame, lambda code: code.co_filename == _IMPORTER)


def _computing(frame: FrameType | None) -> bool:
    return _inside(frame, lambda code: code is InlineCompute.run.__code__)


def _inside(frame: FrameType | None, wanted: Callable[[CodeType], bool]) -> bool:
    """Whether code of that sort is being run by the loop; what runs the loop itself does not count."""
    while frame is not None and frame.f_code is not _RUN:
        if wanted(frame.f_code):
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType | None) -> str:
    """``acme/crm.py:12: ``, with the package that it went through when there is one."""
    through = ""
    while frame is not None:
        path, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__", ""))
        if not _of_library(path) and module not in _NOT_TO_BLAME:
            if not any(part in path for part in _INSTALLED) or module.partition(".")[0] == _OURS:
                return f"{_shown(path)}:{frame.f_lineno}{through}: "
            through = through or f" (through {module})"
        frame = frame.f_back
    return f"{through.strip()}: " if through else ""


def _shown(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


# -- sockets, threads, processes ----------------------------------------------------------------------------------


def _thread_name(start: Any) -> str:
    thread = getattr(start, "__self__", None)
    return f" {thread.name!r}" if isinstance(thread, threading.Thread) else ""


_WATCHED: dict[str, tuple[Callable[[tuple[Any, ...]], str], str]] = {
    "socket.connect": (lambda a: f"connecting a socket to {a[1]!r}", NETWORK),
    "socket.bind": (lambda a: f"binding a socket to {a[1]!r}", NETWORK),
    "socket.sendto": (lambda a: f"sending to {a[1]!r}", NETWORK),
    "socket.sendmsg": (lambda a: f"sending to {a[1]!r}", NETWORK),
    "socket.getaddrinfo": (lambda a: f"looking up the name {a[0]!r}", NETWORK),
    "socket.gethostbyname": (lambda a: f"looking up the name {a[0]!r}", NETWORK),
    "socket.gethostbyaddr": (lambda a: f"looking up the address {a[0]!r}", NETWORK),
    "socket.getnameinfo": (lambda a: f"looking up the address {a[0]!r}", NETWORK),
    "_thread.start_new_thread": (lambda a: f"starting the thread{_thread_name(a[0])}", THREAD),
    "_thread.start_joinable_thread": (lambda a: f"starting the thread{_thread_name(a[0])}", THREAD),
    "subprocess.Popen": (lambda a: f"starting the process {a[0]!r}", PROCESS),
    "os.posix_spawn": (lambda a: f"starting the process {a[0]!r}", PROCESS),
    "os.spawn": (lambda a: f"starting the process {a[1]!r}", PROCESS),
    "os.exec": (lambda a: f"becoming the process {a[0]!r}", PROCESS),
    "os.system": (lambda a: "os.system()", PROCESS),
    "os.fork": (lambda a: "os.fork()", PROCESS),
    "os.forkpty": (lambda a: "os.forkpty()", PROCESS),
}


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    watched = _WATCHED.get(event)
    if watched is None or running() is None:
        return
    frame = sys._getframe(1)
    if not _importing(frame):
        told, why = watched
        refuse(told(arguments), why, frame=frame)


# -- time -----------------------------------------------------------------------------------------------------------


def _sleep(seconds: float, /) -> None:
    if running() is not None and not _importing(frame := sys._getframe(1)):
        refuse(f"time.sleep({seconds!r})", SLEEP, frame=frame)
    _REAL["sleep"](seconds)


def _reading(name: str, real: Callable[..., Any], reads: Callable[[tuple[Any, ...]], bool]) -> Callable[..., Any]:
    def read(*arguments: Any) -> Any:
        if running() is not None and reads(arguments):
            frame = sys._getframe(1)
            if not (
                _stranger(frame.f_code.co_filename, str(frame.f_globals.get("__name__", "")))
                or _computing(frame)
                or _importing(frame)
            ):
                refuse(f"time.{name}()", CLOCK, frame=frame)
        return real(*arguments)

    read.__name__ = read.__qualname__ = name
    read.__doc__ = real.__doc__
    return read


def _start_new_thread(function: Any, *arguments: Any) -> Any:
    # Before Python 3.12 nothing is audited here.
    if running() is not None and not _importing(frame := sys._getframe(1)):
        refuse(f"starting the thread{_thread_name(function)}", THREAD, frame=frame)
    return _START(function, *arguments)


def _always(arguments: tuple[Any, ...]) -> bool:
    return True


def _without_time(arguments: tuple[Any, ...]) -> bool:
    return not arguments or arguments[0] is None


# What of time reads a clock, and with which arguments.
_CLOCKS: dict[str, Callable[[tuple[Any, ...]], bool]] = {
    **dict.fromkeys(("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"), _always),
    **dict.fromkeys(("clock_gettime", "clock_gettime_ns"), _always),
    **dict.fromkeys(("localtime", "gmtime", "ctime", "asctime"), _without_time),
    "strftime": lambda arguments: len(arguments) < 2,
}
_START = _thread.start_new_thread
_REAL: dict[str, Callable[..., Any]] = {
    name: getattr(time, name) for name in ("sleep", *_CLOCKS) if hasattr(time, name)
}
_GUARDS: dict[Callable[..., Any], Callable[..., Any]] = {
    **{real: _sleep if name == "sleep" else _reading(name, real, _CLOCKS[name]) for name, real in _REAL.items()},
    _thread.start_new_thread: _start_new_thread,
}


class _Guard:
    """The functions in place of those of ``time``, as long as any virtual loop runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._hooked = False
        self._collects = False
        self._modules: set[str] = set()
        self._modules_seen = 0
        self._names: list[tuple[str, str, Callable[..., Any]]] = [
            *(("time", name, real) for name, real in _REAL.items()),
            ("_thread", "start_new_thread", _START),
            ("threading", "_start_new_thread", _START),
        ]

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            if not self._hooked:
                self._hooked = True
                sys.addaudithook(_audit)
            self._look_for_names()
            self._put(guard=True)
            self._collects = gc.isenabled()
            gc.disable()

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._put(guard=False)
                if self._collects:
                    gc.enable()

    def _put(self, *, guard: bool) -> None:
        for module, name, real in self._names:
            found = sys.modules.get(module)
            # Whoever put something else there in the meantime keeps it.
            if found is not None and getattr(found, name, None) is (real if guard else _GUARDS[real]):
                setattr(found, name, _GUARDS[real] if guard else real)

    def _look_for_names(self) -> None:
        """Find what ``from time import`` has left in the modules that came since the last time."""
        if len(sys.modules) == self._modules_seen:
            return
        for name, module in list(sys.modules.items()):
            if name in self._modules:
                continue
            self._modules.add(name)
            # Not by getattr, which would wake modules that load themselves when they are touched.
            path = vars(module).get("__file__") if isinstance(module, ModuleType) else None
            if (path is None and name != "__main__") or name in _NOT_TO_BLAME or _stranger(str(path), name):
                continue
            for key, value in list(vars(module).items()):
                if type(value) is BuiltinFunctionType and value in _GUARDS:
                    self._names.append((name, key, value))
        self._modules_seen = len(sys.modules)


_GUARD = _Guard()
