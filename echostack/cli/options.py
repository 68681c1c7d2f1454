"""Options and arguments that several commands share, and what they stand for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from echostack.registry import Registry

Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="Also know the connectors of this Python module (repeatable)."),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A .echo file (or the same as .json).", show_default=False)]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="One or more .echo files.", show_default=False)]


def registry(plugins: list[str] | None, *, functions: bool = False) -> Registry:
    """The shipped connectors, those that installed packages announce, and those of ``plugins``.

    A plugin is looked for beside the caller first, as ``python -m`` does. UsageError for one that cannot be imported.
    functions: one that declares no connector will do, for its functions.
    """
    from echostack.api import default_registry

    here = str(Path.cwd())
    if plugins and here not in sys.path:
        sys.path.insert(0, here)
    return default_registry(plugins or (), functions=functions)
