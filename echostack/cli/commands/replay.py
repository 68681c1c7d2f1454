"""``echostack replay``: a recorded call, told again; step by step; or run through another graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echostack.cli.options import Plugins, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from echostack.recording import Recording
    from echostack.registry import Registry


def replay(
    recording: Annotated[Path, typer.Argument(metavar="REC", help="The folder of a recording.", show_default=False)],
    start: Annotated[float, typer.Option("--from", metavar="SECONDS", min=0, help="Begin there.")] = 0.0,
    to: Annotated[
        float | None, typer.Option("--to", metavar="SECONDS", min=0, help="End there.", show_default=False)
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PATTERN", help="Only such events, as processing.*.text (repeatable)."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line, and nothing else.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with a call that is still recorded.")] = False,
    realtime: Annotated[bool, typer.Option("--realtime", help="Show each event when it happened.")] = False,
    speed: Annotated[float, typer.Option("--speed", metavar="X", help="With --realtime: so many times as fast.")] = 1.0,
    step: Annotated[bool, typer.Option("--step", help="Go through the events one by one; ? there helps.")] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write a trace that ui.perfetto.dev opens.", show_default=False),
    ] = None,
    through: Annotated[
        Path | None,
        typer.Option("--through", metavar="ECHO", help="Run its inputs through this graph.", show_default=False),
    ] = None,
    real: Annotated[
        list[str] | None, typer.Option("--real", metavar="NODE", help="With --through: not simulated (repeatable).")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FOLDER", help="With --through: record the new call.", show_default=False),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Tell a recorded call again: when what happened, who was speaking, what was said and heard.

    --through runs what came in through another graph, on virtual time, and shows the first difference and what else
    changed: status 1 when something did.
    """
    from echostack.core.errors import UsageError
    from echostack.recording import Recording

    asked = [name for name, given in _modes(follow, realtime, step, export, through).items() if given]
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]} are two ways of replaying; ask for one")
    for name, given in {"--real": bool(real), "--record": record is not None}.items():
        if given and through is None:
            raise UsageError(f"{name} is about a new call: say --through as well")
    if not speed > 0 or (speed != 1.0 and not realtime):
        raise UsageError("--speed takes a number above 0" if not speed > 0 else "--speed goes with --realtime")
    if to is not None and to < start:
        raise UsageError(f"--to {to:g} is before --from {start:g}")
    found = Recording.open(recording)
    known = registry(plugin)
    if export is not None:
        _export(found, export)
    elif through is not None:
        _through(found, through, real or (), record, known, json=json)
    elif step:
        from echostack.cli.replay_step import step_through

        step_through(found, known, start)
    else:
        _tell(found, known, start, to, only or (), json=json, follow=follow, speed=speed if realtime else None)


def _modes(follow: bool, realtime: bool, step: bool, export: Path | None, through: Path | None) -> dict[str, bool]:
    return {
        "--follow": follow, "--realtime": realtime, "--step": step, "--export": export is not None,
        "--through": through is not None,
    }  # fmt: skip


def _export(recording: Recording, file: Path) -> None:
    from echostack.cli.transports import refuse_overwriting
    from echostack.core.errors import UsageError
    from echostack.recording.export import to_chrome_trace
    from echostack.recording.format import LINES

    if file.is_dir():
        raise UsageError(f"--export {file}: this is a folder; name a file")
    refuse_overwriting({"--export": file}, {"the recording": recording.path / LINES})
    count = to_chrome_trace(recording, file)
    print(f"trace: {file}, {count:,} events")


def _tell(
    recording: Recording, known: Registry, start: float, to: float | None, only: list[str] | tuple[str, ...], *,
    json: bool, follow: bool, speed: float | None,
) -> None:  # fmt: skip
    import asyncio

    from echostack.cli.replay_tell import Telling, tell

    telling = Telling(recording, known, start, to, _wanted(only), json=json, at_once=follow or speed is not None)
    asyncio.run(tell(telling, follow=follow, speed=speed))


def _wanted(only: list[str] | tuple[str, ...]) -> Callable[[str], bool] | None:
    from echostack.core.errors import UsageError
    from echostack.core.events import EventPattern

    try:
        patterns = [EventPattern.parse(pattern) for pattern in only]
    except ValueError as error:
        raise UsageError(f"--only: {error}") from None
    return (lambda name: any(p.matches(name) for p in patterns)) if patterns else None


def _through(
    recording: Recording, file: Path, real: list[str] | tuple[str, ...], record: Path | None, known: Registry, *,
    json: bool,
) -> None:  # fmt: skip
    from contextlib import ExitStack

    from echostack import api
    from echostack.cli.guard import FINDINGS
    from echostack.cli.output import print_json
    from echostack.cli.replay_difference import difference_lines
    from echostack.core.errors import UsageError
    from echostack.recording import Recorder
    from echostack.runtime.probe import Probe
    from echostack.simulation.through import through

    if record is not None and record.resolve() == recording.path.resolve():
        raise UsageError(f"--record {record} would overwrite the recording: name another folder")
    plan = api.compile(file, registry=known, env=None if real else {}).plan
    probes: list[Probe] = []
    with ExitStack() as ending:
        if record is not None:
            recorder = Recorder(record, simulated=True)
            ending.callback(recorder.close)
            probes.append(recorder)
        difference = through(recording, plan, real=real, registry=known, probes=probes)
    if json:
        print_json(difference.data() | ({"recording": str(record)} if record is not None else {}))
    else:
        for line in difference_lines(difference):
            print(line)
        if record is not None:
            print(f"recording: {record}")
    if not difference.none:
        raise typer.Exit(FINDINGS)
