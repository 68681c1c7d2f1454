"""``echostack run``: one call, from a recording or from the file's own ingress."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from echostack.cli.options import File, Plugins, registry

if TYPE_CHECKING:
    from echostack.cli.calling import Outcome
    from echostack.recording import Recorder

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NODE.KEY=VALUE", help="Lay a setting over the file's (repeatable)."),
]
TraceFile = Annotated[
    Path | None,
    typer.Option("--trace", metavar="FILE", help="Write every event there, as lines of JSON.", show_default=False),
]
RecordFolder = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="FOLDER", help="Record the call there: events, audio, the file.", show_default=False
    ),
]
Redact = Annotated[bool, typer.Option("--redact", help="Record without words, numbers and voices, to be shared.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Record over a recording that is there.")]
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
    record: RecordFolder = None,
    redact: Redact = False,
    overwrite: Overwrite = False,
    verbose: Verbose = False,
    plugin: Plugins = None,
) -> None:
    """Run one call: a recording calls, the agent's audio is written beside it. Ctrl-C ends it with what there is."""
    from echostack import api
    from echostack.cli.calling import conduct, log_to_stderr
    from echostack.cli.transports import refuse_overwriting, with_files

    log_to_stderr(verbose)
    written = {"--out": reply, "--trace": trace, "--record": record}
    refuse_overwriting(written, {"the recording that calls": caller, "the .echo file": file})
    graph = with_files(api.load(file), caller, reply)
    pipeline = api.compile(graph, registry=registry(plugin), settings=assignments(settings))
    with recording(record, redact, overwrite) as recorder:
        outcome = conduct(pipeline, fast=fast, show=not json, trace=trace, recorder=recorder)
    if reply is not None:
        outcome.files["reply"] = str(reply)
    finish(outcome, json)


@contextmanager
def recording(folder: Path | None, redact: bool, overwrite: bool) -> Iterator[Recorder | None]:
    """What records a call into ``folder``; None for no folder. UsageError when it cannot be used, and for options
    that mean nothing without one."""
    from echostack.core.errors import UsageError
    from echostack.recording import Recorder

    if folder is None:
        for given, option in ((redact, "--redact"), (overwrite, "--overwrite")):
            if given:
                raise UsageError(f"{option} says how to record: name the folder with --record")
        yield None
        return
    recorder = Recorder(folder, redact=redact, overwrite=overwrite, on_error=lambda error: None)
    try:
        yield recorder
    finally:
        recorder.close()


def finish(outcome: Outcome, json: bool) -> None:
    """Tell what a call came to, and end the command by the status that it means."""
    from echostack.cli.guard import FINDINGS, INTERRUPTED
    from echostack.cli.output import print_json

    if json:
        print_json(outcome.data())
    else:
        for what, where in outcome.files.items():
            print(f"{what}: {where}")
    if outcome.failed and not outcome.interrupted:
        more = f" (the first of {outcome.failures} failures)" if outcome.failures > 1 else ""
        print(f"echostack: the call did not go as it should: {outcome.failed}{more}", file=sys.stderr)
    if outcome.unrecorded:
        print(f"echostack: {outcome.unrecorded}", file=sys.stderr)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    if outcome.failures or outcome.unrecorded:
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
