"""``echostack replay --step``: keys on a terminal, lines of commands from anything else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from echostack.cli.output import console
from echostack.cli.replay_lines import head_lines
from echostack.cli.replay_stepper import HELP, Stepper, start_at
from echostack.recording import Recording
from echostack.recording.index import Index

if TYPE_CHECKING:
    from echostack.registry import Registry

_ASKS = {"g": "number: ", "t": "seconds: ", "k": "kind: ", "K": "kind, before: ", "/": "text: "}
"""Keys that need to know more."""
_KEYS = {" ": "n", "\r": "n", "\n": "n", "\x1b[C": "n", "\x1b[D": "b", "\x1b[A": "u", "\x1b[B": "d", "\x1b": "q"}


def step_through(recording: Recording, registry: Registry | None, start: float) -> None:
    """Go through ``recording`` from ``start`` (seconds) on, until ``q`` or the end of the input."""
    with Index(recording) as index:
        stepper = Stepper(recording, index, registry)
        if start:
            start_at(stepper, start)
        if sys.stdin.isatty() and sys.stdout.isatty():
            _by_keys(recording, stepper)
        else:
            _by_lines(recording, stepper)


def _by_lines(recording: Recording, stepper: Stepper) -> None:
    """A command a line; after each what there is to see, and an empty line."""
    for line in head_lines(recording):
        print(line)
    print()
    _print(stepper, "")
    for command in sys.stdin:
        command = command.strip()
        if command == "q":
            return
        if command == "?":
            print("\n".join(HELP), end="\n\n", flush=True)
            continue
        _print(stepper, stepper.do(command))


def _print(stepper: Stepper, said: str) -> None:
    for line in (said,) if said else stepper.lines():
        print(line)
    print(flush=True)


def _by_keys(recording: Recording, stepper: Stepper) -> None:
    """A screen that is drawn anew after each key."""
    import click
    from rich.text import Text

    out = console()
    said = "? for help"
    with out.screen(hide_cursor=False):
        while True:
            out.clear()
            for number, line in enumerate([head_lines(recording)[0], "", *stepper.lines()]):
                shown = Text(line, style="bold" if number in (2, 3) else "dim" if not number else "")
                out.print(shown, no_wrap=True, overflow="ellipsis")
            out.print()
            out.print(Text(said, style="yellow"))
            try:
                key = click.getchar()
            except EOFError:  # Ctrl-D, or the terminal is gone
                return
            command = _KEYS.get(key, key)
            if command == "\x03":
                raise KeyboardInterrupt
            if command == "q":
                return
            if command == "?":
                said = "\n".join(HELP)
                continue
            if command in _ASKS:
                try:
                    more = out.input(Text(_ASKS[command]))
                except EOFError:  # Ctrl-D: nothing is asked
                    said = ""
                    continue
                command = f"{command}{more}" if command == "/" else f"{command} {more}"
            elif command.isdecimal() and command != "0":
                command = f"d {command}"
            said = stepper.do(command)
