"""The command ``echostack``: its commands, each in a module of its own, and what they all have in common.

The command modules import the floors below only when they run, so that ``echostack --help`` does not wait for them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup

from echostack.cli.commands import (
    check,
    connectors,
    demo,
    explain,
    explain_code,
    fmt,
    providers,
    recording,
    render,
    replay,
    run,
    schema,
    search,
    simulate,
    talk,
    test,
    version,
)
from echostack.cli.guard import guarded, leave_at_the_next_signal, tell

_FOREIGN_THREADS = "livekit.rtc"

EPILOG = (
    "Exit status: 0 all is well, 1 findings or a failed call, 2 wrong usage, 130 interrupted. "
    "A first file, the language and the connectors are explained in README.md and docs/."
)


class GuardedGroup(TyperGroup):
    """The group of all commands; whichever runs, runs guarded."""

    def invoke(self, ctx: Any) -> Any:
        return guarded(lambda: super(GuardedGroup, self).invoke(ctx))


app = typer.Typer(
    name="echostack",
    cls=GuardedGroup,
    help="Compiles a text file into a running, interruptible, real-time voice automation.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # the guard tells errors
    rich_markup_mode=None,  # plain help: it starts in half the time, and reads the same in a pipe
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("check")(check.check)
app.command("fmt")(fmt.fmt)
app.command("render")(render.render)
app.command("explain")(explain.explain)
app.command("explain-code")(explain_code.explain_code)
app.command("run")(run.run)
app.command("talk")(talk.talk)
app.command("simulate")(simulate.simulate)
app.command("replay")(replay.replay)
app.command("test")(test.run_scenarios)
app.command("search")(search.search)
app.command("demo")(demo.demo)
app.command("connectors")(connectors.connectors)
app.add_typer(recording.app, name="recording")
app.add_typer(providers.app, name="providers")
app.command("schema")(schema.schema)
app.command("version")(version.version)


@app.callback()
def root(
    version_: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=version.print_and_exit
    ),
) -> None:
    """What comes before the command's name."""


def main() -> None:
    """The entry point of the installed command."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its number instead of ending the command.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="echostack")
    except OSError as error:  # help and usage are printed by the command-line library, outside the guard
        sys.exit(tell(error))
    except SystemExit as end:
        if _FOREIGN_THREADS in sys.modules:
            _leave(end.code)
        raise
    finally:
        leave_at_the_next_signal()


def _leave(code: object) -> None:
    """End the process without taking the interpreter down: a native thread of the LiveKit SDK that calls into Python
    meanwhile would abort it (PyGILState_Ensure ends such a thread, which the SDK's own code does not survive)."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _open_closed_streams() -> None:
    """Put nothing at all where a shell closed a stream (``>&-``), so that no file of a call gets its number."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - stays open until the process ends
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
