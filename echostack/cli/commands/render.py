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
    from echostack.cli.findings import show
    from echostack.cli.guard import FINDINGS
    from echostack.cli.stages import examine
    from echostack.core.errors import InvalidFile
    from echostack.render import picture, save

    examined = examine(file, registry(plugin))
    findings = examined.findings.ordered()
    if examined.checked is not None:
        drawn = picture(examined.checked, findings=findings, plan=examined.plan())
    elif examined.graph is not None:
        drawn = picture(examined.graph, findings=findings)
    else:
        raise InvalidFile(findings, examined.findings.sources)
    save(drawn, out, **({"prefer": "bundled"} if bundled else {}))
    if findings:
        show(findings, examined.findings.sources)
    print(f"{file} is drawn in {out}", file=sys.stderr)
    if examined.checked is None:
        raise typer.Exit(FINDINGS)
