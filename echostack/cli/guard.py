"""What every command runs inside: a person's mistake becomes a message, and nothing becomes a traceback.

Exit statuses: 0 all is well, 1 findings or a call that failed, 2 the command was used wrongly, 70 a fault in EchoStack
itself, 130 interrupted from the keyboard or by SIGTERM or SIGHUP, 141 nobody reads the output any more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO, TypeVar

import typer

from echostack.core.errors import TRACEBACK, EchoStackError, InvalidFile, UsageError
from echostack.core.raised import told

OK, FINDINGS, USAGE, FAULT, INTERRUPTED, NO_READER = 0, 1, 2, 70, 130, 141
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

R = TypeVar("R")


def guarded(work: Callable[[], R]) -> R:
    """The result of ``work()``; an exception of it is told on stderr, in words, and ends the command by its status."""
    try:
        with ended_by_signals(_interrupt):
            result = work()
        sys.stdout.flush()
        return result
    except (typer.Exit, typer.Abort, KeyboardInterrupt):
        raise
    except BrokenPipeError:
        _stop_writing()
        raise typer.Exit(NO_READER) from None
    except Exception as error:
        if _foreign(error):
            raise
        raise typer.Exit(tell(error)) from None
    except SystemExit as error:  # no command ends so: a plugin or a connector did
        _say(f"somebody's code ended the process: {told(error)}")
        raise typer.Exit(FAULT) from None


@contextlib.contextmanager
def ended_by_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """While inside, ``handler`` takes SIGINT, SIGTERM and SIGHUP; but those that the parent ignores stay ignored.

    A shell ignores SIGINT for what it starts in the background, and nohup ignores SIGHUP.
    """
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def leave_at_the_next_signal() -> None:
    """From now on a signal ends the process at once: all is written, only threads that still compute are awaited."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, lambda number, frame: os._exit(INTERRUPTED))


def tell(error: Exception) -> int:
    """Say ``error`` on stderr; returns the exit status that belongs to it, also when nobody reads stderr."""
    leaves = list(_leaves(error))
    if os.environ.get(TRACEBACK):
        with contextlib.suppress(OSError):
            traceback.print_exception(error)
    return max([_tell_one(leaf) for leaf in leaves], default=FAULT)


def _tell_one(error: Exception) -> int:
    if isinstance(error, InvalidFile):
        from echostack.cli.report import write_text

        with _to_stderr():
            write_text(error.diagnostics, error.sources, sys.stderr)
        return FINDINGS
    if isinstance(error, EchoStackError):
        _say(str(error))
        return USAGE if isinstance(error, UsageError) else FINDINGS
    if isinstance(error, OSError) and error.filename is not None:
        _say(f"{error.filename}: {error.strerror or error}")
        return USAGE
    if isinstance(error, BrokenPipeError):
        _stop_writing()
        return NO_READER
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        _stop_writing()
        _say(f"the output cannot be written: {error.strerror}; make room, or send it elsewhere")
        return USAGE
    _say(
        f"an unexpected {type(error).__name__}: {error}\n"
        "This is a fault in EchoStack, not in your file. Please report it with the command, the file, and what the\n"
        f"same command prints with {TRACEBACK}=1 set."
    )
    return FAULT


def _leaves(error: Exception) -> Iterator[Exception]:
    """The errors that a task group wrapped, or the error itself."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _foreign(error: Exception) -> bool:
    """Whether the command-line library raised it, to be told by the library: a wrong option, a missing argument."""
    return hasattr(error, "exit_code") and hasattr(error, "show")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(message: str) -> None:
    with _to_stderr():
        print(f"echostack: {message}", file=sys.stderr)


@contextlib.contextmanager
def _to_stderr() -> Iterator[None]:
    """What is written inside reaches stderr at once, or, where stderr is full or unread, is lost in silence."""
    try:
        yield
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)


def _stop_writing() -> None:
    """Point stdout at nothing, so that the interpreter's last flush finds a reader."""
    _drop(sys.stdout)


def _drop(stream: TextIO) -> None:
    """Let everything that ``stream`` still holds, and all that is written to it from now on, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):  # a stream of a test, without a number
        pass
    finally:
        os.close(nowhere)
