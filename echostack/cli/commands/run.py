"""``echostack run``: one call, from a recording or from the file's own ingress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from echostack.cli.options import File, Plugins, registry

if TYPE_CHECKING:
    from echostack.cli.calling import Outcome

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NODE.KEY=VALUE", help="Lay a setting over the file's (repeatable)."),
]
TraceFile = Annotated[
    Path | None,
    typer.Option("--trace", metavar="FILE", help="Write every event there, as lines of JSON.", show_default=False),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show what connectors log, on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="Show nothing while it runs; print the outcome as JSON.")]


def run(
    file: File,
    caller: Annotated[
        Path | None,
        typer.Option("--in", metavar="WAV", help="The recording that calls, in place of the file's own ingress."),
    ] = None,
    reply: Annotated[
        Path | None,
        typer.Option("--out", metavar="WAV", help="Where the agent's audio goes, in place of the file's own egress."),
    ] = None,
    settings: Settings = None,
    fast: Annotated[
        bool, typer.Option("--fast/--realtime", help="On virtual time, as fast as the machine can; or as a call goes.")
    ] = False,
    json: Json = False,
    trace: TraceFile = None,
    verbose: Verbose = False,
    plugin: Plugins = None,
) -> None:
    """Run one call: a recording calls, the agent's audio is written beside it. Ctrl-C ends it with what there is."""
    from echostack import api
    from echostack.cli.calling import conduct, log_to_stderr
    from echostack.cli.transports import refuse_overwriting, with_files

    log_to_stderr(verbose)
    refuse_overwriting({"--out": reply, "--trace": trace}, {"the recording that calls": caller, "the .echo file": file})
    graph = with_files(api.load(file), caller, reply)
    pipeline = api.compile(graph, registry=registry(plugin), settings=assignments(settings))
    outcome = conduct(pipeline, fast=fast, show=not json, trace=trace)
    if reply is not None:
        outcome.files["reply"] = str(reply)
    finish(outcome, json)


def finish(outcome: Outcome, json: bool) -> None:
    """Tell what a call came to, and end the command by the status that it means."""
    from echostack.cli.guard import FINDINGS, INTERRUPTED
    from echostack.cli.output import print_json

    if json:
        print_json(outcome.data())
    else:
        for what, where in outcome.files.items():
            print(f"{what}: {where}")
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    if outcome.failures:
        raise typer.Exit(FINDINGS)


def assignments(given: list[str] | None) -> dict[str, Any]:
    """``node.key=value`` arguments as settings. A value is JSON where it reads as JSON, else text. UsageError."""
    from json import loads

    from echostack.core.errors import UsageError

    found: dict[str, Any] = {}
    for one in given or ():
        path, equals, value = one.partition("=")
        if not equals or "." not in path:
            raise UsageError(f"--set {one}: it takes NODE.KEY=VALUE, such as --set faq.agent.greeting=Hello")
        try:
            found[path] = loads(value)
        except ValueError:  # no JSON, or a number of more digits than Python reads
            found[path] = value
        except RecursionError:
            raise UsageError(f"--set {path}: the value is nested too deeply") from None
    return found
