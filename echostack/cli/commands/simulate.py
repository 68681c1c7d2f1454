"""``echostack simulate``: one call on virtual time, every connector simulated, shown as it went."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echostack.cli.commands.run import Overwrite, TraceFile
from echostack.cli.commands.test import Real
from echostack.cli.options import File, Plugins, registry

if TYPE_CHECKING:
    from echostack.language.scenario import Scenario
    from echostack.testing.bench import Bench


def simulate(
    file: File,
    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario",
            "-s",
            metavar="NAME",
            help="The scenario; a caller of no scenario without.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="The seed, in place of the scenario's own.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the call as JSON, and nothing else.")] = False,
    trace: TraceFile = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FOLDER", help="Record the call there.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
    real: Real = None,
    plugin: Plugins = None,
) -> None:
    """Simulate one call and show it: what was said and heard, what interrupted what, and the figures of every node.

    No keys, no network, no waiting: the file runs as it is, on virtual time, with every connector simulated. Without
    --scenario somebody calls who says two things, the second into the answer to the first, and hangs up.
    """
    from contextlib import ExitStack

    from echostack.cli.guard import FINDINGS
    from echostack.cli.output import print_json
    from echostack.cli.simulated_call import TraceProbe, call_data, show_call
    from echostack.cli.trace import Trace
    from echostack.cli.transports import refuse_overwriting
    from echostack.recording import Recorder
    from echostack.runtime.probe import Probe
    from echostack.testing.bench import Bench

    refuse_overwriting({"--trace": trace, "--record": record}, {"the .echo file": file})
    bench = Bench(tuple(plugin or ()), tuple(real or ()), registry(plugin, functions=True))
    chosen = _scenario(bench, file, scenario)
    probes: list[Probe] = []
    with ExitStack() as ending:
        if trace is not None:
            probes.append(tracing := TraceProbe(ending.enter_context(Trace(trace))))
        if record is not None:
            recorder = Recorder(record, simulated=True, overwrite=overwrite)
            ending.callback(recorder.close)
            probes.append(recorder)
        outcome = bench.outcome(file, chosen, seed, probes=probes)
        if trace is not None:
            tracing.raise_if_lost()
    files = {what: str(where) for what, where in (("trace", trace), ("recording", record)) if where is not None}
    if json:
        print_json(call_data(outcome, files))
    else:
        source = bench.read(file).source
        show_call(outcome, {source.file: source} if source is not None else {}, files)
    if not outcome.ok:
        raise typer.Exit(FINDINGS)


def _scenario(bench: Bench, file: Path, name: str | None) -> Scenario:
    """The scenario that is meant. InvalidFile for a file with errors."""
    from echostack.testing.default_caller import default_scenario

    if name is not None:
        return bench.scenario(file, name)
    return default_scenario(file, bench.plan(file, default_scenario(file)))
