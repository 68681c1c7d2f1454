"""``echostack explain``: what will run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from echostack.cli.options import File, Plugins, registry


def explain(
    file: File,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    plugin: Plugins = None,
) -> None:
    """Tell what runs for a file: islands, queues, policies, scopes, what the compiler put in, the latency path."""
    from echostack import api, render
    from echostack.cli.output import columns, print_json
    from echostack.cli.report import write_text

    pipeline = api.compile(file, registry=registry(plugin))
    told = render.explain(pipeline.plan)
    if json:
        print_json(told.data())
    else:
        print(render.explain_text(told, width=columns()), end="")
    write_text(pipeline.warnings, pipeline.graph.sources, sys.stderr)
