"""What every command runs inside: a person's mistake becomes a message, and nothing becomes a traceback.

Exit statuses: 0 all is well, 1 findings or a call that failed, 2 the command was used wrongly, 70 a fault in EchoStack
itself, 130 interrupted from the keyboard, 141 nobody reads the output any more.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import TypeVar

import typer

from echostack.core.errors import EchoStackError, InvalidFile, UsageError

OK, FINDINGS, USAGE, FAULT, INTERRUPTED, NO_READER = 0, 1, 2, 70, 130, 141
TRACEBACK = "ECHOSTACK_TRACEBACK"
"""The environment variable that asks for the traceback of an unexpected error."""

R = TypeVar("R")


def guarded(work: Callable[[], R]) -> R:
    """The result of ``work()``; an exception of it is told on stderr, in words, and ends the command by its status."""
    try:
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


def tell(error: Exception) -> int:
    """Say ``error`` on stderr; returns the exit status that belongs to it."""
    leaves = list(_leaves(error))
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    return max([_tell_one(leaf) for leaf in leaves], default=FAULT)


def _tell_one(error: Exception) -> int:
    if isinstance(error, InvalidFile):
        from echostack.cli.report import write_text

        write_text(error.diagnostics, error.sources, sys.stderr)
        return FINDINGS
    if isinstance(error, EchoStackError):
        _say(str(error))
        return USAGE if isinstance(error, UsageError) else FINDINGS
    if isinstance(error, OSError) and error.filename is not None:
        _say(f"{error.filename}: {error.strerror or error}")
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


def _say(message: str) -> None:
    print(f"echostack: {message}", file=sys.stderr)


def _stop_writing() -> None:
    """Point stdout at nothing, so that the interpreter's last flush finds a reader."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - stays open until the process ends
