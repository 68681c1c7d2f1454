"""Runs local servers for a command: until it is interrupted, or around another command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from echostack.cli.calling import Interruption
from echostack.cli.guard import INTERRUPTED, ended_by_signals
from echostack.core.clock import LoopClock
from echostack.core.errors import UsageError
from echostack.providers.local import Local
from echostack.providers.seen import Sighting

_PROMPT = 0.5  # seconds in which a command that heard the interruption itself may end
_PATIENCE = 10.0  # and one that we have to tell of it


def serve(
    make: Callable[[], Local], command: Sequence[str] = (), *, env: Path | None = None, out: TextIO | None = None
) -> int:
    """Run the servers that ``make`` makes (on the loop that serves them). The exit status.

    With a ``command`` it is run with their environment, and its own status is the result; without one they are told on
    ``out`` and run until they are interrupted. env: a file that the environment is written to, as lines for a shell.
    """
    status = [INTERRUPTED]

    async def main() -> None:
        async with make() as local:
            if env is not None:
                _write(env, shell_lines(local.environment))
            if command:
                status[0] = await _around(command, local.environment)
                return
            if out is not None:
                print(table(local), file=out, flush=True)
            await asyncio.Event().wait()

    interruption = Interruption()
    with ended_by_signals(interruption.signalled):
        try:
            asyncio.run(interruption.ends(main()))
        except asyncio.CancelledError:
            if not interruption.signals:
                raise
    return status[0]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


async def _around(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run ``command`` to its end; its status, as a shell tells it. An interruption is passed on to it, unless the
    terminal has told it already, and it is waited for."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
    except FileNotFoundError:
        raise UsageError(f"{command[0]}: there is no such command") from None
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror or error}") from None
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        code = await _ended(process)
    return code if code >= 0 else 128 - code


async def _ended(process: asyncio.subprocess.Process) -> int:
    """Wait for a command that is to end, and have it end. On Ctrl-C at a terminal it got the signal with us."""
    clock = LoopClock()
    for number, seconds in ((None, _PROMPT), (signal.SIGINT, _PATIENCE), (signal.SIGTERM, _PATIENCE)):
        if number is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with clock.timeout(seconds):
                return await process.wait()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    return await process.wait()


def table(local: Local) -> str:
    """The servers with their addresses, and the variables to set, as lines for a shell."""
    rows = [f"{name:<11} {server.url}" for name, server in local.servers.items()]
    return "\n".join([*rows, "", shell_lines(local.environment).rstrip("\n")])


def shell_lines(environment: Mapping[str, str]) -> str:
    """``export NAME=value``, a line a variable."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())


def watching(out: TextIO) -> Callable[[str, Sighting], None]:
    """What is told of each sighting: one line on ``out``."""

    def tell(name: str, sighting: Sighting) -> None:
        told = " ".join(f"{key}={_short(value)}" for key, value in sighting.data.items())
        line = f"{sighting.time:9.3f} {name:<10} #{sighting.exchange:<3} {sighting.what} {told}".rstrip()
        with contextlib.suppress(BrokenPipeError):
            print(line, file=out, flush=True)

    return tell


def _short(value: object) -> str:
    text = str(value) if not isinstance(value, float) else f"{value:g}"
    text = " ".join(text.split())
    return repr(text if len(text) <= 100 else text[:97] + "…") if " " in text or len(text) > 100 else text
