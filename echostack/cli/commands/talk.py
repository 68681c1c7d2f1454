"""``echostack talk``: a call with whoever sits at this machine."""

from __future__ import annotations

from echostack.cli.commands.run import (
    Json,
    Overwrite,
    RecordFolder,
    Redact,
    Settings,
    TraceFile,
    Verbose,
    assignments,
    finish,
    recording,
)
from echostack.cli.options import File, Plugins, registry


def talk(
    file: File,
    settings: Settings = None,
    json: Json = False,
    trace: TraceFile = None,
    record: RecordFolder = None,
    redact: Redact = False,
    overwrite: Overwrite = False,
    verbose: Verbose = False,
    plugin: Plugins = None,
) -> None:
    """Talk to a file with this machine's microphone and loudspeaker, in place of its own transports. Ctrl-C hangs up.

    Use a headset: with a loudspeaker in the same room the agent hears itself.
    """
    from echostack import api
    from echostack.cli.calling import conduct, log_to_stderr
    from echostack.cli.transports import refuse_overwriting, with_this_machine

    log_to_stderr(verbose)
    refuse_overwriting({"--trace": trace, "--record": record}, {"the .echo file": file})
    graph = with_this_machine(api.load(file))
    pipeline = api.compile(graph, registry=registry(plugin), settings=assignments(settings))
    with recording(record, redact, overwrite) as recorder:
        outcome = conduct(pipeline, show=not json, trace=trace, recorder=recorder)
    finish(outcome, json)
