"""``echostack render``: the picture of a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from echostack.cli.options import File, Plugins, registry


def render(
    file: File,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="OUT", help="Where to: .svg, .png, .dot or .mmd.", show_default=False),
    ],
    bundled: Annotated[
        bool,
        typer.Option("--bundled", help="Lay out with the engine that comes along: the same bytes on every machine."),
    ] = False,
    plugin: Plugins = None,
) -> None:
    """Draw a file: stages left to right, what the edges carry, what interrupts what, and the findings where they are.

    A file with errors is drawn as it is written, its findings marked; the exit status says that it has them.
    """
    from echostack import api
    from echostack.cli.guard import FINDINGS
    from echostack.cli.report import write_text
    from echostack.core.errors import InvalidFile
    from echostack.plan import lower
    from echostack.render import picture, save

    found = api.check(file, registry=registry(plugin))
    if found.checked is not None:
        drawn = picture(found.checked, findings=found.findings, plan=lower(found.checked))
    elif found.graph is not None:
        drawn = picture(found.graph, findings=found.findings)
    else:
        raise InvalidFile(found.findings, dict(found.sources))
    save(drawn, out, prefer="bundled" if bundled else "system")
    write_text(found.findings, found.sources, sys.stderr)
    print(f"{file} is drawn in {out}", file=sys.stderr)
    if not found.ok:
        raise typer.Exit(FINDINGS)
