"""``echostack version``."""

from __future__ import annotations

import typer


def version() -> None:
    """Print the version of EchoStack, of Python and of the machine."""
    import platform

    print(f"echostack {installed()} (Python {platform.python_version()}, {platform.system()} {platform.machine()})")


def print_and_exit(asked: bool) -> None:
    """Serve ``--version``: the bare number, for scripts."""
    if asked:
        print(installed())
        raise typer.Exit


def installed() -> str:
    """The version of the installed package; the word "unknown" from a folder that was never installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("echostack")
    except PackageNotFoundError:
        return "unknown"
